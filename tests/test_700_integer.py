"""Integer, logic and predicate instructions against NumPy and plain Python."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from emulator_cases import operands, run_cases, s32, u32

MASK = 0xFFFFFFFF
Expected = Callable[[np.ndarray], object]


def low(value: np.ndarray) -> np.ndarray:
    return (value & MASK).astype(np.uint32)


def bit(words: np.ndarray, k: int) -> np.ndarray:
    """P0, P1, P2 as 0 or 1."""
    return (words[:, 7].astype(np.int64) >> k) & 1


def pair(words: np.ndarray, k: int) -> np.ndarray:
    """Words k and k + 1 as an unsigned 64-bit number."""
    return words[:, k].astype(np.uint64) | words[:, k + 1].astype(np.uint64) << np.uint64(32)


def per_case(function: Callable[..., int], *columns: np.ndarray) -> np.ndarray:
    """A scalar function in Python's unbounded integers, applied row by row."""
    return np.array([function(*(int(v) for v in row)) & MASK for row in zip(*columns, strict=True)], np.uint64).astype(
        np.uint32
    )


def permute(a: int, selector: int, c: int) -> int:
    data = (c << 32 | a).to_bytes(8, "little")
    result = 0
    for byte in range(4):
        nibble = selector >> 4 * byte & 15
        value = data[nibble & 7]
        result |= (255 * (value >> 7) if nibble & 8 else value) << 8 * byte
    return result


def truth_table(lut: int) -> Callable[[int, int, int], int]:
    def function(a: int, b: int, c: int) -> int:
        return sum((lut >> ((a >> k & 1) << 2 | (b >> k & 1) << 1 | c >> k & 1) & 1) << k for k in range(32))

    return function


def funnel(left: bool, high: bool, wrap: bool, signed: bool, bits: int) -> Callable[[int, int, int], int]:
    def function(a: int, amount: int, c: int) -> int:
        amount = amount % bits if wrap else min(amount, bits)
        value = c << 32 | a
        if signed and value >> 63:
            value -= 1 << 64
        value = value << amount if left else value >> amount
        return value >> 32 if high else value

    return function


def sign_extend(a: int, bits: int) -> int:
    bits = min(bits, 32)
    value = a & ((1 << bits) - 1)
    return value - (1 << bits) if bits and value >> (bits - 1) else value


def dot4(a: int, b: int, c: int) -> int:
    def byte(x: int, k: int) -> int:
        value = x >> 8 * k & 255
        return value - 256 if value > 127 else value

    return c + sum(byte(a, k) * byte(b, k) for k in range(4))


