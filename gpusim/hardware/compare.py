"""Kernels measured on cards beside the model's: cycles, cache hits and stall ratios of the same machine code.

Hardware figures come from an Nsight Compute report, or from a CSV of measured cycles whose rows name a trace or a
kernel file. Definitions are Nsight Compute's: active cycles are the mean over all SMs, hit rates those of sectors that
global loads look up in L1 and SMs read from L2, stall ratios warp-cycles per issued instruction. Warp-state samples,
where the report has them, are compared instruction by instruction (`gpusim.hardware.per_pc`), its counts of executed
instructions pipe by pipe (`gpusim.hardware.pipes`).
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpusim.compiling import Stopwatch
from gpusim.config import load_config
from gpusim.emulator.conditions import DEFAULTS, Conditions
from gpusim.errors import GpusimError
from gpusim.hardware.per_pc import PcComparison, compare_pcs
from gpusim.hardware.pipes import PipeCount, compare_pipes
from gpusim.plainfile import plain_size
from gpusim.results.columns import STALL_RATIO
from gpusim.results.stalls import STALL_REASONS
from gpusim.sass.reports import ReportedLaunch

if TYPE_CHECKING:
    import numpy as np

    from gpusim.config.loading import ConfigLike, Overrides
    from gpusim.config.models import GpuConfig
    from gpusim.emulator.launch import LaunchFile
    from gpusim.emulator.sources import OpenedSource
    from gpusim.model.setup.simulate import RunOptions
    from gpusim.results.result import KernelResult
    from gpusim.trace.trace import Launch, Trace

CYCLES = "gpc__cycles_elapsed.max"
ACTIVE = "sm__cycles_active.avg"
L1_LOADS = "l1tex__t_sectors_pipe_lsu_mem_global_op_ld"
L2_READS = "lts__t_sectors_srcunit_tex_op_read"


@dataclass(frozen=True)
class Figures:
    """One kernel on a card or in the model; None where it is not known.

    Attributes:
        cycles: from launch to end. active_cycles: mean over the SMs of cycles with a resident warp.
        warp_instructions: executed. l1_hits, l2_hits: percent of the sectors loaded or read.
        stalls: warp-cycles per issued instruction by reason; empty where not known.
    """

    cycles: float
    active_cycles: float | None = None
    warp_instructions: int | None = None
    l1_hits: float | None = None
    l2_hits: float | None = None
    stalls: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """One kernel measured and simulated.

    `source` names the report and launch or the row of the CSV; `per_pc` is None where no samples were measured, `pipes`
    has the pipe counters that were.
    """

    source: str
    kernel: str
    card: str
    hardware: Figures
    simulated: Figures
    counts_differ: bool
    cpu_seconds: float
    per_pc: PcComparison | None = None
    pipes: tuple[PipeCount, ...] = ()

    @property
    def label(self) -> str:
        """Kernel and where it was measured: `add, vec_add:0`."""
        return f"{self.kernel}, {self.source.replace('.ncu-rep launch ', ':')}"

    @property
    def error(self) -> float:
        """(simulated - hardware) / hardware of the cycles, percent."""
        return 100 * (self.simulated.cycles - self.hardware.cycles) / self.hardware.cycles


def mean_absolute_error(rows: Sequence[Comparison]) -> float:
    """Mean of the absolute percentage errors of the cycles (MAPE)."""
    return sum(abs(row.error) for row in rows) / len(rows)


# ---- figures


def reported_figures(launch: ReportedLaunch) -> Figures:
    """What a report says. Raises GpusimError where it carries no cycles."""
    cycles = launch.number(CYCLES, "gpc__cycles_elapsed.avg", "sm__cycles_elapsed.max")
    if cycles is None:
        raise GpusimError(f"{launch.label}: the report carries no {CYCLES}; profile with `--set full`")
    ratios = {reason: launch.number(STALL_RATIO.format(reason)) for reason in STALL_REASONS}
    return Figures(
        cycles=cycles,
        active_cycles=launch.number(ACTIVE),
        warp_instructions=launch.executed_total,
        l1_hits=_percent(launch.number(f"{L1_LOADS}_lookup_hit.sum"), launch.number(f"{L1_LOADS}.sum")),
        l2_hits=_percent(launch.number(f"{L2_READS}_lookup_hit.sum"), launch.number(f"{L2_READS}.sum")),
        stalls={reason: ratio for reason, ratio in ratios.items() if ratio is not None},
    )


def simulated_figures(result: KernelResult, config: GpuConfig) -> Figures:
    """What the model says, in the same definitions."""
    counters, issued = result.counters, max(result.warp_instructions, 1)
    return Figures(
        cycles=result.cycles,
        active_cycles=counters["sm_active_cycles"] / config.sms,
        warp_instructions=result.warp_instructions,
        l1_hits=_percent(counters["l1_load_hits"], counters["l1_load_sectors"]),
        l2_hits=_percent(counters["l2_read_hits"], counters["l2_read_sectors"]),
        stalls={reason: count / issued for reason, count in result.stalls.items()},
    )


def _percent(part: float | None, whole: float | None) -> float | None:
    return 100 * part / whole if part is not None and whole else None


# ---- reports


@dataclass(frozen=True)
class OpenedComparison:
    """A report and its launch file with everything that can be wrong with them already found out."""

    source: OpenedSource
    launch_file: LaunchFile
    profiled: tuple[ReportedLaunch, ...]
    cards: tuple[GpuConfig, ...]

    def rows(self, options: RunOptions, conditions: Conditions = DEFAULTS) -> Iterator[Comparison]:
        """Simulate every launch, as `compare_report`."""
        return compare_report(self, options, conditions)


def open_comparison(
    report: Path | str, launch: Path | str, config: ConfigLike | None = None, overrides: Overrides = ()
) -> OpenedComparison:
    """Open a report and its launch file; `config` names the card, None derives it from the report.

    Raises GpusimError for whatever is wrong with the input.
    """
    from gpusim.emulator.tracing import check_arguments, open_files
    from gpusim.hardware.card import derive_card

    source, launch_file = open_files(report, launch)
    if launch_file is None or source.report is None:
        raise GpusimError(f"{report}: a report (.ncu-rep) and its launch file are needed")
    with launch_file.meant_for(source.path):
        check_arguments(source, launch_file)
        found = [source.report.find(one.kernel, one.launch, str(launch_file.path)) for one in launch_file.launches]
    profiled = tuple(found)
    cards = tuple(load_config(config, overrides) if config else derive_card(each).load(overrides) for each in profiled)
    for each in profiled:
        reported_figures(each)  # one without cycles is refused before anything is run
    return OpenedComparison(source, launch_file, profiled, cards)


def compare_report(
    opened: OpenedComparison, options: RunOptions, conditions: Conditions = DEFAULTS
) -> Iterator[Comparison]:
    """Trace and simulate every launch of a launch file for a report, each on its own.

    The traces are streamed through a temporary folder. Raises GpusimError where a kernel cannot be run.
    """
    from gpusim.emulator.tracing import trace_opened
    from gpusim.trace.store import open_trace

    with tempfile.TemporaryDirectory(prefix="gpusim-compare-") as folder:
        summary = trace_opened(opened.source, opened.launch_file, Path(folder) / "trace", conditions=conditions)
        counts = summary.executed
        del summary  # the final buffers, which nobody compares here
        trace = open_trace(Path(folder) / "trace")
        for each, launch, executed, card in zip(opened.profiled, trace.launches, counts, opened.cards):
            yield compare_launch(each, launch, executed, card, options, Stopwatch())


def compare_launch(
    reported: ReportedLaunch,
    launch: Launch,
    executed: np.ndarray,
    card: GpuConfig,
    options: RunOptions,
    clock: Stopwatch,
) -> Comparison:
    """Simulate one launch beside what was measured.

    executed: (n,) executions of each instruction, counted by warps. clock: began when the launch's work did.
    """
    from gpusim.hardware.counts import check_counts

    result = _simulate_one(launch, card, options)
    differ = not check_counts(reported, launch.program, executed).ok
    figures = reported_figures(reported), simulated_figures(result, card), differ, clock.cpu_seconds
    per_pc = compare_pcs(reported.samples, result, launch.program) if reported.samples else None
    pipes = compare_pipes(reported, launch.program, result.pc_issues)
    return Comparison(reported.label, reported.function, card.name, *figures, per_pc, pipes)


def _simulate_one(launch: Launch, config: GpuConfig, options: RunOptions) -> KernelResult:
    from gpusim.model.setup.simulate import simulate
    from gpusim.trace.trace import Trace

    return simulate(Trace((launch,)), config, options).kernels[0]


# ---- measured cycles in a CSV

COLUMNS = ("kernel", "cycles", "card", "trace", "launch")
REQUIRED = ("cycles", "card", "trace")
"""Columns of a CSV: `kernel` chooses by name among the launches of `trace`, which is a trace folder, a bundled trace
or a kernel file with its `launch` file, relative to the CSV; `card` is a configuration."""


def read_measurements(path: Path | str) -> list[dict[str, str]]:
    """Rows of a CSV of measured cycles. Raises GpusimError naming file, line and column of what is missing or wrong."""
    import csv

    from gpusim.errors import nearest

    plain_size(path, "a CSV")
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            names = reader.fieldnames or ()
            rows = [{**row, "line": str(reader.line_num)} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise GpusimError(f"{path}: cannot be read as CSV: {error}") from error
    parts = [f"lacks the column '{name}'" for name in REQUIRED if name not in names]
    parts += [f"has an unknown column '{name}'{nearest(name, COLUMNS)}" for name in names if name not in COLUMNS]
    if parts:
        raise GpusimError(f"{path}:1: {'; '.join(parts)}; columns are {', '.join(COLUMNS)}")
    problems = [f"{path}:{row['line']}: {problem}" for row in rows for problem in _row_problems(row)]
    if problems or not rows:
        raise GpusimError("\n".join(problems) or f"{path}: holds no row")
    return rows


@dataclass(frozen=True)
class OpenedMeasurements:
    """A CSV of measured cycles; `config` stands for the cards that its rows name, unless it is None."""

    path: Path
    measured: tuple[Mapping[str, Any], ...]
    config: ConfigLike | None
    overrides: Overrides
    compile_options: Sequence[str]

    def rows(self, options: RunOptions, conditions: Conditions = DEFAULTS) -> Iterator[Comparison]:
        """Execute the kernel of every row as `conditions` say, and simulate it. Raises GpusimError where that fails."""
        from gpusim.compatibility import code_for
        from gpusim.inputs import load_source

        for row in self.measured:
            beside = self.path.parent / row["trace"]
            launch = self.path.parent / row["launch"] if row.get("launch") else None
            source = beside if beside.exists() else row["trace"]
            config = load_config(self.config or row["card"], self.overrides)
            trace = load_source(
                source,
                launch,
                code_for(config),
                check=options.warn,
                conditions=conditions,
                compile_options=self.compile_options,
            )
            yield compare_measurement(self.path, row, trace, config, options)


def _row_problems(row: Mapping[str | None, Any]) -> Iterator[str]:
    if None in row:  # what csv gives to fields beyond the header
        yield f"{len(row[None])} fields more than the header has columns; put names with commas in quotes"
    for name in REQUIRED:
        if not row[name]:
            yield f"the column '{name}' is empty; each row needs {', '.join(REQUIRED)}"
    if row["cycles"] and not _is_count(row["cycles"]):
        yield f"cycles is '{row['cycles']}', not a number above 0"


def _is_count(text: str) -> bool:
    try:
        return 0 < float(text) < math.inf
    except ValueError:
        return False


def compare_measurement(
    path: Path, row: Mapping[str, Any], trace: Trace, config: GpuConfig, options: RunOptions
) -> Comparison:
    """Simulate the kernel of one row of a CSV. Raises GpusimError where the trace has no such kernel, or several."""
    from gpusim.emulator.sources import choose_name

    names = [launch.program.name for launch in trace.launches]
    name = choose_name(names, row.get("kernel") or None, f"{path}:{row['line']}")
    clock = Stopwatch()
    simulated = simulated_figures(_simulate_one(trace.launches[names.index(name)], config, options), config)
    source, measured = f"{path.name}:{row['line']}", Figures(float(row["cycles"]))
    return Comparison(source, name, config.name, measured, simulated, False, clock.cpu_seconds)


# ---- reports and CSV files together

CSV_SUFFIX = ".csv"


def open_all(
    measured: Sequence[str],
    launches: Sequence[str],
    config: ConfigLike | None = None,
    overrides: Overrides = (),
    compile_options: Sequence[str] = (),
) -> list[OpenedComparison | OpenedMeasurements]:
    """Open reports, each with its launch file, and CSV files, which have none; in the order given.

    compile_options: for the compiler of .cu files that a CSV names.

    Raises GpusimError for whatever is wrong with them, or where launch files are missing.
    """
    reports = [path for path in measured if not path.endswith(CSV_SUFFIX)]
    if len(reports) != len(launches):
        raise GpusimError(
            f"{len(reports)} reports and {len(launches)} launch files: give one launch file per report, in order"
        )
    launch = iter(launches)
    return [
        OpenedMeasurements(Path(path), tuple(read_measurements(path)), config, overrides, compile_options)
        if path.endswith(CSV_SUFFIX)
        else open_comparison(path, next(launch), config, overrides)
        for path in measured
    ]
