"""The GPU: CTA dispatch over SMs, and windows in which SMs run apart from each other.

Within a window no SM can see another, because no reply comes back and no CTA starts in the place of another sooner than
the window is long. Behind it places are refilled in (cycle, SM) order, so the result is that of a cycle-by-cycle run.

A window has steps whose jobs threads share (`threads`): SMs run; groups of channels serve requests; replies pass the
GPCs' ports. What lies between them is done by thread 0 alone.
"""

from __future__ import annotations

from gpusim.jit import inlined, kernel, njit
from gpusim.model.barriers import cta_at
from gpusim.model.copies import start_groups
from gpusim.model.held_stores import release_all_stores
from gpusim.model.interconnect import collect_requests, next_departure, next_reply, pass_gpc
from gpusim.model.l0_instructions import fill_l0
from gpusim.model.l1_instructions import CODE_SPACE, fill_l1_instructions
from gpusim.model.memory_system import (
    begin_passing,
    begin_serving,
    end_passing,
    has_work,
    memory_system_is_idle,
    serve_group,
)
from gpusim.model.params import Params
from gpusim.model.rows import core_of, local_of, slot_row, sub_core, wake_core
from gpusim.model.scoreboard import free_registers
from gpusim.model.sm import run_sm
from gpusim.model.state import BARRIERS, FOREVER, INDEX_MASK, MOST_CTAS, SUB_CORES, State
from gpusim.model.threads import (
    GPCS,
    GROUPS,
    LEAVE,
    SMS,
    job_done,
    job_of,
    kind_of,
    next_offer,
    offer_jobs,
    wait_a_moment,
    wait_for_others,
)
from gpusim.model.types import Cycle, Flag, Local, Number, Record, Slot, Sm
from gpusim.results.stalls import Stall

NO_INSTRUCTION = int(Stall.NO_INSTRUCTION)

RUNNING, NEEDS_CTAS, FINISHED, DEADLOCK, FAULT, NEEDS_STREAMS = 0, 1, 2, 3, 4, 5
"""Why `run_windows` and its parts return: out of budget, the next CTAs are not loaded, all done, nothing can move, a
table overflowed, a warp could come to the end of what is loaded of its stream."""
WINDOWS_LOADED = 2
"""Windows of a warp's instructions that are loaded at least when a window begins: a warp may issue for one of them, and
must not see the end of what is loaded then."""
FEW_MESSAGES = 64
"""Requests and replies under way up to which sharing them among threads takes longer than they do (some us)."""


@inlined
def launch_warp(S: State, P: Params, sm: Sm, slot: Slot, place: Slot, number: int, table: int, now: Cycle) -> None:
    """Start warp `number` of the CTA in CTA slot `slot`, in warp slot `place`. table: its row of State.warp_starts."""
    warp = S.warps[slot_row(P, sm, place)]
    warp.active = 1
    warp.cta = slot
    warp.cta_id = S.gpu[0].next_cta
    warp.warp_in_cta = number
    warp.position = S.warp_starts[table, 0]
    warp.begin = warp.position
    warp.end = S.warp_starts[table, 1]
    warp.record = S.warp_starts[table, 2]
    warp.more = S.warp_starts[table, 3]
    if warp.more:
        S.gpu[0].stream_check = 0
    warp.index = S.stream[warp.position] & INDEX_MASK if warp.position < warp.end else 0
    warp.sequence = 0
    warp.stall_until = now
    warp.counters = 0
    warp.long_owner = 0
    warp.next_check = FOREVER if warp.position < warp.end else now
    warp.reason = NO_INSTRUCTION
    warp.reason_since = now
    warp.resident_since = now
    warp.outstanding = 0
    warp.registers_due = 0
    warp.at_barrier = 0
    warp.barrier_until = now
    warp.membar_until = now
    warp.hold_counter = -1
    warp.passes_left = 0
    warp.fetch_index = warp.index
    warp.fetch_from = now
    warp.fetch_line = -1
    warp.fetch_demand = -1
    warp.fetch_way = -1
    warp.refill = 0
    warp.buffer_head = 0
    warp.buffer_count = 0
    start_groups(warp)
    if P.derived[0].scoreboard:
        free_registers(S, P, slot_row(P, sm, place))
    core = sub_core(S, sm, core_of(place))
    join_sub_core(core, local_of(place))
    wake_core(core, now)


