"""Where NVIDIA's optional tools live: nvdisasm, libnvrtc, nvcc with its runtime library, and the CUDA headers.

Search order for each tool: an environment variable, the wheels of the `[sass]` and `[cuda]` extras, CUDA_HOME, PATH.
The wheels of CUDA 13 share one folder (`nvidia/cu13/{bin,lib,include}`); those of CUDA 12 have one per component.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from gpusim.errors import GpusimError

NVDISASM_VARIABLE = "GPUSIM_NVDISASM"
"""Environment variable naming the nvdisasm executable."""
NVRTC_VARIABLE = "GPUSIM_NVRTC"
"""Environment variable naming the libnvrtc shared library."""
NVCC_VARIABLE = "GPUSIM_NVCC"
"""Environment variable naming the nvcc executable."""
REMEDY = "install the tools with: pip install 'gpusim[sass]'"
CUDA_REMEDY = "install it with: pip install 'gpusim[cuda]'"


def _wheel_folders() -> Iterator[Path]:
    """Component roots below site-packages/nvidia, newest CUDA first."""
    for name in ("purelib", "platlib"):
        root = Path(sysconfig.get_paths()[name]) / "nvidia"
        if root.is_dir():
            yield from sorted(root.glob("cu[0-9]*"), reverse=True)
            yield from sorted(root.glob("cuda_*"))


def _toolkit_folders() -> Iterator[Path]:
    for variable in ("CUDA_HOME", "CUDA_PATH"):
        if value := os.environ.get(variable):
            yield Path(value)


def _overridden(variable: str) -> Path | None:
    value = os.environ.get(variable)
    if not value:
        return None
    if not Path(value).is_file():
        raise GpusimError(f"{variable}={value} is not a file; correct or unset it")
    return Path(value)


def _find_executable(name: str, variable: str) -> Path | None:
    """An executable in the search order; None where there is none. Raises GpusimError for a wrong variable."""
    if path := _overridden(variable):
        return path
    for folder in (*_wheel_folders(), *_toolkit_folders()):
        for file in (name, f"{name}.exe"):
            if (path := folder / "bin" / file).is_file():
                return path
    found = shutil.which(name)
    return Path(found) if found else None


def find_nvdisasm() -> Path:
    """Path of the nvdisasm executable. Raises GpusimError naming the remedy if there is none."""
    if path := _find_executable("nvdisasm", NVDISASM_VARIABLE):
        return path
    raise GpusimError(f"nvdisasm not found, it is needed to read machine code; {REMEDY} (or set {NVDISASM_VARIABLE})")


def find_nvcc() -> Path:
    """Path of the nvcc executable. Raises GpusimError naming the remedy if there is none."""
    if path := _find_executable("nvcc", NVCC_VARIABLE):
        return path
    raise GpusimError(f"nvcc not found; {CUDA_REMEDY} (or set {NVCC_VARIABLE})")


def find_runtime_library(nvcc: Path) -> Path | None:
    """The shared CUDA runtime (libcudart.so.13) of an nvcc, None where it has none beside it."""
    root = nvcc.resolve().parent.parent
    found = [each for pattern in ("lib", "lib64", "targets/*/lib") for each in root.glob(f"{pattern}/libcudart.so.*")]
    return min(found, key=lambda path: len(path.name), default=None)


def find_nvrtc() -> Path:
    """Path of the libnvrtc shared library. Raises GpusimError naming the remedy if there is none."""
    if path := _overridden(NVRTC_VARIABLE):
        return path
    for folder in (*_wheel_folders(), *_toolkit_folders()):
        for pattern in ("lib/libnvrtc.so*", "lib64/libnvrtc.so*", "bin/nvrtc64_*.dll"):
            candidates = [p for p in sorted(folder.glob(pattern), reverse=True) if ".alt." not in p.name]
            if candidates:
                return candidates[0]
    raise GpusimError(f"libnvrtc not found, it is needed to compile .cu files; {REMEDY} (or set {NVRTC_VARIABLE})")


def find_include_folders() -> tuple[Path, ...]:
    """Folders with CUDA headers (cuda_fp16.h, mma.h, nv/target); empty where none is installed."""
    roots = [folder / "include" for folder in (*_wheel_folders(), *_toolkit_folders())]
    folders = [root / part for root in roots for part in ("", "cccl")]
    return tuple(dict.fromkeys(folder for folder in folders if folder.is_dir()))


def nvdisasm_version() -> str:
    """Version of nvdisasm such as `13.5.37`. Raises GpusimError where it is missing or does not tell."""
    return _version(find_nvdisasm())


def nvcc_version() -> str:
    """Version of nvcc such as `13.5.37`. Raises GpusimError where it is missing or does not tell."""
    return _version(find_nvcc())


@lru_cache(maxsize=8)
def _version(executable: Path) -> str:
    result = subprocess.run([str(executable), "--version"], capture_output=True, text=True, check=False)
    match = re.search(r"\bV(\d+(?:\.\d+)+)", result.stdout)
    if result.returncode != 0 or not match:
        raise GpusimError(f"{executable} --version failed: {(result.stderr or result.stdout).strip()}; {REMEDY}")
    return match.group(1)
