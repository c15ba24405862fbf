"""Machine code that a program brings: a fat binary or a cubin, its kernels, variables and constants.

A module's variables are placed in device memory when it is loaded, the __constant__ ones too: a host that writes them
writes memory, and every launch takes the constant bank from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from gpusim.emulator.decode import Decoded
from gpusim.errors import GpusimError
from gpusim.programs.memory import SharedMemory
from gpusim.sass.cubin import CubinKernels, image_architecture
from gpusim.sass.fatbin import find_images
from gpusim.sass.program import Program, Relocation

CONSTANT_BANK = 3
"""Of the __constant__ variables."""


class NoImage(GpusimError):
    """The program holds no machine code that the card runs."""


@dataclass
class Kernel:
    """A kernel that a program has asked for. `decoded`: of its first launch, for those that follow."""

    module: Module
    name: str
    program: Program
    decoded: Decoded | None = None

    def written(self) -> Mapping[int, bytes]:
        """The constant bank of variables as it is now, where the kernel has one."""
        return self.module.constants() if CONSTANT_BANK in self.program.constants else {}


@dataclass
class Module:
    """One loaded image. globals_address, constants_address: of its variables, 0 where it has none."""

    kernels: CubinKernels
    memory: SharedMemory
    globals_address: int = 0
    constants_address: int = 0
    constant_bytes: int = 0
    functions: dict[str, Kernel] = field(default_factory=dict)

    def kernel(self, name: str) -> Kernel | None:
        """A kernel by its exact name, decoded at the first call; None where there is none. Raises GpusimError."""
        if name not in self.functions:
            if name not in self.kernels.names():
                return None
            self.functions[name] = Kernel(self, name, self.kernels.program(name))
        return self.functions[name]

    def symbol(self, name: str) -> tuple[int, int] | None:
        """Address and size of a variable, None where there is none."""
        for symbol in self.kernels.globals.symbols:
            if symbol.name == name:
                base = self.globals_address if symbol.bank < 0 else self.constants_address
                return base + symbol.offset, symbol.size
        return None

    def constants(self) -> Mapping[int, bytes]:
        """The bank of __constant__ variables as it is in memory."""
        if not self.constant_bytes:
            return {}
        return {CONSTANT_BANK: self.memory.at(self.constants_address, self.constant_bytes).tobytes()}

    def unload(self) -> None:
        """Give the memory of its variables back."""
        for address in filter(None, (self.globals_address, self.constants_address)):
            self.memory.release(address)


def load(data: bytes, architecture: int, memory: SharedMemory) -> Module:
    """Load the image of a fat binary or cubin that fits the card best, and place its variables.

    Raises NoImage where there is none, GpusimError where it is damaged or memory runs out.
    """
    image = _best(data, architecture)
    kernels = CubinKernels(image, "the program")
    module = Module(kernels, memory)
    shared = kernels.globals
    if shared.size:
        module.globals_address = _place(memory, shared.image, shared.size)
    constants = kernels.constant_data()
    if constants:
        module.constant_bytes = len(constants)
        module.constants_address = _place(memory, constants, len(constants))
        for relocation in shared.relocations:
            if relocation.bank == CONSTANT_BANK:
                _relocate(memory, module, relocation)
    return module


def _best(data: bytes, architecture: int) -> bytes:
    """Of the images that the card runs, that of the highest compute capability (binary compatibility)."""
    images = find_images(data, "the program")
    fitting = []
    for image in images.found:
        found = image_architecture(image)
        if found is not None and found // 10 == architecture // 10 and found <= architecture:
            fitting.append((found, image))
    if fitting:
        return max(fitting, key=lambda pair: pair[0])[1]
    there = sorted({f"sm_{a}" for each in images.found if (a := image_architecture(each))})
    held = f"it holds that of {', '.join(there)}" if there else "it holds none, or PTX only"
    packed = f" ({images.unreadable} images are LZ4-compressed: build with -Xfatbin -compress-all=false)"
    raise NoImage(
        f"the program holds no machine code for sm_{architecture}; {held}; build it with "
        f"-arch=sm_{architecture}{packed if images.unreadable else ''}"
    )


def _place(memory: SharedMemory, image: bytes, size: int) -> int:
    address = memory.allocate(size)
    if not address:
        raise GpusimError(f"the program's variables of {size:,} bytes do not fit into device memory")
    memory.at(address, size)[: len(image)] = np.frombuffer(image, np.uint8)
    return address


def _relocate(memory: SharedMemory, module: Module, relocation: Relocation) -> None:
    """Put the address of a __device__ variable into a __constant__ one."""
    value = (module.globals_address + relocation.addend) & ((1 << 8 * relocation.size) - 1)
    place = memory.at(module.constants_address + relocation.offset, relocation.size)
    place[:] = np.frombuffer(value.to_bytes(relocation.size, "little"), np.uint8)
