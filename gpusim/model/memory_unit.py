"""The SM-shared memory unit: round-robin grants to the sub-cores, in order, then shared memory, L1D or a plain hop.

One instruction per 2 cycles over all sub-cores (arXiv 2503.20481 section 5.4, Table 1). A grant decides the whole
unloaded way of an instruction; only misses wait for replies.
"""

from __future__ import annotations

from gpusim.constants import WARP_SIZE
from gpusim.jit import inlined, njit
from gpusim.model.address_unit import LSU_OF, granted_after, leave_queue, next_access, next_request
from gpusim.model.coalesce import (
    SHARED,
    coalesce,
    count_passes,
    data_wavefronts,
    shared_passes,
    space_of,
    tag_wavefronts,
)
from gpusim.model.held_stores import release_stores
from gpusim.model.in_flight import (
    GLOBAL_TO_SHARED,
    accept_group,
    finish_empty,
    finish_load,
    finish_without_result,
)
from gpusim.model.interconnect import DEPARTURE_BACKLOG, REPLY_LIMIT
from gpusim.model.kinds import Kind
from gpusim.model.l1_data import atomic, load, room_for_lines, store
from gpusim.model.params import Params
from gpusim.model.rows import sub_core
from gpusim.model.state import FOREVER, STARTS, SUB_CORES, State
from gpusim.model.types import Access, Cycle, Flag, Sm

GLOBAL_LOAD, GLOBAL_STORE = int(Kind.GLOBAL_LOAD), int(Kind.GLOBAL_STORE)
GLOBAL_ATOMIC, GLOBAL_REDUCTION = int(Kind.GLOBAL_ATOMIC), int(Kind.GLOBAL_REDUCTION)
SHARED_STORE, SHARED_ATOMIC = int(Kind.SHARED_STORE), int(Kind.SHARED_ATOMIC)


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
        if next_request(S, P, core, LSU_OF) > now:
            continue
        number = next_access(core)
        resolve(S, P, number)
        refused = refused_until(S, P, sm, S.accesses[number].kind, now)
        if refused > now:  # the others wait behind it
            unit.retry_at = refused
            unit.grant_turn = k
            return
        serve(S, P, sm, number, now)
        leave_queue(S, P, sm, k, now)
        unit.next_grant = now + P.card[0].sm.memory_unit.grant_interval
        unit.retry_at = unit.next_grant
        unit.grant_turn = (k + 1) % SUB_CORES
        return


@inlined
def resolve(S: State, P: Params, number: Access) -> None:
    """Which memory an instruction reaches, and so what it is there."""
    access = S.accesses[number]
    code = P.code[access.index]
    access.space = space_of(S, code, access.record, access.mask)
    access.kind = code.shared_kind if access.space == SHARED else code.kind


@inlined
def grant_wake(S: State, P: Params, sm: Sm, now: Cycle) -> Cycle:
    """Next cycle in which the unit could accept something, replies aside."""
    unit = S.sms[sm]
    first = FOREVER
    for k in range(SUB_CORES):
        asks = next_request(S, P, sub_core(S, sm, k), LSU_OF)
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
        code = P.code[access.index]
        finish_empty(S, P, sm, number, now + code.raw - granted_after(P, code))
    elif uses_l1(kind):
        start = global_access(S, P, sm, number, now)
    else:
        start = shared_access(S, P, sm, number, now)
    if row >= 0:
        S.timeline[row].execute = start
    unit.starts[unit.start_turn] = start
    unit.start_turn = (unit.start_turn + 1) % STARTS


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
