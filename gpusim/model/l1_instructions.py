"""The SM's L1 instruction cache, unified with the L1.5 constant cache: one request and one reply a cycle.

Behind it lie L2 and, for what a launch has prefetched, a cache of the GPC, whose lines come after a fixed time.

39 cycles from L0, 39 back and one for the lookup make the 79 that a constant miss costs on silicon
(arXiv 2503.20481 section 5.4 and its artifact's configuration).
"""

from __future__ import annotations

from gpusim.constants import INSTRUCTION_BYTES
from gpusim.jit import inlined, njit
from gpusim.model.cache import NO_WAY, fill_tag, find_tag, use_tag
from gpusim.model.interconnect import ALL_SECTORS, READ_CODE, send
from gpusim.model.params import Params
from gpusim.model.policies.prefetcher import arrived
from gpusim.model.rows import sub_core, wake_core
from gpusim.model.state import FOREVER, L1_INSTRUCTION_REQUESTS, LDC_WAITING, SUB_CORES, Fault, State
from gpusim.model.types import Cycle, Flag, Line, Place, Sm

FETCH = 0  # instruction line for L0; target: sub-core
PREFETCH = 1  # line for a prefetcher's own buffer; target: sub-core + 4 * its number there
OPERAND = 2  # constant line of a sub-core's L0 FL cache; target: sub-core
LDC = 3  # constant line of the SM's VL cache

CONSTANT_SPACE = 1 << 40  # line numbers of constants and of code lie apart from those of data
CODE_SPACE = 1 << 41
OVERFLOW, WRONG_WAY = int(Fault.L1_INSTRUCTIONS), int(Fault.REPLACEMENT)


@inlined
def l1_instructions_full(S: State, sm: Sm) -> Flag:
    """Whether sub-cores must hold their requests back. LDC is granted so rarely that its requests find room."""
    return S.sms[sm].l1i_count >= L1_INSTRUCTION_REQUESTS - LDC_WAITING


@inlined
def request_l1_instructions(S: State, P: Params, sm: Sm, now: Cycle, kind: int, target: int, line: Line) -> Cycle:
    """Send a request over the SM's one port to this cache; returns the cycle from which its sender may use it again."""
    unit = S.sms[sm]
    depart = max(now, unit.request_free)
    unit.request_free = depart + 1
    if unit.l1i_count >= L1_INSTRUCTION_REQUESTS:
        S.gpu[0].fault = OVERFLOW
        return depart + 1
    place = (unit.l1i_head + unit.l1i_count) % L1_INSTRUCTION_REQUESTS
    unit.l1i_count += 1
    unit.l1i_arrival[place] = depart + P.card[0].sm.instruction_hierarchy.l0_to_l1
    unit.l1i_kind[place] = kind
    unit.l1i_target[place] = target
    unit.l1i_line[place] = line
    return depart + 1


@inlined
def memory_line(P: Params, kind: int, line: Line) -> Line:
    """The cache's line that holds a requester's line; requesters' lines may be smaller."""
    sm = P.card[0].sm
    hierarchy = sm.instruction_hierarchy
    if kind == FETCH or kind == PREFETCH:
        return CODE_SPACE + line * P.derived[0].line_instructions * INSTRUCTION_BYTES // hierarchy.l1.line_bytes
    own = sm.sub_core.constant_cache.line_bytes if kind == OPERAND else sm.memory_unit.constant_cache.line_bytes
    return CONSTANT_SPACE + line * own // hierarchy.constant_line_bytes


@inlined
def in_gpc_cache(P: Params, whole: Line) -> Flag:
    """Whether the launch has brought a line to the GPC's cache: the start of the program and of constant bank 0."""
    hierarchy = P.card[0].sm.instruction_hierarchy
    if whole >= CODE_SPACE:
        return whole - CODE_SPACE < hierarchy.launch.code_bytes // hierarchy.l1.line_bytes
    return whole - CONSTANT_SPACE < hierarchy.launch.constant_bytes // hierarchy.constant_line_bytes


@inlined
def set_base(P: Params, sm: Sm, whole: Line) -> Place:
    """First entry of a line's set."""
    l1 = P.card[0].sm.instruction_hierarchy.l1
    return (sm * l1.sets + whole % l1.sets) * l1.ways


@inlined
def pass_gpc_cache(S: State, P: Params, sm: Sm, whole: Line, now: Cycle) -> None:
    """A line from L2 is back in cycle `now`, but for what the GPC's cache takes of it."""
    unit = S.sms[sm]
    for waiting in range(unit.missing_count):
        if memory_line(P, unit.missing_kind[waiting], unit.missing_line[waiting]) == whole:
            ready = now + P.card[0].sm.instruction_hierarchy.launch.gpc_miss_latency
            unit.missing_ready[waiting] = ready
            unit.gpc_ready = min(unit.gpc_ready, ready)
            return


@inlined
def arrive_from_gpc(S: State, P: Params, sm: Sm, now: Cycle) -> None:
    """Lines that arrive by `now` from the GPC's cache, or through it."""
    unit = S.sms[sm]
    while unit.gpc_ready <= now:
        for waiting in range(unit.missing_count):
            if unit.missing_ready[waiting] <= now:
                whole = memory_line(P, unit.missing_kind[waiting], unit.missing_line[waiting])
                fill_l1_instructions(S, P, sm, whole, now)
                break
        unit.gpc_ready = FOREVER
        for waiting in range(unit.missing_count):
            unit.gpc_ready = min(unit.gpc_ready, unit.missing_ready[waiting])


