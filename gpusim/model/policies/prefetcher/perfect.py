"""Perfect: every line is there when it is demanded, the limit of what a prefetcher can gain (arXiv 2503.20481 Table
5)."""

from __future__ import annotations

from gpusim.model.params import Params
from gpusim.model.policies.prefetcher import HIT, NONE
from gpusim.model.state import State
from gpusim.model.types import Cycle, Line, Sm, SubCore


def wanted(S: State, P: Params, sm: Sm, k: SubCore) -> Line:
    return NONE


def look_up(S: State, P: Params, sm: Sm, k: SubCore, line: Line, now: Cycle) -> int:
    return HIT
