"""Conversions between number formats (F2I, I2F, F2F, FRND, F2FP, I2FP, I2I, I2IP).

x: flags and rounding mode of float32.py. y: source format, z: destination format, both FORMAT codes; halves arrive in
the low 16 bits. NaN converts to 0 with .NTZ, else to the top bit of the format.
"""

from __future__ import annotations

import numpy as np

from gpusim.emulator.bits import (
    DOWN,
    NAN32,
    NEAREST,
    UP,
    float_to_word,
    flush,
    half_value,
    leading_zeros32,
    pair,
    round_to_half,
    round_to_integer,
    word_to_float,
)
from gpusim.emulator.float32 import FTZ, RELU, ROUND_SHIFT, SAT, round_float
from gpusim.emulator.float64 import read, write
from gpusim.emulator.integer import element
from gpusim.emulator.types import (
    Decoded,
    Double,
    Flag,
    Format,
    Lane,
    Mask,
    Number,
    Operation,
    Pair,
    Registers,
    Rounding,
    Row,
)
from gpusim.jit import njit

F2I, I2F, F2F, FRND, F2FP, I2I, I2IP = range(300, 307)

NTZ = 16  # in x of F2I

# FORMAT codes: integers by 2 * log2(bytes) + signed; floats from 16.
U8, S8, U16, S16, U32, S32, U64, S64 = range(8)
F16, F32, F64, BF16 = 16, 17, 18, 19


@njit
def read_float(R: Registers, row: Row, lane: Lane, code: Format, ftz: Flag) -> Double:
    """A source of any float format as float64 (exact)."""
    if code == F64:
        return read(R, row, lane)
    if code == F16 or code == BF16:
        return half_value(R[row, lane], 0, code == BF16)
    return np.float64(word_to_float(flush(R[row, lane], ftz)))


@njit
def saturate(value: Double, code: Format) -> Number:
    """An integral float64 clamped to an integer format, as 64 bits."""
    bits = 8 << (code >> 1)
    if code & 1:
        limit = 2.0 ** (bits - 1)
        if value >= limit:
            return np.int64((np.uint64(1) << np.uint64(bits - 1)) - np.uint64(1))
        return np.int64(-limit) if value <= -limit else np.int64(value)
    if value <= 0.0:
        return np.int64(0)
    if value >= 2.0**bits:
        return np.int64(-1) if bits == 64 else (np.int64(1) << bits) - 1
    return np.int64(value) if value < 2.0**63 else np.int64(value - 2.0**63) ^ np.int64(-0x8000000000000000)


@njit
def f2i(R: Registers, i: Decoded, a: Row, mask: Mask) -> None:
    mode = (i.x >> ROUND_SHIFT) & 3
    for lane in range(32):
        if (mask >> lane) & 1 == 0:
            continue
        value = read_float(R, a, lane, i.y, i.x & FTZ)
        if value == value:
            result = saturate(round_to_integer(value, mode), i.z)
        else:
            result = np.int64(0) if i.x & NTZ else np.int64(-0x8000000000000000) >> (64 - (8 << (i.z >> 1)))
        R[0, lane] = result
        R[1, lane] = result >> 32


@njit
def magnitude_to_float(magnitude: Pair, negative: Flag, significant: Number, mode: Rounding) -> Double:
    """An unsigned 64-bit magnitude with a sign, rounded once to `significant` bits, as float64."""
    high = np.uint32(magnitude >> np.uint64(32))
    bits = 64 - leading_zeros32(high) if high else 32 - leading_zeros32(np.uint32(magnitude))
    shift = max(bits - significant, 0)
    kept = np.int64(magnitude >> np.uint64(shift))
    rest = np.int64(magnitude & ((np.uint64(1) << np.uint64(shift)) - np.uint64(1)))
    if rest != 0:
        half = np.int64(1) << (shift - 1)
        if mode == NEAREST:
            kept += np.int64(rest > half or (rest == half and kept & 1))
        elif (mode == UP and not negative) or (mode == DOWN and negative):
            kept += 1
    value = np.float64(kept) * 2.0**shift
    return -value if negative else value


