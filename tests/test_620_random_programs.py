"""Random programs on random machines: the same result however they are simulated, and every cycle accounted for."""

from __future__ import annotations

import random

import numpy as np
import pytest
from microbench import Run, simulate_small, trace
from random_programs import machine, program

from gpusim.model.setup.simulate import RunOptions


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
    measured = trace.__wrapped__(program(generator))  # not kept: each is used once
    overrides = machine(generator)
    expected = simulate_small(measured, *overrides)
    result = expected.result
    assert (result.pc_stalls >= 0).all()
    assert result.pc_stalls.sum() == result.resident_warp_cycles
    assert result.warp_instructions == measured.launches[0].warp_instructions == len(result.timeline)
    for options in (
        RunOptions(skip=False, timeline=True),
        RunOptions(window=generator.choice([1, 2, 13, 100]), timeline=True),
        RunOptions(threads=2, skip=generator.random() < 0.5),
    ):
        found = simulate_small(measured, *overrides, options=options)
        assert not differences(found, expected), f"seed {seed}, {overrides}, {options}"


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
