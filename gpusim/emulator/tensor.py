"""Matrix multiply-accumulate of one warp: HMMA, IMMA, BMMA and DMMA, dense and 2:4 sparse, and MOVM.

Fragments are distributed over lanes as the PTX ISA documents for mma.sync: with e elements in a register, lane
4 * g + t holds row g (and g + 8 in the next register) of A, columns e * t .. e * t + e - 1 of every block of 4 * e,
likewise B by its columns, and two neighbouring columns of C per row. HMMA.884 of Turing works on the four groups of
lanes {4 q .. 4 q + 3, 16 + 4 q .. 19 + 4 q}, one 8x8x4 product each (PTX ISA, mma.m8n8k4).

Metadata of sparse A lies as the reordering for ldmatrix in NVIDIA/cutlass (sparse GEMM) puts it.

Sums of halves are formed in float64 and rounded once; the hardware's own order and intermediate rounding are not
published, so results agree to rounding error, exactly for integers. DMMA adds its products one after another.
"""

from __future__ import annotations

import numpy as np

from gpusim.emulator.bits import (
    canonical,
    double_to_half,
    fma64,
    half_to_float,
    half_value,
    long_to_double,
    pair,
    popcount32,
    word_to_float,
)
from gpusim.emulator.float64 import write_rows
from gpusim.emulator.integer import element
from gpusim.emulator.state import Machine
from gpusim.emulator.types import Decoded, Double, Flag, Format, Lane, Number, Operation, Registers, Row, Word
from gpusim.jit import njit

HMMA, IMMA, BMMA, DMMA, HMMA884, MOVM = range(450, 456)

# Element formats in y (A) and z (B) & 15.
F16, BF16, TF32, S8, U8, S4, U4 = range(7)
HALF_RESULT = 16  # in z: C and D are packed binary16
SATURATE = 32  # in z
SPARSE = 64  # in z: A holds the two of every four elements (TF32: one of two) that operand d names
HALF_ADDEND = 128  # in z of HMMA884: C is packed binary16
ROW_B, COLUMN_A = 256, 512  # in z of HMMA884: order of the elements where it is not the usual one
BITS_AND = 1  # in z of BMMA: AND instead of XOR


@njit
def bits_of(code: Format) -> Number:
    if code <= BF16:
        return 16
    if code == TF32:
        return 32
    return 8 if code <= U8 else 4


@njit
def value_of(word: Word, k: Number, code: Format) -> Double:
    """Element k of a register as float64 (exact). TF32 ignores the low 13 bits of a float32."""
    if code <= BF16:
        return half_value(word, k, code == BF16)
    if code == TF32:
        return np.float64(word_to_float(np.uint32(np.int64(word) & 0xFFFFE000)))
    bits = bits_of(code)
    return np.float64(element(word, bits * k, bits, code == S8 or code == S4))


