"""Random programs on random machines: the same result however they are simulated, and every cycle accounted for."""

from __future__ import annotations

import random

import numpy as np
import pytest
from microbench import Run, kernel, op, simulate_small, trace
from reference.random_kernels import random_program

from gpusim.config.loading import load_config
from gpusim.model.setup.card import shortest_round_trip
from gpusim.model.setup.simulate import RunOptions

BLOCKS, GRIDS, SMS = (32, 64, 128, 160, 256, 512), (1, 3, 7, 12), (1, 2, 3)
"""Threads of a CTA, CTAs and SMs: enough that CTAs replace each other and SMs meet in L2."""
HALVES = "l2.partitions=2"


def differences(found: Run, expected: Run) -> list[str]:
    """What differs: cycles, counters, stall cycles per PC, stages of instructions."""
    named = {
        "cycles": found.result.cycles == expected.result.cycles,
        "counters": found.counters == expected.counters,
        "issues": np.array_equal(found.result.pc_issues, expected.result.pc_issues),
        "stalls": np.array_equal(found.result.pc_stalls, expected.result.pc_stalls),
        "timeline": found.result.timeline is None or np.array_equal(found.result.timeline, expected.result.timeline),
    }
    return [name for name, same in named.items() if not same]


def check(seed: int) -> None:
    """One program: no skipping, a random window and two threads against the default, and the sums."""
    generator = random.Random(seed)
    program = random_program(seed, blocks=BLOCKS, grids=GRIDS)
    measured = trace.__wrapped__(program.text)  # not kept: each is used once
    overrides = [*program.overrides, f"sms={generator.choice(SMS)}"]
    longest = shortest_round_trip(load_config(program.card, overrides))
    expected = simulate_small(measured, *overrides, card=program.card)
    result = expected.result
    assert (result.pc_stalls >= 0).all()
    assert result.pc_stalls.sum() == result.resident_warp_cycles
    assert result.warp_instructions == measured.launches[0].warp_instructions == len(result.timeline)
    for options in (
        RunOptions(skip=False, timeline=True),
        RunOptions(window=min(generator.choice([1, 2, 13, 100]), longest), timeline=True),
        RunOptions(threads=2, skip=generator.random() < 0.5),
    ):
        found = simulate_small(measured, *overrides, card=program.card, options=options)
        assert not differences(found, expected), f"{options}\n{program}"


@pytest.mark.boundscheck
@pytest.mark.parametrize("first", [0, 10])
def test_how_it_is_simulated_changes_no_result(first: int) -> None:
    for seed in range(first, first + 10):
        check(seed)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(100, 500, 50))
def test_how_many_more_are_simulated_changes_no_result(first: int) -> None:
    for seed in range(first, first + 50):
        check(seed)


def measure(lines: list[str], *overrides: str, block: int = 32, grid: int = 1, **options: object) -> Run:
    return simulate_small(trace(kernel(lines, block, grid)), *overrides, options=RunOptions(timeline=True, **options))


def test_a_stall_reason_changes_in_the_cycle_in_which_depbar_begins_to_hold() -> None:
    lines = [
        op("MOV R6, c[0x0][0x160]"),
        op("MOV R7, c[0x0][0x164]", 13, yields=True),
        op("LDG.E R8, [R6.64]", write=0),
        op("MUFU.RCP R9, R10", write=1),
        op("DEPBAR.LE SB0, 0x0"),
        op("FADD R11, R9, 1", wait="1"),
    ]
    assert not differences(measure(lines, skip=False), measure(lines))


def test_it_does_so_behind_a_full_memory_queue_too() -> None:
    lines = [
        op("MOV R6, c[0x0][0x160]"),
        op("MOV R7, c[0x0][0x164]", 13, yields=True),
        op("LDG.E.128 R12, [R6.64]", write=0),
        op("DEPBAR.LE SB0, 0x0", 3),
        op("STG.E [R6.64], R20", 3),
        op("STG.E [R6.64], R20"),
    ]
    narrow = "sm.sub_core.memory_queue.entries=1"
    assert not differences(measure(lines, narrow, block=288, skip=False), measure(lines, narrow, block=288))


def test_the_order_of_requests_to_the_other_half_of_l2_does_not_depend_on_windows() -> None:
    lines = [
        op("IMAD.WIDE.U32 R44, R3, 0x40, c[0x0][0x160]"),
        op("LDG.E.128 R8, [R44.64+0x100]"),
        op("MEMBAR.SC.GPU"),
        op("ST.E.128 [R44.64+0x10], R12"),
        op("IADD3 R1, R4, 0x1, RZ", 15),
        op("DFMA R8, R12, R10.reuse, R12.reuse", 6),
        op("SHFL.IDX PT, RZ, R13, 0x1, 0x1f", 15),
        op("IADD3 R1, R1, -0x1, RZ", 15),
        op("STG.E.U8 [R44.64+0x4000], R15.reuse", 3, yields=True),
        op("LDC.64 R8, c[0x0][0x1a0]", 15),
        op("MOV R1, 0x2"),
        op("ISETP.NE.AND P5, PT, R1, RZ, PT", 9, wait="3", yields=True),
        op("NOP", 15),
        op("IADD3 R2, R4, 0x1, RZ"),
    ]
    assert not differences(
        measure(lines, HALVES, block=128, grid=2, window=1), measure(lines, HALVES, block=128, grid=2)
    )
