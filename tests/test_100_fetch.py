"""Fetch: L0 hit to issue, the cost of a miss, the instruction buffer, the stream buffer, L0's size.

Measured numbers are those of arXiv 2503.20481; the section is named with each.
"""

from __future__ import annotations

from itertools import pairwise

import pytest
from microbench import (
    NO_LAUNCH_LINES,
    NO_STREAM,
    PAUSE,
    PERFECT,
    START_AT_ONCE,
    Run,
    gaps,
    kernel,
    op,
    run,
    simulate_small,
    trace,
)

NOP = op("NOP")
LINE = 8  # instructions of 16 bytes in a line of 128


def stream_lines(count: int) -> str:
    return f"sm.sub_core.fetch.stream_buffer_lines={count}"


# ---- hit to issue and the instruction buffer (section 5.2)


@pytest.mark.boundscheck
@pytest.mark.parametrize("cycles", [3, 4, 6])
def test_an_instruction_issues_three_cycles_after_its_fetch(cycles: int) -> None:
    result = run([NOP], f"sm.sub_core.fetch.hit_to_issue={cycles}", START_AT_ONCE)
    assert result.issues()[0] == cycles


def buffer_run(entries: int, block: int) -> Run:
    return run([NOP] * 12, f"sm.sub_core.fetch.buffer_entries={entries}", block=block)


@pytest.mark.parametrize("entries", [3, 4])
def test_three_buffer_entries_keep_one_warp_issuing(entries: int) -> None:
    assert set(buffer_run(entries, 32).gaps()) == {1}


def test_two_buffer_entries_leave_a_bubble_every_third_cycle() -> None:
    # Given two entries that are each taken for the three cycles from fetch to issue
    issued = buffer_run(2, 32).issues()
    # Then two instructions issue in three cycles
    assert issued[10] - issued[0] == 15


def test_three_buffer_entries_keep_the_greedy_warp_and_two_do_not() -> None:
    # Given two warps of a sub-core: warp 1 first, since it is the younger
    def switches(entries: int) -> int:
        warps = buffer_run(entries, 256).rows(warp=None)["warp"].tolist()[:12]
        return sum(a != b for a, b in pairwise(warps))

    assert switches(3) == 0
    assert switches(2) > 0


# ---- misses: a line that is in L1 and not in L0 (section 5.4: 79 cycles)

FAR = 16  # lines between the start and the code that is measured


def far_code(lines: int) -> str:
    """Code far from the start, which sub-core 0 fetches into L1 long before sub-core 1 comes there."""
    start = [
        op("S2R R0, SR_TID.X", 2, write=0),
        op("ISETP.GE.AND P0, PT, R0, 0x20, PT", 13, wait="0", yields=True),
        op("@!P0 BRA `(FAR)", 5),
        # some 900 cycles for each line: longer than it takes to arrive from DRAM
        op(f"MOV R1, {hex(lines + 1)}", 4),
        "WAIT:",
        *[PAUSE] * 20,
        op("IADD3 R1, R1, -0x1, RZ", 4),
        op("ISETP.NE.AND P1, PT, R1, RZ, PT", 13, yields=True),
        op("@P1 BRA `(WAIT)", 5),
        op("BRA `(FAR)", 5),
    ]
    padding = [NOP] * (FAR * LINE - len(start) + 1)  # a label is no instruction
    return kernel([*start, *padding, "FAR:", *[NOP] * (lines * LINE - 1)], block=64)


def after_branch(lines: int, *overrides: str) -> list[int]:
    """Issue cycles of the far code on sub-core 1, counted from the issue of the branch to it."""
    table = simulate_small(trace(far_code(lines)), *overrides).rows(sub_core=1)
    start = table["issue"][table["pc"] < FAR * LINE * 16][-1]
    return (table["issue"][table["pc"] >= FAR * LINE * 16] - start).tolist()


def test_branch_to_code_in_l0_takes_5_cycles() -> None:
    assert after_branch(1, PERFECT)[0] == 5


def test_l0_miss_that_hits_l1_costs_79_cycles() -> None:
    assert after_branch(1, NO_STREAM)[0] - after_branch(1, PERFECT)[0] == 79


@pytest.mark.parametrize(("there", "back"), [(38, 39), (39, 38), (10, 20)])
def test_miss_cost_is_the_way_there_and_back_and_the_lookup(there: int, back: int) -> None:
    ways = (f"sm.instruction_hierarchy.l0_to_l1={there}", f"sm.instruction_hierarchy.l1_to_l0={back}")
    assert after_branch(1, NO_STREAM, *ways)[0] - after_branch(1, PERFECT)[0] == there + back + 1


def bubbles(lines: int, *overrides: str) -> list[int]:
    """Idle cycles before the first instruction of each far line after the first; within a line there are none."""
    issued = after_branch(lines, *overrides)
    within = [gap for k, gap in enumerate(gaps(issued), 1) if k % LINE]
    assert set(within) == {1}
    return [gap - 1 for k, gap in enumerate(gaps(issued), 1) if k % LINE == 0]


def test_without_a_stream_buffer_every_line_misses() -> None:
    assert bubbles(4, NO_STREAM) == [79] * 3


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_stream_buffer_hides_as_many_lines_as_it_has_entries(size: int) -> None:
    found = bubbles(size + 2, stream_lines(size))
    # the prefetch of the line after those leaves when the first of them moves to L0, 8 * size instructions before its use
    assert found == [0] * size + [79 - LINE * size]


