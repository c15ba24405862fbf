"""L1D: sectored, write-through, no allocation on a store; misses wait in the pending request table.

A load stays in the table until its last line has arrived; each missing line lists the accesses that wait for it.
"""

from __future__ import annotations

from gpusim.constants import WARP_SIZE
from gpusim.jit import inlined, njit, popcount64
from gpusim.model.address_unit import granted_after
from gpusim.model.cache import NO_WAY, NONE, find_line, place_for, replace_line, use_line
from gpusim.model.held_stores import data_cycles, hold_store
from gpusim.model.in_flight import finish_load_or_copy, finish_without_result
from gpusim.model.interconnect import (
    ATOMIC,
    READ_ENTRY,
    READ_LINE,
    expect_acknowledgement,
    send,
    send_packet,
    writer_token,
)
from gpusim.model.kinds import Kind
from gpusim.model.params import Params
from gpusim.model.rows import slot_of
from gpusim.model.state import LINE_BUCKETS, Fault, State
from gpusim.model.types import Access, Cycle, Flag, Line, Mask, Place, Sm

GLOBAL_ATOMIC = int(Kind.GLOBAL_ATOMIC)
OVERFLOW, WRONG_WAY = int(Fault.WAITERS), int(Fault.REPLACEMENT)


# ---- the pending request table


@inlined
def room_for_lines(S: State, P: Params, sm: Sm) -> Flag:
    """Whether a load may bring in 32 more lines; always, when none is awaited."""
    pending = S.sms[sm].lines_pending
    return pending == 0 or pending + WARP_SIZE <= P.card[0].sm.memory_unit.l1_data.mshr_entries


@inlined
def await_line(S: State, sm: Sm, number: Access) -> None:
    """An access awaits one more line; with the first it enters the table."""
    access = S.accesses[number]
    if access.left == 0:
        S.sms[sm].table_used += 1
    access.left += 1


@inlined
def wait_for_line(S: State, sm: Sm, place: Place, number: Access) -> None:
    """Add an access to those that wait for a line."""
    unit = S.sms[sm]
    node = unit.waiter_free
    if node == NONE:
        S.gpu[0].fault = OVERFLOW
        return
    unit.waiter_free = unit.waiter_next[node]
    unit.waiter_access[node] = number
    unit.waiter_next[node] = S.l1_lines[place].waiters
    S.l1_lines[place].waiters = node
    await_line(S, sm, number)


@inlined
def line_arrives(S: State, P: Params, sm: Sm, number: Access, now: Cycle) -> None:
    """A line that an access awaits is there; behind the last its data pass the return path to the registers, which
    hits use too."""
    unit = S.sms[sm]
    access = S.accesses[number]
    access.left -= 1
    if access.left > 0:
        return
    unit.table_used -= 1
    l1_data = P.card[0].sm.memory_unit.l1_data
    code = P.code[access.index]
    start = max(now, unit.return_free)
    unit.return_free = start + access.return_cycles
    unit.l1_free = max(unit.l1_free, now) + access.return_cycles
    # return cycles beyond those of a 32-bit load
    wider = max(code.raw - P.card[0].sm.memory_latency.global_load.regular.raw[0], 0)
    finish_load_or_copy(S, P, sm, number, start + l1_data.fill_latency + wider)


# ---- loads


@inlined
def to_interconnect(P: Params, start: Cycle, wavefront: int) -> Cycle:
    """Cycle in which a line that an access looks up in some wavefront is ready to leave."""
    return start + P.card[0].sm.memory_unit.l1_data.miss_latency + wavefront


@inlined
def bypass(S: State, P: Params, sm: Sm, number: Access, line: Line, sectors: Mask, time: Cycle) -> None:
    """Ask L2 for what a load needs, past L1D."""
    await_line(S, sm, number)
    send(S, P, sm, time, READ_ENTRY, line, sectors, number)


