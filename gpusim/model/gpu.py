"""The GPU: CTA dispatch over SMs, and windows in which SMs run apart from each other.

Within a window no SM can see another, because no reply comes back sooner than the window is long. A CTA that ends while
others wait stops its SM; places are refilled in (cycle, SM) order, so the result is that of a cycle-by-cycle run.
"""

from __future__ import annotations

from gpusim.jit import inlined, kernel, njit
from gpusim.model.barriers import cta_at
from gpusim.model.copies import start_groups
from gpusim.model.interconnect import collect_requests, next_departure, next_reply
from gpusim.model.l0_instructions import fill_l0
from gpusim.model.l1_instructions import CODE_SPACE, fill_l1_instructions
from gpusim.model.memory_system import memory_system_is_idle, run_memory_system
from gpusim.model.params import Params
from gpusim.model.rows import core_of, local_of, slot_row, sub_core, wake_core
from gpusim.model.scoreboard import free_registers
from gpusim.model.sm import run_sm
from gpusim.model.state import BARRIERS, FOREVER, INDEX_MASK, SUB_CORES, State
from gpusim.model.types import Cycle, Flag, Local, Record, Slot, Sm
from gpusim.results.stalls import Stall

NO_INSTRUCTION = int(Stall.NO_INSTRUCTION)

RUNNING, NEEDS_CTAS, FINISHED, DEADLOCK, FAULT = 0, 1, 2, 3, 4
"""Why `run_windows` and its parts return: out of budget, the next CTAs are not loaded, all done, nothing can move."""


@inlined
def launch_warp(S: State, P: Params, sm: Sm, slot: Slot, place: Slot, number: int, table: int, now: Cycle) -> None:
    """Start warp `number` of the CTA in CTA slot `slot`, in warp slot `place`. table: its row of State.warp_starts."""
    warp = S.warps[slot_row(P, sm, place)]
    warp.active = 1
    warp.cta = slot
    warp.cta_id = S.gpu[0].next_cta
    warp.warp_in_cta = number
    warp.position = S.warp_starts[table, 0]
    warp.end = S.warp_starts[table, 1]
    warp.record = S.warp_starts[table, 2]
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
def launch_cta(S: State, P: Params, sm: Sm, now: Cycle, start: Cycle) -> None:
    """Place the next CTA of the grid on an SM that has room in cycle `now`; its warps may fetch from `start` on."""
    gpu = S.gpu[0]
    slot = 0
    while cta_at(S, P, sm, slot).active:
        slot += 1
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
        launch_cta(S, P, sm, 0, P.card[0].sm.instruction_hierarchy.launch.start)
    gpu.filled = 1
    return RUNNING


@inlined
def unfinished_sm(S: State, P: Params, end: Cycle) -> Sm:
    """An SM that has to go on to the window's end: while CTAs are left, the one that stopped first for a free place."""
    gpu = S.gpu[0]
    first = -1
    for sm in range(P.card[0].sms):
        if gpu.next_cta < gpu.cta_total:
            if S.sms[sm].paused and (first < 0 or S.sms[sm].now < S.sms[first].now):
                first = sm
        elif S.sms[sm].now < end:  # stopped for a CTA that another has got
            return sm
    return first


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


@njit
def all_done(S: State, P: Params) -> Flag:
    gpu = S.gpu[0]
    if gpu.next_cta < gpu.cta_total:
        return False
    for sm in range(P.card[0].sms):
        if S.sms[sm].live_ctas > 0:
            return False
    return memory_system_is_idle(S, P)


@kernel
def begin_window(S: State, P: Params) -> int:
    """Serve the last window's requests and choose the next window.

    Returns RUNNING (gpu.window_end is set), NEEDS_CTAS, FINISHED, DEADLOCK or FAULT.
    """
    gpu = S.gpu[0]
    if gpu.fault:
        return FAULT
    if not gpu.filled and fill_gpu(S, P) == NEEDS_CTAS:
        return NEEDS_CTAS
    gpu.first = first_activity(S, P)
    run_memory_system(S, P)  # replies may bring the first activity forward
    if all_done(S, P):
        return FINISHED
    if gpu.first >= FOREVER:
        return DEADLOCK
    gpu.window_end = max(gpu.now, gpu.first) + P.derived[0].window
    return RUNNING


@kernel
def run_share(S: State, P: Params, thread: int, first: Sm, step: int) -> None:
    """One thread's SMs through the current window."""
    for sm in range(first, P.card[0].sms, step):
        run_sm(S, P, thread, sm, S.gpu[0].window_end)


@kernel
def end_window(S: State, P: Params) -> int:
    """Refill CTAs, then take the window's requests. Returns RUNNING or NEEDS_CTAS (call again)."""
    gpu = S.gpu[0]
    while True:
        sm = unfinished_sm(S, P, gpu.window_end)
        if sm < 0:
            break
        unit = S.sms[sm]
        while unit.live_ctas < gpu.ctas_per_sm and gpu.next_cta < gpu.cta_total:
            if not next_cta_loaded(S):
                return NEEDS_CTAS
            start = unit.now + P.derived[0].cta_launch_latency
            launch_cta(S, P, sm, start, start)
        unit.paused = 0
        run_sm(S, P, 0, sm, gpu.window_end)
    collect_requests(S, P, gpu.window_end - P.derived[0].window, gpu.window_end)
    gpu.now = gpu.window_end
    return RUNNING


@kernel
def run_windows(S: State, P: Params, budget: int) -> int:
    """Up to `budget` windows on one thread, without returning to Python between them."""
    gpu = S.gpu[0]
    for _ in range(budget):
        if gpu.resume == 0:
            status = begin_window(S, P)
            if status != RUNNING:
                return status
            for sm in range(P.card[0].sms):
                run_sm(S, P, 0, sm, gpu.window_end)
        gpu.resume = 0
        if end_window(S, P) == NEEDS_CTAS:
            gpu.resume = 1
            return NEEDS_CTAS
    return RUNNING
