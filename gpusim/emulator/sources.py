"""Kernel files -> Programs: .cu through NVRTC, .cubin, hand-written .sass, executables, and profiles."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gpusim.errors import GpusimError, nearest
from gpusim.plainfile import read_bytes
from gpusim.sass.fatbin import KERNEL_SUFFIXES, REPORT_SUFFIX, is_kernel_file

if TYPE_CHECKING:
    from gpusim.sass.assembler import AssembledKernel
    from gpusim.sass.program import Program
    from gpusim.sass.reports import Report


@dataclass(frozen=True)
class OpenedSource:
    """A kernel file's programs.

    Attributes:
        assembled: the launches that a .sass file carries, None for others.
        instances: mangled name of each template instance that was asked for, by the name that asked.
        report: the profile, whose launches carry their programs themselves; None for other files.
    """

    path: Path
    sha256: str
    programs: tuple[Program, ...]
    assembled: tuple[AssembledKernel, ...] | None = None
    instances: Mapping[str, str] = field(default_factory=dict)
    report: Report | None = None

    def choose(self, name: str | None, origin: str) -> Program:
        """The program that a launch file means. Raises GpusimError, as `choose_name`."""
        known = [program.name for program in self.programs]
        asked = None if name is None else self.instances.get(name, name)
        return self.programs[known.index(choose_name(known, asked, origin))]


def open_source(path: Path | str, architecture: int = 86, kernels: Sequence[str] = ()) -> OpenedSource:
    """Compile, disassemble or assemble a kernel file.

    Args:
        path: .cu, .cubin, .sass, .fatbin, .ncu-rep, or an executable or library with machine code in it.
        architecture: counts for .cu, and for choosing among the images of an executable.
        kernels: names that launches will use; templates (`gemm<128, float>`) are instantiated, and of an executable
            only these kernels are decoded. Empty: all kernels, without templates.

    Raises GpusimError for a missing file, an unknown suffix, and whatever the compiler or reader refuses.
    """
    path = Path(path)
    data = read_bytes(path, "a kernel file")
    if not is_kernel_file(path):
        known = ", ".join(KERNEL_SUFFIXES)
        raise GpusimError(f"{path}: not a kernel file; expected one of {known}, an executable or a library")
    digest = hashlib.sha256(data).hexdigest()
    if path.suffix == REPORT_SUFFIX:
        from gpusim.sass.reports import Report

        return OpenedSource(path, digest, (), report=Report(path))
    if path.suffix == ".sass":
        from gpusim.sass.assembler import assemble

        assembled = assemble(path)
        return OpenedSource(path, digest, tuple(kernel.program for kernel in assembled), assembled)
    if path.suffix == ".cu":
        from gpusim.sass.cubin import load_programs
        from gpusim.sass.nvrtc import compile_cuda

        compiled = compile_cuda(path, architecture, instances=[name for name in kernels if "<" in name])
        programs = load_programs(compiled.data, provenance=compiled.provenance)
        return OpenedSource(path, digest, programs, instances=compiled.instances)
    if path.suffix == ".cubin":
        from gpusim.sass.cubin import load_programs

        return OpenedSource(path, digest, load_programs(path))
    return OpenedSource(path, digest, _embedded(path, data, architecture, kernels))


def _embedded(path: Path, data: bytes, architecture: int, kernels: Sequence[str]) -> tuple[Program, ...]:
    """Kernels of the images inside an executable, library or fat binary, those named only."""
    from gpusim.sass.cubin import CubinFile, load_programs

    images = _images_for(path, data, architecture)
    owner = {name: image for image in images for _, name in CubinFile(image, str(path)).kernels()}
    if not owner:
        raise GpusimError(f"{path}: its CUDA images hold no kernel")
    wanted = {choose_name(list(owner), name, str(path)) for name in kernels} or set(owner)
    facts = {"source": path.name}
    needed = [image for image in images if any(owner[name] is image for name in wanted)]
    return tuple(program for image in needed for program in load_programs(image, provenance=facts, only=wanted))


def _images_for(path: Path, data: bytes, architecture: int) -> list[bytes]:
    """The images of one architecture: the one asked for, or the only one there is."""
    from gpusim.sass.cubin import SUPPORTED_ARCHITECTURES, image_architecture
    from gpusim.sass.fatbin import find_images

    images = find_images(data, str(path))
    by_architecture: dict[int | None, list[bytes]] = {}
    for image in images.found:
        by_architecture.setdefault(image_architecture(image), []).append(image)
    supported = sorted(key for key in by_architecture if key is not None)
    if not supported:
        packed = f"; {images.unreadable} more are LZ4-compressed: build with -Xfatbin -compress-all=false"
        raise GpusimError(
            f"{path}: holds no CUDA machine code for {', '.join(f'sm_{a}' for a in SUPPORTED_ARCHITECTURES)} "
            f"({len(images.found)} images of other architectures, PTX does not count); "
            f"compile for one of them, such as -gencode arch=compute_86,code=sm_86{packed if images.unreadable else ''}"
        )
    if architecture in by_architecture:
        return by_architecture[architecture]
    if len(supported) == 1:
        return by_architecture[supported[0]]
    known = ", ".join(f"sm_{a}" for a in supported)
    raise GpusimError(f"{path}: holds machine code for {known}; choose one with --arch")


def choose_name(known: Sequence[str], name: str | None, origin: str) -> str:
    """The kernel of that exact name, or the one whose mangled name contains it.

    Raises GpusimError if there is none (with the nearest name) or several.
    """
    if name is None:
        if len(known) == 1:
            return known[0]
        raise GpusimError(f"{origin}: name the kernel, there are several: {', '.join(known)}")
    mangled = f"{len(name)}{name}"
    found = (
        [each for each in known if each == name]
        or [each for each in known if mangled in each]
        or [each for each in known if each.startswith(name)]
    )
    if len(found) == 1:
        return found[0]
    if found:
        raise GpusimError(f"{origin}: kernel '{name}' may be {', '.join(found)}; give more of the name")
    raise GpusimError(f"{origin}: there is no kernel '{name}'{nearest(name, known)}; it has {', '.join(known)}")
