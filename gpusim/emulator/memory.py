"""Loads, stores, atomics and their addresses.

Memory is one array of 32-bit words: global memory from word 0 (address GLOBAL_BASE), then the CTA's shared memory,
every thread's local memory, and the constant banks. Every access is checked: it must be aligned to its size and lie
inside one allocation, or the emulation stops and names the place.

Within one instruction, lanes act in ascending order. That is the order of atomics in a warp; hardware promises none.
What changes memory counts in control[CHANGES], by which livelock.py knows that a CTA gets on.
"""

from __future__ import annotations

import numpy as np

from gpusim.constants import LOCAL_WINDOW, SHARED_WINDOW, WINDOW_BYTES
from gpusim.emulator.bits import trailing_zeros32
from gpusim.emulator.state import (
    CHANGES,
    CONSTANT_BYTES,
    CONSTANT_WORD,
    ERROR,
    ERROR_ADDRESS,
    ERROR_LANE,
    GLOBAL_BASE,
    GRANULE,
    LOCAL_BYTES,
    LOCAL_WORD,
    MISALIGNED,
    MISSED,
    MISSED_ADDRESS,
    OUT_OF_BOUNDS,
    SHARED_BYTES,
    SHARED_WORD,
    ZERO_WORD,
    Machine,
)
from gpusim.emulator.trace_log import record
from gpusim.emulator.types import (
    Address,
    Bank,
    Bytes,
    Decoded,
    ErrorCode,
    Flag,
    Index,
    Lane,
    Mask,
    Row,
    Space,
    Thread,
    Warp,
    WordIndex,
)
from gpusim.jit import njit

LOAD, STORE, ATOMIC, LDGSTS, LDSM, TOUCH, STSM, QSPC, ARRIVE, TEXTURE, SURFACE_LOAD, SURFACE_STORE = range(50, 62)

# MemorySpace values that compiled code tells apart.
GLOBAL, SHARED, LOCAL, CONSTANT, GENERIC = 1, 2, 3, 4, 5
ADDRESSES = 1 << 48
"""Of global memory; a read at any other is an error in lenient launches, too."""


@njit
def addresses(m: Machine, i: Decoded, a: Row, b: Row) -> None:
    """Byte address of every lane: register * scale + uniform register + offset, into m.address[0]."""
    R = m.registers
    for lane in range(32):
        base = np.int64(R[a, lane])
        if i.wide & 1:
            base |= np.int64(R[a + 1, lane]) << 32
        uniform = np.int64(R[b, lane])
        if i.wide & 2:
            uniform |= np.int64(R[b + 1, lane]) << 32
        m.address[0, lane] = base * i.scale + uniform + i.offset
    if i.access == SHARED or i.access == LOCAL or i.access == CONSTANT:
        for lane in range(32):
            m.address[0, lane] &= 0xFFFFFFFF


@njit
def window_of(address: Address) -> Space:
    """The space that a generic address lies in."""
    if SHARED_WINDOW <= address < SHARED_WINDOW + WINDOW_BYTES:
        return SHARED
    return LOCAL if LOCAL_WINDOW <= address < LOCAL_WINDOW + WINDOW_BYTES else GLOBAL


@njit
def lanes_in(m: Machine, space: Space, mask: Mask) -> Mask:
    """Lanes of mask whose address in m.address[0] is in a space."""
    found = np.int64(0)
    for lane in range(32):
        if (mask >> lane) & 1 and window_of(m.address[0, lane]) == space:
            found |= np.int64(1) << lane
    return found


