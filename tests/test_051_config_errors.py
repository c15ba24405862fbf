"""Mistakes in cards: all of them are reported at once, each with its place, what is allowed and the nearest key."""

from __future__ import annotations

import pytest

from gpusim.config import expand, load_config
from gpusim.errors import GpusimError


def problems(tmp_path, text: str, overrides: tuple[str, ...] = ()) -> list[str]:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(GpusimError) as error:
        load_config(path, overrides)
    return [line.strip().replace(str(tmp_path) + "/", "") for line in str(error.value).splitlines()]


def test_three_mistakes_are_reported_at_once_with_the_nearest_key(tmp_path):
    text = """base: a6000
sm:
  warps: 50
  sub_core:
    register_file:
      read_port: 2
    issue:
      scheduler: greedy
"""
    head, *found = problems(tmp_path, text)
    assert head == "configuration mine.yaml: 3 problems"
    assert sorted(found) == [
        "mine.yaml:3: sm.warps: 50 is not allowed (allowed: integer, 4 to 64, a multiple of 4)",
        "mine.yaml:6: sm.sub_core.register_file.read_port: unknown key (did you mean 'read_ports'?)",
        "mine.yaml:8: sm.sub_core.issue.scheduler: 'greedy' is not allowed (allowed: one of cggty, gto, lrr, oldest, or "
        "the path of a .py file with a scheduler)",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sms: 0", "mine.yaml:2: sms: 0 is not allowed (allowed: integer, 1 to 256)"),
        ("sms: '84'", "mine.yaml:2: sms: '84' is not allowed (allowed: integer, 1 to 256)"),
        ("sms: true", "mine.yaml:2: sms: True is not allowed (allowed: integer, 1 to 256)"),
        ("sms: [84]", "mine.yaml:2: sms: [84] is not allowed (allowed: integer, 1 to 256)"),
        (
            "dram: {banks: 64}",
            "mine.yaml:2: dram.banks: 64 is not allowed (allowed: integer, 1 to 32)",
        ),
        ("sm: 7", "mine.yaml:2: sm: 7 stands where a section should (allowed: a section with warps, ctas,"),
        ("sm:", "mine.yaml:2: sm: None stands where a section should (allowed: a section with warps, ctas,"),
        (
            "read_ports: 2",
            "mine.yaml:2: read_ports: unknown key here (it belongs at sm.sub_core.register_file.read_ports)",
        ),
        ("zebra: 2", "mine.yaml:2: zebra: unknown key (known here: name, architecture, isa,"),
        ("l2: {slices: 40, slices: 48}", "mine.yaml:2: l2.slices: duplicate key, first on line 2; keep one"),
        ("architecture: 70", "mine.yaml:2: architecture: 70 is not allowed (allowed: one of 75, 80, 86, 89, 90, 120)"),
    ],
)
def test_one_mistake(tmp_path, text, expected):
    head, *found = problems(tmp_path, f"base: a6000\n{text}\n")
    assert head == "configuration mine.yaml: 1 problem"
    assert len(found) == 1
    assert found[0].startswith(expected)


def test_a_list_of_wrong_length_or_content_names_the_list(tmp_path):
    text = "base: a6000\nsm:\n  memory_latency:\n    global_load:\n      regular: {raw: [32, 34], war: [1, -2, 3]}\n"
    _, *found = problems(tmp_path, text)
    assert [line.split(" (allowed")[0] for line in found] == [
        "mine.yaml:5: sm.memory_latency.global_load.regular.war[1]: -2 is not allowed",
        "mine.yaml:5: sm.memory_latency.global_load.regular.raw[2]: missing",
    ]


def test_mistakes_of_a_base_and_of_overrides_are_reported_together(tmp_path):
    (tmp_path / "family.yaml").write_text("base: a6000\nsms: 1000\nsms: 2\n")
    _, *found = problems(tmp_path, "base: family.yaml\nl2: {slice: 3}\n", ("read_prots=2", "read_ports=0", "nonsense"))
    assert found == [
        "family.yaml:3: sms: duplicate key, first on line 2; keep one",
        "override 'read_prots=2': read_prots: unknown key (did you mean 'read_ports'?)",
        "override 'nonsense': should be KEY=VALUE, such as sub_core.register_file.read_ports=2",
        "family.yaml:2: sms: 1000 is not allowed (allowed: integer, 1 to 256)",
        "override 'read_ports=0': sm.sub_core.register_file.read_ports: 0 is not allowed (allowed: integer, 1 to 15)",
        "mine.yaml:2: l2.slice: unknown key (did you mean 'slices'?)",
    ]


