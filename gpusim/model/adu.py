"""The SM's ADU (Nsight Compute's name): LDC, BAR, R2UR, S2UR, and S2R of what is no thread index.

Its instructions pass the sub-core's memory queue in order with all others, but have grants of their own: half an
instruction a cycle and SM (configs: `adu_interval`).
"""

from __future__ import annotations

from gpusim.constants import CONSTANT_BANK_BITS
from gpusim.jit import inlined, njit, trailing_zeros64
from gpusim.model.address_unit import ADU_OF, granted_after, leave_queue, next_access, next_request
from gpusim.model.barriers import arrive
from gpusim.model.cache import NO_WAY, fill_tag, find_tag, use_tag
from gpusim.model.coalesce import lane_address
from gpusim.model.in_flight import finish_empty, finish_load, finish_without_result
from gpusim.model.kinds import Kind
from gpusim.model.l1_instructions import LDC, request_l1_instructions
from gpusim.model.params import Params
from gpusim.model.rows import sub_core
from gpusim.model.state import FOREVER, LDC_WAITING, SUB_CORES, Fault, State
from gpusim.model.types import Access, Cycle, Flag, Line, Place, Record, Sm

CONSTANT_LOAD, BARRIER = int(Kind.CONSTANT_LOAD), int(Kind.BARRIER)
WRONG_WAY = int(Fault.REPLACEMENT)


@inlined
def must_wait(S: State, P: Params, sm: Sm, core: Record) -> Flag:
    """Whether a sub-core's next instruction is an LDC, and as many of these wait for lines as may."""
    kind = P.code[S.accesses[next_access(core)].index].kind
    return kind == CONSTANT_LOAD and S.sms[sm].constants_pending >= LDC_WAITING


@inlined
def adu_wake(S: State, P: Params, sm: Sm, now: Cycle) -> Cycle:
    """Next cycle in which the ADU could take something, replies aside."""
    unit = S.sms[sm]
    first = FOREVER
    for k in range(SUB_CORES):
        core = sub_core(S, sm, k)
        asks = next_request(S, P, core, ADU_OF)
        if asks < FOREVER and not must_wait(S, P, sm, core):
            first = min(first, max(asks, unit.adu_free, now + 1))
    return first


@inlined
def adu(S: State, P: Params, sm: Sm, now: Cycle) -> None:
    """Take at most one instruction in cycle `now`, round robin over the sub-cores."""
    unit = S.sms[sm]
    if unit.adu_free > now:
        return
    for step in range(SUB_CORES):
        k = (unit.adu_turn + step) % SUB_CORES
        core = sub_core(S, sm, k)
        if next_request(S, P, core, ADU_OF) > now or must_wait(S, P, sm, core):
            continue
        execute_adu(S, P, sm, next_access(core), now)
        leave_queue(S, P, sm, k, now)
        unit.adu_free = now + P.card[0].sm.memory_unit.adu_interval
        unit.adu_turn = (k + 1) % SUB_CORES
        unit.retry_at = min(unit.retry_at, now + 1)  # of the LSU, for what stood behind it
        return


@njit
def execute_adu(S: State, P: Params, sm: Sm, number: Access, now: Cycle) -> None:
    """An instruction is taken in cycle `now`."""
    access = S.accesses[number]
    code = P.code[access.index]
    if access.timeline >= 0:
        S.timeline[access.timeline].execute = now
    if access.mask == 0:  # predicated off: it passes the queue and does nothing
        finish_empty(S, P, sm, number, now + code.raw - granted_after(P, code))
    elif code.kind == CONSTANT_LOAD:
        constant_load(S, P, sm, number, now)
    elif code.kind == BARRIER:
        arrive(S, P, sm, access.warp, access.index, now)
        finish_without_result(S, P, sm, number, now)
    else:
        finish_load(S, P, sm, number, now + code.raw - granted_after(P, code))


# ---- LDC and the SM's VL constant cache


@inlined
def constant_base(P: Params, sm: Sm, line: Line) -> Place:
    """First entry of a line's set."""
    cache = P.card[0].sm.memory_unit.constant_cache
    return (sm * cache.sets + line % cache.sets) * cache.ways


@inlined
def constant_load(S: State, P: Params, sm: Sm, number: Access, now: Cycle) -> None:
    """LDC: the VL constant cache, then the L1 instruction cache. The first active lane's address stands for all."""
    access = S.accesses[number]
    code = P.code[access.index]
    cache = P.card[0].sm.memory_unit.constant_cache
    address = lane_address(S, access.record, 0, trailing_zeros64(access.mask))
    offset = address & (1 << CONSTANT_BANK_BITS) - 1
    line = ((code.constant_bank << CONSTANT_BANK_BITS) + offset) // cache.line_bytes
    place = find_tag(S.vl_constants, constant_base(P, sm, line), cache.ways, line)
    if place >= 0:
        use_tag(P, P.derived[0].vl_replacement, S.vl_constants, cache.ways, place, now)
        finish_load(S, P, sm, number, now + code.raw - granted_after(P, code))
    else:
        S.counters[sm].constant_misses += 1
        wait_for_constant(S, P, sm, number, line, now)


@inlined
def wait_for_constant(S: State, P: Params, sm: Sm, number: Access, line: Line, now: Cycle) -> None:
    """An LDC waits for a line, which is asked for unless another waits for it already."""
    unit = S.sms[sm]
    last = unit.constants_pending
    known = False
    for earlier in range(last):
        if unit.constant_line[earlier] == line:
            known = True
            break
    unit.constant_line[last] = line
    unit.constant_access[last] = number
    unit.constants_pending = last + 1
    if not known:
        request_l1_instructions(S, P, sm, now, LDC, 0, line)


@inlined
def fill_constant(S: State, P: Params, sm: Sm, line: Line, now: Cycle) -> None:
    """A line for LDC arrives: the loads that waited for it are as if just granted."""
    unit = S.sms[sm]
    ways = P.card[0].sm.memory_unit.constant_cache.ways
    base = constant_base(P, sm, line)
    if fill_tag(P, P.derived[0].vl_replacement, S.vl_constants, base, ways, line, now) == NO_WAY:
        S.gpu[0].fault = WRONG_WAY
    kept = 0
    for waiting in range(unit.constants_pending):
        number = unit.constant_access[waiting]
        if unit.constant_line[waiting] == line:
            code = P.code[S.accesses[number].index]
            finish_load(S, P, sm, number, now + code.raw - granted_after(P, code))
        else:
            unit.constant_line[kept] = unit.constant_line[waiting]
            unit.constant_access[kept] = number
            kept += 1
    unit.constants_pending = kept
