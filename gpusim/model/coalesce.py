"""Addresses of a warp's access -> 128-byte lines with their sectors, and shared-memory passes.

Results go to SM.access_*. Rules: spec of the paper's section 5.4 and its artifact:
one access per distinct 128-byte line, 32-byte sectors; shared memory has 32 banks of 4 bytes, one pass per distinct
word of a bank, wide accesses by half and quarter warps.
"""

from __future__ import annotations

from gpusim.constants import (
    ALL_LANES,
    EXPLICIT,
    LINE_BYTES,
    LOCAL_WINDOW,
    SHARED_WINDOW,
    WARP_SIZE,
    WINDOW_BYTES,
    MemorySpace,
)
from gpusim.jit import inlined, popcount64, trailing_zeros64
from gpusim.model.kinds import Kind
from gpusim.model.params import Params
from gpusim.model.state import SHARED_BANKS, State
from gpusim.model.types import Access, Flag, Mask, Record, Row, Sm

LINE_SHIFT, SECTOR_SHIFT, WORD_SHIFT = 7, 5, 2
HALF_LINE = LINE_BYTES // 2  # bytes written are kept in two words, a bit per byte
SHARED, LOCAL, GENERIC = int(MemorySpace.SHARED), int(MemorySpace.LOCAL), int(MemorySpace.GENERIC)
GLOBAL = int(MemorySpace.GLOBAL)
SHARED_LOAD, SHARED_ATOMIC = int(Kind.SHARED_LOAD), int(Kind.SHARED_ATOMIC)
NEIGHBOURS, SECOND_NEIGHBOURS = 0x55555555, 0x33333333  # the lower lanes of pairs n, n ^ 1 and n, n ^ 2
LOCAL_LINES = 1 << 56  # local memory lies far from global memory in the address space
LOCAL_WARP_BYTES = 1 << 24  # room of one warp's local memory


@inlined
def add_access(unit: Record, address: int, width: int) -> None:
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
    first = (address & LINE_BYTES - 1) >> SECTOR_SHIFT
    last = (address + width - 1 & LINE_BYTES - 1) >> SECTOR_SHIFT
    unit.access_sectors[place] |= (2 << last) - (1 << first)
    written = ((1 << width) - 1) << (address & HALF_LINE - 1)
    if address & HALF_LINE:
        unit.access_high[place] |= written
    else:
        unit.access_low[place] |= written


@inlined
def lane_address(S: State, record: int, order: int, lane: int) -> int:
    """Address of an active lane; `order` counts active lanes before it."""
    entry = S.records[record]
    if entry.stride == EXPLICIT:
        return S.addresses[entry.start + order]
    return entry.start + entry.stride * lane


@inlined
def space_of(S: State, code: Record, record: int, mask: Mask) -> int:
    """Memory space of an access; of a generic one that of its first active lane's address, which stands for all."""
    if code.space != GENERIC or mask == 0:
        return code.space
    address = lane_address(S, record, 0, trailing_zeros64(mask))
    if address >= SHARED_WINDOW and address < SHARED_WINDOW + WINDOW_BYTES:
        return SHARED
    return LOCAL if address >= LOCAL_WINDOW and address < LOCAL_WINDOW + WINDOW_BYTES else GLOBAL


@inlined
def coalesce(S: State, sm: Sm, number: Access, width: int) -> None:
    """List the lines of an access."""
    unit = S.sms[sm]
    access = S.accesses[number]
    unit.access_count = 0
    if access.space == LOCAL:
        coalesce_local(S, unit, access.warp, access.record, access.mask, width)
        return
    order = 0
    lanes = access.mask
    while lanes:
        lane = trailing_zeros64(lanes)
        lanes &= lanes - 1
        add_access(unit, lane_address(S, access.record, order, lane), width)
        order += 1


@inlined
def coalesce_local(S: State, unit: Record, w: Row, record: int, mask: Mask, width: int) -> None:
    """Local memory interleaves lanes word by word: equal offsets of all lanes make whole lines."""
    base = LOCAL_LINES + w * LOCAL_WARP_BYTES
    order = 0
    lanes = mask
    while lanes:
        lane = trailing_zeros64(lanes)
        lanes &= lanes - 1
        offset = lane_address(S, record, order, lane) & (WINDOW_BYTES - 1)
        order += 1
        for word in range(offset >> WORD_SHIFT, (offset + width + 3) >> WORD_SHIFT):
            add_access(unit, base + word * LINE_BYTES + lane * 4, min(width, 4))


