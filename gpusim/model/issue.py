"""Issue: which warps may issue in a cycle, which one does, and what the others wait for.

One instruction per sub-core and cycle. A warp is held back by its stall counter, the dependence counters that it waits
for, its unit's input latch, a full result queue or a constant miss; of those that may issue the scheduler chooses one
(arXiv 2503.20481 sections 4, 5.1.1, 5.1.2).
"""

from __future__ import annotations

from gpusim.jit import inlined, popcount64, trailing_zeros64
from gpusim.model.address_unit import queue_full
from gpusim.model.barriers import retire_warp, wait_at_barrier
from gpusim.model.copies import all_groups_taken, close_group, issue_copy
from gpusim.model.counters import field, value
from gpusim.model.execute import results_waiting, room_from
from gpusim.model.fetch import flush
from gpusim.model.fl_constants import constant_missing, use_constant
from gpusim.model.kinds import Kind, Unit
from gpusim.model.params import Params
from gpusim.model.policies.scheduler import choose
from gpusim.model.rows import local_warp, sub_core, warp_row
from gpusim.model.scoreboard import take_registers, waits_for_registers
from gpusim.model.stalls import select, set_reason
from gpusim.model.state import (
    FOREVER,
    INDEX_MASK,
    LANES,
    MASK_SHIFT,
    MAX_BUFFER,
    MAX_COUNTER,
    MAX_LOCAL_WARPS,
    Fault,
    State,
)
from gpusim.model.tensor import join_passes
from gpusim.model.types import Cycle, Flag, Index, Local, Mask, Record, Row, Sm, SubCore, TimelineRow
from gpusim.results.stalls import Stall

MEMORY, BARRIER_KIND = int(Kind.MEMORY), int(Kind.BARRIER)
SFU, MISC_QUEUE = int(Kind.SFU), int(Kind.MISC_QUEUE)
ASYNC_BARRIER, MEMBAR_KIND, GLOBAL_TO_SHARED = int(Kind.ASYNC_BARRIER), int(Kind.MEMBAR), int(Kind.GLOBAL_TO_SHARED)
INT, FP32, TENSOR, NO_UNIT = int(Unit.INT), int(Unit.FP32), int(Unit.TENSOR), int(Unit.NONE)
READY, WAIT = int(Stall.NOT_SELECTED), int(Stall.WAIT)
LONG, SHORT = int(Stall.LONG_SCOREBOARD), int(Stall.SHORT_SCOREBOARD)
NO_INSTRUCTION, BRANCH_RESOLVING = int(Stall.NO_INSTRUCTION), int(Stall.BRANCH_RESOLVING)
IMC_MISS, MATH_PIPE, DISPATCH = int(Stall.IMC_MISS), int(Stall.MATH_PIPE_THROTTLE), int(Stall.DISPATCH_STALL)
BARRIER, MEMBAR, DRAIN = int(Stall.BARRIER), int(Stall.MEMBAR), int(Stall.DRAIN)
NOT_READY = int(Fault.SCHEDULER)


@inlined
def scoreboard_reason(warp: Record, blocking: int) -> int:
    """Long if any counter that blocks belongs to an L1TEX access."""
    for counter in range(6):
        if value(blocking, counter) and warp.long_owner >> counter & 1:
            return LONG
    return SHORT


@inlined
def unit_busy(P: Params, core: Record, warp: Record, code: Record, now: Cycle) -> Flag:
    """Whether the input latch that a fixed-latency instruction needs is taken."""
    if code.unit == TENSOR and warp.passes_left > 0:
        return True
    if code.unit == NO_UNIT or code.passes > 1 or core.unit_free[code.unit] <= now:
        return False
    fp32_elsewhere = code.unit == FP32 and P.card[0].sm.sub_core.execution.fp32_in_int_pipe and not code.is_imad
    return not (fp32_elsewhere and core.unit_free[INT] <= now)


@inlined
def in_flight(warp: Record) -> Flag:
    """Whether memory accesses or results of a warp are still on the way."""
    return warp.outstanding > 0 or warp.counters != 0 or warp.registers_due > 0 or warp.passes_left > 0


