"""Double-precision operations on register pairs; flags and rounding modes as in float32.py."""

from __future__ import annotations

import numpy as np

from gpusim.emulator.bits import DOWN, NAN64, NEAREST, UP, double_to_long, fma64, long_to_double, pair
from gpusim.emulator.float32 import ROUND_SHIFT, compare
from gpusim.emulator.integer import combine
from gpusim.emulator.types import Decoded, Double, Flag, Lane, Mask, MaskPair, Operation, Registers, Rounding, Row
from gpusim.jit import njit

DFMA, DSETP, DADD, DMUL, DSETP_SELECT = range(250, 255)


@njit(forceinline=True)
def read(R: Registers, row: Row, lane: Lane) -> Double:
    return long_to_double(pair(R[row, lane], R[row + 1, lane]))


@njit(forceinline=True)
def write_rows(R: Registers, row: Row, lane: Lane, value: Double) -> None:
    """Store a double as rows `row` and `row` + 1, NaN as NAN64."""
    bits = double_to_long(value) if value == value else NAN64
    R[row, lane] = bits
    R[row + 1, lane] = bits >> np.uint64(32)


@njit(forceinline=True)
def write(R: Registers, lane: Lane, value: Double) -> None:
    """Store a double as result rows 0 and 1, NaN as NAN64."""
    write_rows(R, 0, lane, value)


@njit
def next_double(value: Double, upwards: Flag) -> Double:
    """The neighbouring float64 above or below a number."""
    if value == 0.0:
        return long_to_double(np.uint64(1)) if upwards else long_to_double(np.uint64(0x8000000000000001))
    bits = double_to_long(value)
    grow = (value > 0.0) == upwards
    return long_to_double(bits + np.uint64(1) if grow else bits - np.uint64(1))


@njit
def directed(nearest: Double, rest: Double, mode: Rounding) -> Double:
    """`nearest` moved to the neighbour that the rounding mode asks for, given the sign of exact - nearest."""
    if not np.isfinite(nearest) or rest == 0.0:
        return nearest
    if rest > 0.0 and (mode == UP or (mode != DOWN and nearest < 0.0)):
        return next_double(nearest, True)
    if rest < 0.0 and (mode == DOWN or (mode != UP and nearest > 0.0)):
        return next_double(nearest, False)
    return nearest


@njit
def residue(a: Double, b: Double, c: Double, nearest: Double) -> Double:
    """A number with the sign of a * b + c - nearest, for results that are not near the underflow limit."""
    product = a * b
    product_rest = fma64(a, b, -product)
    total = product + c
    back = total - product
    total_rest = (product - (total - back)) + (c - back)
    return (total - nearest) + (total_rest + product_rest)


@njit
def dfma(R: Registers, i: Decoded, a: Row, b: Row, c: Row) -> None:
    mode = i.x >> ROUND_SHIFT
    for lane in range(32):
        u, v, w = read(R, a, lane), read(R, b, lane), read(R, c, lane)
        value = fma64(u, v, w)
        if mode != NEAREST:
            rest = residue(u, v, w, value)
            value = directed(value, rest, mode)
            cancelled = value == 0.0 and rest == 0.0 and min(np.copysign(1.0, u * v), np.copysign(1.0, w)) < 0.0
            if cancelled and mode == DOWN:
                value = -0.0
        write(R, lane, value)


@njit
def dadd(R: Registers, a: Row, b: Row) -> None:
    for lane in range(32):
        write(R, lane, read(R, a, lane) + read(R, b, lane))


@njit
def dmul(R: Registers, a: Row, b: Row) -> None:
    for lane in range(32):
        write(R, lane, read(R, a, lane) * read(R, b, lane))


@njit
def dsetp(R: Registers, i: Decoded, a: Row, b: Row, in0: Mask) -> MaskPair:
    """Compare with code y, then AND, OR or XOR (z) with in0."""
    less, equal, unordered = np.int64(0), np.int64(0), np.int64(0)
    for lane in range(32):
        u, v = read(R, a, lane), read(R, b, lane)
        less |= np.int64(u < v) << lane
        equal |= np.int64(u == v) << lane
        unordered |= np.int64(u != u or v != v) << lane
    return combine(compare(less, equal, unordered, i.y), i.z, in0)


@njit
def dsetp_select(R: Registers, i: Decoded, a: Row, b: Row) -> MaskPair:
    """p: a is the maximum (x; else the minimum) of a and b, where a NaN is not if b is a number; q: both are NaN.

    The compiler selects by p and turns b into a quiet NaN by q. -0 is below +0.
    """
    p, q = np.int64(0), np.int64(0)
    for lane in range(32):
        u, v = read(R, a, lane), read(R, b, lane)
        negative = R[a + 1, lane] >> np.uint32(31) != 0
        first = u > v if i.x else u < v
        if u == v:
            first = negative != (i.x != 0)
        p |= np.int64(first or (u == u and v != v)) << lane
        q |= np.int64(u != u and v != v) << lane
    return p | (q << 32)


@njit
def execute(op: Operation, R: Registers, i: Decoded, a: Row, b: Row, c: Row, in0: Mask) -> MaskPair:
    """Run one double-precision operation; returns p | q << 32."""
    if op == DSETP:
        return dsetp(R, i, a, b, in0)
    if op == DSETP_SELECT:
        return dsetp_select(R, i, a, b)
    if op == DADD:
        dadd(R, a, b)
    elif op == DMUL:
        dmul(R, a, b)
    else:
        dfma(R, i, a, b, c)
    return np.int64(0)
