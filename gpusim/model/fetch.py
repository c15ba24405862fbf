"""Fetch and decode: L0 instruction cache, stream buffer, and the warps' instruction buffers.

One fetch per cycle and sub-core, for the warp issued last if its buffer has room, else for the youngest with room.
Buffer entries are allocated at the request and freed at issue; an instruction fetched in cycle t can issue in t + 3,
which is why three entries keep one warp issuing (arXiv 2503.20481 section 5.2). The stream buffer's rules are those of
the paper's artifact (stream_buffer.cc): only its head is compared with a demand.
"""

from __future__ import annotations

from gpusim.jit import inlined
from gpusim.model.cache import fill_tag, find_tag
from gpusim.model.l1_instructions import FETCH, PREFETCH, l1_instructions_full, request_l1_instructions
from gpusim.model.state import FOREVER, MAX_BUFFER, PENDING_LINES, STREAM_LINES, SUB_CORES


@inlined
def l0_base(P, c, line):
    machine = P.machine[0]
    return (c * machine.l0_sets + line % machine.l0_sets) * machine.l0_ways


@inlined
def may_fetch(S, P, w, now):
    """Whether warp w can fetch in cycle `now`."""
    warp = S.warps[w]
    return (
        warp.buffer_count < P.machine[0].buffer_entries
        and warp.fetch_line < 0
        and warp.fetch_from <= now
        and warp.fetch_index < len(P.code)
        and warp.position < warp.end
    )


@inlined
def choose_fetch(S, P, sm, k, now):
    """Local number of the warp that fetches in cycle `now`, -1 if none can."""
    core = S.sub_cores[sm * SUB_CORES + k]
    first = sm * P.machine[0].warps + k
    if (
        core.greedy >= 0
        and core.active_mask >> core.greedy & 1
        and may_fetch(S, P, first + core.greedy * SUB_CORES, now)
    ):
        return core.greedy
    for rank in range(core.warp_count):
        local = core.order[rank]
        if may_fetch(S, P, first + local * SUB_CORES, now):
            return local
    return -1


@inlined
def accept(S, P, w, now):
    """The fetch of cycle `now` hits: an entry of the warp's buffer is ready after decode."""
    warp = S.warps[w]
    place = (warp.buffer_head + warp.buffer_count) & (MAX_BUFFER - 1)
    warp.buffer_ready[place] = now + P.machine[0].hit_to_issue
    warp.buffer_count += 1
    warp.fetch_index += 1
    if warp.buffer_count == 1:
        warp.next_check = min(warp.next_check, warp.buffer_ready[place])


@inlined
def take_stream_head(S, P, c, now):
    """The head's data move into L0, and the stream goes on behind it."""
    core = S.sub_cores[c]
    line = core.stream_head
    fill_tag(S.l0, l0_base(P, c, line), P.machine[0].l0_ways, line, now)
    core.stream_head = line + 1
    core.stream_first = (core.stream_first + 1) % STREAM_LINES
    core.stream_count -= 1
    core.stream_wanted = 0
    core.stream_active = 1


@inlined
def redirect_stream(S, P, c, line):
    """A demand that neither the head nor its predecessor explains starts a new stream behind it."""
    core = S.sub_cores[c]
    if P.machine[0].stream_lines == 0 or core.stream_wanted:
        return
    if core.stream_count > 0 and core.stream_head == line + 1:
        return
    if core.stream_active and core.stream_count == 0 and core.stream_next == line + 1:
        return
    core.stream_count = 0
    core.stream_next = line + 1
    core.stream_active = 1


@inlined
def wait_for_line(warp, line, now):
    """The warp fetches no more until a line arrives; from the next cycle on that is why it does not issue."""
    warp.fetch_line = line
    if warp.refill:
        warp.refill = 0
        warp.next_check = min(warp.next_check, now + 1)


@inlined
def demand(S, P, sm, k, w, line, now):
    """Look a line up for warp w. 1 if it hits now; otherwise the warp waits for the line."""
    c = sm * SUB_CORES + k
    core = S.sub_cores[c]
    warp = S.warps[w]
    machine = P.machine[0]
    counters = S.counters[sm]
    place = warp.fetch_way
    if place < 0 or S.l0[place].line != line:
        place = find_tag(S.l0, l0_base(P, c, line), machine.l0_ways, line)
    if place >= 0:
        S.l0[place].stamp = now
        warp.fetch_way = place
        counters.l0_instruction_hits += 1
        return 1
    if core.stream_count > 0 and core.stream_head == line:
        if core.stream_ready[core.stream_first] <= now:
            take_stream_head(S, P, c, now)
            counters.stream_buffer_hits += 1
            counters.l0_instruction_hits += 1
            return 1
        core.stream_wanted = 1
        wait_for_line(warp, line, now)
        return 0
    for pending in range(core.pending_lines):
        if core.pending_line[pending] == line:
            wait_for_line(warp, line, now)
            return 0
    if core.pending_lines >= PENDING_LINES or core.request_port > now or l1_instructions_full(S, sm):
        return 0  # asks again
    wait_for_line(warp, line, now)
    counters.l0_instruction_misses += 1
    redirect_stream(S, P, c, line)
    core.pending_line[core.pending_lines] = line
    core.pending_ready[core.pending_lines] = FOREVER
    core.pending_lines += 1
    core.request_port = request_l1_instructions(S, P, sm, now, FETCH, k, line)
    return 0


