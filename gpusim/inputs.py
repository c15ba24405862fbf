"""What may stand where a trace is asked for: a Trace, a trace folder, a bundled trace by name, or a kernel file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from gpusim.emulator.conditions import DEFAULTS, Conditions
from gpusim.errors import GpusimError, nearest
from gpusim.sass.fatbin import KERNEL_SUFFIXES, is_kernel_file

if TYPE_CHECKING:
    from gpusim.emulator.tracing import Progress
    from gpusim.trace.trace import Trace

ARCHITECTURES = {"sm_75": 75, "sm_80": 80, "sm_86": 86, "sm_89": 89, "sm_90": 90}
DEFAULT_ARCHITECTURE = "sm_86"

TraceLike: TypeAlias = "Trace | str | Path"
"""Whatever stands for a trace: a Trace, or the name or path of one or of a kernel file."""


def architecture_number(name: str | int) -> int:
    """86 of `sm_86` or 86. Raises GpusimError naming the nearest architecture."""
    text = f"sm_{name}" if isinstance(name, int) else name
    if text not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise GpusimError(f"no architecture '{name}'{nearest(text, ARCHITECTURES)}; to choose from: {known}")
    return ARCHITECTURES[text]


def bundled_traces() -> list[str]:
    """Names of the bundled traces, as `ampere/sgemm`."""
    from gpusim import resources
    from gpusim.trace.store import INDEX_NAME

    root = resources.find("traces")
    return sorted(path.parent.relative_to(root).as_posix() for path in root.glob(f"*/*/{INDEX_NAME}"))


def find_trace(name: str | Path) -> Path:
    """The path itself where it exists, else the bundled trace of that name, with or without `traces/` before it.

    Raises GpusimError naming the nearest bundled trace.
    """
    path = Path(name)
    if path.exists():
        return path
    from gpusim import resources

    known = bundled_traces()
    wanted = str(name).removeprefix("traces/").rstrip("/")
    if wanted in known:
        return resources.find("traces") / wanted
    hint = nearest(wanted, known)
    raise GpusimError(f"{name}: no such trace or kernel file{hint}; bundled traces: {', '.join(known) or 'none'}")


def kernel_path(source: TraceLike) -> Path | None:
    """The path of a kernel file, None where a trace is meant.

    Raises GpusimError where there is neither, or a file of another kind.
    """
    if not isinstance(source, (str, Path)) or not (path := find_trace(source)).is_file():
        return None
    if not is_kernel_file(path):
        raise GpusimError(f"{path}: neither a trace folder nor a kernel file ({', '.join(KERNEL_SUFFIXES)})")
    return path


def open_named(source: TraceLike) -> Trace:
    """A trace by object, path or bundled name.

    Raises GpusimError where it is missing, damaged, or a kernel file, which would have to be executed first, and
    TypeError where it is anything else.
    """
    from gpusim.trace.store import open_trace
    from gpusim.trace.trace import Trace

    if isinstance(source, Trace):
        return source
    if not isinstance(source, (str, Path)):
        raise TypeError(f"a trace is named, or given as a path or a Trace, not as {source!r}")
    if path := kernel_path(source):
        raise GpusimError(f"{path}: a kernel file, no trace; execute it with gpusim.trace, or `gpusim trace`")
    return open_trace(find_trace(source))


def load_source(
    source: TraceLike,
    launch: str | Path | None,
    architecture: int,
    *,
    check: Callable[[str], None] | None = None,
    conditions: Conditions = DEFAULTS,
    progress: Progress | None = None,
    compile_options: Sequence[str] = (),
) -> Trace:
    """The Trace that `source` stands for. The other arguments count for kernel files only.

    check: is told, difference by difference, which buffers do not hold what the launch file expects.
    conditions: how the kernel is executed.
    compile_options: for the compiler of a .cu file, as `-Iinclude`, `-DN=4`, `-std=c++17`.
    Raises GpusimError where the trace is missing or damaged, or the kernel cannot be compiled or executed.
    """
    if path := kernel_path(source):
        return _execute(path, launch, architecture, check, conditions, progress, compile_options)
    if launch:
        raise GpusimError(f"launch file {launch}: {source} is a trace, its launches are recorded already")
    return open_named(source)


def _execute(
    path: Path,
    launch: str | Path | None,
    architecture: int,
    check: Callable[[str], None] | None,
    conditions: Conditions,
    progress: Progress | None,
    compile_options: Sequence[str],
) -> Trace:
    from gpusim.emulator.check import compare_expected
    from gpusim.emulator.tracing import open_files, run_opened

    source, launch_file = open_files(path, Path(launch) if launch else None, architecture, compile_options)
    trace, summary = run_opened(source, launch_file, progress, conditions)
    if check and launch_file:
        for difference in compare_expected(launch_file, summary.buffers):
            check(difference)
    return trace