@inlined
def look_up_line(S: State, P: Params, sm: Sm, number: Access, line: Line, sectors: Mask, time: Cycle) -> Mask:
    """One line of a load: returns the sectors that are there or on their way; the access waits for those that are not
    there."""
    lines, sets, hash_base = S.l1_lines, S.l1_sets, sm * LINE_BUCKETS
    unit = S.sms[sm]
    l1_data, ways = P.card[0].sm.memory_unit.l1_data, P.derived[0].l1_ways
    replacement = P.derived[0].l1_replacement
    s = sm * l1_data.sets + line % l1_data.sets
    place = find_line(lines, S.l1_hash, hash_base, LINE_BUCKETS - 1, line)
    if place == NONE:
        place = place_for(P, replacement, lines, sets, s, ways, line)
        if place == NO_WAY:
            S.gpu[0].fault = WRONG_WAY
        if place < 0:  # every way awaits data: go around L1D
            bypass(S, P, sm, number, line, sectors, time)
            return 0
        replace_line(P, replacement, lines, sets, s, ways, S.l1_hash, hash_base, LINE_BUCKETS - 1, place, line)
    else:
        use_line(P, replacement, lines, sets, s, ways, place)
    row = lines[place]
    known = sectors & (row.valid | row.pending)
    missing = sectors & ~row.valid
    S.counters[sm].l1_load_hits_pending += popcount64(missing & row.pending)
    if missing:
        request = missing & ~row.pending
        if request:
            if row.pending == 0:
                unit.lines_pending += 1
            row.pending |= request
            send(S, P, sm, time, READ_LINE, line, request, place)
        wait_for_line(S, sm, place, number)
    return known


@inlined
def load(S: State, P: Params, sm: Sm, number: Access, start: Cycle, extra: Cycle) -> None:
    """A load whose lines are listed; `start` is its cycle in the L1 pipe, `extra` its serialisation."""
    unit = S.sms[sm]
    access = S.accesses[number]
    code = P.code[access.index]
    counters = S.counters[sm]
    for place in range(unit.access_count):
        line, sectors = unit.access_line[place], unit.access_sectors[place]
        time = to_interconnect(P, start, unit.access_wavefront[place])
        counters.l1_load_sectors += popcount64(sectors)
        if code.bypass_l1:
            bypass(S, P, sm, number, line, sectors, time)
        else:
            counters.l1_load_hits += popcount64(look_up_line(S, P, sm, number, line, sectors, time))
    if access.left == 0:
        finish_load_or_copy(S, P, sm, number, start + extra + code.raw - granted_after(P, code))


@njit
def fill_line(S: State, P: Params, sm: Sm, place: Place, sectors: Mask, now: Cycle) -> None:
    """Sectors arrive from L2; when the line awaits no more, whatever waits for it goes on."""
    unit = S.sms[sm]
    line = S.l1_lines[place]
    line.valid |= sectors
    line.pending &= ~sectors
    if line.pending:
        return
    unit.lines_pending -= 1
    node = line.waiters
    line.waiters = NONE
    previous = NONE
    while node != NONE:  # turn the list round: first come, first served
        following = unit.waiter_next[node]
        unit.waiter_next[node] = previous
        previous = node
        node = following
    node = previous
    while node != NONE:
        line_arrives(S, P, sm, unit.waiter_access[node], now)
        following = unit.waiter_next[node]
        unit.waiter_next[node] = unit.waiter_free
        unit.waiter_free = node
        node = following


# ---- stores and atomics


@inlined
def store(S: State, P: Params, sm: Sm, number: Access, start: Cycle) -> None:
    """A global or local store: every line's sectors go to L2; the instruction is complete when the last could leave."""
    unit = S.sms[sm]
    token = writer_token(slot_of(P, sm, S.accesses[number].warp))
    last = 0
    for place in range(unit.access_count):
        last = max(last, unit.access_wavefront[place])
        time = to_interconnect(P, start, unit.access_wavefront[place])
        line, sectors = unit.access_line[place], unit.access_sectors[place]
        hold_store(S, P, sm, time, line, sectors, unit.access_low[place], unit.access_high[place], token)
        S.counters[sm].l1_store_sectors += popcount64(sectors)
    finish_without_result(S, P, sm, number, max(to_interconnect(P, start, last), unit.out_free) + 1)


@inlined
def atomic(S: State, P: Params, sm: Sm, number: Access, start: Cycle) -> None:
    """Global atomics are done at L2; a reduction returns nothing."""
    unit = S.sms[sm]
    access = S.accesses[number]
    code = P.code[access.index]
    returns = access.kind == GLOBAL_ATOMIC and unit.access_count > 0
    token = number if returns else writer_token(slot_of(P, sm, access.warp))
    left = start
    for place in range(unit.access_count):
        time = to_interconnect(P, start, unit.access_wavefront[place])
        line, sectors, passes = unit.access_line[place], unit.access_sectors[place], unit.access_passes[place]
        cycles = data_cycles(P, sectors) + 1
        if code.packet_per_lane:
            cycles = max(cycles, passes)
        if returns:
            unit.replies_due += 1
            await_line(S, sm, number)
        else:
            expect_acknowledgement(S, P, sm, token)
        left = send_packet(S, P, sm, time, ATOMIC, line, sectors, token, 0, 0, passes * code.atomic_interval, cycles)
    if not returns:
        finish_without_result(S, P, sm, number, left + 1)
