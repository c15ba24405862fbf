"""Bundled traces on few SMs, and what must be the same however they are simulated."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from microbench import Run, simulate_small

from gpusim.model.setup.simulate import RunOptions
from gpusim.trace.store import open_trace
from gpusim.trace.trace import Trace

BUNDLED = Path(__file__).resolve().parents[2] / "traces"
CARDS = {"ampere": "a6000", "turing": "rtx2080ti"}
FOUR_SMS = ("sms=4", "sm.ctas=4")
"""So few places that the CTAs come in several waves."""


@cache
def first_launch(name: str) -> Trace:
    """The first launch of a bundled trace."""
    bundled = open_trace(BUNDLED / name)
    return replace(bundled, launches=bundled.launches[:1])


@cache
def reference(name: str, *overrides: str) -> Run:
    return simulate_small(first_launch(name), *overrides, card=CARDS[name.split("/")[0]], options=RunOptions())


def assert_same(found: Run, expected: Run) -> None:
    """Same cycles, per-PC issues and stalls, and counters."""
    assert found.result.cycles == expected.result.cycles
    assert found.counters == expected.counters
    np.testing.assert_array_equal(found.result.pc_issues, expected.result.pc_issues)
    np.testing.assert_array_equal(found.result.pc_stalls, expected.result.pc_stalls)
    assert found.result.resident_warp_cycles == expected.result.resident_warp_cycles
    assert found.result.occupancy == expected.result.occupancy
