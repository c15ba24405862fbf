"""Groups of asynchronous copies: LDGDEPBAR, DEPBAR.LE, and pipelines of several stages.

PTX ISA: cp.async.commit_group makes a group of the copies before it, cp.async.wait_group N waits for all but the
newest N groups. Compilers make LDGDEPBAR with a write counter and DEPBAR.LE of these.
"""

from __future__ import annotations

import pytest
from microbench import PAUSE, Run, gaps, op, run

SCOREBOARD = "sm.sub_core.dependence.mode=scoreboard"
LIMIT = 15
"""Closed groups of a warp that may be incomplete."""
ADDRESSES = [op("MOV R2, c[0x0][0x160]"), op("MOV R3, c[0x0][0x164]"), op("MOV R6, RZ"), op("NOP", 11)]
NEAR, FAR = "LDGSTS.E [R6], [R2.64]", "LDGSTS.E [R6+0x80], [R2.64+0x4000]"
WARM = [op("LDG.E R8, [R2.64]", 2, write=5), op("NOP", 2, wait="5"), PAUSE]
"""NEAR hits from then on, FAR misses."""
CLOSE = op("LDGDEPBAR", 2, write=0)


def copies(lines: list[str], *overrides: str) -> Run:
    return run([*ADDRESSES, *WARM, *lines], *overrides, directives=".shared 1024")


def through(limit: int) -> list[str]:
    """What waits until at most `limit` groups are incomplete: FADD issues then."""
    return [op(f"DEPBAR.LE SB0, {limit:#x}", 4, yields=True), op("FADD R9, RZ, 1", 2)]


def waited(lines: list[str], *overrides: str, last: str = "FADD") -> int:
    """Cycles from the first copy to the last `last`."""
    result = copies(lines, *overrides)
    return result.issues(last)[-1] - result.issues("LDGSTS")[0]


def own(text: str) -> int:
    """Cycles from a copy to what waits for the copy's own counter."""
    return waited([op(text, 2, write=1), op("FADD R9, RZ, 1", wait="1")])


def test_ldgdepbar_issues_at_once() -> None:
    result = copies([op(FAR, 2), CLOSE, op("FADD R9, RZ, 1"), *[PAUSE] * 20])
    assert gaps(result.issues()[len(ADDRESSES) + len(WARM) :][:3]) == [2, 2]


@pytest.mark.boundscheck
@pytest.mark.parametrize("text", [NEAR, FAR])
def test_its_counter_falls_with_the_last_copy_of_the_group(text: str) -> None:
    assert waited([op(text, 2), CLOSE, *through(0)]) == own(text)
    assert waited([op(text, 2), CLOSE, op("FADD R9, RZ, 1", wait="0")]) == own(text)
    # of several copies the last that completes counts, wherever it stands
    assert waited([op(text, 2), op(NEAR, 2), CLOSE, *through(0)]) == max(own(text), own(NEAR) + 4)


def test_one_group_may_stay_in_flight() -> None:
    first, second = [op(NEAR, 2), CLOSE], [op(FAR, 2), CLOSE]
    assert waited([*first, *second, *through(1)]) == own(NEAR)
    assert waited([*first, *second, *through(0)]) == waited([op("NOP", 4), op(FAR, 2), CLOSE, *through(0)]) + 4
    assert waited([*first, *second, *through(2)]) == 12  # issue of DEPBAR in 8 and its stall count


def test_groups_end_in_order() -> None:
    # Given a group that misses and a later one that hits: the hit is complete long before
    lines = [op(FAR, 2), CLOSE, op(NEAR, 2), CLOSE]
    assert waited([*lines, *through(1)]) == own(FAR)
    assert waited([*lines, *through(0)]) == own(FAR)


def test_a_copy_behind_ldgdepbar_is_of_the_next_group() -> None:
    assert waited([op(NEAR, 2), CLOSE, op(FAR, 2), *through(0)]) == own(NEAR)


