"""L1D: sectored, write-through, no allocation on a store; misses wait in the pending request table.

A load holds one table entry until its last line has arrived; each missing line lists the entries that wait for it.
"""

from __future__ import annotations

from gpusim.jit import inlined, njit, popcount64
from gpusim.model.cache import NONE, find_line, oldest_idle, replace_line, touch
from gpusim.model.copies import accept_copy
from gpusim.model.events import COMPLETE, COPY, LOAD, push_event
from gpusim.model.interconnect import ATOMIC, READ_ENTRY, READ_LINE, WRITE, send, send_data, writer_token
from gpusim.model.kinds import Kind
from gpusim.model.state import FAULT_WAITERS, LINE_BUCKETS, SUB_CORES

GLOBAL_TO_SHARED = int(Kind.GLOBAL_TO_SHARED)
NO_COUNTER = 7


@inlined
def line_set(P, sm, line):
    machine = P.machine[0]
    return sm * machine.l1_sets + line % machine.l1_sets


@inlined
def room_for_lines(S, P, sm):
    """Whether a load may bring in 32 more lines; always, when none is awaited."""
    unit = S.sms[sm]
    return unit.lines_pending == 0 or unit.lines_pending + 32 <= P.machine[0].mshr_entries


@inlined
def take_entry(S, sm, w, index, row):
    """A free pending request table entry for warp w's instruction; the caller has checked that there is one."""
    unit = S.sms[sm]
    entry = unit.table_free
    unit.table_free = unit.table_next[entry]
    unit.table_used += 1
    unit.table_warp[entry] = w
    unit.table_index[entry] = index
    unit.table_row[entry] = row
    unit.table_left[entry] = 0
    return entry


@inlined
def free_entry(S, sm, entry):
    unit = S.sms[sm]
    unit.table_next[entry] = unit.table_free
    unit.table_free = entry
    unit.table_used -= 1


@inlined
def wait_for_line(S, sm, place, entry):
    """Add a table entry to those that wait for a line."""
    unit = S.sms[sm]
    node = unit.waiter_free
    if node == NONE:
        S.gpu[0].fault = FAULT_WAITERS
        return
    unit.waiter_free = unit.waiter_next[node]
    unit.waiter_entry[node] = entry
    unit.waiter_next[node] = S.lines[place].waiters
    S.lines[place].waiters = node
    unit.table_left[entry] += 1


@inlined
def complete_load(S, P, sm, w, index, row, visible):
    """The result of a memory instruction is visible to dependents from cycle `visible` on."""
    finish(S, P, sm, w, index, row, visible, LOAD, P.code[index].banks_written)


