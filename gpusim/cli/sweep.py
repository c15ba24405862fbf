"""`gpusim sweep`: every combination of parameter values over traces."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gpusim.cli.run import EXIT_INTERRUPTED
from gpusim.inputs import ARCHITECTURES

if TYPE_CHECKING:
    from gpusim.runs.sweep import Sweep, SweepProgress

EXIT_FAILED = 2
"""A run failed, as for any other command that cannot simulate what it is given; the others are delivered."""


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "sweep",
        help="simulate traces at every combination of parameter values",
        description="Simulate traces at every combination of the values of --set-grid and compare their cycles.",
    )
    parser.add_argument("traces", nargs="+", metavar="TRACE", help="trace folder, bundled trace or kernel file")
    parser.add_argument("--config", required=True, metavar="NAME", help="card (a6000) or YAML file")
    parser.add_argument(
        "--set-grid", action="append", required=True, metavar="KEY=V1,V2,...", help="values of one parameter"
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override at every point")
    parser.add_argument("--launch", metavar="FILE", help="launch description of the kernel files")
    parser.add_argument("--arch", choices=ARCHITECTURES, default="sm_86", help="architecture .cu files compile for")
    parser.add_argument("--jobs", type=jobs, default=1, metavar="N", help="processes; the result does not depend on it")
    parser.add_argument("--csv", metavar="FILE", help="write a row per launch and point with all counters and stalls")
    parser.add_argument("--output", metavar="FILE", help="keep finished runs in this file while the sweep goes on")
    parser.add_argument("--resume", action="store_true", help="take finished runs over from the --output file")
    parser.set_defaults(command=run)


def run(args: argparse.Namespace) -> int:
    """Print cycles and speed-ups over each trace's first point; returns the exit code."""
    from gpusim.runs.sweep import SweepInterrupted, sweep

    try:
        with SweepView(args.output) as view, sigterm_as_interrupt():
            result = sweep(
                args.traces,
                args.config,
                args.set_grid,
                common=args.set,
                jobs=args.jobs,
                output=args.output,
                resume=args.resume,
                launch=args.launch,
                arch=args.arch,
                progress=view,
            )
    except SweepInterrupted as interrupt:
        partial = interrupt.partial
        if len(partial):
            _deliver(partial, args)
        kept = f", kept in {args.output}: the same command with --resume goes on" if args.output else ""
        print(f"gpusim: interrupted after {len(partial)} of {partial.total} runs{kept}", file=sys.stderr)
        return EXIT_INTERRUPTED
    _deliver(result, args)
    return EXIT_FAILED if result.failures else 0


def _deliver(result: Sweep, args: argparse.Namespace) -> None:
    """Print the table, what was guessed and what failed, and write the CSV."""
    _print(result)
    for warning in dict.fromkeys(warning for run in result for warning in run.warnings):
        print(f"gpusim: warning: {warning}", file=sys.stderr)
    for run in result.failed():
        print(f"gpusim: error: {run.trace} at {run.point.label}: {run.error}", file=sys.stderr)
    if args.csv:
        from gpusim.results.files import replacing

        with replacing(args.csv) as file:
            result.to_frame().to_csv(file, index=False, lineterminator="\n")


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Let SIGTERM end the command as Ctrl-C does, with what is finished kept; not where others handle or ignore it."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


class SweepView:
    """Shows the progress of a sweep on standard error: a bar on a terminal, else a line per run that ends.

    Use as a context manager and pass the object itself as `progress`.
    """

    def __init__(self, output: str | None = None) -> None:
        self._output = output
        self._start = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> SweepView:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            text, left = TextColumn("{task.description}", markup=False), TimeRemainingColumn()
            columns = (text, BarColumn(), MofNCompleteColumn(), TextColumn("ETA"), left)
            self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task("simulating", total=None)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, progress: SweepProgress) -> None:
        if self._bar is not None:
            self._bar.update(self._task, completed=progress.done, total=progress.total)
        run = progress.run
        if run is None:
            self._start = time.monotonic()
            if progress.taken_over:
                self._say(f"{progress.taken_over} runs taken over from {self._output}")
            return
        outcome = "failed" if run.cycles is None else f"{run.cycles:,} cycles"
        text = f"{run.trace} at {run.point.label}: {outcome}"
        if self._bar is not None:
            self._bar.update(self._task, description=text)
        else:
            self._say(f"run {progress.done} of {progress.total}: {text}{self._eta(progress)}")

    def _eta(self, progress: SweepProgress) -> str:
        left = progress.total - progress.done
        seconds = (time.monotonic() - self._start) / (progress.done - progress.taken_over) * left
        return f", ETA {seconds:,.0f} s" if left else ""

    def _say(self, message: str) -> None:
        if self._bar is not None:
            self._bar.console.print(f"gpusim: {message}", markup=False, highlight=False)
        else:
            print(f"gpusim: {message}", file=sys.stderr)


def _print(result: Sweep) -> None:
    from rich.table import Table

    from gpusim.report.text import console_for
    from gpusim.runs.sweep import geometric_means, speed_ups

    table = Table()
    for heading in ("trace", "point"):
        table.add_column(heading, overflow="fold")
    for heading in ("cycles", "speed-up"):
        table.add_column(heading, justify="right")
    gains = speed_ups(result)
    before = None
    for run in result:
        if before not in (None, run.trace):
            table.add_section()
        gain = gains.get((run.trace, run.point.label))
        cycles = "failed" if run.cycles is None else f"{run.cycles:,}"
        speed_up = "" if gain is None else f"{gain:.3f}"
        table.add_row("" if run.trace == before else run.trace, run.point.label, cycles, speed_up)
        before = run.trace
    if len(result.traces) > 1:
        table.add_section()
        for number, (label, mean) in enumerate(geometric_means(gains, len(result.traces)).items()):
            table.add_row("" if number else "geometric mean", label, "", f"{mean:.3f}")
    console_for(sys.stdout).print(table)


def jobs(text: str) -> int:
    """A number of processes, at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number
