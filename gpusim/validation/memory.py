"""Simulate the measured curves of the memory hierarchy and compare plateaus, knees and bandwidths."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from gpusim.config.loading import load_config
from gpusim.errors import GpusimError
from gpusim.validation.memory_data import Curve, Point, RowData, load_curves
from gpusim.validation.memory_programs import KINDS, trace_of


@dataclass(frozen=True)
class SimulatedCurve:
    """A curve with the simulated value of each of its points."""

    curve: Curve
    simulated: tuple[float, ...]

    @property
    def sizes(self) -> list[float | str]:
        return [point[0] for point in self.curve.data.points]

    @property
    def measured(self) -> list[float]:
        return [point[1] for point in self.curve.data.points]


@dataclass(frozen=True)
class MemoryRow:
    """One comparison; `simulated` is None where the simulated curve has no such place. Errors are relative."""

    name: str
    card: str
    what: str
    unit: str
    expected: float
    simulated: float | None
    tolerance: float
    source: str

    @property
    def error(self) -> float | None:
        return None if self.simulated is None else self.simulated / self.expected - 1

    @property
    def good(self) -> bool:
        return self.error is not None and abs(self.error) <= self.tolerance


Shown = Callable[[Iterator[float], int], Iterable[float]]
"""Passes on the values as they come, knowing how many there will be: a progress bar."""


def choose(cards: Sequence[str] = (), only: str | None = None) -> list[Curve]:
    """The curves of some cards (default: all) whose name matches `only`. Raises GpusimError if there are none."""
    curves = load_curves()
    known = list(dict.fromkeys(curve.data.card for curve in curves))
    for card in cards:
        if card.removesuffix(".yaml") not in known:
            raise GpusimError(f"no curve was measured on '{card}'; there are curves of {', '.join(known)}")
    wanted = [card.removesuffix(".yaml") for card in cards] or known
    try:
        chosen = [c for c in curves if c.data.card in wanted and (only is None or re.search(only, c.data.id))]
    except re.error as error:
        raise GpusimError(f"--only {only}: not a regular expression: {error}") from error
    if not chosen:
        raise GpusimError(f"no curve matches '{only}'; there are {', '.join(c.data.id for c in curves)}")
    return chosen


def simulate_curves(
    curves: Sequence[Curve], overrides: Sequence[str] = (), shown: Shown = lambda values, _: values
) -> list[SimulatedCurve]:
    """Simulate every point. The caller's overrides win over the file's."""
    points = (simulate_point(curve, point, overrides) for curve in curves for point in curve.data.points)
    total = sum(len(curve.data.points) for curve in curves)
    values = iter(shown(points, total))
    return [SimulatedCurve(curve, tuple(islice(values, len(curve.data.points)))) for curve in curves]


def simulate_point(curve: Curve, point: Point, overrides: Sequence[str] = ()) -> float:
    """The simulated value of one point, in the unit of its file. Raises GpusimError for wrong data or overrides."""
    from gpusim.model.setup.simulate import RunOptions, simulate

    config = load_config(curve.data.card, [*curve.file.overrides, *overrides])
    work = KINDS[curve.file.kind](curve, point, config)
    short, long = simulate(trace_of(work, config.architecture), config, RunOptions()).kernels
    return work.value(long.cycles - short.cycles)


# ---- what is read off a curve


def rows_of(result: SimulatedCurve) -> list[MemoryRow]:
    """The comparisons of a curve."""
    data = result.curve.data
    rows = [
        _row(result, str(point[0]), f"{point[0]} kernel", result.curve.file.unit, data.tolerance, point[1], value)
        for point, value in zip(data.points, result.simulated)
        if data.tolerance
    ]
    for row in data.rows:
        unit = result.curve.file.unit if row.plateau else "KB"
        expected, simulated = (_value(result, row, values) for values in (result.measured, result.simulated))
        assert expected is not None, "what was measured passes between its own plateaus"
        rows.append(_row(result, row.id, row.what, unit, row.tolerance, expected, simulated))
    return rows


def _row(
    result: SimulatedCurve,
    name: str,
    what: str,
    unit: str,
    tolerance: float,
    expected: float,
    simulated: float | None,
) -> MemoryRow:
    data = result.curve.data
    return MemoryRow(f"{data.id}.{name}", data.card, what, unit, expected, simulated, tolerance, data.source)


def _value(result: SimulatedCurve, row: RowData, values: Sequence[float]) -> float | None:
    sizes = [size for size in result.sizes if not isinstance(size, str)]
    assert len(sizes) == len(result.sizes), "only curves over sizes have rows"
    if row.plateau:
        return plateau(sizes, values, row.plateau)
    assert row.knee is not None, "a row is a plateau or a knee"
    ranges = {other.id: other.plateau for other in result.curve.data.rows if other.plateau}
    return knee(sizes, values, ranges[row.knee[0]], ranges[row.knee[1]])


def plateau(sizes: Sequence[float], values: Sequence[float], limits: tuple[float, float]) -> float:
    """Mean of the values whose sizes lie within the limits."""
    inside = [value for size, value in zip(sizes, values) if limits[0] <= size <= limits[1]]
    return sum(inside) / len(inside)


def knee(
    sizes: Sequence[float], values: Sequence[float], low: tuple[float, float], high: tuple[float, float]
) -> float | None:
    """Size at which the values first pass the middle between two plateaus, interpolated on a logarithmic axis.

    `low` and `high` are the plateaus' sizes. None if the values never pass it.
    """
    middle = (plateau(sizes, values, low) + plateau(sizes, values, high)) / 2
    for k in range(1, len(sizes)):
        before, after = values[k - 1] - middle, values[k] - middle
        if sizes[k] > low[0] and before < 0 <= after:
            step = math.log(sizes[k] / sizes[k - 1]) * before / (before - after)
            return sizes[k - 1] * math.exp(step)
    return None
