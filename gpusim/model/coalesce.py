"""Addresses of a warp's access -> 128-byte lines with their sectors, and shared-memory passes.

Results go to SM.access_*. Rules: spec of the paper's section 5.4 and its artifact:
one access per distinct 128-byte line, 32-byte sectors; shared memory has 32 banks of 4 bytes, one pass per distinct
word of a bank, wide accesses by half and quarter warps.
"""

from __future__ import annotations

from gpusim.jit import inlined, popcount64, trailing_zeros64
from gpusim.sass.program import MemorySpace
from gpusim.trace.trace import EXPLICIT, LOCAL_WINDOW, SHARED_WINDOW, WINDOW_BYTES

EXPLICIT_STRIDE = int(EXPLICIT)
LINE_SHIFT = 7
ALL_LANES = 0xFFFFFFFF
SHARED, LOCAL, GENERIC = int(MemorySpace.SHARED), int(MemorySpace.LOCAL), int(MemorySpace.GENERIC)
GLOBAL = int(MemorySpace.GLOBAL)
LOCAL_LINES = 1 << 56  # local memory lies far from global memory in the line number space
LOCAL_WARP_BYTES = 1 << 24  # room of one warp's local memory


@inlined
def add_access(unit, address, width):
    """Merge `width` bytes into the access list. Neighbouring lanes usually share the last line."""
    line = address >> LINE_SHIFT
    place = unit.access_count - 1
    while place >= 0 and unit.access_line[place] != line:
        place -= 1
    if place < 0:
        place = unit.access_count
        unit.access_count = place + 1
        unit.access_line[place] = line
        unit.access_sectors[place] = 0
        unit.access_low[place] = 0
        unit.access_high[place] = 0
    first = (address & 127) >> 5
    last = ((address + width - 1) & 127) >> 5
    unit.access_sectors[place] |= (2 << last) - (1 << first)
    written = ((1 << width) - 1) << (address & 63)
    if address & 64:
        unit.access_high[place] |= written
    else:
        unit.access_low[place] |= written


@inlined
def lane_address(S, record, order, lane):
    """Address of an active lane; `order` counts active lanes before it."""
    entry = S.records[record]
    if entry.stride == EXPLICIT_STRIDE:
        return S.addresses[entry.base + order]
    return entry.base + entry.stride * lane


@inlined
def space_of(S, code, record, mask):
    """Memory space of an access; of a generic one that of its first active lane's address, which stands for all."""
    if code.space != GENERIC or mask == 0:
        return code.space
    address = lane_address(S, record, 0, trailing_zeros64(mask))
    if address >= SHARED_WINDOW and address < SHARED_WINDOW + WINDOW_BYTES:
        return SHARED
    return LOCAL if address >= LOCAL_WINDOW and address < LOCAL_WINDOW + WINDOW_BYTES else GLOBAL


@inlined
def coalesce(S, sm, w, record, mask, width, space):
    """Fill the access list for one global or local access of `width` bytes per lane."""
    unit = S.sms[sm]
    unit.access_count = 0
    if space == LOCAL:
        coalesce_local(S, unit, w, record, mask, width)
        return
    order = 0
    lanes = mask
    while lanes:
        lane = trailing_zeros64(lanes)
        lanes &= lanes - 1
        add_access(unit, lane_address(S, record, order, lane), width)
        order += 1


@inlined
def coalesce_local(S, unit, w, record, mask, width):
    """Local memory interleaves lanes word by word: equal offsets of all lanes make whole lines."""
    base = LOCAL_LINES + w * LOCAL_WARP_BYTES
    order = 0
    lanes = mask
    while lanes:
        lane = trailing_zeros64(lanes)
        lanes &= lanes - 1
        offset = lane_address(S, record, order, lane) & (WINDOW_BYTES - 1)
        order += 1
        for word in range(offset >> 2, (offset + width + 3) >> 2):
            add_access(unit, base + word * 128 + lane * 4, min(width, 4))


@inlined
def count_passes(S, sm, record, mask):
    """Set access_passes: for each line of an atomic the lanes on that word which most of them name."""
    unit = S.sms[sm]
    for access in range(unit.access_count):
        unit.access_passes[access] = 1
    order = 0
    lanes = mask
    while lanes:
        lane = trailing_zeros64(lanes)
        lanes &= lanes - 1
        word = lane_address(S, record, order, lane) >> 2
        unit.scratch_word[order] = word
        order += 1
        same = 0
        for earlier in range(order):
            same += unit.scratch_word[earlier] == word
        for access in range(unit.access_count):
            if unit.access_line[access] == word >> LINE_SHIFT - 2:
                unit.access_passes[access] = max(unit.access_passes[access], same)


@inlined
def shared_passes(S, sm, record, mask, width, atomic):
    """Passes through the shared-memory banks: (total, of which conflicts) as total + 65536 * conflicts.

    A 64-bit access goes by half warps, a 128-bit one by quarter warps. Lanes of one word share a pass, unless the
    access is atomic: then they take turns.
    """
    entry = S.records[record]
    words = max(width >> 2, 1)
    group = 32 // min(words, 4)
    if entry.stride == 4 * words and mask == ALL_LANES and not atomic:
        return 32 // group
    total, conflicts = 0, 0
    order = 0
    for first in range(0, 32, group):
        lanes = (mask >> first) & ((1 << group) - 1)
        if lanes == 0:
            continue
        passes = group_passes(S, sm, record, lanes, first, order, words, atomic)
        order += popcount64(lanes)
        total += passes
        conflicts += passes - 1
    return total + 65536 * conflicts


@inlined
def group_passes(S, sm, record, lanes, first, order, words, atomic):
    """Passes of one group of lanes: the largest number of distinct words (atomic: lanes) that fall into one bank."""
    unit = S.sms[sm]
    seen = unit.scratch_word
    count = unit.scratch_bank
    count[:] = 0
    used = 0
    most = 1
    while lanes:
        lane = trailing_zeros64(lanes)
        lanes &= lanes - 1
        word = lane_address(S, record, order, first + lane) >> 2
        order += 1
        known = False
        if not atomic:
            for earlier in range(used):
                if seen[earlier] == word:
                    known = True
                    break
        if not known:
            seen[used] = word
            used += 1
            for step in range(words):
                bank = (word + step) & 31
                count[bank] += 1
                most = max(most, count[bank])
    return most
