"""Where NVIDIA's optional tools live: nvdisasm, libnvrtc and the CUDA headers.

Search order for each tool: an environment variable, the pip wheels of the `[sass]` extra, CUDA_HOME, PATH.
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
REMEDY = "install the tools with: pip install 'gpusim[sass]'"


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


def find_nvdisasm() -> Path:
    """Path of the nvdisasm executable. Raises GpusimError naming the remedy if there is none."""
    if path := _overridden(NVDISASM_VARIABLE):
        return path
    for folder in (*_wheel_folders(), *_toolkit_folders()):
        for name in ("nvdisasm", "nvdisasm.exe"):
            if (path := folder / "bin" / name).is_file():
                return path
    if found := shutil.which("nvdisasm"):
        return Path(found)
    raise GpusimError(f"nvdisasm not found, it is needed to read machine code; {REMEDY} (or set {NVDISASM_VARIABLE})")


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
    """Folders with CUDA headers (cuda_fp16.h, mma.h); empty where none is installed."""
    folders = [folder / "include" for folder in (*_wheel_folders(), *_toolkit_folders())]
    return tuple(dict.fromkeys(folder for folder in folders if folder.is_dir()))


@lru_cache(maxsize=8)
def nvdisasm_version(path: Path | None = None) -> str:
    """Version of nvdisasm such as `13.5.37`."""
    executable = path or find_nvdisasm()
    result = subprocess.run([str(executable), "--version"], capture_output=True, text=True, check=False)
    match = re.search(r"\bV(\d+(?:\.\d+)+)", result.stdout)
    if result.returncode != 0 or not match:
        raise GpusimError(f"{executable} --version failed: {(result.stderr or result.stdout).strip()}; {REMEDY}")
    return match.group(1)
