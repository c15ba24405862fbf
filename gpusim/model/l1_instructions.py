"""The SM's L1 instruction cache, unified with the L1.5 constant cache: one request and one reply a cycle.

Behind it lie L2 and, for what a launch has prefetched, a cache of the GPC, whose lines come after a fixed time.

39 cycles from L0, 39 back and one for the lookup make the 79 that a constant miss costs on silicon
(arXiv 2503.20481 section 5.4 and its artifact's configuration).
"""

from __future__ import annotations

from gpusim.jit import inlined, njit
from gpusim.model.cache import fill_tag, find_tag
from gpusim.model.interconnect import READ_CODE, send
from gpusim.model.state import (
    FAULT_L1_INSTRUCTIONS,
    FOREVER,
    L1_INSTRUCTION_REQUESTS,
    LDC_WAITING,
    STREAM_LINES,
    SUB_CORES,
)

FETCH = 0  # demand fetch of an instruction line; target: sub-core
PREFETCH = 1  # stream buffer line; target: sub-core + 4 * place in the ring
OPERAND = 2  # constant line of a sub-core's L0 FL cache; target: sub-core
LDC = 3  # constant line of the SM's VL cache

CONSTANT_SPACE = 1 << 40  # line numbers of constants and of code lie apart from those of data
CODE_SPACE = 1 << 41
ALL_SECTORS = 15


@inlined
def l1_instructions_full(S, sm):
    """Whether sub-cores must hold their requests back. LDC is granted so rarely that its requests find room."""
    return S.sms[sm].l1i_count >= L1_INSTRUCTION_REQUESTS - LDC_WAITING


@inlined
def request_l1_instructions(S, P, sm, now, kind, target, line):
    """Send a request over the SM's one port to this cache; returns the cycle from which its sender may use it again."""
    unit = S.sms[sm]
    depart = max(now, unit.request_free)
    unit.request_free = depart + 1
    if unit.l1i_count >= L1_INSTRUCTION_REQUESTS:
        S.gpu[0].fault = FAULT_L1_INSTRUCTIONS
        return depart + 1
    place = (unit.l1i_head + unit.l1i_count) % L1_INSTRUCTION_REQUESTS
    unit.l1i_count += 1
    unit.l1i_arrival[place] = depart + P.machine[0].l0_to_l1
    unit.l1i_kind[place] = kind
    unit.l1i_target[place] = target
    unit.l1i_line[place] = line
    return depart + 1


@inlined
def memory_line(S, P, kind, line):
    """The cache's line that holds a requester's line; requesters' lines may be smaller."""
    machine = P.machine[0]
    if kind == FETCH or kind == PREFETCH:
        return CODE_SPACE + line * machine.line_instructions * 16 // machine.l1i_line_bytes
    size = machine.constant_bytes if kind == OPERAND else machine.ldc_bytes
    return CONSTANT_SPACE + line * size // machine.l1i_line_bytes


@inlined
def in_gpc_cache(P, whole):
    """Whether the launch has brought a line to the GPC's cache: the start of the program and of constant bank 0."""
    machine = P.machine[0]
    if whole >= CODE_SPACE:
        return whole - CODE_SPACE < machine.gpc_code_lines
    return whole - CONSTANT_SPACE < machine.gpc_constant_lines


@inlined
def arrive_from_gpc(S, P, sm, now):
    """Lines of the GPC's cache that arrive by `now`."""
    unit = S.sms[sm]
    while unit.gpc_ready <= now:
        for waiting in range(unit.missing_count):
            if unit.missing_ready[waiting] <= now:
                whole = memory_line(S, P, unit.missing_kind[waiting], unit.missing_line[waiting])
                fill_l1_instructions(S, P, sm, whole, now)
                break
        unit.gpc_ready = FOREVER
        for waiting in range(unit.missing_count):
            unit.gpc_ready = min(unit.gpc_ready, unit.missing_ready[waiting])


