"""What a cubin's kernels share: __device__ variables, constant banks, and the addresses that go into them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gpusim.errors import GpusimError
from gpusim.memory_limit import require_memory
from gpusim.sass.cubin import CONSTANT_DATA, CubinFile
from gpusim.sass.program import RZ, GlobalData, OperandKind, Program, Relocation, Symbol

CONSTANT_BANKS = (2, 3, 4)
"""Banks with initial contents: literals and jump tables, __constant__ data, addresses of globals."""
NOWHERE = (1 << 64) - 16
"""Address given to functions of the CUDA runtime that nobody stands in for: calling one is an error of the run."""
RUNTIME_FUNCTIONS = ("vprintf", "malloc", "free", "__assertfail", "__cuda_syscall_aligned_malloc")
"""Functions of the CUDA runtime that are stood in for, which `new`, `delete` and `assert` call too: the k-th has the
address NOWHERE - 16 * (k + 1)."""

_ADDRESS_BANK = 4
_ADDRESSES = f".nv.constant{_ADDRESS_BANK}"
_R_CUDA_64, _R_CUDA_32 = 2, 1
_GLOBAL_ALIGNMENT = 256
_STT_OBJECT, _STT_FUNC = "STT_OBJECT", "STT_FUNC"


def runtime_address(function: str) -> int:
    """The address of a function that a file does not hold."""
    known = function in RUNTIME_FUNCTIONS
    return NOWHERE - 16 * (RUNTIME_FUNCTIONS.index(function) + 1) if known else NOWHERE


def _global_layout(cubin: CubinFile) -> dict[str, int]:
    """Offset of each section of __device__ variables in the image: initialised ones first."""
    offsets, end = {}, 0
    names = [n for n in cubin.section_names if n == ".nv.global.init"] + [
        n for n in cubin.section_names if n == ".nv.global"
    ]
    for name in names:
        offsets[name] = end
        size = cubin.sections[name].size
        end += -(-size // _GLOBAL_ALIGNMENT) * _GLOBAL_ALIGNMENT
    return offsets


def _symbols(cubin: CubinFile, layout: Mapping[str, int]) -> tuple[Symbol, ...]:
    """Named __device__ and __constant__ variables."""
    found = []
    for symbol in cubin.symbols:
        section = cubin.section_of(symbol.section)
        if symbol.type != _STT_OBJECT or not section:
            continue
        if section in layout:
            found.append(Symbol(symbol.name, -1, layout[section] + symbol.value, symbol.size))
        elif section == CONSTANT_DATA:
            found.append(Symbol(symbol.name, 3, symbol.value, symbol.size))
        else:
            continue
        if symbol.value + symbol.size > cubin.sections[section].size:
            raise GpusimError(f"{cubin.origin}: variable '{symbol.name}' ends behind section {section}: damaged")
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
    for entry in cubin.relocations:
        target = entry.section.removeprefix(".rela").removeprefix(".rel") or cubin.section_of(entry.target)
        if not target.startswith((".text", ".nv.constant", ".nv.global")):
            continue
        if entry.symbol >= len(cubin.symbols):
            raise GpusimError(f"{cubin.origin}: a relocation of {target} names symbol {entry.symbol}: damaged")
        symbol = cubin.symbols[entry.symbol]
        home = cubin.section_of(symbol.section)
        size = 8 if entry.type == _R_CUDA_64 else 4
        if target != _ADDRESSES or home not in layout or entry.type not in (_R_CUDA_64, _R_CUDA_32):
            message = (
                f"cannot apply relocation type {entry.type} at {target}+{entry.offset:#x} "
                f"(symbol '{symbol.name}' in {home or 'no section of this file'}); "
                "link the code fully (no -rdc) and call no printf, malloc or assert in it"
            )
            external = target == _ADDRESSES and entry.type == _R_CUDA_64 and symbol.section == "SHN_UNDEF"
            external &= symbol.type == _STT_FUNC
            unresolved.append(_Unresolved(target, entry.offset, size, symbol.name, external, message))
            continue
        addend = layout[home] + symbol.value + entry.addend
        found.append(Relocation(_ADDRESS_BANK, entry.offset, size, addend))
    ends = [place.offset + place.size for place in found]
    ends += [place.offset + place.size for place in unresolved if place.target == _ADDRESSES]
    if max(ends, default=0) > len(cubin.content(_ADDRESSES)):
        raise GpusimError(f"{cubin.origin}: a relocation lies behind section {_ADDRESSES}: damaged")
    return found, unresolved


def _reads(program: Program, place: _Unresolved) -> bool:
    """Whether a kernel may read an unresolved place of a constant bank."""
    bank = place.target.removeprefix(".nv.constant").partition(".")[0]
    if not bank.isdecimal():
        return True
    operands = program.operands
    reads = operands[(operands.kind == OperandKind.CONSTANT) & (operands.bank == int(bank))]
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

        Addresses of functions that the file does not hold are those of `runtime_address`.
        """
        banks = {}
        for bank in CONSTANT_BANKS:
            image = self.cubin.content(f".nv.constant{bank}.{kernel}") or self.cubin.content(f".nv.constant{bank}")
            if image:
                banks[bank] = image
        for place in self.unresolved:
            if place.is_external_function and _ADDRESS_BANK in banks:
                patched = bytearray(banks[_ADDRESS_BANK])
                address = runtime_address(place.symbol)
                patched[place.offset : place.offset + place.size] = address.to_bytes(place.size, "little")
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
    size = max((offset + cubin.sections[name].size for name, offset in layout.items()), default=0)
    require_memory(4 * size, f"{cubin.origin}: __device__ variables of {size:,} bytes take", "the file may be damaged")
    data = GlobalData(
        size=size,
        image=cubin.content(".nv.global.init"),
        relocations=tuple(relocations),
        symbols=_symbols(cubin, layout),
    )
    return CubinGlobals(cubin, data, tuple(unresolved))
