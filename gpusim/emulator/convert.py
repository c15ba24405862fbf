"""Conversions between number formats (F2I, I2F, F2F, FRND, F2FP, I2FP).

x: rounding mode (float32.py) in bits 2..3, FTZ bit 0, SAT bit 1. y: source format, z: destination format, both
FORMAT codes. NaN converts to 0 with .NTZ (x bit 4), else to the top bit of the format.
"""

from __future__ import annotations

import numpy as np

from gpusim.emulator.bits import (
    NAN32,
    double_to_half,
    float_to_word,
    flush,
    half_to_float,
    leading_zeros32,
    pair,
    word_to_float,
)
from gpusim.emulator.float32 import DOWN, FTZ, NEAREST, ROUND_SHIFT, SAT, UP, round_float
from gpusim.emulator.float64 import read, write
from gpusim.emulator.integer import element
from gpusim.jit import njit

F2I, I2F, F2F, FRND, F2FP = range(300, 305)

NTZ = 16

# FORMAT codes: integers by 2 * log2(bytes) + signed; floats from 16.
U8, S8, U16, S16, U32, S32, U64, S64 = range(8)
F16, F32, F64, BF16 = 16, 17, 18, 19


@njit
def round_to_integer(value, mode):
    """A float64 rounded to an integral float64."""
    if mode == NEAREST:
        return np.rint(value)
    if mode == DOWN:
        return np.floor(value)
    if mode == UP:
        return np.ceil(value)
    return np.trunc(value)


@njit
def read_float(R, row, lane, code, ftz):
    """A source of any float format as float64 (exact)."""
    if code == F64:
        return read(R, row, lane)
    if code == F16:
        return np.float64(half_to_float(R[row, lane]))
    return np.float64(word_to_float(flush(R[row, lane], ftz)))


@njit
def saturate(value, code):
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
def f2i(R, i, a, mask):
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
def magnitude_to_float(magnitude, negative, significant, mode):
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
def i2f(R, i, a, mask):
    mode = (i.x >> ROUND_SHIFT) & 3
    bits = 8 << (i.y >> 1)
    for lane in range(32):
        if (mask >> lane) & 1 == 0:
            continue
        if bits == 64:
            number = np.int64(pair(R[a, lane], R[a + 1, lane]))
        else:
            number = element(R[a, lane], 0, bits, i.y & 1)
        negative = i.y & 1 == 1 and number < 0
        magnitude = np.uint64(-number if negative else number)
        if i.z == F64:
            write(R, lane, magnitude_to_float(magnitude, negative, 53, mode))
        elif i.z == F16:
            R[0, lane] = double_to_half(magnitude_to_float(magnitude, negative, 53, mode))
        else:
            R[0, lane] = float_to_word(np.float32(magnitude_to_float(magnitude, negative, 24, mode)))


@njit
def f2f(R, i, a, mask):
    """Change of float format, or rounding to an integral value (op FRND)."""
    mode = (i.x >> ROUND_SHIFT) & 3
    for lane in range(32):
        if (mask >> lane) & 1 == 0:
            continue
        value = read_float(R, a, lane, i.y, i.x & FTZ)
        if i.op == FRND:
            value = np.copysign(round_to_integer(value, mode), value)
        if i.x & SAT:
            value = min(max(value, 0.0), 1.0) if value == value else 0.0
        if i.z == F64:
            write(R, lane, value)
        elif i.z == F16:
            R[0, lane] = double_to_half(value)
        elif value == value:
            R[0, lane] = flush(float_to_word(round_float(value, 0.0, mode)), i.x & FTZ)
        else:
            R[0, lane] = NAN32


@njit
def to_bfloat(word):
    """A float32 word rounded to nearest even to the 16 bits of bfloat16."""
    value = np.int64(word)
    if value & 0x7FFFFFFF > 0x7F800000:
        return np.int64(0x7FFF)
    return (value + 0x7FFF + ((value >> 16) & 1)) >> 16


@njit
def f2fp(R, i, a, b):
    """Pack two floats into halves: a above, b below; z: F16 or BF16."""
    for lane in range(32):
        if i.z == BF16:
            R[0, lane] = (to_bfloat(R[a, lane]) << 16) | to_bfloat(R[b, lane])
        else:
            high = double_to_half(np.float64(word_to_float(R[a, lane])))
            low = double_to_half(np.float64(word_to_float(R[b, lane])))
            R[0, lane] = (np.int64(high) << 16) | np.int64(low)


@njit
def execute(op, R, i, a, b, mask):
    """Run one conversion."""
    if op == I2F:
        i2f(R, i, a, mask)
    elif op == F2I:
        f2i(R, i, a, mask)
    elif op == F2FP:
        f2fp(R, i, a, b)
    else:
        f2f(R, i, a, mask)
