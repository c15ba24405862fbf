"""Control: the stage behind issue. Dependence counters are raised here, and the clock is read.

A fixed-latency instruction then waits for Allocate, one of variable latency for its register ports; while it waits
nothing can issue (arXiv 2503.20481 section 5.1.1).
"""

from __future__ import annotations

from gpusim.jit import inlined
from gpusim.model.address_unit import enqueue
from gpusim.model.execute import start_variable
from gpusim.model.kinds import Kind
from gpusim.model.params import Params
from gpusim.model.rows import check_warp, local_warp, sub_core, wake_core
from gpusim.model.state import State
from gpusim.model.types import Cycle, Record, Sm, SubCore

MEMORY = int(Kind.MEMORY)
SFU, MISC_QUEUE = int(Kind.SFU), int(Kind.MISC_QUEUE)


@inlined
def control(S: State, P: Params, sm: Sm, k: SubCore, now: Cycle) -> None:
    """Raise the counters of a new instruction and pass it on if there is room."""
    core = sub_core(S, sm, k)
    if not core.control_valid:
        return
    index = core.control_index
    code = P.code[index]
    local = core.control_warp
    if not core.control_done:
        core.control_done = 1
        core.raise_warp = local
        core.raise_value = code.raised
        core.raise_index = index
        if core.control_row >= 0:
            S.timeline[core.control_row].control = now
    if code.kind >= MEMORY:
        passed = 1
        enqueue(S, P, sm, k, now)
    elif code.kind >= SFU and code.kind <= MISC_QUEUE:
        passed = start_variable(S, P, sm, k, local, index, core.control_row, now)
    elif core.allocate_valid:
        passed = 0
    else:
        passed = 1
        core.allocate_valid = 1
        core.allocate_warp = local
        core.allocate_index = index
        core.allocate_row = core.control_row
        core.allocate_unit = core.control_unit
    if passed:
        core.control_valid = 0


@inlined
def raise_counters(S: State, P: Params, sm: Sm, k: SubCore, now: Cycle) -> None:
    """End of the cycle: counters raised in Control become visible to the next cycle's issue."""
    core = sub_core(S, sm, k)
    if core.raise_value:
        warp = local_warp(S, P, sm, k, core.raise_warp)
        warp.counters += core.raise_value
        core.raise_value = 0
        mark_owner(warp, P.code[core.raise_index])
        # a warp that a full queue holds may wait for a counter now, or for one with another owner
        check_warp(warp, now + 1)
        wake_core(core, now + 1)


@inlined
def mark_owner(warp: Record, code: Record) -> None:
    """Remember whether a counter's last producer was an L1TEX access: its waits are long_scoreboard, others short."""
    for counter in (code.write_counter, code.read_counter):
        if counter < 6:
            if code.long_owner:
                warp.long_owner |= 1 << counter
            else:
                warp.long_owner &= ~(1 << counter)
