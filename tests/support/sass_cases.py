"""What the tests of the machine-code reader share: sources, and whether the optional NVIDIA tools are installed."""

from __future__ import annotations

import struct
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from gpusim.errors import GpusimError
from gpusim.sass import toolchain
from gpusim.sass.fatbin import FATBIN_MAGIC
from gpusim.sass.nvcc import NO_HOST_COMPILER, host_compiler_missing
from gpusim.sass.nvrtc import CompiledCubin, compile_cuda
from gpusim.sass.program import Program

TESTS = Path(__file__).resolve().parent.parent
DATA = TESTS / "data"
KERNELS = TESTS.parent / "traces" / "kernels"
ARCHITECTURES = (75, 80, 86, 90)
SOURCES = tuple(sorted(DATA.glob("*.cu")))
ZSTD, LZ4 = 0x8000, 0x2000
"""Flags of a fat binary's entry that say how it is compressed."""


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


def _nvcc_missing() -> str:
    try:
        toolchain.find_nvcc()
    except GpusimError as error:
        return str(error)
    return NO_HOST_COMPILER if host_compiler_missing() else ""


needs_nvcc = pytest.mark.skipif(bool(_nvcc_missing()), reason=_nvcc_missing() or "nvcc present")
"""Skips where the `[cuda]` extra or a host compiler is not installed."""


@cache
def compiled(path: Path, architecture: int) -> CompiledCubin:
    return compile_cuda(path, architecture)


@cache
def programs(path: Path, architecture: int) -> dict[str, Program]:
    """Kernels of a source by name."""
    from gpusim.sass.cubin import load_programs

    cubin = compiled(path, architecture)
    return {p.name: p for p in load_programs(cubin.data, provenance=cubin.provenance)}


def container(entries: list[tuple[bytes, int]]) -> bytes:
    """A fat binary of ELF entries with these payloads and compression flags (0: stored as it is)."""
    body = b""
    for payload, flags in entries:
        padded = payload + bytes(-len(payload) % 8)
        header = struct.pack("<HHIQ", 2, 0x101, 64, len(padded)) + struct.pack("<I", len(payload) if flags else 0)
        header += bytes(20) + struct.pack("<Q", 0x11 | flags) + bytes(16)
        body += header + padded
    return FATBIN_MAGIC + struct.pack("<HHQ", 1, 16, len(body)) + body
