"""The ADU of an SM: which instructions it executes, at what rate, and that they pass the LSU's.

Pipes and the rate are those of Nsight Compute reports (sm__inst_executed_pipe_adu): see isa/common.yaml.
"""

from __future__ import annotations

import numpy as np
import pytest
from microbench import PAUSE, Run, op, run

POINTER = op("LDC.64 R2, c[0x0][0x160]", 2, write=5)
LINE_PRESENT = [POINTER, op("NOP", wait="5"), PAUSE]  # of the LDC cache
SHARED = ".shared 1024"


def everywhere(result: Run) -> np.ndarray:
    """Timeline rows of all sub-cores."""
    return np.concatenate([result.rows(sub_core=k, warp=None) for k in range(4)])


def executions(*texts: str, block: int = 128) -> list[int]:
    """Cycles in which one of these, issued back to back by a warp of each sub-core, starts in its unit, sorted."""
    result = run([*LINE_PRESENT, *[op(text) for text in texts], PAUSE], block=block, directives=SHARED)
    rows = everywhere(result)
    wanted = rows[rows["pc"] >= 16 * len(LINE_PRESENT)]
    wanted = wanted[wanted["pc"] < 16 * (len(LINE_PRESENT) + len(texts))]
    return sorted((wanted["execute"] - wanted["issue"].min()).tolist())


@pytest.mark.parametrize(
    "text",
    ["S2R R8, SR_CTAID.X", "S2R R8, SR_LANEID", "S2UR UR4, SR_TID.X", "R2UR UR4, R6", "BAR.ARV 0x1, 0x100",
     "LDC R8, c[0x0][0x160]"],
)  # fmt: skip
def test_the_adu_takes_an_instruction_every_second_cycle(text: str) -> None:
    assert executions(text) == [9, 11, 13, 15]


@pytest.mark.parametrize(
    ("text", "starts"),
    [
        ("S2R R8, SR_TID.X", [9, 11, 13, 15, 17, 19, 21, 23]),  # both the LSU's
        ("S2R R8, SR_CTAID.X", [9, 11, 11, 13, 13, 15, 15, 17]),
        ("R2UR UR4, R6", [9, 11, 11, 13, 13, 15, 15, 17]),
    ],
)
def test_lsu_and_adu_have_grants_of_their_own(text: str, starts: list[int]) -> None:
    assert executions(text, "LDS R9, [0x20]") == starts


def test_a_queue_keeps_its_order() -> None:
    # Given an LDC behind two LDS, each of which takes the LSU for two cycles
    result = run([*LINE_PRESENT, op("LDS R8, [0x10]"), op("LDS R9, [0x20]"), op("LDC R10, c[0x0][0x160]"), PAUSE],
                 directives=SHARED)  # fmt: skip
    rows = result.rows()
    starts = [int(rows[rows["pc"] == 16 * (len(LINE_PRESENT) + k)]["execute"][0]) for k in range(3)]
    # Then it is executed when it comes to the head, in the cycle in which the second LDS leaves
    assert starts[1] - starts[0] == 2
    assert starts[2] - starts[1] == 2  # its address is calculated two cycles behind the other's


@pytest.mark.parametrize(
    ("text", "raw"), [("S2R R8, SR_CTAID.X", 15), ("S2UR UR4, SR_CTAID.X", 15), ("R2UR UR4, R6", 24)]
)
def test_latency_from_issue_to_dependent_issue(text: str, raw: int) -> None:
    result = run([*LINE_PRESENT, op(text, 2, write=0), op("FADD R9, RZ, 1", wait="0")])
    assert result.distance(text.split()[0], "FADD") == raw


def test_a_barrier_that_is_predicated_off_holds_nobody() -> None:
    lines = [op("ISETP.NE.AND P2, PT, RZ, RZ, PT", 13, yields=True), op("@P2 BAR.SYNC 0x0", 5), op("FADD R5, RZ, 1")]
    result = run(lines, block=128)
    assert result.distance("BAR", "FADD") == 5


def test_a_warp_on_its_way_to_a_barrier_is_not_released_by_the_one_before() -> None:
    """Barrier 1 expects two warps, and four come in pairs: the second pair must not leave with the first."""
    result: Run = run(
        [*LINE_PRESENT, op("BAR.SYNC 0x1, 0x40"), op("FADD R5, RZ, 1")], "sm.barriers.release=1", block=128
    )
    assert sorted(int(result.issues("FADD", sub_core=k)[0] - result.issues("BAR", sub_core=k)[0]) for k in range(4)) == [
        12, 12, 16, 16,
    ]  # fmt: skip
