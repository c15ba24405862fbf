"""Integer and logic operations.

Every operation reads rows a, b, c of `R` (modifiers already applied), takes two predicate sources as lane masks,
writes row 0 (and row 1 for 64-bit results), and returns its predicate results as p | q << 32.
All arithmetic is done in int64: mixing uint64 and int64 would turn into float64.

Semantics: the names follow NVIDIA's "CUDA Binary Utilities" instruction tables; the arithmetic follows the PTX ISA
instruction that each one implements (mad, lop3, shf, prmt, bfe, bmsk, szext, dp4a, ...) and the compiler's own use of
carries, which is what the tests check.
"""

from __future__ import annotations

import numpy as np

from gpusim.constants import ALL_LANES
from gpusim.emulator.bits import leading_zeros32, pair, popcount32, signed
from gpusim.emulator.types import Decoded, Flag, Flags, Mask, MaskPair, Number, Operation, Registers, Row, Word
from gpusim.jit import njit

(
    IADD3,
    IADD3_CARRY,
    IMAD,
    IMAD_CARRY,
    IMAD_WIDE,
    IMAD_HI,
    MOV,
    LOP3,
    ISETP,
    IMNMX,
    SEL,
    LEA,
    LEA_HI,
    SHF,
    PRMT,
    POPC,
    FLO,
    BREV,
    SGXT,
    BMSK,
    IABS,
    IDP,
    VABSDIFF,
    VABSDIFF4,
    MOV64,
    VECTOR_LIMIT,
    ADD_HALVES,
) = range(100, 127)

# VECTOR_LIMIT: flags in x, operands in y.
VECTOR_SIGNED, VECTOR_HALVES, VECTOR_RELU = 1, 2, 4
TWO, THREE, SUM_AND_ONE = range(3)

# Compare codes; the float ones of compare.py continue them.
LT, EQ, LE, GT, NE, GE, NEVER, ALWAYS = 1, 2, 3, 4, 5, 6, 0, 7

# SHF flags in x.
SHF_RIGHT, SHF_HIGH, SHF_WRAP, SHF_SIGNED, SHF_64 = 1, 2, 4, 8, 16


@njit
def iadd3(R: Registers, a: Row, b: Row, c: Row) -> None:
    for lane in range(32):
        R[0, lane] = np.int64(R[a, lane]) + np.int64(R[b, lane]) + np.int64(R[c, lane])


@njit
def iadd3_carry(R: Registers, i: Decoded, a: Row, b: Row, c: Row, in0: Mask, in1: Mask) -> MaskPair:
    """Three-term sum with two carry inputs and outputs.

    x counts the negated terms, which arrive inverted: their +1 is part of the carried sum. With .X it is 0.
    """
    p, q = np.int64(0), np.int64(0)
    for lane in range(32):
        total = np.int64(R[a, lane]) + np.int64(R[b, lane]) + np.int64(R[c, lane])
        total += np.int64(i.x) + ((in0 >> lane) & 1) + ((in1 >> lane) & 1)
        R[0, lane] = total
        p |= np.int64(total >= (1 << 32)) << lane
        q |= np.int64(total >= (2 << 32)) << lane
    return p | (q << 32)


@njit
def imad(R: Registers, a: Row, b: Row, c: Row) -> None:
    for lane in range(32):
        R[0, lane] = np.int64(R[a, lane]) * np.int64(R[b, lane]) + np.int64(R[c, lane])


@njit
def imad_carry(R: Registers, i: Decoded, a: Row, b: Row, c: Row, in0: Mask) -> Mask:
    """Low 32 bits of a * b, plus c, plus carry; p is the carry out of that addition."""
    p = np.int64(0)
    for lane in range(32):
        total = ((np.int64(R[a, lane]) * np.int64(R[b, lane])) & ALL_LANES) + np.int64(R[c, lane]) + ((in0 >> lane) & 1)
        total += np.int64(i.x)
        R[0, lane] = total
        p |= np.int64(total >= (1 << 32)) << lane
    return p


