"""The reader of YAML: what a scalar is, where each value stands, and what is refused, at once and by place."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from work import at_most

from gpusim import yamlfile
from gpusim.errors import GpusimError
from gpusim.yamlfile import DEEPEST, MOST_BYTES, Place, parse, read, value, values


def bomb(layers: int, wide: int, kind: str = "[]") -> str:
    """Each anchor stands for `wide` of the one before it."""
    open_, close = kind
    lines = [f"a0: &a0 {open_}{', '.join(f'k{k}: x' if kind == '{}' else 'x' for k in range(wide))}{close}"]
    for layer in range(1, layers):
        inner = ", ".join(f"k{k}: *a{layer - 1}" if kind == "{}" else f"*a{layer - 1}" for k in range(wide))
        lines.append(f"a{layer}: &a{layer} {open_}{inner}{close}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("7", 7), ("-7", -7), ("+7", 7), ("0", 0), ("0x1F", 31), ("0o17", 15), ("1.5", 1.5), ("-.5", -0.5), ("1.", 1.0),
        ("1e-5", 1e-5), ("1E3", 1000.0), (".inf", float("inf")), ("-.inf", float("-inf")), ("true", True),
        ("False", False), ("null", None), ("~", None), ("", None),
        ("010", "010"), ("007", "007"), ("1:30", "1:30"), ("2001-99-99", "2001-99-99"), ("2001-12-31", "2001-12-31"),
        ("yes", "yes"), ("off", "off"), ("1_000", "1_000"), ("0b11", "0b11"), ("inf", "inf"), ("nan", "nan"),
        ("'7'", "7"), ('"true"', "true"), ("two words", "two words"), ("1.2.3", "1.2.3"), ("e5", "e5"), ("+", "+"),
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(text, meant):
    found = value(text, "x")
    assert (found, type(found)) == (meant, type(meant))


def test_nan_is_a_number():
    assert value(".nan", "x") != value(".nan", "x")


def test_every_key_and_element_has_its_place():
    document = parse("a: {b: [1,\n  2]}\nc:\n  - d: 3\n  -\n    4\n", "f.yaml")
    assert document.values == {"a": {"b": [1, 2]}, "c": [{"d": 3}, 4]}
    lines = {path: place.line for path, place in document.places.items()}
    assert lines == {
        (): 1, ("a",): 1, ("a", "b"): 1, ("a", "b", 0): 1, ("a", "b", 1): 2, ("c",): 3, ("c", 0): 4, ("c", 0, "d"): 4,
        ("c", 1): 6,
    }  # fmt: skip
    assert str(document.place(("a", "b", 7, "z"))) == "f.yaml:1"
    assert str(document.place(("q",))) == "f.yaml:1"


def test_comments_stand_above_a_key_and_beside_its_value():
    text = """# head
# of the file
one: 1  # beside
        # and on
# not of two, another column
two:
  # above
  # three
  three: [1,
    2]  # list
