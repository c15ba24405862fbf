"""Execution units behind Allocate: fixed latencies, the result queue and its write ports, variable-latency units.

A fixed-latency instruction that leaves Allocate has its whole future decided: read, execute and write-back cycles
follow from it, so nothing is stepped. Results leave the queue one per cycle (arXiv 2503.20481 section 5.3).
"""

from __future__ import annotations

from gpusim.jit import inlined, popcount64
from gpusim.model.events import LOWER, NO_COUNTER, RESULT, push_event
from gpusim.model.kinds import VARIABLE_FP64, VARIABLE_MISC, VARIABLE_SFU, Kind
from gpusim.model.operands import read_variable
from gpusim.model.state import BANKS, SUB_CORES, WRITE_HORIZON

SFU, FP64 = int(Kind.SFU), int(Kind.FP64)
LAST_BIT = 62  # a result further away than the mask reaches keeps its queue entry until then


@inlined
def results_waiting(core, now):
    """Result queue entries taken: reserved at issue, plus those that leave after `now`."""
    if now > core.result_base:
        shift = now - core.result_base
        core.result_mask = core.result_mask >> shift if shift <= LAST_BIT else 0
        core.result_base = now
    return core.result_reserved + popcount64(core.result_mask >> 1)


@inlined
def queue_result(core, ready, now):
    """Cycle in which a result that is ready in cycle `ready` leaves the queue: the first not taken by another."""
    results_waiting(core, now)
    bit = min(ready - core.result_base, LAST_BIT)
    while core.result_mask >> bit & 1 and bit < LAST_BIT:
        bit += 1
    core.result_mask |= 1 << bit
    core.result_reserved -= 1
    return core.result_base + bit


@inlined
def book_write(core, banks, cycle):
    """A result from the queue takes the write ports of its banks."""
    for bank in range(BANKS):
        if banks >> bank & 1:
            place = bank * WRITE_HORIZON + cycle % WRITE_HORIZON
            slot = core.write_slots[place]
            core.write_slots[place] = slot + 1 if slot >> 4 == cycle else (cycle << 4) + 1


@inlined
def execute_fixed(S, P, c, local, index, row, now):
    """An instruction leaves Allocate in cycle `now`: decide the rest of its way."""
    core = S.sub_cores[c]
    code = P.code[index]
    execute = now + 1 + code.read_window
    done = execute + code.latency
    if code.has_result:
        done = queue_result(core, done, now)
        book_write(core, code.banks_written, done)
    if code.read_counter != NO_COUNTER:
        push_event(S, c, execute, LOWER, local, code.read_counter, 0, -1)
    if code.write_counter != NO_COUNTER:
        push_event(S, c, done + 1, LOWER, local, code.write_counter, 0, -1)
    if row >= 0:
        entry = S.timeline[row]
        entry.allocate = now
        entry.execute = execute
        if code.source_count > 0:
            entry.read = now + 1
        if code.has_result:
            entry.write_back = done


@inlined
def variable_unit(kind):
    return VARIABLE_SFU if kind == SFU else (VARIABLE_FP64 if kind == FP64 else VARIABLE_MISC)


@inlined
def start_variable(S, P, sm, k, local, index, row, now):
    """Send an SFU, FP64 or queued miscellaneous instruction from Control to its unit's queue.

    0 while that is full or the register ports of the next cycle are taken.

    The queue is in order and its unit accepts one instruction per interval, so the backlog tells its length.
    """
    c = sm * SUB_CORES + k
    core = S.sub_cores[c]
    machine = P.machine[0]
    code = P.code[index]
    unit = variable_unit(code.kind)
    shared = unit == VARIABLE_FP64 and machine.fp64_shared
    free = S.sms[sm].fp64_free if shared else core.variable_free[unit]
    entries = (
        machine.sfu_queue
        if unit == VARIABLE_SFU
        else (machine.fp64_queue if unit == VARIABLE_FP64 else machine.misc_queue)
    )
    if free - now > entries * code.interval or not read_variable(S, P, sm, k, index, now):
        return 0
    start = max(now + 1, free)
    if shared:
        S.sms[sm].fp64_free = start + code.interval
    else:
        core.variable_free[unit] = start + code.interval
    issued = start - 2  # of an instruction that went straight to this start
    if code.read_counter != NO_COUNTER:
        push_event(S, c, max(issued + code.war, now + 1), LOWER, local, code.read_counter, 0, -1)
    push_event(S, c, issued + code.raw, RESULT, local, code.write_counter, code.banks_written, row)
    if row >= 0:
        S.timeline[row].read = start
        S.timeline[row].execute = start + code.read_window
    return 1
