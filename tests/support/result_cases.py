"""A small made-up KernelResult for tests of results and reports."""

from __future__ import annotations

import numpy as np
from trace_cases import OPCODES

from gpusim.results.result import KernelResult, Result
from gpusim.results.stalls import STALL_REASONS, Stall
from gpusim.results.timeline import TIMELINE_DTYPE


def make_kernel_result(name: str = "toy", cycles: int = 200, timeline: bool = False) -> KernelResult:
    """Per-PC tables over the toy program of trace_cases: PC 0x10 loses most, to long_scoreboard."""
    count = len(OPCODES)
    stalls = np.zeros((count, len(STALL_REASONS)), np.int64)
    issues = np.array([10, 10, 5, 5, 4])
    stalls[:, Stall.SELECTED] = issues
    stalls[1, Stall.LONG_SCOREBOARD] = 700
    stalls[1, Stall.WAIT] = 20
    stalls[4, Stall.DRAIN] = 46
    table = np.full(2, -1, TIMELINE_DTYPE)
    table["sm"], table["sub_core"], table["warp"], table["sequence"] = 0, [1, 2], [0, 3], [0, 7]
    table["pc"], table["opcode"], table["issue"], table["execute"] = [0, 16], [0, 1], [5, 9], [9, -1]
    return KernelResult(
        name=name,
        grid=(2, 1, 1),
        block=(64, 1, 1),
        cycles=cycles,
        warp_instructions=int(issues.sum()),
        thread_instructions=900,
        counters={"l1_load_sectors": 40, "l1_load_hits": 30},
        pc=16 * np.arange(count),
        pc_issues=issues,
        pc_stalls=stalls,
        resident_warp_cycles=int(stalls.sum()),
        occupancy=4 / 48,
        seconds=0.125,
        timeline=table if timeline else None,
    )


def make_result() -> Result:
    return Result("a6000", (make_kernel_result(), make_kernel_result("second", 100)), 0.5, {"trace": "toy"})
