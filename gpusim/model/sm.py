"""One SM: the order of its stages in a cycle, and which cycles need evaluating at all.

Stages run last first, so that a slot freed in a cycle is seen upstream in the same one. What crosses sub-cores is
registered: barrier releases and replies count from the next cycle on, the shared memory unit runs before all sub-cores.

Who writes a stage keeps three rules, or results depend on skipping:

- A sub-core is evaluated in the cycles `wake` names. A stage that can do something by itself in a later cycle says so:
  through its part of `sub_core_wake` (or of `sm_cycle` where it belongs to the SM), or by `wake_core`.
- A warp is looked at by issue in the cycles `next_check` names. Whoever changes what a warp waits for calls
  `check_warp`, and `wake_core` where that may happen outside the sub-core's own evaluation.
- What another SM can see goes through `interconnect`, and back no sooner than a window is long.
"""

from __future__ import annotations

from gpusim.constants import SECTOR_BYTES
from gpusim.jit import inlined, njit, popcount64, trailing_zeros64
from gpusim.model.address_unit import address_unit, address_wake
from gpusim.model.adu import adu, adu_wake, fill_constant
from gpusim.model.allocate import allocate
from gpusim.model.control import control, raise_counters
from gpusim.model.events import next_event, run_events
from gpusim.model.execute import fp64_unit, fp64_wake
from gpusim.model.fetch import arrive_lines, fetch, fetch_wake
from gpusim.model.fl_constants import arrive_constants
from gpusim.model.held_stores import release_all_stores, stores_wake
from gpusim.model.interconnect import ACKNOWLEDGE, READ_CODE, READ_LINE, next_reply, ring_place, take_acknowledgement
from gpusim.model.issue import issue
from gpusim.model.l1_data import fill_line, line_arrives
from gpusim.model.l1_instructions import arrive_from_gpc, l1_instructions_wake, look_up_request, pass_gpc_cache
from gpusim.model.memory_unit import grant_wake, memory_unit
from gpusim.model.params import Params
from gpusim.model.rows import local_warp, sub_core, wake_core
from gpusim.model.state import FOREVER, LDC_WAITING, MESSAGES, MOST_CTAS, SUB_CORES, State
from gpusim.model.tensor import begin_pass, pass_wake
from gpusim.model.types import Cycle, Mask, Sm, SubCore


@inlined
def replies(S: State, P: Params, sm: Sm, now: Cycle) -> None:
    """Replies from L2 that arrive by `now`, and constant lines for LDC from the L1 instruction cache."""
    unit = S.sms[sm]
    while next_reply(S, sm) <= now:
        message = S.replies[ring_place(sm, unit.in_head)]
        unit.in_head = (unit.in_head + 1) % MESSAGES
        unit.in_count -= 1
        if message.kind == ACKNOWLEDGE:
            take_acknowledgement(S, P, sm, message.token, now)
            continue
        beats = popcount64(message.sectors) * SECTOR_BYTES // P.card[0].interconnect.bytes_per_cycle
        unit.reply_port = now + max(1, beats)
        unit.replies_due -= 1
        if message.kind == READ_LINE:
            fill_line(S, P, sm, message.token, message.sectors, now)
        elif message.kind == READ_CODE:
            pass_gpc_cache(S, P, sm, message.line, now)
        else:
            line_arrives(S, P, sm, message.token, now)
    while unit.ldc_replies > 0 and unit.ldc_reply_ready[unit.ldc_reply_head] <= now:
        line = unit.ldc_reply_line[unit.ldc_reply_head]
        unit.ldc_reply_head = (unit.ldc_reply_head + 1) % LDC_WAITING
        unit.ldc_replies -= 1
        fill_constant(S, P, sm, line, now)


