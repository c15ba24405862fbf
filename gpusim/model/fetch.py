"""Fetch and decode: L0 instruction cache, prefetcher, and the warps' instruction buffers.

One fetch per cycle and sub-core, for the warp issued last if its buffer has room, else for the youngest with room.
Buffer entries are allocated at the request and freed at issue; an instruction fetched in cycle t can issue in t + 3,
which is why three entries keep one warp issuing (arXiv 2503.20481 section 5.2).
"""

from __future__ import annotations

from gpusim.jit import inlined
from gpusim.model.l0_instructions import fill_l0, find_l0, use_l0
from gpusim.model.l1_instructions import FETCH, PREFETCH, l1_instructions_full, request_l1_instructions
from gpusim.model.params import Params
from gpusim.model.policies.prefetcher import (
    COMING,
    HIT,
    INTO_L0,
    NONE,
    asked,
    begun,
    deliver,
    due,
    look_up,
    missed,
    refused,
    wanted,
)
from gpusim.model.rows import check_warp, local_warp, sub_core, warp_row
from gpusim.model.state import FOREVER, MAX_BUFFER, PENDING_LINES, SUB_CORES, State
from gpusim.model.types import Cycle, Flag, Index, Line, Local, Record, Row, Sm, SubCore


@inlined
def may_fetch(S: State, P: Params, w: Row, now: Cycle) -> Flag:
    """Whether warp w can fetch in cycle `now`."""
    warp = S.warps[w]
    return (
        warp.buffer_count < P.card[0].sm.sub_core.fetch.buffer_entries
        and warp.fetch_line < 0
        and warp.fetch_from <= now
        and warp.fetch_index < len(P.code)
        and warp.position < warp.end
    )


@inlined
def choose_fetch(S: State, P: Params, sm: Sm, k: SubCore, now: Cycle) -> Local:
    """Local number of the warp that fetches in cycle `now`, -1 if none can."""
    core = sub_core(S, sm, k)
    if core.active_mask >> core.greedy & 1 and may_fetch(S, P, warp_row(P, sm, k, core.greedy), now):
        return core.greedy
    for rank in range(core.warp_count):
        local = core.order[rank]
        if may_fetch(S, P, warp_row(P, sm, k, local), now):
            return local
    return -1


@inlined
def accept(warp: Record, P: Params, now: Cycle) -> None:
    """The fetch of cycle `now` hits: an entry of the warp's buffer is ready after decode."""
    place = (warp.buffer_head + warp.buffer_count) & (MAX_BUFFER - 1)
    warp.buffer_ready[place] = now + P.card[0].sm.sub_core.fetch.hit_to_issue
    warp.buffer_count += 1
    warp.fetch_index += 1
    if warp.buffer_count == 1:
        check_warp(warp, warp.buffer_ready[place])


@inlined
def wait_for_line(warp: Record, line: Line, now: Cycle) -> None:
    """The warp fetches no more until a line arrives; from the next cycle on that is why it does not issue."""
    warp.fetch_line = line
    if warp.refill:
        warp.refill = 0
        check_warp(warp, now + 1)


@inlined
def on_its_way(core: Record, line: Line) -> Flag:
    """Whether a line has been asked for, to come into L0."""
    for pending in range(core.pending_lines):
        if core.pending_line[pending] == line:
            return True
    return False


@inlined
def expect_line(core: Record, line: Line) -> None:
    """A line has been asked for: it will come into L0."""
    core.pending_line[core.pending_lines] = line
    core.pending_ready[core.pending_lines] = FOREVER
    core.pending_lines += 1


@inlined
def can_ask(S: State, core: Record, sm: Sm, now: Cycle) -> Flag:
    """Whether a sub-core's way to L1 is open: its last request has left, and there is room for another."""
    return core.request_port <= now and not l1_instructions_full(S, sm)


