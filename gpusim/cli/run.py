"""`gpusim run`: simulate a trace on a card and report."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from gpusim.cli.sources import ARCHITECTURES, load_source

if TYPE_CHECKING:
    from gpusim.config.models import GpuConfig
    from gpusim.results.result import Result
    from gpusim.trace.trace import Trace

EXIT_HAZARDS = 1


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "run",
        help="simulate a trace and report cycles and their causes",
        description="Simulate a trace (or a .sass, .cu or .cubin file, which is traced first) and report.",
    )
    parser.add_argument("trace", metavar="TRACE", help="trace folder, bundled trace (ampere/sgemm) or kernel file")
    parser.add_argument("--config", required=True, metavar="NAME", help="card (a6000) or YAML file")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override one parameter")
    parser.add_argument("--kernel", metavar="REGEX", help="only kernels whose name matches")
    parser.add_argument("--launch", metavar="FILE", help="launch description of a kernel file")
    parser.add_argument(
        "--arch", choices=ARCHITECTURES, default="sm_86", help="architecture a .cu file is compiled for"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the report")
    parser.add_argument("--output", metavar="FILE", help="save the whole result, per-PC tables included, as JSON")
    parser.add_argument("--timeline", metavar="FILE", help="write every instruction's stages as CSV")
    parser.add_argument(
        "--check-hazards",
        action="store_true",
        help="report control bits that let an instruction issue too early; exit code 1 if there are any",
    )
    parser.add_argument("--threads", type=_positive, default=1, metavar="N", help="the result does not depend on it")
    parser.add_argument("--window", type=_positive, metavar="N", help="cycles an SM runs ahead at most; same result")
    parser.add_argument("--no-skip", action="store_true", help="step through idle cycles: slow, same result")
    parser.add_argument("--strict", action="store_true", help="refuse opcodes that the opcode table lacks")
    parser.set_defaults(command=run)


def run(args: argparse.Namespace) -> int:
    """The command; returns the exit code."""
    from gpusim.config import load_config
    from gpusim.trace.select import select_kernels

    config = load_config(args.config, args.set)
    if config.experimental:
        print(f"gpusim: note: {config.name} is experimental: its latencies were not measured", file=sys.stderr)
    trace = select_kernels(load_source(args.trace, args.launch, ARCHITECTURES[args.arch]), args.kernel)
    result = _simulate(trace, config, args)
    programs = [launch.program for launch in trace.launches]
    if args.timeline:
        from gpusim.results.timeline import write_timeline

        write_timeline(args.timeline, [(p.opcodes, kernel.timeline) for p, kernel in zip(programs, result.kernels)])
    if args.output:
        result.save(args.output)
    if args.json:
        print(json.dumps(result.summary()))
    else:
        from gpusim.report.text import console_for, print_report

        print_report(console_for(sys.stdout), result, programs)
    return EXIT_HAZARDS if any(kernel.hazards for kernel in result.kernels) else 0


def _simulate(trace: Trace, config: GpuConfig, args: argparse.Namespace) -> Result:
    from gpusim.cli.progress import ProgressView
    from gpusim.model.simulate import RunOptions, simulate

    with ProgressView() as progress:
        options = RunOptions(
            threads=args.threads,
            skip=not args.no_skip,
            window=args.window,
            timeline=bool(args.timeline),
            check_hazards=args.check_hazards,
            strict=args.strict,
            progress=progress,
            warn=progress.warn,
        )
        return simulate(trace, config, options)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number
