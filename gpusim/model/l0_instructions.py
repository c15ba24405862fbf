"""The sub-core's L0 instruction cache."""

from __future__ import annotations

from gpusim.jit import inlined
from gpusim.model.cache import NO_WAY, fill_tag, find_tag, use_tag
from gpusim.model.params import Params
from gpusim.model.rows import core_row
from gpusim.model.state import Fault, State
from gpusim.model.types import Cycle, Line, Place, Sm, SubCore

FAULT = int(Fault.REPLACEMENT)


@inlined
def l0_base(P: Params, sm: Sm, k: SubCore, line: Line) -> Place:
    """First entry of a line's set."""
    l0 = P.card[0].sm.sub_core.fetch.l0
    return (core_row(sm, k) * l0.sets + line % l0.sets) * l0.ways


@inlined
def find_l0(S: State, P: Params, sm: Sm, k: SubCore, line: Line) -> Place:
    """Place of a line, or -1."""
    return find_tag(S.l0, l0_base(P, sm, k, line), P.card[0].sm.sub_core.fetch.l0.ways, line)


@inlined
def use_l0(S: State, P: Params, place: Place, now: Cycle) -> None:
    """A fetch hits the line at `place`."""
    use_tag(P, P.derived[0].l0_replacement, S.l0, P.card[0].sm.sub_core.fetch.l0.ways, place, now)


@inlined
def fill_l0(S: State, P: Params, sm: Sm, k: SubCore, line: Line, now: Cycle) -> None:
    """A line comes into L0."""
    ways = P.card[0].sm.sub_core.fetch.l0.ways
    if fill_tag(P, P.derived[0].l0_replacement, S.l0, l0_base(P, sm, k, line), ways, line, now) == NO_WAY:
        S.gpu[0].fault = FAULT
