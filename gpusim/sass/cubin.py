"""cubin (ELF64) -> Programs.

ELF facts: plain ELF64, machine 190 (EM_CUDA); e_flags carries the architecture in byte 1 (0x56 = 86).
Sections per kernel K: .text.K, .nv.info.K, .nv.constant<bank>.K, .nv.shared.K. `.nv.info` sections are lists of
attributes: format (u8), attribute (u8), size or value (u16), payload. Attribute numbers as `cuobjdump -elf` of the
CUDA toolkit names them; checked against its listing and compiled code.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpusim import limits
from gpusim.errors import GpusimError, nearest
from gpusim.plainfile import read_bytes
from gpusim.sass import toolchain
from gpusim.sass.elf import read_elf
from gpusim.sass.fatbin import EM_CUDA
from gpusim.sass.isa import SUPPORTED_ARCHITECTURES, load_isa
from gpusim.sass.program import GlobalData, Parameter, Program

if TYPE_CHECKING:
    from gpusim.sass.disassembly import DisassembledFunction
    from gpusim.sass.elf import Symbol
    from gpusim.sass.relocations import CubinGlobals

CONSTANT_DATA = ".nv.constant3"
"""The section of __constant__ variables."""
DEFAULT_STACK_BYTES = 1024
"""Stack per thread where the compiler cannot tell it (recursion): the CUDA runtime's default cudaLimitStackSize."""

_FORMAT_SIZED = 4
_KPARAM_INFO_V2 = 0x45
_PARAM_CBANK, _KPARAM_INFO, _FRAME_SIZE, _MIN_STACK_SIZE, _REGCOUNT, _NUM_BARRIERS = 0x0A, 0x17, 0x11, 0x12, 0x2F, 0x4C
_STT_FUNC = "STT_FUNC"
_UNKNOWN_STACK = 0xFFFFFFFF
_FLAGS_OFFSET = 48
_SYMBOL_BYTES = 24  # of an entry in the symbol table; its value is at byte 8
_SECTIONS_OFFSET, _SECTION_BYTES = (
    40,
    64,
)  # where the file tells its table of sections, and the bytes of one; type at byte 4
_UNWINDING = ".debug_frame"
_SHF_BARRIERS_SHIFT, _SHF_BARRIERS_MASK = 20, 0x7F


@dataclass(frozen=True)
class Attribute:
    """One entry of a .nv.info section: value for inline formats, payload for sized ones."""

    number: int
    value: int
    payload: bytes


def parse_attributes(data: bytes, origin: str) -> Iterator[Attribute]:
    """Entries of a .nv.info section. Raises GpusimError if it ends within one."""
    offset = 0
    while offset < len(data):
        if offset + 4 > len(data):
            raise GpusimError(f"{origin}: an entry at byte {offset:#x} is cut off")
        kind, number, value = struct.unpack_from("<BBH", data, offset)
        size = value if kind == _FORMAT_SIZED else 0
        payload = data[offset + 4 : offset + 4 + size]
        if len(payload) != size:
            raise GpusimError(f"{origin}: an entry at byte {offset:#x} is cut off")
        yield Attribute(number, value, payload)
        offset += 4 + size


