"""What a cubin's kernels share: __device__ variables, constant banks, and the addresses that go into them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gpusim.errors import GpusimError
from gpusim.sass.cubin import CubinFile
from gpusim.sass.program import RZ, GlobalData, OperandKind, Program, Relocation, Symbol

CONSTANT_BANKS = (2, 3, 4)
"""Banks with initial contents: literals and jump tables, __constant__ data, addresses of globals."""
NOWHERE = (1 << 64) - 16
"""Address given to functions that the CUDA runtime provides (assert, printf): calling one is an error of the run."""

_ADDRESS_BANK = 4
_ADDRESSES = f".nv.constant{_ADDRESS_BANK}"
_R_CUDA_64, _R_CUDA_32 = 2, 1
_GLOBAL_ALIGNMENT = 256
_STT_OBJECT, _STT_FUNC = "STT_OBJECT", "STT_FUNC"


def _global_layout(cubin: CubinFile) -> dict[str, int]:
    """Offset of each section of __device__ variables in the image: initialised ones first."""
    offsets, end = {}, 0
    names = [n for n in cubin.section_names if n == ".nv.global.init"] + [
        n for n in cubin.section_names if n == ".nv.global"
    ]
    for name in names:
        offsets[name] = end
        size = cubin.sections[name]["sh_size"]
        end += -(-size // _GLOBAL_ALIGNMENT) * _GLOBAL_ALIGNMENT
    return offsets


def _symbols(cubin: CubinFile, layout: Mapping[str, int]) -> tuple[Symbol, ...]:
    """Named __device__ and __constant__ variables."""
    found = []
    for symbol in cubin.symbols:
        if symbol["st_info"]["type"] != _STT_OBJECT or not isinstance(symbol["st_shndx"], int):
            continue
        section = cubin.section_names[symbol["st_shndx"]]
        if section in layout:
            found.append(Symbol(symbol.name, -1, layout[section] + symbol["st_value"], symbol["st_size"]))
        elif section == ".nv.constant3":
            found.append(Symbol(symbol.name, 3, symbol["st_value"], symbol["st_size"]))
    return tuple(found)


@dataclass(frozen=True)
class _Unresolved:
    """A place that lacks an address: of a function that this file does not hold, or one that cannot be applied."""

    target: str
    offset: int
    size: int
    symbol: str
    is_external_function: bool
    message: str

    @property
    def owner(self) -> str:
        """The kernel that the place belongs to; empty if all share it."""
        name = self.target.removeprefix(".text.")
        if name != self.target:
            return name
        return self.target.removeprefix(".nv.constant").partition(".")[2] if self.is_constant else ""

    @property
    def is_constant(self) -> bool:
        return self.target.startswith(".nv.constant")


def _relocations(cubin: CubinFile, layout: Mapping[str, int]) -> tuple[list[Relocation], list[_Unresolved]]:
    """Places in constant bank 4 that receive the address of a __device__ variable, and what cannot be applied."""
    found, unresolved = [], []
    for name, section in cubin.sections.items():
        if section["sh_type"] not in ("SHT_REL", "SHT_RELA"):
            continue
        target = cubin.section_names[section["sh_info"]] if section["sh_info"] < len(cubin.section_names) else ""
        target = name.removeprefix(".rela").removeprefix(".rel") or target
        if not target.startswith((".text", ".nv.constant", ".nv.global")):
            continue
        for entry in section.iter_relocations():
            symbol = cubin.symbols[entry["r_info_sym"]]
            index = symbol["st_shndx"]
            home = cubin.section_names[index] if isinstance(index, int) else ""
            kind, offset = entry["r_info_type"], entry["r_offset"]
            size = 8 if kind == _R_CUDA_64 else 4
            if target != _ADDRESSES or home not in layout or kind not in (_R_CUDA_64, _R_CUDA_32):
                message = (
                    f"cannot apply relocation type {kind} at {target}+{offset:#x} "
                    f"(symbol '{symbol.name}' in {home or 'no section of this file'}); "
                    "link the code fully (no -rdc) and call no printf, malloc or assert in it"
                )
                external = target == _ADDRESSES and kind == _R_CUDA_64 and index == "SHN_UNDEF"
                external &= symbol["st_info"]["type"] == _STT_FUNC
                unresolved.append(_Unresolved(target, offset, size, symbol.name, external, message))
                continue
            addend = entry["r_addend"] if entry.is_RELA() else 0
            found.append(Relocation(_ADDRESS_BANK, offset, size, layout[home] + symbol["st_value"] + addend))
    return found, unresolved


def _reads(program: Program, place: _Unresolved) -> bool:
    """Whether a kernel may read an unresolved place of a constant bank."""
    bank = int(place.target.removeprefix(".nv.constant").partition(".")[0])
    operands = program.operands
    reads = operands[(operands.kind == OperandKind.CONSTANT) & (operands.bank == bank)]
    overlaps = (reads.immediate < place.offset + place.size) & (reads.immediate + 8 > place.offset)
    return bool((overlaps | (reads.register != RZ)).any())


@dataclass(frozen=True)
class CubinGlobals:
    """The __device__ variables and constant banks of a cubin, and the places whose addresses it does not hold."""

    cubin: CubinFile
    data: GlobalData
    unresolved: tuple[_Unresolved, ...]

    @property
    def external(self) -> list[str]:
        """Functions that the code may call and the file does not hold, sorted."""
        return sorted({place.symbol for place in self.unresolved if place.is_external_function})

    def constants(self, kernel: str) -> dict[int, bytes]:
        """Images of the banks with initial contents, those of the kernel before those of the whole cubin.

        Addresses of functions that the file does not hold are NOWHERE.
        """
        banks = {}
        for bank in CONSTANT_BANKS:
            image = self.cubin.content(f".nv.constant{bank}.{kernel}") or self.cubin.content(f".nv.constant{bank}")
            if image:
                banks[bank] = image
        for place in self.unresolved:
            if place.is_external_function and _ADDRESS_BANK in banks:
                patched = bytearray(banks[_ADDRESS_BANK])
                patched[place.offset : place.offset + place.size] = NOWHERE.to_bytes(place.size, "little")
                banks[_ADDRESS_BANK] = bytes(patched)
        return banks

    def check_code(self, kernel: str) -> None:
        """Refuse a kernel whose code lacks an address; what other kernels lack does not matter. Raises GpusimError."""
        for place in self.unresolved:
            if place.owner in ("", kernel) and not place.is_constant:
                raise GpusimError(f"{self.cubin.origin}: kernel '{kernel}': {place.message}")

    def check_constants(self, program: Program) -> None:
        """Refuse a kernel that may read a constant which lacks an address. Raises GpusimError."""
        for place in self.unresolved:
            mine = place.owner in ("", program.name) and place.is_constant
            if mine and not place.is_external_function and _reads(program, place):
                raise GpusimError(f"{self.cubin.origin}: kernel '{program.name}': {place.message}")


def read_globals(cubin: CubinFile) -> CubinGlobals:
    """Everything that the kernels of a cubin share. Raises GpusimError if the file ends within it."""
    layout = _global_layout(cubin)
    relocations, unresolved = _relocations(cubin, layout)
    size = max((offset + cubin.sections[name]["sh_size"] for name, offset in layout.items()), default=0)
    data = GlobalData(
        size=size,
        image=cubin.content(".nv.global.init"),
        relocations=tuple(relocations),
        symbols=_symbols(cubin, layout),
    )
    return CubinGlobals(cubin, data, tuple(unresolved))
