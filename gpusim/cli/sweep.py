"""`gpusim sweep`: every combination of parameter values over traces."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING, Any

from gpusim.cli.arguments import add_compiling, compile_options, positive
from gpusim.cli.deliver import deliver
from gpusim.cli.exits import EXIT_BAD_INPUT
from gpusim.inputs import ARCHITECTURES

if TYPE_CHECKING:
    from gpusim.runs.sweep import Sweep, SweepProgress


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
    parser.add_argument("--arch", choices=ARCHITECTURES, help="compile .cu files for it (default: the card's)")
    add_compiling(parser)
    parser.add_argument("--any-arch", action="store_true", help="also simulate code that such a card does not run")
    parser.add_argument(
        "--jobs", type=positive, default=1, metavar="N", help="processes; the result does not depend on it"
    )
    parser.add_argument("--csv", metavar="FILE", help="write a row per launch and point with all counters and stalls")
    parser.add_argument("--output", metavar="FILE", help="keep finished runs in this file while the sweep goes on")
    parser.add_argument("--resume", action="store_true", help="take finished runs over from the --output file")
    parser.set_defaults(command=run)


def run(args: argparse.Namespace) -> int:
    """Print cycles and speed-ups over each trace's first point; returns the exit code.

    Where runs failed, the others are delivered and the exit code is that of bad input; after Ctrl-C, those that are
    finished are delivered. Raises OutputError when an output cannot be written, before anything is simulated.
    """
    from gpusim.results.files import output_files
    from gpusim.runs.sweep import SweepInterrupted, sweep

    output_files({"--csv": args.csv, "--output": args.output})
    try:
        with SweepView(args.output) as view:
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
                compile_options=compile_options(args),
                any_architecture=args.any_arch,
                progress=view,
            )
    except SweepInterrupted as interrupt:
        partial = interrupt.partial
        if len(partial):
            _deliver(partial, args)
        kept = f", kept in {args.output}: the same command with --resume goes on" if args.output else ""
        raise KeyboardInterrupt(f"interrupted after {len(partial)} of {partial.total} runs{kept}") from None
    complete = _deliver(result, args)
    return 0 if complete and not result.failures else EXIT_BAD_INPUT


def _deliver(result: Sweep, args: argparse.Namespace) -> bool:
    """Write the CSV and print the table, what was guessed and what failed; returns whether all could be written."""

    def write() -> None:
        from gpusim.results.files import replacing

        with replacing(args.csv) as file:
            result.to_frame().to_csv(file, index=False, lineterminator="\n")

    def show() -> None:
        _print(result)
        for warning in dict.fromkeys(warning for run in result for warning in run.warnings):
            print(f"gpusim: warning: {warning}", file=sys.stderr)
        for run in result.failed():
            print(f"gpusim: error: {run.trace} at {run.point.label}: {run.error}", file=sys.stderr)

    return deliver(show, [write] if args.csv else [])


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
    from gpusim.report.layout import Sheet
    from gpusim.report.text import console_for
    from gpusim.runs.sweep import geometric_means, speed_ups

    sheet = Sheet("trace", "point", "cycles", "speed-up", sides="ll")
    gains = speed_ups(result)
    before = None
    for run in result:
        if before not in (None, run.trace):
            sheet.end_section()
        gain = gains.get((run.trace, run.point.label))
        cycles = "failed" if run.cycles is None else f"{run.cycles:,}"
        speed_up = "" if gain is None else f"{gain:.3f}"
        sheet.add("" if run.trace == before else run.trace, run.point.label, cycles, speed_up)
        before = run.trace
    if len(result.traces) > 1:
        sheet.end_section()
        for number, (label, mean) in enumerate(geometric_means(gains, len(result.traces)).items()):
            sheet.add("" if number else "geometric mean", label, "", f"{mean:.3f}")
    sheet.print(console_for(sys.stdout))
