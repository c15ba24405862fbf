"""`gpusim sweep`: every combination of parameter values over traces."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from gpusim.cli.run import EXIT_INTERRUPTED
from gpusim.errors import GpusimError
from gpusim.inputs import ARCHITECTURES, find_trace
from gpusim.sass.fatbin import is_kernel_file

if TYPE_CHECKING:
    from gpusim.runs.sweep import Run


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
    from gpusim.runs.journal import Journal
    from gpusim.runs.sweep import frame, grid, sweep

    if args.resume and not args.output:
        raise GpusimError("--resume takes runs over from the --output file; name it")
    points = grid(args.set_grid)
    journal = Journal(args.output, resume=args.resume) if args.output else None
    if journal is not None and args.resume:
        print(f"gpusim: {len(journal)} runs taken over from {args.output}", file=sys.stderr)
    runs: list[Run] = []
    with tempfile.TemporaryDirectory(prefix="gpusim-sweep-") as folder:
        traces = _stored(args, Path(folder))
        steps = sweep(args.config, traces, points, common=args.set, jobs=args.jobs, journal=journal)
        try:
            for step in shown(steps, len(traces) * len(points)):
                runs.append(step)
        except KeyboardInterrupt:
            kept = f", kept in {args.output}: the same command with --resume goes on" if journal is not None else ""
            print(f"gpusim: interrupted after {len(runs)} of {len(traces) * len(points)} runs{kept}", file=sys.stderr)
            return EXIT_INTERRUPTED
    for warning in dict.fromkeys(warning for run in runs for warning in run.warnings):
        print(f"gpusim: warning: {warning}", file=sys.stderr)
    if args.csv:
        from gpusim.results.files import replacing

        with replacing(args.csv) as file:
            frame(runs).to_csv(file, index=False, lineterminator="\n")
    _print(runs)
    return 0


def _stored(args: argparse.Namespace, folder: Path) -> dict[str, Path]:
    """Trace folders by the names given; kernel files are traced into `folder` first."""
    traces: dict[str, Path] = {}
    for name in args.traces:
        path = find_trace(name)
        if name in traces:
            raise GpusimError(f"{name} is given twice; name each trace once")
        if path.is_file() and is_kernel_file(path):
            from gpusim.emulator.tracing import trace_kernel

            source, path = path, folder / str(len(traces))
            trace_kernel(source, Path(args.launch) if args.launch else None, path, ARCHITECTURES[args.arch])
        traces[name] = path
    return traces


def shown(runs: Iterator[Run], total: int) -> Iterator[Run]:
    """The runs as they come, with a bar on standard error where that is a terminal."""
    from rich.console import Console
    from rich.progress import track

    terminal = sys.stderr.isatty()
    return track(runs, "simulating", total, console=Console(stderr=True), transient=True, disable=not terminal)


def _print(runs: list[Run]) -> None:
    from rich.table import Table

    from gpusim.report.text import console_for
    from gpusim.runs.sweep import geometric_means, speed_ups

    table = Table()
    for heading in ("trace", "point"):
        table.add_column(heading, overflow="fold")
    for heading in ("cycles", "speed-up"):
        table.add_column(heading, justify="right")
    gains = speed_ups(runs)
    for number, each in enumerate(runs):
        trace = each.trace if number == 0 or runs[number - 1].trace != each.trace else ""
        gain = gains[each.trace, each.point.label]
        last = number + 1 == len(runs) or runs[number + 1].trace != each.trace
        table.add_row(trace, each.point.label, f"{each.cycles:,}", f"{gain:.3f}", end_section=last)
    if len({each.trace for each in runs}) > 1:
        for number, (label, mean) in enumerate(geometric_means(gains).items()):
            table.add_row("" if number else "geometric mean", label, "", f"{mean:.3f}")
    console_for(sys.stdout).print(table)


def jobs(text: str) -> int:
    """A number of processes, at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number
