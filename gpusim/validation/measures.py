"""How a number is read off a simulated program: distances, orders, counters, by the marks of its source.

Every measure takes the Measured program first and then its arguments from the data. Cycles are those of the last pass
of the program's frame, `warp` is the number within the sub-core.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpusim.config.models import GpuConfig
from gpusim.constants import INSTRUCTION_BYTES
from gpusim.errors import GpusimError
from gpusim.trace.trace import Launch
from gpusim.validation.experiments import Experiment


@dataclass(frozen=True)
class Measured:
    """A simulated experiment: its launch on its card. `others` finds those of the same run by name."""

    experiment: Experiment
    launch: Launch
    config: GpuConfig
    timeline: np.ndarray
    counters: Mapping[str, int]
    others: Mapping[str, Measured]

    def rows(self, mark: str, sub_core: int = 0, warp: int | None = 0) -> np.ndarray:
        """Timeline rows of the marked instructions by issue: the last pass of one warp, or of each (warp=None)."""
        table = self.timeline
        marked = np.isin(table["pc"], [INSTRUCTION_BYTES * place for place in self.places(mark)])
        table = table[marked & (table["sub_core"] == sub_core)]
        warps = np.unique(table["warp"]) if warp is None else [warp]
        parts = [self._last_pass(table[table["warp"] == w]) for w in warps]
        whole = np.concatenate(parts)
        return whole[np.argsort(whole["issue"], kind="stable")]

    def places(self, mark: str) -> tuple[int, ...]:
        """Static indices of the marked instructions."""
        if mark not in self.experiment.marks:
            raise GpusimError(f"{self.experiment.name}: nothing is marked @{mark}")
        return self.experiment.marks[mark]

    def _last_pass(self, rows: np.ndarray) -> np.ndarray:
        return rows[len(rows) - len(rows) // self.experiment.passes :]

    def cycles(self, mark: str, stage: str = "issue", sub_core: int = 0, warp: int | None = 0) -> list[int]:
        """Cycles in which the marked instructions were in a stage."""
        cycles = self.rows(mark, sub_core, warp)[stage].tolist()
        if not cycles:
            raise GpusimError(f"{self.experiment.name}: no instruction marked @{mark} ran on sub-core {sub_core}")
        return cycles

    @property
    def sub_cores(self) -> list[int]:
        return np.unique(self.timeline["sub_core"]).tolist()


def distance(m: Measured, first: str, last: str, stage: str = "issue", last_stage: str | None = None) -> int:
    """Cycles from `stage` of the first instruction marked `first` to `last_stage` (or `stage`) of the last `last`."""
    return m.cycles(last, last_stage or stage)[-1] - m.cycles(first, stage)[0]


def gaps(m: Measured, mark: str, stage: str = "issue", skip: int = 0, warp: int | None = 0) -> list[int]:
    """Distances between consecutive marked instructions, without the first `skip`."""
    return np.diff(m.cycles(mark, stage, 0, warp)).tolist()[skip:]


def cycles(m: Measured, marks: list[str], origin: str, at: int = 0, stage: str = "issue") -> list[int]:
    """Cycle of each mark, counted so that the issue of `origin` is cycle `at`."""
    start = m.cycles(origin)[0] - at
    return [m.cycles(mark, stage)[0] - start for mark in marks]


def nth_issue(m: Measured, mark: str, n: int, at: int) -> list[int]:
    """Issue cycle of the n-th marked instruction on each sub-core, sorted; the first of all is in cycle `at`."""
    issues = {k: m.cycles(mark, sub_core=k) for k in m.sub_cores}
    start = min(cycles[0] for cycles in issues.values()) - at
    return sorted(cycles[n - 1] - start for cycles in issues.values())


def steps(m: Measured, mark: str, after: int) -> list[int]:
    """Distances that occur between consecutive marked instructions behind the `after`-th, over all sub-cores."""
    return sorted({gap for k in m.sub_cores for gap in np.diff(m.cycles(mark, sub_core=k)).tolist()[after - 1 :]})


def schedule(m: Measured, mark: str, sub_core: int = 0) -> list[list[int]]:
    """[warp, first cycle, end] of each uninterrupted stretch of one warp, the first issue being cycle 0."""
    rows = m.rows(mark, sub_core, warp=None)
    stretches: list[list[int]] = []
    for warp, issue in zip(rows["warp"].tolist(), (rows["issue"] - rows["issue"][0]).tolist()):
        if stretches and stretches[-1][0] == warp and stretches[-1][2] == issue:
            stretches[-1][2] = issue + 1
        else:
            stretches.append([warp, issue, issue + 1])
    return stretches


def stretches(m: Measured, mark: str, sub_core: int = 0) -> int:
    """Number of uninterrupted stretches of one warp in the schedule."""
    return len(schedule(m, mark, sub_core))


def counter(m: Measured, name: str) -> int:
    """A counter of the whole kernel."""
    if name not in m.counters:
        raise GpusimError(f"{m.experiment.name}: no counter '{name}'; there are {', '.join(sorted(m.counters))}")
    return m.counters[name]


def dependence_counter(m: Measured, raised: list[str], lowered: list[list[str]], origin: str, at: int) -> str:
    """Values of a dependence counter as `cycle:value` at each change, the issue of `origin` being cycle `at`.

    It rises in the cycle behind Control of each mark in `raised`. It falls when a probe that waits for one producer
    alone issues: `lowered` are [program, mark of the probe] pairs; those programs differ in nothing else.
    """
    start = m.cycles(origin)[0] - at
    changes = [(m.cycles(mark, "control")[0] + 1 - start, 1) for mark in raised]
    for name, mark in lowered:
        other = m.others[name]
        changes.append((other.cycles(mark)[0] - (other.cycles(origin)[0] - at), -1))
    value, values = 0, {}
    for cycle, change in sorted(changes):
        value += change
        values[cycle] = value
    return " ".join(f"{cycle}:{value}" for cycle, value in values.items())


def peak_in_flight(m: Measured, mark: str) -> int:
    """Most marked instructions of warp 0 that had raised their counter and not yet written back."""
    rows = m.rows(mark)
    events = sorted([(c + 1, 1) for c in rows["control"].tolist()] + [(c + 1, -1) for c in rows["write_back"].tolist()])
    return int(np.cumsum([change for _, change in events]).max())


def least_stall(m: Measured, first: str, last: str) -> int | None:
    """Stall count that `first` needs if `last` follows it: the least at which the hazard checker finds no fault.

    Faults of other pairs do not count. Instructions between the two take one cycle each of what is found. None if no
    stall count is enough.
    """
    from gpusim.hazards.check import LARGEST_STALL, dependence_table, find_hazards

    producer, consumer = m.places(first)[0], m.places(last)[-1]
    table = dependence_table(m.launch.program, m.config)
    table.operands.stall[producer:consumer] = 1
    pair = (INSTRUCTION_BYTES * producer, INSTRUCTION_BYTES * consumer)
    for stall in range(1, LARGEST_STALL + 1):
        table.operands.stall[producer] = stall
        found = find_hazards(m.launch, table, m.config.sm.sub_core.issue)
        if pair not in {(hazard.producer_pc, hazard.consumer_pc) for hazard in found}:
            return stall + consumer - producer - 1
    return None


MEASURES: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        distance,
        gaps,
        cycles,
        nth_issue,
        steps,
        schedule,
        stretches,
        counter,
        dependence_counter,
        peak_in_flight,
        least_stall,
    )
}
