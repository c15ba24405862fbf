"""Execution units behind Allocate: fixed latencies, the result queue and its write ports, variable-latency units.

A fixed-latency instruction that leaves Allocate has its whole future decided: read, execute and write-back cycles
follow from it, so nothing is stepped. Results leave the queue one per cycle (arXiv 2503.20481 section 5.3).
"""

from __future__ import annotations

from gpusim.constants import NO_COUNTER
from gpusim.jit import inlined, popcount64
from gpusim.model.events import GROUP, LOWER, NO_INDEX, RESULT, book_write, push_event
from gpusim.model.kinds import VARIABLE_FP64, VARIABLE_MISC, VARIABLE_SFU, Kind
from gpusim.model.operands import read_variable
from gpusim.model.params import Params
from gpusim.model.rows import core_row, local_warp, sub_core, wake_throttled, warp_row
from gpusim.model.scoreboard import UNHELD, result_known
from gpusim.model.state import FOREVER, FP64_QUEUE, SUB_CORES, State
from gpusim.model.types import CoreRow, Cycle, Flag, Index, Local, Record, Sm, SubCore, TimelineRow

SFU, FP64, ASYNC_BARRIER = int(Kind.SFU), int(Kind.FP64), int(Kind.ASYNC_BARRIER)
LAST_BIT = 62  # a result further away than the mask reaches keeps its queue entry until then


# ---- fixed latency


@inlined
def results_waiting(core: Record, now: Cycle) -> int:
    """Result queue entries taken: reserved at issue, plus those that leave after `now`."""
    if now > core.result_base:
        shift = now - core.result_base
        core.result_mask = core.result_mask >> shift if shift <= LAST_BIT else 0
        core.result_base = now
    return core.result_reserved + popcount64(core.result_mask >> 1)


@inlined
def queue_result(core: Record, ready: Cycle, now: Cycle) -> Cycle:
    """Cycle in which a result that is ready in cycle `ready` leaves the queue: the first not taken by another."""
    results_waiting(core, now)
    bit = min(ready - core.result_base, LAST_BIT)
    while core.result_mask >> bit & 1 and bit < LAST_BIT:
        bit += 1
    core.result_mask |= 1 << bit
    core.result_reserved -= 1
    return core.result_base + bit


@inlined
def execute_fixed(
    S: State, P: Params, sm: Sm, k: SubCore, local: Local, index: Index, row: TimelineRow, now: Cycle
) -> None:
    """An instruction leaves Allocate in cycle `now`: decide the rest of its way."""
    code = P.code[index]
    execute = now + 1 + code.read_window
    if code.read_counter != NO_COUNTER or P.derived[0].scoreboard:
        push_event(S, core_row(sm, k), execute, LOWER, local, code.read_counter, 0, index, -1)
    if row >= 0:
        entry = S.timeline[row]
        entry.allocate = now
        entry.execute = execute
        if code.source_count > 0:
            entry.read = now + 1
    warp = local_warp(S, P, sm, k, local)
    if code.passes > 1 and warp.passes_left > 0:
        warp.pass_allocated = 1  # the last pass through the tensor unit decides on the rest
    else:
        finish_fixed(S, P, sm, k, local, index, row, now, now)


@inlined
def finish_fixed(
    S: State,
    P: Params,
    sm: Sm,
    k: SubCore,
    local: Local,
    index: Index,
    row: TimelineRow,
    allocated: Cycle,
    now: Cycle,
) -> None:
    """Decide in cycle `now` when the result of an instruction leaves, as if it had left Allocate in `allocated`."""
    core = sub_core(S, sm, k)
    code = P.code[index]
    if P.derived[0].scoreboard:
        result_known(S, P, warp_row(P, sm, k, local), index, allocated)
    done = allocated + 1 + code.read_window + code.latency
    if code.has_result:
        done = queue_result(core, done, now)
        book_write(core, code.banks_written, done)
        if row >= 0:
            S.timeline[row].write_back = done
    if code.write_counter != NO_COUNTER:
        # matrix instructions of Turing: a dependent may issue after the latency, counted from an unheld issue
        due = max(allocated - UNHELD + code.latency, now + 1)
        if code.kind == ASYNC_BARRIER:
            push_event(S, core_row(sm, k), due, GROUP, local, NO_COUNTER, 0, NO_INDEX, -1)
        else:
            push_event(S, core_row(sm, k), due, LOWER, local, code.write_counter, 0, NO_INDEX, -1)


# ---- variable latency


@inlined
def variable_unit(kind: int) -> int:
    return VARIABLE_SFU if kind == SFU else (VARIABLE_FP64 if kind == FP64 else VARIABLE_MISC)


