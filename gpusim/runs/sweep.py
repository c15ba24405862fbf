"""A sweep: configurations times traces, simulated here or in worker processes, as rows in a fixed order.

Every run is recorded when it ends, whatever the others do; one that fails is a row that says why.
"""

from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from gpusim import yamlfile
from gpusim.compatibility import code_for
from gpusim.config.expansion import override_texts
from gpusim.config.loading import ConfigLike, Overrides, load_config
from gpusim.display import counted, html_table
from gpusim.errors import GpusimError
from gpusim.inputs import (
    TraceLike,
    architecture_number,
    find_trace,
    kernel_path,
    open_named,
)
from gpusim.results.columns import ERROR_COLUMN, KERNEL_FRAME, SWEEP_FRAME, Column, kernel_row
from gpusim.runs.journal import Journal, Memory, Outcome, Outcomes

if TYPE_CHECKING:
    import pandas

    from gpusim.config.models import GpuConfig


@dataclass(frozen=True)
class Point:
    """One configuration of a sweep: what tables call it, and the overrides (`KEY=VALUE`) that make it."""

    label: str
    overrides: tuple[str, ...]

    @property
    def settings(self) -> dict[str, Any]:
        """The values by key, as it was written."""
        pairs = (text.partition("=") for text in self.overrides)
        return {key: yamlfile.value(value, key) for key, _, value in pairs}


@dataclass(frozen=True)
class Run:
    """One trace at one point.

    kernels: a row per launch as KernelResult.summary, without the seconds, which are no property of the machine.
    warnings: what the model could only guess. error: why the run failed, which then has no kernels.
    """

    trace: str
    point: Point
    kernels: tuple[Mapping[str, Any], ...]
    warnings: tuple[str, ...] = ()
    error: str | None = None

    @property
    def cycles(self) -> int | None:
        """Cycles of all launches together, None where the run failed."""
        return None if self.error is not None else sum(kernel["cycles"] for kernel in self.kernels)


Grid: TypeAlias = "Mapping[str, Iterable[object]] | Sequence[str] | Sequence[Point]"
"""Values by key, or `KEY=V1,V2,...` texts, of which every combination is a point; or the points themselves."""
Traces: TypeAlias = "TraceLike | Iterable[TraceLike] | Mapping[str, TraceLike]"
"""One trace or several, or traces by the label that tables call them."""


@dataclass(frozen=True)
class SweepProgress:
    """Told when a sweep begins (run None) and at each run that ends.

    done: runs that are finished, those included that were `taken_over` from an earlier sweep. total: of all.
    """

    run: Run | None
    done: int
    total: int
    taken_over: int


@dataclass(frozen=True, eq=False)
class Sweep:
    """The finished runs of a sweep, in the order of the traces and, for each, of the points.

    Iterating gives Runs. With an `output` file they are read from it one by one, so that they take no memory.

    Attributes:
        config: name of the card. traces: labels. points: in order.
    """

    config: str
    traces: tuple[str, ...]
    points: tuple[Point, ...]
    _keys: Mapping[tuple[str, str], str]
    _outcomes: Outcomes

    def __iter__(self) -> Iterator[Run]:
        for trace, point in itertools.product(self.traces, self.points):
            if (key := self._keys[trace, point.label]) in self._outcomes:
                yield Run(trace, point, *self._outcomes[key])

    def __len__(self) -> int:
        """Finished runs, failed ones included."""
        return sum(key in self._outcomes for key in self._keys.values())

    @property
    def total(self) -> int:
        """Runs, finished or not."""
        return len(self._keys)

    @property
    def failures(self) -> int:
        """How many runs ended with an error."""
        return sum(key in self._outcomes.failed for key in self._keys.values())

    def failed(self) -> list[Run]:
        """The runs that ended with an error."""
        return [run for run in self if run.error is not None] if self.failures else []

    def to_frame(self) -> pandas.DataFrame:
        """A row per launch, and one per failed run: trace, point, a column per swept key, the figures of
        Result.to_frame but the seconds, error.

        Units are in `attrs["units"]`.
        """
        from gpusim.results.frames import frame_of

        keys = dict.fromkeys(key for point in self.points for key in point.settings)
        settings = [Column(key, "", "value of the parameter") for key in keys]
        columns = [*SWEEP_FRAME, *settings, *KERNEL_FRAME, ERROR_COLUMN]
        return frame_of((row for run in self for row in _rows(run)), columns)

    def __repr__(self) -> str:
        sizes = f"{counted(len(self.traces), 'trace')} at {counted(len(self.points), 'point')}"
        state = "" if len(self) == self.total else f", {len(self)} of {self.total} runs finished"
        failures = f", {self.failures} failed" if self.failures else ""
        return f"<Sweep of {self.config}: {sizes}{state}{failures}>"

    def _repr_html_(self) -> str:
        gains = speed_ups(self)
        rows = (
            (run.trace, run.point.label, run.error if run.cycles is None else run.cycles, _gain(gains, run))
            for run in self
        )
        return html_table(repr(self), ("trace", "point", "cycles", "speed-up"), rows)


