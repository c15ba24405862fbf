"""Sixteenths of a cycle: what lies behind the SMs moves sectors at rates that are no whole number of cycles."""

from __future__ import annotations

from gpusim.jit import inlined
from gpusim.model.types import Cycle, Tick

TICKS = 16


@inlined
def first_tick(cycle: Cycle) -> Tick:
    """With which a cycle begins."""
    return TICKS * cycle


@inlined
def cycle_of_tick(tick: Tick) -> Cycle:
    """First cycle that does not begin before a tick."""
    return (tick + TICKS - 1) // TICKS
