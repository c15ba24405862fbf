"""What may stand where a trace is asked for: a trace folder, a bundled trace by name, or a kernel file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gpusim.errors import GpusimError, nearest
from gpusim.sass.fatbin import KERNEL_SUFFIXES, is_kernel_file

if TYPE_CHECKING:
    from gpusim.trace.trace import Trace

ARCHITECTURES = {"sm_75": 75, "sm_80": 80, "sm_86": 86, "sm_90": 90}


def bundled_traces() -> list[str]:
    """Names of the bundled traces, as `ampere/sgemm`."""
    from gpusim import resources
    from gpusim.trace.store import INDEX_NAME

    root = resources.find("traces")
    return sorted(path.parent.relative_to(root).as_posix() for path in root.glob(f"*/*/{INDEX_NAME}"))


def find_trace(name: str) -> Path:
    """The path itself where it exists, else the bundled trace of that name, with or without `traces/` before it.

    Raises GpusimError naming the nearest bundled trace.
    """
    path = Path(name)
    if path.exists():
        return path
    from gpusim import resources

    known = bundled_traces()
    wanted = name.removeprefix("traces/").rstrip("/")
    if wanted in known:
        return resources.find("traces") / wanted
    hint = nearest(wanted, known)
    raise GpusimError(f"{name}: no such trace or kernel file{hint}; bundled traces: {', '.join(known) or 'none'}")


def load_source(
    name: str,
    launch: str | None,
    architecture: int,
    *,
    check: Callable[[str], None] | None = None,
    cta_limit: int | None = None,
) -> Trace:
    """The Trace that `name` stands for. The other arguments count for kernel files only.

    check: is told, difference by difference, which buffers do not hold what the launch file expects.
    cta_limit: warp instructions after which a CTA is taken to have no end, None for the default.
    Raises GpusimError where the trace is missing or damaged, or the kernel cannot be compiled or executed.
    """
    path = find_trace(name)
    if path.is_file() and is_kernel_file(path):
        return _execute(path, launch, architecture, check, cta_limit)
    if path.is_file():
        raise GpusimError(f"{path}: neither a trace folder nor a kernel file ({', '.join(KERNEL_SUFFIXES)})")
    if launch:
        raise GpusimError(f"--launch {launch}: {path} is a trace, its launches are recorded already")
    from gpusim.trace.store import open_trace

    return open_trace(path)


def _execute(
    path: Path, launch: str | None, architecture: int, check: Callable[[str], None] | None, cta_limit: int | None
) -> Trace:
    from gpusim.emulator.check import compare_expected
    from gpusim.emulator.tracing import open_files, run_opened

    source, launch_file = open_files(path, Path(launch) if launch else None, architecture)
    trace, summary = run_opened(source, launch_file, cta_limit=cta_limit)
    if check and launch_file:
        for difference in compare_expected(launch_file, summary.buffers):
            check(difference)
    return trace