@inlined
def in_pipeline(core: Record, local: Local) -> Flag:
    """Whether an instruction of a warp is still in Control or Allocate."""
    in_control = core.control_valid and core.control_warp == local
    return in_control or (core.allocate_valid and core.allocate_warp == local)


@inlined
def resolved(P: Params, warp: Record) -> Cycle:
    """When it is clear that a warp's last instruction has ended it."""
    return warp.stall_until + P.card[0].sm.sub_core.issue.exit_resolution


@inlined
def leaves(P: Params, warp: Record, now: Cycle) -> int:
    """Reason of a warp whose last instruction is behind it; sets when that can change next."""
    if resolved(P, warp) > now:
        warp.next_check = resolved(P, warp)
        return BRANCH_RESOLVING
    warp.next_check = FOREVER if in_flight(warp) else now + 1
    return DRAIN


@inlined
def may_leave(P: Params, core: Record, warp: Record, local: Local, now: Cycle) -> Flag:
    return resolved(P, warp) < now and not in_flight(warp) and not in_pipeline(core, local)


@inlined
def waits_outside(P: Params, warp: Record, now: Cycle) -> int:
    """Reason that lies in the warp alone, READY if none; sets when that can change next."""
    if warp.stall_until > now:
        warp.next_check = warp.stall_until
        return WAIT
    if warp.position == warp.end:
        return leaves(P, warp, now)
    if warp.at_barrier:
        warp.next_check = FOREVER
        return BARRIER
    if warp.barrier_until > now:
        warp.next_check = warp.barrier_until
        return BARRIER
    if warp.membar_until > now:
        warp.next_check = warp.membar_until
        return MEMBAR
    ready = warp.buffer_ready[warp.buffer_head] if warp.buffer_count > 0 else FOREVER
    if ready > now:
        warp.next_check = ready
        return BRANCH_RESOLVING if warp.refill else NO_INSTRUCTION
    return READY


@inlined
def full_counters(core: Record, warp: Record, local: Local, code: Record) -> int:
    """Counters that the instruction would raise beyond what they hold, as a mask of their fields."""
    waiting = core.raise_value if core.raise_warp == local else 0
    full = 0
    for counter in (code.write_counter, code.read_counter):
        if counter < 6 and value(warp.counters + waiting, counter) >= MAX_COUNTER:
            full |= field(counter)
    return full


@inlined
def waits_for_counters(core: Record, warp: Record, local: Local, code: Record, now: Cycle) -> int:
    """Reason LONG or SHORT while dependence counters block, READY otherwise."""
    blocking = warp.counters & code.waits
    held = warp.hold_counter
    if held >= 0 and warp.hold_from <= now and value(warp.counters, held) > warp.hold_limit:
        blocking |= warp.counters & field(held)
    if code.raised:
        blocking |= warp.counters & full_counters(core, warp, local, code)
    if blocking:
        warp.next_check = FOREVER
        return scoreboard_reason(warp, blocking)
    return READY


@inlined
def waits_for_memory(warp: Record, code: Record) -> int:
    """Reason that LDGDEPBAR or a memory barrier waits for earlier accesses, READY otherwise."""
    if code.kind == ASYNC_BARRIER and all_groups_taken(warp):
        warp.next_check = FOREVER
        return LONG
    if code.kind == MEMBAR_KIND and (warp.outstanding > 0 or warp.writes_due > 0):
        warp.next_check = FOREVER
        return MEMBAR
    return READY


@inlined
def waits_for_room(P: Params, core: Record, warp: Record, local: Local, code: Record, now: Cycle) -> Flag:
    """Whether the queue that an instruction of variable latency or of the memory unit goes to is full."""
    room = now
    if code.kind >= MEMORY:
        room = FOREVER if queue_full(P, core) else now
    elif code.kind <= MISC_QUEUE:
        room = room_from(P, core, code, now)
    if room <= now:
        return False
    warp.next_check = room
    if warp.hold_counter >= 0 and warp.hold_from > now:  # from then on DEPBAR may be the reason
        warp.next_check = min(room, warp.hold_from)
    core.throttled |= 1 << local
    return True