@inlined
def demand(S: State, P: Params, sm: Sm, k: SubCore, warp: Record, line: Line, now: Cycle) -> Flag:
    """Look a line up for a warp. 1 if it hits now; otherwise the warp waits for the line, or asks again."""
    core = sub_core(S, sm, k)
    counters = S.counters[sm]
    begins = warp.fetch_demand != line
    if begins:
        warp.fetch_demand = line
    place = warp.fetch_way
    if place < 0 or S.l0[place].line != line:
        place = find_l0(S, P, sm, k, line)
    if place >= 0:
        if begins:
            begun(S, P, sm, k, line, now)
        use_l0(S, P, place, now)
        warp.fetch_way = place
        counters.l0_instruction_hits += 1
        return 1
    found = look_up(S, P, sm, k, line, now)
    if found == HIT:
        counters.l0_instruction_hits += 1
        return 1
    if found == COMING:
        wait_for_line(warp, line, now)
        return 0
    if on_its_way(core, line):
        if begins:
            begun(S, P, sm, k, line, now)
        wait_for_line(warp, line, now)
        return 0
    if core.pending_lines < PENDING_LINES and can_ask(S, core, sm, now):
        wait_for_line(warp, line, now)
        counters.l0_instruction_misses += 1
        missed(S, P, sm, k, line, now)
        expect_line(core, line)
        core.request_port = request_l1_instructions(S, P, sm, now, FETCH, k, line)
    return 0


@inlined
def prefetch(S: State, P: Params, sm: Sm, k: SubCore, now: Cycle) -> None:
    """Ask for the line that the prefetcher wants, if the way to L1 is open."""
    line = wanted(S, P, sm, k)
    if line == NONE:
        return
    core = sub_core(S, sm, k)
    if not can_ask(S, core, sm, now):
        return
    known = find_l0(S, P, sm, k, line) >= 0 or on_its_way(core, line)
    if known or line * P.derived[0].line_instructions >= len(P.code):
        refused(S, P, sm, k, line, now)
        return
    number = asked(S, P, sm, k, line, now)
    if number != INTO_L0:
        core.request_port = request_l1_instructions(S, P, sm, now, PREFETCH, k + SUB_CORES * number, line)
    elif core.pending_lines < PENDING_LINES:
        expect_line(core, line)
        core.request_port = request_l1_instructions(S, P, sm, now, FETCH, k, line)
    else:
        return  # no place to remember it: it is dropped
    S.counters[sm].instruction_prefetches += 1


@inlined
def release_line(S: State, P: Params, sm: Sm, k: SubCore, line: Line) -> None:
    """Warps that waited for a line may fetch again."""
    core = sub_core(S, sm, k)
    for rank in range(core.warp_count):
        warp = local_warp(S, P, sm, k, core.order[rank])
        if warp.fetch_line == line:
            warp.fetch_line = -1


@inlined
def arrive_lines(S: State, P: Params, sm: Sm, k: SubCore, now: Cycle) -> None:
    """Lines that arrive from L1 by `now` go into L0, and one for which warps wait in the prefetcher's buffer."""
    core = sub_core(S, sm, k)
    kept = 0
    for pending in range(core.pending_lines):
        line = core.pending_line[pending]
        if core.pending_ready[pending] <= now:
            fill_l0(S, P, sm, k, line, now)
            release_line(S, P, sm, k, line)
        else:
            core.pending_line[kept] = line
            core.pending_ready[kept] = core.pending_ready[pending]
            kept += 1
    core.pending_lines = kept
    line = deliver(S, P, sm, k, now)
    if line != NONE:
        release_line(S, P, sm, k, line)


@inlined
def fetch(S: State, P: Params, sm: Sm, k: SubCore, now: Cycle) -> None:
    """One fetch, then one prefetch."""
    local = choose_fetch(S, P, sm, k, now)
    if local >= 0:
        warp = local_warp(S, P, sm, k, local)
        if demand(S, P, sm, k, warp, P.code[warp.fetch_index].line, now):
            accept(warp, P, now)
    prefetch(S, P, sm, k, now)


@inlined
def fetch_wake(S: State, P: Params, sm: Sm, k: SubCore, now: Cycle) -> Cycle:
    """Next cycle in which fetch can do something."""
    core = sub_core(S, sm, k)
    if wanted(S, P, sm, k) != NONE:
        return now + 1
    first = due(S, P, sm, k)
    for pending in range(core.pending_lines):
        first = min(first, core.pending_ready[pending])
    for rank in range(core.warp_count):
        w = warp_row(P, sm, k, core.order[rank])
        warp = S.warps[w]
        if may_fetch(S, P, w, max(now + 1, warp.fetch_from)):
            first = min(first, max(now + 1, warp.fetch_from))
    return max(first, now + 1)


@inlined
def flush(warp: Record, P: Params, target: Index, now: Cycle) -> None:
    """A taken branch empties the warp's instruction buffer; fetch restarts at its target."""
    warp.buffer_head = 0
    warp.buffer_count = 0
    warp.fetch_index = target
    warp.fetch_line = -1
    warp.fetch_from = now + P.card[0].sm.sub_core.fetch.branch_refill
    warp.refill = 1