@inlined
def prefetch(S, P, sm, k, now):
    """The stream buffer asks for its next line if the port to L1 is free."""
    c = sm * SUB_CORES + k
    core = S.sub_cores[c]
    machine = P.machine[0]
    if not core.stream_active or core.stream_count >= machine.stream_lines:
        return
    if core.request_port > now or l1_instructions_full(S, sm):
        return
    line = core.stream_next
    known = find_tag(S.l0, l0_base(P, c, line), machine.l0_ways, line) >= 0
    for pending in range(core.pending_lines):
        known = known or core.pending_line[pending] == line
    if known or line * machine.line_instructions >= len(P.code):
        core.stream_active = 0
        return
    if core.stream_count == 0:
        core.stream_head = line
    place = (core.stream_first + core.stream_count) % STREAM_LINES
    core.stream_ready[place] = FOREVER + line
    core.stream_count += 1
    core.stream_next = line + 1
    S.counters[sm].instruction_prefetches += 1
    core.request_port = request_l1_instructions(S, P, sm, now, PREFETCH, k + SUB_CORES * place, line)


@inlined
def release_line(S, P, sm, k, line, now):
    """Warps that waited for a line may fetch again."""
    core = S.sub_cores[sm * SUB_CORES + k]
    for rank in range(core.warp_count):
        w = sm * P.machine[0].warps + core.order[rank] * SUB_CORES + k
        if S.warps[w].fetch_line == line:
            S.warps[w].fetch_line = -1


@inlined
def arrive_lines(S, P, sm, k, now):
    """Lines that arrive from L1 by `now`: demanded ones go into L0, a wanted stream head too."""
    c = sm * SUB_CORES + k
    core = S.sub_cores[c]
    kept = 0
    for pending in range(core.pending_lines):
        line = core.pending_line[pending]
        if core.pending_ready[pending] <= now:
            fill_tag(S.l0, l0_base(P, c, line), P.machine[0].l0_ways, line, now)
            release_line(S, P, sm, k, line, now)
        else:
            core.pending_line[kept] = line
            core.pending_ready[kept] = core.pending_ready[pending]
            kept += 1
    core.pending_lines = kept
    if core.stream_wanted and core.stream_ready[core.stream_first] <= now:
        line = core.stream_head
        take_stream_head(S, P, c, now)
        S.counters[sm].stream_buffer_hits += 1
        release_line(S, P, sm, k, line, now)


@inlined
def fetch(S, P, sm, k, now):
    """One fetch, then one prefetch."""
    machine = P.machine[0]
    local = choose_fetch(S, P, sm, k, now)
    if local >= 0:
        w = sm * machine.warps + local * SUB_CORES + k
        if machine.perfect_fetch or demand(S, P, sm, k, w, P.code[S.warps[w].fetch_index].line, now):
            accept(S, P, w, now)
    if machine.stream_lines:
        prefetch(S, P, sm, k, now)


@inlined
def fetch_wake(S, P, sm, k, now):
    """Next cycle in which fetch can do something."""
    core = S.sub_cores[sm * SUB_CORES + k]
    machine = P.machine[0]
    if core.stream_active and core.stream_count < machine.stream_lines:
        return now + 1
    first = FOREVER
    for pending in range(core.pending_lines):
        first = min(first, core.pending_ready[pending])
    if core.stream_wanted:
        first = min(first, core.stream_ready[core.stream_first])
    for rank in range(core.warp_count):
        w = sm * machine.warps + core.order[rank] * SUB_CORES + k
        warp = S.warps[w]
        if may_fetch(S, P, w, max(now + 1, warp.fetch_from)):
            first = min(first, max(now + 1, warp.fetch_from))
    return max(first, now + 1)


@inlined
def flush(S, P, w, target, now):
    """A taken branch empties the warp's instruction buffer; fetch restarts at its target."""
    warp = S.warps[w]
    warp.buffer_head = 0
    warp.buffer_count = 0
    warp.fetch_index = target
    warp.fetch_line = -1
    warp.fetch_from = now + P.machine[0].branch_refill
    warp.refill = 1