@inlined
def finish(S, P, sm, w, index, row, time, kind, banks):
    """A memory instruction of warp w ends with an event of this kind; `banks`: that it writes, of a copy its group."""
    slot = w - sm * P.machine[0].warps
    counter = P.code[index].write_counter
    push_event(S, sm * SUB_CORES + slot % SUB_CORES, time, kind, slot // SUB_CORES, counter, banks, index, row)


@inlined
def complete_access(S, P, sm, w, index, row, visible, group):
    """As complete_load, for what may be a copy too."""
    if P.code[index].kind == GLOBAL_TO_SHARED:
        finish(S, P, sm, w, index, row, visible, COPY, group)
    else:
        complete_load(S, P, sm, w, index, row, visible)


@inlined
def look_up_line(S, P, sm, line, sectors, entry, time):
    """One line of a load: returns the sectors that hit; the others make the table entry wait."""
    lines = S.lines
    unit = S.sms[sm]
    place = find_line(lines, S.line_hash, sm * LINE_BUCKETS, LINE_BUCKETS - 1, line)
    s = line_set(P, sm, line)
    if place == NONE:
        place = oldest_idle(lines, S.line_sets, s)
        if place == NONE:  # every way awaits data: go around L1D
            unit.table_left[entry] += 1
            send(S, P, sm, time, READ_ENTRY, line, sectors, entry)
            return 0
        replace_line(lines, S.line_sets, s, S.line_hash, sm * LINE_BUCKETS, LINE_BUCKETS - 1, place, line)
    else:
        touch(lines, S.line_sets, s, place)
    row = lines[place]
    hits = sectors & row.valid
    missing = sectors & ~row.valid
    if missing:
        request = missing & ~row.pending
        if request:
            if row.pending == 0:
                unit.lines_pending += 1
            row.pending |= request
            send(S, P, sm, time, READ_LINE, line, request, place)
        wait_for_line(S, sm, place, entry)
    return hits


@inlined
def load(S, P, sm, w, index, row, start, extra):
    """A load whose accesses are listed; `start` is its cycle in the L1 pipe, `extra` its serialisation."""
    unit = S.sms[sm]
    code = P.code[index]
    machine = P.machine[0]
    entry = take_entry(S, sm, w, index, row)
    group = accept_copy(S.warps[w]) if code.kind == GLOBAL_TO_SHARED else 0
    unit.table_group[entry] = group
    counters = S.counters[sm]
    for access in range(unit.access_count):
        line = unit.access_line[access]
        sectors = unit.access_sectors[access]
        time = start + machine.miss_latency + access // machine.tag_lookups
        counters.l1_load_sectors += popcount64(sectors)
        if code.bypass_l1:
            unit.table_left[entry] += 1
            send(S, P, sm, time, READ_ENTRY, line, sectors, entry)
        else:
            counters.l1_load_hits += popcount64(look_up_line(S, P, sm, line, sectors, entry, time))
    if unit.table_left[entry] == 0:
        free_entry(S, sm, entry)
        complete_access(S, P, sm, w, index, row, start + extra + code.raw - granted_after(P, index), group)


@inlined
def granted_after(P, index):
    """Cycles from issue to grant of an unqueued instruction, which Table 2's latencies include."""
    machine = P.machine[0]
    return machine.register_read + (machine.grant_uniform if P.code[index].uniform_address else machine.grant_regular)


@inlined
def finish_entry(S, P, sm, entry, now):
    """The last line of a table entry has arrived: its data pass the return path to the registers."""
    unit = S.sms[sm]
    machine = P.machine[0]
    w, index, row = unit.table_warp[entry], unit.table_index[entry], unit.table_row[entry]
    code = P.code[index]
    start = max(now, unit.return_free)
    unit.return_free = start + max(1, 32 * code.access_bytes // machine.return_bytes)
    wider = max(code.raw - machine.plain_load_raw, 0)  # return cycles beyond those of a 32-bit load
    complete_access(S, P, sm, w, index, row, start + machine.fill_latency + wider, unit.table_group[entry])
    free_entry(S, sm, entry)


@njit
def fill_line(S, P, sm, place, sectors, now):
    """Sectors of a line arrive: everything that waited for the last of them goes on."""
    unit = S.sms[sm]
    line = S.lines[place]
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
        entry = unit.waiter_entry[node]
        unit.table_left[entry] -= 1
        if unit.table_left[entry] == 0:
            finish_entry(S, P, sm, entry, now)
        following = unit.waiter_next[node]
        unit.waiter_next[node] = unit.waiter_free
        unit.waiter_free = node
        node = following


@inlined
def store(S, P, sm, w, index, row, start):
    """A global or local store: every line's sectors go to L2; the instruction is complete when the last has left."""
    unit = S.sms[sm]
    machine = P.machine[0]
    left = start
    token = writer_token(w - sm * machine.warps)
    for access in range(unit.access_count):
        time = start + machine.miss_latency + access // machine.tag_lookups
        line, sectors = unit.access_line[access], unit.access_sectors[access]
        low, high = unit.access_low[access], unit.access_high[access]
        left = send_data(S, P, sm, time, WRITE, line, sectors, token, low, high, 0)
        S.counters[sm].l1_store_sectors += popcount64(sectors)
    finish(S, P, sm, w, index, row, left + 1, COMPLETE, 0)


@inlined
def atomic(S, P, sm, w, index, row, start, returns):
    """Global atomics are done at L2; a reduction returns nothing."""
    unit = S.sms[sm]
    machine = P.machine[0]
    entry = take_entry(S, sm, w, index, row) if returns and unit.access_count > 0 else NONE
    token = entry if entry != NONE else writer_token(w - sm * machine.warps)
    left = start
    for access in range(unit.access_count):
        time = start + machine.miss_latency + access // machine.tag_lookups
        line, sectors, passes = unit.access_line[access], unit.access_sectors[access], unit.access_passes[access]
        left = send_data(S, P, sm, time, ATOMIC, line, sectors, token, 0, 0, passes)
        if entry != NONE:
            unit.table_left[entry] += 1
    if entry == NONE:
        finish(S, P, sm, w, index, row, left + 1, COMPLETE, 0)
