"""Completions at known future cycles: dependence counters fall, loads write registers, memory instructions end.

One binary heap per sub-core, ordered by (cycle, kind), then by (cycle due, number of the push). So results of one kind
that become visible in one cycle and want one write port get it in the order in which that cycle became known, which for
a unit that completes in order is that of its instructions. Results that wait for a port stay before those that come
later: compilers rely on units that complete in order.
"""

from __future__ import annotations

from gpusim.jit import inlined
from gpusim.model.copies import complete_copy, group_due
from gpusim.model.scoreboard import result_written, sources_read
from gpusim.model.state import EVENTS, FAULT_EVENTS, SUB_CORES, WRITE_HORIZON

LOWER = 0  # a dependence counter falls (sources read, or a result without a register)
LOAD = 1  # a load writes registers; its counter falls; the instruction is complete
COMPLETE = 2  # a memory instruction without a result is complete
COPY = 3  # an asynchronous copy is complete; its counter falls. In place of banks the event has the copy's group
RESULT = 4  # the result of another variable-latency unit is written; its counter falls
GROUP = 5  # LDGDEPBAR is through: its group ends when the copies are complete

NO_COUNTER = 7
TIME_SHIFT = 4  # of the key: cycle and kind
ORDER_BITS = 27  # pushes that are told apart: far more than the events of one cycle can be apart
INDEX_SHIFT, INDEX_BITS, ROW_SHIFT = 12, 20, 32  # of event_what
NO_INDEX = (1 << INDEX_BITS) - 1


@inlined
def push_event(S, c, time, kind, local, counter, banks, index, row):
    """Let something happen at cycle `time` on sub-core c.

    `local` is the warp's number in the sub-core, `index` the static instruction, or NO_INDEX where nobody asks.
    """
    core = S.sub_cores[c]
    core.event_number += 1
    order = time << ORDER_BITS | core.event_number & ((1 << ORDER_BITS) - 1)
    what = row << ROW_SHIFT | index << INDEX_SHIFT | local << 8 | counter << 4 | banks
    insert_event(S, c, time << TIME_SHIFT | kind, order, what)


@inlined
def comes_before(core, place, key, order):
    """Whether the event at a place of the heap is taken before one of this key and order."""
    other = core.event_key[place]
    return other < key or (other == key and core.event_order[place] < order)


@inlined
def set_event(core, place, key, order, what):
    core.event_key[place] = key
    core.event_order[place] = order
    core.event_what[place] = what


@inlined
def move_event(core, place, source):
    set_event(core, place, core.event_key[source], core.event_order[source], core.event_what[source])


@inlined
def insert_event(S, c, key, order, what):
    """Add an event."""
    core = S.sub_cores[c]
    place = core.event_count
    if place >= EVENTS:
        S.gpu[0].fault = FAULT_EVENTS
        return
    core.event_count = place + 1
    while place > 0:
        parent = (place - 1) >> 1
        if comes_before(core, parent, key, order):
            break
        move_event(core, place, parent)
        place = parent
    set_event(core, place, key, order, what)
    core.wake = min(core.wake, key >> TIME_SHIFT)


@inlined
def pop_event(S, c):
    """Remove the earliest event."""
    core = S.sub_cores[c]
    last = core.event_count - 1
    core.event_count = last
    key, order, what = core.event_key[last], core.event_order[last], core.event_what[last]
    place = 0
    while True:
        child = 2 * place + 1
        if child >= last:
            break
        if child + 1 < last and comes_before(core, child + 1, core.event_key[child], core.event_order[child]):
            child += 1
        if not comes_before(core, child, key, order):
            break
        move_event(core, place, child)
        place = child
    set_event(core, place, key, order, what)


@inlined
def book_write(core, banks, cycle):
    """A result takes a write port of each of its banks in `cycle`."""
    for bank in range(2):
        if banks >> bank & 1:
            place = bank * WRITE_HORIZON + (cycle & (WRITE_HORIZON - 1))
            slot = core.write_slots[place]
            core.write_slots[place] = slot + 1 if slot >> 4 == cycle else (cycle << 4) + 1


@inlined
def load_port_taken(S, P, c, banks, cycle):
    """Book a write port of every bank in `banks` for a load in `cycle`; 1 if one is taken by another result."""
    core = S.sub_cores[c]
    ports = P.machine[0].write_ports
    for bank in range(2):
        if banks >> bank & 1:
            slot = core.write_slots[bank * WRITE_HORIZON + (cycle & (WRITE_HORIZON - 1))]
            if slot >> 4 == cycle and slot & 15 >= ports:
                return 1
    book_write(core, banks, cycle)
    return 0


@inlined
def run_events(S, P, sm, k, now):
    """Apply every event due by `now`.

    A load whose write port another result takes comes a cycle later, and with it those behind it.
    """
    c = sm * SUB_CORES + k
    core = S.sub_cores[c]
    held = 0  # bit per kind, some event of which could not write its result in this cycle
    while core.event_count > 0 and core.event_key[0] >> TIME_SHIFT <= now:
        kind = core.event_key[0] & ((1 << TIME_SHIFT) - 1)
        order, what = core.event_order[0], core.event_what[0]
        pop_event(S, c)
        local = what >> 8 & 15
        counter = what >> 4 & 15
        banks = what & 15
        if held >> kind & 1 or (banks and kind != COPY and load_port_taken(S, P, c, banks, now - 1)):
            S.counters[sm].write_port_conflicts += 1
            held |= 1 << kind
            insert_event(S, c, (now + 1) << TIME_SHIFT | kind, order, what)  # it is still due before later ones
            continue
        index = what >> INDEX_SHIFT & NO_INDEX
        row = what >> ROW_SHIFT
        w = sm * P.machine[0].warps + local * SUB_CORES + k
        warp = S.warps[w]
        if counter != NO_COUNTER:
            warp.counters -= 1 << (8 * counter)
        if kind == LOAD or kind == COMPLETE or kind == COPY:
            warp.outstanding -= 1
        if kind == COPY:
            complete_copy(warp, banks)
        elif kind == GROUP:
            group_due(warp)
        if P.machine[0].scoreboard and index != NO_INDEX:
            if kind == LOWER:
                sources_read(S, P, w, index)
            else:
                result_written(S, P, w, index)
        if row >= 0 and (kind == LOAD or kind == RESULT):
            S.timeline[row].write_back = now - 1
        warp.next_check = min(warp.next_check, now)