@njit
def gather(m: Machine, operand: Number, first_row: Row, rows: Number, depth: Number, code: Format) -> None:
    """Elements of A (operand 0) or of B by column (operand 1) into m.matrix[operand]."""
    R = m.registers
    each = 32 // bits_of(code)
    for row in range(rows):
        for k in range(depth):
            register = (row >> 3) + (rows >> 3) * (k // (4 * each))
            lane = 4 * (row & 7) + k % (4 * each) // each
            m.matrix[operand, row, k] = value_of(R[first_row + register, lane], k % each, code)


@njit
def metadata(m: Machine, d: Row, row: Number, group: Number, selector: Number, lanes: Number, code: Format) -> Number:
    """The four bits of metadata that choose elements `group` of a row of sparse A.

    `lanes` neighbouring lanes of every four hold metadata, those from selector * lanes on. Of 16-bit and TF32 elements
    a lane names four groups of row g in its low half and of row g + 8 in its high half; of 8- and 4-bit elements a
    pair of lanes names eight groups each, of row g and of row g + 8.
    """
    first = 4 * (row & 7) + selector * lanes
    if code >= S8:
        word = np.int64(m.registers[d, first + 2 * (group >> 3) + (row >> 3)])
        return (word >> (4 * (group & 7))) & 15
    word = np.int64(m.registers[d, first + (group >> 2)])
    return (word >> (16 * (row >> 3) + 4 * (group & 3))) & 15


@njit
def expand(m: Machine, d: Row, depth: Number, code: Format, selector: Number) -> None:
    """Spread the kept elements of sparse A over its 16 rows of `depth`, zeros between.

    Of four neighbouring elements two are kept, of four pairs of 4-bit elements two pairs, of two TF32 elements one.
    Groups go from last to first, so that none is overwritten before it is read.
    """
    width = 2 if code >= S4 else 1
    size = 2 if code == TF32 else 4 * width
    groups = depth // size
    for row in range(16):
        values = m.matrix[0, row]
        for group in range(groups - 1, -1, -1):
            bits = metadata(m, d, row, group, selector, groups // 4, code)
            if code == TF32:
                kept = values[group]
                values[2 * group] = kept if bits == 4 else 0.0
                values[2 * group + 1] = kept if bits == 14 else 0.0
                continue
            source, target = 2 * width * group, size * group
            left, left_end = values[source], values[source + width - 1]
            right, right_end = values[source + width], values[source + 2 * width - 1]
            values[target : target + size] = 0.0
            first, second = target + (bits & 3) * width, target + (bits >> 2) * width
            values[first], values[first + width - 1] = left, left_end
            values[second], values[second + width - 1] = right, right_end


@njit
def accumulator(R: Registers, c: Row, lane: Lane, j: Number, half: Flag) -> Double:
    """Element j of C in a lane, as float64."""
    if half:
        return np.float64(half_to_float(R[c + (j >> 1), lane] >> np.uint32(16 * (j & 1))))
    return np.float64(word_to_float(R[c + j, lane]))


@njit
def product(m: Machine, lane: Lane, j: Number, depth: Number) -> Double:
    """Sum of products for element j of the result in a lane."""
    row, column = (lane >> 2) + 8 * (j >> 1), 2 * (lane & 3) + (j & 1)
    total = 0.0
    for k in range(depth):
        total += m.matrix[0, row, k] * m.matrix[1, column, k]
    return total


@njit
def hmma(m: Machine, i: Decoded, c: Row) -> None:
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
def imma(m: Machine, i: Decoded, c: Row, rows: Number) -> None:
    R = m.registers
    for lane in range(32):
        for j in range(rows >> 2):
            total = np.int64(product(m, lane, j, i.x)) + np.int64(np.int32(R[c + j, lane]))
            if i.z & SATURATE:
                total = min(max(total, np.int64(-0x80000000)), np.int64(0x7FFFFFFF))
            R[j, lane] = total


@njit
def bmma(m: Machine, i: Decoded, a: Row, b: Row, c: Row, rows: Number) -> None:
    """Population counts of XOR or AND of rows of A and columns of B, plus C; x: depth in bits, 128 per register."""
    R = m.registers
    for lane in range(32):
        for j in range(rows >> 2):
            row, column = (lane >> 2) + 8 * (j >> 1), 2 * (lane & 3) + (j & 1)
            total = np.int64(R[c + j, lane])
            for block in range(i.x >> 7):
                for t in range(4):
                    left = R[a + (row >> 3) + (rows >> 3) * block, 4 * (row & 7) + t]
                    right = R[b + block, 4 * column + t]
                    total += popcount32(left & right if i.z & BITS_AND else left ^ right)
            R[j, lane] = total


@njit
def dmma(m: Machine, i: Decoded, a: Row, b: Row, c: Row, rows: Number) -> None:
    """Rows of A times columns of B in float64, four of the depth x per register pair, added in ascending order to C."""
    R = m.registers
    for lane in range(32):
        for j in range(rows >> 2):
            row, column = (lane >> 2) + 8 * (j >> 1), 2 * (lane & 3) + (j & 1)
            total = long_to_double(pair(R[c + 2 * j, lane], R[c + 2 * j + 1, lane]))
            for k in range(i.x):
                at = a + 2 * ((row >> 3) + (rows >> 3) * (k >> 2))
                left = long_to_double(pair(R[at, 4 * (row & 7) + (k & 3)], R[at + 1, 4 * (row & 7) + (k & 3)]))
                at = b + 2 * (k >> 2)
                right = long_to_double(pair(R[at, 4 * column + (k & 3)], R[at + 1, 4 * column + (k & 3)]))
                total = fma64(left, right, total)
            write_rows(R, 2 * j, lane, total)


@njit
def element884(R: Registers, first: Row, quad: Number, line: Number, k: Number, by_line: Flag) -> Double:
    """Element k of a row of A or a column of B of an 8x8x4 product; by_line: a lane holds one line, else one k."""
    inner, lane = (k, line & 3) if by_line else (line & 3, k)
    return half_value(R[first + (inner >> 1), 16 * (line >> 2) + 4 * quad + lane], inner & 1, 0)


@njit
def addend884(
    R: Registers, c: Row, quad: Number, lane: Lane, row: Number, column: Number, j: Number, i: Decoded
) -> Double:
    """Element (row, column) of C: of the step's own register, or with HALF_ADDEND of the lane that holds the row."""
    if i.z & HALF_ADDEND:
        inner = column & 3
        return half_value(R[c + (inner >> 1), 16 * (row >> 2) + 4 * quad + (row & 3)], inner & 1, 0)
    return np.float64(word_to_float(R[c + j, lane]))


@njit
def hmma884(m: Machine, i: Decoded, a: Row, b: Row, c: Row) -> None:
    """One step of four 8x8x4 products: x is the step, of two (float16 result, four columns) or of four.

    A step reads and writes one register pair of C and D: all 4 columns that it computes of a lane's row with a
    float16 result, two neighbouring columns of a lane's row with a float32 one.
    """
    R, half = m.registers, i.z & HALF_RESULT
    for lane in range(32):
        quad, upper = (lane & 15) >> 2, lane >> 4
        for j in range(4 if half else 2):
            if half:
                row, column = (lane & 3) + 4 * upper, 4 * i.x + j
            else:
                row = (lane & 1) + 2 * (i.x & 1) + 4 * upper
                column = 4 * (i.x >> 1) + (lane & 2) + j
            total = addend884(R, c, quad, lane, row, column, j, i)
            for k in range(4):
                left = element884(R, a, quad, row, k, i.z & COLUMN_A == 0)
                total += left * element884(R, b, quad, column, k, i.z & ROW_B == 0)
            m.matrix[0, j, lane] = total
    for lane in range(32):
        if half:
            for j in range(2):
                low, high = double_to_half(m.matrix[0, 2 * j, lane]), double_to_half(m.matrix[0, 2 * j + 1, lane])
                R[j, lane] = np.int64(low) | (np.int64(high) << 16)
        else:
            R[0, lane], R[1, lane] = (
                canonical(np.float32(m.matrix[0, 0, lane])),
                canonical(np.float32(m.matrix[0, 1, lane])),
            )


@njit
def movm(R: Registers, a: Row) -> None:
    """Transpose an 8x8 matrix of 16-bit elements: lane 4 * g + t holds elements 2 t and 2 t + 1 of row g."""
    for lane in range(32):
        row, column = lane >> 2, 2 * (lane & 3)
        shift = 16 * (row & 1)
        low = np.int64(R[a, 4 * column + (row >> 1)]) >> shift
        high = np.int64(R[a, 4 * (column + 1) + (row >> 1)]) >> shift
        R[0, lane] = (low & 0xFFFF) | ((high & 0xFFFF) << 16)


@njit
def execute(op: Operation, m: Machine, i: Decoded, a: Row, b: Row, c: Row, d: Row) -> None:
    """Run one matrix instruction; x: depth k; rows of A: 16, or 8 where `scale` says so; d: metadata of sparse A."""
    rows = np.int64(i.scale)
    if op == MOVM:
        movm(m.registers, a)
    elif op == BMMA:
        bmma(m, i, a, b, c, rows)
    elif op == DMMA:
        dmma(m, i, a, b, c, rows)
    elif op == HMMA884:
        hmma884(m, i, a, b, c)
    else:
        if i.z & SPARSE:
            gather(m, 0, a, rows, i.x >> 1, i.y)
            expand(m, d, i.x, i.y, i.offset)
        else:
            gather(m, 0, a, rows, i.x, i.y)
        gather(m, 1, b, 8, i.x, i.z & 15)
        if op == HMMA:
            hmma(m, i, c)
        else:
            imma(m, i, c, rows)