@njit
def imad_wide(R: Registers, i: Decoded, a: Row, b: Row, c: Row, in0: Mask) -> Mask:
    """64-bit product of two words plus a register pair plus carry; x: signed. p is the carry out of 64 bits."""
    p = np.int64(0)
    for lane in range(32):
        left = signed(R[a, lane]) if i.x else np.int64(R[a, lane])
        right = signed(R[b, lane]) if i.x else np.int64(R[b, lane])
        addend = np.int64(pair(R[c, lane], R[c + 1, lane])) + ((in0 >> lane) & 1)
        product = left * right
        total = product + addend
        R[0, lane] = total
        R[1, lane] = total >> 32
        p |= np.int64(np.uint64(total) < np.uint64(product)) << lane
    return p


@njit
def imad_hi(R: Registers, i: Decoded, a: Row, b: Row, c: Row, in0: Mask) -> None:
    """High word of (a * b + register pair c)."""
    for lane in range(32):
        left = signed(R[a, lane]) if i.x else np.int64(R[a, lane])
        right = signed(R[b, lane]) if i.x else np.int64(R[b, lane])
        R[0, lane] = (left * right + np.int64(pair(R[c, lane], R[c + 1, lane])) + ((in0 >> lane) & 1)) >> 32


@njit
def mov(R: Registers, a: Row, words: Number) -> None:
    for k in range(words):
        for lane in range(32):
            R[k, lane] = R[a + k, lane]


@njit
def lop3(R: Registers, i: Decoded, a: Row, b: Row, c: Row, in0: Mask) -> Mask:
    """Any function of three bits; bit (a << 2 | b << 1 | c) of x is its value. p: result not zero, or in0 (y: and)."""
    m0, m1, m2, m3 = -(i.x & 1), -((i.x >> 1) & 1), -((i.x >> 2) & 1), -((i.x >> 3) & 1)
    m4, m5, m6, m7 = -((i.x >> 4) & 1), -((i.x >> 5) & 1), -((i.x >> 6) & 1), -((i.x >> 7) & 1)
    p = np.int64(0)
    for lane in range(32):
        u, v, w = np.int64(R[a, lane]), np.int64(R[b, lane]), np.int64(R[c, lane])
        k0, k1 = m0 ^ (w & (m0 ^ m1)), m2 ^ (w & (m2 ^ m3))
        k2, k3 = m4 ^ (w & (m4 ^ m5)), m6 ^ (w & (m6 ^ m7))
        low, high = k0 ^ (v & (k0 ^ k1)), k2 ^ (v & (k2 ^ k3))
        result = (low ^ (u & (low ^ high))) & ALL_LANES
        R[0, lane] = result
        p |= np.int64(result != 0) << lane
    return (p & in0) if i.y else (p | in0)


@njit
def combine(compared: Mask, code: Operation, in0: Mask) -> MaskPair:
    """AND, OR or XOR (code 0, 1, 2) of a comparison and its complement with a predicate: p | q << 32."""
    other = ~compared & ALL_LANES
    if code == 0:
        return (compared & in0) | ((other & in0) << 32)
    if code == 1:
        return (compared | in0) | ((other | in0) << 32)
    return (compared ^ in0) | ((other ^ in0) << 32)


@njit
def isetp(R: Registers, i: Decoded, a: Row, b: Row, in0: Mask, in1: Mask) -> MaskPair:
    """Compare with code x; y: signed; z: AND, OR, XOR with in0, +4: .EX with the low words' result in in1."""
    less, equal = np.int64(0), np.int64(0)
    bias = np.int64(0x80000000) if i.y else np.int64(0)
    for lane in range(32):
        left, right = np.int64(R[a, lane]) ^ bias, np.int64(R[b, lane]) ^ bias
        less |= np.int64(left < right) << lane
        equal |= np.int64(left == right) << lane
    tie, greater = equal, ~(less | equal) & ALL_LANES
    if i.z >= 4:
        tie = equal & in1
    if i.x == LT or i.x == LE:
        compared: Mask = less if i.z < 4 and i.x == LT else less | tie
    elif i.x == GT or i.x == GE:
        compared = greater if i.z < 4 and i.x == GT else greater | tie
    elif i.x == EQ:
        compared = tie
    elif i.x == NE:
        compared = ~equal & ALL_LANES if i.z < 4 else (~equal & ALL_LANES) | in1
    else:
        compared = ALL_LANES if i.x == ALWAYS else np.int64(0)
    return combine(compared, i.z & 3, in0)


