"""Matrix instructions that take several passes through the tensor unit, each waiting for the one before.

Turing's GeForce cards accumulate in FP32 in two passes. One of such an instruction's warp waits at issue until the last
pass has begun; passes of other warps go between. Of those that can begin, the one that has waited longest does.
"""

from __future__ import annotations

from gpusim.jit import inlined, trailing_zeros64
from gpusim.model.execute import finish_fixed
from gpusim.model.kinds import Unit
from gpusim.model.scoreboard import UNHELD
from gpusim.model.state import FOREVER, SUB_CORES

TENSOR = int(Unit.TENSOR)


@inlined
def join_passes(core, warp, local, code, index, row, now):
    """A warp issues a matrix instruction of several passes; the first can begin in this very cycle."""
    core.passes |= 1 << local
    warp.passes_left = code.passes
    warp.pass_ready = now
    warp.pass_index = index
    warp.pass_row = row
    warp.pass_allocated = 0


@inlined
def next_pass(S, P, sm, k):
    """Local warp whose pass has been ready longest, the lowest of equals; -1 if there is none."""
    rest = S.sub_cores[sm * SUB_CORES + k].passes
    chosen, earliest = -1, FOREVER
    while rest:
        local = trailing_zeros64(rest)
        ready = S.warps[sm * P.machine[0].warps + local * SUB_CORES + k].pass_ready
        if ready < earliest:
            chosen, earliest = local, ready
        rest &= rest - 1
    return chosen


@inlined
def begin_pass(S, P, sm, k, now):
    """The unit takes a pass if it is free and one is ready."""
    core = S.sub_cores[sm * SUB_CORES + k]
    if not core.passes or core.unit_free[TENSOR] > now:
        return
    local = next_pass(S, P, sm, k)
    warp = S.warps[sm * P.machine[0].warps + local * SUB_CORES + k]
    if warp.pass_ready > now:
        return
    code = P.code[warp.pass_index]
    core.unit_free[TENSOR] = now + code.interval
    warp.passes_left -= 1
    warp.pass_ready = now + code.latency
    if warp.passes_left == 0:
        core.passes &= ~(1 << local)
        warp.next_check = min(warp.next_check, now)
        if warp.pass_allocated:
            finish_fixed(S, P, sm, k, local, warp.pass_index, warp.pass_row, now + UNHELD, now)


@inlined
def pass_wake(S, P, sm, k):
    """Next cycle in which a pass can begin."""
    core = S.sub_cores[sm * SUB_CORES + k]
    if not core.passes:
        return FOREVER
    local = next_pass(S, P, sm, k)
    ready = S.warps[sm * P.machine[0].warps + local * SUB_CORES + k].pass_ready
    return max(ready, core.unit_free[TENSOR])