class CubinFile:
    """An opened cubin: sections, symbols and launch facts. Raises GpusimError if it is none or unsupported."""

    def __init__(self, data: bytes, origin: str) -> None:
        self.data, self.origin = data, origin
        elf = read_elf(data, origin)
        if elf.machine not in (EM_CUDA, "EM_CUDA"):
            raise GpusimError(
                f"{origin}: the machine of this ELF file is {elf.machine}, not CUDA (190): it is host code"
            )
        self.architecture = _architecture(elf.flags, origin)
        self.sections = {section.name: section for section in elf.sections}
        self.section_names = [section.name for section in elf.sections]
        self.symbols, self.relocations = elf.symbols, elf.relocations
        for section in elf.sections:
            if section.name.startswith(".nv.shared") and section.size > limits.SHARED_BYTES[self.architecture]:
                most = limits.SHARED_BYTES[self.architecture]
                raise GpusimError(
                    f"{origin}: section {section.name} has {section.size} bytes, at most {most}: damaged?"
                )

    def section_of(self, index: int | str) -> str:
        """Name of a section by its number; empty for the special ones, and where there is none."""
        return self.section_names[index] if isinstance(index, int) and index < len(self.section_names) else ""

    def content(self, name: str) -> bytes:
        """Bytes of a section, empty if it is missing. Raises GpusimError if the file ends within it."""
        section = self.sections.get(name)
        if section is None or section.type == "SHT_NOBITS":
            return b""
        end = section.offset + section.size
        if end > len(self.data):
            raise GpusimError(
                f"{self.origin}: truncated: section {name} ends at byte {end}, the file at {len(self.data)}"
            )
        return self.data[section.offset : end]

    def kernels(self) -> list[tuple[int, str]]:
        """(symbol index, name) of every kernel, in symbol order."""
        return [
            (index, symbol.name)
            for index, symbol in self._functions()
            # static kernels and those of unnamed namespaces are local to their file, but have parameters of their own
            if symbol.bind != "STB_LOCAL" or f".nv.constant0.{symbol.name}" in self.sections
        ]

    def _functions(self) -> Iterator[tuple[int, Symbol]]:
        """Symbols of functions that have a section of code, with their numbers."""
        for index, symbol in enumerate(self.symbols):
            if symbol.type == _STT_FUNC and f".text.{symbol.name}" in self.sections:
                yield index, symbol

    def with_offsets(self) -> bytes:
        """The file with the values of symbols in code as offsets in their sections, which nvdisasm insists on.

        Images that a profiler took from a card hold the addresses there instead.
        """
        table = next((s for s in self.sections.values() if s.type == "SHT_SYMTAB"), None)
        if table is None:
            return self.data
        repaired, changed = bytearray(self.data), False
        homes = [self.section_of(symbol.section) for symbol in self.symbols]
        begin = {f".text.{symbol.name}": symbol.value for _, symbol in self._functions()}
        for index, (symbol, home) in enumerate(zip(self.symbols, homes)):
            if symbol.value and symbol.value >= begin.get(home, symbol.value + 1):
                struct.pack_into("<Q", repaired, table.offset + index * _SYMBOL_BYTES + 8, symbol.value - begin[home])
                changed |= symbol.value >= self.sections[home].size
        if (
            changed and _UNWINDING in self.section_names
        ):  # it was relocated too, and nvdisasm would look for the end of it
            headers = struct.unpack_from("<Q", repaired, _SECTIONS_OFFSET)[0]
            entry = headers + self.section_names.index(_UNWINDING) * _SECTION_BYTES
            repaired[entry + 4 : entry + 8] = bytes(4)  # its type: no section
        return bytes(repaired)

    @cached_property
    def per_function(self) -> dict[tuple[int, int], int]:
        """(attribute, symbol index) -> value, of the cubin-wide .nv.info section."""
        facts = {}
        for attribute in parse_attributes(self.content(".nv.info"), f"{self.origin}: .nv.info"):
            if len(attribute.payload) == 8:
                symbol, value = struct.unpack("<II", attribute.payload)
                facts[attribute.number, symbol] = value
        return facts


def image_architecture(data: bytes) -> int | None:
    """Compute capability of an ELF image; None if it is unknown or unsupported."""
    return _supported(struct.unpack_from("<I", data, _FLAGS_OFFSET)[0])


def _supported(flags: int) -> int | None:
    """The supported compute capability in e_flags: byte 1 carries it (ELF ABI 8); byte 0 in older files."""
    return next((c for c in _candidates(flags) if c in SUPPORTED_ARCHITECTURES), None)


def _candidates(flags: int) -> tuple[int, int]:
    return flags >> 8 & 0xFF, flags & 0xFF


def _architecture(flags: int, origin: str) -> int:
    if (supported := _supported(flags)) is not None:
        return supported
    known = ", ".join(f"sm_{a}" for a in SUPPORTED_ARCHITECTURES)
    found = next((f"sm_{c}" for c in _candidates(flags) if 20 <= c <= 130), f"unknown (e_flags {flags:#x})")
    raise GpusimError(f"{origin}: architecture {found} is not supported; supported: {known}; recompile for one of them")


def _unpacked(layout: str, attribute: Attribute, origin: str) -> tuple[int, ...]:
    """Fields of an attribute's payload. Raises GpusimError where it is too short."""
    if len(attribute.payload) < (wanted := struct.calcsize(layout)):
        short = f"attribute {attribute.number:#x} has {len(attribute.payload)} bytes of {wanted}"
        raise GpusimError(f"{origin}: {short}: truncated or damaged")
    return struct.unpack_from(layout, attribute.payload)


