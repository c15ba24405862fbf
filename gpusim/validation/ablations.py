"""The alternatives that arXiv 2503.20481 compares (its Tables 5 to 7), measured on this project's kernels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from gpusim import yamlfile
from gpusim.config.loading import load_config
from gpusim.config.models import GpuConfig
from gpusim.errors import GpusimError
from gpusim.resources import find
from gpusim.runs.sweep import Point, Run, SweepProgress, geometric_means, speed_ups, sweep
from gpusim.schema import Strict, load

MEAN = "geometric mean"
NEUTRAL = 0.005
"""A speed-up nearer to 1 than this has no direction: half of the last digit that the paper prints."""
REGISTER_BITS = 32
UNLIMITED = 0
"""Value of max_consumers for scoreboards that never run out."""


class Storage(Strict):
    """What a dependence mechanism keeps for one warp, in entries and bits (paper 7.5)."""

    registers: int
    uniform_registers: int
    predicates: int
    uniform_predicates: int
    dependence_counters: int
    dependence_counter_bits: int
    stall_counter_bits: int
    yield_bits: int

    def control_bits(self) -> int:
        """Bits per warp of stall counter, yield and dependence counters."""
        counters = self.dependence_counters * self.dependence_counter_bits
        return counters + self.stall_counter_bits + self.yield_bits

    def scoreboard_bits(self, max_consumers: int) -> int:
        """Bits per warp of one pending-write bit and one counter of consumers for everything that can be written."""
        entries = self.registers + self.uniform_registers + self.predicates + self.uniform_predicates
        return entries + entries * math.ceil(math.log2(max_consumers + 1))


@dataclass(frozen=True)
class Alternative:
    """One point of a table with the paper's speed-ups: of all its benchmarks, and of single ones by our trace."""

    point: Point
    paper: float
    paper_kernels: Mapping[str, float]


@dataclass(frozen=True)
class Table:
    """One table of the paper."""

    name: str
    title: str
    source: str
    alternatives: tuple[Alternative, ...]
    area: bool


@dataclass(frozen=True)
class Suite:
    """The tables, and what is simulated at each of their points."""

    config: str
    common: tuple[str, ...]
    traces: tuple[str, ...]
    storage: Storage
    tables: tuple[Table, ...]


@dataclass(frozen=True)
class Cell:
    """One trace, or the mean over all (cycles and stalls None), at one point of a table.

    area: percent of the register file's bits, None where the table has no such column or it is unbounded.
    stalls: warp-cycles by reason. first: the point that speed-ups are over.
    """

    table: str
    trace: str
    point: str
    first: bool
    cycles: int | None
    speed_up: float
    paper: float | None
    area: float | None
    stalls: Mapping[str, int] | None

    @property
    def agrees(self) -> bool | None:
        """Whether paper and simulator say faster, slower or neither alike; None where there is nothing to compare."""
        return None if self.first or self.paper is None else direction(self.paper) == direction(self.speed_up)


def direction(speed_up: float) -> int:
    """1 faster, -1 slower, 0 within NEUTRAL."""
    return 0 if abs(speed_up - 1) < NEUTRAL else 1 if speed_up > 1 else -1


class PointData(Strict):
    """A point of a table in the file: overrides and the paper's speed-ups."""

    label: str
    set: tuple[str, ...]
    paper: float
    paper_kernels: dict[str, float] = Field(default_factory=dict)

    def alternative(self) -> Alternative:
        return Alternative(Point(self.label, self.set), self.paper, self.paper_kernels)


class TableData(Strict):
    name: str
    title: str
    source: str
    area: bool = False
    points: Annotated[tuple[PointData, ...], Field(min_length=1)]

    def table(self) -> Table:
        alternatives = tuple(point.alternative() for point in self.points)
        return Table(self.name, self.title, self.source, alternatives, self.area)


class FileData(Strict):
    """The whole file."""

    config: str
    common: tuple[str, ...]
    traces: Annotated[tuple[str, ...], Field(min_length=1)]
    storage: Storage
    tables: tuple[TableData, ...]


def load_suite() -> Suite:
    """The packaged tables. Raises GpusimError where the file is not as described above."""
    data = load(FileData, yamlfile.read(find("validation/alternatives") / "tables.yaml"))
    return Suite(data.config, data.common, data.traces, data.storage, tuple(table.table() for table in data.tables))


def area_percent(storage: Storage, config: GpuConfig) -> float | None:
    """Bits of the SM's dependence mechanism in percent of its register file; None for unlimited consumers."""
    dependence = config.sm.sub_core.dependence
    if dependence.mode == "control_bits":
        bits = storage.control_bits()
    elif dependence.max_consumers == UNLIMITED:
        return None
    else:
        bits = storage.scoreboard_bits(dependence.max_consumers)
    return 100 * bits * config.sm.warps / (config.sm.registers * REGISTER_BITS)


def measure(
    suite: Suite,
    traces: Mapping[str, Path],
    jobs: int = 1,
    progress: Callable[[SweepProgress], None] | None = None,
) -> dict[str, list[Cell]]:
    """Simulate every table of the suite; a configuration that several tables share runs once.

    traces: stored traces by the suite's names. progress: as for `sweep`.
    Returns the cells by name of the table: point by point, each with the traces in order, then the mean.
    Raises GpusimError where a trace is missing or a run fails.
    """
    if missing := [name for name in suite.traces if name not in traces]:
        raise GpusimError(f"traces missing for the comparison: {', '.join(missing)}")
    points = [alternative.point for table in suite.tables for alternative in table.alternatives]
    configs = {point: load_config(suite.config, [*suite.common, *point.overrides]) for point in points}
    unique = {config: Point(str(number), point.overrides) for number, (point, config) in enumerate(configs.items())}
    chosen = {name: traces[name] for name in suite.traces}
    done = sweep(chosen, suite.config, list(unique.values()), common=suite.common, jobs=jobs, progress=progress)
    for run in done.failed():
        raise GpusimError(f"{run.trace} with {' '.join(run.point.overrides)}: {run.error}")
    runs = {(run.trace, run.point.label): run for run in done}
    found = {(trace, point): runs[trace, unique[configs[point]].label] for trace in chosen for point in points}
    return {table.name: _cells(table, suite, found, configs) for table in suite.tables}


def _cells(
    table: Table, suite: Suite, found: Mapping[tuple[str, Point], Run], configs: Mapping[Point, GpuConfig]
) -> list[Cell]:
    points = [alternative.point for alternative in table.alternatives]
    runs = [Run(t, p, found[t, p].kernels, found[t, p].warnings) for t in suite.traces for p in points]
    gains = speed_ups(runs)
    means = geometric_means(gains, len(suite.traces))
    cells = []
    for alternative in table.alternatives:
        point, label, first = alternative.point, alternative.point.label, alternative.point == points[0]
        area = area_percent(suite.storage, configs[point]) if table.area else None
        for trace in suite.traces:
            run, paper = found[trace, point], alternative.paper_kernels.get(trace)
            gain = gains[trace, label]
            cells.append(Cell(table.name, trace, label, first, run.cycles, gain, paper, area, _stalls(run)))
        cells.append(Cell(table.name, MEAN, label, first, None, means[label], alternative.paper, area, None))
    return cells


def _stalls(run: Run) -> dict[str, int]:
    reasons: Sequence[str] = list(run.kernels[0]["stalls"])
    return {reason: sum(kernel["stalls"][reason] for kernel in run.kernels) for reason in reasons}
