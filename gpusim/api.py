"""The front door: what `import gpusim` offers. Names, paths and objects are taken alike.

Compiled code is imported by the functions that need it, when they are called.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpusim.compatibility import code_for
from gpusim.config import list_configs, load_config
from gpusim.errors import GpusimError, nearest
from gpusim.inputs import DEFAULT_ARCHITECTURE, TraceLike, architecture_number, load_source, open_named
from gpusim.processors import cores
from gpusim.results.result import Result
from gpusim.runs.sweep import sweep

if TYPE_CHECKING:
    import numpy as np

    from gpusim.config.loading import ConfigLike, Overrides
    from gpusim.emulator.conditions import Conditions
    from gpusim.model.setup.simulate import RunOptions
    from gpusim.programs.running import ProgramRun
    from gpusim.report.compare import Comparisons
    from gpusim.trace.trace import Trace

__all__ = [
    "GpusimError",
    "Result",
    "compare",
    "execute",
    "list_configs",
    "load_config",
    "open_trace",
    "simulate",
    "sweep",
    "trace",
]


def open_trace(trace: TraceLike) -> Trace:
    """Open a trace by path or by the name of a bundled one (`ampere/sgemm`); a Trace is given back as it is.

    Raises GpusimError where there is no such trace, or it is damaged.
    """
    return open_named(trace)


def trace(
    kernel: str | Path,
    launch: str | Path | None = None,
    arch: str | int = DEFAULT_ARCHITECTURE,
    *,
    output: str | Path | None = None,
    overwrite: bool = False,
    compile_options: Sequence[str] = (),
    lenient: bool = False,
) -> Trace:
    """Execute a kernel on the CPU and return what its warps did.

    Args:
        kernel: .cu, .cubin, .sass or .fatbin file, an executable with machine code in it, or a profile.
        launch: launch file; a .sass file may carry its own launch.
        arch: architecture that a .cu file is compiled for, `sm_86` or 86.
        compile_options: for the compiler of a .cu file, each in one piece: `-Iinclude`, `-DN=4`, `-std=c++17`.
        output: folder that takes the trace on the way, for one that is larger than memory. overwrite: replace one.
        lenient: reads of global memory outside every buffer give zero, with a Python warning, and are no errors.

    Raises GpusimError where anything is wrong with the files, or the kernel fails.
    """
    from gpusim.emulator.tracing import trace_in_memory, trace_kernel
    from gpusim.trace.store import open_trace as open_stored

    how, number = _conditions(lenient, _warn), architecture_number(arch)
    if output is None:
        return trace_in_memory(kernel, launch, number, compile_options=compile_options, conditions=how)
    trace_kernel(kernel, launch, output, number, overwrite=overwrite, compile_options=compile_options, conditions=how)
    return open_stored(output)


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=2)


def _conditions(lenient: bool, warn: Callable[[str], None]) -> Conditions:
    from gpusim.emulator.conditions import Conditions

    return Conditions(lenient=lenient, warn=warn)


def execute(
    kernel: str | Path | Sequence[str | Path],
    launch: str | Path | None = None,
    arch: str | int | None = None,
    *,
    config: ConfigLike | None = None,
    overrides: Overrides = (),
    kernels: str | None = None,
    launches: str | None = None,
    output: str | Path | None = None,
    compile_options: Sequence[str] = (),
    lenient: bool = False,
    **options: Any,
) -> dict[str, np.ndarray] | ProgramRun:
    """Execute a kernel, or a whole CUDA program.

    A kernel file (str or Path) is executed as `trace` does, and what its buffers hold in the end is returned by name;
    of the other arguments `launch`, `arch`, `compile_options` and `lenient` count.

    A list is a program with its arguments: an executable, or a .cu file with main(), which is built first. Its
    launches are executed here, and a ProgramRun is returned: `exit_code`, `totals`, and `result`, a Result or None.

    Args:
        config: card to simulate the launches on; None: they only execute. overrides: changes of it.
        kernels: regular expression of those that are simulated or traced. launches: their numbers, as `1,4-6`.
        output: folder to make for their trace.
        arch, compile_options: for a .cu file; arch None: the card's own, sm_86 without one.
        options: as for `simulate`, of a program with `config`.

    Raises GpusimError for wrong input, and TypeError for an unknown option.
    """
    if isinstance(kernel, (str, Path)):
        from gpusim.emulator.tracing import trace_kernel

        if config is not None or kernels or launches or output or options:
            raise TypeError(
                "execute() of a kernel file takes launch, arch, compile_options and lenient; give a program as a list"
            )
        number = architecture_number(arch or DEFAULT_ARCHITECTURE)
        how = _conditions(lenient, _warn)
        return dict(trace_kernel(kernel, launch, None, number, compile_options=compile_options, conditions=how).buffers)
    from gpusim.programs.running import DEFAULT_CARD, execute_program

    if launch is not None:
        raise TypeError("execute() of a program takes no launch file; its host code launches")
    if lenient:
        raise TypeError("lenient is for kernel files; a program's reads outside its allocations are errors")
    chosen = _run_options({"threads": cores(), **options}) if config is not None else None
    return execute_program(
        [str(word) for word in kernel],
        load_config(DEFAULT_CARD if config is None else config, overrides),
        chosen,
        launches,
        kernels,
        output,
        None if arch is None else architecture_number(arch),
        compile_options,
    )


def simulate(
    trace: TraceLike,
    config: ConfigLike,
    *,
    launch: str | Path | None = None,
    arch: str | int | None = None,
    compile_options: Sequence[str] = (),
    lenient: bool = False,
    check_hazards: bool = False,
    **options: Any,
) -> Result:
    """Simulate every launch of a trace on a card.

    Args:
        trace: a Trace, a path, a bundled name, or a kernel file, which is executed first with `launch`, and
            compiled for `arch` (None: the card's own) with `compile_options`, `lenient` or not, as for `trace`.
        config: a configuration, a name or a path.
        check_hazards: report instructions whose control bits let them issue before an earlier one is done with their
            registers, in each kernel's `hazards`.
        options: fields of gpusim.model.setup.simulate.RunOptions, such as timeline=True, threads=2, strict=True or
            sample=5, which simulates a part and estimates the rest within so many percent.
            What the model has to guess is a Python warning, unless `warn` is given; as many threads as there are
            processors share the work, unless `threads` says how many.

    Raises GpusimError for wrong input, a CTA that does not fit or a deadlock, TypeError for an unknown option, and at
    Ctrl-C a KeyboardInterrupt whose `partial` is the Result of the launches that were finished, and whose `so_far` is
    what was counted of the next (None if nothing was).
    """
    from gpusim.model.setup.simulate import simulate as run

    guesses: list[str] = []
    chosen = _run_options({"warn": guesses.append, "threads": cores(), **options})
    card = load_config(config)
    architecture = code_for(card) if arch is None else architecture_number(arch)
    how = _conditions(lenient, chosen.warn or _warn)
    source = load_source(
        trace, launch, architecture, check=chosen.warn, conditions=how, compile_options=compile_options
    )
    result = run(source, card, chosen)
    if check_hazards:
        from gpusim.hazards.check import check_hazards as find
        from gpusim.hazards.check import with_hazards

        result = with_hazards(result, find(source, card))
    for guess in guesses:
        warnings.warn(guess, stacklevel=2)
    return result


def _run_options(options: dict[str, Any]) -> RunOptions:
    from dataclasses import fields

    from gpusim.model.setup.simulate import RunOptions

    known = [field.name for field in fields(RunOptions)]
    for name in options:
        if name not in known:
            raise TypeError(f"simulate() has no option '{name}'{nearest(name, known)}; options: {', '.join(known)}")
    for name in ("threads", "window"):
        value = options.get(name)
        if value is not None and (not isinstance(value, int) or value < 1):
            raise GpusimError(f"{name}={value!r}: should be an integer, at least 1")
    return RunOptions(**options)


def compare(
    measured: str | Path | Iterable[str | Path],
    launches: str | Path | Iterable[str | Path] = (),
    config: ConfigLike | None = None,
    overrides: Overrides = (),
    compile_options: Sequence[str] = (),
    lenient: bool = False,
    **options: Any,
) -> Comparisons:
    """Simulate profiled kernels on the card they were profiled on, beside what was measured.

    Args:
        measured: Nsight Compute reports, or CSV files of measured cycles.
        launches: a launch file for each report, in the same order.
        config: card for all; None: the one that the report describes or the CSV names.
        overrides: changes of that card, as for `load_config`. compile_options: as for `trace`, for .cu files that a
            CSV names. lenient: as for `trace`. options: as for `simulate`, without `sample`: an
            estimate of the model is not what a measurement is to be compared with.

    Raises GpusimError for wrong input, before anything is simulated, and where a kernel cannot be run.
    """
    from gpusim.hardware.compare import open_all
    from gpusim.report.compare import Comparisons

    chosen = _run_options({"threads": cores(), **options})
    if chosen.sample is not None:
        raise GpusimError("compare() simulates whole launches; leave out sample, or simulate(..., sample=5) by itself")
    opened = open_all(_several(measured), _several(launches), config, overrides, compile_options)
    how = _conditions(lenient, chosen.warn or _warn)
    return Comparisons(tuple(row for each in opened for row in each.rows(chosen, how)))


def _several(paths: str | Path | Iterable[str | Path]) -> list[str]:
    return [str(path) for path in ([paths] if isinstance(paths, (str, Path)) else paths)]
