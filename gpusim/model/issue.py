"""Issue: which warp of a sub-core issues in a cycle, and why each other one does not.

The head of a warp's instruction buffer is eligible when its stall counter is zero, the dependence counters it waits for
are zero, its fixed-latency unit accepts and its constant operand is in the L0 constant cache. Compiler Guided Greedy
Then Youngest: the warp issued last if eligible, else the youngest that is (arXiv 2503.20481 section 5.1).
"""

from __future__ import annotations

from gpusim.jit import inlined, popcount64, trailing_zeros64
from gpusim.model.barriers import arrive, retire_warp
from gpusim.model.cache import fill_tag, find_tag
from gpusim.model.copies import all_groups_taken, close_group, issue_copy
from gpusim.model.execute import results_waiting
from gpusim.model.fetch import flush
from gpusim.model.kinds import Kind, Unit
from gpusim.model.l1_instructions import OPERAND, l1_instructions_full, request_l1_instructions
from gpusim.model.scoreboard import take_registers, waits_for_registers
from gpusim.model.stalls import select, set_reason
from gpusim.model.state import (
    FOREVER,
    INDEX_MASK,
    LANES,
    MASK_SHIFT,
    MAX_BUFFER,
    MAX_COUNTER,
    PENDING_CONSTANTS,
    SUB_CORES,
)
from gpusim.model.tensor import join_passes
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
CGGTY, GTO = 0, 1


@inlined
def scoreboard_reason(warp, blocking):
    """Long if any counter that blocks belongs to an L1TEX access."""
    for counter in range(6):
        if blocking >> (8 * counter) & 0xFF and warp.long_owner >> counter & 1:
            return LONG
    return SHORT


@inlined
def unit_busy(P, core, warp, code, now):
    """Whether the input latch that a fixed-latency instruction needs is taken."""
    if code.unit == TENSOR and warp.passes_left > 0:
        return True
    if code.unit == NO_UNIT or code.passes > 1 or core.unit_free[code.unit] <= now:
        return False
    fp32_elsewhere = code.unit == FP32 and P.machine[0].fp32_in_int_pipe and not code.is_imad
    return not (fp32_elsewhere and core.unit_free[INT] <= now)


@inlined
def constant_missing(S, P, sm, k, code, now):
    """Look an instruction's constant line up in L0; a miss is sent to the first-level cache once."""
    c = sm * SUB_CORES + k
    core = S.sub_cores[c]
    machine = P.machine[0]
    line = code.constant_line
    base = (c * machine.constant_sets + code.constant_set) * machine.constant_ways
    if find_tag(S.l0_constants, base, machine.constant_ways, line) >= 0:
        return False
    pending = core.constants_pending
    for earlier in range(pending):
        if core.constant_line[earlier] == line:
            return True
    if pending < PENDING_CONSTANTS and not l1_instructions_full(S, sm):
        core.constant_line[pending] = line
        core.constant_ready[pending] = FOREVER
        core.constants_pending = pending + 1
        S.counters[sm].constant_misses += 1
        request_l1_instructions(S, P, sm, now, OPERAND, k, line)
    return True


@inlined
def use_constant(S, P, sm, k, code, now):
    """An issued instruction reads its constant line: the most recently used of its set."""
    machine = P.machine[0]
    base = ((sm * SUB_CORES + k) * machine.constant_sets + code.constant_set) * machine.constant_ways
    S.l0_constants[find_tag(S.l0_constants, base, machine.constant_ways, code.constant_line)].stamp = now
    S.counters[sm].constant_hits += 1


@inlined
def arrive_constants(S, P, sm, k, now):
    """Constant lines that arrive from the first-level cache by `now`."""
    c = sm * SUB_CORES + k
    core = S.sub_cores[c]
    machine = P.machine[0]
    kept = 0
    for pending in range(core.constants_pending):
        line = core.constant_line[pending]
        if core.constant_ready[pending] <= now:
            base = (c * machine.constant_sets + line % machine.constant_sets) * machine.constant_ways
            fill_tag(S.l0_constants, base, machine.constant_ways, line, now)
        else:
            core.constant_line[kept] = line
            core.constant_ready[kept] = core.constant_ready[pending]
            kept += 1
    core.constants_pending = kept


