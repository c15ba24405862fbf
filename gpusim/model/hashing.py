"""Pseudo-random interleaving: which L2 slice, set, DRAM bank and row a line falls into.

The power-of-two part of a number is the remainder of the address polynomial modulo an irreducible polynomial over
GF(2) (B. R. Rau, Pseudo-randomly interleaved memory, ISCA 1991). Each of its bits is the parity of some address bits.
"""

from __future__ import annotations

import numpy as np

from gpusim.jit import inlined, popcount64

ADDRESS_BITS = 50  # of a line number, local memory included
POLYNOMIALS = (0b1, 0b11, 0b111, 0b1011, 0b10011, 0b100101, 0b1000011, 0b10000011, 0b100011101,
               0b1000010001, 0b10000001001, 0b100000000101, 0b1000001010011, 0b10000000011011,
               0b100010001000011, 0b1000000000000011, 0b10001000000001011)  # fmt: skip
"""Primitive polynomials of degree 0 to 16, from the customary tables of shift registers."""
MAX_BITS = len(POLYNOMIALS) - 1


def split(count: int) -> tuple[int, int]:
    """(odd, bits) with count = odd * 2^bits."""
    bits = (count & -count).bit_length() - 1
    return count >> bits, bits


def parity_masks(bits: int) -> np.ndarray:
    """For each bit of the remainder the address bits whose parity it is; (MAX_BITS,) int64."""
    masks = [0] * MAX_BITS
    remainder = 1 if bits else 0
    for position in range(ADDRESS_BITS):
        for bit in range(bits):
            masks[bit] |= (remainder >> bit & 1) << position
        remainder <<= 1
        if remainder >> bits & 1:
            remainder ^= POLYNOMIALS[bits]
    return np.array(masks, np.int64)


@inlined
def spread(masks: np.ndarray, row: int, value: int, odd: int, bits: int) -> int:
    """A number below odd * 2^bits; row chooses the masks of `bits`. Neighbours and strides spread over all."""
    number = 0
    for bit in range(bits):
        number |= (popcount64(value & masks[row, bit]) & 1) << bit
    if odd > 1:
        block = value >> bits
        number |= (block + block // odd) % odd << bits
    return number
