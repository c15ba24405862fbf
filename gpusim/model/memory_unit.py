"""The SM-shared memory unit: round-robin grants to the sub-cores, then shared memory, L1D, constants or a plain hop.

One instruction per 2 cycles over all sub-cores (arXiv 2503.20481 section 5.4, Table 1). A grant decides the whole
unloaded way of an instruction; only misses wait for replies.
"""

from __future__ import annotations

from gpusim.jit import inlined, njit, trailing_zeros64
from gpusim.model.address_unit import next_request
from gpusim.model.cache import fill_tag, find_tag
from gpusim.model.coalesce import SHARED, coalesce, count_passes, lane_address, shared_passes, space_of
from gpusim.model.copies import accept_copy
from gpusim.model.events import COMPLETE, COPY
from gpusim.model.interconnect import DEPARTURE_BACKLOG, REPLY_LIMIT
from gpusim.model.kinds import Kind
from gpusim.model.l1_data import atomic, complete_load, finish, granted_after, load, room_for_lines, store
from gpusim.model.l1_instructions import LDC, request_l1_instructions
from gpusim.model.state import FOREVER, LDC_WAITING, QUEUE, STARTS, SUB_CORES

GLOBAL_LOAD, GLOBAL_STORE = int(Kind.GLOBAL_LOAD), int(Kind.GLOBAL_STORE)
GLOBAL_ATOMIC, GLOBAL_REDUCTION = int(Kind.GLOBAL_ATOMIC), int(Kind.GLOBAL_REDUCTION)
SHARED_LOAD, SHARED_STORE, SHARED_ATOMIC = int(Kind.SHARED_LOAD), int(Kind.SHARED_STORE), int(Kind.SHARED_ATOMIC)
SHUFFLE, SPECIAL, CONSTANT_LOAD = int(Kind.SHUFFLE), int(Kind.SPECIAL), int(Kind.CONSTANT_LOAD)
GLOBAL_TO_SHARED = int(Kind.GLOBAL_TO_SHARED)


@inlined
def uses_l1(kind):
    return (kind >= GLOBAL_LOAD and kind <= GLOBAL_REDUCTION) or kind == GLOBAL_TO_SHARED


@inlined
def refused_until(S, P, sm, kind, now):
    """First cycle worth asking again for an instruction of this kind: `now` if the unit has room for it."""
    unit = S.sms[sm]
    machine = P.machine[0]
    oldest = unit.starts[(unit.start_turn - machine.pending_instructions) % STARTS]
    if oldest > now:  # as many as may pend have been accepted and not started
        return oldest
    if kind == CONSTANT_LOAD:
        return now if unit.constants_pending < LDC_WAITING else FOREVER
    if not uses_l1(kind):
        return now
    if unit.out_free - now > DEPARTURE_BACKLOG:
        return unit.out_free - DEPARTURE_BACKLOG
    if (kind == GLOBAL_STORE or kind == GLOBAL_REDUCTION) and unit.writes_due >= machine.writes_in_flight:
        return FOREVER
    room = unit.table_used < machine.table_entries and unit.replies_due < REPLY_LIMIT and room_for_lines(S, P, sm)
    return now if room else FOREVER


@inlined
def memory_unit(S, P, sm, now):
    """Grant at most one sub-core's request in cycle `now`."""
    unit = S.sms[sm]
    machine = P.machine[0]
    if unit.next_grant > now:
        unit.retry_at = unit.next_grant
        return
    unit.retry_at = FOREVER
    for step in range(SUB_CORES):
        k = (unit.grant_turn + step) % SUB_CORES
        core = S.sub_cores[sm * SUB_CORES + k]
        if next_request(core) > now:
            continue
        head = core.queue_head
        index = core.queue_index[head]
        code = P.code[index]
        mask, record = core.queue_mask[head], core.queue_record[head]
        space = space_of(S, code, record, mask)
        kind = code.shared_kind if space == SHARED else code.kind
        refused = refused_until(S, P, sm, kind, now)
        if refused > now:
            unit.retry_at = min(unit.retry_at, refused)
            continue
        w = sm * machine.warps + core.queue_warp[head] * SUB_CORES + k
        serve(S, P, sm, w, index, kind, space, mask, record, core.queue_row[head], now)
        core.queue_head = (head + 1) % QUEUE
        core.queue_count -= 1
        core.queue_addressed -= 1
        core.wake = min(core.wake, now)
        unit.next_grant = now + machine.grant_interval
        unit.retry_at = unit.next_grant
        unit.grant_turn = (k + 1) % SUB_CORES
        return


@njit
def serve(S, P, sm, w, index, kind, space, mask, record, row, now):
    """An instruction is accepted in cycle `now`. kind, space: those of its address, if it is generic."""
    unit = S.sms[sm]
    start = now
    if mask == 0:  # predicated off: it passes the queue and does nothing
        finish_empty(S, P, sm, w, index, row, now)
    elif uses_l1(kind):
        start = global_access(S, P, sm, w, index, space, mask, record, row, now)
    elif kind == CONSTANT_LOAD:
        constant_load(S, P, sm, w, index, mask, record, row, now)
    else:
        start = shared_access(S, P, sm, w, index, kind, mask, record, row, now)
    if row >= 0:
        S.timeline[row].execute = start
    unit.starts[unit.start_turn] = start
    unit.start_turn = (unit.start_turn + 1) % STARTS


