"""CUDA source -> cubin, by the compiler that can: NVRTC, or nvcc for what has host code or its headers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gpusim.errors import GpusimError
from gpusim.sass import nvcc, nvrtc, toolchain
from gpusim.sass.nvrtc import CompiledCubin, SourceError


def compile_source(
    path: Path, architecture: int, options: Sequence[str] = (), instances: Sequence[str] = ()
) -> CompiledCubin:
    """Compile the kernels of one CUDA source file for `architecture` (86).

    NVRTC comes first, so that what it compiles gives the same wherever nvcc is installed or not.

    Args:
        options: for either compiler, as `-Iinclude`, `-DN=4`, `-std=c++17`, each in one piece.
        instances: template kernels to instantiate, as `gemm<128, float>`.

    Raises GpusimError with the compiler's log (file and line) if the source is wrong, and naming the remedy if a
    compiler is missing.
    """
    try:
        return nvrtc.compile_cuda(path, architecture, options, instances)
    except SourceError as error:
        refusal = error
    try:
        toolchain.find_nvcc()
    except GpusimError as missing:
        raise SourceError(
            f"{refusal}\nNVRTC compiles kernels only, host code and its headers need nvcc: {missing}"
        ) from None
    try:
        return nvcc.compile_cuda(path, architecture, options, instances)
    except SourceError:
        raise
    except GpusimError as missing:
        raise SourceError(f"{refusal}\n{missing}") from None