@njit
def imnmx(R: Registers, i: Decoded, a: Row, b: Row, in0: Mask) -> None:
    """Minimum where in0 holds, else maximum; x: signed."""
    bias = np.int64(0x80000000) if i.x else np.int64(0)
    for lane in range(32):
        left, right = np.int64(R[a, lane]) ^ bias, np.int64(R[b, lane]) ^ bias
        least = (in0 >> lane) & 1
        R[0, lane] = (left if (left < right) == (least == 1) else right) ^ bias


@njit
def sel(R: Registers, a: Row, b: Row, in0: Mask) -> None:
    for lane in range(32):
        R[0, lane] = R[a, lane] if (in0 >> lane) & 1 else R[b, lane]


@njit
def lea(R: Registers, i: Decoded, a: Row, b: Row, in0: Mask) -> Mask:
    """(a << x) + b + carry; z: a << x is inverted; y counts inverted negated terms. p is the carry out."""
    p = np.int64(0)
    for lane in range(32):
        shifted = (np.int64(R[a, lane]) << i.x) & ALL_LANES
        shifted = shifted ^ ALL_LANES if i.z else shifted
        total = shifted + np.int64(R[b, lane]) + i.y + ((in0 >> lane) & 1)
        R[0, lane] = total
        p |= np.int64(total >= (1 << 32)) << lane
    return p


@njit
def lea_hi(R: Registers, i: Decoded, a: Row, b: Row, c: Row, in0: Mask) -> Mask:
    """(pair {c:a} >> (32 - x)) + b + carry; z: c is the sign of a; y counts inverted negated terms."""
    p = np.int64(0)
    for lane in range(32):
        value = signed(R[a, lane]) if i.z else np.int64(pair(R[a, lane], R[c, lane]))
        high = (value >> (32 - i.x)) & ALL_LANES if i.x else (value >> 32) & ALL_LANES
        total = high + np.int64(R[b, lane]) + i.y + ((in0 >> lane) & 1)
        R[0, lane] = total
        p |= np.int64(total >= (1 << 32)) << lane
    return p


@njit
def shf(R: Registers, i: Decoded, a: Row, b: Row, c: Row) -> None:
    """Funnel shift of the pair {c:a} by b; the flags in x choose direction, half, wrap or clamp, sign and width."""
    limit = 64 if i.x & SHF_64 else 32
    for lane in range(32):
        amount: Number = np.int64(R[b, lane])
        amount = amount & (limit - 1) if i.x & SHF_WRAP else min(amount, limit)
        first, second = amount >> 1, amount - (amount >> 1)  # two steps: a shift by 64 is undefined
        value = pair(R[a, lane], R[c, lane])
        if i.x & SHF_RIGHT == 0:
            shifted = (value << np.uint64(first)) << np.uint64(second)
        elif i.x & SHF_SIGNED:
            shifted = np.uint64((np.int64(value) >> first) >> second)
        else:
            shifted = (value >> np.uint64(first)) >> np.uint64(second)
        R[0, lane] = shifted >> np.uint64(32) if i.x & SHF_HIGH else shifted


@njit
def prmt(R: Registers, i: Decoded, a: Row, b: Row, c: Row) -> None:
    """Pick four bytes of {c:a} by the nibbles of b (bit 3: replicate the sign); x: the PTX prmt mode, 0 for none."""
    for lane in range(32):
        source, control = pair(R[a, lane], R[c, lane]), np.int64(R[b, lane])
        s: Number = control & 3
        result = np.int64(0)
        for byte in range(4):
            if i.x == 0:
                pick: Number = (control >> (4 * byte)) & 15
            elif i.x == 1:  # F4E
                pick = s + byte
            elif i.x == 2:  # B4E
                pick = (s - byte) & 7
            elif i.x == 3:  # RC8
                pick = s
            elif i.x == 4:  # ECL
                pick = max(s, byte)
            elif i.x == 5:  # ECR
                pick = min(s, byte)
            else:  # RC16
                pick = 2 * (s & 1) + (byte & 1)
            value: Number = np.int64((source >> np.uint64(8 * (pick & 7))) & np.uint64(255))
            if pick & 8:
                value = 255 if value & 128 else 0
            result |= value << (8 * byte)
        R[0, lane] = result


@njit
def popc(R: Registers, a: Row) -> None:
    for lane in range(32):
        R[0, lane] = popcount32(R[a, lane])


