"""CTA barriers (BAR) and the end of warps and CTAs.

A release is seen by the CTA's warps in a later cycle (`barriers.release`), so the order in which sub-cores are
evaluated in the cycle of the last arrival does not matter.
"""

from __future__ import annotations

from gpusim.jit import inlined
from gpusim.model.stalls import close_reason
from gpusim.model.state import BARRIERS, SUB_CORES


@inlined
def release_barrier(S, P, sm, slot, barrier, now):
    """Let the warps of a CTA that wait at a barrier go on."""
    machine = P.machine[0]
    cta = S.ctas[sm * machine.ctas + slot]
    cta.arrived[barrier] = 0
    warps = S.gpu[0].warps_per_cta
    for number in range(warps):
        place = (cta.first_slot + number) % machine.warps
        warp = S.warps[sm * machine.warps + place]
        if warp.active and warp.at_barrier and warp.barrier == barrier:
            warp.at_barrier = 0
            warp.barrier_until = now + machine.barrier_release
            warp.next_check = min(warp.next_check, now + 1)
            core = S.sub_cores[sm * SUB_CORES + place % SUB_CORES]
            core.wake = min(core.wake, now + 1)


@inlined
def arrive(S, P, sm, w, index, now):
    """Warp w has issued BAR in cycle `now`."""
    machine = P.machine[0]
    warp = S.warps[w]
    code = P.code[index]
    cta = S.ctas[sm * machine.ctas + warp.cta]
    barrier = code.barrier
    cta.arrived[barrier] += 1
    if code.barrier_waits:
        warp.at_barrier = 1
        warp.barrier = barrier
    cta.expected[barrier] = code.barrier_warps
    check_barrier(S, P, sm, warp.cta, barrier, now)


@inlined
def check_barrier(S, P, sm, slot, barrier, now):
    """Release a barrier when all the warps that it expects have arrived (all living ones, if it names no number)."""
    cta = S.ctas[sm * P.machine[0].ctas + slot]
    expected = cta.expected[barrier] if cta.expected[barrier] else cta.live
    if cta.arrived[barrier] > 0 and cta.arrived[barrier] >= expected:
        release_barrier(S, P, sm, slot, barrier, now)


@inlined
def retire_warp(S, P, thread, sm, w, now):
    """Warp w has ended: free its slot before cycle `now`, and its CTA's with the last warp."""
    machine = P.machine[0]
    unit = S.sms[sm]
    warp = S.warps[w]
    close_reason(S, thread, w, now)
    S.counters[sm].resident_warp_cycles += now - warp.resident_since
    warp.active = 0
    slot = w - sm * machine.warps
    core = S.sub_cores[sm * SUB_CORES + slot % SUB_CORES]
    local = slot // SUB_CORES
    core.active_mask &= ~(1 << local)
    kept = 0
    for rank in range(core.warp_count):
        if core.order[rank] != local:
            core.order[kept] = core.order[rank]
            kept += 1
    core.warp_count = kept
    for entry in range(len(core.cached)):  # a later warp in this slot must not hit the register file cache
        if core.cached[entry] >> 8 == local:
            core.cached[entry] = -1
            core.cached_count -= 1
    unit.last_retire = max(unit.last_retire, now)
    cta = S.ctas[sm * machine.ctas + warp.cta]
    cta.live -= 1
    if cta.live == 0:
        cta.active = 0
        unit.live_ctas -= 1
        if unit.live_ctas == 0:
            S.counters[sm].sm_active_cycles += now - unit.active_since
        unit.paused = 1
        return
    for barrier in range(BARRIERS):
        check_barrier(S, P, sm, warp.cta, barrier, now)
