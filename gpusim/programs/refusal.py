"""Programs that the runtime library cannot reach, told before they start.

A program reaches it through the dynamic loader. One that holds the vendor's runtime itself (nvcc's default, `-cudart
static`) never asks for a library; what that runtime wants of the driver is not documented and not imitated.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from gpusim.errors import GpusimError

_FAT_BINARY = ".nv_fatbin"
"""Section of the machine code in a program that nvcc linked."""
_REACHED = ("libcudart.so", "libcuda.so")
_RUNTIME_INSIDE = b"cudaErrorInvalidChannelDescriptor"
"""One of the names that cudaGetErrorName returns: they lie where that function does."""


def find_program(name: str) -> Path:
    """The path of the file that a command names, as a shell finds it; absolute, so that starting it finds it, too.

    Raises GpusimError where there is none that can run.
    """
    if found := shutil.which(name):
        return Path(found).absolute()
    if Path(name).is_file():
        raise GpusimError(f"{name}: may not be executed; allow it with chmod +x, or name the program that it is for")
    hint = f"; if it is in this folder, write ./{name}" if os.sep not in name and Path(name).exists() else ""
    raise GpusimError(f"{name}: no such program{hint}")


def check_program(path: Path) -> None:
    """Raises GpusimError for a program with CUDA code that is linked with the static runtime."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.dynamic import DynamicSection
    from elftools.elf.elffile import ELFFile

    try:
        with path.open("rb") as file:
            elf = ELFFile(file)
            if elf.get_section_by_name(_FAT_BINARY) is None:
                return
            dynamic = elf.get_section_by_name(".dynamic")
            assert dynamic is None or isinstance(dynamic, DynamicSection)
            file.seek(0)
            inside = _RUNTIME_INSIDE in file.read()
            needed = [str(getattr(tag, "needed", "")) for tag in dynamic.iter_tags("DT_NEEDED")] if dynamic else []
    except (ELFError, OSError):
        return  # a script, or what only the system can judge
    if inside and not any(name.startswith(_REACHED) for name in needed):
        raise GpusimError(
            f"{path}: is linked with the static CUDA runtime, which talks to the driver in undocumented ways; link it "
            "with the shared one: build with `gpusim nvcc`, or add -cudart shared to nvcc's options "
            "(CMake: set CUDA_RUNTIME_LIBRARY to Shared)"
        )
