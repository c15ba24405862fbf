"""Instruction prefetchers: which lines come before they are demanded, and how long a straight run of code then takes."""

from __future__ import annotations

import pytest
from microbench import NO_LAUNCH_LINES, Run, kernel, op, simulate_small, trace

from gpusim.model.policies.names import built_in

LINE = 8  # instructions of 16 bytes in a line of 128
LINES = 12
MISS = 79  # an L0 miss that hits L1 (arXiv 2503.20481 section 5.4)
FROM_GPC = MISS + 30  # one that the GPC's cache answers


def straight(prefetcher: str, *overrides: str) -> Run:
    """Twelve lines of instructions without a branch, none of them there at first."""
    text = kernel([op("NOP")] * (LINES * LINE - 1))
    return simulate_small(trace(text), NO_LAUNCH_LINES, f"sm.sub_core.fetch.prefetcher={prefetcher}", *overrides)


def waits(result: Run) -> list[int]:
    """Cycles that each line's first instruction issues later than right behind its predecessor."""
    issued = result.issues()
    return [issued[LINE * line] - issued[LINE * line - 1] - 1 for line in range(1, LINES)]


@pytest.mark.boundscheck
def test_without_prefetching_every_line_costs_a_miss() -> None:
    # an instruction issues 3 cycles behind its fetch; two of the buffer's instructions issue meanwhile
    assert waits(straight("none")) == [FROM_GPC] * (LINES - 1)


def test_a_perfect_prefetcher_has_every_line() -> None:
    result = straight("perfect")
    assert waits(result) == [0] * (LINES - 1)
    assert result.counters["l0_instruction_misses"] == 0


@pytest.mark.parametrize("degree", [1, 2, 4])
def test_next_line_asks_for_as_many_lines_ahead(degree: int) -> None:
    result = straight("next_line", f"prefetch_degree={degree}")
    assert result.counters["l0_instruction_misses"] == 1
    assert result.counters["instruction_prefetches"] == LINES - 1
    # one request a cycle leaves behind the miss of line 0; each later one is asked for when its predecessor is begun
    assert waits(result)[0] == 0


def test_a_stream_buffer_of_no_lines_is_none() -> None:
    assert waits(straight("stream_buffer", "stream_buffer_lines=0")) == waits(straight("none"))


def test_all_packaged_prefetchers_are_tested() -> None:
    assert built_in("prefetcher") == ("next_line", "none", "perfect", "stream_buffer")
