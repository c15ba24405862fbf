"""Completions at known future cycles: dependence counters fall, loads write registers, memory instructions end.

One binary heap per sub-core, ordered by (cycle, kind), then by (cycle due, number of the push). So results of one kind
that become visible in one cycle and want one write port get it in the order in which that cycle became known, which for
a unit that completes in order is that of its instructions. Results that wait for a port stay before those that come
later: compilers rely on units that complete in order.
"""

from __future__ import annotations

from gpusim.constants import NO_COUNTER
from gpusim.jit import inlined
from gpusim.model.copies import complete_copy, group_due
from gpusim.model.counters import one
from gpusim.model.params import Params
from gpusim.model.rows import check_warp, wake_core, warp_row
from gpusim.model.scoreboard import result_written, sources_read
from gpusim.model.state import BANKS, EVENTS, SUB_CORES, WRITE_HORIZON, Fault, State
from gpusim.model.types import (
    CoreRow,
    Counter,
    Cycle,
    Flag,
    Index,
    Local,
    Mask,
    Place,
    Record,
    Sm,
    SubCore,
    TimelineRow,
)

LOWER = 0  # a dependence counter falls (sources read, or a result without a register)
LOAD = 1  # a load writes registers; its counter falls; the instruction is complete
COMPLETE = 2  # a memory instruction without a result is complete
COPY = 3  # an asynchronous copy is complete; its counter falls. In place of banks the event has the copy's group
RESULT = 4  # the result of another variable-latency unit is written; its counter falls
GROUP = 5  # LDGDEPBAR is through: its group ends when the copies are complete

OVERFLOW = int(Fault.EVENTS)

# ---- an event's three words: key (cycle, kind), order among equal keys, and what it is about

KIND_BITS, ORDER_BITS = 4, 27  # of pushes as many are told apart as cannot be apart in one cycle
BANKS_BITS, COUNTER_BITS, LOCAL_BITS, INDEX_BITS = 4, 4, 4, 20
COUNTER_SHIFT = BANKS_BITS
LOCAL_SHIFT = COUNTER_SHIFT + COUNTER_BITS
INDEX_SHIFT = LOCAL_SHIFT + LOCAL_BITS
ROW_SHIFT = INDEX_SHIFT + INDEX_BITS
NO_INDEX = (1 << INDEX_BITS) - 1
"""Static index of an event that no scoreboard asks about."""


@inlined
def key_of(cycle: Cycle, kind: int) -> int:
    return cycle << KIND_BITS | kind


@inlined
def cycle_of_key(key: int) -> Cycle:
    return key >> KIND_BITS


@inlined
def kind_of_key(key: int) -> int:
    return key & (1 << KIND_BITS) - 1


@inlined
def about(row: TimelineRow, index: Index, local: Local, counter: Counter, banks: Mask) -> int:
    return row << ROW_SHIFT | index << INDEX_SHIFT | local << LOCAL_SHIFT | counter << COUNTER_SHIFT | banks


@inlined
def row_of(what: int) -> TimelineRow:
    return what >> ROW_SHIFT


@inlined
def index_of(what: int) -> Index:
    return what >> INDEX_SHIFT & NO_INDEX


@inlined
def local_of(what: int) -> Local:
    return what >> LOCAL_SHIFT & (1 << LOCAL_BITS) - 1


@inlined
def counter_of(what: int) -> Counter:
    return what >> COUNTER_SHIFT & (1 << COUNTER_BITS) - 1


@inlined
def banks_of(what: int) -> Mask:
    return what & (1 << BANKS_BITS) - 1


# ---- the heap


@inlined
def push_event(
    S: State,
    c: CoreRow,
    time: Cycle,
    kind: int,
    local: Local,
    counter: Counter,
    banks: Mask,
    index: Index,
    row: TimelineRow,
) -> None:
    """Let something happen at cycle `time` to warp `local` of sub-core c. banks: that it writes; of COPY the group."""
    core = S.sub_cores[c]
    core.event_number += 1
    order = time << ORDER_BITS | core.event_number & (1 << ORDER_BITS) - 1
    insert_event(S, c, key_of(time, kind), order, about(row, index, local, counter, banks))


@inlined
def comes_before(core: Record, place: Place, key: int, order: int) -> Flag:
    """Whether the event at a place of the heap is taken before one of this key and order."""
    other = core.event_key[place]
    return other < key or (other == key and core.event_order[place] < order)


