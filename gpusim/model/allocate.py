"""Allocate: a fixed-latency instruction stays until its register reads fit, and with it all that is behind it.

What the reads need, and what the register file cache serves of it, is in `operands`; the rest of the way in `execute`.
"""

from __future__ import annotations

from gpusim.jit import inlined
from gpusim.model.execute import execute_fixed
from gpusim.model.operands import allocate_reads
from gpusim.model.params import Params
from gpusim.model.rows import sub_core
from gpusim.model.state import State
from gpusim.model.types import Cycle, Sm, SubCore


@inlined
def allocate(S: State, P: Params, sm: Sm, k: SubCore, now: Cycle) -> None:
    """The instruction in Allocate leaves when its register reads fit."""
    core = sub_core(S, sm, k)
    if not core.allocate_valid:
        return
    index = core.allocate_index
    unit = core.allocate_unit
    single = P.code[index].passes <= 1  # several passes: the unit is not entered here
    if single and core.unit_entry[unit] > now:  # the one before was held here and is that unit's too
        return
    if allocate_reads(S, P, sm, core, core.allocate_warp, index, now):
        if single:
            core.unit_entry[unit] = now + P.code[index].interval
        execute_fixed(S, P, sm, k, core.allocate_warp, index, core.allocate_row, now)
        core.allocate_valid = 0
    else:
        S.counters[sm].register_port_stall_cycles += 1
