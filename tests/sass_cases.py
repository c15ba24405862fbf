"""What the tests of the machine-code reader share: sources, and whether the optional NVIDIA tools are installed."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from gpusim.errors import GpusimError
from gpusim.sass import toolchain
from gpusim.sass.nvrtc import CompiledCubin, compile_cuda
from gpusim.sass.program import Program

DATA = Path(__file__).resolve().parent / "data"
KERNELS = Path(__file__).resolve().parent.parent / "traces" / "kernels"
ARCHITECTURES = (75, 80, 86, 90)
SOURCES = tuple(sorted(DATA.glob("*.cu")))


def _tools_missing() -> str:
    if find_spec("elftools") is None:
        return "pyelftools is not installed"
    try:
        toolchain.find_nvdisasm()
        toolchain.find_nvrtc()
    except GpusimError as error:
        return str(error)
    return ""


needs_tools = pytest.mark.skipif(bool(_tools_missing()), reason=_tools_missing() or "tools present")
"""Skips where the `[sass]` extra is not installed."""


@cache
def compiled(path: Path, architecture: int) -> CompiledCubin:
    return compile_cuda(path, architecture)


@cache
def programs(path: Path, architecture: int) -> dict[str, Program]:
    """Kernels of a source by name."""
    from gpusim.sass.cubin import load_programs

    cubin = compiled(path, architecture)
    return {p.name: p for p in load_programs(cubin.data, provenance=cubin.provenance)}