def test_perfect_fetch_never_misses() -> None:
    assert bubbles(12, PERFECT) == [0] * 11


def test_longer_stream_buffers_are_not_slower() -> None:
    ends = [after_branch(40, stream_lines(size))[-1] for size in (0, 1, 2, 4, 8, 16, 32)]
    perfect = after_branch(40, PERFECT)[-1]
    assert ends == sorted(ends, reverse=True)
    assert ends[0] > 2 * ends[4] > 2 * perfect
    # one miss of 79 cycles remains
    assert ends[-1] == perfect + 79


def test_counters_of_a_stream_buffer() -> None:
    off = simulate_small(trace(far_code(8)), NO_STREAM).counters
    on = simulate_small(trace(far_code(8))).counters
    assert off["instruction_prefetches"] == off["stream_buffer_hits"] == 0
    assert on["stream_buffer_hits"] > 0
    assert on["instruction_prefetches"] >= on["stream_buffer_hits"]
    assert on["l0_instruction_misses"] < off["l0_instruction_misses"]


# ---- L0 capacity: 32 KB on Ampere, 16 KB on Turing (artifact's configurations)


def looped(lines: int, card: str) -> Run:
    """A loop over exactly `lines` lines, run twice on one warp without a stream buffer."""
    architecture = 75 if card == "rtx2080ti" else 86
    head = [op("ISETP.NE.AND P1, PT, RZ, RZ, PT", 13, yields=True), *[NOP] * (LINE - 1)]
    tail = [
        op("@P1 EXIT", 5),
        op("ISETP.EQ.AND P1, PT, RZ, RZ, PT", 13, yields=True),
        op("BRA `(LOOP)", 5),
    ]
    # the three instructions that are fetched ahead of the branch lie in its line
    body = [*[NOP] * (lines * LINE - len(tail) - 3), *tail, *[NOP] * 3]
    text = kernel([*head, "LOOP:", *body], architecture=architecture)
    return simulate_small(trace(text), NO_STREAM, NO_LAUNCH_LINES, card=card)


@pytest.mark.parametrize(("card", "capacity"), [("a6000", 256), ("rtx2080ti", 128)])
def test_loop_of_the_size_of_l0_misses_each_line_once(card: str, capacity: int) -> None:
    # Given one line before the loop, which the last of the loop's replaces
    assert looped(capacity, card).counters["l0_instruction_misses"] == 1 + capacity


@pytest.mark.parametrize(("card", "capacity", "ways"), [("a6000", 256, 32), ("rtx2080ti", 128, 32)])
def test_a_line_more_misses_in_one_set_of_l0(card: str, capacity: int, ways: int) -> None:
    # Given least recently used replacement: all lines of the set that has one too many miss again
    assert looped(capacity + 1, card).counters["l0_instruction_misses"] == 1 + capacity + 1 + ways + 1


# ---- what a launch brings (empty kernels on an A40 and an RTX 3080, an RTX 2070's first instructions)

ROUND_TRIP = 39 + 30 + 1 + 39  # cycles of an L0 miss whose line is in the GPC's cache


def first_lines(*overrides: str, card: str = "a6000") -> list[int]:
    """Cycles in which the first instruction of each of ten lines issues, the kernel's first issue being 0."""
    text = kernel([NOP] * (10 * LINE - 1), architecture=75 if card == "rtx2080ti" else 86)
    issued = simulate_small(trace(text), *overrides, card=card).issues()
    return [cycle - issued[0] for cycle in issued[::LINE]]


@pytest.mark.parametrize("start", [0, 148])
def test_warps_start_when_the_launch_has_brought_the_program(start: int) -> None:
    result = simulate_small(trace(kernel([NOP])), f"sm.instruction_hierarchy.launch.start={start}")
    assert result.issues()[0] == start + 3
    assert result.stalls["no_instruction"] == 3


@pytest.mark.parametrize("lines", [2, 3, 4, 8])
def test_the_line_behind_those_of_a_launch_is_asked_for_with_the_second(lines: int) -> None:
    found = first_lines(f"sm.instruction_hierarchy.launch.lines={lines}")
    # issue of a line's first instruction is 3 behind its fetch; the second line is fetched as the sixth instruction issues
    assert found[:lines] == [LINE * n for n in range(lines)]
    assert found[lines] == LINE - 3 + ROUND_TRIP + 3
    assert found[lines + 1 :] == [found[lines] + LINE * n for n in range(1, 10 - lines)]


def test_without_launch_lines_the_first_comes_from_the_gpc_cache() -> None:
    cold = simulate_small(trace(kernel([NOP])), NO_LAUNCH_LINES, START_AT_ONCE)
    assert cold.issues()[0] == ROUND_TRIP + 3


def test_lines_beyond_those_a_launch_can_ask_for_come_from_l2() -> None:
    near = first_lines()
    far = first_lines("sm.instruction_hierarchy.launch.code_bytes=512")
    assert far[:4] == near[:4]
    assert far[4] - near[4] > 100


@pytest.mark.parametrize(("offset", "misses"), [(0x28, [109]), (0x118, [298 + 141])])
def test_the_launch_brings_the_first_line_of_constant_bank_0(offset: int, misses: list[int]) -> None:
    # Given an operand of the bank's first line (A40 112, RTX 3080 106 cycles), and one of another
    result = run([op(f"MOV R1, c[0x0][{hex(offset)}]", 1)])
    assert [result.stalls["imc_miss"]] == misses
