"""Warp schedulers: which of three ready warps of a sub-core issues, cycle by cycle."""

from __future__ import annotations

import pytest
from microbench import op, run

from gpusim.model.policies.names import built_in

NOP = op("NOP")
BODY = [NOP, op("NOP", 4), NOP, NOP]
"""The second instruction keeps its warp from issuing for three further cycles."""

SCHEDULES = {
    # greedy: a warp goes on while it is ready, then the youngest (2) or the oldest (0) of the others; EXIT in 8 and 11
    "cggty": [(0, 0), (0, 1), (2, 2), (2, 3), (1, 4), (1, 5), (0, 6), (0, 7), (2, 9), (2, 10), (1, 12), (1, 13)],
    "gto": [(0, 0), (0, 1), (1, 2), (1, 3), (2, 4), (2, 5), (0, 6), (0, 7), (1, 9), (1, 10), (2, 12), (2, 13)],
    # not greedy: the oldest whenever it is ready; EXIT in 7 and 10
    "oldest": [(0, 0), (0, 1), (1, 2), (1, 3), (2, 4), (0, 5), (0, 6), (1, 8), (1, 9), (2, 11), (2, 15), (2, 16)],
    # in turn, behind warp 0
    "lrr": [(1, 0), (2, 1), (0, 2), (1, 3), (2, 4), (0, 5), (1, 7), (2, 8), (0, 9), (1, 10), (2, 11), (0, 12)],
}
"""(warp, cycle) of the twelve instructions but EXIT; warp 0 is the oldest, the first issue is in cycle 0."""


def schedule(scheduler: str) -> list[tuple[int, int]]:
    """What sub-core 0 issues behind a barrier at which three warps with full buffers wait; warp 0 issued last."""
    lines = [op("NOP", 11), op("BAR.SYNC 0x0", 1), *BODY]
    table = run(lines, f"sm.sub_core.issue.scheduler={scheduler}", block=384).rows("NOP", warp=None)[3:]
    start = table["issue"][0]
    return [(int(row["warp"]), int(row["issue"] - start)) for row in table]


@pytest.mark.boundscheck
@pytest.mark.parametrize("scheduler", SCHEDULES)
def test_order_of_three_warps(scheduler: str) -> None:
    assert schedule(scheduler) == SCHEDULES[scheduler]


def test_every_packaged_scheduler_has_a_schedule() -> None:
    assert set(SCHEDULES) == set(built_in("scheduler"))