def _parameters(cubin: CubinFile, kernel: str) -> tuple[int, tuple[Parameter, ...]]:
    """Byte offset of the parameters in constant bank 0, and the parameters in order."""
    base, parameters = load_isa(cubin.architecture).parameter_base, []
    origin = f"{cubin.origin}: .nv.info.{kernel}"
    for attribute in parse_attributes(cubin.content(f".nv.info.{kernel}"), origin):
        if attribute.number == _PARAM_CBANK:
            _, base, _ = _unpacked("<IHH", attribute, origin)
        elif attribute.number == _KPARAM_INFO:
            _, ordinal, offset, packed = _unpacked("<IHHI", attribute, origin)
            parameters.append((ordinal, Parameter(offset, packed >> 18)))
        elif attribute.number == _KPARAM_INFO_V2:  # where all together are more than 4 KB
            _, ordinal, offset, size = _unpacked("<IHHI", attribute, origin)
            parameters.append((ordinal, Parameter(offset, size)))
    end = base + max((parameter.offset + parameter.size for _, parameter in parameters), default=0)
    if end > limits.CONSTANT_BYTES:
        raise GpusimError(f"{origin}: parameters end at byte {end} of a bank of {limits.CONSTANT_BYTES}: damaged")
    return base, tuple(parameter for _, parameter in sorted(parameters, key=lambda item: item[0]))


def _launch_facts(cubin: CubinFile, index: int, kernel: str) -> dict[str, Any]:
    """Registers, shared and local bytes, barriers, parameters of one kernel. Raises GpusimError for impossible ones."""
    facts = cubin.per_function
    base, parameters = _parameters(cubin, kernel)
    stack = max(facts.get((_FRAME_SIZE, index), 0), 0)
    minimum = facts.get((_MIN_STACK_SIZE, index), 0)
    local = stack + DEFAULT_STACK_BYTES if minimum == _UNKNOWN_STACK else max(stack, minimum)
    shared = cubin.sections.get(f".nv.shared.{kernel}")
    text = cubin.sections[f".text.{kernel}"]
    barriers = text.flags >> _SHF_BARRIERS_SHIFT & _SHF_BARRIERS_MASK
    for attribute in parse_attributes(cubin.content(f".nv.info.{kernel}"), cubin.origin):
        if attribute.number == _NUM_BARRIERS:
            barriers = max(barriers, attribute.value & 0xFF)
    sizes = {
        "registers": facts.get((_REGCOUNT, index), text.info >> 24),
        "shared_bytes": shared.size if shared is not None else 0,
        "local_bytes": local,
        "barriers": barriers,
    }
    most = (limits.REGISTERS, limits.SHARED_BYTES[cubin.architecture], limits.LOCAL_BYTES, limits.BARRIERS)
    for (what, size), limit in zip(sizes.items(), most):
        if size > limit:
            words = what.replace("_", " ")
            raise GpusimError(f"{cubin.origin}: kernel '{kernel}' has {size} {words}, at most {limit}: damaged?")
    return {"parameters": parameters, "parameter_base": base, **sizes}