@inlined
def eligibility(S: State, P: Params, sm: Sm, k: SubCore, local: Local, w: Row, now: Cycle) -> int:
    """READY if a warp could issue in cycle `now`, else the reason that it cannot; sets its next_check."""
    warp = S.warps[w]
    reason = waits_outside(P, warp, now)
    if reason != READY:
        return reason
    core = sub_core(S, sm, k)
    code = P.code[warp.index]
    reason = waits_for_counters(core, warp, local, code, now)
    if reason == READY and P.derived[0].scoreboard:
        reason = waits_for_registers(S, P, w, now)
    if reason == READY:
        reason = waits_for_memory(warp, code)
    if reason != READY:
        if warp.hold_counter >= 0 and warp.hold_from > now:  # from then on DEPBAR may be another reason
            warp.next_check = min(warp.next_check, warp.hold_from)
        return reason
    warp.next_check = now + 1
    if unit_busy(P, core, warp, code, now):
        return MATH_PIPE
    if code.kind >= SFU and waits_for_room(P, core, warp, local, code, now):
        return code.throttle
    if code.has_result and results_waiting(core, now) >= P.card[0].sm.sub_core.execution.result_queue_entries:
        return DISPATCH
    if code.constant_line >= 0 and constant_missing(S, P, sm, k, code, now):
        return IMC_MISS
    return READY


@inlined
def chosen_warp(S: State, P: Params, sm: Sm, k: SubCore, ready: Mask, now: Cycle) -> Local:
    """Local warp that the scheduler lets issue, -1 if none."""
    if not ready:
        return -1
    local = choose(S, P, sm, k, ready, now)
    if local >= MAX_LOCAL_WARPS or (local >= 0 and not ready >> local & 1):
        S.gpu[0].fault = NOT_READY
        return -1
    return local


@inlined
def issue(S: State, P: Params, thread: int, sm: Sm, k: SubCore, now: Cycle) -> Mask:
    """Evaluate the warps that may have changed, issue one, account for the others. Returns the ready ones."""
    core = sub_core(S, sm, k)
    ready, finished = 0, 0
    greedy_misses = False
    for rank in range(core.warp_count):
        local = core.order[rank]
        w = warp_row(P, sm, k, local)
        if (P.derived[0].skip and S.warps[w].next_check > now) or S.warps[w].resident_since > now:
            continue
        reason = eligibility(S, P, sm, k, local, w, now)
        if reason == READY:
            ready |= 1 << local
        elif reason == DRAIN and may_leave(P, core, S.warps[w], local, now):
            finished |= 1 << local
        else:
            set_reason(S, thread, w, reason, now)
            greedy_misses = greedy_misses or (reason == IMC_MISS and local == core.greedy)
    if greedy_misses and core.constant_hold < 0:
        core.constant_hold = now + P.card[0].sm.sub_core.issue.constant_miss_hold
    elif not greedy_misses:
        core.constant_hold = -1
    blocked = core.control_valid or core.port_block > now or core.constant_hold > now
    chosen = -1 if blocked else chosen_warp(S, P, sm, k, ready, now)
    rest = ready if chosen < 0 else ready & ~(1 << chosen)
    while rest:
        w = warp_row(P, sm, k, trailing_zeros64(rest))
        set_reason(S, thread, w, DISPATCH if blocked else READY, now)
        rest &= rest - 1
    if chosen >= 0:
        issue_warp(S, P, thread, sm, k, chosen, now)
    while finished:
        retire_warp(S, P, thread, sm, warp_row(P, sm, k, trailing_zeros64(finished)), now)
        finished &= finished - 1
    return ready