@njit
def flo(R: Registers, i: Decoded, a: Row) -> Mask:
    """Index of the highest set bit (x: of the highest bit that differs from the sign), all ones if none; y: 31 - it.

    p: a bit was found.
    """
    p = np.int64(0)
    for lane in range(32):
        word = R[a, lane]
        if i.x and word >> np.uint32(31):
            word = np.uint32(~word)
        zeros = leading_zeros32(word)
        R[0, lane] = np.int64(-1) if zeros == 32 else (zeros if i.y else 31 - zeros)
        p |= np.int64(zeros != 32) << lane
    return p


@njit
def brev(R: Registers, a: Row) -> None:
    for lane in range(32):
        word, result = np.int64(R[a, lane]), np.int64(0)
        for bit in range(32):
            result |= ((word >> bit) & 1) << (31 - bit)
        R[0, lane] = result


@njit
def sgxt(R: Registers, i: Decoded, a: Row, b: Row) -> None:
    """Extend a from b bits; x: signed; y: b wraps at 32 instead of clamping."""
    for lane in range(32):
        bits: Number = np.int64(R[b, lane])
        bits = bits & 31 if i.y else min(bits, 32)
        word = np.int64(R[a, lane]) & ((np.int64(1) << bits) - 1)
        negative = i.x and bits > 0 and (word >> (bits - 1)) & 1
        R[0, lane] = word - (np.int64(1) << bits) if negative else word


@njit
def bmsk(R: Registers, i: Decoded, a: Row, b: Row) -> None:
    """A mask of b ones from bit a upwards; y: both wrap at 32 instead of clamping."""
    for lane in range(32):
        position: Number = np.int64(R[a, lane])
        width: Number = np.int64(R[b, lane])
        position = position & 31 if i.y else min(position, 32)
        width = width & 31 if i.y else min(width, 32)
        R[0, lane] = ((np.int64(1) << width) - 1) << position


@njit
def iabs(R: Registers, a: Row) -> None:
    for lane in range(32):
        R[0, lane] = abs(signed(R[a, lane]))


@njit
def element(word: Word | Number, shift: Number, bits: Number, is_signed: Flag) -> np.int64:
    """`bits` bits of a word from `shift`, as a number."""
    value = (np.int64(word) >> shift) & ((np.int64(1) << bits) - 1)
    return value - (np.int64(1) << bits) if is_signed and value >> (bits - 1) else value


@njit
def idp(R: Registers, i: Decoded, a: Row, b: Row, c: Row) -> None:
    """Dot product plus c. x: 4 (bytes) or 2 (halves of a, bytes of b); y bits: a signed, b signed, high bytes."""
    bits = 8 if i.x == 4 else 16
    first = 16 if i.y & 4 else 0
    for lane in range(32):
        total = np.int64(R[c, lane])
        for k in range(i.x):
            left = element(R[a, lane], bits * k, bits, i.y & 1)
            total += left * element(R[b, lane], first + 8 * k, 8, i.y & 2)
        R[0, lane] = total


@njit
def vabsdiff(R: Registers, i: Decoded, a: Row, b: Row, c: Row) -> None:
    """|a - b| + c; x: signed."""
    for lane in range(32):
        left = signed(R[a, lane]) if i.x else np.int64(R[a, lane])
        right = signed(R[b, lane]) if i.x else np.int64(R[b, lane])
        R[0, lane] = abs(left - right) + np.int64(R[c, lane])


@njit
def vabsdiff4(R: Registers, i: Decoded, a: Row, b: Row, c: Row) -> None:
    """Absolute differences of four bytes; y: their sum plus c, else packed. x: signed."""
    for lane in range(32):
        total, packed = np.int64(R[c, lane]), np.int64(0)
        for k in range(4):
            difference = abs(element(R[a, lane], 8 * k, 8, i.x) - element(R[b, lane], 8 * k, 8, i.x))
            total += difference
            packed |= (difference & 255) << (8 * k)
        R[0, lane] = total if i.y else packed


@njit
def vector_element(word: Word, k: Number, x: Flags) -> Number:
    """Half k (x & VECTOR_HALVES) or the whole of a word, as a number."""
    if x & VECTOR_HALVES:
        return element(word, 16 * k, 16, x & VECTOR_SIGNED)
    return signed(word) if x & VECTOR_SIGNED else np.int64(word)