@inlined
def set_event(core: Record, place: Place, key: int, order: int, what: int) -> None:
    core.event_key[place] = key
    core.event_order[place] = order
    core.event_what[place] = what


@inlined
def move_event(core: Record, place: Place, source: Place) -> None:
    set_event(core, place, core.event_key[source], core.event_order[source], core.event_what[source])


@inlined
def insert_event(S: State, c: CoreRow, key: int, order: int, what: int) -> None:
    """Add an event."""
    core = S.sub_cores[c]
    place = core.event_count
    if place >= EVENTS:
        S.gpu[0].fault = OVERFLOW
        return
    core.event_count = place + 1
    while place > 0:
        parent = (place - 1) >> 1
        if comes_before(core, parent, key, order):
            break
        move_event(core, place, parent)
        place = parent
    set_event(core, place, key, order, what)
    wake_core(core, cycle_of_key(key))


@inlined
def pop_event(core: Record) -> None:
    """Remove the earliest event."""
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
def next_event(core: Record) -> Cycle:
    """Cycle of a sub-core's earliest event; it must have one."""
    return cycle_of_key(core.event_key[0])


# ---- write ports: a calendar of results per bank and cycle


@inlined
def write_slot(bank: int, cycle: Cycle) -> Place:
    return bank * WRITE_HORIZON + (cycle & (WRITE_HORIZON - 1))


@inlined
def writes_booked(core: Record, bank: int, cycle: Cycle) -> int:
    """Results that write to a bank in `cycle`."""
    slot = core.write_slots[write_slot(bank, cycle)]
    return slot & 15 if slot >> 4 == cycle else 0


@inlined
def book_write(core: Record, banks: Mask, cycle: Cycle) -> None:
    """A result takes a write port of each of its banks in `cycle`."""
    for bank in range(BANKS):
        if banks >> bank & 1:
            core.write_slots[write_slot(bank, cycle)] = (cycle << 4) + writes_booked(core, bank, cycle) + 1


@inlined
def load_port_taken(P: Params, core: Record, banks: Mask, cycle: Cycle) -> Flag:
    """Book a write port of every bank in `banks` for a load in `cycle`; 1 if one is taken by another result."""
    for bank in range(BANKS):
        if banks >> bank & 1:
            if writes_booked(core, bank, cycle) >= P.card[0].sm.sub_core.register_file.write_ports:
                return 1
    book_write(core, banks, cycle)
    return 0


# ---- what happens


@inlined
def run_events(S: State, P: Params, sm: Sm, k: SubCore, now: Cycle) -> None:
    """Apply every event due by `now`.

    A load whose write port another result takes comes a cycle later, and with it those behind it.
    """
    c = sm * SUB_CORES + k
    core = S.sub_cores[c]
    held = 0  # bit per kind, some event of which could not write its result in this cycle
    while core.event_count > 0 and next_event(core) <= now:
        kind = kind_of_key(core.event_key[0])
        order, what = core.event_order[0], core.event_what[0]
        pop_event(core)
        banks = banks_of(what)
        if held >> kind & 1 or (banks and kind != COPY and load_port_taken(P, core, banks, now - 1)):
            S.counters[sm].write_port_conflicts += 1
            held |= 1 << kind
            insert_event(S, c, key_of(now + 1, kind), order, what)  # it is still due before later ones
            continue
        apply_event(S, P, sm, k, kind, what, now)


@inlined
def apply_event(S: State, P: Params, sm: Sm, k: SubCore, kind: int, what: int, now: Cycle) -> None:
    """What an event does to its warp."""
    w = warp_row(P, sm, k, local_of(what))
    warp = S.warps[w]
    counter, index, row = counter_of(what), index_of(what), row_of(what)
    if counter != NO_COUNTER:
        warp.counters -= one(counter)
    if kind == LOAD or kind == COMPLETE or kind == COPY:
        warp.outstanding -= 1
    if kind == COPY:
        complete_copy(warp, banks_of(what))
    elif kind == GROUP:
        group_due(warp)
    if P.derived[0].scoreboard and index != NO_INDEX:
        if kind == LOWER:
            sources_read(S, P, w, index)
        else:
            result_written(S, P, w, index)
    if row >= 0 and (kind == LOAD or kind == RESULT):
        S.timeline[row].write_back = now - 1
    check_warp(warp, now)
