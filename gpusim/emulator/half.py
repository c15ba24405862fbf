"""Packed half-precision operations: two binary16 or two bfloat16 numbers per register.

Sources arrive with their halves already chosen (modifier HALVES). Each half is computed in float64 and rounded once:
products of two halves are exact, and sums that are not exact get an odd last bit (see odd_sum), so that the second
rounding decides as one rounding would. x holds the flags of float32.py.
"""

from __future__ import annotations

import numpy as np

from gpusim.emulator.bits import (
    NAN16,
    NEAREST,
    canonical,
    double_to_long,
    half_value,
    long_to_double,
    round_to_half,
)
from gpusim.emulator.float32 import (
    BFLOAT,
    BOOLEAN_FLOAT,
    BOTH_HALVES,
    FTZ,
    RELU,
    SAT,
    XORSIGN,
    compare,
    mufu_value,
)
from gpusim.emulator.integer import combine
from gpusim.emulator.types import Decoded, Double, Flag, Flags, Mask, MaskPair, Number, Operation, Registers, Row, Word
from gpusim.jit import njit

HADD2, HMUL2, HFMA2, HMNMX2, HSETP2, HADD2_F32, HSET2, HMUFU = range(350, 358)


@njit
def raw(word: Word | Number, k: Number, x: Flags) -> Number:
    """The 16 bits of half k, a subnormal binary16 as zero of its sign with FTZ."""
    bits = (np.int64(word) >> (16 * k)) & 0xFFFF
    return bits & 0x8000 if x & FTZ and bits & 0x7C00 == 0 else bits


@njit
def half(word: Word, k: Number, x: Flags) -> Double:
    """Half k of a word as float64 (exact)."""
    return half_value(np.uint32(raw(word, k, x)), 0, x & BFLOAT)


@njit
def pack(value: Double, x: Flags) -> Number:
    """16 bits of a result after saturation (NaN to 0), RELU and flush."""
    if x & SAT:
        value = min(value, 1.0) if value > 0.0 else 0.0
    if x & RELU and value <= 0.0:
        value = 0.0
    return raw(round_to_half(value, x & BFLOAT, NEAREST), 0, x)


@njit
def odd_sum(a: Double, b: Double) -> Double:
    """a + b in float64; where it is not exact, the neighbour with an odd last bit on the exact sum's side.

    Rounding that to at most 51 bits gives what rounding the exact sum gives (rounding to odd).
    """
    total = a + b
    back = total - a
    rest = (a - (total - back)) + (b - back)
    bits = double_to_long(total)
    if not np.isfinite(total) or rest == 0.0 or bits & np.uint64(1):
        return total
    grow = (rest > 0.0) == (total > 0.0)
    return long_to_double(bits + np.uint64(1) if grow else bits - np.uint64(1))


@njit
def arithmetic(op: Operation, R: Registers, i: Decoded, a: Row, b: Row, c: Row) -> None:
    for lane in range(32):
        result = np.int64(0)
        for k in range(2):
            u, v = half(R[a, lane], k, i.x), half(R[b, lane], k, i.x)
            if op == HADD2:
                value = odd_sum(u, v)
            elif op == HMUL2:
                value = u * v
            else:
                value = odd_sum(u * v, half(R[c, lane], k, i.x))
            result |= pack(value, i.x) << (16 * k)
        R[0, lane] = result


@njit
def to_float(R: Registers, a: Row, b: Row) -> None:
    """HADD2.F32: the sum of the low halves as float32."""
    for lane in range(32):
        R[0, lane] = canonical(np.float32(half(R[a, lane], 0, 0) + half(R[b, lane], 0, 0)))


@njit
def least_or_most(left: Number, right: Number, x: Flags, least: Flag, nan: Flag) -> Number:
    """Minimum or maximum of two halves given as bits; the number if one is NaN (nan: NaN then)."""
    sign: Number = np.int64(0)
    if x & XORSIGN:
        sign = (left ^ right) & 0x8000
        left, right = left & 0x7FFF, right & 0x7FFF
    u, v = half_value(np.uint32(left), 0, x & BFLOAT), half_value(np.uint32(right), 0, x & BFLOAT)
    if u != u or v != v:
        if nan or (u != u and v != v):
            return np.int64(NAN16)
        return (right if u != u else left) | sign
    if u == v:
        return (left | right if least else left & right) | sign
    return (left if (u < v) == least else right) | sign


@njit
def minimum(R: Registers, i: Decoded, a: Row, b: Row, in0: Mask) -> None:
    """Minimum where in0 holds, else maximum, per half."""
    for lane in range(32):
        least, result = (in0 >> lane) & 1 == 1, np.int64(0)
        for k in range(2):
            chosen = least_or_most(raw(R[a, lane], k, i.x), raw(R[b, lane], k, i.x), i.x, least, i.y)
            result |= chosen << (16 * k)
        R[0, lane] = result


@njit
def outcome(R: Registers, i: Decoded, a: Row, b: Row, k: Number) -> Mask:
    """Lane mask of the comparison of half k with code y."""
    less, equal, unordered = np.int64(0), np.int64(0), np.int64(0)
    for lane in range(32):
        u, v = half(R[a, lane], k, i.x), half(R[b, lane], k, i.x)
        less |= np.int64(u < v) << lane
        equal |= np.int64(u == v) << lane
        unordered |= np.int64(u != u or v != v) << lane
    return compare(less, equal, unordered, i.y)


@njit
def hsetp2(R: Registers, i: Decoded, a: Row, b: Row, in0: Mask) -> MaskPair:
    """p: the low halves' comparison, q: the high halves', each combined (z) with in0; .H_AND: p of both."""
    low, high = outcome(R, i, a, b, 0), outcome(R, i, a, b, 1)
    if i.x & BOTH_HALVES:
        return combine(low & high, i.z, in0)
    keep = np.int64(0xFFFFFFFF)
    return (combine(low, i.z, in0) & keep) | ((combine(high, i.z, in0) & keep) << 32)


@njit
def hset2(R: Registers, i: Decoded, a: Row, b: Row, in0: Mask) -> None:
    """The comparisons as halves: 1.0 (.BF) or all ones where true, else 0."""
    true = np.int64(0xFFFF)
    if i.x & BOOLEAN_FLOAT:
        true = np.int64(0x3F80) if i.x & BFLOAT else np.int64(0x3C00)
    both = hsetp2(R, i, a, b, in0)
    for lane in range(32):
        low, high = (both >> lane) & 1, (both >> (32 + lane)) & 1
        R[0, lane] = low * true | (high * true) << 16


@njit
def hmufu(R: Registers, i: Decoded, a: Row) -> None:
    """Function y of the low half, approximated as MUFU does (float32.py), rounded to a half."""
    for lane in range(32):
        value = mufu_value(i.y, half(R[a, lane], 0, i.x))
        R[0, lane] = round_to_half(value, i.x & BFLOAT, NEAREST)


@njit
def execute(op: Operation, R: Registers, i: Decoded, a: Row, b: Row, c: Row, in0: Mask) -> MaskPair:
    """Run one half-precision operation; returns p | q << 32."""
    if op == HSETP2:
        return hsetp2(R, i, a, b, in0)
    if op == HMNMX2:
        minimum(R, i, a, b, in0)
    elif op == HADD2_F32:
        to_float(R, a, b)
    elif op == HSET2:
        hset2(R, i, a, b, in0)
    elif op == HMUFU:
        hmufu(R, i, a)
    else:
        arithmetic(op, R, i, a, b, c)
    return np.int64(0)