def test_a_group_without_copies_is_complete_with_all_before_it() -> None:
    lines = [CLOSE, op("FADD R9, RZ, 1", wait="0")]
    misc = run([*ADDRESSES, op("LDGDEPBAR", 2, write=0), op("FADD R9, RZ, 1", wait="0")]).distance("LDGDEPBAR", "FADD")
    assert misc < 16
    assert waited([op(FAR, 2), op("LDGDEPBAR", 2), *lines]) == own(FAR)


def test_copies_without_lanes_complete_too() -> None:
    lines = [op("ISETP.NE.AND P0, PT, RZ, RZ, PT", 13, yields=True), op(f"@P0 {FAR}", 2), CLOSE, *through(0)]
    assert waited(lines) == own(NEAR)


def test_as_many_groups_as_can_be_told_apart() -> None:
    def last(groups: int) -> int:
        return waited([op(FAR, 2), *[op("LDGDEPBAR", 1)] * groups, op("FADD R9, RZ, 1")])

    assert last(LIMIT) == 2 + LIMIT
    assert last(LIMIT + 1) == own(FAR) + 1


def test_a_warp_ends_with_its_groups() -> None:
    # Given warps that retire while LDGDEPBAR is in the pipeline, and others that take their slots
    lines = [*ADDRESSES, op(NEAR, 2), op("LDGDEPBAR", 1), op("LDGDEPBAR", 1, write=3)]
    result = run(lines, "sm.ctas=1", grid=6, directives=".shared 1024")
    assert result.counters["ctas_launched"] == 6


def test_scoreboards_leave_groups_their_counter() -> None:
    lines = [op(FAR, 2), CLOSE, op(NEAR, 2), CLOSE]
    assert waited([*lines, *through(0)], SCOREBOARD) >= own(FAR) - 4
    assert waited([*lines, *through(2)], SCOREBOARD) < own(NEAR)


# ---- a pipeline of stages

STAGES = """
[B------:R-:W-:-:S04] MOV R10, {rounds:#x} ;
{prologue}
LOOP:
[B------:R-:W-:-:S02] LDGSTS.E.BYPASS.128 [R6], [R2.64] ;
[B------:R-:W0:-:S02] LDGDEPBAR ;
[B------:R-:W-:Y:S04] DEPBAR.LE SB0, {ahead:#x} ;
[B------:R-:W-:-:S02] BAR.SYNC 0x0 ;
[B------:R-:W1:-:S02] LDS R12, [R6+0x80] ;
[B-1----:R-:W-:-:S04] FADD R13, R13, R12 ;
{work}
[B------:R-:W-:-:S04] IADD3 R10, R10, -0x1, RZ ;
[B------:R-:W-:-:S13] ISETP.NE.AND P0, PT, R10, RZ, PT ;
[B------:R-:W-:-:S11] NOP ;
[B------:R-:W-:-:S05] @P0 BRA `(LOOP) ;
"""


def cycles_per_round(ahead: int, work: int) -> int:
    """Steady state of a loop that copies `ahead` rounds ahead and works for 45 * `work` cycles a round."""
    prologue = [op("LDGSTS.E.BYPASS.128 [R6], [R2.64]", 2), op("LDGDEPBAR", 2, write=0)] * ahead
    text = STAGES.format(rounds=12, ahead=ahead, prologue="\n".join(prologue), work="\n".join([PAUSE] * work))
    result = run([*ADDRESSES, *text.strip().splitlines()], directives=".shared 1024")
    return gaps(result.issues("LDS"))[-1]


def test_stages_hide_the_latency_of_copies() -> None:
    work, latency = 4, cycles_per_round(0, 0)
    alone = cycles_per_round(0, work)
    assert alone == latency + 45 * work
    two = cycles_per_round(1, work)
    assert two < alone
    assert cycles_per_round(8, work) <= two
    # with enough stages in flight nothing of the copies is left
    assert cycles_per_round(8, work + 2) - cycles_per_round(8, work) == 90
