"""L2: slices of sectored, write-back cache, each with a queue of requests, a table of misses and a port for replies.

A slice takes its requests in the order of arrival, one after another; one that lacks a resource holds up those behind
it. Data go to DRAM and back through `dram`, replies to SMs through `interconnect`.
"""

from __future__ import annotations

from gpusim.constants import SECTORS
from gpusim.jit import inlined, njit, popcount64
from gpusim.model.cache import NO_WAY, NONE, hash_of, place_for, replace_line, use_line
from gpusim.model.dram import READ, WRITE_BACK, channel_counters, room_in_queue, start_transfer
from gpusim.model.hashing import spread
from gpusim.model.interconnect import (
    ATOMIC,
    READ_CODE,
    WRITE,
    acknowledge,
    pass_on,
    reply_due,
    request_arrival,
    send_reply,
    slice_of,
    take_first,
)
from gpusim.model.params import Params
from gpusim.model.state import FOREVER, Fault, State
from gpusim.model.ticks import cycle_of_tick, first_tick
from gpusim.model.types import Cycle, Flag, Line, Mask, Node, Number, Place, Record, Records, Tick

NOTHING, DATA, ROOM = 0, 1, 2
"""What a request lacks: nothing, a line or entry that waits for data, or room in a DRAM queue: ROOM + its direction."""
ALL_BYTES = 0xFFFFFFFF  # of a sector
ALL_OF_HALF = -1  # all bytes of half a line
WRONG_WAY = int(Fault.REPLACEMENT)


# ---- lines


