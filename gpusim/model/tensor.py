"""Matrix instructions that take several passes through the tensor unit, each waiting for the one before.

Turing's GeForce cards accumulate in FP32 in two passes. One of such an instruction's warp waits at issue until the last
pass has begun; passes of other warps go between. Of those that can begin, the one that has waited longest does.
"""

from __future__ import annotations

from gpusim.jit import inlined, trailing_zeros64
from gpusim.model.execute import finish_fixed
from gpusim.model.kinds import Unit
from gpusim.model.params import Params
from gpusim.model.rows import check_warp, local_warp, sub_core
from gpusim.model.scoreboard import UNHELD
from gpusim.model.state import FOREVER, State
from gpusim.model.types import Cycle, Index, Local, Record, Sm, SubCore, TimelineRow

TENSOR = int(Unit.TENSOR)


@inlined
def join_passes(
    core: Record, warp: Record, local: Local, code: Record, index: Index, row: TimelineRow, now: Cycle
) -> None:
    """A warp issues a matrix instruction of several passes; the first can begin in this very cycle."""
    core.passes |= 1 << local
    warp.passes_left = code.passes
    warp.pass_ready = now
    warp.pass_index = index
    warp.pass_row = row
    warp.pass_allocated = 0


@inlined
def next_pass(S: State, P: Params, sm: Sm, k: SubCore) -> Local:
    """Local warp whose pass has been ready longest, the lowest of equals; -1 if there is none."""
    rest = sub_core(S, sm, k).passes
    chosen, earliest = -1, FOREVER
    while rest:
        local = trailing_zeros64(rest)
        ready = local_warp(S, P, sm, k, local).pass_ready
        if ready < earliest:
            chosen, earliest = local, ready
        rest &= rest - 1
    return chosen


@inlined
def begin_pass(S: State, P: Params, sm: Sm, k: SubCore, now: Cycle) -> None:
    """The unit takes a pass if it is free and one is ready."""
    core = sub_core(S, sm, k)
    if not core.passes or core.unit_free[TENSOR] > now:
        return
    local = next_pass(S, P, sm, k)
    warp = local_warp(S, P, sm, k, local)
    if warp.pass_ready > now:
        return
    code = P.code[warp.pass_index]
    core.unit_free[TENSOR] = now + code.interval
    warp.passes_left -= 1
    warp.pass_ready = now + code.latency
    if warp.passes_left == 0:
        core.passes &= ~(1 << local)
        check_warp(warp, now)
        if warp.pass_allocated:
            finish_fixed(S, P, sm, k, local, warp.pass_index, warp.pass_row, now + UNHELD, now)


@inlined
def pass_wake(S: State, P: Params, sm: Sm, k: SubCore) -> Cycle:
    """Next cycle in which a pass can begin."""
    core = sub_core(S, sm, k)
    if not core.passes:
        return FOREVER
    ready = local_warp(S, P, sm, k, next_pass(S, P, sm, k)).pass_ready
    return max(ready, core.unit_free[TENSOR])
