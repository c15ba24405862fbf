"""Kernel files -> Programs: .cu through NVRTC, .cubin, and hand-written .sass."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gpusim.errors import GpusimError, nearest

if TYPE_CHECKING:
    from gpusim.sass.assembler import AssembledKernel
    from gpusim.sass.program import Program

SUFFIXES = (".cu", ".cubin", ".sass")


@dataclass(frozen=True)
class OpenedSource:
    """A kernel file's programs; `assembled` are the launches that a .sass file carries, None for others."""

    path: Path
    sha256: str
    programs: tuple[Program, ...]
    assembled: tuple[AssembledKernel, ...] | None = None


def open_source(path: Path | str, architecture: int = 86) -> OpenedSource:
    """Compile, disassemble or assemble a kernel file; `architecture` counts for .cu only.

    Raises GpusimError for a missing file, an unknown suffix, and whatever the compiler or reader refuses.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise GpusimError(f"{path}: not a kernel file; expected one of {', '.join(SUFFIXES)}")
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise GpusimError(f"{path}: cannot read: {error.strerror}") from error
    if path.suffix == ".sass":
        from gpusim.sass.assembler import assemble

        kernels = assemble(path)
        return OpenedSource(path, digest, tuple(kernel.program for kernel in kernels), kernels)
    from gpusim.sass.cubin import load_programs

    if path.suffix == ".cubin":
        return OpenedSource(path, digest, load_programs(path))
    from gpusim.sass.nvrtc import compile_cuda

    compiled = compile_cuda(path, architecture)
    return OpenedSource(path, digest, load_programs(compiled.data, provenance=compiled.provenance))


def choose_program(programs: tuple[Program, ...], name: str | None, origin: str) -> Program:
    """The program of that exact name, or the one whose mangled name contains it.

    Raises GpusimError if there is none (with the nearest name) or several.
    """
    known = [program.name for program in programs]
    if name is None:
        if len(programs) == 1:
            return programs[0]
        raise GpusimError(f"{origin}: name the kernel, there are several: {', '.join(known)}")
    exact = [program for program in programs if program.name == name]
    mangled = f"{len(name)}{name}"
    found = exact or [p for p in programs if mangled in p.name] or [p for p in programs if p.name.startswith(name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise GpusimError(f"{origin}: kernel '{name}' may be {', '.join(p.name for p in found)}; give more of the name")
    raise GpusimError(f"{origin}: there is no kernel '{name}'{nearest(name, known)}; it has {', '.join(known)}")