def _gain(gains: Mapping[tuple[str, str], float], run: Run) -> str:
    gain = gains.get((run.trace, run.point.label))
    return "" if gain is None else f"{gain:.3f}"


class SweepInterrupted(KeyboardInterrupt):
    """Ctrl-C. `partial` is the Sweep with the runs that were finished."""

    def __init__(self, partial: Sweep) -> None:
        super().__init__("interrupted")
        self.partial = partial


# ---- points


def grid_points(axes: Grid) -> list[Point]:
    """The points of a grid, the last key varying fastest; in `KEY=V1,V2,...` the values are read as YAML.

    Raises GpusimError where an axis has no values or cannot be read.
    """
    if isinstance(axes, Mapping):
        choices = [_choices(key, values) for key, values in axes.items()]
    else:
        listed = [axes] if isinstance(axes, str) else list(axes)
        if listed and all(isinstance(axis, Point) for axis in listed):
            return [axis for axis in listed if isinstance(axis, Point)]
        choices = [_axis(str(axis)) for axis in listed]
    return [Point(" ".join(chosen) or "unchanged", chosen) for chosen in itertools.product(*choices)]


def _choices(key: str, values: Iterable[object]) -> list[str]:
    if isinstance(values, (str, Mapping)) or not isinstance(values, Iterable):
        raise GpusimError(f"grid axis '{key}': {values!r} should be a list of values, such as [0, 8, 16]")
    texts = [text for value in values for text in override_texts({key: value})]
    if not texts:
        raise GpusimError(f"grid axis '{key}': there are no values")
    return texts


def _axis(text: str) -> list[str]:
    key, _, values_text = text.partition("=")
    values = yamlfile.values(values_text, f"grid axis '{text}'")
    if not key.strip() or not values:
        raise GpusimError(f"grid axis '{text}': should be KEY=V1,V2,..., such as fetch.stream_buffer_lines=0,8,16")
    return _choices(key.strip(), values)


# ---- the sweep


class _Task(NamedTuple):
    """What one run needs; a worker process is given the path of a stored trace."""

    trace: TraceLike
    config: GpuConfig
    any_architecture: bool


