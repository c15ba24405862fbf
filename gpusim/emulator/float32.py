"""Single-precision operations, comparisons and the multi-function unit.

Results are IEEE 754 with one rounding; NaN results are NAN32. `x` holds flags: FTZ flushes subnormal inputs and results
to zero of the same sign, SAT clamps to [0, 1] (NaN to 0), and two bits choose the rounding of FADD, FMUL and FFMA.
MUFU computes in float64 and rounds to float32, which stays within the 2 ulp that the CUDA C++ Programming Guide
states for the hardware's approximations, but is not bit-identical to them; subnormals are flushed, as in hardware.
"""

from __future__ import annotations

import numpy as np

from gpusim.constants import ALL_LANES
from gpusim.emulator.bits import (
    DOWN,
    NAN32,
    UP,
    ZERO,
    canonical,
    double_to_long,
    float_to_word,
    flush,
    fma32,
    long_to_double,
    pair,
    word_to_float,
)
from gpusim.emulator.integer import combine
from gpusim.emulator.types import (
    Comparison,
    Decoded,
    Double,
    Flag,
    Flags,
    Mask,
    MaskPair,
    Operation,
    Registers,
    Rounding,
    Row,
    Single,
    Word,
)
from gpusim.jit import njit

FADD, FMUL, FFMA, FMNMX, FSEL, FSETP, FSET, FCHK, MUFU, FFMA_DIRECTED, FMUL_SCALED = range(200, 211)

# Flags in x, of all floating-point modules.
FTZ, SAT = 1, 2
ROUND_SHIFT = 2
"""Rounding mode in bits 2..3 of x."""
BOOLEAN_FLOAT = 16  # FSET, HSET2: 1.0 instead of all ones
BOTH_HALVES = 32  # HSETP2.H_AND
BFLOAT = 64  # halves are bfloat16
XORSIGN = 128  # minimum and maximum of magnitudes, signed by the exclusive or of the signs
RELU = 256  # negative results become zero

RCP, RSQ, SQRT, EX2, LG2, SIN, COS, TANH, RCP64H, RSQ64H = range(10)

# Bits of a float compare code: true when less, equal, greater, unordered.
LESS, EQUAL, GREATER, UNORDERED = 1, 2, 4, 8


@njit(forceinline=True)
def finish(value: Single, x: Flags) -> Word:
    """Word of a result after NaN, flush and saturation."""
    word = flush(canonical(value), x & FTZ)
    if x & SAT:
        limited = min(value, np.float32(1.0)) if value > np.float32(0.0) else np.float32(0.0)
        word = flush(float_to_word(limited), x & FTZ)
    return word


@njit
def fadd(R: Registers, i: Decoded, a: Row, b: Row) -> None:
    x = i.x
    for lane in range(32):
        left, right = flush(R[a, lane], x & FTZ), flush(R[b, lane], x & FTZ)
        R[0, lane] = finish(word_to_float(left) + word_to_float(right), x)


@njit
def fmul(R: Registers, i: Decoded, a: Row, b: Row) -> None:
    x = i.x
    for lane in range(32):
        left, right = flush(R[a, lane], x & FTZ), flush(R[b, lane], x & FTZ)
        R[0, lane] = finish(word_to_float(left) * word_to_float(right), x)


@njit
def ffma(R: Registers, i: Decoded, a: Row, b: Row, c: Row) -> None:
    x = i.x
    for lane in range(32):
        left, right, addend = flush(R[a, lane], x & FTZ), flush(R[b, lane], x & FTZ), flush(R[c, lane], x & FTZ)
        R[0, lane] = finish(fma32(word_to_float(left), word_to_float(right), word_to_float(addend)), x)


@njit
def ffma_plain(R: Registers, a: Row, b: Row, c: Row) -> None:
    """FFMA without modifiers, the hot case."""
    for lane in range(32):
        R[0, lane] = canonical(fma32(word_to_float(R[a, lane]), word_to_float(R[b, lane]), word_to_float(R[c, lane])))


@njit
def next_toward(value: Single, upwards: Flag) -> Single:
    """The neighbouring float32 above or below a number."""
    if value == np.float32(0.0):
        return word_to_float(np.uint32(1)) if upwards else word_to_float(np.uint32(0x80000001))
    word = float_to_word(value)
    grow = (value > np.float32(0.0)) == upwards
    return word_to_float(np.uint32(word + np.uint32(1)) if grow else np.uint32(word - np.uint32(1)))


