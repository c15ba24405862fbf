"""`gpusim trace`: execute a kernel and record what its warps did; `gpusim trace info`: what a trace holds."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gpusim.cli.sources import ARCHITECTURES, KERNEL_SUFFIXES, find_trace
from gpusim.errors import GpusimError

if TYPE_CHECKING:
    from gpusim.checking import CheckFile

EXIT_CHECK_FAILED = 1
INFO_COMMAND = "trace-info"
"""What `trace info` is called inside: argparse has no word beside a path."""
OPCODES_SHOWN = 20
USAGE = """gpusim trace KERNEL [--launch FILE] -o DIR [--arch SM] [--overwrite] [--check]
       gpusim trace info DIR [--json]"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "trace",
        help="execute a kernel on the CPU and write its trace; `trace info DIR` shows one",
        usage=USAGE,
        description="Execute a kernel (.cu, .cubin or .sass) functionally and write its trace.",
    )
    parser.add_argument("kernel", metavar="KERNEL", help="kernel file")
    parser.add_argument("--launch", metavar="FILE", help="launch description (a .sass file may carry its own)")
    parser.add_argument("-o", "--output", metavar="DIR", required=True, help="folder to make")
    parser.add_argument(
        "--arch", choices=ARCHITECTURES, default="sm_86", help="architecture a .cu file is compiled for"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a trace that is there")
    parser.add_argument(
        "--check", action="store_true", help="then run KERNEL's check file (NAME.check.py, Python) on the final buffers"
    )
    parser.set_defaults(command=run)

    info = commands.add_parser(INFO_COMMAND, prog="gpusim trace info", description="Show what a trace holds.")
    info.add_argument("trace", metavar="DIR", help="trace folder or bundled trace (ampere/sgemm)")
    info.add_argument("--json", action="store_true", help="print one JSON object")
    info.set_defaults(command=run_info)


def run(args: argparse.Namespace) -> int:
    """Trace a kernel; returns the exit code."""
    source = Path(args.kernel)
    if source.suffix not in KERNEL_SUFFIXES:
        raise GpusimError(f"{source}: not a kernel file; expected one of {', '.join(KERNEL_SUFFIXES)}")
    if not source.is_file():
        raise GpusimError(f"{source}: no such file")
    from gpusim.cli.progress import TraceProgress
    from gpusim.emulator.tracing import trace_kernel

    launch = Path(args.launch) if args.launch else None
    check = _load_check(source, launch) if args.check else None
    summary = trace_kernel(
        source,
        launch,
        Path(args.output),
        ARCHITECTURES[args.arch],
        overwrite=args.overwrite,
        progress=TraceProgress(),
    )
    if check is not None:
        from gpusim.emulator.check import run_check

        try:
            run_check(check, launch, summary.buffers)
        except AssertionError as difference:
            print(f"gpusim: check failed: {difference}", file=sys.stderr)
            return EXIT_CHECK_FAILED
    return _print_info(Path(args.output), as_json=False)


def _load_check(source: Path, launch: Path | None) -> CheckFile:
    """The check file beside a kernel. Raises GpusimError if there is none, or no launch file to check."""
    from gpusim.checking import check_path, load_check

    if launch is None:
        raise GpusimError(f"{source}: --check compares the buffers of a launch file; name it with --launch")
    return load_check(check_path(source))


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
