"""Matrix multiply-accumulate of one warp: HMMA and IMMA.

Fragments are distributed over lanes as the PTX ISA documents for mma.sync: with e elements in a register, lane
4 * g + t holds row g (and g + 8 in the next register) of A, columns e * t .. e * t + e - 1 of every block of 4 * e,
likewise B by its columns, and two neighbouring columns of C per row.

Sums are formed in float64 and rounded once; the hardware's own order and intermediate rounding are not published, so
results agree to rounding error, exactly for integers.
"""

from __future__ import annotations

import numpy as np

from gpusim.emulator.bits import canonical, double_to_half, half_to_float, word_to_float
from gpusim.emulator.integer import element
from gpusim.jit import njit

HMMA, IMMA = 450, 451

# Element formats in y (A) and z (B) & 15.
F16, BF16, TF32, S8, U8, S4, U4 = range(7)
HALF_RESULT = 16  # in z: C and D are packed binary16
SATURATE = 32  # in z

ALL = np.int64(0xFFFFFFFF)


@njit
def bits_of(code):
    if code <= BF16:
        return 16
    if code == TF32:
        return 32
    return 8 if code <= U8 else 4


@njit
def value_of(word, k, code):
    """Element k of a register as float64 (exact). TF32 ignores the low 13 bits of a float32."""
    if code == F16:
        return np.float64(half_to_float(np.uint32(word) >> np.uint32(16 * k)))
    if code == BF16:
        return np.float64(word_to_float(np.uint32((np.int64(word) >> (16 * k)) << 16)))
    if code == TF32:
        return np.float64(word_to_float(np.uint32(np.int64(word) & 0xFFFFE000)))
    bits = bits_of(code)
    return np.float64(element(word, bits * k, bits, code == S8 or code == S4))


@njit
def gather(m, operand, first_row, rows, depth, code):
    """Elements of A (operand 0) or of B by column (operand 1) into m.matrix[operand]."""
    R = m.registers
    each = 32 // bits_of(code)
    for row in range(rows):
        for k in range(depth):
            register = (row >> 3) + (rows >> 3) * (k // (4 * each))
            lane = 4 * (row & 7) + k % (4 * each) // each
            m.matrix[operand, row, k] = value_of(R[first_row + register, lane], k % each, code)


@njit
def accumulator(R, c, lane, j, half):
    """Element j of C in a lane, as float64."""
    if half:
        return np.float64(half_to_float(R[c + (j >> 1), lane] >> np.uint32(16 * (j & 1))))
    return np.float64(word_to_float(R[c + j, lane]))


@njit
def product(m, lane, j, depth):
    """Sum of products for element j of the result in a lane."""
    row, column = (lane >> 2) + 8 * (j >> 1), 2 * (lane & 3) + (j & 1)
    total = 0.0
    for k in range(depth):
        total += m.matrix[0, row, k] * m.matrix[1, column, k]
    return total


@njit
def hmma(m, i, c):
    R, half = m.registers, i.z & HALF_RESULT
    for lane in range(32):
        packed = np.int64(0)
        for j in range(4):
            value = product(m, lane, j, i.x) + accumulator(R, c, lane, j, half)
            if half:
                packed |= np.int64(double_to_half(value)) << (16 * (j & 1))
                R[j >> 1, lane] = packed
                packed = np.int64(0) if j == 1 else packed
            else:
                R[j, lane] = canonical(np.float32(value))


@njit
def imma(m, i, c, rows):
    R = m.registers
    for lane in range(32):
        for j in range(rows >> 2):
            total = np.int64(product(m, lane, j, i.x)) + np.int64(np.int32(R[c + j, lane]))
            if i.z & SATURATE:
                total = min(max(total, np.int64(-0x80000000)), np.int64(0x7FFFFFFF))
            R[j, lane] = total


@njit
def execute(op, m, i, a, b, c):
    """Run one matrix instruction; x: depth k; rows of A: 16, or 8 where `scale` says so."""
    rows = np.int64(i.scale)
    gather(m, 0, a, rows, i.x, i.y)
    gather(m, 1, b, 8, i.x, i.z & 15)
    if op == HMMA:
        hmma(m, i, c)
    else:
        imma(m, i, c, rows)