@njit
def round_float(high: Double, low: Double, mode: Rounding) -> Single:
    """The exact sum high + low (|low| at most half an ulp of high) as float32, rounded down, up or to zero."""
    nearest = np.float32(high)
    if not np.isfinite(high):
        return nearest
    below = np.float64(nearest) < high or (np.float64(nearest) == high and low > 0.0)
    above = np.float64(nearest) > high or (np.float64(nearest) == high and low < 0.0)
    positive = high > 0.0
    if below and (mode == UP or (mode == ZERO and not positive)):
        return next_toward(nearest, True)
    if above and (mode == DOWN or (mode == ZERO and positive)):
        return next_toward(nearest, False)
    return nearest


@njit
def ffma_directed(R: Registers, i: Decoded, a: Row, b: Row, c: Row) -> None:
    """a * b + c with a rounding mode other than nearest; the product is exact in float64, the sum is split exactly."""
    x = i.x
    for lane in range(32):
        product = np.float64(word_to_float(flush(R[a, lane], x & FTZ))) * np.float64(
            word_to_float(flush(R[b, lane], x & FTZ))
        )
        addend = np.float64(word_to_float(flush(R[c, lane], x & FTZ)))
        total = product + addend
        back = total - product
        rest = (product - (total - back)) + (addend - back)
        mode = x >> ROUND_SHIFT
        value = round_float(total, rest, mode)
        if total == 0.0 and mode == DOWN and (np.copysign(1.0, product) < 0.0 or np.copysign(1.0, addend) < 0.0):
            value = np.float32(-0.0)
        R[0, lane] = finish(value, x)


@njit
def fmnmx(R: Registers, i: Decoded, a: Row, b: Row, in0: Mask) -> None:
    """Minimum where in0 holds, else maximum; the number if one is NaN (y: NaN then); -0 is below +0."""
    for lane in range(32):
        left, right = flush(R[a, lane], i.x & FTZ), flush(R[b, lane], i.x & FTZ)
        sign = np.uint32(0)
        if i.x & XORSIGN:
            sign = (left ^ right) & np.uint32(0x80000000)
            left, right = left & np.uint32(0x7FFFFFFF), right & np.uint32(0x7FFFFFFF)
        u, v = word_to_float(left), word_to_float(right)
        least = (in0 >> lane) & 1 == 1
        if u != u or v != v:
            word = NAN32 if i.y or (u != u and v != v) else (right if u != u else left)
        elif u == v:
            word = left | right if least else left & right
        else:
            word = left if (u < v) == least else right
        R[0, lane] = word | sign if word != NAN32 else word


@njit
def select_word(R: Registers, i: Decoded, a: Row, b: Row, in0: Mask) -> None:
    for lane in range(32):
        R[0, lane] = flush(R[a, lane] if (in0 >> lane) & 1 else R[b, lane], i.x & FTZ)


@njit
def compare(less: Mask, equal: Mask, unordered: Mask, code: Comparison) -> Mask:
    """Lane mask of a float comparison from the masks of its three outcomes."""
    greater = ~(less | equal | unordered) & ALL_LANES
    result = np.int64(0)
    if code & LESS:
        result |= less
    if code & EQUAL:
        result |= equal
    if code & GREATER:
        result |= greater
    if code & UNORDERED:
        result |= unordered
    return result


@njit
def fsetp(R: Registers, i: Decoded, a: Row, b: Row, in0: Mask) -> MaskPair:
    """Compare with code y, then AND, OR or XOR (z) with in0."""
    less, equal, unordered = np.int64(0), np.int64(0), np.int64(0)
    for lane in range(32):
        u, v = word_to_float(flush(R[a, lane], i.x & FTZ)), word_to_float(flush(R[b, lane], i.x & FTZ))
        less |= np.int64(u < v) << lane
        equal |= np.int64(u == v) << lane
        unordered |= np.int64(u != u or v != v) << lane
    return combine(compare(less, equal, unordered, i.y), i.z, in0)