@inlined
def queue_entries(P: Params, unit: int) -> int:
    """Instructions that wait for a variable-latency unit of the sub-core at most."""
    execution = P.card[0].sm.sub_core.execution
    if unit == VARIABLE_SFU:
        return execution.sfu.queue_entries
    return execution.fp64.queue_entries if unit == VARIABLE_FP64 else execution.misc_queue.queue_entries


@inlined
def room_from(P: Params, core: Record, code: Record, now: Cycle) -> Cycle:
    """First cycle in which an instruction of variable latency finds room in its unit's queue, FOREVER if not known.

    One that is in Control counts beside the queue. A unit of the sub-core is in order and takes one instruction per
    interval, so its backlog tells its queue's length.
    """
    execution = P.card[0].sm.sub_core.execution
    if code.kind == FP64 and execution.fp64_shared:
        return now if core.fp64_count <= execution.fp64.queue_entries else FOREVER
    unit = variable_unit(code.kind)
    return core.variable_free[unit] - (queue_entries(P, unit) + 1) * code.interval


@inlined
def start_variable(
    S: State, P: Params, sm: Sm, k: SubCore, local: Local, index: Index, row: TimelineRow, now: Cycle
) -> Flag:
    """Send an SFU, FP64 or queued miscellaneous instruction from Control to its unit's queue.

    0 while the register ports of the next cycle are taken; issue has seen to it that the queue has room.
    """
    core = sub_core(S, sm, k)
    code = P.code[index]
    if code.kind == FP64 and P.card[0].sm.sub_core.execution.fp64_shared:
        return queue_fp64(S, P, sm, k, local, index, row, now)
    unit = variable_unit(code.kind)
    if not read_variable(S, P, sm, core, index, now + 1):
        return 0
    start = max(now + 1, core.variable_free[unit])
    core.variable_free[unit] = start + code.interval
    run_variable(S, P, core_row(sm, k), local, index, row, start)
    return 1


@inlined
def run_variable(S: State, P: Params, c: CoreRow, local: Local, index: Index, row: TimelineRow, start: Cycle) -> None:
    """An instruction enters its variable-latency unit in cycle `start`: when its counters fall."""
    code = P.code[index]
    issued = start - UNHELD  # of an instruction that went straight to this start
    if code.read_counter != NO_COUNTER or P.derived[0].scoreboard:
        push_event(S, c, max(issued + code.war, start), LOWER, local, code.read_counter, 0, index, -1)
    push_event(S, c, issued + code.raw, RESULT, local, code.write_counter, code.banks_written, index, row)
    if row >= 0:
        S.timeline[row].read = start
        S.timeline[row].execute = start + code.read_window


@inlined
def queue_fp64(
    S: State, P: Params, sm: Sm, k: SubCore, local: Local, index: Index, row: TimelineRow, now: Cycle
) -> Flag:
    """An FP64 operation waits in its sub-core for the unit that the SM shares. 0 as for start_variable."""
    core = sub_core(S, sm, k)
    if not read_variable(S, P, sm, core, index, now + 1):
        return 0
    place = (core.fp64_head + core.fp64_count) % FP64_QUEUE
    core.fp64_count += 1
    core.fp64_warp[place] = local
    core.fp64_index[place] = index
    core.fp64_row[place] = row
    core.fp64_ready[place] = now + 1
    return 1


@inlined
def fp64_unit(S: State, P: Params, sm: Sm, now: Cycle) -> None:
    """The SM's FP64 unit takes one operation per interval, round robin over the sub-cores."""
    unit = S.sms[sm]
    if unit.fp64_free > now:
        return
    for step in range(SUB_CORES):
        k = (unit.fp64_turn + step) % SUB_CORES
        core = sub_core(S, sm, k)
        head = core.fp64_head
        if core.fp64_count == 0 or core.fp64_ready[head] > now:
            continue
        index = core.fp64_index[head]
        core.fp64_head = (head + 1) % FP64_QUEUE
        core.fp64_count -= 1
        unit.fp64_free = now + P.code[index].interval
        unit.fp64_turn = (k + 1) % SUB_CORES
        wake_throttled(S, P, sm, k, now)
        run_variable(S, P, core_row(sm, k), core.fp64_warp[head], index, core.fp64_row[head], now)
        return


@inlined
def fp64_wake(S: State, sm: Sm, now: Cycle) -> Cycle:
    """Next cycle in which the SM's FP64 unit can take an operation."""
    first = FOREVER
    for k in range(SUB_CORES):
        core = sub_core(S, sm, k)
        if core.fp64_count > 0:
            first = min(first, core.fp64_ready[core.fp64_head])
    return first if first == FOREVER else max(first, S.sms[sm].fp64_free, now + 1)
