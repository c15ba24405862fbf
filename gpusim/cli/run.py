"""`gpusim run`: simulate a trace on a card and report."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gpusim.cli.arguments import add_compiling, add_cta_limit, add_lenient, add_sample, compile_options, positive
from gpusim.cli.deliver import deliver
from gpusim.cli.exits import EXIT_BAD_INPUT, EXIT_CHECK_FAILED, EXIT_INTERRUPTED
from gpusim.emulator.conditions import Conditions, to_stderr, to_stdout
from gpusim.errors import GpusimError
from gpusim.inputs import ARCHITECTURES, load_source
from gpusim.processors import cores

if TYPE_CHECKING:
    from gpusim.cli.progress import ProgressView
    from gpusim.config.models import GpuConfig
    from gpusim.results.files import OutputFile
    from gpusim.results.hazards import Hazard
    from gpusim.results.result import KernelResult, Result, Stop
    from gpusim.runs.checkpoint import Checkpoint
    from gpusim.sass.program import Program
    from gpusim.trace.trace import Trace


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "run",
        help="simulate a trace and report cycles and their causes",
        usage="gpusim run TRACE --config NAME [options] [-- ARGUMENT ...]",
        description="Simulate a trace, a kernel file (.sass, .cu, .cubin, ...; it is traced first), or a whole CUDA "
        "program (a .cu file with main(), which nvcc builds, or an executable; as `gpusim exec` does), and report.",
    )
    parser.add_argument(
        "trace",
        metavar="TRACE",
        help="trace folder, bundled trace (ampere/sgemm), kernel file with --launch, or CUDA program (.cu, executable)",
    )
    parser.add_argument("--config", required=True, metavar="NAME", help="card (a6000) or YAML file")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override one parameter")
    parser.add_argument("--kernel", metavar="REGEX", help="only kernels whose name matches")
    parser.add_argument("--launches", metavar="N,M-K", help="only launches of these numbers, from 1 in trace order")
    parser.add_argument("--launch", metavar="FILE", help="launch description of a kernel file")
    parser.add_argument(
        "--arch", choices=ARCHITECTURES, help="architecture to compile a .cu file for (default: the card's)"
    )
    parser.add_argument("--any-arch", action="store_true", help="also simulate code that such a card does not run")
    add_compiling(parser)
    add_cta_limit(parser)
    add_lenient(parser)
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
    parser.add_argument(
        "--threads",
        type=positive,
        metavar="N",
        help="as many as there are processors unless given, one per SM with a CTA at most; same result",
    )
    add_sample(parser)
    parser.add_argument("--window", type=positive, metavar="N", help="cycles an SM runs ahead at most; same result")
    parser.add_argument("--no-skip", action="store_true", help="step through idle cycles: slow, same result")
    parser.add_argument("--strict", action="store_true", help="refuse opcodes that the opcode table lacks")
    parser.set_defaults(command=run)


def run(args: argparse.Namespace) -> int:
    """The command; returns the exit code."""
    if not args.launch and (path := _program(args)) is not None:
        return _run_program(args, path)
    if args.behind:
        raise GpusimError(f"{args.trace}: takes no arguments ({' '.join(args.behind)}); only programs do")
    return _run_trace(args)


def _program(args: argparse.Namespace) -> Path | None:
    """The program that is meant, None where it is a trace or a kernel file."""
    from gpusim.programs.building import is_program

    path = Path(args.trace)
    return path if is_program(path) else None


def _run_program(args: argparse.Namespace, path: Path) -> int:
    """Run a whole program, which is built first if it is a source; returns its exit code."""
    from gpusim.cli import exec as execution
    from gpusim.compatibility import code_for
    from gpusim.config import load_config
    from gpusim.programs.building import SOURCE_SUFFIX, build_program

    for option in ("timeline", "check_hazards", "resume", "any_arch", "strict", "no_skip", "window"):
        if getattr(args, option):
            name = option.replace("_", "-")
            raise GpusimError(
                f"--{name} is for traces and kernel files; trace the program first (`gpusim exec -o DIR -- {path} ...`)"
            )
    args.result, args.output, args.overwrite = args.output, None, False
    with tempfile.TemporaryDirectory(prefix="gpusim-") as folder:
        program = path.resolve()
        if path.suffix == SOURCE_SUFFIX:
            architecture = ARCHITECTURES[args.arch] if args.arch else code_for(load_config(args.config, args.set))
            program = build_program(path, architecture, compile_options(args), Path(folder))
        return execution.run_command(args, [str(program), *args.behind])


def _run_trace(args: argparse.Namespace) -> int:
    """Simulate a trace, or a kernel file that is traced first; returns the exit code."""
    from gpusim.cli.progress import TraceProgress
    from gpusim.compatibility import code_for
    from gpusim.config import load_config
    from gpusim.results.files import output_files
    from gpusim.trace.select import select_launches

    if args.resume and (args.timeline or not args.output):
        reason = "a saved result holds no timeline" if args.timeline else "name the file of the run with --output"
        raise GpusimError(f"--resume goes on from the --output file: {reason}")
    if args.sample and args.timeline:
        raise GpusimError("--timeline writes every instruction, --sample does not simulate all; leave out one of them")
    outputs = output_files({"--output": args.output, "--timeline": args.timeline})
    config = load_config(args.config, args.set)
    if config.experimental:
        print(f"gpusim: note: {config.name} is experimental: its latencies were not measured", file=sys.stderr)
    if args.threads is None:
        args.threads = cores()
    elif args.threads > config.sms:
        print(f"gpusim: note: --threads {args.threads}: {config.sms} are used, one per SM", file=sys.stderr)
    architecture = ARCHITECTURES[args.arch] if args.arch else code_for(config)
    differences: list[str] = []
    trace = load_source(
        args.trace,
        args.launch,
        architecture,
        check=differences.append,
        conditions=Conditions(args.cta_limit, lenient=args.lenient, write=to_stderr if args.json else to_stdout),
        progress=TraceProgress(),
        compile_options=compile_options(args),
    )
    for difference in differences:
        print(f"gpusim: check failed: {difference}", file=sys.stderr)
    code = _Run(args, select_launches(trace, args.kernel, args.launches), config, outputs).run()
    return code or (EXIT_CHECK_FAILED if differences else 0)


class _Run:
    """A simulation whose finished kernels are printed and written however it ends."""

    def __init__(
        self, args: argparse.Namespace, trace: Trace, config: GpuConfig, outputs: Mapping[str, OutputFile]
    ) -> None:
        self.args, self.trace, self.config = args, trace, config
        self.output, self.timeline = outputs.get("--output"), outputs.get("--timeline")
        self.checkpoint = self._open_checkpoint(self.output) if self.output else None
        self.finished: Result | None = None
        self.hazards: Sequence[tuple[Hazard, ...]] = ()

    def _open_checkpoint(self, output: OutputFile) -> Checkpoint:
        from gpusim.runs.checkpoint import Checkpoint, check_resumable
        from gpusim.runs.fingerprint import fingerprint

        if self.args.resume:
            check_resumable(self.config)
        facts = fingerprint(self.trace, self.config)
        if self.args.sample is not None:
            facts["sampling"] = f"{self.args.sample:g} %"
        return Checkpoint(output, facts)

    def run(self) -> int:
        """Simulate and deliver; returns the exit code."""
        from gpusim.model.setup.simulate import Interrupted, SimulationError

        if self.args.check_hazards:
            from gpusim.hazards.check import check_hazards

            self.hazards = check_hazards(self.trace, self.config)
        try:
            result = self._simulate()
        except SimulationError as error:
            self._deliver(error.partial)
            raise
        except Interrupted as interrupt:
            delivered = self._deliver(interrupt.partial, interrupt.so_far)
            kept = self.args.output if delivered and self.output and self.output.replaced else None
            if interrupt.partial.stopped is not None:
                print(f"gpusim: {_where(interrupt.partial.stopped, kept)}", file=sys.stderr)
            return EXIT_INTERRUPTED
        except BaseException as error:  # a fault of ours, or Ctrl-C between two kernels
            if self.finished is not None and self.finished.stopped is not None:
                reason = "interrupted" if isinstance(error, KeyboardInterrupt) else "error"
                self._deliver(replace(self.finished, stopped=replace(self.finished.stopped, reason=reason)))
            raise
        if not self._deliver(result):
            return EXIT_BAD_INPUT
        return EXIT_CHECK_FAILED if any(self.hazards) else 0

    def _simulate(self) -> Result:
        from gpusim.cli.progress import ProgressView
        from gpusim.model.setup.simulate import RunOptions, simulate

        args = self.args
        resumed = self.checkpoint.load() if self.checkpoint and args.resume else None
        if resumed:
            self.finished = resumed
            taken = f"{len(resumed.kernels)} of {len(self.trace.launches)} kernels"
            print(f"gpusim: {taken} taken over from {args.output}", file=sys.stderr)
        with ProgressView() as progress:
            options = RunOptions(
                threads=args.threads,
                skip=not args.no_skip,
                window=args.window,
                timeline=bool(args.timeline),
                strict=args.strict,
                any_architecture=args.any_arch,
                sample=args.sample,
                progress=progress,
                warn=progress.warn,
                kernel_done=partial(self._keep, progress),
            )
            return simulate(self.trace, self.config, options, resumed)

    def _keep(self, progress: ProgressView, finished: Result) -> None:
        """Remember the finished kernels, and save them now and then; a full disk does not end the run."""
        self.finished = finished
        try:
            if self.checkpoint:
                self.checkpoint.kernel_done(finished)
        except GpusimError as error:
            progress.warn(f"{error} (the run goes on, and is saved again later)")

    def _deliver(self, result: Result, so_far: KernelResult | None = None) -> bool:
        """Write and print a result, or what there is of it; returns whether all of it could be written.

        so_far: what was counted of a kernel that was stopped. It is printed, not written.
        """
        from gpusim.results.timeline import write_timeline

        if self.hazards:
            from gpusim.hazards.check import with_hazards

            result = with_hazards(result, self.hazards)
        programs = [launch.program for launch in self.trace.launches[: len(result.kernels)]]
        writes: list[Callable[[], object]] = []
        if self.checkpoint and programs:
            writes.append(partial(self.checkpoint.save, result))
        if self.timeline and programs:
            pairs = zip(programs, result.kernels)
            tables = [(program.opcodes, kernel.timeline) for program, kernel in pairs if kernel.timeline is not None]
            writes.append(partial(write_timeline, self.timeline, tables))
        return deliver(lambda: self._print(result, programs, so_far), writes)

    def _print(self, result: Result, programs: Sequence[Program], so_far: KernelResult | None) -> None:
        if self.args.json:
            row = result.summary() if so_far is None else result.summary() | {"so_far": so_far.summary()}
            print(json.dumps(row), flush=True)
            return
        from gpusim.report.text import console_for, print_report, print_so_far

        if programs:
            print_report(console_for(sys.stdout), result, programs)
        if so_far is not None:
            print_so_far(console_for(sys.stdout), result, so_far)


def _where(stopped: Stop, output: str | None) -> str:
    """Where an interrupted run stopped, and how to go on; `output` is where its result was saved."""
    kernel = f"kernel {stopped.kernel + 1} of {stopped.kernels} ({stopped.name})"
    text = f"interrupted in {kernel} at cycle {stopped.cycle:,}"
    if not stopped.kernel:
        return f"{text}; no kernel was finished"
    if not output:
        return f"{text}; {stopped.kernel} finished"
    return f"{text}; {stopped.kernel} finished, saved in {output}: the same command with --resume goes on there"