def test_ambiguous_ending_lists_the_candidates():
    with pytest.raises(GpusimError, match=r"latency: ambiguous: .*l2\.latency, dram\.latency"):
        load_config("a6000", ["latency=3"])


def test_a_misspelt_key_is_one_mistake_not_two(tmp_path):
    path = tmp_path / "whole.yaml"
    path.write_text(expand("a6000").replace("row_bytes:", "row_byte:"))
    with pytest.raises(GpusimError) as error:
        load_config(path)
    assert "1 problem\n" in str(error.value)
    assert "dram.row_byte: unknown key (did you mean 'row_bytes'?)" in str(error.value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a600", r"no configuration 'a600'.*did you mean 'a6000'.*packaged: a100, a10g, a40, a6000, gtx1660super"),
        ("rtx3090.yml", r"did you mean 'rtx3090'"),
        ("./folder/rtx3090.yaml", r"no configuration './folder/rtx3090.yaml'.*did you mean 'rtx3090'"),
    ],
)
def test_unknown_card_names_the_nearest_and_all(name, expected):
    with pytest.raises(GpusimError, match=expected):
        load_config(name)


def test_a_family_says_that_it_is_one():
    with pytest.raises(GpusimError, match=r"sms: missing(.|\n)*this is a family.*cards: a100"):
        load_config("ampere")


def test_a_circle_of_bases_is_refused(tmp_path):
    (tmp_path / "a.yaml").write_text("base: b.yaml\n")
    (tmp_path / "b.yaml").write_text("base: a.yaml\n")
    with pytest.raises(GpusimError, match=r"b\.yaml:1: base: .*circle: a\.yaml -> b\.yaml -> a\.yaml"):
        load_config(tmp_path / "a.yaml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("base: nowhere.yaml\n", r"mine\.yaml:1: base: no configuration 'nowhere.yaml'"),
        ("base: [a6000]\n", r"mine\.yaml:1: base: should be the name of a file"),
        ("", r"mine\.yaml: a configuration is a mapping"),
        ("- 1\n", r"mine\.yaml: a configuration is a mapping"),
        ("sms: [1\nname: x\n", r"mine\.yaml:2: not valid YAML"),
        ("sms: !!python/object/apply:os.getcwd []\n", r"mine\.yaml:1: not valid YAML"),
        ("a: &a {b: *a}\n", r"mine\.yaml:1: nested deeper than 32 levels, or an alias lies in what it stands for"),
        ("? [1, 2]\n: 3\n", r"mine\.yaml:1: keys are plain words"),
    ],
)
def test_broken_files(tmp_path, text, expected):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(GpusimError, match=expected):
        load_config(tmp_path / "mine.yaml")


def test_a_file_that_is_not_text(tmp_path):
    (tmp_path / "mine.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(GpusimError, match="cannot be read as text"):
        load_config(tmp_path / "mine.yaml")


@pytest.mark.parametrize(
    ("text", "overrides", "told"),
    [
        ("", ("write_queue.low=1000",), "override 'write_queue.low=1000': dram.write_queue: low must be below high"),
        ("dram: {write_queue: {low: 1000}}\n", (), "mine.yaml:2: dram.write_queue: low must be below high"),
        ("dram: {write_queue: {low: 1}}\n", ("dram.banks=30",), "override 'dram.banks=30': dram: 30 banks do not make"),
        ("dram: {banks: 30}\n", ("dram.latency=3",), "mine.yaml:2: dram: 30 banks do not make 4 equal groups"),
    ],
)  # fmt: skip
def test_a_contradiction_is_told_where_it_was_brought_in(tmp_path, text, overrides, told):
    _, *found = problems(tmp_path, f"base: a6000\n{text}", overrides)
    assert len(found) == 1
    assert found[0].startswith(told)


def test_an_element_that_a_shorter_list_lacks_is_told_at_the_list(tmp_path):
    (tmp_path / "base.yaml").write_text(
        "base: a6000\nsm: {memory_latency: {global_load: {regular: {raw: [1,\n 2,\n 3]}}}}\n"
    )
    _, *found = problems(
        tmp_path, "base: base.yaml\n\n\nsm: {memory_latency: {global_load: {regular: {raw: [1, 2]}}}}\n"
    )
    assert [line.split(" (allowed")[0] for line in found] == [
        "mine.yaml:4: sm.memory_latency.global_load.regular.raw[2]: missing"
    ]
