"""Check files: how they are read, run and reported, and the arithmetic they share."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from gpusim.checking import LaunchFacts, assert_same, assert_within, fma32, load_check
from gpusim.cli.main import main
from gpusim.errors import GpusimError


def round_to_float32(exact: Fraction) -> np.float32:
    """The fp32 number nearest to `exact`, ties to the even significand, by comparing neighbours."""
    guess = np.float32(float(exact))
    around = [np.nextafter(guess, np.float32(-np.inf)), guess, np.nextafter(guess, np.float32(np.inf))]
    return min(around, key=lambda x: (abs(Fraction(float(x)) - exact), int(x.view(np.uint32)) & 1))


def test_fma32_rounds_once() -> None:
    generator = np.random.default_rng(1)
    patterns = generator.integers(0, 1 << 23, (3, 2000), dtype=np.uint32)
    exponents = generator.integers(96, 158, (3, 2000), dtype=np.uint32)
    exponents[2] = np.clip(exponents[0] + exponents[1] - 127 + generator.integers(-30, 30, 2000), 1, 250)
    a, b, c = (patterns | exponents << 23 | generator.integers(0, 2, (3, 2000), dtype=np.uint32) << 31).view(np.float32)
    exact = [Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z)) for x, y, z in zip(a, b, c, strict=True)]
    assert np.array_equal(fma32(a, b, c), np.array([round_to_float32(value) for value in exact]))


@pytest.mark.parametrize("sign", [1, -1])
def test_fma32_where_rounding_twice_errs(sign: int) -> None:
    # 24929 * 673 = 2^24 + 1 lies half way between two fp32 numbers; fp64 drops the addend that decides.
    a, b, c = np.float32(24929 * sign), np.float32(673), np.float32(2.0**-40 * sign)
    assert np.float32(np.float64(a) * np.float64(b) + np.float64(c)) == sign * 2.0**24
    assert fma32(a, b, c) == sign * (2.0**24 + 2)


def test_fma32_of_infinities_and_zeros() -> None:
    big, inf = np.float32(3e38), np.float32(np.inf)
    assert fma32(big, big, -big) == inf
    assert fma32(inf, np.float32(1), np.float32(1)) == inf
    assert fma32(np.float32(2), np.float32(3), np.float32(-6)) == 0


def test_same_means_every_bit() -> None:
    nan, zeros = np.array([np.nan, 0.0], np.float32), np.zeros(2, np.float32)
    assert_same("x", nan, nan)
    assert_same("x", np.arange(6).reshape(2, 3), np.arange(6))
    with pytest.raises(AssertionError, match=r"x: 1 of 2 elements differ, the first at \(1,\): -0.0, expected 0.0"):
        assert_same("x", np.array([0.0, -0.0], np.float32), zeros)
    with pytest.raises(AssertionError, match="float32, expected float64"):
        assert_same("x", zeros, zeros.astype(np.float64))


def test_within_names_the_worst_and_refuses_nan() -> None:
    actual = np.array([[1.0, 2.0], [3.5, 4.0]], np.float32)
    assert_within("y", actual, [[1, 2], [3, 4]], 0.5, "rounding")
    with pytest.raises(AssertionError, match=r"y: 1 of 4 .* at \(1, 0\): 3.5, expected 3.0 within 0.1 \(rounding\)"):
        assert_within("y", actual, [[1, 2], [3, 4]], 0.1, "rounding")
    with pytest.raises(AssertionError, match="1 of 4"):
        assert_within("y", np.where(actual == 2, np.nan, actual), [[1, 2], [3.5, 4]], 10, "rounding")


def test_an_unlisted_buffer_must_not_change(tmp_path: Path) -> None:
    path = tmp_path / "k.check.py"
    path.write_text("WRITES = ('y',)\n\n\ndef check(before, after, launches):\n    pass\n")
    launches = (LaunchFacts("k", (1, 1, 1), (32, 1, 1), ()),)
    before, after = ({"x": np.zeros(3), "y": np.zeros(3)} for _ in range(2))
    after["y"][0] = 1
    load_check(path).run(before, after, launches)
    after["x"][2] = 1
    with pytest.raises(AssertionError, match=r"x .not in WRITES.: 1 of 3"):
        load_check(path).run(before, after, launches)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("WRITES = ()\n", "defines check"),
        ("import no_such_module\n", ":1: the check file fails: ModuleNotFoundError"),
        ("def check(a, b, c):\n    pass\n", "defines WRITES"),
        ("WRITES = (\n", "SyntaxError"),
    ],
)
def test_unusable_check_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "k.check.py"
    path.write_text(text)
    with pytest.raises(GpusimError, match=message) as caught:
        load_check(path)
    assert str(path) in str(caught.value)


def test_an_error_inside_check_is_bad_input_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "k.check.py"
    path.write_text("WRITES = ()\n\n\ndef check(before, after, launches):\n    before['z']\n")
    with pytest.raises(GpusimError, match=r"k.check.py:5: the check file fails: KeyError"):
        load_check(path).run({}, {}, ())


SASS = """\
.arch sm_86
.kernel store
.grid 1
.block 32
.param x uint64 0
[B------:R-:W-:-:S05] MOV R2, c[0x0][0x160] ;
[B------:R-:W-:-:S05] MOV R3, c[0x0][0x164] ;
[B------:R-:W-:-:S05] MOV R0, 0x7 ;
[B------:R-:W-:-:S01] STG.E [R2], R0 ;
[B------:R-:W-:-:S05] EXIT ;
"""
LAUNCH = """\
buffers:
  x: {dtype: uint32, shape: [1]}
launches:
  - {grid: [1], block: [32], arguments: [{buffer: x}]}
"""


def test_command_line_runs_the_check_only_when_asked(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "store.sass").write_text(SASS)
    (tmp_path / "store.yaml").write_text(LAUNCH)
    check = "WRITES = ('x',)\n\n\ndef check(before, after, launches):\n    assert after['x'][0] == {}, 'x is wrong'\n"
    command = ["trace", str(tmp_path / "store.sass"), "--launch", str(tmp_path / "store.yaml"), "--overwrite"]
    command += ["-o", str(tmp_path / "out")]
    assert main([*command, "--check"]) == 2
    assert "store.check.py" in capsys.readouterr().err
    (tmp_path / "store.check.py").write_text(check.format(7))
    assert main([*command, "--check"]) == 0
    (tmp_path / "store.check.py").write_text(check.format(8))
    assert main(command) == 0
    capsys.readouterr()
    assert main([*command, "--check"]) == 1
    assert "check failed: x is wrong" in capsys.readouterr().err
