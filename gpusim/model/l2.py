"""L2: slices of sectored, write-back cache, each with a queue of requests, a table of misses and a port for replies.

A slice takes its requests in the order of arrival, one after another; one that lacks a resource holds up those behind
it. Data go to DRAM and back through `dram`, replies to SMs through `interconnect`.
"""

from __future__ import annotations

from gpusim.jit import inlined, njit, popcount64
from gpusim.model.cache import NONE, hash_of, oldest_idle, replace_line, touch
from gpusim.model.dram import READ, WRITE_BACK, room_in_queue, start_transfer
from gpusim.model.hashing import spread
from gpusim.model.interconnect import (
    ATOMIC,
    READ_CODE,
    WRITE,
    acknowledge,
    pass_on,
    send_reply,
    slice_of,
    take_first,
)
from gpusim.model.state import FOREVER

SECTORS = 4
OTHER = 7
DIRECTION = 8
"""Codes of `lacking`: OTHER, or sectors (1 to 4) + DIRECTION * (1 + direction of a DRAM queue)."""
ALL_BYTES = 0xFFFFFFFF  # of a sector


@inlined
def set_of(P, number, line):
    """Row in State.l2_sets of a line of slice `number`."""
    machine = P.machine[0]
    return number * machine.l2_sets + spread(P.hashes, 1, line // machine.l2_slices, machine.set_odd, machine.set_bits)


@inlined
def find_in_slice(S, P, number, line):
    """Place of a line in slice `number`, or -1. Slices of several partitions may hold the same line."""
    machine = P.machine[0]
    lines = machine.l2_sets * machine.l2_ways
    place = S.l2_hash[hash_of(line, len(S.l2_hash) - 1)]
    while place != NONE and (S.l2_lines[place].line != line or place // lines != number):
        place = S.l2_lines[place].hash_next
    return place


@inlined
def belongs_elsewhere(P, number, entry):
    """Whether slice `number` can only have a copy of the line that a request reads."""
    return P.machine[0].l2_partitions > 1 and entry.copy_at == NONE and slice_of(P, entry.line) != number


@inlined
def run_slice(S, P, number, now):
    """Take the requests that a slice can begin in cycle `now`; note when the next one may begin."""
    machine = P.machine[0]
    server = S.slices[number]
    while S.slice_next[number] <= now:
        entry = S.nodes[server.head]
        lacks = 0
        if not belongs_elsewhere(P, number, entry):
            lacks = lacking(S, P, number, entry.line, entry.sectors, entry.kind)
        if lacks:
            server.lacks = lacks
            S.slice_next[number] = FOREVER  # until a transfer wakes it
            return
        begin = max(entry.time // machine.sms * 16, server.free)
        if server.lacks:
            begin = max(begin, 16 * now)
        busy = popcount64(entry.sectors) * machine.l2_sector_x16
        if entry.kind == ATOMIC:
            busy = max(busy, 16 * machine.atomic_interval * entry.passes)
        server.free = begin + busy
        server.lacks = 0
        serve(S, P, number, take_first(S.nodes, server), now)
        S.slice_next[number] = FOREVER
        if server.head != NONE:
            S.slice_next[number] = max(S.nodes[server.head].time // machine.sms, (server.free + 15) // 16)


@inlined
def lacking(S, P, number, line, sectors, kind):
    """What a request lacks: 0 nothing, OTHER an entry or way that waits for data, else some room in a DRAM queue."""
    machine = P.machine[0]
    place = find_in_slice(S, P, number, line)
    missing = sectors if kind != WRITE and not always_there(P, kind) else 0
    request = missing
    if place != NONE:
        row = S.l2_lines[place]
        missing &= ~row.valid
        request = missing & ~row.pending
        if missing and row.pending and row.merged >= machine.l2_merges:
            return OTHER
    awaited = place != NONE and S.l2_lines[place].pending != 0
    if missing and not awaited and S.slices[number].misses >= machine.l2_misses:
        return OTHER
    if not room_in_queue(S, P, number, READ, popcount64(request)):
        return popcount64(request) + DIRECTION * (1 + READ)
    if place == NONE:
        victim = oldest_idle(S.l2_lines, S.l2_sets, set_of(P, number, line))
        if victim == NONE:
            return OTHER
        dirty = popcount64(S.l2_lines[victim].dirty)
        if not room_in_queue(S, P, number, WRITE_BACK, dirty):
            return dirty + DIRECTION * (1 + WRITE_BACK)
    return 0


@inlined
def always_there(P, kind):
    """Whether a read finds its sectors whatever happened before: code and constants, loaded with the kernel."""
    return kind == READ_CODE and P.machine[0].l2_holds_code


@njit
def bring_in(S, P, number, sm, line, now):
    """Place of a line in L2; one that is absent replaces the least recently used, which is written back if dirty."""
    place = find_in_slice(S, P, number, line)
    s = set_of(P, number, line)
    if place != NONE:
        touch(S.l2_lines, S.l2_sets, s, place)
        return place
    place = oldest_idle(S.l2_lines, S.l2_sets, s)
    row = S.l2_lines[place]
    if row.dirty:
        S.counters[sm].dram_write_sectors += popcount64(row.dirty)
        start_transfer(S, P, number, WRITE_BACK, row.line, row.dirty, place, sm, now)
    replace_line(S.l2_lines, S.l2_sets, s, S.l2_hash, 0, len(S.l2_hash) - 1, place, line)
    row.dirty = 0
    row.low = 0
    row.high = 0
    return place


@inlined
def serve(S, P, number, node, now):
    """A request that has all that it needs is looked up in cycle `now`."""
    entry = S.nodes[node]
    sectors = entry.sectors
    counters = S.counters[entry.sm]
    if belongs_elsewhere(P, number, entry):
        look_for_copy(S, P, number, node, now)
        return
    place = bring_in(S, P, number, entry.sm, entry.line, now)
    row = S.l2_lines[place]
    if entry.kind == WRITE:
        counters.l2_write_sectors += popcount64(sectors)
        write_bytes(row, entry.low, entry.high)
        row.dirty |= sectors
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
        row.dirty |= sectors
        drop_copies(S, P, number, entry.line, sectors)
    if missing:
        ask_dram(S, P, number, place, entry.sm, missing & ~row.pending, now)
    if entry.token < 0:  # a reduction
        acknowledge(S, P, number, node, now)
    elif missing:
        entry.left = missing
        wait_for_data(S.nodes, row, node)
    else:
        send_reply(S, P, number, node, now + P.machine[0].l2_latency)


@inlined
def look_for_copy(S, P, number, node, now):
    """A read asks for a line of another partition: answer it from the copy that lies here, or pass it on."""
    entry = S.nodes[node]
    counters = S.counters[entry.sm]
    counters.l2_read_sectors += popcount64(entry.sectors)
    place = find_in_slice(S, P, number, entry.line)
    if place == NONE or entry.sectors & ~S.l2_lines[place].valid:
        pass_on(S, P, number, slice_of(P, entry.line), node, now)
        return
    counters.l2_read_hits += popcount64(entry.sectors)
    touch(S.l2_lines, S.l2_sets, set_of(P, number, entry.line), place)
    send_reply(S, P, number, node, now + P.machine[0].l2_latency)


@inlined
def take_copies(S, P, number, now):
    """Requests that slice `number` passed on come back by cycle `now` with data; it keeps a copy and answers them."""
    machine = P.machine[0]
    copies = S.copies[number]
    while S.copy_next[number] <= now:
        node = take_first(S.nodes, copies)
        S.copy_next[number] = FOREVER if copies.head == NONE else S.nodes[copies.head].time // machine.l2_slices
        entry = S.nodes[node]
        keep_copy(S, P, number, entry.sm, entry.line, entry.sectors, now)
        entry.copy_at = NONE
        send_reply(S, P, number, node, now + machine.l2_latency)


@inlined
def keep_copy(S, P, number, sm, line, sectors, now):
    """Keep sectors of another partition's line, unless that takes a line or a write-back for which there is no room."""
    if find_in_slice(S, P, number, line) == NONE:
        victim = oldest_idle(S.l2_lines, S.l2_sets, set_of(P, number, line))
        if victim == NONE or not room_in_queue(S, P, number, WRITE_BACK, popcount64(S.l2_lines[victim].dirty)):
            return
    S.l2_lines[bring_in(S, P, number, sm, line, now)].valid |= sectors


@inlined
def drop_copies(S, P, number, line, sectors):
    """Sectors of a line change in slice `number`, to which it belongs: copies are valid no more."""
    machine = P.machine[0]
    if machine.l2_partitions == 1:
        return
    first = number - number % machine.l2_partitions
    for other in range(first, min(first + machine.l2_partitions, machine.l2_slices)):
        place = find_in_slice(S, P, other, line)
        if other != number and place != NONE:
            S.l2_lines[place].valid &= ~sectors


@inlined
def write_bytes(row, low, high):
    """A sector of which all bytes have been written is valid without asking DRAM."""
    row.low |= low
    row.high |= high
    for sector in range(SECTORS):
        half = row.low if sector < 2 else row.high
        if (half >> (sector & 1) * 32) & ALL_BYTES == ALL_BYTES:
            row.valid |= 1 << sector


@inlined
def ask_dram(S, P, number, place, sm, request, now):
    """Ask DRAM for sectors of a line; no request is needed for those on their way."""
    if request == 0:
        return
    row = S.l2_lines[place]
    if row.pending == 0:
        S.slices[number].misses += 1
    row.pending |= request
    S.counters[sm].dram_read_sectors += popcount64(request)
    start_transfer(S, P, number, READ, row.line, request, place, sm, now)


@inlined
def wait_for_data(nodes, row, node):
    """Append a request to those that wait for a line."""
    nodes[node].next = NONE
    if row.waiters == NONE:
        row.waiters = node
    else:
        nodes[row.last_waiter].next = node
    row.last_waiter = node
    row.merged += 1


@inlined
def data_arrive(S, P, number, place, sectors, now):
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
            send_reply(S, P, number, node, now + P.machine[0].l2_latency)
        node = following
    if S.slices[number].lacks:
        S.slice_next[number] = now


@inlined
def wake_slices(S, P, channel, now):
    """Wake the slices whose first requests have room now in the queues of a DRAM channel."""
    for number in range(channel, P.machine[0].l2_slices, P.machine[0].dram_channels):
        lacks = S.slices[number].lacks
        if lacks > OTHER and room_in_queue(S, P, number, lacks // DIRECTION - 1, lacks % DIRECTION):
            S.slice_next[number] = now