@inlined
def join_sub_core(core: Record, local: Local) -> None:
    """A new warp is its sub-core's youngest."""
    core.active_mask |= 1 << local
    for rank in range(core.warp_count, 0, -1):
        core.order[rank] = core.order[rank - 1]
    core.order[0] = local
    core.warp_count += 1


@njit
def launch_cta(S: State, P: Params, sm: Sm, slot: Slot, now: Cycle, start: Cycle) -> None:
    """Place the next CTA of the grid in a CTA slot of an SM, which is active from cycle `now` on if it was not; its
    warps may fetch from `start` on."""
    gpu = S.gpu[0]
    cta = cta_at(S, P, sm, slot)
    cta.active = 1
    cta.live = gpu.warps_per_cta
    cta.first_slot = slot * gpu.warps_per_cta
    for barrier in range(BARRIERS):
        cta.arrived[barrier] = 0
        cta.expected[barrier] = 0
    first = gpu.chunk_table + (gpu.next_cta - gpu.chunk_first) * gpu.warps_per_cta
    for number in range(gpu.warps_per_cta):
        launch_warp(S, P, sm, slot, cta.first_slot + number, number, first + number, start)
    unit = S.sms[sm]
    if unit.live_ctas == 0:
        unit.active_since = now
    unit.live_ctas += 1
    unit.wake = min(unit.wake, start)
    S.counters[sm].ctas_launched += 1
    gpu.next_cta += 1


@inlined
def next_cta_loaded(S: State) -> Flag:
    gpu = S.gpu[0]
    return gpu.next_cta < gpu.chunk_first + gpu.chunk_count


@njit
def bring_program(S: State, P: Params) -> None:
    """Put the first lines of the program into the instruction caches, as the launch has done before cycle 0."""
    gpu = S.gpu[0]
    for sm in range(P.card[0].sms):
        for line in range(gpu.l1_instruction_lines):
            fill_l1_instructions(S, P, sm, CODE_SPACE + line, 0)
        for k in range(SUB_CORES):
            for line in range(gpu.l0_lines):
                fill_l0(S, P, sm, k, line, 0)
    gpu.l0_lines, gpu.l1_instruction_lines = 0, 0


@njit
def fill_gpu(S: State, P: Params) -> int:
    """The first CTAs, breadth first over SMs. Returns NEEDS_CTAS or RUNNING."""
    gpu = S.gpu[0]
    bring_program(S, P)
    while gpu.next_cta < gpu.cta_total:
        sm = gpu.next_cta % P.card[0].sms
        if S.sms[sm].live_ctas >= gpu.ctas_per_sm:
            break
        if not next_cta_loaded(S):
            return NEEDS_CTAS
        launch_cta(S, P, sm, S.sms[sm].live_ctas, 0, P.card[0].sm.instruction_hierarchy.launch.start)
    gpu.filled = 1
    return RUNNING


# ---- CTAs in the places of others


@inlined
def first_free_place(S: State, P: Params) -> Sm:
    """The SM with the CTA slot that became free first, the lowest number on a tie; -1 if there is none."""
    first, earliest = -1, FOREVER
    for sm in range(P.card[0].sms):
        unit = S.sms[sm]
        if unit.places_free > 0 and unit.place_free[0] // MOST_CTAS < earliest:
            first, earliest = sm, unit.place_free[0] // MOST_CTAS
    return first


@inlined
def take_free_place(unit: Record) -> None:
    """Forget the CTA slot of an SM that became free first."""
    unit.places_free -= 1
    for rest in range(unit.places_free):
        unit.place_free[rest] = unit.place_free[rest + 1]