def sweep(
    traces: Traces,
    config: ConfigLike,
    grid: Grid,
    *,
    common: Overrides = (),
    jobs: int = 1,
    output: str | Path | None = None,
    resume: bool = False,
    launch: str | Path | None = None,
    arch: str | int | None = None,
    compile_options: Sequence[str] = (),
    any_architecture: bool = False,
    progress: Callable[[SweepProgress], None] | None = None,
) -> Sweep:
    """Simulate every trace at every point of a grid.

    Args:
        traces: one or several, each an object, a path, a bundled name or a kernel file; by label, if a mapping.
        config: the card: an object, a name or a path.
        grid: `{key: [values]}`, or `["KEY=V1,V2", ...]`: every combination is a point; or a list of Points.
        common: overrides of all points, applied before the point's own.
        jobs: worker processes; the result does not depend on it. 1: everything runs in this process.
        output: file that takes each run when it ends. resume: take runs over from it; failed ones are run again.
        launch, arch: launch file and architecture of kernel files; None: that of the card (of the first point).
        compile_options: for the compiler of .cu files, as `-Iinclude`, `-DN=4`, `-std=c++17`.
        any_architecture: simulate also machine code that the card would not run.
        progress: is told when the sweep begins and whenever a run ends.

    Raises GpusimError, before anything runs, for a wrong configuration, trace, label or output file, and
    SweepInterrupted at Ctrl-C. A run that fails, or whose process is killed twice, has its `error` set instead.
    """
    points = grid_points(grid)
    labelled = _labelled(traces)
    _check_distinct("point", [point.label for point in points])
    if jobs < 1:
        raise GpusimError(f"jobs={jobs}: at least one process is needed")
    if resume and output is None:
        raise GpusimError("resume takes runs over from the output file (--output); name it")
    shared = override_texts(common)
    configs = [load_config(config, [*shared, *point.overrides]) for point in points]
    for source in labelled.values():
        _check(source)
    outcomes: Journal | Memory = Journal(output, resume=resume) if output is not None else Memory()
    with tempfile.TemporaryDirectory(prefix="gpusim-sweep-") as folder:
        architecture = code_for(configs[0]) if arch is None else architecture_number(arch)
        stored = _stored(labelled, Path(folder), launch, architecture, compile_options, in_files=jobs > 1)
        keys, tasks = _tasks(labelled, stored, points, configs, any_architecture)
        result = Sweep(configs[0].name, tuple(labelled), tuple(points), keys, outcomes)
        try:
            _simulate_missing(result, tasks, jobs, progress)
        except KeyboardInterrupt:
            raise SweepInterrupted(result) from None
    return result


def _labelled(traces: Traces) -> dict[str, TraceLike]:
    """Traces by label: the name that was given, or what a Trace was made from."""
    if isinstance(traces, Mapping):
        labelled = {str(label): source for label, source in traces.items()}
    else:
        several: list[TraceLike] = (
            [traces] if isinstance(traces, (str, Path)) or not isinstance(traces, Iterable) else list(traces)
        )
        labels = [_label(source) for source in several]
        _check_distinct("trace", labels)
        labelled = dict(zip(labels, several))
    if not labelled:
        raise GpusimError("a sweep needs a trace")
    return labelled


def _label(source: TraceLike) -> str:
    if isinstance(source, (str, Path)):
        return str(source)
    return open_named(source).provenance.get("source", "trace")


def _check_distinct(kind: str, labels: Sequence[str]) -> None:
    if repeated := sorted({label for label in labels if labels.count(label) > 1}):
        raise GpusimError(
            f"{kind}s of a sweep need labels of their own, {', '.join(repeated)} is given twice; "
            f"name each {kind} once, or give a mapping of labels to {kind}s"
        )


def _check(source: TraceLike) -> None:
    """Raises GpusimError where there is no such trace or kernel file, or the trace is damaged."""
    if kernel_path(source) is None:
        open_named(source)


def _stored(
    traces: Mapping[str, TraceLike],
    folder: Path,
    launch: str | Path | None,
    architecture: int,
    compile_options: Sequence[str],
    *,
    in_files: bool,
) -> dict[str, TraceLike]:
    """What is simulated: paths of stored traces, and Traces as they are unless worker processes need files.

    Kernel files are executed into `folder`.
    """
    from gpusim.emulator.tracing import trace_kernel
    from gpusim.trace.store import write_trace

    stored: dict[str, TraceLike] = {}
    for number, (label, source) in enumerate(traces.items()):
        path = folder / str(number)
        if kernel := kernel_path(source):
            trace_kernel(kernel, launch, path, architecture, compile_options=compile_options)
            stored[label] = path
        elif isinstance(source, (str, Path)):
            stored[label] = find_trace(source)
        elif in_files:
            write_trace(open_named(source), path)
            stored[label] = path
        else:
            stored[label] = source
    return stored


def _tasks(
    labelled: Mapping[str, TraceLike],
    stored: Mapping[str, TraceLike],
    points: Sequence[Point],
    configs: Sequence[GpuConfig],
    any_architecture: bool,
) -> tuple[dict[tuple[str, str], str], dict[str, _Task]]:
    """The key of every run, by the labels of its trace and point, and what each key stands for.

    A Trace has its own hash, stored for workers or not, so that a sweep can be resumed with another number of them.
    """
    from gpusim.runs.fingerprint import fingerprint_of, trace_digest

    keys: dict[tuple[str, str], str] = {}
    tasks: dict[str, _Task] = {}
    for label, source in stored.items():
        named = isinstance(labelled[label], (str, Path))
        digest = trace_digest(open_named(source if named else labelled[label]))
        for point, config in zip(points, configs, strict=True):
            key = " ".join(fingerprint_of(digest, config).values())
            keys[label, point.label] = key
            tasks[key] = _Task(source, config, any_architecture)
    return keys, tasks


