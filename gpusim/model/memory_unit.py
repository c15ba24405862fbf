"""The SM-shared memory unit: round-robin grants to the sub-cores, then shared memory, L1D, constants or a plain hop.

One instruction per 2 cycles over all sub-cores (arXiv 2503.20481 section 5.4, Table 1). A grant decides the whole
unloaded way of an instruction; only misses wait for replies.
"""

from __future__ import annotations

from gpusim.constants import CONSTANT_BANK_BITS, WARP_SIZE
from gpusim.jit import inlined, njit, trailing_zeros64
from gpusim.model.address_unit import next_request
from gpusim.model.cache import NO_WAY, fill_tag, find_tag, use_tag
from gpusim.model.coalesce import (
    SHARED,
    coalesce,
    count_passes,
    data_wavefronts,
    lane_address,
    shared_passes,
    space_of,
    tag_wavefronts,
)
from gpusim.model.events import COMPLETE, COPY
from gpusim.model.held_stores import release_stores
from gpusim.model.in_flight import GLOBAL_TO_SHARED, accept_group, finish, finish_load, finish_without_result
from gpusim.model.interconnect import DEPARTURE_BACKLOG, REPLY_LIMIT
from gpusim.model.kinds import Kind
from gpusim.model.l1_data import atomic, granted_after, load, room_for_lines, store
from gpusim.model.l1_instructions import LDC, request_l1_instructions
from gpusim.model.params import Params
from gpusim.model.rows import sub_core, wake_throttled
from gpusim.model.state import FOREVER, LDC_WAITING, QUEUE, STARTS, SUB_CORES, Fault, State
from gpusim.model.types import Access, Cycle, Flag, Line, Place, Sm, SubCore

GLOBAL_LOAD, GLOBAL_STORE = int(Kind.GLOBAL_LOAD), int(Kind.GLOBAL_STORE)
GLOBAL_ATOMIC, GLOBAL_REDUCTION = int(Kind.GLOBAL_ATOMIC), int(Kind.GLOBAL_REDUCTION)
SHARED_STORE, SHARED_ATOMIC, CONSTANT_LOAD = int(Kind.SHARED_STORE), int(Kind.SHARED_ATOMIC), int(Kind.CONSTANT_LOAD)
WRONG_WAY = int(Fault.REPLACEMENT)


@inlined
def uses_l1(kind: int) -> Flag:
    return (kind >= GLOBAL_LOAD and kind <= GLOBAL_REDUCTION) or kind == GLOBAL_TO_SHARED


# ---- grants


@inlined
def refused_until(S: State, P: Params, sm: Sm, kind: int, now: Cycle) -> Cycle:
    """First cycle worth asking again for an instruction of this kind: `now` if the unit has room for it."""
    unit = S.sms[sm]
    limits = P.card[0].sm.memory_unit
    oldest = unit.starts[(unit.start_turn - limits.pending_instructions) % STARTS]
    if oldest > now:  # as many as may pend have been accepted and not started
        return oldest
    if kind == CONSTANT_LOAD:
        return now if unit.constants_pending < LDC_WAITING else FOREVER
    if not uses_l1(kind):
        return now
    if unit.out_free - now > DEPARTURE_BACKLOG:
        return unit.out_free - DEPARTURE_BACKLOG
    writes = kind == GLOBAL_STORE or kind == GLOBAL_REDUCTION
    if writes and unit.writes_due >= P.card[0].interconnect.writes_in_flight:
        return FOREVER
    room = unit.table_used < limits.pending_requests and unit.replies_due < REPLY_LIMIT and room_for_lines(S, P, sm)
    return now if room else FOREVER


@inlined
def memory_unit(S: State, P: Params, sm: Sm, now: Cycle) -> None:
    """Let held stores leave that have waited long enough, then grant at most one sub-core's request in cycle `now`."""
    unit = S.sms[sm]
    release_stores(S, P, sm, now)
    if unit.next_grant > now:
        unit.retry_at = unit.next_grant
        return
    unit.retry_at = FOREVER
    for step in range(SUB_CORES):
        k = (unit.grant_turn + step) % SUB_CORES
        core = sub_core(S, sm, k)
        if next_request(core) > now:
            continue
        number = core.queue_access[core.queue_head]
        resolve(S, P, number)
        refused = refused_until(S, P, sm, S.accesses[number].kind, now)
        if refused > now:
            unit.retry_at = min(unit.retry_at, refused)
            continue
        serve(S, P, sm, number, now)
        granted(S, P, sm, k, now)
        return


