"""Operations across the lanes of a warp and on predicates as a whole."""

from __future__ import annotations

import numpy as np

from gpusim.constants import ALL_LANES
from gpusim.emulator.bits import signed, trailing_zeros32
from gpusim.emulator.types import Decoded, Mask, MaskPair, Number, Operation, Predicates, Registers, Row, Word
from gpusim.jit import njit

VOTE, SHFL, MATCH, REDUX, PLOP3, P2R, R2P, R2UR, ELECT = range(400, 409)

# VOTE modes in x.
VOTE_ALL, VOTE_ANY, VOTE_EQ = 0, 1, 2
# SHFL modes in x.
SHFL_IDX, SHFL_UP, SHFL_DOWN, SHFL_BFLY = range(4)
# REDUX operations in x.
REDUX_AND, REDUX_OR, REDUX_XOR, REDUX_SUM, REDUX_MIN, REDUX_MAX = range(6)


@njit
def fill(R: Registers, value: Word | Number) -> None:
    for lane in range(32):
        R[0, lane] = value


@njit
def vote(R: Registers, i: Decoded, in0: Mask, mask: Mask) -> Mask:
    """Row 0: the active lanes whose in0 holds; p: all, any, or all equal, the same for every lane."""
    ballot = in0 & mask
    fill(R, ballot)
    if i.x == VOTE_ALL:
        agreed = ballot == mask
    elif i.x == VOTE_ANY:
        agreed = ballot != 0
    else:
        agreed = ballot == 0 or ballot == mask
    return ALL_LANES if agreed else np.int64(0)


@njit
def shfl(R: Registers, i: Decoded, a: Row, b: Row, c: Row, mask: Mask) -> Mask:
    """Exchange between lanes as PTX shfl.sync: b is the lane or distance, c holds segment mask << 8 | clamp.

    p: the source lane was in range. A source lane that does not execute gives its register's present value, as a
    read of another lane's register does; PTX leaves it undefined.
    """
    p = np.int64(0)
    for lane in range(32):
        control = np.int64(R[c, lane])
        clamp, segment = control & 31, (control >> 8) & 31
        distance = np.int64(R[b, lane]) & 31
        last = (lane & segment) | (clamp & ~segment & 31)
        first = lane & segment
        if i.x == SHFL_UP:
            source = lane - distance
            inside = source >= last
        elif i.x == SHFL_DOWN:
            source = lane + distance
            inside = source <= last
        elif i.x == SHFL_BFLY:
            source = lane ^ distance
            inside = source <= last
        else:
            source = first | (distance & ~segment & 31)
            inside = source <= last
        R[0, lane] = R[a, source & 31] if inside else R[a, lane]
        p |= np.int64(inside) << lane
    return p


@njit
def match(R: Registers, i: Decoded, a: Row, mask: Mask) -> Mask:
    """Lanes with an equal value (y: 64 bits). x: .ALL, then row 0 is the mask if all agree, else 0, and p says so."""
    together = np.int64(0)
    for lane in range(32):
        same = np.int64(0)
        for other in range(32):
            equal = R[a, lane] == R[a, other] and (i.y == 0 or R[a + 1, lane] == R[a + 1, other])
            same |= np.int64(equal) << other
        same &= mask
        R[0, lane] = same if i.x == 0 or same == mask else np.int64(0)
        together |= np.int64(same == mask) << lane
    return together


@njit
def redux(R: Registers, i: Decoded, a: Row, mask: Mask) -> None:
    """Reduction over the active lanes; x: operation, y: signed."""
    first = trailing_zeros32(np.uint32(mask))
    total = signed(R[a, first]) if i.y else np.int64(R[a, first])
    for lane in range(first + 1, 32):
        if (mask >> lane) & 1 == 0:
            continue
        value = signed(R[a, lane]) if i.y else np.int64(R[a, lane])
        if i.x == REDUX_AND:
            total &= value
        elif i.x == REDUX_OR:
            total |= value
        elif i.x == REDUX_XOR:
            total ^= value
        elif i.x == REDUX_SUM:
            total += value
        elif i.x == REDUX_MIN:
            total = min(total, value)
        else:
            total = max(total, value)
    fill(R, total)