@njit
def i2f(R: Registers, i: Decoded, a: Row, mask: Mask) -> None:
    mode = (i.x >> ROUND_SHIFT) & 3
    width = 8 << (i.y >> 1)
    for lane in range(32):
        if (mask >> lane) & 1 == 0:
            continue
        if width == 64:
            number = np.int64(pair(R[a, lane], R[a + 1, lane]))
        else:
            number = element(R[a, lane], 0, width, i.y & 1)
        negative = i.y & 1 == 1 and number < 0
        magnitude = np.uint64(-number if negative else number)
        if i.z == F64:
            write(R, lane, magnitude_to_float(magnitude, negative, 53, mode))
        elif i.z == F16 or i.z == BF16:
            bits = 8 if i.z == BF16 else 11
            R[0, lane] = round_to_half(magnitude_to_float(magnitude, negative, bits, mode), i.z == BF16, mode)
        else:
            R[0, lane] = float_to_word(np.float32(magnitude_to_float(magnitude, negative, 24, mode)))


@njit
def f2f(R: Registers, i: Decoded, a: Row, mask: Mask) -> None:
    """Change of float format, or rounding to an integral value (op FRND)."""
    mode = (i.x >> ROUND_SHIFT) & 3
    for lane in range(32):
        if (mask >> lane) & 1 == 0:
            continue
        value = read_float(R, a, lane, i.y, i.x & FTZ)
        if i.op == FRND:
            value = np.copysign(round_to_integer(value, mode), value)
        if i.x & SAT:
            value = min(value, 1.0) if value > 0.0 else 0.0
        if i.z == F64:
            write(R, lane, value)
        elif i.z == F16 or i.z == BF16:
            R[0, lane] = round_to_half(value, i.z == BF16, mode)
        elif value == value:
            R[0, lane] = flush(float_to_word(round_float(value, 0.0, mode)), i.x & FTZ)
        else:
            R[0, lane] = NAN32


@njit
def f2fp(R: Registers, i: Decoded, a: Row, b: Row) -> None:
    """Pack two floats into halves: a above, b below; z: F16 or BF16."""
    mode = (i.x >> ROUND_SHIFT) & 3
    for lane in range(32):
        high: Double
        low: Double
        high, low = np.float64(word_to_float(R[a, lane])), np.float64(word_to_float(R[b, lane]))
        if i.x & RELU:
            high, low = 0.0 if high <= 0.0 else high, 0.0 if low <= 0.0 else low
        packed = np.int64(round_to_half(high, i.z == BF16, mode)) << 16
        R[0, lane] = packed | np.int64(round_to_half(low, i.z == BF16, mode))


@njit
def clamp(value: Number, bits: Number, is_signed: Flag) -> Number:
    """An integer limited to a format, as its low bits."""
    low = -(np.int64(1) << (bits - 1)) if is_signed else np.int64(0)
    high = (np.int64(1) << (bits - 1 if is_signed else bits)) - 1
    return min(max(value, low), high) & ((np.int64(1) << bits) - 1)


@njit
def i2i(R: Registers, i: Decoded, a: Row) -> None:
    """A signed 32-bit integer limited to format z."""
    bits = 8 << (i.z >> 1)
    for lane in range(32):
        value = clamp(np.int64(np.int32(R[a, lane])), bits, i.z & 1)
        R[0, lane] = value - (np.int64(1) << bits) if i.z & 1 and value >> (bits - 1) else value


@njit
def i2ip(R: Registers, i: Decoded, a: Row, b: Row, c: Row) -> None:
    """Signed a and b limited to y bits (z: signed), packed above each other, under the low bits of c."""
    for lane in range(32):
        high = clamp(np.int64(np.int32(R[a, lane])), i.y, i.z)
        low = clamp(np.int64(np.int32(R[b, lane])), i.y, i.z)
        R[0, lane] = (np.int64(R[c, lane]) << (2 * i.y)) | (high << i.y) | low


@njit
def execute(op: Operation, R: Registers, i: Decoded, a: Row, b: Row, c: Row, mask: Mask) -> None:
    """Run one conversion."""
    if op == I2F:
        i2f(R, i, a, mask)
    elif op == F2I:
        f2i(R, i, a, mask)
    elif op == F2FP:
        f2fp(R, i, a, b)
    elif op == I2I:
        i2i(R, i, a)
    elif op == I2IP:
        i2ip(R, i, a, b, c)
    else:
        f2f(R, i, a, mask)