@njit
def word_of(m: Machine, thread: Thread, space: Space, address: Address, size: Bytes, bank: Bank) -> WordIndex:
    """Word index in m.memory of an access, or -1 if it lies outside every allocation."""
    g = m.geometry
    if space == GENERIC:
        space = window_of(address)
        if space != GLOBAL:
            address -= SHARED_WINDOW if space == SHARED else LOCAL_WINDOW
    if space == SHARED:
        return g[SHARED_WORD] + (address >> 2) if 0 <= address and address + size <= g[SHARED_BYTES] else np.int64(-1)
    if space == LOCAL:
        inside = 0 <= address and address + size <= g[LOCAL_BYTES]
        return g[LOCAL_WORD] + ((thread * g[LOCAL_BYTES] + address) >> 2) if inside else np.int64(-1)
    if space == CONSTANT:
        inside = 0 <= address and address + size <= g[CONSTANT_BYTES + bank]
        return g[CONSTANT_WORD + bank] + (address >> 2) if inside else np.int64(-1)
    place = address - GLOBAL_BASE
    if place < 0 or place // GRANULE >= m.granules.size:
        return np.int64(-1)
    allocation = m.granules[place // GRANULE]
    return place >> 2 if allocation > 0 and place + size <= m.ends[allocation] else np.int64(-1)


@njit
def fail(m: Machine, code: ErrorCode, lane: Lane, address: Address) -> bool:
    m.control[ERROR] = code
    m.control[ERROR_LANE] = lane
    m.control[ERROR_ADDRESS] = address
    return False


@njit
def forgiven(m: Machine, space: Space, address: Address) -> bool:
    """Whether a lenient launch may read zero at an address that lies in no allocation; counts the lanes that do."""
    if m.geometry[ZERO_WORD] == 0 or not 0 <= address < ADDRESSES or (space != GLOBAL and space != GENERIC):
        return False
    if space == GENERIC and window_of(address) != GLOBAL:
        return False
    m.control[MISSED] += 1
    m.control[MISSED_ADDRESS] = address
    return True


@njit
def note_missed(m: Machine, pc: Index) -> None:
    """Keep what an instruction has read outside every buffer."""
    if m.missed[pc, 0] == 0:
        m.missed[pc, 1] = m.control[MISSED_ADDRESS]
    m.missed[pc, 0] += m.control[MISSED]
    m.control[MISSED] = 0


@njit
def locate(m: Machine, w: Warp, space: Space, size: Bytes, bank: Bank, mask: Mask, reads: Flag = False) -> bool:
    """Check m.address[0] of the active lanes and put their word indices into m.address[1]; False after an error.

    reads: nothing is written there, so that a lenient launch may read zero outside every buffer.
    """
    if mask == 0:
        return True
    ored = np.int64(0)
    low, high = np.int64(0x7FFFFFFFFFFFFFFF), np.int64(-0x8000000000000000)
    for lane in range(32):
        if (mask >> lane) & 1:
            address = m.address[0, lane]
            ored |= address
            low, high = min(low, address), max(high, address)
    if ored & (size - 1) == 0 and space == GLOBAL:
        first, last = low - GLOBAL_BASE, high - GLOBAL_BASE
        if first >= 0 and last // GRANULE < m.granules.size:
            allocation = m.granules[first // GRANULE]
            if allocation > 0 and last + size <= m.ends[allocation]:
                for lane in range(32):
                    m.address[1, lane] = (m.address[0, lane] - GLOBAL_BASE) >> 2
                return True
    for lane in range(32):
        if (mask >> lane) & 1:
            address = m.address[0, lane]
            if address & (size - 1):
                return fail(m, MISALIGNED, lane, address)
            word = word_of(m, w * 32 + lane, space, address, size, bank)
            if word < 0 and reads and forgiven(m, space, address):
                word = m.geometry[ZERO_WORD]
            if word < 0:
                return fail(m, OUT_OF_BOUNDS, lane, address)
            m.address[1, lane] = word
    return True


@njit
def load(m: Machine, i: Decoded, size: Bytes, mask: Mask) -> None:
    """Active lanes' words into the result rows; x: sign extension of bytes and halves."""
    R, M = m.registers, m.memory
    if size >= 4:
        for k in range(size >> 2):
            for lane in range(32):
                if (mask >> lane) & 1:
                    R[k, lane] = M[m.address[1, lane] + k]
        return
    bits = 8 * size
    for lane in range(32):
        if (mask >> lane) & 1:
            value = (np.int64(M[m.address[1, lane]]) >> (8 * (m.address[0, lane] & 3))) & ((1 << bits) - 1)
            if i.x and value >> (bits - 1):
                value -= 1 << bits
            R[0, lane] = value


@njit
def store(m: Machine, row: Row, size: Bytes, mask: Mask) -> None:
    """Active lanes' registers from `row` into memory, lanes in ascending order."""
    R, M = m.registers, m.memory
    changed = np.uint32(0)
    for lane in range(32):
        if (mask >> lane) & 1 == 0:
            continue
        word = m.address[1, lane]
        if size >= 4:
            for k in range(size >> 2):
                changed |= M[word + k] ^ R[row + k, lane]
                M[word + k] = R[row + k, lane]
        else:
            shift = 8 * (m.address[0, lane] & 3)
            keep = ((np.int64(1) << (8 * size)) - 1) << shift
            new = np.uint32((np.int64(M[word]) & ~keep) | ((np.int64(R[row, lane]) << shift) & keep))
            changed |= M[word] ^ new
            M[word] = new
    m.control[CHANGES] += np.int64(changed != np.uint32(0))


@njit
def copy_source(m: Machine, i: Decoded, c: Row, d: Row, copied: Mask) -> None:
    """Global addresses of LDGSTS into m.address[0]; returns nothing, but puts the bytes to copy into m.address[1].

    Lanes outside `copied` fill with zeros. With .ZFILL (y) the low bits of an address say how many bytes of the
    access are not copied but zero; the compiler turns the source size of cp.async into that.
    """
    R = m.registers
    for lane in range(32):
        base, uniform = np.int64(R[c, lane]), np.int64(R[d, lane])
        if i.wide & 1:
            base |= np.int64(R[c + 1, lane]) << 32
        if i.wide & 2:
            uniform |= np.int64(R[d + 1, lane]) << 32
        address = base + uniform + i.z
        missing = address & (i.bytes - 1) if i.y else np.int64(0)
        m.address[0, lane] = address - missing
        m.address[1, lane] = i.bytes - missing if (copied >> lane) & 1 else np.int64(0)


@njit
def copy_to_shared(m: Machine, w: Warp, i: Decoded, a: Row, b: Row, c: Row, d: Row, mask: Mask, copied: Mask) -> bool:
    """LDGSTS: a and b form the shared address, c and d the global one; records the source, then the destination.

    offset: of the shared address; z: of the global one. Lanes outside `copied` write zeros and read nothing.
    """
    R, M = m.registers, m.memory
    copy_source(m, i, c, d, copied)
    counts, source = m.address[3], m.address[2]
    for lane in range(32):
        counts[lane] = m.address[1, lane]
    reading = mask & copied
    if not locate(m, w, GLOBAL, i.bytes, 0, reading, True):
        return False
    if reading != 0 and reading != mask:  # lanes that read nothing are recorded where they add no sector
        for lane in range(32):
            if (reading >> lane) & 1 == 0:
                m.address[0, lane] = m.address[0, trailing_zeros32(np.uint32(reading))]
    record(m, mask)
    for lane in range(32):
        source[lane] = m.address[1, lane]
        m.address[0, lane] = (np.int64(R[a, lane]) * i.scale + np.int64(R[b, lane]) + i.offset) & 0xFFFFFFFF
    if not locate(m, w, SHARED, i.bytes, 0, mask):
        return False
    record(m, mask)
    changed = np.uint32(0)
    for lane in range(32):
        if (mask >> lane) & 1:
            for k in range(i.bytes >> 2):
                kept = min(max(counts[lane] - 4 * k, 0), 4)
                new = np.uint32(0)
                if kept > 0:
                    new = M[source[lane] + k] & np.uint32(0xFFFFFFFF >> (32 - 8 * kept))
                changed |= M[m.address[1, lane] + k] ^ new
                M[m.address[1, lane] + k] = new
    m.control[CHANGES] += np.int64(changed != np.uint32(0))
    return True


@njit
def load_matrices(m: Machine, w: Warp, i: Decoded) -> bool:
    """LDSM: x 8x8 matrices of 16-bit elements; lane 8 * k + r names row r of matrix k. y: transposed.

    Lane l receives elements 2 * (l % 4) and the next one of row l / 4 (PTX ISA, ldmatrix).
    """
    R, M = m.registers, m.memory
    used = np.int64(0xFFFFFFFF) >> (32 - 8 * i.x)
    if not locate(m, w, SHARED, 16, 0, used):
        return False
    for k in range(i.x):
        for lane in range(32):
            row, column = lane >> 2, lane & 3
            if i.y == 0:
                R[k, lane] = M[m.address[1, 8 * k + row] + column]
            else:
                shift = 16 * (row & 1)
                low = np.int64(M[m.address[1, 8 * k + 2 * column] + (row >> 1)]) >> shift
                high = np.int64(M[m.address[1, 8 * k + 2 * column + 1] + (row >> 1)]) >> shift
                R[k, lane] = (low & 0xFFFF) | ((high & 0xFFFF) << 16)
    return True


@njit
def store_matrices(m: Machine, w: Warp, i: Decoded, c: Row) -> bool:
    """STSM: the inverse of load_matrices; register c + k holds the fragment of matrix k."""
    R, M = m.registers, m.memory
    used = np.int64(0xFFFFFFFF) >> (32 - 8 * i.x)
    if not locate(m, w, SHARED, 16, 0, used):
        return False
    for k in range(i.x):
        for lane in range(32):
            row, column = lane >> 2, lane & 3
            if i.y == 0:
                M[m.address[1, 8 * k + row] + column] = R[c + k, lane]
                continue
            shift = 16 * (row & 1)
            keep = np.int64(0xFFFF) << shift
            for j in range(2):
                word = m.address[1, 8 * k + 2 * column + j] + (row >> 1)
                value = ((np.int64(R[c + k, lane]) >> (16 * j)) & 0xFFFF) << shift
                M[word] = (np.int64(M[word]) & ~keep) | value
    m.control[CHANGES] += 1
    return True


@njit
def arrive(m: Machine, mask: Mask) -> None:
    """Arrival of the lanes at the mbarriers in m.address; result rows: the state before.

    Of the 64-bit state that code for sm_80 and sm_86 sets up and tests, the low word holds 2**30 - expected arrivals,
    the high word counts from 2**31 - expected up, and its top bit is the phase: the last arrival flips it, and the
    count starts again.
    """
    R, M = m.registers, m.memory
    for lane in range(32):
        if (mask >> lane) & 1 == 0:
            continue
        word = m.address[1, lane]
        R[0, lane], R[1, lane] = M[word], M[word + 1]
        high = (np.int64(M[word + 1]) + 1) & 0xFFFFFFFF
        if high & 0x7FFFFFFF == 0:
            high |= (np.int64(M[word]) & 0x3FFFFFFF) | 0x40000000
        M[word + 1] = high
    m.control[CHANGES] += 1