def _simulate_missing(
    result: Sweep, tasks: Mapping[str, _Task], jobs: int, progress: Callable[[SweepProgress], None] | None
) -> None:
    """Run what is not recorded, or failed, and record each outcome at once."""
    outcomes = result._outcomes
    missing = [key for key in tasks if key not in outcomes]
    places: dict[str, list[tuple[str, Point]]] = {}
    for trace, point in itertools.product(result.traces, result.points):
        places.setdefault(result._keys[trace, point.label], []).append((trace, point))
    done = taken_over = result.total - sum(len(places[key]) for key in missing)

    def tell(run: Run | None) -> None:
        if progress:
            progress(SweepProgress(run, done, result.total, taken_over))

    tell(None)
    for number, outcome in _outcomes_of([tasks[key] for key in missing], jobs):
        outcomes.add(missing[number], outcome)
        for trace, point in places[missing[number]]:
            done += 1
            tell(Run(trace, point, *outcome))


def _outcomes_of(tasks: Sequence[_Task], jobs: int) -> Iterator[tuple[int, Outcome]]:
    """Outcomes with the number of their task, as they come."""
    from gpusim.runs.workers import ATTEMPTS, Died, as_completed

    if jobs == 1 or len(tasks) <= 1:
        for number, task in enumerate(tasks):
            yield number, _simulate(task)
        return
    for number, value in as_completed(_simulate, tasks, jobs):
        if isinstance(value, Died):
            value = Outcome((), (), f"{value.how}, {ATTEMPTS} times")
        yield number, value


def _simulate(task: _Task, ready: Callable[[], None] | None = None) -> Outcome:
    """Simulate one trace; a failure is part of the outcome. Calls `ready` once the model is compiled."""
    from gpusim.model.setup.simulate import RunOptions, simulate

    warnings: list[str] = []
    try:
        options = RunOptions(
            any_architecture=task.any_architecture,
            warn=warnings.append,
            progress=(lambda _: ready()) if ready else None,
        )
        result = simulate(open_named(task.trace), task.config, options)
    except GpusimError as error:
        return Outcome((), tuple(warnings), str(error))
    except MemoryError:
        return Outcome((), tuple(warnings), "out of memory")
    except Exception as error:
        return Outcome((), tuple(warnings), f"internal error: {type(error).__name__}: {error}")
    summaries = [kernel.summary() for kernel in result.kernels]
    for summary in summaries:
        del summary["seconds"]
    return Outcome(tuple(summaries), tuple(warnings))


# ---- tables


def speed_ups(runs: Iterable[Run]) -> dict[tuple[str, str], float]:
    """Cycles at a trace's first point over cycles at each point, by (trace, label of the point).

    Runs that failed have none, nor have those of a trace whose first one failed.
    """
    first: dict[str, int | None] = {}
    gains = {}
    for run in runs:
        base = first.setdefault(run.trace, run.cycles)
        if base is not None and run.cycles is not None:
            gains[run.trace, run.point.label] = base / run.cycles
    return gains


def geometric_means(values: Mapping[tuple[str, str], float], traces: int) -> dict[str, float]:
    """Geometric mean over all `traces`, by label of the point; points that some of the traces lack have none."""
    by_point: dict[str, list[float]] = {}
    for (_, label), value in values.items():
        by_point.setdefault(label, []).append(value)
    return {
        label: math.exp(math.fsum(map(math.log, found)) / len(found))
        for label, found in by_point.items()
        if len(found) == traces
    }


def _rows(run: Run) -> Iterator[dict[str, Any]]:
    names = {"trace": run.trace, "point": run.point.label, **run.point.settings, "error": run.error}
    if run.error is not None:
        yield names
    for launch, kernel in enumerate(run.kernels):
        yield names | kernel_row(launch, kernel)