@inlined
def take_unit(core: Record, code: Record, now: Cycle) -> None:
    """Occupy the unit's input latch and, for an instruction with a result, a result queue entry."""
    if code.unit != NO_UNIT and code.passes <= 1:
        unit = code.unit
        if core.unit_free[unit] > now:
            unit = INT  # FP32 on Ampere's second data path
        core.unit_free[unit] = now + code.interval
        core.control_unit = unit
    if code.has_result:
        core.result_reserved += 1


@inlined
def record_issue(S: State, P: Params, sm: Sm, k: SubCore, local: Local, now: Cycle) -> TimelineRow:
    """A new row of the timeline; -1 when none is kept."""
    if not P.derived[0].record_timeline:
        return -1
    row = S.gpu[0].timeline_rows
    S.gpu[0].timeline_rows = row + 1
    warp = local_warp(S, P, sm, k, local)
    entry = S.timeline[row]
    entry.sm = sm
    entry.sub_core = k
    entry.warp = local
    entry.sequence = warp.sequence
    entry.index = warp.index
    entry.issue = now
    entry.control = -1
    entry.allocate = -1
    entry.read = -1
    entry.execute = -1
    entry.write_back = -1
    return row


@inlined
def issue_warp(S: State, P: Params, thread: int, sm: Sm, k: SubCore, local: Local, now: Cycle) -> None:
    """Warp `local` of sub-core k issues its next instruction in cycle `now`."""
    core = sub_core(S, sm, k)
    w = warp_row(P, sm, k, local)
    warp = S.warps[w]
    index = warp.index
    code = P.code[index]
    mask = S.stream[warp.position] >> MASK_SHIFT & LANES
    core.control_valid = 1
    core.control_done = 0
    core.control_warp = local
    core.control_index = index
    core.control_mask = mask
    core.control_record = warp.record
    core.control_row = record_issue(S, P, sm, k, local, now)
    core.greedy = local
    core.constant_hold = -1
    core.control_unit = NO_UNIT
    if code.constant_line >= 0:
        use_constant(S, P, sm, k, code, now)
    if code.is_imad:
        core.port_block = now + 1 + P.card[0].sm.sub_core.issue.imad_port_block
    take_unit(core, code, now)
    if code.passes > 1:
        join_passes(core, warp, local, code, index, core.control_row, now)
    select(S, thread, w, now)
    S.counters[sm].warp_instructions += 1
    S.counters[sm].thread_instructions += popcount64(mask)
    if P.derived[0].scoreboard:
        take_registers(S, P, w, index)
    advance(S, P, sm, w, index, mask, now)


@inlined
def advance(S: State, P: Params, sm: Sm, w: Row, index: Index, mask: Mask, now: Cycle) -> None:
    """Move the warp to its next instruction and apply what the issued one does at issue, unless predicated off."""
    warp = S.warps[w]
    code = P.code[index]
    warp.sequence += 1
    warp.position += 1
    warp.record += code.addresses
    warp.buffer_head = (warp.buffer_head + 1) & (MAX_BUFFER - 1)
    warp.buffer_count -= 1
    warp.refill = 0
    warp.stall_until = now + code.stall
    warp.next_check = warp.stall_until
    warp.reason = WAIT
    if warp.hold_counter >= 0 and warp.hold_from <= now:
        warp.hold_counter = -1
    if code.depbar_counter >= 0:
        warp.hold_counter = code.depbar_counter
        warp.hold_limit = code.depbar_limit
        warp.hold_from = now + P.card[0].sm.sub_core.issue.depbar_effect
    if code.kind >= MEMORY:
        warp.outstanding += 1
        if code.kind == GLOBAL_TO_SHARED:
            issue_copy(warp)
    elif code.kind == ASYNC_BARRIER:
        close_group(warp, code.write_counter)
    if warp.position == warp.end:
        warp.reason = DRAIN
        warp.next_check = now + 1
    else:
        following = S.stream[warp.position] & INDEX_MASK
        warp.index = following
        if following != index + 1:
            flush(warp, P, following, now)
    if code.kind == BARRIER_KIND and mask:
        wait_at_barrier(warp, code)
    elif code.kind == MEMBAR_KIND and mask:
        warp.membar_until = now + code.membar
