"""The sub-core's L0 FL cache: constant operands of fixed-latency instructions, looked up at issue (arXiv 2503.20481
section 5.1.1)."""

from __future__ import annotations

from gpusim.jit import inlined
from gpusim.model.cache import NO_WAY, fill_tag, find_tag, use_tag
from gpusim.model.l1_instructions import OPERAND, l1_instructions_full, request_l1_instructions
from gpusim.model.params import Params
from gpusim.model.rows import core_row, sub_core
from gpusim.model.state import FOREVER, PENDING_CONSTANTS, Fault, State
from gpusim.model.types import Cycle, Flag, Place, Record, Sm, SubCore

WRONG_WAY = int(Fault.REPLACEMENT)


@inlined
def set_base(P: Params, sm: Sm, k: SubCore, number: int) -> Place:
    """First entry of a set."""
    cache = P.card[0].sm.sub_core.constant_cache
    return (core_row(sm, k) * cache.sets + number) * cache.ways


@inlined
def find_constant(S: State, P: Params, sm: Sm, k: SubCore, code: Record) -> Place:
    """Place of an instruction's constant line, or -1."""
    base = set_base(P, sm, k, code.constant_set)
    return find_tag(S.fl_constants, base, P.card[0].sm.sub_core.constant_cache.ways, code.constant_line)


@inlined
def constant_missing(S: State, P: Params, sm: Sm, k: SubCore, code: Record, now: Cycle) -> Flag:
    """Look an instruction's constant line up; a miss is sent to the L1 instruction cache once."""
    if find_constant(S, P, sm, k, code) >= 0:
        return False
    core = sub_core(S, sm, k)
    pending = core.constants_pending
    for earlier in range(pending):
        if core.constant_line[earlier] == code.constant_line:
            return True
    if pending < PENDING_CONSTANTS and not l1_instructions_full(S, sm):
        core.constant_line[pending] = code.constant_line
        core.constant_ready[pending] = FOREVER
        core.constants_pending = pending + 1
        S.counters[sm].constant_misses += 1
        request_l1_instructions(S, P, sm, now, OPERAND, k, code.constant_line)
    return True


@inlined
def use_constant(S: State, P: Params, sm: Sm, k: SubCore, code: Record, now: Cycle) -> None:
    """An issued instruction reads its constant line."""
    ways = P.card[0].sm.sub_core.constant_cache.ways
    use_tag(P, P.derived[0].fl_replacement, S.fl_constants, ways, find_constant(S, P, sm, k, code), now)
    S.counters[sm].constant_hits += 1


@inlined
def arrive_constants(S: State, P: Params, sm: Sm, k: SubCore, now: Cycle) -> None:
    """Constant lines that arrive by `now`."""
    core = sub_core(S, sm, k)
    cache = P.card[0].sm.sub_core.constant_cache
    kept = 0
    for pending in range(core.constants_pending):
        line = core.constant_line[pending]
        if core.constant_ready[pending] <= now:
            base = set_base(P, sm, k, line % cache.sets)
            if fill_tag(P, P.derived[0].fl_replacement, S.fl_constants, base, cache.ways, line, now) == NO_WAY:
                S.gpu[0].fault = WRONG_WAY
        else:
            core.constant_line[kept] = line
            core.constant_ready[kept] = core.constant_ready[pending]
            kept += 1
    core.constants_pending = kept