@njit
def fset(R: Registers, i: Decoded, a: Row, b: Row, in0: Mask) -> None:
    """The comparison as a word: 1.0 (.BF) or all ones where true, else 0."""
    true = np.uint32(0x3F800000) if i.x & BOOLEAN_FLOAT else np.uint32(0xFFFFFFFF)
    compared = fsetp(R, i, a, b, in0)
    for lane in range(32):
        R[0, lane] = true if (compared >> lane) & 1 else np.uint32(0)


@njit
def fchk(R: Registers, a: Row, b: Row) -> Mask:
    """p where a / b needs the compiler's slow path: its fast path would overflow, underflow or meet a special value.

    The hardware's exact limits are not published; these are the widest ones for which the fast path of
    reciprocal, two Newton steps and one correction is correctly rounded. A zero dividend takes the slow path, though
    the fast one would do: a profile of an A100 dividing 2^26 numbers, two of them zero, shows two slow divisions.
    """
    p = np.int64(0)
    for lane in range(32):
        over = (np.int64(R[a, lane]) >> 23) & 255
        under = (np.int64(R[b, lane]) >> 23) & 255
        slow = over == 255 or over < 26 or under == 0 or under > 252
        slow = slow or over - under > 125 or over - under < -124
        p |= np.int64(slow) << lane
    return p


@njit
def fmul_scaled(R: Registers, i: Decoded, a: Row, b: Row) -> None:
    """FMUL.D2 ... .M8: the product times 2**y, exact in float64, with one rounding."""
    scale = np.float64(2.0) ** np.float64(i.y)
    for lane in range(32):
        first = np.float64(word_to_float(flush(R[a, lane], i.x & FTZ)))
        second = np.float64(word_to_float(flush(R[b, lane], i.x & FTZ)))
        R[0, lane] = finish(np.float32(first * second * scale), i.x)


@njit
def mufu_value(code: Operation, v: Double) -> Double:
    """One approximated function of a float64 argument."""
    if code == RCP:
        return 1.0 / v
    if code == RSQ:
        return 1.0 / np.sqrt(v)
    if code == SQRT:
        return np.sqrt(v)
    if code == EX2:
        return np.exp2(v)
    if code == LG2:
        return np.log2(v)
    if code == TANH:
        return np.tanh(v)
    turns = v - np.floor(v)  # SIN and COS take their argument in turns
    return np.sin(2.0 * np.pi * turns) if code == SIN else np.cos(2.0 * np.pi * turns)


@njit
def mufu(R: Registers, i: Decoded, a: Row, mask: Mask) -> None:
    """Function y of the active lanes; the 64-bit forms take and give the high word of a double."""
    for lane in range(32):
        if (mask >> lane) & 1 == 0:
            continue
        if i.y >= RCP64H:
            value = long_to_double(pair(np.uint32(0), R[a, lane]))
            value = 1.0 / value if i.y == RCP64H else 1.0 / np.sqrt(value)
            R[0, lane] = double_to_long(value) >> np.uint64(32) if value == value else np.uint64(0x7FFFFFFF)
        else:
            value = mufu_value(i.y, np.float64(word_to_float(flush(R[a, lane], 1))))
            R[0, lane] = finish(np.float32(value), i.x | FTZ)


@njit
def execute(op: Operation, R: Registers, i: Decoded, a: Row, b: Row, c: Row, in0: Mask, mask: Mask) -> MaskPair:
    """Run one single-precision operation; returns p | q << 32."""
    result: MaskPair = np.int64(0)
    if op == FFMA:
        if i.x == 0:
            ffma_plain(R, a, b, c)
        else:
            ffma(R, i, a, b, c)
    elif op == FADD:
        fadd(R, i, a, b)
    elif op == FMUL:
        fmul(R, i, a, b)
    elif op == FSETP:
        result = fsetp(R, i, a, b, in0)
    elif op == FMNMX:
        fmnmx(R, i, a, b, in0)
    elif op == FSEL:
        select_word(R, i, a, b, in0)
    elif op == MUFU:
        mufu(R, i, a, mask)
    elif op == FCHK:
        result = fchk(R, a, b)
    elif op == FFMA_DIRECTED:
        ffma_directed(R, i, a, b, c)
    elif op == FMUL_SCALED:
        fmul_scaled(R, i, a, b)
    elif op == FSET:
        fset(R, i, a, b, in0)
    return result
