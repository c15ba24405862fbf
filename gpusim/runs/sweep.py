"""A sweep: configurations times traces, simulated here or in worker processes, as rows in a fixed order."""

from __future__ import annotations

import itertools
import json
import math
import multiprocessing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpusim import yamlfile
from gpusim.config.loading import load_config
from gpusim.errors import GpusimError

if TYPE_CHECKING:
    import pandas

    from gpusim.config.models import GpuConfig
    from gpusim.runs.journal import Journal, Outcome


@dataclass(frozen=True)
class Point:
    """One configuration of a sweep: what tables call it, and the overrides (`KEY=VALUE`) that make it."""

    label: str
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class Run:
    """One trace at one point.

    kernels: a row per launch as KernelResult.summary, without the seconds, which are no property of the machine.
    warnings: what the model could only guess.
    """

    trace: str
    point: Point
    kernels: tuple[Mapping[str, Any], ...]
    warnings: tuple[str, ...]

    @property
    def cycles(self) -> int:
        """Cycles of all launches together."""
        return sum(kernel["cycles"] for kernel in self.kernels)


def grid(axes: Sequence[str]) -> list[Point]:
    """Every combination of `KEY=V1,V2,...` axes, the last one varying fastest; values are read as YAML.

    Raises GpusimError where an axis has no values or cannot be read.
    """
    choices = [_axis(text) for text in axes]
    return [Point(" ".join(chosen), chosen) for chosen in itertools.product(*choices)]


def _axis(text: str) -> list[str]:
    key, _, values_text = text.partition("=")
    values = yamlfile.values(values_text, f"--set-grid {text}")
    if not key.strip() or not values:
        raise GpusimError(f"--set-grid {text}: should be KEY=V1,V2,..., such as fetch.stream_buffer_lines=0,8,16")
    return [f"{key.strip()}={value if isinstance(value, str) else json.dumps(value)}" for value in values]


def sweep(
    config: str,
    traces: Mapping[str, Path],
    points: Sequence[Point],
    *,
    common: Sequence[str] = (),
    jobs: int = 1,
    journal: Journal | None = None,
) -> Iterator[Run]:
    """Simulate every trace at every point; runs come trace by trace, each in the order of the points.

    traces: stored traces by label. common: overrides of all points, before the point's own. jobs: processes; with
    more than one, the first run is done here, so that the compiled code is complete before others read it. journal:
    runs that it holds are not simulated again, the others are added to it.

    Raises GpusimError, before anything runs, for a wrong configuration or a repeated label, and where a run fails.
    """
    _check_labels([point.label for point in points])
    configs = [load_config(config, [*common, *point.overrides]) for point in points]
    tasks = [(path, card) for path in traces.values() for card in configs]
    names = [(trace, point) for trace in traces for point in points]
    if journal is None:
        outcomes = _results(tasks, jobs)
    else:
        outcomes = _recorded(tasks, jobs, journal)
    for (trace, point), (kernels, warnings) in zip(names, outcomes, strict=True):
        yield Run(trace, point, kernels, warnings)


def _recorded(tasks: Sequence[tuple[Path, GpuConfig]], jobs: int, journal: Journal) -> Iterator[Outcome]:
    """Outcomes in order, from the journal where it has them."""
    from gpusim.runs.fingerprint import fingerprint
    from gpusim.trace.store import open_trace

    keys = [" ".join(fingerprint(open_trace(path), config).values()) for path, config in tasks]
    known = [key in journal for key in keys]
    new = _results([task for task, done in zip(tasks, known, strict=True) if not done], jobs)
    for key, done in zip(keys, known, strict=True):
        if not done:
            journal.add(key, next(new))
        yield journal[key]


def _check_labels(labels: Sequence[str]) -> None:
    if repeated := sorted({label for label in labels if labels.count(label) > 1}):
        raise GpusimError(f"points of a sweep need labels of their own; repeated: {', '.join(repeated)}")


def _results(tasks: Sequence[tuple[Path, GpuConfig]], jobs: int) -> Iterator[Outcome]:
    yield from map(_simulate, tasks[:1])
    if jobs == 1 or len(tasks) <= 2:
        yield from map(_simulate, tasks[1:])
        return
    # Fresh processes: a fork would inherit locks of whatever threads the caller has.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(tasks) - 1), mp_context=context) as pool:
        try:
            yield from pool.map(_simulate, tasks[1:])
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _simulate(task: tuple[Path, GpuConfig]) -> Outcome:
    """Summaries of a trace's kernels and the warnings."""
    from gpusim.model.setup.simulate import RunOptions, simulate
    from gpusim.trace.store import open_trace

    path, config = task
    warnings: list[str] = []
    result = simulate(open_trace(path), config, RunOptions(warn=warnings.append))
    summaries = [kernel.summary() for kernel in result.kernels]
    for summary in summaries:
        del summary["seconds"]
    return tuple(summaries), tuple(warnings)


def speed_ups(runs: Iterable[Run]) -> dict[tuple[str, str], float]:
    """Cycles at a trace's first point over cycles at each point, by (trace, label of the point)."""
    first: dict[str, int] = {}
    return {(run.trace, run.point.label): first.setdefault(run.trace, run.cycles) / run.cycles for run in runs}


def geometric_means(values: Mapping[tuple[str, str], float]) -> dict[str, float]:
    """Geometric mean over the traces, by label of the point."""
    by_point: dict[str, list[float]] = {}
    for (_, label), value in values.items():
        by_point.setdefault(label, []).append(value)
    return {label: math.exp(math.fsum(map(math.log, found)) / len(found)) for label, found in by_point.items()}


def frame(runs: Iterable[Run]) -> pandas.DataFrame:
    """Tidy table: a row per run and launch; columns trace, point, a column per swept key, and the kernel's figures.

    Stall reasons stand as `stall_NAME` in warp-cycles, counters under their names (gpusim.results.counters).
    """
    import pandas

    return pandas.DataFrame([row for run in runs for row in _records(run)])


def _records(run: Run) -> Iterator[dict[str, Any]]:
    pairs = (text.partition("=") for text in run.point.overrides)
    settings = {key: yamlfile.value(value, key) for key, _, value in pairs}
    for launch, kernel in enumerate(run.kernels):
        figures = {name: value for name, value in kernel.items() if not isinstance(value, (dict, list))}
        stalls = {f"stall_{reason}": cycles for reason, cycles in kernel["stalls"].items()}
        name = {"kernel": figures.pop("name")}
        yield (
            {"trace": run.trace, "point": run.point.label, **settings, "launch": launch}
            | name
            | figures
            | stalls
            | (kernel["counters"])
        )
