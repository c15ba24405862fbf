"""Packed half-precision operations: two binary16 numbers per register.

Sources arrive with their halves already chosen (modifier HALVES). Each half is computed in float64 and rounded once to
binary16: where the sum of a product (22 bits) and an addend (11 bits) does not fit in 53 bits, it lies too far from the
middle of two binary16 numbers for the first rounding to matter. x bit 1 saturates.
"""

from __future__ import annotations

import numpy as np

from gpusim.emulator.bits import NAN16, double_to_half, float_to_word, half_to_float
from gpusim.emulator.float32 import SAT, compare
from gpusim.emulator.integer import combine
from gpusim.jit import njit

HADD2, HMUL2, HFMA2, HMNMX2, HSETP2, HADD2_F32 = range(350, 356)


@njit
def half(word, k):
    """Half k of a word as float64 (exact)."""
    return np.float64(half_to_float(np.uint32(word) >> np.uint32(16 * k)))


@njit
def pack(value, x):
    """16 bits of a result after saturation."""
    if x & SAT:
        value = min(max(value, 0.0), 1.0) if value == value else 0.0
    return np.int64(double_to_half(value))


@njit
def arithmetic(op, R, i, a, b, c):
    for lane in range(32):
        result = np.int64(0)
        for k in range(2):
            u, v = half(R[a, lane], k), half(R[b, lane], k)
            if op == HADD2:
                value = u + v
            elif op == HMUL2:
                value = u * v
            else:
                value = u * v + half(R[c, lane], k)
            result |= pack(value, i.x) << (16 * k)
        R[0, lane] = result


@njit
def to_float(R, a, b):
    """HADD2.F32: the sum of the low halves as float32."""
    for lane in range(32):
        R[0, lane] = float_to_word(np.float32(half(R[a, lane], 0) + half(R[b, lane], 0)))


@njit
def minimum(R, i, a, b, in0):
    """Minimum where in0 holds, else maximum, per half; the number if one is NaN (y: NaN then)."""
    for lane in range(32):
        least, result = (in0 >> lane) & 1 == 1, np.int64(0)
        for k in range(2):
            left, right = (np.int64(R[a, lane]) >> (16 * k)) & 0xFFFF, (np.int64(R[b, lane]) >> (16 * k)) & 0xFFFF
            u, v = half(R[a, lane], k), half(R[b, lane], k)
            if u != u or v != v:
                chosen = np.int64(NAN16) if i.y or (u != u and v != v) else (right if u != u else left)
            elif u == v:
                chosen = left | right if least else left & right
            else:
                chosen = left if (u < v) == least else right
            result |= chosen << (16 * k)
        R[0, lane] = result


@njit
def outcome(R, i, a, b, k):
    """Lane mask of the comparison of half k with code y."""
    less, equal, unordered = np.int64(0), np.int64(0), np.int64(0)
    for lane in range(32):
        u, v = half(R[a, lane], k), half(R[b, lane], k)
        less |= np.int64(u < v) << lane
        equal |= np.int64(u == v) << lane
        unordered |= np.int64(u != u or v != v) << lane
    return compare(less, equal, unordered, i.y)


@njit
def hsetp2(R, i, a, b, in0):
    """p: the low halves' comparison, q: the high halves', each combined (z) with in0; x bit 5 (.H_AND): p of both."""
    low, high = outcome(R, i, a, b, 0), outcome(R, i, a, b, 1)
    if i.x & 32:
        return combine(low & high, i.z, in0)
    keep = np.int64(0xFFFFFFFF)
    return (combine(low, i.z, in0) & keep) | ((combine(high, i.z, in0) & keep) << 32)


@njit
def execute(op, R, i, a, b, c, in0):
    """Run one half-precision operation; returns p | q << 32."""
    if op == HSETP2:
        return hsetp2(R, i, a, b, in0)
    if op == HMNMX2:
        minimum(R, i, a, b, in0)
    elif op == HADD2_F32:
        to_float(R, a, b)
    else:
        arithmetic(op, R, i, a, b, c)
    return np.int64(0)
