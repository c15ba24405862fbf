"""Greedy then oldest: the warp issued last while it is ready, else the oldest (Rogers, O'Connor, Aamodt, MICRO
2012)."""

from __future__ import annotations

from gpusim.model.params import Params
from gpusim.model.rows import sub_core
from gpusim.model.state import State
from gpusim.model.types import Cycle, Local, Mask, Sm, SubCore


def choose(S: State, P: Params, sm: Sm, k: SubCore, ready: Mask, now: Cycle) -> Local:
    core = sub_core(S, sm, k)
    if ready >> core.greedy & 1:
        return core.greedy
    for rank in range(core.warp_count - 1, -1, -1):
        if ready >> core.order[rank] & 1:
            return core.order[rank]
    return -1
