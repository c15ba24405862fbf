"""Kernel files -> Programs: .cu through NVRTC or nvcc, .cubin, hand-written .sass, executables, and profiles."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gpusim.errors import GpusimError, nearest
from gpusim.plainfile import read_bytes
from gpusim.sass.fatbin import KERNEL_SUFFIXES, REPORT_SUFFIX, is_kernel_file

if TYPE_CHECKING:
    from gpusim.sass.assembler import AssembledKernel
    from gpusim.sass.cubin import CubinKernels
    from gpusim.sass.program import Program
    from gpusim.sass.reports import Report


def _none(_: Sequence[str]) -> tuple[Program, ...]:
    """The programs of a profile, which gives each with its launch."""
    return ()


@dataclass(frozen=True)
class OpenedSource:
    """A kernel file's programs, machine code decoded when it is asked for.

    Attributes:
        kernels: names of the kernels in it, in the file's order.
        decode: the programs of kernels of these exact names; raises GpusimError for what is not understood.
        assembled: the launches that a .sass file carries, None for others.
        instances: mangled name of each template instance that was asked for, by the name that asked.
        report: the profile, whose launches carry their programs themselves; None for other files.
    """

    path: Path
    sha256: str
    kernels: tuple[str, ...] = ()
    decode: Callable[[Sequence[str]], tuple[Program, ...]] = _none
    assembled: tuple[AssembledKernel, ...] | None = None
    instances: Mapping[str, str] = field(default_factory=dict)
    report: Report | None = None

    @property
    def programs(self) -> tuple[Program, ...]:
        """All of them, in the file's order. Raises GpusimError as `decode`."""
        return self.decode(self.kernels)

    def choose(self, name: str | None, origin: str) -> Program:
        """The program that a launch file means. Raises GpusimError as `choose_name` and `decode`."""
        return self.decode([choose_name(self.kernels, self._mangled(name), origin)])[0]

    def prepare(self, names: Sequence[str]) -> OpenedSource:
        """Itself, with the kernels that these names mean decoded together, which is faster than one by one.

        A name that means none or several is left to `choose`.
        """
        found = [matching(self.kernels, self._mangled(name) or "") for name in names]
        self.decode(list(dict.fromkeys(each[0] for each in found if len(each) == 1)))
        return self

    def _mangled(self, name: str | None) -> str | None:
        """The name in the machine code of a template instance, other names as they are."""
        return None if name is None else self.instances.get(name, name)


def open_source(
    path: Path | str, architecture: int = 86, kernels: Sequence[str] = (), compile_options: Sequence[str] = ()
) -> OpenedSource:
    """Compile, disassemble or assemble a kernel file.

    Args:
        path: .cu, .cubin, .sass, .fatbin, .ncu-rep, or an executable or library with machine code in it.
        architecture: counts for .cu, and for choosing among the images of an executable.
        kernels: names that launches will use: templates (`gemm<128, float>`) are instantiated, and machine code of
            these kernels is decoded at once.
        compile_options: for the compiler of a .cu file, as `-Iinclude`, `-DN=4`, `-std=c++17`.

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

        return OpenedSource(path, digest, report=Report(path))
    if path.suffix == ".sass":
        return _assembled(path, digest)
    if path.suffix == ".cu":
        return _compiled(path, digest, architecture, kernels, compile_options).prepare(kernels)
    if path.suffix == ".cubin":
        from gpusim.sass.cubin import open_kernels

        return _of_cubins(path, digest, [open_kernels(path)]).prepare(kernels)
    return _embedded(path, data, digest, architecture).prepare(kernels)


def _assembled(path: Path, digest: str) -> OpenedSource:
    from gpusim.sass.assembler import assemble

    kernels = assemble(path)
    programs = {kernel.program.name: kernel.program for kernel in kernels}
    return OpenedSource(path, digest, tuple(programs), lambda names: tuple(programs[n] for n in names), kernels)


def _compiled(
    path: Path, digest: str, architecture: int, kernels: Sequence[str], options: Sequence[str]
) -> OpenedSource:
    from gpusim.sass.compilers import compile_source
    from gpusim.sass.cubin import open_kernels

    compiled = compile_source(path, architecture, options, [name for name in kernels if "<" in name])
    opened = _of_cubins(path, digest, [open_kernels(compiled.data, compiled.provenance)])
    return replace(opened, instances=compiled.instances)


def _embedded(path: Path, data: bytes, digest: str, architecture: int) -> OpenedSource:
    """Kernels of the images inside an executable, library or fat binary."""
    from gpusim.sass.cubin import CubinKernels

    facts = {"source": path.name}
    images = [CubinKernels(image, str(path), facts) for image in _images_for(path, data, architecture)]
    opened = _of_cubins(path, digest, images)
    if not opened.kernels:
        raise GpusimError(f"{path}: its CUDA images hold no kernel")
    return opened


def _of_cubins(path: Path, digest: str, cubins: Sequence[CubinKernels]) -> OpenedSource:
    """The kernels of all these cubins; of one name that several have, the last."""
    owner = {name: cubin for cubin in cubins for name in cubin.names()}

    def decode(names: Sequence[str]) -> tuple[Program, ...]:
        for cubin in cubins:
            cubin.programs([name for name in names if owner[name] is cubin])
        return tuple(owner[name].program(name) for name in names)

    return OpenedSource(path, digest, tuple(owner), decode)


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


def matching(known: Sequence[str], name: str) -> list[str]:
    """The kernels that a name may mean: the one of that exact name, else those whose mangled name contains it."""
    mangled = f"{len(name)}{name}"
    return (
        [each for each in known if each == name]
        or [each for each in known if mangled in each]
        or [each for each in known if each.startswith(name)]
    )


def choose_name(known: Sequence[str], name: str | None, origin: str) -> str:
    """The kernel of that exact name, or the one whose mangled name contains it.

    Raises GpusimError if there is none (with the nearest name) or several.
    """
    if name is None:
        if len(known) == 1:
            return known[0]
        raise GpusimError(f"{origin}: name the kernel, there are several: {', '.join(known)}")
    found = matching(known, name)
    if len(found) == 1:
        return found[0]
    if found:
        raise GpusimError(f"{origin}: kernel '{name}' may be {', '.join(found)}; give more of the name")
    raise GpusimError(f"{origin}: there is no kernel '{name}'{nearest(name, known)}; it has {', '.join(known)}")
