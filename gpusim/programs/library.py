"""The runtime library of `runtime/` as shared objects, built at first use with the host's C compiler.

One core with the device's state, and over it the CUDA runtime API under the name of each toolkit's library and the
driver API. They are kept in the cache folder by the hash of their sources and of the compiler's version.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from gpusim import resources
from gpusim.codecache import chosen_root
from gpusim.errors import GpusimError

CORE = "libgpusim-device.so"
CORE_SOURCES = ("device.c", "modules.c", "work.c", "errors.c")
RUNTIMES = {"libcudart.so.13": 13000, "libcudart.so.12": 12090, "libcudart.so.11.0": 11080}
"""Names that programs of each toolkit load, and the version that cudaRuntimeGetVersion tells."""
DRIVER = "libcuda.so.1"
LINKED = "linked"
"""Folder below the libraries with the names that linkers look for; the loader does not look there."""
OPTIONS = ("-std=gnu11", "-O2", "-shared", "-fPIC", "-pthread", "-fno-strict-aliasing")


def compiler() -> str:
    """The host's C compiler: $CC, else cc, gcc or clang. Raises GpusimError where there is none."""
    for name in (os.environ.get("CC"), "cc", "gcc", "clang"):
        if name and (found := shutil.which(name)):
            return found
    raise GpusimError(
        "a C compiler is needed once, to build the library that stands in for the CUDA runtime, and neither cc, gcc "
        "nor clang is here; install one (apt install gcc), or name it in the variable CC"
    )


def library_folder() -> Path:
    """The folder with the libraries, which a program's LD_LIBRARY_PATH names; built where they are missing.

    Raises GpusimError where there is no compiler, it fails, or the folder cannot be written.
    """
    sources = {path.name: path.read_bytes() for path in sorted(resources.find("runtime").glob("*.[ch]"))}
    key = hashlib.sha256(repr((sorted(sources.items()), OPTIONS, RUNTIMES, DRIVER, LINKED)).encode()).hexdigest()[:16]
    root = chosen_root() or Path(tempfile.gettempdir()) / f"gpusim-{os.getuid()}"
    folder = root / f"runtime-{key}"
    if not folder.is_dir():
        try:
            root.mkdir(parents=True, exist_ok=True)
            _build(folder)
        except OSError as error:
            raise GpusimError(
                f"{folder}: cannot be written ({error.strerror}); name another GPUSIM_CACHE_DIR"
            ) from error
    return folder


def linking_options() -> list[str]:
    """Options of nvcc to link a program that uses the driver API (-lcuda). Raises GpusimError as `library_folder`."""
    folder = library_folder()
    return [f"-L{folder / LINKED}", "-Xlinker", f"-rpath-link={folder}"]


def _build(folder: Path) -> None:
    """Build beside the folder and move there, so that it is complete or not there at all."""
    with tempfile.TemporaryDirectory(prefix=".runtime-", dir=folder.parent) as name:
        made = Path(name) / "lib"
        made.mkdir()
        source = resources.find("runtime")
        _compile(made, CORE, [source / name for name in CORE_SOURCES], ())
        for soname, version in RUNTIMES.items():
            script = _version_script(Path(name), soname)
            _compile(made, soname, [source / "cudart.c"], (f"-DCUDART_VERSION={version}", *_linked(made, script)))
        script = _version_script(Path(name), "")
        _compile(made, DRIVER, [source / "cuda.c"], _linked(made, script))
        (made / LINKED).mkdir()
        (made / LINKED / "libcuda.so").symlink_to(f"../{DRIVER}")
        try:
            made.rename(folder)
        except OSError:
            if not folder.is_dir():  # another process was first
                raise


def _version_script(folder: Path, node: str) -> Path:
    """What a library shows: programs ask the runtime's functions for a version of the library's name."""
    path = folder / f"{node or 'driver'}.map"
    path.write_text(f"{node} {{ global: cu*; __cuda*; local: *; }};\n")
    return path


def _linked(folder: Path, script: Path) -> Sequence[str]:
    return (f"-Wl,--version-script={script}", f"-L{folder}", "-lgpusim-device", "-Wl,-rpath,$ORIGIN", "-ldl")


def _compile(folder: Path, soname: str, sources: Sequence[Path], options: Sequence[str]) -> None:
    command = [compiler(), *OPTIONS, f"-Wl,-soname,{soname}", "-o", str(folder / soname), *map(str, sources), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise GpusimError(f"{command[0]} cannot build {soname} of the runtime library:\n{done.stderr.strip()}")


def environment(socket_name: str, before: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program: its own, with the libraries first and the simulator's address.

    Raises GpusimError as `library_folder`.
    """
    paths = [str(library_folder()), *filter(None, before.get("LD_LIBRARY_PATH", "").split(os.pathsep))]
    return {**before, "LD_LIBRARY_PATH": os.pathsep.join(paths), "GPUSIM_RUNTIME": socket_name}