@inlined
def resolve(S: State, P: Params, number: Access) -> None:
    """Which memory an instruction reaches, and so what it is there."""
    access = S.accesses[number]
    code = P.code[access.index]
    access.space = space_of(S, code, access.record, access.mask)
    access.kind = code.shared_kind if access.space == SHARED else code.kind


@inlined
def granted(S: State, P: Params, sm: Sm, k: SubCore, now: Cycle) -> None:
    """The head of sub-core k's queue has been accepted in cycle `now`."""
    unit = S.sms[sm]
    core = sub_core(S, sm, k)
    core.queue_head = (core.queue_head + 1) % QUEUE
    core.queue_count -= 1
    core.queue_addressed -= 1
    wake_throttled(S, P, sm, k, now)
    unit.next_grant = now + P.card[0].sm.memory_unit.grant_interval
    unit.retry_at = unit.next_grant
    unit.grant_turn = (k + 1) % SUB_CORES


@inlined
def grant_wake(S: State, sm: Sm, now: Cycle) -> Cycle:
    """Next cycle in which the unit could accept something, replies aside."""
    unit = S.sms[sm]
    first = FOREVER
    for k in range(SUB_CORES):
        asks = next_request(sub_core(S, sm, k))
        first = min(first, max(asks, unit.next_grant) if asks > now else max(unit.retry_at, now + 1))
    return first


# ---- what an accepted instruction does


@njit
def serve(S: State, P: Params, sm: Sm, number: Access, now: Cycle) -> None:
    """An instruction is accepted in cycle `now`."""
    unit = S.sms[sm]
    access = S.accesses[number]
    row, kind = access.timeline, access.kind
    accept_group(S, P, number)
    start = now
    if access.mask == 0:  # predicated off: it passes the queue and does nothing
        finish_empty(S, P, sm, number, now)
    elif uses_l1(kind):
        start = global_access(S, P, sm, number, now)
    elif kind == CONSTANT_LOAD:
        constant_load(S, P, sm, number, now)
    else:
        start = shared_access(S, P, sm, number, now)
    if row >= 0:
        S.timeline[row].execute = start
    unit.starts[unit.start_turn] = start
    unit.start_turn = (unit.start_turn + 1) % STARTS


@inlined
def finish_empty(S: State, P: Params, sm: Sm, number: Access, now: Cycle) -> None:
    access = S.accesses[number]
    code = P.code[access.index]
    done = now + code.raw - granted_after(P, code)
    if code.kind == GLOBAL_TO_SHARED:
        finish(S, P, sm, number, done, COPY, access.group)
    else:
        finish(S, P, sm, number, done, COMPLETE, 0)


