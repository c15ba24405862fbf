"""Pieces of streams from how they are stored to how the pools of State hold them, in one pass.

`gpusim.trace.pieces` says how a piece is stored and reads it with NumPy, which takes ten times as long for columns that
short. Whatever is not plain (a contradiction, an address near the ends of the address space) is refused here and left
to that: it tells what is wrong, or takes it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gpusim.constants import ADDRESS_SPACE, EXPLICIT, WARP_SIZE
from gpusim.jit import inlined, kernel, njit, popcount64
from gpusim.model.state import LANES, MASK_SHIFT
from gpusim.model.types import Flag, Mask, Place

INDEX, MASK, MARKS, BASE, STRIDE, STEPS, COLUMNS = 0, 1, 2, 3, 4, 5, 6
"""Columns of a piece, as `gpusim.trace.pieces.NAMES` has them, and how many there are."""
HEADER_BYTES = 8 * COLUMNS
"""Of the table in front of them: per column its length and its type, of four bytes each."""
TYPES, WIDEST = 8, 3
"""Types are u1, u2, u4, u8, then i1, i2, i4, i8: the two low bits are the logarithm of the size."""
RECORDS_AT_MOST = 2
"""Memory records of an instruction."""
LENGTH_BITS, LENGTH = 6, 63
"""Of a list of addresses, in a word of the hash table of lists; the bits above are where it begins."""
HASHED = (1 << 49) - 1
"""A hash stays below this, as addresses do, so that no product overflows."""


class Workspace(NamedTuple):
    """What a piece becomes, and what making it takes. Arrays may be longer than what is in them.

    Attributes:
        words: (instructions,) as State.stream. records: (records, 2) start and stride; explicit starts count from 0.
        addresses: (addresses,) the lists of explicit records, each that repeats once.
        sizes: (2,) records and addresses that there are.
        columns: (COLUMNS, 4) place of each column in the piece, its length, size of an element, whether it is signed.
        column: (elements,) one of them.
        slots: (2 * static instructions,) next record of a static operand, of those ordered by it.
        starts, strides: (records,) of the records in that order; stride EXPLICIT of explicit ones.
        table: (a power of two,) hash table of lists.
    """

    words: np.ndarray
    records: np.ndarray
    addresses: np.ndarray
    sizes: np.ndarray
    columns: np.ndarray
    column: np.ndarray
    slots: np.ndarray
    starts: np.ndarray
    strides: np.ndarray
    table: np.ndarray


@inlined
def word_at(content: np.ndarray, place: Place) -> int:
    """Four bytes of a header."""
    found: Any = np.int64(0)
    for byte in range(4):
        found |= np.int64(content[place + byte]) << 8 * byte
    return found


@njit
def read_column(content: np.ndarray, W: Workspace, column: int, found: np.ndarray) -> None:
    """Fill `found` with a column: first come the lowest bytes of all elements, then the next ones."""
    place, count, size = W.columns[column, 0], W.columns[column, 1], W.columns[column, 2]
    for number in range(count):
        found[number] = 0
    for byte in range(size):
        for number in range(count):
            found[number] |= np.int64(content[place + number]) << 8 * byte
        place += count
    unused = 64 - 8 * size
    if W.columns[column, 3]:
        for number in range(count):
            found[number] = found[number] << unused >> unused


@njit
def read_header(content: np.ndarray, W: Workspace, instructions: int) -> Flag:
    """Find the columns of a piece of so many instructions. False where they are not what they should be."""
    place = HEADER_BYTES
    if content.size < place:
        return False
    for column in range(COLUMNS):
        count, kind = word_at(content, 8 * column), word_at(content, 8 * column + 4)
        if kind >= TYPES:
            return False
        W.columns[column, 0] = place
        W.columns[column, 1] = count
        W.columns[column, 2] = 1 << (kind & WIDEST)
        W.columns[column, 3] = kind > WIDEST
        place += count << (kind & WIDEST)
    return place == content.size and W.columns[INDEX, 1] == instructions and W.columns[MASK, 1] == instructions


@njit
def read_instructions(content: np.ndarray, W: Workspace, records_of: np.ndarray, instructions: int) -> int:
    """Fill `words`, and count in `slots` the executed records of every static operand. Returns their sum, -1 where an
    instruction is none of the program's."""
    read_column(content, W, INDEX, W.words)
    read_column(content, W, MASK, W.column)
    for slot in range(W.slots.size):
        W.slots[slot] = 0
    executed: Any = 0
    for number in range(instructions):
        index, mask = W.words[number], W.column[number]
        if index < 0 or index >= records_of.size or mask & ~LANES:
            return -1
        W.words[number] = mask << MASK_SHIFT | index
        if mask:
            records = np.int64(records_of[index])
            executed += records
            for k in range(records):
                W.slots[RECORDS_AT_MOST * index + k] += 1
    return executed


