"""Atomic operations: lanes in ascending order, warps in the order in which the emulator runs them."""

from __future__ import annotations

import numpy as np

from gpusim.emulator.bits import (
    NAN64,
    NEAREST,
    canonical,
    double_to_long,
    flush,
    half_value,
    long_to_double,
    pair,
    round_to_half,
    word_to_float,
)
from gpusim.emulator.half import odd_sum
from gpusim.emulator.state import CHANGES, Machine
from gpusim.emulator.types import Decoded, Flag, Format, Mask, Number, Operation, Row
from gpusim.jit import njit

# Operations in x.
ADD, MIN, MAX, AND, OR, XOR, EXCH, CAS, INC, DEC, CAST_SPIN, ADD_ONE = range(12)
# Types in y.
U32, S32, U64, S64, F32, F64, F16X2, BF16X2 = range(8)


@njit
def combine_integer(op: Operation, old: Number, value: Number, is_signed: Flag, bits: Number) -> Number:
    """New value of memory, both in int64 (32-bit values zero-extended)."""
    if op == ADD:
        return old + value
    if op == AND:
        return old & value
    if op == OR:
        return old | value
    if op == XOR:
        return old ^ value
    if op == EXCH:
        return value
    if op == INC:
        return np.int64(0) if np.uint64(old) >= np.uint64(value) else old + 1
    if op == DEC:
        return value if old == 0 or np.uint64(old) > np.uint64(value) else old - 1
    if bits == 32 and is_signed:
        less: Flag = np.int32(old) < np.int32(value)
    elif is_signed:
        less = old < value
    else:
        less = np.uint64(old) < np.uint64(value)
    return old if less == (op == MIN) else value


@njit
def add_float(kind: Format, old: Number, value: Number) -> Number:
    """Sum of two float32 (subnormals flushed, as global atomics do), float64, or pairs of halves."""
    if kind == F64:
        total = long_to_double(np.uint64(old)) + long_to_double(np.uint64(value))
        return np.int64(double_to_long(total) if total == total else NAN64)
    if kind == F32:
        left, right = flush(np.uint32(old), 1), flush(np.uint32(value), 1)
        return np.int64(flush(canonical(word_to_float(left) + word_to_float(right)), 1))
    bfloat, packed = kind == BF16X2, np.int64(0)
    for k in range(2):
        total = odd_sum(half_value(np.uint32(old), k, bfloat), half_value(np.uint32(value), k, bfloat))
        packed |= np.int64(round_to_half(total, bfloat, NEAREST)) << (16 * k)
    return packed


@njit
def atomic(m: Machine, i: Decoded, c: Row, d: Row, mask: Mask) -> None:
    """Apply operation x of type y at the located words; the result rows get the old value (CAST_SPIN: success)."""
    R, M = m.registers, m.memory
    op, kind, double = i.x, i.y, i.bytes == 8
    changed = False
    for lane in range(32):
        if (mask >> lane) & 1 == 0:
            continue
        word = m.address[1, lane]
        old = np.int64(pair(M[word], M[word + 1])) if double else np.int64(M[word])
        value = np.int64(pair(R[c, lane], R[c + 1, lane])) if double else np.int64(R[c, lane])
        result = old
        if op == CAS or op == CAST_SPIN:
            other = np.int64(pair(R[d, lane], R[d + 1, lane])) if double else np.int64(R[d, lane])
            new: Number = other if old == value else old
            if op == CAST_SPIN:
                result = np.int64(old == value)
        elif op == ADD_ONE:
            new = old + 1
        elif op == ADD and kind >= F32:
            new = add_float(kind, old, value)
        else:
            new = combine_integer(op, old, value, kind == S32 or kind == S64, 8 * i.bytes)
        changed |= new != old
        M[word] = new
        R[0, lane] = result
        if double:
            M[word + 1] = new >> 32
            R[1, lane] = result >> 32
    m.control[CHANGES] += np.int64(changed)
