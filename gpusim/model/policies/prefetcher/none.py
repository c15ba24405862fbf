"""No prefetching: every line is asked for when a warp demands it."""

from __future__ import annotations

from gpusim.model.params import Params
from gpusim.model.policies.prefetcher import NONE
from gpusim.model.state import State
from gpusim.model.types import Line, Sm, SubCore


def wanted(S: State, P: Params, sm: Sm, k: SubCore) -> Line:
    return NONE
