"""CTA barriers (BAR) and the end of warps and CTAs.

A release is seen by the CTA's warps in a later cycle (`barriers.release`), so the order in which sub-cores are
evaluated in the cycle of the last arrival does not matter.
"""

from __future__ import annotations

from gpusim.jit import inlined
from gpusim.model.operands import forget_warp
from gpusim.model.params import Params
from gpusim.model.rows import check_warp, core_of, local_of, slot_of, slot_row, sub_core, wake_core
from gpusim.model.stalls import close_reason
from gpusim.model.state import BARRIERS, State
from gpusim.model.types import Cycle, Index, Local, Record, Row, Slot, Sm

COMES, ARRIVED = 1, 2
"""Values of WARP.at_barrier: its BAR is on the way to the ADU, or has been executed there."""


@inlined
def cta_at(S: State, P: Params, sm: Sm, slot: Slot) -> Record:
    """Record of the CTA in a CTA slot of an SM."""
    return S.ctas[sm * P.card[0].sm.ctas + slot]


@inlined
def release_barrier(S: State, P: Params, sm: Sm, slot: Slot, barrier: int, now: Cycle) -> None:
    """Let the warps of a CTA that wait at a barrier go on."""
    cta = cta_at(S, P, sm, slot)
    cta.arrived[barrier] = 0
    for number in range(S.gpu[0].warps_per_cta):
        place = (cta.first_slot + number) % P.card[0].sm.warps
        warp = S.warps[slot_row(P, sm, place)]
        if warp.active and warp.at_barrier == ARRIVED and warp.barrier == barrier:
            warp.at_barrier = 0
            warp.barrier_until = now + P.card[0].sm.barriers.release
            check_warp(warp, now + 1)
            wake_core(sub_core(S, sm, core_of(place)), now + 1)


@inlined
def wait_at_barrier(warp: Record, code: Record) -> None:
    """A warp has issued BAR: unless it only arrives, it waits from here on."""
    if code.barrier_waits:
        warp.at_barrier = COMES
        warp.barrier = code.barrier


@inlined
def arrive(S: State, P: Params, sm: Sm, w: Row, index: Index, now: Cycle) -> None:
    """The ADU executes warp w's BAR in cycle `now`."""
    warp = S.warps[w]
    code = P.code[index]
    cta = cta_at(S, P, sm, warp.cta)
    barrier = code.barrier
    cta.arrived[barrier] += 1
    if code.barrier_waits:
        warp.at_barrier = ARRIVED
    cta.expected[barrier] = code.barrier_warps
    check_barrier(S, P, sm, warp.cta, barrier, now)


@inlined
def check_barrier(S: State, P: Params, sm: Sm, slot: Slot, barrier: int, now: Cycle) -> None:
    """Release a barrier when all the warps that it expects have arrived (all living ones, if it names no number)."""
    cta = cta_at(S, P, sm, slot)
    expected = cta.expected[barrier] if cta.expected[barrier] else cta.live
    if cta.arrived[barrier] > 0 and cta.arrived[barrier] >= expected:
        release_barrier(S, P, sm, slot, barrier, now)


@inlined
def leave_sub_core(core: Record, local: Local) -> None:
    """A warp's place in its sub-core becomes free."""
    core.active_mask &= ~(1 << local)
    kept = 0
    for rank in range(core.warp_count):
        if core.order[rank] != local:
            core.order[kept] = core.order[rank]
            kept += 1
    core.warp_count = kept
    forget_warp(core, local)


@inlined
def retire_warp(S: State, P: Params, thread: int, sm: Sm, w: Row, now: Cycle) -> None:
    """Warp w has ended: free its slot before cycle `now`, and its CTA's with the last warp."""
    unit = S.sms[sm]
    warp = S.warps[w]
    close_reason(S, thread, w, now)
    S.counters[sm].resident_warp_cycles += now - warp.resident_since
    warp.active = 0
    slot = slot_of(P, sm, w)
    leave_sub_core(sub_core(S, sm, core_of(slot)), local_of(slot))
    unit.last_retire = max(unit.last_retire, now)
    cta = cta_at(S, P, sm, warp.cta)
    cta.live -= 1
    if cta.live == 0:
        cta.active = 0
        unit.live_ctas -= 1
        if unit.live_ctas == 0:
            S.counters[sm].sm_active_cycles += now - unit.active_since
        unit.ctas_ended |= 1 << warp.cta
        return
    for barrier in range(BARRIERS):
        check_barrier(S, P, sm, warp.cta, barrier, now)