four: 4
"""
    document = parse(text, "f")
    assert document.header == ["head", "of the file"]
    assert document.comments(("one",)) == (["head", "of the file"], "beside and on")
    assert document.comments(("two",)) == (["not of two, another column"], "")
    assert document.comments(("two", "three")) == (["above", "three"], "list")
    assert document.comments(("four",)) == ([], "")


def test_a_repeated_key_is_a_problem_that_names_both():
    document = parse("a: 1\nb: {c: 1, c: 2}\na: 3\n", "f")
    assert document.values == {"a": 1, "b": {"c": 1}}
    assert document.problems == [
        "f:2: b.c: duplicate key, first on line 2; keep one",
        "f:3: a: duplicate key, first on line 1; keep one",
    ]
    with pytest.raises(GpusimError, match="duplicate key"):
        value("{a: 1, a: 2}", "--set x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(bomb(10, 9), r"f:\d: aliases stand for more than 20,000 values", id="lists"),
        pytest.param(bomb(9, 9, "{}"), r"f:\d: aliases stand for more than 20,000 values", id="mappings"),
        pytest.param(bomb(3, 400), r"f:\d: aliases stand for more than 20,000 values", id="wide"),
        pytest.param("k0: &a0 []\n" + "".join(f"k{k + 1}: &a{k + 1} [*a{k}]\n" for k in range(99)),
                     r"f:\d+: nested deeper than 32 levels", id="ladder"),
        ("a: &a [*a]\n", "f:1: nested deeper than 32 levels, or an alias lies in what it stands for"),
        ("a: &a {b: {c: *a}}\n", "f:1: nested deeper than 32 levels"),
        ("a: 1\nb: " + "[" * 40 + "]" * 40, "f:2: nested deeper than 32 levels"),
        pytest.param("a: " + "[" * 5000, "f:1: not valid YAML", id="brackets"),
        pytest.param("- " * 5000, "f:1: not valid YAML", id="dashes"),
        pytest.param("? " * 5000, "f:1: not valid YAML", id="question marks"),
        ("a: 1\nb: \x01", r"f:2: not valid YAML: control character U\+0001; remove it"),
        ("a: 1\n\x00", r"f:2: not valid YAML: control character U\+0000"),
        ("a: \udc80", r"f:1: not valid YAML: control character U\+DC80"),
        ("a: !!python/object/apply:os.getcwd []", "f:1: not valid YAML here: the tag .*python/object"),
        ("a: !!timestamp 2001-01-01", "f:1: not valid YAML here: the tag"),
        ("a: !mine 3", "f:1: not valid YAML here: the tag !mine"),
        ("[1, 2]: 3", "f:1: keys are plain words"),
        ("? {a: 1}\n: 3", "f:1: keys are plain words"),
        ('"a\\nb": 3', "f:1: keys are plain words"),
        ("!!str a: 3", "f:1: keys are plain words"),
        ("a: 1\n---\nb: 2\n", "f:2: not valid YAML"),
        ("a: *b", "f:1: not valid YAML: found undefined alias"),
        ("a: [1\n", "f:2: not valid YAML"),
    ],
)  # fmt: skip
def test_what_is_refused_is_refused_at_once_and_by_line(text, message):
    with at_most(calls=2_000_000), pytest.raises(GpusimError, match=message):
        parse(text, "f")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("9" * 5000, "a number of 5,000 characters; the longest read has 40", id="digits"),
        pytest.param("0x" + "f" * 5000, "a number of 5,002 characters", id="hexadecimal"),
        ("1e999", "1e999 is too large for a number of 64 bits"),
    ],
)
def test_numbers_beyond_the_bounds_are_at_most_text(text, message):
    document = parse(f"a: 1\nb: {text}", "f")
    assert document.values == {"a": 1, "b": text}
    with pytest.raises(GpusimError, match=f"f:2: {message}"):
        document.check()
    with pytest.raises(GpusimError, match=message):
        value(text, "x")


def test_how_numbers_are_written_is_kept():
    document = parse("a: 41754e2\nb: [0x1F, 'x', 7, '7', 007, null, True]", "f")
    assert document.values == {"a": 4175400.0, "b": [31, "x", 7, "7", "007", None, True]}
    assert document.written == {("a",): "41754e2", ("b", 0): "0x1F", ("b", 2): "7", ("b", 6): "True"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_only_plain_files_of_bounded_size_are_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "big.yaml").write_bytes(b"# " * (MOST_BYTES // 2 + 1))
    (tmp_path / "text.yaml").write_bytes(b"a: 1\nb: 2\nc: \xff\n")
    (tmp_path / "mark.yaml").write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    for name, message in (
        ("pipe.yaml", "is a pipe or a device where a YAML file is wanted"),
        ("/dev/zero", "is a pipe or a device"),
        (".", "is a folder where a YAML file is wanted"),
        ("absent.yaml", "cannot read a YAML file: No such file"),
        ("a\0b", "cannot read a YAML file: embedded null byte"),
        ("big.yaml", "8,388,610 bytes are too many for a YAML file, which has at most 8,388,608"),
        ("text.yaml", r"text\.yaml:3: cannot be read as text: byte 0xff is no UTF-8"),
    ):
        with pytest.raises(GpusimError, match=message):
            read(os.path.join(tmp_path, name))
    assert read(tmp_path / "mark.yaml").values == {"a": 1, "b": 2}


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from("ab0:-?*&!|>'\"%@`#,[]{} \n\t\x85\u2028\ufeff\x01"), max_size=60))
@example("&a [&b *a, *b]")
@example("%TAG ! tag:x,2000:\n--- !y z")
@example("&a : *a")
def test_any_text_is_read_or_refused(text):
    try:
        document = parse(text, "f")
    except GpusimError:
        return
    for path, place in document.places.items():
        assert 1 <= place.line <= len(document.lines) + 1
        if path and isinstance(path[-1], str):
            document.comments(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**38), 10**38) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Co", "Cn", "Zl", "Zp"), exclude_characters="\x85\ufeff")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc ", min_size=1, max_size=4), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_json_is_read_as_what_it_is(data):
    document = parse(json.dumps(data, ensure_ascii=False, indent=1), "f")
    assert document.values == data
    assert value(json.dumps(data, ensure_ascii=False), "x") == data


def test_values_of_a_command_line_are_read_by_the_same_rules():
    assert values("0, 1e3,[1, 2],yes", "x") == [0, 1000.0, [1, 2], "yes"]
    assert values("", "x") == []
    with pytest.raises(GpusimError, match=r"^--set-grid a=1\]: not valid YAML"):
        values("1]", "--set-grid a=1]")
    assert str(parse("a: 1", "x", numbered=False).place(("a",))) == "x"


def test_a_place_is_written_as_editors_want_it():
    assert (str(Place("f", 3)), str(Place("f", 0))) == ("f:3", "f")
    assert yamlfile.dotted(("launches", 0, "grid", 2)) == "launches[0].grid[2]"
    assert DEEPEST == 32