@inlined
def look_up_request(S: State, P: Params, sm: Sm, now: Cycle) -> None:
    """Look up the oldest request that has arrived."""
    unit = S.sms[sm]
    head = unit.l1i_head
    if unit.l1i_count == 0 or unit.l1i_arrival[head] > now or unit.missing_count >= L1_INSTRUCTION_REQUESTS:
        return
    unit.l1i_head = (head + 1) % L1_INSTRUCTION_REQUESTS
    unit.l1i_count -= 1
    kind, target, line = unit.l1i_kind[head], unit.l1i_target[head], unit.l1i_line[head]
    whole = memory_line(P, kind, line)
    ways = P.card[0].sm.instruction_hierarchy.l1.ways
    place = find_tag(S.l1_instructions, set_base(P, sm, whole), ways, whole)
    S.counters[sm].l1_instruction_accesses += 1
    if place >= 0:
        use_tag(P, P.derived[0].l1i_replacement, S.l1_instructions, ways, place, now)
        answer(S, P, sm, kind, target, line, now)
        return
    S.counters[sm].l1_instruction_misses += 1
    wait_for_memory(S, P, sm, kind, target, line, now)


@inlined
def wait_for_memory(S: State, P: Params, sm: Sm, kind: int, target: int, line: Line, now: Cycle) -> None:
    """A request misses: its line comes from the GPC's cache or from L2, unless it has been asked for already."""
    unit = S.sms[sm]
    whole = memory_line(P, kind, line)
    waiting = unit.missing_count
    known = False
    for earlier in range(waiting):
        if memory_line(P, unit.missing_kind[earlier], unit.missing_line[earlier]) == whole:
            known = True
            break
    unit.missing_kind[waiting] = kind
    unit.missing_target[waiting] = target
    unit.missing_line[waiting] = line
    unit.missing_ready[waiting] = FOREVER
    unit.missing_count = waiting + 1
    if known:
        return
    if in_gpc_cache(P, whole):
        ready = now + P.card[0].sm.instruction_hierarchy.launch.gpc_latency
        unit.missing_ready[waiting] = ready
        unit.gpc_ready = min(unit.gpc_ready, ready)
    else:
        send(S, P, sm, now + 1, READ_CODE, whole, ALL_SECTORS, 0)


@inlined
def answer(S: State, P: Params, sm: Sm, kind: int, target: int, line: Line, now: Cycle) -> None:
    """Send a line back to its requester: one reply a cycle."""
    unit = S.sms[sm]
    depart = max(now, unit.reply_free)
    unit.reply_free = depart + 1
    ready = depart + 1 + P.card[0].sm.instruction_hierarchy.l1_to_l0
    if kind == LDC:
        if unit.ldc_replies >= LDC_WAITING:
            S.gpu[0].fault = OVERFLOW
            return
        place = (unit.ldc_reply_head + unit.ldc_replies) % LDC_WAITING
        unit.ldc_replies += 1
        unit.ldc_reply_line[place] = line
        unit.ldc_reply_ready[place] = ready
        return
    k = target % SUB_CORES
    core = sub_core(S, sm, k)
    if kind == FETCH:
        for place in range(core.pending_lines):
            if core.pending_line[place] == line:
                core.pending_ready[place] = ready
    elif kind == PREFETCH:
        arrived(S, P, sm, k, line, target // SUB_CORES, ready)
    else:
        for place in range(core.constants_pending):
            if core.constant_line[place] == line:
                core.constant_ready[place] = ready
    wake_core(core, ready)


@njit
def fill_l1_instructions(S: State, P: Params, sm: Sm, whole: Line, now: Cycle) -> None:
    """A line arrives from L2 or the GPC's cache: answer everything that waited for it."""
    unit = S.sms[sm]
    ways = P.card[0].sm.instruction_hierarchy.l1.ways
    base = set_base(P, sm, whole)
    if fill_tag(P, P.derived[0].l1i_replacement, S.l1_instructions, base, ways, whole, now) == NO_WAY:
        S.gpu[0].fault = WRONG_WAY
    kept = 0
    for waiting in range(unit.missing_count):
        kind, target, line = unit.missing_kind[waiting], unit.missing_target[waiting], unit.missing_line[waiting]
        if memory_line(P, kind, line) == whole:
            answer(S, P, sm, kind, target, line, now)
        else:
            unit.missing_kind[kept] = kind
            unit.missing_target[kept] = target
            unit.missing_line[kept] = line
            unit.missing_ready[kept] = unit.missing_ready[waiting]
            kept += 1
    unit.missing_count = kept


@inlined
def l1_instructions_wake(S: State, sm: Sm, now: Cycle) -> Cycle:
    """Next cycle in which a request can be looked up or a line arrives from the GPC's cache."""
    unit = S.sms[sm]
    lookup = max(unit.l1i_arrival[unit.l1i_head], now + 1) if unit.l1i_count > 0 else FOREVER
    return min(lookup, unit.gpc_ready)
