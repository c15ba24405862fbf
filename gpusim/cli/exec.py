"""`gpusim exec`: run a whole CUDA program; its kernels execute here and, with a card, are simulated."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from gpusim.cli.arguments import add_cta_limit, add_lenient, add_sample, positive
from gpusim.cli.deliver import deliver
from gpusim.cli.exits import EXIT_INTERRUPTED
from gpusim.errors import GpusimError
from gpusim.processors import cores

if TYPE_CHECKING:
    from gpusim.cli.progress import ProgressView
    from gpusim.model.setup.simulate import RunOptions
    from gpusim.programs.launches import Launcher
    from gpusim.results.files import OutputFile


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "exec",
        help="run a CUDA program without a GPU: execute, trace or simulate its kernels",
        usage="gpusim exec [options] -- PROGRAM [ARGUMENT ...]",
        description="Run an unmodified CUDA program (linked with the shared CUDA runtime, as `gpusim nvcc` does, or "
        "using the driver API). Its kernels execute on the CPU; with --config each is simulated on that card, with -o "
        "traced. Exit code: the program's.",
    )
    parser.add_argument("program", nargs="*", metavar="PROGRAM", help="the program and its arguments, best behind --")
    add_program_options(parser)
    parser.set_defaults(command=run)


def add_program_options(parser: argparse.ArgumentParser) -> None:
    """Options of every command that runs a program."""
    parser.add_argument("--config", metavar="NAME", help="card (a6000) or YAML file: simulate the launches on it")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override one parameter")
    parser.add_argument("-o", "--output", metavar="DIR", help="folder to make for the trace of the launches")
    parser.add_argument("--overwrite", action="store_true", help="replace a trace that is there")
    parser.add_argument("--kernel", metavar="REGEX", help="only kernels whose name matches; the others only execute")
    parser.add_argument("--launches", metavar="N,M-K", help="only launches of these numbers, from 1 in program order")
    parser.add_argument("--result", metavar="FILE", help="save the simulated result, per-PC tables included, as JSON")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object at the end; the program's output goes to stderr"
    )
    parser.add_argument("--threads", type=positive, metavar="N", help="processors to use (default: all); same result")
    add_sample(parser)
    add_cta_limit(parser)
    add_lenient(parser)


def run(args: argparse.Namespace) -> int:
    """The command; returns the program's exit code."""
    command = [*args.program, *args.behind]
    if not command:
        raise GpusimError("name the program: gpusim exec [options] -- PROGRAM [ARGUMENT ...]")
    return run_command(args, command)


def run_command(args: argparse.Namespace, command: list[str]) -> int:
    """Run a program as the options of `add_program_options` say; returns its exit code."""
    from gpusim.cli.progress import ProgressView, TraceProgress
    from gpusim.compatibility import code_for
    from gpusim.config import load_config
    from gpusim.emulator.conditions import Conditions
    from gpusim.programs.launches import Chosen, Launcher
    from gpusim.programs.running import DEFAULT_CARD
    from gpusim.programs.session import run_program
    from gpusim.results.files import output_files
    from gpusim.trace.store import TraceWriter, check_target

    if args.result and not args.config:
        raise GpusimError("--result saves what was simulated; name a card with --config")
    chosen = Chosen.parse(args.launches, args.kernel)
    outputs = output_files({"--result": args.result})
    if args.output is not None:
        check_target(args.output, overwrite=args.overwrite)
    card = load_config(args.config or DEFAULT_CARD, args.set)
    writer = TraceWriter(args.output, {"source": command[0]}, overwrite=args.overwrite) if args.output else None
    with ProgressView() as progress:
        launcher = Launcher(
            chosen,
            card if args.config else None,
            _options(args, progress) if args.config else None,
            writer,
            TraceProgress(),
            Conditions(args.cta_limit, lenient=args.lenient, warn=progress.warn),
        )
        stopped, code = None, EXIT_INTERRUPTED
        try:
            code = run_program(command, card, launcher, code_for(card), sys.stderr if args.json else None)
        except KeyboardInterrupt:
            stopped = "interrupted"
        except BaseException:
            if writer:
                writer.discard()
            raise
    _finish(args, launcher, outputs.get("--result"), stopped)
    return code


def _options(args: argparse.Namespace, progress: ProgressView) -> RunOptions:
    from gpusim.model.setup.simulate import RunOptions, check_sampling

    options = RunOptions(threads=args.threads or cores(), sample=args.sample, progress=progress, warn=progress.warn)
    check_sampling(options)
    return options


def _finish(args: argparse.Namespace, launcher: Launcher, output: OutputFile | None, stopped: str | None) -> None:
    """Keep and print what there is."""
    result = launcher.result(stopped)
    writes = []
    if launcher.writer:
        writes.append(launcher.writer.close if launcher.totals.chosen else launcher.writer.discard)
    if output and result:
        writes.append(lambda: result.save(output))
    deliver(lambda: _print(args, launcher, stopped), writes)


def _print(args: argparse.Namespace, launcher: Launcher, stopped: str | None) -> None:
    result, totals = launcher.result(stopped), launcher.totals
    if args.json:
        facts = {
            "launches": totals.launches,
            "warp_instructions": totals.warp_instructions,
            "kernels": totals.by_kernel,
        }
        print(json.dumps({"program": facts, **(result.summary() if result else {})}), flush=True)
        return
    if result and result.kernels:
        from gpusim.report.text import console_for, print_report

        print_report(console_for(sys.stdout), result, [k.program for k in result.kernels if k.program is not None])
    print(
        f"gpusim: {totals.launches:,} launches of {len(totals.by_kernel)} kernels, {totals.warp_instructions:,} warp "
        f"instructions; {totals.chosen:,} {'simulated' if result else 'traced' if launcher.writer else 'chosen'}",
        file=sys.stderr,
    )