@inlined
def in_flight(warp):
    """Whether memory accesses or results of a warp are still on the way."""
    return warp.outstanding > 0 or warp.counters != 0 or warp.registers_due > 0 or warp.passes_left > 0


@inlined
def in_pipeline(core, local):
    """Whether an instruction of a warp is still in Control or Allocate."""
    in_control = core.control_valid and core.control_warp == local
    return in_control or (core.allocate_valid and core.allocate_warp == local)


@inlined
def waits_outside(S, P, w, now):
    """Reason that lies in the warp alone, READY if none; sets when that can change next."""
    warp = S.warps[w]
    if warp.position == warp.end:
        warp.next_check = FOREVER if in_flight(warp) else now + 1
        return DRAIN
    if warp.stall_until > now:
        warp.next_check = warp.stall_until
        return WAIT
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
def full_counters(core, warp, local, code):
    """Counters that the instruction would raise beyond what they hold, as a mask of their fields."""
    waiting = core.raise_value if core.raise_warp == local else 0
    full = 0
    for counter in (code.write_counter, code.read_counter):
        if counter < 6 and ((warp.counters + waiting) >> (8 * counter) & 0xFF) >= MAX_COUNTER:
            full |= 0xFF << (8 * counter)
    return full


@inlined
def waits_for_counters(S, P, core, w, local, code, now):
    """Reason LONG or SHORT while dependence counters block, READY otherwise."""
    warp = S.warps[w]
    blocking = warp.counters & code.waits
    held = warp.hold_counter
    if held >= 0 and warp.hold_from <= now and (warp.counters >> (8 * held) & 0xFF) > warp.hold_limit:
        blocking |= warp.counters & (0xFF << (8 * held))
    if code.raised:
        blocking |= warp.counters & full_counters(core, warp, local, code)
    if blocking:
        warp.next_check = FOREVER
        return scoreboard_reason(warp, blocking)
    return READY


@inlined
def waits_for_memory(S, w, code):
    """Reason that LDGDEPBAR or a memory barrier waits for earlier accesses, READY otherwise."""
    warp = S.warps[w]
    if code.kind == ASYNC_BARRIER and all_groups_taken(warp):
        warp.next_check = FOREVER
        return LONG
    if code.kind == MEMBAR_KIND and (warp.outstanding > 0 or warp.writes_due > 0):
        warp.next_check = FOREVER
        return MEMBAR
    return READY


