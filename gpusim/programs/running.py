"""A whole program as one call, for Python; `gpusim.cli.exec` is the command."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from gpusim.compatibility import code_for
from gpusim.programs.building import SOURCE_SUFFIX, build_program
from gpusim.programs.launches import Chosen, Launcher, Totals
from gpusim.programs.session import run_program
from gpusim.trace.store import TraceWriter

if TYPE_CHECKING:
    from gpusim.config.models import GpuConfig
    from gpusim.model.setup.simulate import RunOptions
    from gpusim.results.result import Result

DEFAULT_CARD = "a6000"
"""What a program is told of where no card is named and nothing is simulated."""


@dataclass(frozen=True)
class ProgramRun:
    """What came of a program. exit_code: its own, 128 + the signal's number where one killed it. result: of the
    launches that were simulated, None where no card was named."""

    exit_code: int
    totals: Totals
    result: Result | None


def execute_program(
    command: Sequence[str],
    card: GpuConfig,
    options: RunOptions | None,
    launches: str | None = None,
    kernel: str | None = None,
    output: str | Path | None = None,
    architecture: int | None = None,
    compile_options: Sequence[str] = (),
) -> ProgramRun:
    """Run a program, a .cu file among them, to its end.

    Args:
        card: what the program is told of, and simulated on with `options`; None of these: nothing is simulated.
        launches, kernel: which are simulated or traced, as of `Chosen.parse`; output: folder for their trace.
        architecture: of the machine code, the card's own where it is None.
    Raises GpusimError for wrong input, before the program starts.
    """
    chosen = Chosen.parse(launches, kernel)
    writer = TraceWriter(output, {"source": Path(command[0]).name}) if output is not None else None
    launcher = Launcher(chosen, card if options else None, options, writer)
    try:
        code = run_built(command, card, launcher, architecture or code_for(card), compile_options)
        if writer:
            writer.close()
    except BaseException:
        if writer:
            writer.discard()
        raise
    return ProgramRun(code, launcher.totals, launcher.result())


def run_built(
    command: Sequence[str],
    card: GpuConfig,
    launcher: Launcher,
    architecture: int,
    compile_options: Sequence[str] = (),
    stdout: IO[str] | None = None,
) -> int:
    """`run_program` of a command whose program may be a .cu file, which is built for `architecture` first."""
    with tempfile.TemporaryDirectory(prefix="gpusim-") as folder:
        program = command[0]
        if Path(program).suffix == SOURCE_SUFFIX:
            program = str(build_program(Path(program), architecture, compile_options, Path(folder)))
        return run_program([program, *command[1:]], card, launcher, architecture, stdout)
