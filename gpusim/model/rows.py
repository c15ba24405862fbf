"""Which row of the State is whose: every place that turns a warp or a sub-core into an array index.

An SM has `sm.warps` warp slots. Slot v lies in sub-core v mod 4 and is its local warp v // 4 (arXiv 2503.20481 section
5.2).
"""

from __future__ import annotations

from gpusim.jit import inlined, trailing_zeros64
from gpusim.model.params import Params
from gpusim.model.state import SUB_CORES, State
from gpusim.model.types import CoreRow, Cycle, Local, Record, Row, Slot, Sm, SubCore


@inlined
def core_row(sm: Sm, k: SubCore) -> CoreRow:
    return sm * SUB_CORES + k


@inlined
def slot_row(P: Params, sm: Sm, slot: Slot) -> Row:
    """Row of the warp in a slot of an SM."""
    return sm * P.card[0].sm.warps + slot


@inlined
def slot_of(P: Params, sm: Sm, w: Row) -> Slot:
    """Slot of a warp in its SM."""
    return w - sm * P.card[0].sm.warps


@inlined
def warp_row(P: Params, sm: Sm, k: SubCore, local: Local) -> Row:
    return slot_row(P, sm, local * SUB_CORES + k)


@inlined
def core_of(slot: Slot) -> SubCore:
    """Sub-core of a warp slot."""
    return slot % SUB_CORES


@inlined
def local_of(slot: Slot) -> Local:
    """Number in its sub-core of the warp in a slot."""
    return slot // SUB_CORES


@inlined
def sub_core(S: State, sm: Sm, k: SubCore) -> Record:
    """Record of a sub-core."""
    return S.sub_cores[core_row(sm, k)]


@inlined
def local_warp(S: State, P: Params, sm: Sm, k: SubCore, local: Local) -> Record:
    """Record of a sub-core's warp."""
    return S.warps[warp_row(P, sm, k, local)]


@inlined
def wake_core(core: Record, cycle: Cycle) -> None:
    """A sub-core has something to do in a cycle."""
    core.wake = min(core.wake, cycle)


@inlined
def wake_throttled(S: State, P: Params, sm: Sm, k: SubCore, now: Cycle) -> None:
    """A queue of sub-core k has room again: whoever waited for that may issue."""
    core = sub_core(S, sm, k)
    waiting = core.throttled
    core.throttled = 0
    while waiting:
        check_warp(local_warp(S, P, sm, k, trailing_zeros64(waiting)), now)
        waiting &= waiting - 1
    wake_core(core, now)


@inlined
def check_warp(warp: Record, cycle: Cycle) -> None:
    """A warp's eligibility may change in a cycle."""
    warp.next_check = min(warp.next_check, cycle)
