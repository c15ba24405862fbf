"""Loose round robin: the first ready warp behind the one issued last, by local number, cyclically."""

from __future__ import annotations

from gpusim.model.params import Params
from gpusim.model.rows import sub_core
from gpusim.model.state import MAX_LOCAL_WARPS, State
from gpusim.model.types import Cycle, Local, Mask, Sm, SubCore


def choose(S: State, P: Params, sm: Sm, k: SubCore, ready: Mask, now: Cycle) -> Local:
    core = sub_core(S, sm, k)
    for step in range(1, MAX_LOCAL_WARPS + 1):
        local = (core.greedy + step) % MAX_LOCAL_WARPS
        if ready >> local & 1:
            return local
    return -1