@inlined
def look_up_request(S, P, sm, now):
    """Look up the oldest request that has arrived."""
    unit = S.sms[sm]
    machine = P.machine[0]
    head = unit.l1i_head
    if unit.l1i_count == 0 or unit.l1i_arrival[head] > now or unit.missing_count >= L1_INSTRUCTION_REQUESTS:
        return
    unit.l1i_head = (head + 1) % L1_INSTRUCTION_REQUESTS
    unit.l1i_count -= 1
    kind, target, line = unit.l1i_kind[head], unit.l1i_target[head], unit.l1i_line[head]
    whole = memory_line(S, P, kind, line)
    base = (sm * machine.l1i_sets + whole % machine.l1i_sets) * machine.l1i_ways
    place = find_tag(S.l1_instructions, base, machine.l1i_ways, whole)
    S.counters[sm].l1_instruction_accesses += 1
    if place >= 0:
        S.l1_instructions[place].stamp = now
        answer(S, P, sm, kind, target, line, now)
        return
    S.counters[sm].l1_instruction_misses += 1
    waiting = unit.missing_count
    asked = False
    for earlier in range(waiting):
        if memory_line(S, P, unit.missing_kind[earlier], unit.missing_line[earlier]) == whole:
            asked = True
            break
    unit.missing_kind[waiting] = kind
    unit.missing_target[waiting] = target
    unit.missing_line[waiting] = line
    unit.missing_ready[waiting] = FOREVER
    unit.missing_count = waiting + 1
    if asked:
        return
    if in_gpc_cache(P, whole):
        unit.missing_ready[waiting] = now + machine.gpc_latency
        unit.gpc_ready = min(unit.gpc_ready, now + machine.gpc_latency)
    else:
        send(S, P, sm, now + 1, READ_CODE, whole, ALL_SECTORS, 0)


@inlined
def answer(S, P, sm, kind, target, line, now):
    """Send a line back to its requester: one reply a cycle."""
    unit = S.sms[sm]
    depart = max(now, unit.reply_free)
    unit.reply_free = depart + 1
    ready = depart + 1 + P.machine[0].l1_to_l0
    if kind == LDC:
        if unit.ldc_replies >= LDC_WAITING:
            S.gpu[0].fault = FAULT_L1_INSTRUCTIONS
            return
        place = (unit.ldc_reply_head + unit.ldc_replies) % LDC_WAITING
        unit.ldc_replies += 1
        unit.ldc_reply_line[place] = line
        unit.ldc_reply_ready[place] = ready
        return
    core = S.sub_cores[sm * SUB_CORES + target % SUB_CORES]
    if kind == FETCH:
        for place in range(core.pending_lines):
            if core.pending_line[place] == line:
                core.pending_ready[place] = ready
    elif kind == PREFETCH:
        place = target // SUB_CORES
        if (place - core.stream_first) % STREAM_LINES < core.stream_count and core.stream_ready[
            place
        ] == FOREVER + line:
            core.stream_ready[place] = ready
    else:
        for place in range(core.constants_pending):
            if core.constant_line[place] == line:
                core.constant_ready[place] = ready
    core.wake = min(core.wake, ready)


@njit
def fill_l1_instructions(S, P, sm, whole, now):
    """A line arrives from L2 or the GPC's cache: answer everything that waited for it."""
    unit = S.sms[sm]
    machine = P.machine[0]
    base = (sm * machine.l1i_sets + whole % machine.l1i_sets) * machine.l1i_ways
    fill_tag(S.l1_instructions, base, machine.l1i_ways, whole, now)
    kept = 0
    for waiting in range(unit.missing_count):
        kind, target, line = unit.missing_kind[waiting], unit.missing_target[waiting], unit.missing_line[waiting]
        if memory_line(S, P, kind, line) == whole:
            answer(S, P, sm, kind, target, line, now)
        else:
            unit.missing_kind[kept] = kind
            unit.missing_target[kept] = target
            unit.missing_line[kept] = line
            unit.missing_ready[kept] = unit.missing_ready[waiting]
            kept += 1
    unit.missing_count = kept


@inlined
def l1_instructions_wake(S, sm, now):
    """Next cycle in which a request can be looked up or a line arrives from the GPC's cache."""
    unit = S.sms[sm]
    lookup = max(unit.l1i_arrival[unit.l1i_head], now + 1) if unit.l1i_count > 0 else FOREVER
    return min(lookup, unit.gpc_ready)