@njit
def vector_limit(R: Registers, i: Decoded, a: Row, b: Row, c: Row, in0: Mask) -> MaskPair:
    """Minimum (where in0) or maximum of a and b; y: of a, b and c; or of a + b, which wraps, and c. x: VECTOR flags.

    p, and q for the high half: a was chosen, also where both are equal.
    """
    p, q = np.int64(0), np.int64(0)
    bits = 16 if i.x & VECTOR_HALVES else 32
    for lane in range(32):
        least, packed = (in0 >> lane) & 1 == 1, np.int64(0)
        for k in range(32 // bits):
            u, v = vector_element(R[a, lane], k, i.x), vector_element(R[b, lane], k, i.x)
            w = vector_element(R[c, lane], k, i.x)
            if i.y == SUM_AND_ONE:
                u, v = element((u + v) & ALL_LANES, 0, bits, i.x & VECTOR_SIGNED), w
            result = min(u, v) if least else max(u, v)
            if i.y == THREE:
                result = min(result, w) if least else max(result, w)
            if i.x & VECTOR_RELU:
                result = max(result, np.int64(0))
            packed |= (result & ((np.int64(1) << bits) - 1)) << (bits * k)
            chosen = np.int64(u <= v if least else u >= v) << lane
            p, q = (p | chosen, q) if k == 0 else (p, q | chosen)
        R[0, lane] = packed
    return p | (q << 32)


@njit
def add_halves(R: Registers, i: Decoded, a: Row, b: Row) -> None:
    """Halves of a and b added, each to its own; x: a is negated, y: b is."""
    for lane in range(32):
        packed = np.int64(0)
        for k in range(2):
            u, v = element(R[a, lane], 16 * k, 16, 0), element(R[b, lane], 16 * k, 16, 0)
            packed |= (((-u if i.x else u) + (-v if i.y else v)) & 0xFFFF) << (16 * k)
        R[0, lane] = packed


@njit
def execute(op: Operation, R: Registers, i: Decoded, a: Row, b: Row, c: Row, in0: Mask, in1: Mask) -> MaskPair:
    """Run one integer operation; see the module's docstring."""
    result: MaskPair = np.int64(0)
    if op == IADD3:
        iadd3(R, a, b, c)
    elif op == IMAD:
        imad(R, a, b, c)
    elif op == MOV:
        mov(R, a, 1)
    elif op == ISETP:
        result = isetp(R, i, a, b, in0, in1)
    elif op == LOP3:
        result = lop3(R, i, a, b, c, in0)
    elif op == IMAD_WIDE:
        result = imad_wide(R, i, a, b, c, in0)
    elif op == SHF:
        shf(R, i, a, b, c)
    elif op == IADD3_CARRY:
        result = iadd3_carry(R, i, a, b, c, in0, in1)
    elif op == LEA:
        result = lea(R, i, a, b, in0)
    elif op == LEA_HI:
        result = lea_hi(R, i, a, b, c, in0)
    elif op == SEL:
        sel(R, a, b, in0)
    elif op == IMNMX:
        imnmx(R, i, a, b, in0)
    elif op == IMAD_CARRY:
        result = imad_carry(R, i, a, b, c, in0)
    elif op == IMAD_HI:
        imad_hi(R, i, a, b, c, in0)
    elif op == PRMT:
        prmt(R, i, a, b, c)
    elif op == POPC:
        popc(R, a)
    elif op == FLO:
        result = flo(R, i, a)
    elif op == BREV:
        brev(R, a)
    elif op == SGXT:
        sgxt(R, i, a, b)
    elif op == BMSK:
        bmsk(R, i, a, b)
    elif op == IABS:
        iabs(R, a)
    elif op == IDP:
        idp(R, i, a, b, c)
    elif op == VABSDIFF:
        vabsdiff(R, i, a, b, c)
    elif op == VABSDIFF4:
        vabsdiff4(R, i, a, b, c)
    elif op == VECTOR_LIMIT:
        result = vector_limit(R, i, a, b, c, in0)
    elif op == ADD_HALVES:
        add_halves(R, i, a, b)
    elif op == MOV64:
        mov(R, a, 2)
    return result