@njit
def read_records(content: np.ndarray, W: Workspace, executed: int) -> Flag:
    """Fill `starts` and `strides`, let `slots` say where the records of each begin. False on a contradiction."""
    if W.columns[MARKS, 1] != executed or W.columns[BASE, 1] != executed or W.columns[STRIDE, 1] > executed:
        return False
    before = 0
    for slot in range(W.slots.size):
        count = W.slots[slot]
        W.slots[slot] = before
        before += count
    read_column(content, W, BASE, W.starts)
    read_column(content, W, MARKS, W.strides)
    read_column(content, W, STRIDE, W.column)
    strided = 0
    start: Any = np.int64(0)
    for number in range(executed):
        start += W.starts[number]
        W.starts[number] = start
        if W.strides[number]:
            W.strides[number] = EXPLICIT
            continue
        if strided >= W.columns[STRIDE, 1]:
            return False
        stride = W.column[strided]
        if not -ADDRESS_SPACE <= stride <= ADDRESS_SPACE or not inside(start, stride):
            return False
        W.strides[number] = stride
        strided += 1
    return strided == W.columns[STRIDE, 1]


@inlined
def inside(start: int, stride: int) -> Flag:
    """Whether all lanes of a warp reach into the address space, executed or not."""
    last = start + (WARP_SIZE - 1) * stride
    return 0 <= start < ADDRESS_SPACE and 0 <= last < ADDRESS_SPACE


@inlined
def mixed(found: int, address: int) -> int:
    """The hash of a list of addresses with one more."""
    return ((found ^ address) * 8191 + (found >> 20)) & HASHED


@inlined
def equal(addresses: np.ndarray, one: Place, other: Place, length: int) -> Flag:
    for lane in range(length):
        if addresses[one + lane] != addresses[other + lane]:
            return False
    return True


@inlined
def clear_table(table: np.ndarray, lists: int) -> Mask:
    """Make as much of a hash table empty as so many lists need. Returns the mask of places in it."""
    size = 2
    while size < 2 * lists:
        size *= 2
    for place in range(size):
        table[place] = 0
    return size - 1


@inlined
def first_equal(addresses: np.ndarray, table: np.ndarray, places: Mask, used: Place, length: int, found: int) -> Place:
    """Where the first list lies that is equal to the one at `used`, of such a hash. `places`: from `clear_table`."""
    place = (found ^ found >> 15) & places
    while table[place]:
        known = table[place] - 1
        if known & LENGTH == length and equal(addresses, known >> LENGTH_BITS, used, length):
            return known >> LENGTH_BITS
        place = (place + 1) & places
    table[place] = (used << LENGTH_BITS | length) + 1
    return used


@inlined
def read_list(W: Workspace, first: Place, base: int, lanes: int, used: Place) -> int:
    """Write a list of addresses at `used`: a base, then differences, from element `first` of the column on. Returns its
    hash, -1 on an address outside the address space."""
    address, found = base, 0
    for lane in range(lanes):
        step = W.column[first + lane]
        address += step
        if not -ADDRESS_SPACE < step < ADDRESS_SPACE or not 0 <= address < ADDRESS_SPACE:
            return -1
        W.addresses[used + lane] = address
        found = mixed(found, address)
    return found


@njit
def place_records(W: Workspace, records_of: np.ndarray, instructions: int, steps: int, explicit: int) -> Flag:
    """Fill `records` and `addresses` from the steps between addresses, in `column`, of so many
    explicit records. False on a contradiction."""
    places = clear_table(W.table, explicit)
    record, used, listed = 0, 0, 0
    for number in range(instructions):
        index, mask = W.words[number] & LANES, W.words[number] >> MASK_SHIFT & LANES
        for k in range(np.int64(records_of[index])):
            start, stride = 0, 0
            if mask:
                slot = RECORDS_AT_MOST * index + k
                start, stride = W.starts[W.slots[slot]], W.strides[W.slots[slot]]
                W.slots[slot] += 1
            if stride == EXPLICIT:
                lanes = popcount64(mask)
                if listed + lanes > steps or W.column[listed]:
                    return False
                found = read_list(W, listed, start, lanes, used)
                if found < 0:
                    return False
                start = first_equal(W.addresses, W.table, places, used, lanes, found)
                listed += lanes
                used += lanes if start == used else 0
            W.records[record, 0], W.records[record, 1] = start, stride
            record += 1
    W.sizes[0], W.sizes[1] = record, used
    return listed == steps


@kernel
def unpack(content: np.ndarray, W: Workspace, records_of: np.ndarray, instructions: int) -> Flag:
    """Read a piece into a workspace that has room for it. False where it is not plain.

    content: (bytes,) uint8. records_of: Program.address_counts. instructions: that the piece has.
    """
    if not read_header(content, W, instructions):
        return False
    executed = read_instructions(content, W, records_of, instructions)
    if executed < 0 or not read_records(content, W, executed):
        return False
    explicit = executed - W.columns[STRIDE, 1]
    read_column(content, W, STEPS, W.column)
    return place_records(W, records_of, instructions, W.columns[STEPS, 1], explicit)


@kernel
def share(starts: np.ndarray, lengths: np.ndarray, addresses: np.ndarray, shared: np.ndarray, table: np.ndarray) -> int:
    """Copy lists of addresses to `shared`, each that repeats once. Returns how many addresses are there then.

    starts, lengths: (lists,) of each list in `addresses`; the starts become those in `shared`. table: twice as many
    words as lists at least, and a power of two.
    """
    places = clear_table(table, starts.size)
    used = 0
    for number in range(starts.size):
        found = 0
        for lane in range(lengths[number]):
            address = addresses[starts[number] + lane]
            shared[used + lane] = address
            found = mixed(found, address)
        starts[number] = first_equal(shared, table, places, used, lengths[number], found)
        used += lengths[number] if starts[number] == used else 0
    return used
