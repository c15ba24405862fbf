"""L2: slices with sectored tags and a bandwidth each, and the merge of all SMs' requests into one order.

A stand-in with the final interface: requests in, replies out. Requests are served in (departure cycle, SM) order, each
when it departs inside the window that has just been simulated, so the result does not depend on the window's length.
"""

from __future__ import annotations

from gpusim.jit import inlined, njit, popcount64
from gpusim.model.cache import NONE, allocate_line, find_line, hash_of, touch
from gpusim.model.dram import dram_access
from gpusim.model.interconnect import ATOMIC, WRITE, deliver
from gpusim.model.state import MESSAGES


@inlined
def slice_of(P, line):
    """L2 slice of a line: its address bits folded, then modulo the number of slices."""
    return hash_of(line >> 1, (1 << 30) - 1) % P.machine[0].l2_slices


@inlined
def l2_line(S, P, sm, line, now):
    """Place of a line in L2, brought in if absent (its sectors are then invalid); the replaced one is written back."""
    machine = P.machine[0]
    mask = len(S.l2_hash) - 1
    place = find_line(S.l2_lines, S.l2_hash, 0, mask, line)
    number = slice_of(P, line)
    s = number * machine.l2_sets + hash_of(line // machine.l2_slices, (1 << 30) - 1) % machine.l2_sets
    if place == NONE:
        place = allocate_line(S.l2_lines, S.l2_sets, s, S.l2_hash, 0, mask, line)
        entry = S.l2_lines[place]
        if entry.dirty:
            S.counters[sm].dram_write_sectors += popcount64(entry.dirty)
            dram_access(S, P, number % machine.dram_channels, entry.dirty, now)
            entry.dirty = 0
        entry.ready = 0
        return place
    touch(S.l2_lines, S.l2_sets, s, place)
    return place


@inlined
def serve_request(S, P, sm, message):
    """One request: slice bandwidth, tags, DRAM for missing sectors, and the reply."""
    machine = P.machine[0]
    counters = S.counters[sm]
    line = message.line
    sectors = message.sectors
    number = slice_of(P, line)
    server = S.slices[number]
    start = max((message.time + machine.request_latency) * 16, server.free)
    server.free = start + popcount64(sectors) * machine.l2_sector_cycles_x16
    served = (start + 15) // 16
    entry = S.l2_lines[l2_line(S, P, sm, line, served)]
    if message.kind == WRITE:
        entry.valid |= sectors
        entry.dirty |= sectors
        counters.l2_write_sectors += popcount64(sectors)
        return
    missing = sectors & ~entry.valid
    counters.l2_read_sectors += popcount64(sectors)
    counters.l2_read_hits += popcount64(sectors & entry.valid)
    data = served + machine.l2_latency
    if missing:
        counters.dram_read_sectors += popcount64(missing)
        data = dram_access(S, P, number % machine.dram_channels, missing, data)
        entry.valid |= missing
        entry.ready = data
    else:
        data = max(data, entry.ready)  # an earlier request's data may still be on the way
    if message.kind == ATOMIC:
        entry.dirty |= sectors
        if message.token == NONE:
            return
    deliver(S, sm, data + machine.reply_latency, message.kind, line, sectors, message.token)


@njit
def l2_window(S, P, first, end):
    """Serve every request that departs before cycle `end`, in (cycle, SM) order, by a counting sort over the window."""
    sms = P.machine[0].sms
    starts = S.merge
    starts[: end - first + 1] = 0
    total = 0
    for sm in range(sms):
        unit = S.sms[sm]
        for place in range(unit.out_count):
            time = S.requests[sm * MESSAGES + (unit.out_head + place) % MESSAGES].time
            if time >= end:
                break
            starts[max(time - first, 0)] += 1
            total += 1
    if total == 0:
        return
    before = 0
    for cycle in range(end - first):
        count = starts[cycle]
        starts[cycle] = before
        before += count
    for sm in range(sms):
        unit = S.sms[sm]
        while unit.out_count > 0:
            place = sm * MESSAGES + unit.out_head
            time = S.requests[place].time
            if time >= end:
                break
            S.merged[starts[max(time - first, 0)]] = place
            starts[max(time - first, 0)] += 1
            unit.out_head = (unit.out_head + 1) % MESSAGES
            unit.out_count -= 1
    for number in range(total):
        place = S.merged[number]
        serve_request(S, P, place // MESSAGES, S.requests[place])