@inlined
def sub_core_cycle(S: State, P: Params, thread: int, sm: Sm, k: SubCore, now: Cycle) -> None:
    """All stages of one sub-core in cycle `now`."""
    core = sub_core(S, sm, k)
    core.wake = FOREVER
    run_events(S, P, sm, k, now)
    arrive_lines(S, P, sm, k, now)
    arrive_constants(S, P, sm, k, now)
    allocate(S, P, sm, k, now)
    control(S, P, sm, k, now)
    address_unit(S, P, sm, k, now)  # behind Allocate: fixed-latency reads go first
    begin_pass(S, P, sm, k, now)
    ready = issue(S, P, thread, sm, k, now)
    begin_pass(S, P, sm, k, now)  # of an instruction issued just now
    fetch(S, P, sm, k, now)
    raise_counters(S, P, sm, k, now)
    wake_core(core, sub_core_wake(S, P, sm, k, ready, now))


@inlined
def sub_core_wake(S: State, P: Params, sm: Sm, k: SubCore, ready: Mask, now: Cycle) -> Cycle:
    """Next cycle in which a sub-core can change, as far as it knows itself."""
    core = sub_core(S, sm, k)
    if core.allocate_valid or core.control_valid or ready:
        return now + 1
    first = fetch_wake(S, P, sm, k, now)
    if first == now + 1:
        return first
    if core.event_count > 0:
        first = min(first, next_event(core))
    for pending in range(core.constants_pending):
        first = min(first, core.constant_ready[pending])
    first = min(first, address_wake(core, now), pass_wake(S, P, sm, k))
    for rank in range(core.warp_count):
        first = min(first, local_warp(S, P, sm, k, core.order[rank]).next_check)
    return max(first, now + 1)


@inlined
def sm_cycle(S: State, P: Params, thread: int, sm: Sm, now: Cycle) -> None:
    """All stages of one SM in cycle `now`; sets the next cycle worth evaluating."""
    unit = S.sms[sm]
    replies(S, P, sm, now)
    arrive_from_gpc(S, P, sm, now)
    look_up_request(S, P, sm, now)
    memory_unit(S, P, sm, now)
    adu(S, P, sm, now)
    fp64_unit(S, P, sm, now)
    for k in range(SUB_CORES):
        if sub_core(S, sm, k).wake <= now or not P.derived[0].skip:
            sub_core_cycle(S, P, thread, sm, k, now)
    wake = min(
        next_reply(S, sm),
        l1_instructions_wake(S, sm, now),
        grant_wake(S, P, sm, now),
        adu_wake(S, P, sm, now),
        fp64_wake(S, sm, now),
    )
    wake = min(wake, stores_wake(S, sm))
    if unit.ldc_replies > 0:
        wake = min(wake, unit.ldc_reply_ready[unit.ldc_reply_head])
    for k in range(SUB_CORES):
        wake = min(wake, sub_core(S, sm, k).wake)
    if unit.live_ctas == 0:
        unit.release_due = unit.places_free > 0 and S.gpu[0].next_cta < S.gpu[0].cta_total
        if not unit.release_due:
            release_all_stores(S, P, sm, now)
    unit.wake = max(wake, now + 1)


@njit
def run_sm(S: State, P: Params, thread: int, sm: Sm, end: Cycle) -> None:
    """Simulate an SM up to cycle `end`, or until its last CTA has left while others wait for a place.

    CTA slots that become free are noted for `gpu.place_ctas`: no CTA can start in them within a window.
    """
    unit = S.sms[sm]
    skip = P.derived[0].skip
    waiting = S.gpu[0].next_cta < S.gpu[0].cta_total
    while unit.live_ctas > 0:
        if skip:
            unit.now = max(unit.now, min(unit.wake, next_reply(S, sm)))
        if unit.now >= end:
            break
        sm_cycle(S, P, thread, sm, unit.now)
        unit.now += 1
        while unit.ctas_ended:
            unit.place_free[unit.places_free] = unit.now * MOST_CTAS + trailing_zeros64(unit.ctas_ended)
            unit.places_free += 1
            unit.ctas_ended &= unit.ctas_ended - 1
    if not waiting:
        unit.places_free = 0
    if not waiting or unit.live_ctas > 0:
        unit.now = end
