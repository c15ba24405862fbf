"""`gpusim run`: simulate a trace on a card and report."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from gpusim.cli.arguments import add_cta_limit, positive
from gpusim.errors import GpusimError
from gpusim.inputs import ARCHITECTURES, load_source

if TYPE_CHECKING:
    from gpusim.config.models import GpuConfig
    from gpusim.results.result import Result, Stop
    from gpusim.runs.checkpoint import Checkpoint
    from gpusim.trace.trace import Trace

EXIT_HAZARDS = EXIT_CHECK_FAILED = 1
EXIT_INTERRUPTED = 130
"""128 + SIGINT, as shells report it."""


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
    parser.add_argument("--launches", metavar="N,M-K", help="only launches of these numbers, from 1 in trace order")
    parser.add_argument("--launch", metavar="FILE", help="launch description of a kernel file")
    parser.add_argument(
        "--arch", choices=ARCHITECTURES, help="architecture to compile a .cu file for (default: the card's)"
    )
    parser.add_argument("--any-arch", action="store_true", help="also simulate code that such a card does not run")
    add_cta_limit(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the report")
    parser.add_argument(
        "--output", metavar="FILE", help="save the result, per-PC tables included, as JSON, finished kernels on the way"
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on at the first kernel that the --output file lacks; same result"
    )
    parser.add_argument("--timeline", metavar="FILE", help="write every instruction's stages as CSV")
    parser.add_argument(
        "--check-hazards",
        action="store_true",
        help="report control bits that let an instruction issue too early; exit code 1 if there are any",
    )
    parser.add_argument("--threads", type=positive, default=1, metavar="N", help="the result does not depend on it")
    parser.add_argument("--window", type=positive, metavar="N", help="cycles an SM runs ahead at most; same result")
    parser.add_argument("--no-skip", action="store_true", help="step through idle cycles: slow, same result")
    parser.add_argument("--strict", action="store_true", help="refuse opcodes that the opcode table lacks")
    parser.set_defaults(command=run)


def run(args: argparse.Namespace) -> int:
    """The command; returns the exit code."""
    from gpusim.compatibility import code_for
    from gpusim.config import load_config
    from gpusim.trace.select import select_launches

    if args.resume and (args.timeline or not args.output):
        reason = "a saved result holds no timeline" if args.timeline else "name the file of the run with --output"
        raise GpusimError(f"--resume goes on from the --output file: {reason}")
    config = load_config(args.config, args.set)
    if config.experimental:
        print(f"gpusim: note: {config.name} is experimental: its latencies were not measured", file=sys.stderr)
    architecture = ARCHITECTURES[args.arch] if args.arch else code_for(config)
    differences: list[str] = []
    trace = load_source(args.trace, args.launch, architecture, check=differences.append, cta_limit=args.cta_limit)
    for difference in differences:
        print(f"gpusim: check failed: {difference}", file=sys.stderr)
    trace = select_launches(trace, args.kernel, args.launches)
    checkpoint = _checkpoint(trace, config, args) if args.output else None
    from gpusim.model.setup.simulate import Interrupted, SimulationError

    try:
        result = _simulate(trace, config, args, checkpoint)
    except SimulationError as error:
        _deliver(error.partial, trace, args, checkpoint)
        raise
    except Interrupted as interrupt:
        _deliver(interrupt.partial, trace, args, checkpoint)
        print(f"gpusim: {_where(interrupt.partial.stopped, args.output)}", file=sys.stderr)
        return EXIT_INTERRUPTED
    _deliver(result, trace, args, checkpoint)
    if differences:
        return EXIT_CHECK_FAILED
    return EXIT_HAZARDS if any(kernel.hazards for kernel in result.kernels) else 0


def _checkpoint(trace: Trace, config: GpuConfig, args: argparse.Namespace) -> Checkpoint:
    from gpusim.runs.checkpoint import Checkpoint, check_resumable
    from gpusim.runs.fingerprint import fingerprint

    if args.resume:
        check_resumable(config)
    options = ["check-hazards"] if args.check_hazards else []
    return Checkpoint(args.output, fingerprint(trace, config, *options))


def _deliver(result: Result, trace: Trace, args: argparse.Namespace, checkpoint: Checkpoint | None) -> None:
    """Write and print a result, or what there is of it."""
    programs = [launch.program for launch in trace.launches[: len(result.kernels)]]
    if args.timeline and programs:
        from gpusim.results.timeline import write_timeline

        write_timeline(args.timeline, [(p.opcodes, kernel.timeline) for p, kernel in zip(programs, result.kernels)])
    if checkpoint and programs:
        checkpoint.save(result)
    if args.json:
        print(json.dumps(result.summary()))
    elif programs:
        from gpusim.report.text import console_for, print_report

        print_report(console_for(sys.stdout), result, programs)


def _where(stopped: Stop, output: str | None) -> str:
    """Where an interrupted run stopped, and how to go on."""
    kernel = f"kernel {stopped.kernel + 1} of {stopped.kernels} ({stopped.name})"
    text = f"interrupted in {kernel} at cycle {stopped.cycle:,}"
    if not stopped.kernel:
        return f"{text}; no kernel was finished"
    if not output:
        return f"{text}; {stopped.kernel} finished"
    return f"{text}; {stopped.kernel} finished, saved in {output}: the same command with --resume goes on there"


def _simulate(trace: Trace, config: GpuConfig, args: argparse.Namespace, checkpoint: Checkpoint | None) -> Result:
    from gpusim.cli.progress import ProgressView
    from gpusim.model.setup.simulate import RunOptions, simulate

    resumed = checkpoint.load() if checkpoint and args.resume else None
    if resumed:
        taken = f"{len(resumed.kernels)} of {len(trace.launches)} kernels"
        print(f"gpusim: {taken} taken over from {args.output}", file=sys.stderr)
    with ProgressView() as progress:
        options = RunOptions(
            threads=args.threads,
            skip=not args.no_skip,
            window=args.window,
            timeline=bool(args.timeline),
            check_hazards=args.check_hazards,
            strict=args.strict,
            any_architecture=args.any_arch,
            progress=progress,
            warn=progress.warn,
            kernel_done=checkpoint.kernel_done if checkpoint else None,
        )
        return simulate(trace, config, options, resumed)