@njit
def lookup(lut: Number, in0: Mask, in1: Mask, in2: Mask) -> Mask:
    """A function of three lane masks by its truth table."""
    result = np.int64(0)
    for k in range(8):
        if (lut >> k) & 1:
            x = in0 if k & 4 else ~in0
            y = in1 if k & 2 else ~in1
            z = in2 if k & 1 else ~in2
            result |= x & y & z
    return result & ALL_LANES


@njit
def sign_mask(R: Registers, row: Row) -> Mask:
    """Lanes whose word is negative."""
    mask = np.int64(0)
    for lane in range(32):
        mask |= np.int64(R[row, lane] >> np.uint32(31)) << lane
    return mask


@njit
def plop3(R: Registers, i: Decoded, a: Row, b: Row, c: Row, in0: Mask, in1: Mask, in2: Mask) -> MaskPair:
    """p and q: two functions (x and y) of three predicates; the bits of z name those that are signs of a, b, c."""
    if i.z:
        in0 = sign_mask(R, a) if i.z & 1 else in0
        in1 = sign_mask(R, b) if i.z & 2 else in1
        in2 = sign_mask(R, c) if i.z & 4 else in2
    return lookup(i.x, in0, in1, in2) | (lookup(i.y, in0, in1, in2) << 32)


@njit
def p2r(R: Registers, P: Predicates, i: Decoded, a: Row, b: Row) -> None:
    """Register a with the bits of mask b, in the byte at bit x, replaced by P0..P6 (y: 8 for UP0..UP6)."""
    for lane in range(32):
        bits = np.int64(0)
        for k in range(7):
            bits |= ((np.int64(P[i.y + k]) >> lane) & 1) << k
        keep = np.int64(R[b, lane])
        word = np.int64(R[a, lane])
        R[0, lane] = (word & ~(keep << i.x)) | ((bits & keep) << i.x)


@njit
def r2p(R: Registers, P: Predicates, i: Decoded, a: Row, b: Row, mask: Mask) -> None:
    """Predicates P0..P6 (y: 8 for UP0..UP6) named in mask b take the bits of the byte of register a at bit x."""
    for k in range(7):
        for lane in range(32):
            if (mask >> lane) & 1 and (R[b, lane] >> np.uint32(k)) & 1:
                bit = (np.int64(R[a, lane]) >> (i.x + k)) & 1
                P[i.y + k] = (np.int64(P[i.y + k]) & ~(np.int64(1) << lane)) | (bit << lane)


@njit
def elect(R: Registers, P: Predicates, i: Decoded, mask: Mask) -> Mask:
    """Row 0: the lowest active lane; p holds in that lane only and stays as it is in lanes that do not execute."""
    first = trailing_zeros32(np.uint32(mask))
    fill(R, first)
    return (np.int64(1) << first) | (np.int64(P[i.p]) & ~mask)


@njit
def r2ur(R: Registers, a: Row, mask: Mask) -> Mask:
    """The first active lane's value for all lanes; all lanes where another active one has another value, else none."""
    value, differ = R[a, trailing_zeros32(np.uint32(mask))], False
    for lane in range(32):
        differ |= bool((mask >> lane) & 1 and R[a, lane] != value)
    fill(R, value)
    return ALL_LANES if differ else np.int64(0)


@njit
def execute(
    op: Operation,
    R: Registers,
    P: Predicates,
    i: Decoded,
    a: Row,
    b: Row,
    c: Row,
    in0: Mask,
    in1: Mask,
    in2: Mask,
    mask: Mask,
) -> MaskPair:
    """Run one warp-wide or predicate operation; P is the warp's row of predicates. Returns p | q << 32."""
    result: MaskPair = np.int64(0)
    if op == SHFL:
        result = shfl(R, i, a, b, c, mask)
    elif op == PLOP3:
        result = plop3(R, i, a, b, c, in0, in1, in2)
    elif op == VOTE:
        result = vote(R, i, in0, mask)
    elif op == REDUX:
        redux(R, i, a, mask)
    elif op == MATCH:
        result = match(R, i, a, mask)
    elif op == P2R:
        p2r(R, P, i, a, b)
    elif op == R2P:
        r2p(R, P, i, a, b, ALL_LANES if i.uniform else mask)
    elif op == ELECT:
        result = elect(R, P, i, mask)
    else:
        result = r2ur(R, a, mask)
    return result