@njit
def place_ctas(S: State, P: Params) -> int:
    """Put CTAs into the slots that became free in the window. Returns RUNNING or NEEDS_CTAS (call again)."""
    gpu = S.gpu[0]
    sm = first_free_place(S, P)
    while sm >= 0:
        if gpu.next_cta < gpu.cta_total and not next_cta_loaded(S):
            return NEEDS_CTAS
        unit = S.sms[sm]
        place, last = unit.place_free[0], unit.place_free[unit.places_free - 1]
        take_free_place(unit)
        if gpu.next_cta < gpu.cta_total:
            start = place // MOST_CTAS + P.derived[0].cta_launch_latency
            # an SM whose place was filled before its last CTA left has been active all the time
            filled = place // MOST_CTAS < last // MOST_CTAS
            launch_cta(S, P, sm, place % MOST_CTAS, unit.last_retire if filled else start, start)
        sm = first_free_place(S, P)
    return RUNNING


@inlined
def any_behind(S: State, P: Params) -> Flag:
    """Whether an SM that had no CTA left has got one and has to go on to the window's end; others skip to it."""
    behind = False
    for sm in range(P.card[0].sms):
        unit = S.sms[sm]
        if unit.live_ctas == 0 and unit.release_due:
            release_all_stores(S, P, sm, unit.now - 1)  # in the cycle in which its last CTA left
        unit.release_due = 0
        if unit.now < S.gpu[0].window_end:
            if unit.live_ctas > 0:
                behind = True
            else:
                unit.now = S.gpu[0].window_end
    return behind


# ---- windows


@inlined
def first_activity(S: State, P: Params) -> Cycle:
    """First cycle in which an SM can do anything by itself or send what it has booked, FOREVER if none can."""
    if not P.derived[0].skip:
        return S.gpu[0].now
    first = FOREVER
    for sm in range(P.card[0].sms):
        if S.sms[sm].live_ctas > 0:
            first = min(first, S.sms[sm].wake, next_reply(S, sm))
        first = min(first, next_departure(S, sm))
    return first


@inlined
def streams_run_low(S: State, P: Params) -> Flag:
    """Whether a warp could come to the end of what is loaded of its stream within the next window.

    It issues one instruction a cycle at most: that says in which cycle to look again.
    """
    gpu = S.gpu[0]
    if gpu.stream_check > gpu.now:
        return False
    least = FOREVER
    for w in range(len(S.warps)):
        if S.warps[w].active and S.warps[w].more:
            least = min(least, S.warps[w].end - S.warps[w].position)
    spare = least - WINDOWS_LOADED * P.derived[0].window
    gpu.stream_check = gpu.now + spare
    return spare <= 0


@njit
def all_done(S: State, P: Params) -> Flag:
    gpu = S.gpu[0]
    if gpu.next_cta < gpu.cta_total:
        return False
    for sm in range(P.card[0].sms):
        if S.sms[sm].live_ctas > 0:
            return False
    return memory_system_is_idle(S, P)


@inlined
def window_length(S: State, P: Params) -> Cycle:
    """Cycles of the next window: a CTA that ends in its first may have a successor behind its last."""
    gpu = S.gpu[0]
    if gpu.next_cta < gpu.cta_total:
        return min(P.derived[0].window, P.derived[0].cta_launch_latency + 1)
    return P.derived[0].window


@njit
def do_jobs(S: State, P: Params, thread: int, kind: int, first: Number, end: Number) -> None:
    """Jobs `first` to `end` - 1 of a step."""
    for number in range(first, end):
        if kind == SMS:
            if S.sms[number].live_ctas > 0 or S.sms[number].now < S.gpu[0].window_end:
                run_sm(S, P, thread, number, S.gpu[0].window_end)
        elif kind == GROUPS:
            if has_work(S, number):
                serve_group(S, P, number)
        else:
            pass_gpc(S, P, number)


