"""Operands: row numbers, predicate masks and source modifiers."""

from __future__ import annotations

import numpy as np

from gpusim.constants import ALL_LANES
from gpusim.emulator.bits import double_to_half, pair, word_to_float
from gpusim.emulator.state import FIELD, PAIR_HIGH, PAIR_INVERT, PAIR_NEGATE, SOURCE_ROW, WORD
from gpusim.emulator.types import Flag, Mask, Modifier, Number, Predicate, Predicates, Registers, RelativeRow, Row
from gpusim.jit import njit

# Half choices in the `extra` column of modifier HALVES.
H1_H0, H0_H0, H1_H1, H0_H1, FROM_FLOAT, H0_NEGATED_H1 = range(6)


@njit(forceinline=True)
def row_of(code: RelativeRow, base: Row) -> Row:
    """Row of a decoded operand: relative to the warp's first row, or absolute where it is negative."""
    return base + code if code >= 0 else ~code


@njit(forceinline=True)
def predicate(P: Predicates, index: Predicate, negated: Flag) -> Mask:
    """Lane mask of a predicate source; P is the warp's row of predicates."""
    mask = np.int64(P[index])
    return mask ^ ALL_LANES if negated else mask


@njit
def modify_word(R: Registers, source: Row, target: Row, m: Modifier) -> None:
    for lane in range(32):
        R[target, lane] = (np.int64(R[source, lane] & m[1]) ^ np.int64(m[2])) + np.int64(m[3])


@njit
def modify_pair(R: Registers, source: Row, target: Row, m: Modifier) -> None:
    mode = m[0]
    for lane in range(32):
        value = np.int64(pair(R[source, lane], R[source + 1, lane]))
        if mode == PAIR_NEGATE:
            value = -value
        elif mode == PAIR_INVERT:
            value = ~value
        else:
            high = ((value >> 32) & np.int64(m[1])) ^ np.int64(m[2])
            value = (value & ALL_LANES) | (high << 32)
        R[target, lane] = value
        R[target + 1, lane] = value >> 32


@njit
def modify_field(R: Registers, source: Row, target: Row, m: Modifier) -> None:
    for lane in range(32):
        R[target, lane] = (R[source, lane] >> m[3]) & m[1]


@njit
def modify_halves(R: Registers, source: Row, target: Row, m: Modifier) -> None:
    choice = m[3]
    for lane in range(32):
        word = np.int64(R[source, lane])
        low, high = word & 0xFFFF, word >> 16
        if choice == H0_H0:
            high = low
        elif choice == H1_H1:
            low = high
        elif choice == H0_H1:
            low, high = high, low
        elif choice == FROM_FLOAT:
            low = np.int64(double_to_half(np.float64(word_to_float(R[source, lane]))))
            high = low
        elif choice == H0_NEGATED_H1:
            high ^= 0x8000
        R[target, lane] = ((low | (high << 16)) & np.int64(m[1])) ^ np.int64(m[2])


@njit
def modified(R: Registers, source: Row, modifier: Modifier, k: Number) -> Row:
    """Apply a source's modifier into its scratch rows; returns the row to read."""
    mode = modifier[0]
    if mode == 0:
        return source
    target = np.int64(SOURCE_ROW + 2 * k)
    if mode == WORD:
        modify_word(R, source, target, modifier)
    elif mode == PAIR_HIGH or mode == PAIR_NEGATE or mode == PAIR_INVERT:
        modify_pair(R, source, target, modifier)
    elif mode == FIELD:
        modify_field(R, source, target, modifier)
    else:
        modify_halves(R, source, target, modifier)
    return target


@njit
def write_back(R: Registers, target: Row, words: Number, mask: Mask) -> None:
    """Copy the result rows to a destination in the lanes of mask."""
    for k in range(words):
        if mask == ALL_LANES:
            for lane in range(32):
                R[target + k, lane] = R[k, lane]
        else:
            for lane in range(32):
                if (mask >> lane) & 1:
                    R[target + k, lane] = R[k, lane]


@njit(forceinline=True)
def write_predicate(P: Predicates, index: Predicate, value: Mask, mask: Mask) -> None:
    """Set a predicate in the lanes of mask; PT (7) and UPT (15) drop it."""
    if index & 7 != 7:
        P[index] = (np.int64(P[index]) & ~mask) | (value & mask)
