"""`gpusim trace`: execute a kernel and record what its warps did; `gpusim trace info`: what a trace holds."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gpusim.cli.arguments import add_compiling, add_cta_limit, add_lenient, compile_options
from gpusim.cli.exits import EXIT_CHECK_FAILED
from gpusim.emulator.conditions import Conditions
from gpusim.errors import GpusimError
from gpusim.inputs import ARCHITECTURES, find_trace

if TYPE_CHECKING:
    from gpusim.checking import CheckFile
    from gpusim.emulator.launch import LaunchFile
    from gpusim.emulator.tracing import TraceSummary
    from gpusim.sass.reports import Report

INFO_COMMAND = "trace info"
"""One name for the parser, which has no place for a word beside a path."""
OPCODES_SHOWN = 20
BESIDE = ""
"""`--check` without a file: the check file beside the kernel."""
USAGE = """gpusim trace KERNEL [--launch FILE] [-o DIR] [--check [FILE]] [--arch SM] [-I DIR] [-D NAME[=VALUE]]
                    [-std STANDARD] [--cta-limit N] [--lenient]
                                             [--overwrite]
       gpusim trace info DIR [--json]"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "trace",
        help="execute a kernel on the CPU and write its trace; `trace info DIR` shows one",
        usage=USAGE,
        description="Execute a kernel (.cu, .cubin, .sass, an executable, or a launch of an Nsight Compute report) "
        "functionally and write its trace. Executed counts of a report, expected buffers of the launch file and, with "
        "--check, a check file are compared with the run; exit code 1 if anything differs.",
    )
    parser.add_argument("kernel", metavar="KERNEL", help="kernel file")
    parser.add_argument("--launch", metavar="FILE", help="launch description (a .sass file may carry its own)")
    parser.add_argument("-o", "--output", metavar="DIR", help="folder to make; optional if something is compared")
    parser.add_argument(
        "--check",
        nargs="?",
        const=BESIDE,
        metavar="FILE",
        help="execute a check file on the results (default: NAME.check.py beside the kernel)",
    )
    parser.add_argument(
        "--arch", choices=ARCHITECTURES, default="sm_86", help="architecture a .cu file is compiled for"
    )
    add_compiling(parser)
    add_cta_limit(parser)
    add_lenient(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace a trace that is there")
    parser.set_defaults(command=run)

    info = commands.add_parser(INFO_COMMAND, prog="gpusim trace info", description="Show what a trace holds.")
    info.add_argument("trace", metavar="DIR", help="trace folder or bundled trace (ampere/sgemm)")
    info.add_argument("--json", action="store_true", help="print one JSON object")
    info.set_defaults(command=run_info)


def run(args: argparse.Namespace) -> int:
    """Trace a kernel; returns the exit code."""
    from gpusim.cli.progress import TraceProgress
    from gpusim.emulator.tracing import open_files, trace_opened
    from gpusim.trace.store import check_target

    if not Path(args.kernel).is_file():
        raise GpusimError(f"{args.kernel}: no such file")
    if args.output is not None:
        check_target(args.output, overwrite=args.overwrite)
    source, launch_file = open_files(args.kernel, args.launch, ARCHITECTURES[args.arch], compile_options(args))
    check = _load_check(args, launch_file) if args.check is not None else None
    compared = source.report is not None or (launch_file is not None and launch_file.expected)
    if args.output is None and check is None and not compared:
        raise GpusimError("nothing to keep and nothing to compare: name a folder with -o, or use --check")
    summary = trace_opened(
        source,
        launch_file,
        args.output,
        overwrite=args.overwrite,
        progress=TraceProgress(),
        conditions=Conditions(args.cta_limit, lenient=args.lenient),
    )
    if source.report is not None:
        assert launch_file is not None, "a report is not traced without one"
        same = _compare_counts(source.report, launch_file, summary)
    else:
        same = True
    problems = _differences(launch_file, check, summary) if launch_file is not None else []
    for problem in problems:
        print(f"gpusim: check failed: {problem}", file=sys.stderr)
    if args.output:
        _print_info(Path(args.output), as_json=False)
    return 0 if same and not problems else EXIT_CHECK_FAILED


def _load_check(args: argparse.Namespace, launch_file: LaunchFile | None) -> CheckFile:
    """The check file that was asked for. Raises GpusimError if there is none, or no launch file to check."""
    from gpusim.checking import check_path, load_check

    if launch_file is None:
        raise GpusimError(f"{args.kernel}: --check compares the buffers of a launch file; name it with --launch")
    return load_check(check_path(args.kernel) if args.check == BESIDE else args.check)


def _compare_counts(report: Report, launch_file: LaunchFile, summary: TraceSummary) -> bool:
    """Print executed counts beside those of a report; returns whether all agree."""
    from gpusim.hardware.counts import check_report
    from gpusim.report.counts import print_counts
    from gpusim.report.text import console_for

    checks = check_report(report, launch_file, summary.executed)
    print_counts(console_for(sys.stdout), checks)
    return all(check.ok for check in checks)


def _differences(launch_file: LaunchFile, check: CheckFile | None, summary: TraceSummary) -> list[str]:
    """What the buffers hold that the launch file or the check file does not expect."""
    from gpusim.emulator.check import compare_expected, run_check

    problems = compare_expected(launch_file, summary.buffers)
    try:
        if check is not None:
            run_check(check, launch_file, summary.buffers)
    except AssertionError as difference:
        problems.append(str(difference))
    return problems


def run_info(args: argparse.Namespace) -> int:
    """Show a trace; returns the exit code."""
    return _print_info(find_trace(args.trace), args.json)


def _print_info(path: Path, as_json: bool) -> int:
    from gpusim.trace.info import trace_info
    from gpusim.trace.store import open_trace

    info = trace_info(open_trace(path), path)
    if as_json:
        print(json.dumps(info.as_dict()))
        return 0
    from gpusim.report.text import console_for
    from gpusim.report.trace import print_trace_info

    print_trace_info(console_for(sys.stdout), str(path), info, OPCODES_SHOWN)
    return 0