@inlined
def global_access(S: State, P: Params, sm: Sm, number: Access, now: Cycle) -> Cycle:
    """Global and local accesses: coalesce, occupy the L1 pipe, look up or send. Returns the start in the pipe.

    Tag lookup, data banks and the way to the registers work side by side, so the slowest counts. Data of a load that
    misses pass the latter two when they have come.
    """
    unit = S.sms[sm]
    access = S.accesses[number]
    width = P.code[access.index].access_bytes
    coalesce(S, sm, number, width)
    start = max(now, unit.l1_free)
    l1_data = P.card[0].sm.memory_unit.l1_data
    plain = max(1, WARP_SIZE * width // l1_data.return_bytes_per_cycle)
    tags = tag_wavefronts(P, unit)
    data = data_wavefronts(S, sm, number, width)
    S.counters[sm].l1_tag_wavefronts += tags
    S.counters[sm].l1_data_wavefronts += data
    access.return_cycles = max(plain, data * l1_data.data_interval)
    cycles = max(tags, access.return_cycles)
    unit.l1_free = start + cycles
    if access.kind == GLOBAL_STORE:
        store(S, P, sm, number, start)
    elif access.kind == GLOBAL_ATOMIC or access.kind == GLOBAL_REDUCTION:
        count_passes(S, sm, number)
        atomic(S, P, sm, number, start)
    else:
        load(S, P, sm, number, start, cycles - plain)
        if access.left > 0:
            unit.l1_free = start + tags
    return start


@inlined
def shared_access(S: State, P: Params, sm: Sm, number: Access, now: Cycle) -> Cycle:
    """Shared memory, shuffles and other instructions of the same pipe; they complete in order. Returns the start."""
    unit = S.sms[sm]
    access = S.accesses[number]
    code = P.code[access.index]
    shared = P.card[0].sm.memory_unit.shared_memory
    start = max(now, unit.shared_free)
    cycles, conflicts, raw = shared.minimum_cycles, 0, code.raw
    if access.kind <= SHARED_ATOMIC:
        raw = code.shared_raw
        passes, conflicts, packed = shared_passes(S, sm, number, code.access_bytes)
        moved = WARP_SIZE * code.access_bytes // (1 + packed)
        cycles = max(cycles, passes, moved // shared.data_bytes_per_cycle)
        S.counters[sm].shared_wavefronts += passes
        S.counters[sm].shared_bank_conflicts += conflicts
    unit.shared_free = start + cycles
    visible = max(start + conflicts + raw - granted_after(P, code), unit.shared_visible)
    if access.kind == SHARED_STORE or code.kind == GLOBAL_REDUCTION:
        finish_without_result(S, P, sm, number, start + cycles)
    else:
        unit.shared_visible = visible
        finish_load(S, P, sm, number, visible)
    return start


# ---- LDC and the SM's VL constant cache


@inlined
def constant_base(P: Params, sm: Sm, line: Line) -> Place:
    """First entry of a line's set."""
    cache = P.card[0].sm.memory_unit.constant_cache
    return (sm * cache.sets + line % cache.sets) * cache.ways


@inlined
def constant_load(S: State, P: Params, sm: Sm, number: Access, now: Cycle) -> None:
    """LDC: the VL constant cache, then the L1 instruction cache. The first active lane's address stands for all."""
    access = S.accesses[number]
    code = P.code[access.index]
    cache = P.card[0].sm.memory_unit.constant_cache
    address = lane_address(S, access.record, 0, trailing_zeros64(access.mask))
    offset = address & (1 << CONSTANT_BANK_BITS) - 1
    line = ((code.constant_bank << CONSTANT_BANK_BITS) + offset) // cache.line_bytes
    place = find_tag(S.vl_constants, constant_base(P, sm, line), cache.ways, line)
    if place >= 0:
        use_tag(P, P.derived[0].vl_replacement, S.vl_constants, cache.ways, place, now)
        finish_load(S, P, sm, number, now + code.raw - granted_after(P, code))
    else:
        S.counters[sm].constant_misses += 1
        wait_for_constant(S, P, sm, number, line, now)


@inlined
def wait_for_constant(S: State, P: Params, sm: Sm, number: Access, line: Line, now: Cycle) -> None:
    """An LDC waits for a line, which is asked for unless another waits for it already."""
    unit = S.sms[sm]
    last = unit.constants_pending
    known = False
    for earlier in range(last):
        if unit.constant_line[earlier] == line:
            known = True
            break
    unit.constant_line[last] = line
    unit.constant_access[last] = number
    unit.constants_pending = last + 1
    if not known:
        request_l1_instructions(S, P, sm, now, LDC, 0, line)


@inlined
def fill_constant(S: State, P: Params, sm: Sm, line: Line, now: Cycle) -> None:
    """A line for LDC arrives: the loads that waited for it are as if just granted."""
    unit = S.sms[sm]
    ways = P.card[0].sm.memory_unit.constant_cache.ways
    base = constant_base(P, sm, line)
    if fill_tag(P, P.derived[0].vl_replacement, S.vl_constants, base, ways, line, now) == NO_WAY:
        S.gpu[0].fault = WRONG_WAY
    kept = 0
    for waiting in range(unit.constants_pending):
        number = unit.constant_access[waiting]
        if unit.constant_line[waiting] == line:
            code = P.code[S.accesses[number].index]
            finish_load(S, P, sm, number, now + code.raw - granted_after(P, code))
        else:
            unit.constant_line[kept] = unit.constant_line[waiting]
            unit.constant_access[kept] = number
            kept += 1
    unit.constants_pending = kept
