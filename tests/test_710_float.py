"""Floating-point instructions and conversions against NumPy and exact rational arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from emulator_cases import CORNERS, operands, run_cases, s32

from gpusim.checking import fma32

NAN32 = 0x7FFFFFFF
F = np.float32


@pytest.fixture(autouse=True)
def _quiet():
    with np.errstate(all="ignore"):
        yield


def floats(words: np.ndarray) -> np.ndarray:
    return words.view(F)


def words_of(values: np.ndarray) -> np.ndarray:
    """Words of float32 results, with the NaN of the hardware."""
    values = np.asarray(values, F)
    return np.where(np.isnan(values), np.uint32(NAN32), values.view(np.uint32))


def flush(words: np.ndarray) -> np.ndarray:
    subnormal = (words & 0x7F800000) == 0
    return np.where(subnormal, words & np.uint32(0x80000000), words)


def doubles(words: np.ndarray, k: int) -> np.ndarray:
    return (words[:, k].astype(np.uint64) | words[:, k + 1].astype(np.uint64) << np.uint64(32)).view(np.float64)


def double_words(values: np.ndarray) -> np.ndarray:
    bits = np.asarray(values, np.float64).view(np.uint64)
    bits = np.where(np.isnan(values), np.uint64(0xFFF8000000000000), bits)
    return np.stack([bits & np.uint64(0xFFFFFFFF), bits >> np.uint64(32)], axis=1).astype(np.uint32)


ARITHMETIC: dict[str, Callable[..., np.ndarray]] = {
    "FADD R16, R8, R9": lambda a, b, c: a + b,
    "FADD R16, -R8, |R9|": lambda a, b, c: -a + np.abs(b),
    "FADD R16, R8, 1.5": lambda a, b, c: a + F(1.5),
    "FMUL R16, R8, R9": lambda a, b, c: a * b,
    "FMUL R16, R8, -R9": lambda a, b, c: a * -b,
    "FFMA R16, R8, R9, R10": fma32,
    "FFMA R16, -R8, R9, -R10": lambda a, b, c: fma32(-a, b, -c),
    "FFMA R16, R8, 0.3333333432674407959, R10": lambda a, b, c: fma32(a, F(1) / F(3), c),
    "FADD.SAT R16, R8, R9": lambda a, b, c: np.where(np.isnan(a + b), F(0), np.clip(a + b, F(0), F(1))),
    "FFMA.SAT R16, R8, R9, R10": lambda a, b, c: np.where(
        np.isnan(fma32(a, b, c)), F(0), np.clip(fma32(a, b, c), F(0), F(1))
    ),
}


@pytest.mark.parametrize("instruction", ARITHMETIC)
def test_arithmetic_rounds_once(tmp_path: Path, instruction: str) -> None:
    words = operands(seed=len(instruction), count=2048)
    actual = run_cases(tmp_path, instruction, words).registers[:, 0]
    expected = words_of(ARITHMETIC[instruction](*(floats(words[:, k].copy()) for k in range(3))))
    same = (actual == expected) | ((actual | expected) == 0x80000000) & (".SAT" in instruction)
    assert same.all(), [hex(w) for w in words[~same][0][:3]]


@pytest.mark.parametrize("instruction", ["FADD.FTZ R16, R8, R9", "FMUL.FTZ R16, R8, R9", "FFMA.FTZ R16, R8, R9, R10"])
def test_ftz_flushes_inputs_and_results(tmp_path: Path, instruction: str) -> None:
    words = operands(seed=4, count=2048)
    words[::2, :3] = words[::2, :3] & np.uint32(0x80FFFFFF)  # tiny numbers
    a, b, c = (floats(flush(words[:, k].copy())) for k in range(3))
    exact = {"FADD": a + b, "FMUL": a * b, "FFMA": fma32(a, b, c)}[instruction[:4]]
    actual = run_cases(tmp_path, instruction, words).registers[:, 0]
    assert np.array_equal(actual, flush(words_of(exact)))


def rounded(exact: Fraction, mode: str) -> int:
    """The word of a nonzero exact value in float32, rounded down, up or to zero."""
    guess = F(float(exact)) if abs(exact) < Fraction(2) ** 200 else F(math.copysign(math.inf, exact))
    below, above = guess, guess
    while below == np.inf or (np.isfinite(below) and Fraction(float(below)) > exact):
        below = np.nextafter(below, F(-np.inf))
    while above == -np.inf or (np.isfinite(above) and Fraction(float(above)) < exact):
        above = np.nextafter(above, F(np.inf))
    if below < above and Fraction(float(np.nextafter(below, F(np.inf)))) <= exact if np.isfinite(below) else False:
        below = np.nextafter(below, F(np.inf))
    down = mode == "RM" or (mode == "RZ" and exact > 0)
    return int((below if down else above).view(np.uint32))


@pytest.mark.parametrize("mode", ["RM", "RP", "RZ"])
@pytest.mark.parametrize("opcode", ["FADD", "FMUL", "FFMA"])
def test_directed_rounding(tmp_path: Path, opcode: str, mode: str) -> None:
    generator = np.random.default_rng(6)
    words = operands(seed=6, count=256)
    exponent = generator.integers(100, 150, (256, 3), dtype=np.uint32)
    words[:, :3] = (words[:, :3] & np.uint32(0x807FFFFF)) | exponent << np.uint32(23)
    sources = {"FADD": "R8, R9", "FMUL": "R8, R9", "FFMA": "R8, R9, R10"}[opcode]
    actual = run_cases(tmp_path, f"{opcode}.{mode} R16, {sources}", words).registers[:, 0]
    for row, result in zip(words, actual, strict=True):
        a, b, c = (Fraction(float(value)) for value in floats(row[:3].copy()))
        exact = {"FADD": a + b, "FMUL": a * b, "FFMA": a * b + c}[opcode]
        if exact:
            assert int(result) == rounded(exact, mode)


FLOAT_COMPARES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "LT": np.less, "EQ": np.equal, "LE": np.less_equal, "GT": np.greater, "GE": np.greater_equal,
    "NE": lambda a, b: (a < b) | (a > b), "NUM": lambda a, b: (a == a) & (b == b), "NAN": lambda a, b: (a != a) | (b != b),
    "LTU": lambda a, b: ~(a >= b), "EQU": lambda a, b: ~((a < b) | (a > b)), "LEU": lambda a, b: ~(a > b),
    "GTU": lambda a, b: ~(a <= b), "NEU": lambda a, b: a != b, "GEU": lambda a, b: ~(a < b),
}  # fmt: skip


@pytest.mark.parametrize("compare", FLOAT_COMPARES)
def test_compare_with_nan(tmp_path: Path, compare: str) -> None:
    words = operands(seed=8, count=1024)
    words[::4, 1] = words[::4, 0]
    result = run_cases(tmp_path, f"FSETP.{compare}.AND P3, P4, |R8|, R9, P0", words)
    true = FLOAT_COMPARES[compare](np.abs(floats(words[:, 0].copy())), floats(words[:, 1].copy()))
    p0 = words[:, 7] & 1 == 1
    assert np.array_equal(result.p, true & p0)
    assert np.array_equal(result.q, ~true & p0)
    double = run_cases(tmp_path, f"DSETP.{compare}.OR P3, P4, R8, R10, P0", words)
    true = FLOAT_COMPARES[compare](doubles(words, 0), doubles(words, 2))
    assert np.array_equal(double.p, true | p0)


@pytest.mark.parametrize("least", [True, False])
@pytest.mark.parametrize("nan", [True, False])
def test_minimum_and_maximum(tmp_path: Path, least: bool, nan: bool) -> None:
    words = operands(seed=10, count=1024)
    words[::5, 1] = words[::5, 0] ^ np.uint32(0x80000000)
    instruction = f"FMNMX{'.NAN' if nan else ''} R16, R8, R9, {'PT' if least else '!PT'}"
    actual = run_cases(tmp_path, instruction, words).registers[:, 0]
    a, b = floats(words[:, 0].copy()), floats(words[:, 1].copy())
    plain = (np.fmin if least else np.fmax)(a, b)
    expected = words_of(np.where(np.isnan(a) | np.isnan(b), F(np.nan), plain) if nan else plain)
    zero = (a == 0) & (b == 0)
    signs = (words[:, 0] | words[:, 1]) if least else (words[:, 0] & words[:, 1])
    assert np.array_equal(actual, np.where(zero, signs & np.uint32(0x80000000), expected))


MUFU: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "RCP": lambda x: 1 / x, "RSQ": lambda x: 1 / np.sqrt(x), "SQRT": np.sqrt, "EX2": np.exp2, "LG2": np.log2,
    "SIN": lambda x: np.sin(2 * np.pi * x), "COS": lambda x: np.cos(2 * np.pi * x),
}  # fmt: skip


@pytest.mark.parametrize("function", MUFU)
def test_multi_function_unit_is_within_2_ulp(tmp_path: Path, function: str) -> None:
    words = operands(seed=12, count=1024)
    if function in ("SIN", "COS"):
        words[:, 0] = np.random.default_rng(1).uniform(-1, 1, 1024).astype(F).view(np.uint32)
    actual = floats(run_cases(tmp_path, f"MUFU.{function} R16, R8", words).registers[:, 0].copy())
    expected = MUFU[function](floats(flush(words[:, 0].copy())).astype(np.float64))
    expected32 = floats(flush(expected.astype(F).view(np.uint32)))
    assert np.array_equal(np.isnan(actual), np.isnan(expected32))
    finite = np.isfinite(expected32)
    assert np.array_equal(actual[~finite & ~np.isnan(actual)], expected32[~finite & ~np.isnan(expected32)])
    assert (
        np.abs(actual - expected32)[finite]
        <= 2 * np.spacing(np.abs(expected32[finite])) + 1e-9 * (function in ("SIN", "COS"))
    ).all()


DOUBLES: dict[str, Callable[..., np.ndarray]] = {
    "DADD R16, R8, R10": lambda a, b, c: a + b,
    "DADD R16, -R8, |R10|": lambda a, b, c: -a + np.abs(b),
    "DMUL R16, R8, R10": lambda a, b, c: a * b,
    "DADD R16, R8, 1.5": lambda a, b, c: a + 1.5,
}


@pytest.mark.parametrize("instruction", DOUBLES)
def test_double_arithmetic(tmp_path: Path, instruction: str) -> None:
    words = operands(seed=14, count=1024)
    actual = run_cases(tmp_path, instruction, words).registers[:, :2]
    expected = double_words(DOUBLES[instruction](doubles(words, 0), doubles(words, 2), doubles(words, 4)))
    assert np.array_equal(actual, expected)


@pytest.mark.parametrize("mode", ["", ".RM", ".RP", ".RZ"])
def test_dfma_rounds_once(tmp_path: Path, mode: str) -> None:
    words = operands(seed=15, count=256)
    words[:, 1:6:2] = (words[:, 1:6:2] & np.uint32(0x800FFFFF)) | np.uint32(0x3FF << 20)
    actual = run_cases(tmp_path, f"DFMA{mode} R16, R8, R10, R12", words).registers
    values = doubles(actual, 0)
    for k in range(len(words)):
        exact = Fraction(doubles(words, 0)[k]) * Fraction(doubles(words, 2)[k]) + Fraction(doubles(words, 4)[k])
        error = abs(Fraction(values[k]) - exact)
        below, above = (Fraction(np.nextafter(values[k], limit)) for limit in (-np.inf, np.inf))
        if not mode:
            assert error <= min(abs(below - exact), abs(above - exact))
        elif mode == ".RM" or (mode == ".RZ" and exact > 0):
            assert Fraction(values[k]) <= exact < above
        else:
            assert below < exact <= Fraction(values[k])


def clamp(values: np.ndarray, low: int, high: int) -> np.ndarray:
    """Integral float64 values as integers within limits, exactly."""
    return np.array(
        [min(max(int(v), low), high) if np.isfinite(v) else (high if v > 0 else low) for v in values], object
    )


ROUND = {"TRUNC": np.trunc, "FLOOR": np.floor, "CEIL": np.ceil, "": np.rint}


@pytest.mark.parametrize("mode", ROUND)
@pytest.mark.parametrize("kind", ["", "U32", "S64", "U64", "U8", "S16"])
def test_float_to_integer_saturates(tmp_path: Path, mode: str, kind: str) -> None:
    words = operands(seed=16, count=512)
    words[::2, 0] = np.random.default_rng(2).uniform(-300, 300, 256).astype(F).view(np.uint32)
    spelling = ".".join(part for part in ("F2I", kind, mode, "NTZ") if part)
    actual = run_cases(tmp_path, f"{spelling} R16, R8", words).registers
    bits, signed = int(kind[1:] or 32) if kind else 32, not kind.startswith("U")
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    values = floats(words[:, 0].copy()).astype(np.float64)
    expected = clamp(np.where(np.isnan(values), 0, ROUND[mode](values)), low, high)
    assert [int(word) for word in actual[:, 0]] == [int(value) & 0xFFFFFFFF for value in expected]
    if bits == 64:
        assert [int(word) for word in actual[:, 1]] == [int(value) >> 32 & 0xFFFFFFFF for value in expected]


def test_integer_to_float(tmp_path: Path) -> None:
    words = operands(seed=17, count=512)
    pairs = words[:, 0].astype(np.uint64) | words[:, 1].astype(np.uint64) << np.uint64(32)
    cases = {
        "I2F R16, R8": s32(words[:, 0].copy()).astype(F),
        "I2F.U32 R16, R8": words[:, 0].astype(F),
        "I2FP.F32.S32 R16, R8": s32(words[:, 0].copy()).astype(F),
        "I2F.U8 R16, R8.B2": (words[:, 0] >> 16 & 255).astype(F),
        "I2F.S64 R16, R8": pairs.view(np.int64).astype(F),
        "I2F.U64 R16, R8": pairs.astype(F),
    }
    for instruction, expected in cases.items():
        actual = run_cases(tmp_path, instruction, words).registers[:, 0]
        assert np.array_equal(actual, expected.view(np.uint32)), instruction
    actual = run_cases(tmp_path, "I2F.F64.S64 R16, R8", words).registers[:, :2]
    assert np.array_equal(actual, double_words(pairs.view(np.int64).astype(np.float64)))
    up = floats(run_cases(tmp_path, "I2F.U32.RP R16, R8", words).registers[:, 0].copy()).astype(np.float64)
    assert (up >= words[:, 0]).all()
    assert (np.nextafter(up.astype(F), F(-1)).astype(np.float64) < np.maximum(words[:, 0], 0.5)).all()


def test_format_changes(tmp_path: Path) -> None:
    words = operands(seed=18, count=1024)
    narrow = run_cases(tmp_path, "F2F.F32.F64 R16, R8", words).registers[:, 0]
    assert np.array_equal(narrow, words_of(doubles(words, 0).astype(F)))
    wide = run_cases(tmp_path, "F2F.F64.F32 R16, R8", words).registers[:, :2]
    assert np.array_equal(wide, double_words(floats(words[:, 0].copy()).astype(np.float64)))
    for mode, function in (("TRUNC", np.trunc), ("FLOOR", np.floor), ("CEIL", np.ceil)):
        actual = run_cases(tmp_path, f"FRND.{mode} R16, R8", words).registers[:, 0]
        assert np.array_equal(actual, words_of(function(floats(words[:, 0].copy())))), mode


def half_words(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, np.float16)
    return np.where(np.isnan(values), np.uint16(0x7FFF), values.view(np.uint16)).astype(np.uint32)


def test_pack_and_unpack_half(tmp_path: Path) -> None:
    words = operands(seed=19, count=1024)
    words[::2, :2] = np.random.default_rng(3).uniform(-7e4, 7e4, (512, 2)).astype(F).view(np.uint32)
    words[1::4, :2] = np.random.default_rng(4).uniform(-1e-5, 1e-5, (256, 2)).astype(F).view(np.uint32)
    actual = run_cases(tmp_path, "F2FP.F16.F32.PACK_AB R16, R8, R9", words).registers[:, 0]
    high, low = (half_words(floats(words[:, k].copy()).astype(np.float16)) for k in (0, 1))
    assert np.array_equal(actual, high << 16 | low)
    every = np.arange(1 << 16, dtype=np.uint32)
    words = np.zeros((1 << 16, 8), np.uint32)
    words[:, 0] = every << 16
    unpacked = run_cases(tmp_path, "HADD2.F32 R16, -RZ, R8.H1_H1", words).registers[:, 0]
    expected = words_of(every.astype(np.uint16).view(np.float16).astype(F))
    nan = (every & 0x7FFF) > 0x7C00
    assert np.array_equal(unpacked[~nan], expected[~nan])
    assert np.isnan(floats(unpacked[nan].copy())).all()


@pytest.mark.parametrize("opcode", ["HADD2", "HMUL2", "HFMA2"])
def test_half2_arithmetic(tmp_path: Path, opcode: str) -> None:
    words = np.random.default_rng(5).integers(0, 1 << 32, (1024, 8), dtype=np.uint32)
    halves = words.view(np.uint16).reshape(1024, 8, 2).view(np.float16).astype(np.float64)
    sources = "R8, R9.H1_H0, R10.H0_H0" if opcode == "HFMA2" else "R8, R9"
    actual = run_cases(tmp_path, f"{opcode} R16, {sources}", words).registers[:, 0]
    a, b, c = halves[:, 0], halves[:, 1], halves[:, 2, :1]
    if opcode == "HFMA2":
        expected = np.array(
            [[_half_fma(x, y, z[0]) for x, y in zip(p, q, strict=True)] for p, q, z in zip(a, b, c, strict=True)]
        )
    else:
        expected = (a + b if opcode == "HADD2" else a * b).astype(np.float16)
    packed = half_words(expected[:, 1]) << 16 | half_words(expected[:, 0])
    assert np.array_equal(actual, packed)


def _half_fma(a: float, b: float, c: float) -> np.float16:
    """a * b + c rounded once to half, by exact arithmetic and comparing neighbours."""
    if not all(map(math.isfinite, (a, b, c))):
        return np.float16(a * b + c)
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    guess = np.float16(float(exact))
    if not np.isfinite(guess) or exact == 0:
        return np.float16(a * b + c)
    around = [np.nextafter(guess, np.float16(-np.inf)), guess, np.nextafter(guess, np.float16(np.inf))]
    finite = [x for x in around if np.isfinite(x)]
    return min(finite, key=lambda x: (abs(Fraction(float(x)) - exact), int(x.view(np.uint16)) & 1))


def test_reciprocal_of_a_double_takes_and_gives_the_high_word(tmp_path: Path) -> None:
    words = operands(seed=20, count=256)
    words[:, 0] = words[:, 0] & np.uint32(0x800FFFFF) | np.uint32(0x400 << 20)
    actual = run_cases(tmp_path, "MUFU.RCP64H R16, R8", words).registers[:, 0]
    values = (words[:, 0].astype(np.uint64) << np.uint64(32)).view(np.float64)
    assert np.array_equal(actual, ((1 / values).view(np.uint64) >> np.uint64(32)).astype(np.uint32))


def test_division_check_lets_ordinary_operands_pass(tmp_path: Path) -> None:
    words = np.tile(CORNERS[:32, None], (1, 8)).astype(np.uint32)
    words[:, 0] = F(3.25).view(np.uint32)
    slow = run_cases(tmp_path, "FCHK P3, R8, R9", words).p
    divisor = floats(words[:, 1].copy())
    special = ~np.isfinite(divisor) | (np.abs(divisor) < np.finfo(F).tiny)
    assert slow[special].all()
    assert not slow[(np.abs(divisor) > 1e-3) & (np.abs(divisor) < 1e3)].any()


def test_division_check_refuses_a_zero_dividend(tmp_path: Path) -> None:
    words = np.full((32, 8), F(2.5).view(np.uint32), np.uint32)
    words[:2, 0] = 0, 0x80000000
    assert run_cases(tmp_path, "FCHK P3, R8, R9", words).p.tolist() == [True, True] + [False] * 30