# instruction -> expected R16 (and R17 of 64-bit results) from the (n, 8) operand words R8..R15
RESULTS: dict[str, Expected] = {
    "IADD3 R16, R8, R9, R10": lambda w: low(u32(w[:, 0]) + u32(w[:, 1]) + u32(w[:, 2])),
    "IADD3 R16, -R8, R9, -R10": lambda w: low(-u32(w[:, 0]) + u32(w[:, 1]) - u32(w[:, 2])),
    "IADD3 R16, R8, -0x7, RZ": lambda w: low(u32(w[:, 0]) - 7),
    "IMAD R16, R8, R9, R10": lambda w: low(u32(w[:, 0]) * u32(w[:, 1]) + u32(w[:, 2])),
    "IMAD R16, R8, R9, -R10": lambda w: low(u32(w[:, 0]) * u32(w[:, 1]) - u32(w[:, 2])),
    "IMAD.MOV.U32 R16, RZ, RZ, R9": lambda w: w[:, 1],
    "IMAD.SHL.U32 R16, R8, 0x10, RZ": lambda w: low(u32(w[:, 0]) << 4),
    "IMAD.IADD R16, R8, 0x1, R9": lambda w: low(u32(w[:, 0]) + u32(w[:, 1])),
    "IMAD.HI.U32 R16, R8, R9, R10": lambda w: per_case(
        lambda a, b, c, d: (a * b + (d << 32 | c)) >> 32, w[:, 0], w[:, 1], w[:, 2], w[:, 3]
    ),
    "IMAD.HI R16, R8, R9, R10": lambda w: per_case(
        lambda a, b, c, d: (a * b + (d << 32 | c)) >> 32, s32(w[:, 0]), s32(w[:, 1]), w[:, 2], w[:, 3]
    ),
    "MOV R16, R8": lambda w: w[:, 0],
    "MOV R16, 0xdeadbeef": lambda w: np.full(len(w), 0xDEADBEEF, np.uint32),
    "IMNMX R16, R8, R9, PT": lambda w: low(np.minimum(s32(w[:, 0]), s32(w[:, 1]))),
    "IMNMX R16, R8, R9, !PT": lambda w: low(np.maximum(s32(w[:, 0]), s32(w[:, 1]))),
    "IMNMX.U32 R16, R8, R9, P0": lambda w: np.where(
        bit(w, 0) == 1, np.minimum(w[:, 0], w[:, 1]), np.maximum(w[:, 0], w[:, 1])
    ),
    "SEL R16, R8, R9, P1": lambda w: np.where(bit(w, 1) == 1, w[:, 0], w[:, 1]),
    "SEL R16, R8, R9, !P1": lambda w: np.where(bit(w, 1) == 0, w[:, 0], w[:, 1]),
    "LEA R16, R8, R9, 0x5": lambda w: low((u32(w[:, 0]) << 5) + u32(w[:, 1])),
    "LEA.HI R16, R8, R9, R10, 0x5": lambda w: per_case(
        lambda a, b, c: ((c << 32 | a) << 5 >> 32) + b, w[:, 0], w[:, 1], w[:, 2]
    ),
    "LEA.HI.X R16, R8, R9, R10, 0x3, P0": lambda w: per_case(
        lambda a, b, c, p: ((c << 32 | a) << 3 >> 32) + b + p, w[:, 0], w[:, 1], w[:, 2], bit(w, 0)
    ),
    "LEA.HI.X.SX32 R16, R8, R9, 0x3, P0": lambda w: per_case(
        lambda a, b, p: (a << 3 >> 32) + b + p, s32(w[:, 0]), w[:, 1], bit(w, 0)
    ),
    "SHF.L.U32 R16, R8, R9, RZ": lambda w: per_case(
        lambda a, n: a << n if n < 32 else 0, w[:, 0], np.minimum(w[:, 1], 32)
    ),
    "SHF.L.U32.HI R16, R8, R9, R10": lambda w: per_case(funnel(True, True, False, False, 32), w[:, 0], w[:, 1], w[:, 2]),
    "SHF.L.W.U32.HI R16, R8, R9, R10": lambda w: per_case(
        funnel(True, True, True, False, 32), w[:, 0], w[:, 1], w[:, 2]
    ),
    "SHF.L.U64.HI R16, R8, R9, R10": lambda w: per_case(
        funnel(True, True, False, False, 64), w[:, 0], np.minimum(w[:, 1], 64), w[:, 2]
    ),
    "SHF.R.U32.HI R16, RZ, R9, R10": lambda w: per_case(lambda n, c: c >> min(n, 32), w[:, 1], w[:, 2]),
    "SHF.R.S32.HI R16, RZ, R9, R10": lambda w: per_case(lambda n, c: c >> min(n, 32), w[:, 1], s32(w[:, 2])),
    "SHF.R.S64 R16, R8, R9, R10": lambda w: per_case(funnel(False, False, False, True, 64), w[:, 0], w[:, 1], w[:, 2]),
    "SHF.R.U64 R16, R8, R9, R10": lambda w: per_case(
        funnel(False, False, False, False, 64), w[:, 0], w[:, 1], w[:, 2]
    ),
    "SHF.R.W.U32 R16, R8, R9, R10": lambda w: per_case(
        funnel(False, False, True, False, 32), w[:, 0], w[:, 1], w[:, 2]
    ),
    "PRMT R16, R8, R9, R10": lambda w: per_case(permute, w[:, 0], w[:, 1], w[:, 2]),
    "PRMT R16, R8, 0x7610, R10": lambda w: per_case(lambda a, c: c >> 16 << 16 | a & 0xFFFF, w[:, 0], w[:, 2]),
    "POPC R16, R8": lambda w: per_case(int.bit_count, w[:, 0]),
    "FLO.U32 R16, R8": lambda w: per_case(lambda a: a.bit_length() - 1, w[:, 0]),
    "FLO.U32.SH R16, R8": lambda w: per_case(lambda a: 32 - a.bit_length() if a else -1, w[:, 0]),
    "FLO R16, R8": lambda w: per_case(lambda a: (~a if a < 0 else a).bit_length() - 1, s32(w[:, 0])),
    "BREV R16, R8": lambda w: per_case(lambda a: int(f"{a:032b}"[::-1], 2), w[:, 0]),
    "IABS R16, R8": lambda w: low(np.abs(s32(w[:, 0]))),
    "SGXT R16, R8, R9": lambda w: per_case(sign_extend, w[:, 0], w[:, 1]),
    "SGXT.U32 R16, R8, 0xd": lambda w: w[:, 0] & np.uint32(0x1FFF),
    "BMSK R16, R8, R9": lambda w: per_case(lambda a, b: ((1 << min(b, 32)) - 1) << min(a, 32), w[:, 0], w[:, 1]),
    "IDP.4A.S8.S8 R16, R8, R9, R10": lambda w: per_case(dot4, w[:, 0], w[:, 1], w[:, 2]),
    "IDP.4A.U8.U8 R16, R8, R9, R10": lambda w: per_case(
        lambda a, b, c: c + sum(x * y for x, y in zip(a.to_bytes(4, "little"), b.to_bytes(4, "little"), strict=True)),
        w[:, 0], w[:, 1], w[:, 2],
    ),
    "VABSDIFF4.U8 R16, R8, R9, R10": lambda w: per_case(
        lambda a, b: sum(abs((a >> k & 255) - (b >> k & 255)) << k for k in (0, 8, 16, 24)), w[:, 0], w[:, 1]
    ),
    "P2R R16, PR, R8, 0x7": lambda w: (w[:, 0] & ~np.uint32(7)) | (w[:, 7] & np.uint32(7)),
}  # fmt: skip

