"""`gpusim compare`: kernels profiled on a card beside the same machine code in the model."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from gpusim.errors import GpusimError
from gpusim.inputs import load_source

if TYPE_CHECKING:
    from gpusim.hardware.compare import Comparison
    from gpusim.model.setup.simulate import RunOptions

CSV_SUFFIX = ".csv"


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "compare",
        help="profiled kernels beside the model: cycles, cache hits, stall reasons",
        description="Trace the machine code in Nsight Compute reports, simulate it on the card that each report "
        "describes, and compare cycles, cache hits and stall reasons. A CSV of measured cycles (columns kernel, "
        "cycles, card, trace, launch) may stand in place of reports.",
    )
    parser.add_argument("measured", nargs="+", metavar="REPORT", help=".ncu-rep files, or .csv files")
    parser.add_argument(
        "--launch", nargs="+", default=[], metavar="FILE", help="a launch file per report, in the same order"
    )
    parser.add_argument("--config", metavar="NAME", help="card or YAML file for all (default: derived from the report)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override one parameter")
    parser.add_argument("--any-arch", action="store_true", help="also simulate code that the card does not run")
    parser.add_argument("--csv", metavar="FILE", help="write a row per kernel, all stall reasons included")
    parser.add_argument("--json", metavar="FILE", help="write the same as JSON")
    parser.add_argument("--markdown", metavar="FILE", help="write the tables as Markdown")
    parser.set_defaults(command=run)


def run(args: argparse.Namespace) -> int:
    """Compare and print; returns the exit code."""
    from gpusim.report.compare import print_comparison, write_files
    from gpusim.report.text import console_for

    reports = [path for path in args.measured if not path.endswith(CSV_SUFFIX)]
    if len(reports) != len(args.launch):
        raise GpusimError(
            f"{len(reports)} reports and {len(args.launch)} launch files: give one --launch file per report, in order"
        )
    rows = list(_compared(args))
    write_files(rows, args.csv, args.json, args.markdown)
    print_comparison(console_for(sys.stdout), rows)
    return 0


def _compared(args: argparse.Namespace) -> Iterator[Comparison]:
    """Every kernel in the order of the command line; all input is opened before the first is run."""
    from gpusim.cli.progress import ProgressView
    from gpusim.hardware.compare import compare_report, open_comparison, read_measurements
    from gpusim.model.setup.simulate import RunOptions

    launches = iter(args.launch)
    opened = [
        read_measurements(path)
        if path.endswith(CSV_SUFFIX)
        else open_comparison(path, next(launches), args.config, args.set)
        for path in args.measured
    ]
    for path, each in zip(args.measured, opened):
        with ProgressView() as progress:
            options = RunOptions(any_architecture=args.any_arch, progress=progress, warn=progress.warn)
            rows = (
                _measured(Path(path), each, args, options) if isinstance(each, list) else compare_report(each, options)
            )
            for row in rows:
                progress.say(
                    f"{row.kernel}: {row.hardware.cycles:,.0f} cycles measured, {row.simulated.cycles:,.0f} simulated"
                )
                yield row


def _measured(
    path: Path, rows: list[dict[str, str]], args: argparse.Namespace, options: RunOptions
) -> Iterator[Comparison]:
    """Every row of a CSV."""
    from gpusim.compatibility import code_for
    from gpusim.config import load_config
    from gpusim.hardware.compare import compare_measurement

    for row in rows:
        card = load_config(args.config or row["card"], args.set)
        beside = path.parent / row["trace"]
        launch = str(path.parent / row["launch"]) if row.get("launch") else None
        trace = load_source(
            str(beside) if beside.exists() else row["trace"], launch, code_for(card), check=options.warn
        )
        yield compare_measurement(path, row, trace, card, options)
