"""Run the experiments that the chosen rows need, and compare."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from gpusim.config.loading import load_config
from gpusim.config.models import GpuConfig
from gpusim.errors import GpusimError
from gpusim.trace.trace import Trace
from gpusim.validation.experiments import Experiment, Row, Suite, load_suite
from gpusim.validation.measures import MEASURES, Measured

GOOD, OFF, PENDING = "ok", "off", "pending"
REDUCTIONS: dict[str, Callable[[list[Any]], Any]] = {
    "max": max,
    "min": min,
    "spread": lambda values: max(values) - min(values),
    "differences": lambda values: [later - earlier for earlier, later in pairwise(values)],
}
"""What a row over several programs compares; `differences` are those between consecutive ones."""
PARTS = frozenset({"hazards"})
"""Parts of gpusim that rows may wait for (`needs`) and that are there."""
BUFFER_WORDS = 1 << 16
_LAUNCH = "  - {{kernel: {kernel}, grid: [1], block: [{block}], arguments: [{{buffer: data}}]}}\n"


@dataclass(frozen=True)
class RowResult:
    """A row with what the model gives (None while pending)."""

    row: Row
    simulated: Any
    status: str


def validate(card: str, only: str | None = None, overrides: Sequence[str] = ()) -> list[RowResult]:
    """Compare all rows that apply to a card, or those whose name matches `only`.

    Raises GpusimError for a wrong card, override, expression or data file, or if no row is chosen.
    """
    config = load_config(card, overrides)
    suite = load_suite(config.architecture)
    rows = [row for row in suite.rows if only is None or _search(only, row.name)]
    if not rows:
        raise GpusimError(f"no row of sm_{config.architecture} matches '{only or ''}'; see --only")
    ready = [row for row in rows if not _pending(row)]
    measured = run_experiments([suite.experiments[name] for name in needed(ready, suite)], card, overrides)
    return [RowResult(row, None, PENDING) if _pending(row) else compare(row, measured) for row in rows]


def _search(pattern: str, name: str) -> bool:
    try:
        return re.search(pattern, name) is not None
    except re.error as error:
        raise GpusimError(f"--only {pattern}: not a regular expression: {error}") from error


def _pending(row: Row) -> bool:
    return row.needs is not None and row.needs not in PARTS


def needed(rows: Iterable[Row], suite: Suite) -> list[str]:
    """Names of the experiments that rows refer to, in file order."""
    names: set[str] = set()
    for row in rows:
        names |= {*row.programs, *([row.minus] if row.minus else [])}
        names |= {program for program, _ in row.arguments.get("lowered", [])}
    return [name for name in suite.experiments if name in names]


def run_experiments(experiments: list[Experiment], card: str, overrides: Sequence[str]) -> dict[str, Measured]:
    """Simulate experiments, those of equal overrides as one trace. The caller's overrides win."""
    measured: dict[str, Measured] = {}
    groups: dict[tuple[str, ...], list[Experiment]] = {}
    for experiment in experiments:
        groups.setdefault(experiment.overrides, []).append(experiment)
    for own, group in groups.items():
        _run_group(group, load_config(card, [*own, *overrides]), measured)
    return measured


def _run_group(group: list[Experiment], config: GpuConfig, measured: dict[str, Measured]) -> None:
    from gpusim.model.setup.simulate import RunOptions, simulate

    trace = _trace(group, config.architecture)
    result = simulate(trace, config, RunOptions(timeline=True, strict=True))
    for experiment, launch, kernel in zip(group, trace.launches, result.kernels):
        assert kernel.timeline is not None, "it was asked for"
        measured[experiment.name] = Measured(experiment, launch, config, kernel.timeline, kernel.counters, measured)


def _trace(group: list[Experiment], architecture: int) -> Trace:
    """One trace with a launch per experiment. Raises GpusimError naming the experiment whose program is wrong."""
    from gpusim.emulator.tracing import trace_in_memory

    with tempfile.TemporaryDirectory() as folder:
        source, launch = Path(folder) / "experiments.sass", Path(folder) / "launch.yaml"
        source.write_text("\n".join(experiment.text for experiment in group))
        head = f"buffers:\n  data: {{dtype: uint32, shape: [{BUFFER_WORDS}], fill: zeros}}\nlaunches:\n"
        launch.write_text(head + "".join(_LAUNCH.format(kernel=e.kernel, block=e.block) for e in group))
        try:
            return trace_in_memory(source, launch, architecture)
        except GpusimError as error:
            if len(group) == 1:
                raise GpusimError(f"experiment {group[0].name}: {error}") from error
            for experiment in group:
                _trace([experiment], architecture)
            raise


def value_of(row: Row, program: Measured) -> Any:
    """Apply the row's measure to one program. Raises GpusimError for an unknown measure or wrong arguments."""
    measure = MEASURES.get(row.measure)
    if measure is None:
        raise GpusimError(f"{row.name}: no measure '{row.measure}'; there are {', '.join(MEASURES)}")
    try:
        return measure(program, **row.arguments)
    except TypeError as error:
        raise GpusimError(f"{row.name}: {error}") from error


def compare(row: Row, measured: dict[str, Measured]) -> RowResult:
    """Measure one row."""
    values = [value_of(row, measured[name]) for name in row.programs]
    simulated = values[0] if len(values) == 1 else REDUCTIONS[row.reduce](values)
    if row.minus:
        simulated -= value_of(row, measured[row.minus])
    return RowResult(row, simulated, GOOD if holds(row.expected, simulated) else OFF)


def holds(expected: Any, simulated: Any) -> bool:
    """Whether a value is as stated: equal, or within `{at_least: x}`, `{at_most: x}`, `{one_of: [...]}`."""
    if not isinstance(expected, dict):
        return simulated == expected
    tests = {
        "at_least": lambda limit: simulated >= limit,
        "at_most": lambda limit: simulated <= limit,
        "one_of": lambda choice: simulated in choice,
    }
    return all(tests[kind](limit) for kind, limit in expected.items())