WIDE: dict[str, Expected] = {
    "IMAD.WIDE R16, R8, R9, R10": lambda w: (s32(w[:, 0]) * s32(w[:, 1])).view(np.uint64) + pair(w, 2),
    "IMAD.WIDE.U32 R16, R8, R9, R10": lambda w: w[:, 0].astype(np.uint64) * w[:, 1] + pair(w, 2),
    "IMAD.WIDE R16, R8, -0x3, R10": lambda w: (s32(w[:, 0]) * -3).view(np.uint64) + pair(w, 2),
    "IMAD.WIDE.U32 R16, R8, R9, -R10": lambda w: w[:, 0].astype(np.uint64) * w[:, 1] - pair(w, 2),
    "IMAD.WIDE.U32.X R16, R8, R9, R10, P0": lambda w: (
        w[:, 0].astype(np.uint64) * w[:, 1] + pair(w, 2) + bit(w, 0).astype(np.uint64)
    ),
}


@pytest.mark.parametrize("instruction", RESULTS)
def test_result(tmp_path: Path, instruction: str) -> None:
    words = operands(seed=len(instruction))
    actual = run_cases(tmp_path, instruction, words).registers[:, 0]
    assert np.array_equal(actual, np.asarray(RESULTS[instruction](words)).astype(np.uint32))


@pytest.mark.parametrize("instruction", WIDE)
def test_wide_result(tmp_path: Path, instruction: str) -> None:
    words = operands(seed=len(instruction))
    actual = run_cases(tmp_path, instruction, words).registers
    assert np.array_equal(pair(actual, 0), WIDE[instruction](words))


@pytest.mark.parametrize("lut", [0xC0, 0xFC, 0x3C, 0x96, 0xE8, 0x33, 0x55, 0x0F, 0x00, 0xFF, 0x1B])
def test_lop3_is_any_function_of_three_bits(tmp_path: Path, lut: int) -> None:
    words = operands(seed=lut, count=128)
    result = run_cases(tmp_path, f"LOP3.LUT P3, R16, R8, R9, R10, {lut:#x}, !PT", words)
    expected = per_case(truth_table(lut), words[:, 0], words[:, 1], words[:, 2])
    assert np.array_equal(result.registers[:, 0], expected)
    assert np.array_equal(result.p, expected != 0)


def test_plop3_is_any_function_of_three_predicates(tmp_path: Path) -> None:
    words = operands(seed=5, count=128)
    for lut in (0x2A, 0xA8, 0x80, 0x96, 0x1B):
        result = run_cases(tmp_path, f"PLOP3.LUT P3, P4, P0, P1, P2, {lut:#x}, {0xFF ^ lut:#x}", words)
        index = bit(words, 0) << 2 | bit(words, 1) << 1 | bit(words, 2)
        assert np.array_equal(result.p, (lut >> index) & 1 == 1)
        assert np.array_equal(result.q, ~result.p)


COMPARES = {"LT": np.less, "EQ": np.equal, "LE": np.less_equal, "GT": np.greater, "NE": np.not_equal}
COMPARES |= {"GE": np.greater_equal}


