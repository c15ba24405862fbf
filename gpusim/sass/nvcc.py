"""CUDA programs through nvcc: whole files with host code -> cubin, and nvcc as a command of its own.

nvcc preprocesses and compiles host code with the system's compiler, so it needs g++. What it makes of a kernel is what
NVRTC of the same version makes of it; NVRTC takes a tenth of a second and no host compiler, but knows no host header.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from gpusim.errors import GpusimError
from gpusim.sass import toolchain
from gpusim.sass.nvrtc import CompiledCubin, SourceError, check_architecture

HOST_COMPILER = "g++"
NO_HOST_COMPILER = (
    f"nvcc needs a host compiler, and there is no {HOST_COMPILER} on the PATH: install it (apt install g++), or name "
    "another one (-ccbin PATH, or the environment variable NVCC_CCBIN)"
)
_NAMES_HOST_COMPILER = ("-ccbin", "--compiler-bindir")
_NAMES_RUNTIME = ("-cudart", "--cudart")
_INSTANCE = "gpusim_instance_"


def run_nvcc(arguments: Sequence[str]) -> int:
    """Call nvcc with these arguments, so that what it links finds the shared CUDA runtime; returns its exit code.

    A program then reaches whatever libcudart.so is first on its library path, nvcc's own where none is.
    Raises GpusimError where nvcc is missing, or fails for want of a host compiler.
    """
    nvcc = toolchain.find_nvcc()
    with tempfile.TemporaryDirectory(prefix="gpusim-") as folder:
        command = [str(nvcc), *arguments, *linking(nvcc, arguments, Path(folder))]
        code = subprocess.run(command, check=False).returncode
    if code and host_compiler_missing(arguments):
        raise GpusimError(NO_HOST_COMPILER)
    return code if code >= 0 else 128 - code


def host_compiler_missing(arguments: Sequence[str] = ()) -> bool:
    """Whether nvcc would find no host compiler."""
    named = "NVCC_CCBIN" in os.environ or any(each.startswith(_NAMES_HOST_COMPILER) for each in arguments)
    return not named and shutil.which(HOST_COMPILER) is None


def linking(nvcc: Path, arguments: Sequence[str], folder: Path) -> list[str]:
    """Options for the shared runtime, with the name that linkers look for made in `folder`: wheels lack that link."""
    library = toolchain.find_runtime_library(nvcc)
    if library is None or any(each.startswith(_NAMES_RUNTIME) for each in arguments):
        return []
    (folder / "libcudart.so").symlink_to(library)
    # as runpath, not rpath: LD_LIBRARY_PATH comes first
    search = f"--enable-new-dtags,-rpath,{library.parent}"
    return ["-cudart", "shared", "-L", str(folder), "-Xlinker", search]


def compile_cuda(
    path: Path, architecture: int, options: Sequence[str] = (), instances: Sequence[str] = ()
) -> CompiledCubin:
    """Compile the kernels of one CUDA source file for `architecture` (86), host code and its headers included.

    `instances` are template kernels to instantiate beside those that the host code uses. Raises SourceError with the
    compiler's log if the source is wrong, and GpusimError naming the remedy if nvcc or its host compiler is missing.
    """
    path = Path(path)
    check_architecture(path, architecture)
    nvcc = toolchain.find_nvcc()
    if host_compiler_missing(options):
        raise GpusimError(f"{path}: {NO_HOST_COMPILER}")
    arguments = [f"-arch=sm_{architecture}", *options]
    with tempfile.TemporaryDirectory(prefix="gpusim-") as folder:
        cubin, ptx = Path(folder) / "image.cubin", Path(folder) / "image.ptx"
        lowered: dict[str, str] = {}
        source, logs = path, []
        if instances:
            wrapper = Path(folder) / "instances.cu"
            wrapper.write_text(_with_instances(path, instances))
            logs.append(_call(path, architecture, [nvcc, "-ptx", *arguments, "-o", ptx, wrapper]))
            text, lowered = _without_instances(ptx.read_text(), instances)
            ptx.write_text(text)
            source = ptx
        logs.append(_call(path, architecture, [nvcc, "-cubin", *arguments, "-o", cubin, source]))
        data = cubin.read_bytes()
    compiler = f"nvcc {toolchain.nvcc_version()}"
    provenance = {
        "source": path.name,
        "source_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "compiler": compiler,
        "compiler_options": " ".join(arguments),
    }
    return CompiledCubin(data, compiler, "\n".join(filter(None, logs)), provenance, lowered)


def _call(path: Path, architecture: int, command: Sequence[str | Path]) -> str:
    """One call of nvcc; returns its log."""
    done = subprocess.run(
        [str(each) for each in command], capture_output=True, text=True, errors="replace", check=False
    )
    log = (done.stderr + done.stdout).strip()
    if done.returncode != 0:
        raise SourceError(f"{path}: compilation for sm_{architecture} failed (nvcc)\n{log}")
    return log


def _with_instances(path: Path, instances: Sequence[str]) -> str:
    """A source that includes the file and takes the address of each instance, which instantiates it."""
    addresses = [
        f'extern "C" __device__ const void *{_INSTANCE}{k} = (const void *)({name});\n'
        for k, name in enumerate(instances)
    ]
    return f'#include "{path.resolve()}"\n{"".join(addresses)}'


def _without_instances(ptx: str, instances: Sequence[str]) -> tuple[str, dict[str, str]]:
    """The PTX without the variables of `_with_instances`, and the mangled names that they held."""
    declared = re.compile(rf"^.*\b{_INSTANCE}(\d+) = (\w+);\n", re.MULTILINE)
    return declared.sub("", ptx), {instances[int(match[1])]: match[2] for match in declared.finditer(ptx)}
