"""L2: slices of sectored, write-back cache, each with a queue of requests, a table of misses and a port for replies.

A slice takes its requests in the order of arrival, one after another; one that lacks a resource holds up those behind
it. Data go to DRAM and back through `dram`, replies to SMs through `interconnect`.
"""

from __future__ import annotations

from gpusim.jit import inlined, popcount64
from gpusim.model.cache import NONE, find_line, oldest_idle, replace_line, touch
from gpusim.model.dram import READ, WRITE_BACK, room_in_queue, start_transfer
from gpusim.model.hashing import spread
from gpusim.model.interconnect import ATOMIC, WRITE, acknowledge, acknowledged, send_reply, take_first
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
def run_slice(S, P, number, now):
    """Take the requests that a slice can begin in cycle `now`; note when the next one may begin."""
    machine = P.machine[0]
    server = S.slices[number]
    while S.slice_next[number] <= now:
        entry = S.nodes[server.head]
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
    place = find_line(S.l2_lines, S.l2_hash, 0, len(S.l2_hash) - 1, line)
    missing = sectors if kind != WRITE else 0
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
def bring_in(S, P, number, sm, line, now):
    """Place of a line in L2; one that is absent replaces the least recently used, which is written back if dirty."""
    place = find_line(S.l2_lines, S.l2_hash, 0, len(S.l2_hash) - 1, line)
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
    place = bring_in(S, P, number, entry.sm, entry.line, now)
    row = S.l2_lines[place]
    if entry.kind == WRITE:
        counters.l2_write_sectors += popcount64(sectors)
        write_bytes(row, entry.low, entry.high)
        row.dirty |= sectors
        acknowledge(S, P, number, node, now)
        return
    missing = sectors & ~row.valid
    counters.l2_read_sectors += popcount64(sectors)
    counters.l2_read_hits += popcount64(sectors & (row.valid | row.pending))
    if entry.kind == ATOMIC:
        row.dirty |= sectors
    if missing:
        ask_dram(S, P, number, place, entry.sm, missing & ~row.pending, now)
    if acknowledged(entry.kind, entry.token):
        acknowledge(S, P, number, node, now)
    elif missing:
        entry.left = missing
        wait_for_data(S.nodes, row, node)
    else:
        send_reply(S, P, number, node, now + P.machine[0].l2_latency)


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
