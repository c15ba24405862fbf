"""A CUDA source with its host code -> a program, by nvcc and the host's compiler."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from gpusim.errors import GpusimError
from gpusim.sass import nvcc, toolchain
from gpusim.sass.fatbin import ELF_MAGIC

SOURCE_SUFFIX = ".cu"
OPTIMISED = "-O2"
"""Of host code; nvcc optimises kernels in any case."""
_NO_MAIN = "undefined reference to `main'"


def is_program(path: Path) -> bool:
    """Whether a file can be run as a whole: a CUDA source, or an executable of the system."""
    if path.suffix == SOURCE_SUFFIX:
        return path.is_file()
    if not path.is_file() or not os.access(path, os.X_OK):
        return False
    with path.open("rb") as file:
        return file.read(len(ELF_MAGIC)) == ELF_MAGIC


def build_program(path: Path, architecture: int, options: Sequence[str], folder: Path) -> Path:
    """Compile and link a source into `folder`, for `architecture` (86) and with options of the compiler.

    Raises GpusimError where it holds no main(), is wrong (with the compiler's log), or a compiler is missing.
    """
    try:
        compiler = toolchain.find_nvcc()
    except GpusimError as missing:
        raise GpusimError(
            f"{path}: to run its kernels alone, describe their launches in a launch file (--launch FILE); to run it as "
            f"a whole program, nvcc builds it, and: {missing}"
        ) from None
    if nvcc.host_compiler_missing(options):
        raise GpusimError(f"{path}: {nvcc.NO_HOST_COMPILER}")
    program = folder / path.stem
    linking = nvcc.linking(compiler, (), folder)
    command = [compiler, f"-arch=sm_{architecture}", OPTIMISED, *options, path, "-o", program, *linking]
    done = subprocess.run(
        [str(each) for each in command], capture_output=True, text=True, errors="replace", check=False
    )
    log = (done.stderr + done.stdout).strip()
    if done.returncode and _NO_MAIN in log:
        raise GpusimError(
            f"{path}: a launch file is needed (--launch FILE), since it holds no main() that launches its kernels"
        )
    if done.returncode:
        raise GpusimError(f"{path}: building the program for sm_{architecture} failed (nvcc)\n{log}")
    return program
