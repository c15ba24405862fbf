"""`gpusim compare`: kernels profiled on a card beside the same machine code in the model."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from gpusim.cli.arguments import add_compiling, add_lenient, compile_options
from gpusim.cli.deliver import deliver
from gpusim.cli.exits import EXIT_BAD_INPUT
from gpusim.emulator.conditions import Conditions, to_stderr
from gpusim.errors import GpusimError

if TYPE_CHECKING:
    from gpusim.cli.progress import ProgressView
    from gpusim.hardware.compare import Comparison
    from gpusim.results.files import OutputFile


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "compare",
        help="profiled kernels beside the model: cycles, cache hits, stall reasons, pipes",
        description="Trace the machine code in Nsight Compute reports, simulate it on the card that each report "
        "describes, and compare cycles, cache hits, stall reasons and instructions by pipe. A CSV of measured cycles "
        "(columns kernel, cycles, card, trace, launch) may stand in place of reports.",
    )
    parser.add_argument("measured", nargs="+", metavar="REPORT", help=".ncu-rep files, or .csv files")
    parser.add_argument(
        "--program",
        action="store_true",
        help="take the launches of one report from the program that was profiled (.cu or executable), which follows "
        "behind -- with its arguments, instead of from a launch file",
    )
    parser.add_argument(
        "--launch",
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE",
        help="a launch file per report, in the same order",
    )
    parser.add_argument("--config", metavar="NAME", help="card or YAML file for all (default: derived from the report)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override one parameter")
    parser.add_argument("--any-arch", action="store_true", help="also simulate code that the card does not run")
    add_compiling(parser)
    add_lenient(parser)
    parser.add_argument("--csv", metavar="FILE", help="write a row per kernel, all stall reasons included")
    parser.add_argument("--json", metavar="FILE", help="write the same as JSON")
    parser.add_argument("--markdown", metavar="FILE", help="write the tables as Markdown")
    parser.add_argument(
        "--per-pc",
        metavar="FILE",
        help="also compare where warps stood with the report's warp-state samples, instruction by instruction; "
        "write a CSV row for each",
    )
    parser.set_defaults(command=run)


def run(args: argparse.Namespace) -> int:
    """Compare and print; returns the exit code."""
    from gpusim.results.files import output_files

    if args.program != bool(args.behind) or (args.program and (len(args.measured) > 1 or args.launch)):
        raise GpusimError("one report and its program: gpusim compare REPORT --program -- PROGRAM [ARGUMENT ...]")
    outputs = output_files(
        {"--csv": args.csv, "--json": args.json, "--markdown": args.markdown, "--per-pc": args.per_pc}
    )
    rows: list[Comparison] = []
    try:
        rows.extend(_of_program(args) if args.program else _compared(args))
    except BaseException:
        _deliver(rows, outputs)
        raise
    return 0 if _deliver(rows, outputs) else EXIT_BAD_INPUT


def _deliver(rows: list[Comparison], outputs: Mapping[str, OutputFile]) -> bool:
    """Write and print what was compared; returns whether all of it could be written."""
    from gpusim.report.compare import print_comparison, write_csv, write_json, write_markdown, write_pc_csv
    from gpusim.report.text import console_for

    if not rows:
        return True
    per_pc = "--per-pc" in outputs
    writers: Mapping[str, Callable[..., None]] = {
        "--csv": write_csv,
        "--json": write_json,
        "--markdown": partial(write_markdown, per_pc=per_pc),
        "--per-pc": write_pc_csv,
    }
    writes = [partial(writers[option], output, rows) for option, output in outputs.items()]
    return deliver(lambda: print_comparison(console_for(sys.stdout), rows, per_pc), writes)


def _of_program(args: argparse.Namespace) -> Iterator[Comparison]:
    """The launches of a report that its program makes."""
    from gpusim.cli.progress import ProgressView
    from gpusim.hardware.programs import compare_program
    from gpusim.model.setup.simulate import RunOptions
    from gpusim.processors import cores

    with ProgressView() as progress:
        options = RunOptions(any_architecture=args.any_arch, threads=cores(), progress=progress, warn=progress.warn)
        compared = compare_program(
            args.measured[0],
            args.behind,
            options,
            args.config,
            args.set,
            compile_options(args),
            partial(_tell, progress),
        )
    for missed in compared.missed:
        print(f"gpusim: note: {missed.label}: the program did not launch {missed.function} so", file=sys.stderr)
    if compared.exit_code:
        print(f"gpusim: note: the program ended with exit code {compared.exit_code}", file=sys.stderr)
    yield from compared.rows


def _tell(progress: ProgressView, row: Comparison) -> None:
    progress.say(f"{row.kernel}: {row.hardware.cycles:,.0f} cycles measured, {row.simulated.cycles:,.0f} simulated")


def _compared(args: argparse.Namespace) -> Iterator[Comparison]:
    """Every kernel in the order of the command line; all input is opened before the first is run."""
    from gpusim.cli.progress import ProgressView
    from gpusim.hardware.compare import open_all
    from gpusim.model.setup.simulate import RunOptions
    from gpusim.processors import cores

    conditions = Conditions(lenient=args.lenient, write=to_stderr)
    for opened in open_all(args.measured, args.launch, args.config, args.set, compile_options(args)):
        with ProgressView() as progress:
            options = RunOptions(any_architecture=args.any_arch, threads=cores(), progress=progress, warn=progress.warn)
            for row in opened.rows(options, conditions):
                _tell(progress, row)
                yield row