class CubinKernels:
    """The kernels of a cubin: what a launch has to know of them at once, their machine code when it is asked for.

    Args:
        data: the ELF image. origin: what messages call it.
        provenance: facts to record with every Program, beside the cubin's hash and the disassembler's version.

    Raises GpusimError for anything that is not a readable cubin of a supported architecture.
    """

    def __init__(self, data: bytes, origin: str, provenance: Mapping[str, str] | None = None) -> None:
        self.file = CubinFile(data, origin)
        self.architecture = self.file.architecture
        self._indices = {name: index for index, name in self.file.kernels()}
        self._provenance = dict(provenance or {})
        self._programs: dict[str, Program] = {}

    def names(self) -> tuple[str, ...]:
        """Mangled names, in symbol order."""
        return tuple(self._indices)

    def launch_facts(self, name: str) -> dict[str, Any]:
        """`parameters`, `parameter_base`, `registers`, `shared_bytes`, `local_bytes` and `barriers`, as of a Program.

        Raises GpusimError where there is no such kernel, or it claims what is impossible.
        """
        if name not in self._indices:
            raise GpusimError(f"{self.file.origin}: there is no kernel '{name}'{nearest(name, self._indices)}")
        return _launch_facts(self.file, self._indices[name], name)

    def parameters(self, name: str) -> tuple[Parameter, ...]:
        """A kernel's parameters in order. Raises GpusimError as `launch_facts`."""
        return tuple(self.launch_facts(name)["parameters"])

    @cached_property
    def _globals(self) -> CubinGlobals:
        from gpusim.sass.relocations import read_globals

        return read_globals(self.file)

    @property
    def globals(self) -> GlobalData:
        """The __device__ variables that all kernels share, and the named variables, __constant__ ones included.

        Raises GpusimError where the file ends within them.
        """
        return self._globals.data

    def constant_data(self) -> bytes:
        """Initial contents of the __constant__ variables (bank 3), which all kernels share."""
        return self.file.content(CONSTANT_DATA)

    def program(self, name: str) -> Program:
        """One kernel, decoded at the first call. Raises GpusimError as `programs`."""
        return self.programs((name,))[0]

    def programs(self, names: Collection[str]) -> tuple[Program, ...]:
        """Several kernels in the order asked for; those that are new are disassembled together.

        An opcode that the table does not list gets roles guessed from its first letters; provenance then names it
        under `unlisted_opcodes`. Raises GpusimError for operands that are not understood (naming kernel and pc), for
        an address that the code lacks, and if a tool is missing.
        """
        if new := [name for name in names if name not in self._programs]:
            self._decode(new)
        return tuple(self._programs[name] for name in names)

    def _decode(self, names: Collection[str]) -> None:
        from gpusim.sass.disassembly import disassemble

        origin = self.file.origin
        launch_facts = {name: self.launch_facts(name) for name in names}
        shared = self._globals
        indices = None if len(launch_facts) == len(self._indices) else [self._indices[name] for name in launch_facts]
        image = self.file.with_offsets()
        functions = disassemble(image, origin, indices)  # last: over sizes that cannot be it runs out of memory
        for name, facts in launch_facts.items():
            if name not in functions:
                raise GpusimError(f"{origin}: nvdisasm printed no code for kernel '{name}'")
            self._programs[name] = _program(self.file, functions[name], shared, self._facts, facts)

    @cached_property
    def _facts(self) -> dict[str, str]:
        """What every Program tells of its origin."""
        external = self._globals.external
        return {
            "cubin_sha256": hashlib.sha256(self.file.data).hexdigest(),
            "disassembler": f"nvdisasm {toolchain.nvdisasm_version()}",
            **({"external_functions": " ".join(external)} if external else {}),
            **self._provenance,
        }


def open_kernels(source: Path | str | bytes, provenance: Mapping[str, str] | None = None) -> CubinKernels:
    """The kernels of a cubin, a path or bytes. Raises GpusimError as CubinKernels, and where it holds none."""
    if isinstance(source, bytes):
        facts = dict(provenance or {})
        kernels = CubinKernels(source, facts.get("source", "cubin"), facts)
    else:
        facts = {"source": Path(source).name, **(provenance or {})}
        kernels = CubinKernels(read_bytes(source, "a cubin"), str(source), facts)
    if not kernels.names():
        raise GpusimError(f"{kernels.file.origin}: this cubin holds no kernel; add a __global__ function")
    return kernels


def load_programs(
    source: Path | str | bytes, *, provenance: Mapping[str, str] | None = None, only: Collection[str] | None = None
) -> tuple[Program, ...]:
    """The kernels of a cubin, in symbol order; `only` those of these exact names, None for all.

    Raises GpusimError as `open_kernels` and `CubinKernels.programs`.
    """
    kernels = open_kernels(source, provenance)
    return kernels.programs([name for name in kernels.names() if only is None or name in only])


def _program(
    cubin: CubinFile,
    function: DisassembledFunction,
    globals_: CubinGlobals,
    facts: Mapping[str, str],
    launch_facts: Mapping[str, Any],
) -> Program:
    """Decode one kernel."""
    from gpusim.sass.decoder import decode_kernel

    kernel, isa = function.name, load_isa(cubin.architecture)
    globals_.check_code(kernel)
    tables = decode_kernel(function, cubin, kernel)
    guessed = [opcode for opcode in tables["opcodes"] if not isa.lookup(opcode).known]
    program = Program(
        name=kernel,
        architecture=cubin.architecture,
        constants=globals_.constants(kernel),
        globals=globals_.data,
        provenance={**facts, **({"unlisted_opcodes": " ".join(guessed)} if guessed else {})},
        **tables,
        **launch_facts,
    )
    globals_.check_constants(program)
    return program