@inlined
def finish_empty(S, P, sm, w, index, row, now):
    code = P.code[index]
    done = now + code.raw - granted_after(P, index)
    if code.kind == GLOBAL_TO_SHARED:
        finish(S, P, sm, w, index, row, done, COPY, accept_copy(S.warps[w]))
    else:
        finish(S, P, sm, w, index, row, done, COMPLETE, 0)


@inlined
def global_access(S, P, sm, w, index, space, mask, record, row, now):
    """Global and local accesses: coalesce, occupy the L1 pipe, look up or send. Returns the start in the pipe."""
    unit = S.sms[sm]
    machine = P.machine[0]
    code = P.code[index]
    coalesce(S, sm, w, record, mask, code.access_bytes, space)
    start = max(now, unit.l1_free)
    # the data path moves 64 bytes a cycle and one line at a time
    plain = max(1, 32 * code.access_bytes // machine.return_bytes)
    cycles = max(plain, unit.access_count)
    unit.l1_free = start + cycles
    if code.kind == GLOBAL_STORE:
        store(S, P, sm, w, index, row, start)
    elif code.kind == GLOBAL_ATOMIC or code.kind == GLOBAL_REDUCTION:
        count_passes(S, sm, record, mask)
        atomic(S, P, sm, w, index, row, start, code.kind == GLOBAL_ATOMIC)
    else:
        load(S, P, sm, w, index, row, start, cycles - plain)
    return start


@inlined
def shared_access(S, P, sm, w, index, kind, mask, record, row, now):
    """Shared memory, shuffles and other instructions of the same pipe; they complete in order. Returns the start."""
    unit = S.sms[sm]
    machine = P.machine[0]
    code = P.code[index]
    start = max(now, unit.shared_free)
    cycles, conflicts, raw = machine.shared_minimum, 0, code.raw
    if kind <= SHARED_ATOMIC:
        raw = code.shared_raw
        passes = shared_passes(S, sm, record, mask, code.access_bytes, kind == SHARED_ATOMIC)
        conflicts = passes >> 16
        cycles = max(cycles, passes & 65535, 32 * code.access_bytes // machine.shared_bytes)
        S.counters[sm].shared_wavefronts += passes & 65535
        S.counters[sm].shared_bank_conflicts += conflicts
    unit.shared_free = start + cycles
    visible = max(start + conflicts + raw - granted_after(P, index), unit.shared_visible)
    if kind == SHARED_STORE or code.kind == GLOBAL_REDUCTION:
        finish(S, P, sm, w, index, row, start + cycles, COMPLETE, 0)
    else:
        unit.shared_visible = visible
        complete_load(S, P, sm, w, index, row, visible)
    return start


@inlined
def constant_load(S, P, sm, w, index, mask, record, row, now):
    """LDC: the VL constant cache, then the SM's first-level cache. The first active lane's address stands for all."""
    unit = S.sms[sm]
    machine = P.machine[0]
    address = lane_address(S, record, 0, trailing_zeros64(mask))
    line = ((P.code[index].constant_bank << 20) + (address & 0xFFFFF)) // machine.ldc_bytes
    base = (sm * machine.ldc_sets + line % machine.ldc_sets) * machine.ldc_ways
    place = find_tag(S.constants, base, machine.ldc_ways, line)
    after = P.code[index].raw - granted_after(P, index)
    if place >= 0:
        S.constants[place].stamp = now
        complete_load(S, P, sm, w, index, row, now + after)
        return
    S.counters[sm].constant_misses += 1
    entry = unit.constants_pending
    for earlier in range(entry):
        if unit.constant_line[earlier] == line:
            line = -1 - line  # asked for already
            break
    unit.constant_entry[entry] = (w << 32) | index
    unit.constant_row[entry] = row
    unit.constants_pending = entry + 1
    unit.constant_line[entry] = line if line >= 0 else -1 - line
    if line >= 0:
        request_l1_instructions(S, P, sm, now, LDC, 0, line)


@inlined
def fill_constant(S, P, sm, line, now):
    """A line for LDC arrives: the loads that waited for it are as if just granted."""
    unit = S.sms[sm]
    machine = P.machine[0]
    base = (sm * machine.ldc_sets + line % machine.ldc_sets) * machine.ldc_ways
    fill_tag(S.constants, base, machine.ldc_ways, line, now)
    kept = 0
    for entry in range(unit.constants_pending):
        if unit.constant_line[entry] == line:
            index = unit.constant_entry[entry] & 0xFFFFFFFF
            after = P.code[index].raw - granted_after(P, index)
            complete_load(S, P, sm, unit.constant_entry[entry] >> 32, index, unit.constant_row[entry], now + after)
        else:
            unit.constant_line[kept] = unit.constant_line[entry]
            unit.constant_entry[kept] = unit.constant_entry[entry]
            unit.constant_row[kept] = unit.constant_row[entry]
            kept += 1
    unit.constants_pending = kept


@inlined
def grant_wake(S, sm, now):
    """Next cycle in which the unit could accept something, replies aside."""
    unit = S.sms[sm]
    first = FOREVER
    for k in range(SUB_CORES):
        asks = next_request(S.sub_cores[sm * SUB_CORES + k])
        first = min(first, max(asks, unit.next_grant) if asks > now else max(unit.retry_at, now + 1))
    return first