@inlined
def do_step(S: State, P: Params, threads: int, kind: int, jobs: int) -> None:
    """All jobs of a step, shared among the threads."""
    if threads == 1:
        do_jobs(S, P, 0, kind, 0, jobs)
        return
    offer_jobs(S, kind, jobs)
    offer = next_offer(S)
    while job_of(offer) >= 0:
        do_jobs(S, P, 0, kind, job_of(offer), job_of(offer) + 1)
        job_done(S)
        offer = next_offer(S)
    wait_for_others(S, jobs)


@inlined
def help_out(S: State, P: Params, thread: int) -> None:
    """What a thread other than 0 does: take jobs of whatever step there is, until it is told to leave."""
    looks = 0
    offer = next_offer(S)
    while kind_of(offer) != LEAVE:
        if job_of(offer) >= 0:
            do_jobs(S, P, thread, kind_of(offer), job_of(offer), job_of(offer) + 1)
            job_done(S)
            looks = 0
        else:
            wait_a_moment(looks)
            looks += 1
        offer = next_offer(S)


@inlined
def run_memory_system(S: State, P: Params, threads: int) -> None:
    """Serve all cycles before `gpu.first` + request latency; a reply to an idle SM brings `first` forward."""
    gpu = S.gpu[0]
    while True:
        under_way = gpu.nodes_used - gpu.free_nodes
        team = threads if under_way > FEW_MESSAGES else 1
        begin_passing(S, P)
        if under_way > 0:
            do_step(S, P, team, GPCS, P.card[0].interconnect.gpcs)
        end_passing(S, P)
        if not begin_serving(S, P):
            return
        do_step(S, P, team, GROUPS, P.derived[0].groups)


@njit
def begin_window(S: State, P: Params, threads: int) -> int:
    """Serve the last window's requests and choose the next window.

    Returns RUNNING (gpu.window_end is set), NEEDS_CTAS, NEEDS_STREAMS, FINISHED, DEADLOCK or FAULT.
    """
    gpu = S.gpu[0]
    if gpu.fault:
        return FAULT
    if not gpu.filled and fill_gpu(S, P) == NEEDS_CTAS:
        return NEEDS_CTAS
    if streams_run_low(S, P):
        return NEEDS_STREAMS
    gpu.first = first_activity(S, P)
    run_memory_system(S, P, threads)  # replies may bring the first activity forward
    if all_done(S, P):
        return FINISHED
    if gpu.first >= FOREVER:
        return DEADLOCK
    gpu.now = max(gpu.now, gpu.first)
    gpu.window_end = gpu.now + window_length(S, P)
    return RUNNING


@njit
def one_window(S: State, P: Params, threads: int) -> int:
    """Simulate a window, or what is left of one that waited for CTAs. Returns as `begin_window`."""
    gpu = S.gpu[0]
    if gpu.resume == 0:
        status = begin_window(S, P, threads)
        if status != RUNNING:
            return status
        do_step(S, P, threads, SMS, P.card[0].sms)
    gpu.resume = 1
    if place_ctas(S, P) == NEEDS_CTAS:
        return NEEDS_CTAS
    gpu.resume = 0
    if any_behind(S, P):
        do_step(S, P, threads, SMS, P.card[0].sms)
    collect_requests(S, P, gpu.now, gpu.window_end)
    gpu.now = gpu.window_end
    return RUNNING


@kernel
def run_windows(S: State, P: Params, thread: int, threads: int, budget: int) -> int:
    """Up to `budget` windows, without returning to Python between them. Returns as `begin_window`.

    All of `threads` threads call this with the same State, numbered from 0; thread 0 leads and tells the others to
    return before it does. State.teamwork has to offer NO_JOBS before.
    """
    status = RUNNING
    if thread > 0:
        help_out(S, P, thread)
        return status
    for _ in range(budget):
        status = one_window(S, P, threads)
        if status != RUNNING:
            break
    if threads > 1:
        offer_jobs(S, LEAVE, 0)
    return status