@inlined
def eligibility(S, P, sm, k, w, now):
    """READY if warp w could issue in cycle `now`, else the reason that it cannot; sets its next_check."""
    reason = waits_outside(S, P, w, now)
    if reason != READY:
        return reason
    core = S.sub_cores[sm * SUB_CORES + k]
    warp = S.warps[w]
    code = P.code[warp.index]
    reason = waits_for_counters(S, P, core, w, (w - sm * P.machine[0].warps) // SUB_CORES, code, now)
    if reason == READY and P.machine[0].scoreboard:
        reason = waits_for_registers(S, P, w, now)
    if reason == READY:
        reason = waits_for_memory(S, w, code)
    if reason != READY:
        return reason
    warp.next_check = now + 1
    if unit_busy(P, core, warp, code, now):
        return MATH_PIPE
    if code.has_result and results_waiting(core, now) >= P.machine[0].result_entries:
        return DISPATCH
    if code.constant_line >= 0 and constant_missing(S, P, sm, k, code, now):
        return IMC_MISS
    return READY


@inlined
def blocked_reason(P, core, index, now):
    """What an otherwise ready warp reports while the issue port is blocked."""
    if core.control_valid:
        holder = P.code[core.control_index]
        own = P.code[index]
        if holder.kind >= MEMORY and own.kind >= MEMORY:
            return own.throttle
        if holder.kind >= SFU and holder.kind <= MISC_QUEUE and holder.kind == own.kind:
            return own.throttle
    return DISPATCH


@inlined
def choose(S, P, sm, k, ready):
    """Local number of the warp to issue among the `ready` ones (bit mask), by the scheduling policy; -1 if none."""
    core = S.sub_cores[sm * SUB_CORES + k]
    policy = P.machine[0].scheduler
    if not ready:
        return -1
    if policy <= GTO and core.greedy >= 0 and ready >> core.greedy & 1:
        return core.greedy
    count = core.warp_count
    if policy == CGGTY:
        for rank in range(count):
            if ready >> core.order[rank] & 1:
                return core.order[rank]
    elif policy == GTO:
        for rank in range(count - 1, -1, -1):
            if ready >> core.order[rank] & 1:
                return core.order[rank]
    for step in range(1, 17):
        local = (core.greedy + step) & 15
        if ready >> local & 1:
            return local
    return -1


@inlined
def issue(S, P, thread, sm, k, now):
    """Evaluate the warps that may have changed, issue one, account for the others. Returns the ready ones."""
    core = S.sub_cores[sm * SUB_CORES + k]
    machine = P.machine[0]
    first = sm * machine.warps + k
    ready, finished = 0, 0
    greedy_misses = False
    for rank in range(core.warp_count):
        local = core.order[rank]
        w = first + local * SUB_CORES
        if (machine.skip and S.warps[w].next_check > now) or S.warps[w].resident_since > now:
            continue
        reason = eligibility(S, P, sm, k, w, now)
        if reason == READY:
            ready |= 1 << local
        elif reason == DRAIN and not in_flight(S.warps[w]) and not in_pipeline(core, local):
            finished |= 1 << local
        else:
            set_reason(S, thread, w, reason, now)
            greedy_misses = greedy_misses or (reason == IMC_MISS and local == core.greedy)
    if greedy_misses and core.constant_hold < 0:
        core.constant_hold = now + machine.constant_miss_hold
    elif not greedy_misses and core.greedy >= 0:
        core.constant_hold = -1
    blocked = core.control_valid or core.port_block > now or core.constant_hold > now
    chosen = -1 if blocked else choose(S, P, sm, k, ready)
    rest = ready if chosen < 0 else ready & ~(1 << chosen)
    while rest:
        w = first + trailing_zeros64(rest) * SUB_CORES
        set_reason(S, thread, w, blocked_reason(P, core, S.warps[w].index, now) if blocked else READY, now)
        rest &= rest - 1
    if chosen >= 0:
        issue_warp(S, P, thread, sm, k, chosen, now)
    while finished:
        retire_warp(S, P, thread, sm, first + trailing_zeros64(finished) * SUB_CORES, now)
        finished &= finished - 1
    return ready


@inlined
def take_unit(P, core, code, now):
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
def record_issue(S, P, sm, k, local, w, now):
    """A new row of the timeline; -1 when none is kept."""
    if not P.machine[0].record_timeline:
        return -1
    row = S.gpu[0].timeline_rows
    S.gpu[0].timeline_rows = row + 1
    entry = S.timeline[row]
    entry.sm = sm
    entry.sub_core = k
    entry.warp = local
    entry.sequence = S.warps[w].sequence
    entry.index = S.warps[w].index
    entry.issue = now
    entry.control = -1
    entry.allocate = -1
    entry.read = -1
    entry.execute = -1
    entry.write_back = -1
    return row


@inlined
def issue_warp(S, P, thread, sm, k, local, now):
    """Warp `local` of sub-core k issues its next instruction in cycle `now`."""
    machine = P.machine[0]
    core = S.sub_cores[sm * SUB_CORES + k]
    w = sm * machine.warps + local * SUB_CORES + k
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
    core.control_row = record_issue(S, P, sm, k, local, w, now)
    core.greedy = local
    core.constant_hold = -1
    core.control_unit = NO_UNIT
    if code.constant_line >= 0:
        use_constant(S, P, sm, k, code, now)
    if code.is_imad:
        core.port_block = now + 1 + machine.imad_port_block
    take_unit(P, core, code, now)
    if code.passes > 1:
        join_passes(core, warp, local, code, index, core.control_row, now)
    select(S, thread, w, now)
    S.counters[sm].warp_instructions += 1
    S.counters[sm].thread_instructions += popcount64(mask)
    if machine.scoreboard:
        take_registers(S, P, w, index)
    advance(S, P, sm, w, index, mask, now)


@inlined
def advance(S, P, sm, w, index, mask, now):
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
        warp.hold_from = now + P.machine[0].depbar_effect
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
            flush(S, P, w, following, now)
    if code.kind == BARRIER_KIND and mask:
        arrive(S, P, sm, w, index, now)
    elif code.kind == MEMBAR_KIND and mask:
        warp.membar_until = now + code.membar