@pytest.mark.parametrize("compare", COMPARES)
@pytest.mark.parametrize("kind", ["", ".U32"])
@pytest.mark.parametrize("boolean", ["AND", "OR", "XOR"])
def test_isetp(tmp_path: Path, compare: str, kind: str, boolean: str) -> None:
    words = operands(seed=3, count=256)
    words[::3, 1] = words[::3, 0]
    result = run_cases(tmp_path, f"ISETP.{compare}{kind}.{boolean} P3, P4, R8, R9, P0", words)
    number = u32 if kind else s32
    true = COMPARES[compare](number(words[:, 0]), number(words[:, 1]))
    combine = {"AND": np.logical_and, "OR": np.logical_or, "XOR": np.logical_xor}[boolean]
    assert np.array_equal(result.p, combine(true, bit(words, 0) == 1))
    assert np.array_equal(result.q, combine(~true, bit(words, 0) == 1))


@pytest.mark.parametrize("compare", COMPARES)
@pytest.mark.parametrize("kind", ["", ".U32"])
def test_64_bit_compare_in_two_steps(tmp_path: Path, compare: str, kind: str) -> None:
    words = operands(seed=9, count=256)
    words[::3, 2:4] = words[::3, 0:2]
    words[1::3, 3] = words[1::3, 1]
    body = f"ISETP.{compare}.U32.AND P5, PT, R8, R10, PT ;\nISETP.{compare}{kind}.AND.EX P3, P4, R9, R11, PT, P5"
    result = run_cases(tmp_path, body, words)
    left, right = pair(words, 0), pair(words, 2)
    if not kind:
        left, right = left.view(np.int64), right.view(np.int64)
    assert np.array_equal(result.p, COMPARES[compare](left, right))


@pytest.mark.parametrize("subtract", [False, True])
def test_128_bit_sum_by_carries(tmp_path: Path, subtract: bool) -> None:
    words = operands(seed=11, count=256)
    sign = "-" if subtract else ""
    later = "~" if subtract else ""
    body = f"""IADD3 R16, P5, R8, {sign}R12, RZ ;
    IADD3.X R17, P5, R9, {later}R13, RZ, P5, !PT ;
    IADD3.X R18, P5, R10, {later}R14, RZ, P5, !PT ;
    IADD3.X R19, P3, R11, {later}R15, RZ, P5, !PT"""
    actual = run_cases(tmp_path, body, words)
    for row, result in zip(words, actual.registers, strict=True):
        left = sum(int(word) << 32 * k for k, word in enumerate(row[:4]))
        right = sum(int(word) << 32 * k for k, word in enumerate(row[4:]))
        total = (left - right if subtract else left + right) % (1 << 128)
        assert [int(word) for word in result] == [total >> 32 * k & MASK for k in range(4)]


def test_two_carries_out_of_three_terms(tmp_path: Path) -> None:
    words = operands(seed=12, count=256)
    body = """IADD3 R16, P5, P6, R8, R9, R10 ;
    IADD3.X R17, RZ, RZ, RZ, P5, P6"""
    actual = run_cases(tmp_path, body, words).registers
    total = u32(words[:, 0]) + u32(words[:, 1]) + u32(words[:, 2])
    assert np.array_equal(pair(actual, 0), total.astype(np.uint64))


def test_imad_x_adds_a_carry(tmp_path: Path) -> None:
    words = operands(seed=13)
    actual = run_cases(tmp_path, "IMAD.X R16, R8, 0x1, R9, P0", words).registers[:, 0]
    assert np.array_equal(actual, low(u32(words[:, 0]) + u32(words[:, 1]) + bit(words, 0)))


def test_uniform_datapath_matches_the_regular_one(tmp_path: Path) -> None:
    words = np.repeat(operands(seed=14, count=8), 32, axis=0)  # one case per warp: uniform in it
    body = """R2UR UR4, R8 ;
    R2UR UR5, R9 ;
    UIADD3 UR6, UP0, UR4, UR5, URZ ;
    UIADD3.X UR7, URZ, URZ, URZ, UP0, !UPT ;
    ULOP3.LUT UR8, UR4, UR5, URZ, 0xc0, !UPT ;
    UISETP.GE.AND UP1, UPT, UR4, UR5, UPT ;
    USEL UR9, UR4, UR5, UP1 ;
    IMAD.U32 R16, RZ, RZ, UR6 ;
    MOV R17, UR7 ;
    MOV R18, UR8 ;
    MOV R19, UR9"""
    actual = run_cases(tmp_path, body, words).registers
    total = u32(words[:, 0]) + u32(words[:, 1])
    assert np.array_equal(actual[:, 0], low(total))
    assert np.array_equal(actual[:, 1], low(total >> 32))
    assert np.array_equal(actual[:, 2], words[:, 0] & words[:, 1])
    assert np.array_equal(actual[:, 3], low(np.maximum(s32(words[:, 0]), s32(words[:, 1]))))
