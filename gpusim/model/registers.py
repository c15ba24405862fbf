"""Where the pipeline tells scoreboards and hazard checker what happens to registers; nothing if both are off."""

from __future__ import annotations

from gpusim.jit import inlined
from gpusim.model.hazards import check_hazards, forget_registers, reads_done, result_done
from gpusim.model.scoreboard import free_registers, result_written, sources_read, take_registers


@inlined
def registers_start(S, P, w):
    """A new warp starts in warp slot w."""
    machine = P.machine[0]
    if machine.scoreboard:
        free_registers(S, P, w)
    if machine.check_hazards:
        forget_registers(S, P, w)


@inlined
def registers_issued(S, P, thread, w, index, mask, now):
    """Warp w issues instruction `index` in the lanes of `mask`."""
    machine = P.machine[0]
    if machine.scoreboard:
        take_registers(S, P, w, index)
    if machine.check_hazards:
        check_hazards(S, P, thread, w, index, mask, now)


@inlined
def registers_read(S, P, w, index):
    """Instruction `index` of warp w has read its registers."""
    machine = P.machine[0]
    if machine.scoreboard:
        sources_read(S, P, w, index)
    if machine.check_hazards:
        reads_done(S, P, w, index)


@inlined
def registers_written(S, P, w, index):
    """Variable-latency instruction `index` of warp w is complete."""
    machine = P.machine[0]
    if machine.scoreboard:
        result_written(S, P, w, index)
    if machine.check_hazards:
        result_done(S, P, w, index)
