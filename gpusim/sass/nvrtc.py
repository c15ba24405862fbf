"""CUDA source -> cubin, in process, through NVRTC (no host compiler, driver or GPU needed)."""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from gpusim.errors import GpusimError
from gpusim.sass import toolchain
from gpusim.sass.isa import SUPPORTED_ARCHITECTURES

DEFAULT_OPTIONS = ("-default-device",)
"""Functions without annotation compile for the device."""


@dataclass(frozen=True)
class CompiledCubin:
    """A cubin image with the compiler that made it (`NVRTC 13.5`) and its log (warnings).

    `instances` gives the mangled name of each template instance that was asked for.
    """

    data: bytes
    compiler: str
    log: str
    provenance: Mapping[str, str]
    instances: Mapping[str, str]


class SourceError(GpusimError):
    """A source that a compiler refuses."""


def check_architecture(path: Path, architecture: int) -> None:
    """Raises GpusimError where nothing that can be read would come of compiling for it."""
    if architecture not in SUPPORTED_ARCHITECTURES:
        known = ", ".join(f"sm_{a}" for a in SUPPORTED_ARCHITECTURES)
        raise GpusimError(f"{path}: cannot compile for sm_{architecture}; supported: {known}")


@lru_cache(maxsize=4)
def _load(path: Path) -> ctypes.CDLL:
    try:
        for builtins in sorted(path.parent.glob("libnvrtc-builtins.so*")):
            ctypes.CDLL(str(builtins), mode=ctypes.RTLD_GLOBAL)
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise GpusimError(f"cannot load {path}: {error}; {toolchain.REMEDY}") from error
    library.nvrtcGetErrorString.restype = ctypes.c_char_p
    return library


def _check(library: ctypes.CDLL, status: int, action: str) -> None:
    if status != 0:
        raise GpusimError(f"{action}: {library.nvrtcGetErrorString(status).decode()}")


def nvrtc_version() -> str:
    """Version of the NVRTC library, e.g. `13.5`. Raises GpusimError if it is missing."""
    library = _load(toolchain.find_nvrtc())
    major, minor = ctypes.c_int(), ctypes.c_int()
    _check(library, library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)), "asking NVRTC for its version")
    return f"{major.value}.{minor.value}"


def _read_back(library: ctypes.CDLL, program: ctypes.c_void_p, what: str) -> bytes:
    """The bytes that nvrtcGet<what> delivers (`ProgramLog`, `CUBIN`)."""
    size = ctypes.c_size_t()
    _check(library, getattr(library, f"nvrtcGet{what}Size")(program, ctypes.byref(size)), f"reading {what}")
    buffer = ctypes.create_string_buffer(size.value)
    _check(library, getattr(library, f"nvrtcGet{what}")(program, buffer), f"reading {what}")
    return buffer.raw


def _instances(library: ctypes.CDLL, program: ctypes.c_void_p, names: Sequence[str]) -> dict[str, str]:
    """Mangled names of the template instances of a compiled program."""
    lowered = {}
    for name in names:
        text = ctypes.c_char_p()
        status = library.nvrtcGetLoweredName(program, name.encode(), ctypes.byref(text))
        _check(library, status, f"asking for the instance '{name}'")
        lowered[name] = (text.value or b"").decode()
    return lowered


def compile_cuda(
    path: Path, architecture: int, options: Sequence[str] = (), instances: Sequence[str] = ()
) -> CompiledCubin:
    """Compile one CUDA source file for `architecture` (e.g. 86).

    Headers are looked up beside the file and in the installed CUDA headers. Kernels may be `extern "C"`
    or mangled; `instances` are template kernels to instantiate, as `gemm<128, float>`. Raises SourceError
    with the compiler's log (file and line) if the source is wrong, and GpusimError naming the remedy if NVRTC is not
    installed.
    """
    path = Path(path)
    check_architecture(path, architecture)
    try:
        source = path.read_bytes()
    except OSError as error:
        raise GpusimError(f"{path}: cannot read the source: {error.strerror}") from error
    library = _load(toolchain.find_nvrtc())
    folders = (path.resolve().parent, *toolchain.find_include_folders())
    arguments = (f"-arch=sm_{architecture}", *DEFAULT_OPTIONS, *(f"-I{folder}" for folder in folders), *options)
    encoded = [argument.encode() for argument in arguments]
    program = ctypes.c_void_p()
    status = library.nvrtcCreateProgram(ctypes.byref(program), source, str(path).encode(), 0, None, None)
    _check(library, status, f"{path}: creating an NVRTC program")
    try:
        for name in instances:
            status = library.nvrtcAddNameExpression(program, name.encode())
            _check(library, status, f"{path}: asking for the instance '{name}'")
        status = library.nvrtcCompileProgram(program, len(encoded), (ctypes.c_char_p * len(encoded))(*encoded))
        log = _read_back(library, program, "ProgramLog").rstrip(b"\0").decode(errors="replace").strip()
        if status != 0:
            reason = library.nvrtcGetErrorString(status).decode()
            raise SourceError(f"{path}: compilation for sm_{architecture} failed ({reason})\n{log}")
        data = _read_back(library, program, "CUBIN")
        lowered = _instances(library, program, instances)
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))
    compiler = f"NVRTC {nvrtc_version()}"
    provenance = {
        "source": path.name,
        "source_sha256": hashlib.sha256(source).hexdigest(),
        "compiler": compiler,
        "compiler_options": " ".join((f"-arch=sm_{architecture}", *DEFAULT_OPTIONS, *options)),
    }
    return CompiledCubin(data, compiler, log, provenance, lowered)
