"""Profiles whose launches a program makes: it is run here, and each launch that a report holds is taken from it.

A profile has the machine code of every launch, but not what it ran on. The program that was profiled, built from its
source, launches the same kernels: where name, grid and block of a launch agree with one of the report, the report's own
machine code is executed on the arguments and memory of the program, and then simulated beside what was measured.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gpusim.compatibility import code_for
from gpusim.compiling import Stopwatch
from gpusim.config import load_config
from gpusim.errors import GpusimError
from gpusim.hardware.card import derive_card
from gpusim.hardware.compare import Comparison, compare_launch, reported_figures
from gpusim.programs.launches import Chosen, Launcher, Replacement
from gpusim.programs.modules import CONSTANT_BANK, Kernel
from gpusim.programs.protocol import LaunchRequest
from gpusim.programs.running import run_built
from gpusim.sass.program import Program, Symbol
from gpusim.sass.reports import Report, ReportedLaunch

if TYPE_CHECKING:
    from gpusim.config.loading import ConfigLike, Overrides
    from gpusim.model.setup.simulate import RunOptions
    from gpusim.trace.trace import Launch

_Key = tuple[str, tuple[int, int, int], tuple[int, int, int]]
"""Mangled name, grid and block."""


@dataclass(frozen=True)
class ProgramComparison:
    """What came of a program: comparisons in the order of its launches, and reported launches that it never made."""

    rows: tuple[Comparison, ...]
    missed: tuple[ReportedLaunch, ...]
    exit_code: int


class _Profiled:
    """The launches of a report that a program has not made yet."""

    def __init__(self, report: Report, done: Callable[[ReportedLaunch, Launch], None]) -> None:
        self.report, self._done = report, done
        self.waiting: dict[_Key, list[ReportedLaunch]] = defaultdict(list)
        for index in range(len(report)):
            launch = report.launch(index)
            self.waiting[launch.kernel, launch.grid, launch.block].append(launch)

    def replacement(self, kernel: Kernel, request: LaunchRequest) -> Replacement | None:
        """What runs in place of a launch that the report holds; its first such launch, then its second.

        Raises GpusimError where the report's kernel takes other parameters or variables than the program's.
        """
        found = self.waiting.get((kernel.name, request.grid, request.block))
        if not found:
            return None
        reported = found.pop(0)
        program = self.report.program(reported)
        check_layout(reported, program, kernel)

        def done(launch: Launch) -> None:
            self._done(reported, launch)

        return Replacement(program, written_constants(program, kernel), done)

    def missed(self) -> tuple[ReportedLaunch, ...]:
        """Launches that the program has not made, in the order of the report."""
        return tuple(sorted((each for left in self.waiting.values() for each in left), key=lambda each: each.index))


def check_layout(reported: ReportedLaunch, program: Program, kernel: Kernel) -> None:
    """Raises GpusimError where the parameters of a reported kernel lie elsewhere than those of the program's, or it
    reaches __device__ variables that lie elsewhere."""
    ours = [(each.offset, each.size) for each in kernel.program.parameters]
    theirs = [(each.offset, each.size) for each in program.parameters]
    if ours != theirs:
        raise GpusimError(
            f"{reported.label}: kernel {reported.kernel} takes parameters of {_sizes(theirs)} bytes, in the program "
            f"of {_sizes(ours)}: it was profiled from another source; build that one"
        )
    variables = [_variables(each.globals.symbols) for each in (program, kernel.program)]
    if program.globals.size and variables[0] != variables[1]:
        raise GpusimError(
            f"{reported.label}: the __device__ variables of {reported.kernel} lie elsewhere than the program's; build "
            "the source that was profiled, with the same compiler"
        )


def _sizes(parameters: Sequence[tuple[int, int]]) -> str:
    return ", ".join(str(size) for _, size in parameters) or "no"


def _variables(symbols: Sequence[Symbol]) -> set[tuple[str, int, int]]:
    return {(each.name, each.offset, each.size) for each in symbols if each.bank < 0}


def written_constants(program: Program, kernel: Kernel) -> Mapping[int, bytes]:
    """The bank of __constant__ variables of a reported kernel, with what the program has written into its own."""
    if CONSTANT_BANK not in program.constants:
        return {}
    bank = bytearray(program.constants[CONSTANT_BANK])
    memory = kernel.module.memory
    for symbol in program.globals.symbols:
        found = kernel.module.symbol(symbol.name) if symbol.bank == CONSTANT_BANK else None
        if found:
            address, size = found
            count = min(size, symbol.size)
            bank[symbol.offset : symbol.offset + count] = memory.at(address, count).tobytes()
    return {CONSTANT_BANK: bytes(bank)}


def compare_program(
    report: str,
    command: Sequence[str],
    options: RunOptions,
    config: ConfigLike | None = None,
    overrides: Overrides = (),
    compile_options: Sequence[str] = (),
    tell: Callable[[Comparison], None] | None = None,
) -> ProgramComparison:
    """Run a program, and compare each of its launches that a report holds.

    Args:
        report: path of an Nsight Compute report. command: the program, a .cu file among them, and its arguments.
        config: the card; None derives it from the report. overrides: changes of it.
        tell: hears of each comparison when it is made.
    Raises GpusimError for wrong input, and where the program makes none of the report's launches.
    """
    opened = Report(report)
    rows: list[Comparison] = []

    def done(reported: ReportedLaunch, launch: Launch) -> None:
        card = load_config(config, overrides) if config else derive_card(reported).load(overrides)
        clock = Stopwatch()
        executed = np.zeros(len(launch.program), np.int64)
        for chunk in launch.parts():
            executed += np.bincount(chunk.index, minlength=len(executed))
        rows.append(compare_launch(reported, launch, executed, card, options, clock))
        if tell:
            tell(rows[-1])

    profiled = _Profiled(opened, done)
    for index in range(len(opened)):
        reported_figures(opened.launch(index))  # a report without cycles is refused before the program starts
    card = load_config(config, overrides) if config else derive_card(opened.launch(0)).load(overrides)
    launcher = Launcher(Chosen(), replace=profiled.replacement)
    code = run_built(command, card, launcher, code_for(card), compile_options)
    if not rows:
        held = ", ".join(f"{each.kernel} {each.grid} {each.block}" for each in profiled.missed()[:4])
        raise GpusimError(
            f"{report}: the program made none of its launches ({held}), but {launcher.totals.launches} others; run it "
            "with the arguments of the profiled run"
        )
    return ProgramComparison(tuple(rows), profiled.missed(), code)
