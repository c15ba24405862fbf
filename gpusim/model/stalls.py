"""Stall accounting: every resident warp's every cycle has exactly one reason.

A warp holds a reason since a cycle; the interval is added to its instruction's row when the reason changes. Because a
stage that changes anything is evaluated in the cycle of the change, skipping idle cycles loses nothing.
"""

from __future__ import annotations

from gpusim.jit import inlined
from gpusim.model.state import State
from gpusim.model.types import Cycle, Row
from gpusim.results.stalls import Stall

SELECTED = int(Stall.SELECTED)


@inlined
def set_reason(S: State, thread: int, w: Row, reason: int, since: Cycle) -> None:
    """From cycle `since` on, warp w waits for `reason`."""
    warp = S.warps[w]
    if warp.reason != reason:
        S.stalls[thread, warp.index, warp.reason] += since - warp.reason_since
        warp.reason = reason
        warp.reason_since = since


@inlined
def close_reason(S: State, thread: int, w: Row, until: Cycle) -> None:
    """Attribute everything before cycle `until`."""
    warp = S.warps[w]
    S.stalls[thread, warp.index, warp.reason] += until - warp.reason_since
    warp.reason_since = until


@inlined
def select(S: State, thread: int, w: Row, now: Cycle) -> None:
    """Warp w issues its instruction in cycle `now`."""
    close_reason(S, thread, w, now)
    S.stalls[thread, S.warps[w].index, SELECTED] += 1
    S.warps[w].reason_since = now + 1