@inlined
def tag_wavefronts(P: Params, unit: Record) -> int:
    """Number the wavefronts in which an access's lines are looked up, one line of each tag bank in each; returns how
    many. The bank is the exclusive or of all pairs of bits of the line's number."""
    banks = P.card[0].sm.memory_unit.l1_data.tag_banks
    taken = unit.scratch_bank
    taken[:4] = 0
    most = 0
    for place in range(unit.access_count):
        folded = unit.access_line[place]
        for shift in (32, 16, 8, 4, 2):
            folded ^= folded >> shift
        bank = folded & (banks - 1)
        unit.access_wavefront[place] = taken[bank]
        taken[bank] += 1
        most = max(most, taken[bank])
    return most


@inlined
def data_wavefronts(S: State, sm: Sm, number: Access, width: int) -> int:
    """Wavefronts of the data stage: as shared memory's passes, over all lines of an access at once."""
    access = S.accesses[number]
    words = max(width >> WORD_SHIFT, 1)
    if access.space == LOCAL:  # a lane's words lie in one bank
        return words
    if S.sms[sm].access_count == 1 and words == 1:
        return 1
    return bank_passes(S, sm, access.record, access.mask, words, WARP_SIZE // min(words, 4), 0)[0]


@inlined
def count_passes(S: State, sm: Sm, number: Access) -> None:
    """Set access_passes: for each line of an atomic the lanes on that word which most of them name."""
    unit = S.sms[sm]
    access = S.accesses[number]
    for place in range(unit.access_count):
        unit.access_passes[place] = 1
    order = 0
    lanes = access.mask
    while lanes:
        lane = trailing_zeros64(lanes)
        lanes &= lanes - 1
        word = lane_address(S, access.record, order, lane) >> WORD_SHIFT
        unit.scratch_word[order] = word
        order += 1
        same = 0
        for earlier in range(order):
            same += unit.scratch_word[earlier] == word
        for place in range(unit.access_count):
            if unit.access_line[place] == word >> LINE_SHIFT - WORD_SHIFT:
                unit.access_passes[place] = max(unit.access_passes[place], same)


@inlined
def pairs_agree(S: State, record: int, mask: Mask, apart: int, lower: Mask) -> Flag:
    """Whether all active lanes n (of `lower`) and n + apart have one address."""
    both = mask & (mask >> apart) & lower
    while both:
        lane = trailing_zeros64(both)
        both &= both - 1
        order = popcount64(mask & ((1 << lane) - 1))
        partner = popcount64(mask & ((1 << lane + apart) - 1))
        if lane_address(S, record, order, lane) != lane_address(S, record, partner, lane + apart):
            return False
    return True


@inlined
def shared_passes(S: State, sm: Sm, number: Access, width: int) -> tuple[int, int, int]:
    """Passes through the shared-memory banks, how many of them are for conflicts, and whether lanes agree in pairs.

    A 64-bit access goes by half warps, a 128-bit one by quarter warps; of a 128-bit load whose lanes agree in
    pairs twice as many at once. Lanes of one word share a pass, unless the access is atomic: then they take turns.
    """
    access = S.accesses[number]
    record, mask = access.record, access.mask
    words = max(width >> WORD_SHIFT, 1)
    group = WARP_SIZE // min(words, 4)
    stride = S.records[record].stride
    packed = 0
    if access.kind == SHARED_LOAD and words == 4 and (stride == 0 or stride == EXPLICIT):
        packed = int(pairs_agree(S, record, mask, 1, NEIGHBOURS) or pairs_agree(S, record, mask, 2, SECOND_NEIGHBOURS))
    group *= 1 + packed
    passes, conflicts = bank_passes(S, sm, record, mask, words, group, access.kind == SHARED_ATOMIC)
    return passes, conflicts, packed


@inlined
def bank_passes(S: State, sm: Sm, record: int, mask: Mask, words: int, group: int, atomic: Flag) -> tuple[int, int]:
    """Passes of an access through 32 banks, `group` lanes at a time, and how many of them are for conflicts."""
    if S.records[record].stride == 4 * words and mask == ALL_LANES and not atomic:
        return WARP_SIZE // group, 0
    total, conflicts = 0, 0
    order = 0
    for first in range(0, WARP_SIZE, group):
        lanes = (mask >> first) & ((1 << group) - 1)
        if lanes == 0:
            continue
        passes = group_passes(S, sm, record, lanes, first, order, words, atomic)
        order += popcount64(lanes)
        total += passes
        conflicts += passes - 1
    return total, conflicts


@inlined
def group_passes(S: State, sm: Sm, record: int, lanes: Mask, first: int, order: int, words: int, atomic: Flag) -> int:
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
        word = lane_address(S, record, order, first + lane) >> WORD_SHIFT
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
                bank = word + step & SHARED_BANKS - 1
                count[bank] += 1
                most = max(most, count[bank])
    return most