@inlined
def set_of(P: Params, number: Number, line: Line) -> Place:
    """Row in State.l2_sets of a line of slice `number`."""
    l2 = P.card[0].l2
    return number * l2.sets + spread(P.hashes, 1, line // l2.slices, P.derived[0].set_odd, P.derived[0].set_bits)


@inlined
def hash_base(P: Params, number: Number) -> Place:
    """First bucket of slice `number` in State.l2_hash."""
    return number * P.derived[0].l2_buckets


@inlined
def counters_of(S: State, P: Params, number: Number) -> Record:
    """Counters of a slice, which it shares with its channel."""
    return channel_counters(S, P, number % P.card[0].dram.channels)


@inlined
def find_in_slice(S: State, P: Params, number: Number, line: Line) -> Place:
    """Place of a line in slice `number`, or -1. Slices of several partitions may hold the same line."""
    place = S.l2_hash[hash_base(P, number) + hash_of(line, P.derived[0].l2_buckets - 1)]
    while place != NONE and S.l2_lines[place].line != line:
        place = S.l2_lines[place].hash_next
    return place


@inlined
def place_in_slice(S: State, P: Params, number: Number, line: Line) -> Place:
    """Place for a line that slice `number` does not have, -1 if all of its set await data."""
    s, ways = set_of(P, number, line), P.card[0].l2.ways
    place = place_for(P, P.derived[0].l2_replacement, S.l2_lines, S.l2_sets, s, ways, line)
    if place == NO_WAY:
        S.gpu[0].fault = WRONG_WAY
        return NONE
    return place


@inlined
def use_in_slice(S: State, P: Params, number: Number, place: Place) -> None:
    """An access finds its line at `place`."""
    s = set_of(P, number, S.l2_lines[place].line)
    use_line(P, P.derived[0].l2_replacement, S.l2_lines, S.l2_sets, s, P.card[0].l2.ways, place)


@inlined
def write_back(S: State, P: Params, number: Number, s: Place, place: Place, now: Cycle) -> None:
    """The dirty sectors of a line of set s go to DRAM; there is room."""
    row = S.l2_lines[place]
    counters_of(S, P, number).dram_write_sectors += popcount64(row.dirty)
    start_transfer(S, P, number, WRITE_BACK, row.line, row.dirty, place, now)
    row.dirty = 0
    S.l2_sets[s].dirty -= 1


@inlined
def written_whole(row: Record) -> Flag:
    return row.low == ALL_OF_HALF and row.high == ALL_OF_HALF


@inlined
def oldest_to_write(S: State, P: Params, s: Place) -> Place:
    """The line of set s that is written back when one more becomes dirty, or -1."""
    oldest = NONE
    if S.l2_sets[s].dirty >= P.card[0].l2.dirty_ways:
        oldest = S.l2_sets[s].oldest
        while oldest != NONE and (S.l2_lines[oldest].dirty == 0 or not written_whole(S.l2_lines[oldest])):
            oldest = S.l2_lines[oldest].newer
    return oldest


@inlined
def make_dirty(S: State, P: Params, number: Number, place: Place, sectors: Mask, now: Cycle) -> None:
    """Sectors of a line change. With too many dirty lines in its set the oldest that has been written as a whole is
    written back, if there is room: one of which only parts have come is likely to get more of them."""
    row = S.l2_lines[place]
    before = row.dirty
    row.dirty |= sectors
    if before:
        return
    s = set_of(P, number, row.line)
    oldest = oldest_to_write(S, P, s)
    S.l2_sets[s].dirty += 1
    if oldest != NONE and room_in_queue(S, P, number, WRITE_BACK, popcount64(S.l2_lines[oldest].dirty)):
        write_back(S, P, number, s, oldest, now)


@njit
def bring_in(S: State, P: Params, number: Number, line: Line, now: Cycle) -> Place:
    """Place of a line in L2; one that is absent replaces another, which is written back if dirty. There is room."""
    place = find_in_slice(S, P, number, line)
    if place != NONE:
        use_in_slice(S, P, number, place)
        return place
    place = place_in_slice(S, P, number, line)
    row = S.l2_lines[place]
    s, ways = set_of(P, number, line), P.card[0].l2.ways
    base, mask = hash_base(P, number), P.derived[0].l2_buckets - 1
    if row.dirty:
        write_back(S, P, number, s, place, now)
    replace_line(P, P.derived[0].l2_replacement, S.l2_lines, S.l2_sets, s, ways, S.l2_hash, base, mask, place, line)
    row.low = 0
    row.high = 0
    return place


@inlined
def whole_sectors(low: Mask, high: Mask) -> Mask:
    """Sectors of a line of which all bytes are in the masks of its halves."""
    whole = 0
    for sector in range(SECTORS):
        half = low if sector < 2 else high
        if (half >> (sector & 1) * 32) & ALL_BYTES == ALL_BYTES:
            whole |= 1 << sector
    return whole


@inlined
def filled_sectors(P: Params, row: Record, entry: Record) -> Mask:
    """Sectors of a line that a write must read, since their ECC covers bytes that are not known."""
    if not P.derived[0].inline_ecc:
        return 0
    return entry.sectors & ~(row.valid | row.pending | whole_sectors(row.low | entry.low, row.high | entry.high))


@inlined
def write_bytes(row: Record, low: Mask, high: Mask) -> None:
    """A sector of which all bytes have been written is valid without asking DRAM."""
    row.low |= low
    row.high |= high
    row.valid |= whole_sectors(row.low, row.high)


# ---- a slice's queue


@inlined
def belongs_elsewhere(P: Params, number: Number, entry: Record) -> Flag:
    """Whether slice `number` can only have a copy of the line that a request reads."""
    return P.card[0].l2.partitions > 1 and entry.copy_at == NONE and slice_of(P, entry.line) != number


@inlined
def always_there(P: Params, kind: int) -> Flag:
    """Whether a read finds its sectors whatever happened before: code and constants, loaded with the kernel."""
    return kind == READ_CODE and P.card[0].l2.holds_code


@inlined
def lacking(S: State, P: Params, number: Number, entry: Record) -> tuple[int, int]:
    """What a request lacks, and for how many sectors a DRAM queue must have room."""
    l2 = P.card[0].l2
    line = entry.line
    place = find_in_slice(S, P, number, line)
    missing = 0
    if entry.kind == WRITE and P.derived[0].inline_ecc:
        missing = entry.sectors & ~whole_sectors(entry.low, entry.high)
    elif entry.kind != WRITE and not always_there(P, entry.kind):
        missing = entry.sectors
    request = missing
    if place != NONE:
        row = S.l2_lines[place]
        missing &= ~row.valid
        if entry.kind == WRITE:
            missing = filled_sectors(P, row, entry)
        request = missing & ~row.pending
        if missing and row.pending and row.merged >= l2.mshr_merges:
            return DATA, 0
    awaited = place != NONE and S.l2_lines[place].pending != 0
    if missing and not awaited and S.slices[number].misses >= l2.mshr_entries:
        return DATA, 0
    if not room_in_queue(S, P, number, READ, popcount64(request)):
        return ROOM + READ, popcount64(request)
    if place == NONE:
        victim = place_in_slice(S, P, number, line)
        if victim == NONE:
            return DATA, 0
        dirty = popcount64(S.l2_lines[victim].dirty)
        if not room_in_queue(S, P, number, WRITE_BACK, dirty):
            return ROOM + WRITE_BACK, dirty
    if (entry.kind == WRITE or entry.kind == ATOMIC) and (place == NONE or S.l2_lines[place].dirty == 0):
        oldest = oldest_to_write(S, P, set_of(P, number, line))
        dirty = popcount64(S.l2_lines[oldest].dirty) if oldest != NONE else 0
        if not room_in_queue(S, P, number, WRITE_BACK, dirty):
            return ROOM + WRITE_BACK, dirty
    return NOTHING, 0


@inlined
def busy_ticks(P: Params, entry: Record) -> Tick:
    """How long a request occupies its slice."""
    busy = popcount64(entry.sectors) * P.derived[0].l2_sector_ticks
    if entry.kind == ATOMIC:
        busy = max(busy, P.derived[0].l2_clock_ticks * entry.clocks)
    return busy


@inlined
def run_slice(S: State, P: Params, number: Number, now: Cycle) -> None:
    """Take the requests that a slice can begin in cycle `now`; note when the next one may begin."""
    server = S.slices[number]
    while S.slice_next[number] <= now:
        entry = S.nodes[server.head]
        lacks, sectors = NOTHING, 0
        if not belongs_elsewhere(P, number, entry):
            lacks, sectors = lacking(S, P, number, entry)
        if lacks:
            server.lacks, server.lacks_sectors = lacks, sectors
            S.slice_next[number] = FOREVER  # until a transfer wakes it
            return
        begin = max(first_tick(request_arrival(P, entry.time)), server.free)
        if server.lacks:
            begin = max(begin, first_tick(now))
        server.free = begin + busy_ticks(P, entry)
        server.lacks = NOTHING
        serve(S, P, number, take_first(S.nodes, server), now)
        S.slice_next[number] = FOREVER
        if server.head != NONE:
            following = request_arrival(P, S.nodes[server.head].time)
            S.slice_next[number] = max(following, cycle_of_tick(server.free))


@inlined
def wake_slices(S: State, P: Params, channel: Number, now: Cycle) -> None:
    """Wake the slices whose first requests have room now in the queues of a DRAM channel."""
    for number in range(channel, P.card[0].l2.slices, P.card[0].dram.channels):
        server = S.slices[number]
        if server.lacks >= ROOM and room_in_queue(S, P, number, server.lacks - ROOM, server.lacks_sectors):
            S.slice_next[number] = now


# ---- requests


@inlined
def serve(S: State, P: Params, number: Number, node: Node, now: Cycle) -> None:
    """A request that has all that it needs is looked up in cycle `now`."""
    entry = S.nodes[node]
    sectors = entry.sectors
    counters = counters_of(S, P, number)
    if belongs_elsewhere(P, number, entry):
        look_for_copy(S, P, number, node, now)
        return
    place = bring_in(S, P, number, entry.line, now)
    row = S.l2_lines[place]
    if entry.kind == WRITE:
        counters.l2_write_sectors += popcount64(sectors)
        ask_dram(S, P, number, place, filled_sectors(P, row, entry), now)
        write_bytes(row, entry.low, entry.high)
        make_dirty(S, P, number, place, sectors, now)
        drop_copies(S, P, number, entry.line, sectors)
        acknowledge(S, P, number, node, now)
        return
    if always_there(P, entry.kind):
        row.valid |= sectors
    missing = sectors & ~row.valid
    if entry.copy_at == NONE:
        counters.l2_read_sectors += popcount64(sectors)
    counters.l2_read_hits += popcount64(sectors & (row.valid | row.pending))
    if entry.kind == ATOMIC:
        make_dirty(S, P, number, place, sectors, now)
        drop_copies(S, P, number, entry.line, sectors)
    if missing:
        ask_dram(S, P, number, place, missing & ~row.pending, now)
    if entry.token < 0:  # a reduction
        acknowledge(S, P, number, node, now)
    elif missing:
        entry.left = missing
        wait_for_data(S.nodes, row, node)
    else:
        send_reply(S, P, number, node, now + P.derived[0].l2_latency)


@inlined
def ask_dram(S: State, P: Params, number: Number, place: Place, request: Mask, now: Cycle) -> None:
    """Ask DRAM for sectors of a line; no request is needed for those on their way."""
    if request == 0:
        return
    row = S.l2_lines[place]
    if row.pending == 0:
        S.slices[number].misses += 1
    row.pending |= request
    counters_of(S, P, number).dram_read_sectors += popcount64(request)
    start_transfer(S, P, number, READ, row.line, request, place, now)


@inlined
def wait_for_data(nodes: Records, row: Record, node: Node) -> None:
    """Append a request to those that wait for a line."""
    nodes[node].next = NONE
    if row.waiters == NONE:
        row.waiters = node
    else:
        nodes[row.last_waiter].next = node
    row.last_waiter = node
    row.merged += 1


@inlined
def data_arrive(S: State, P: Params, number: Number, place: Place, sectors: Mask, now: Cycle) -> None:
    """Sectors of a line come from DRAM in cycle `now`: requests that lack no more are answered, first come first."""
    row = S.l2_lines[place]
    row.valid |= sectors
    row.pending &= ~sectors
    if row.pending == 0:
        S.slices[number].misses -= 1
    node = row.waiters
    row.waiters = NONE
    row.last_waiter = NONE
    row.merged = 0
    while node != NONE:
        following = S.nodes[node].next
        S.nodes[node].left &= ~sectors
        if S.nodes[node].left:
            wait_for_data(S.nodes, row, node)
        else:
            send_reply(S, P, number, node, now + P.derived[0].l2_latency)
        node = following
    if S.slices[number].lacks:
        S.slice_next[number] = now


# ---- copies of another partition's lines


@inlined
def look_for_copy(S: State, P: Params, number: Number, node: Node, now: Cycle) -> None:
    """A read asks for a line of another partition: answer it from the copy that lies here, or pass it on."""
    entry = S.nodes[node]
    counters = counters_of(S, P, number)
    counters.l2_read_sectors += popcount64(entry.sectors)
    place = find_in_slice(S, P, number, entry.line)
    if place == NONE or entry.sectors & ~S.l2_lines[place].valid:
        pass_on(S, P, number, slice_of(P, entry.line), node, now)
        return
    counters.l2_read_hits += popcount64(entry.sectors)
    use_in_slice(S, P, number, place)
    send_reply(S, P, number, node, now + P.derived[0].l2_latency)


@inlined
def take_copies(S: State, P: Params, number: Number, now: Cycle) -> None:
    """Requests that slice `number` passed on come back by cycle `now` with data; it keeps a copy and answers them."""
    copies = S.copies[number]
    while S.copy_next[number] <= now:
        node = take_first(S.nodes, copies)
        S.copy_next[number] = FOREVER if copies.head == NONE else reply_due(P, S.nodes[copies.head].time)
        entry = S.nodes[node]
        keep_copy(S, P, number, entry.line, entry.sectors, now)
        entry.copy_at = NONE
        send_reply(S, P, number, node, now + P.derived[0].l2_latency)


@inlined
def keep_copy(S: State, P: Params, number: Number, line: Line, sectors: Mask, now: Cycle) -> None:
    """Keep sectors of another partition's line, unless that takes a line or a write-back for which there is no room."""
    if find_in_slice(S, P, number, line) == NONE:
        victim = place_in_slice(S, P, number, line)
        if victim == NONE or not room_in_queue(S, P, number, WRITE_BACK, popcount64(S.l2_lines[victim].dirty)):
            return
    S.l2_lines[bring_in(S, P, number, line, now)].valid |= sectors


@inlined
def drop_copies(S: State, P: Params, number: Number, line: Line, sectors: Mask) -> None:
    """Sectors of a line change in slice `number`, to which it belongs: copies are valid no more."""
    l2 = P.card[0].l2
    if l2.partitions == 1:
        return
    first = number - number % l2.partitions
    for other in range(first, min(first + l2.partitions, l2.slices)):
        place = find_in_slice(S, P, other, line)
        if other != number and place != NONE:
            S.l2_lines[place].valid &= ~sectors
