"""Program: the static instructions of one kernel, as plain arrays.

A Program is the first of the project's four nouns (Program, Trace, Config, Result). It is built once,
by the cubin reader or by the assembler, and never changed. The emulator reads all of it; the timing
model reads registers, control bits and opcodes only.

Encoding facts (bit positions of the control field, reuse bits) are documented in `gpusim.sass.control_bits`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from enum import IntEnum
from functools import cached_property
from types import MappingProxyType
from typing import Any, cast

import numpy as np

from gpusim.constants import MemorySpace
from gpusim.display import counted, html_table
from gpusim.immutable import Picklable

RZ = 255
"""Register id that reads as zero and drops writes."""
URZ = 63
"""Uniform register id that reads as zero (encoded as 63 on sm_75..sm_90)."""
PT = 7
"""Predicate id that is always true (also UPT)."""
NO_SLOT = 255
"""Operand slot of anything that is not read from the regular register file."""


class OperandKind(IntEnum):
    """What an operand is; the fields of OPERAND_DTYPE that count depend on it."""

    REGISTER = 0
    UNIFORM_REGISTER = 1
    PREDICATE = 2
    UNIFORM_PREDICATE = 3
    IMMEDIATE = 4
    CONSTANT = 5
    MEMORY = 6
    LABEL = 7
    SPECIAL_REGISTER = 8
    BARRIER_REGISTER = 9
    DEPENDENCE_COUNTER = 10


OPERAND_DTYPE = np.dtype(
    [
        ("kind", "u1"),  # OperandKind
        ("is_destination", "u1"),  # 1 written, 0 read
        ("position", "u1"),  # position in the text, destinations included, guard excluded
        ("slot", "u1"),  # register-file-cache slot: 0 A, 1 B, 2 C; NO_SLOT if not a regular source register
        ("register", "u2"),  # register, uniform register, predicate, barrier register or counter number
        ("width", "u1"),  # registers covered: 1 (32 bit), 2 (64), 4 (128); 0 where it has no registers
        ("negate", "u1"),  # arithmetic minus, or logical not of a predicate
        ("absolute", "u1"),  # |x|
        ("invert", "u1"),  # bitwise ~x
        ("reuse", "u1"),  # keep in the register file cache (bits 122..124)
        ("select", "u1"),  # index into OPERAND_SELECTORS: half, byte or conversion of this operand
        ("immediate", "i8"),  # IMMEDIATE: the 32-bit pattern, zero-extended; LABEL: target pc (byte offset);
        #                       SPECIAL_REGISTER: index into Program.special_registers;
        #                       CONSTANT, MEMORY: signed byte offset
        ("bank", "u1"),  # CONSTANT: bank number
        ("uniform", "u1"),  # MEMORY, CONSTANT: uniform register added to the address, URZ for none
        ("uniform_width", "u1"),  # its registers: 1 or 2; 0 for none
        ("scale", "u1"),  # MEMORY: factor on the register: 1, 4, 8, 16
        ("descriptor", "u1"),  # MEMORY: uniform register of a memory descriptor, URZ for none;
        #                        CONSTANT: that of a bindless bank (bank 255)
    ]
)
"""One operand. MEMORY and CONSTANT name their base register in `register` (RZ for none) and its size in `width`."""

OPERAND_SELECTORS = (
    "", "H0_H0", "H1_H1", "H0_H1", "H1_H0", "H0_NH1", "F32", "H0", "H1", "B0", "B1", "B2", "B3", "U32", "64", "F16",
    "ROW", "COL", "SIGN", "24", "28",
)  # fmt: skip
"""Suffixes that an operand may carry (`R4.H0_H0`, `R2.B1`), by index of OPERAND_DTYPE.select."""

INSTRUCTION_DTYPE = np.dtype(
    [
        ("pc", "u4"),  # byte offset in the kernel
        ("opcode", "u2"),  # index into Program.opcodes (full spelling with modifiers)
        ("guard", "u1"),  # guard predicate, PT if none
        ("guard_negate", "u1"),
        ("guard_uniform", "u1"),  # 1: the guard is a uniform predicate
        ("operand_start", "u4"),  # first row in Program.operands
        ("operand_count", "u1"),
        ("space", "u1"),  # MemorySpace
        ("access_bytes", "u1"),  # bytes per lane of a memory instruction, else 0
        ("target", "i4"),  # index of the branch target, -1 if none
        ("stall", "u1"),  # stall count 0..15 (bits 105..108)
        ("yields", "u1"),  # 1: yield requested (raw bit 109 is inverted)
        ("write_counter", "u1"),  # dependence counter released at write-back (bits 110..112), NO_COUNTER if none
        ("read_counter", "u1"),  # dependence counter released when sources were read (bits 113..115)
        ("wait_mask", "u1"),  # counters that must be zero before issue (bits 116..121)
        ("encoding_low", "u8"),  # the machine code; zero for hand-written programs
        ("encoding_high", "u8"),
    ]
)
"""One static instruction."""


@dataclass(frozen=True)
class Parameter:
    """One kernel parameter in constant bank 0."""

    offset: int  # bytes from Program.parameter_base
    size: int  # bytes
    name: str = ""


@dataclass(frozen=True)
class Symbol:
    """A named variable: in a constant bank, or with bank -1 among the __device__ variables."""

    name: str
    bank: int
    offset: int  # bytes from the start of the bank or of the __device__ variables
    size: int  # bytes


@dataclass(frozen=True)
class Relocation:
    """A place in a constant bank that receives an address once the __device__ variables have theirs."""

    bank: int
    offset: int  # bytes from the start of the bank
    size: int  # 4 or 8 bytes, little endian
    addend: int  # bytes from the start of the __device__ variables


@dataclass(frozen=True)
class GlobalData:
    """The __device__ variables that a kernel can reach: `size` bytes, `image` first and zeros after it."""

    size: int = 0
    image: bytes = b""
    relocations: tuple[Relocation, ...] = ()
    symbols: tuple[Symbol, ...] = ()


@dataclass(frozen=True)
class Program(Picklable):
    """One kernel's machine code and launch facts. Immutable: arrays are set read-only.

    Attributes:
        name: the (mangled) kernel name.
        architecture: compute capability without the dot, e.g. 86.
        instructions: (n,) recarray of INSTRUCTION_DTYPE, in pc order, 16 bytes apart.
        operands: (m,) recarray of OPERAND_DTYPE; instruction i owns operand_start .. +operand_count.
        opcodes: full spellings with modifiers (`IMAD.WIDE.U32`), indexed by `instructions.opcode`.
        special_registers: names (`SR_TID.X`), indexed by a SPECIAL_REGISTER operand's `immediate`.
        text: one line of assembly per instruction, without control field.
        constants: initial images of constant banks 2, 3 and 4 (bytes).
        parameters: in order; parameter_base is their byte offset in bank 0.
        globals: __device__ variables, the places that hold their addresses, and named variables.
        registers: registers per thread. shared_bytes: static shared memory per CTA.
        local_bytes: local memory (stack and frame) per thread. barriers: CTA barriers used.
        provenance: source file, its SHA-256, compiler and version; free-form strings.
    """

    name: str
    architecture: int
    instructions: np.recarray
    operands: np.recarray
    opcodes: tuple[str, ...]
    special_registers: tuple[str, ...]
    text: tuple[str, ...]
    constants: Mapping[int, bytes] = field(default_factory=dict)
    globals: GlobalData = field(default_factory=GlobalData)
    parameters: tuple[Parameter, ...] = ()
    parameter_base: int = 0x160
    registers: int = 16
    shared_bytes: int = 0
    local_bytes: int = 0
    barriers: int = 0
    provenance: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, dtype in (("instructions", INSTRUCTION_DTYPE), ("operands", OPERAND_DTYPE)):
            array = np.array(getattr(self, name), dtype=dtype).view(np.recarray)
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        object.__setattr__(self, "constants", MappingProxyType(dict(self.constants)))
        object.__setattr__(self, "provenance", MappingProxyType(dict(self.provenance)))

    def __repr__(self) -> str:
        return f"<Program {self.name}: sm_{self.architecture}, {counted(len(self), 'instruction')}>"

    def _repr_html_(self) -> str:
        rows = ((f"{pc:04x}", text) for pc, text in zip(self.instructions.pc.tolist(), self.text))
        return html_table(repr(self), ("pc", "instruction"), rows)

    def __len__(self) -> int:
        return len(self.instructions)

    def opcode_of(self, index: int) -> str:
        """Full opcode spelling of instruction `index`, e.g. `LDG.E.128`."""
        return self.opcodes[self.instructions[index].opcode]

    def operands_of(self, index: int) -> np.recarray:
        """The operands of instruction `index` in text order, a view."""
        row = self.instructions[index]
        # a slice of a record array is one too, which numpy's annotations do not say
        return cast(np.recarray, self.operands[row.operand_start : row.operand_start + row.operand_count])

    @cached_property
    def address_counts(self) -> np.ndarray:
        """(n,) uint8: memory records per execution: 0, 1, or 2 (LDGSTS: global source, then shared destination)."""
        spaces = self.instructions.space
        return np.where(spaces == MemorySpace.NONE, 0, np.where(spaces == MemorySpace.GLOBAL_TO_SHARED, 2, 1)).astype(
            np.uint8
        )

    def metadata(self) -> dict[str, Any]:
        """Everything but the two tables, as JSON-ready values (bytes in hexadecimal)."""
        return {
            "name": self.name,
            "architecture": self.architecture,
            "opcodes": list(self.opcodes),
            "special_registers": list(self.special_registers),
            "text": list(self.text),
            "constants": {str(bank): data.hex() for bank, data in self.constants.items()},
            "globals": {
                "size": self.globals.size,
                "image": self.globals.image.hex(),
                "relocations": [list(astuple(r)) for r in self.globals.relocations],
                "symbols": [list(astuple(s)) for s in self.globals.symbols],
            },
            "parameters": [[p.offset, p.size, p.name] for p in self.parameters],
            "parameter_base": self.parameter_base,
            "registers": self.registers,
            "shared_bytes": self.shared_bytes,
            "local_bytes": self.local_bytes,
            "barriers": self.barriers,
            "provenance": dict(self.provenance),
        }

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any], instructions: np.ndarray, operands: np.ndarray) -> Program:
        """Inverse of `metadata`, with the two tables. Raises KeyError where a field is missing."""
        return cls(
            name=metadata["name"],
            architecture=int(metadata["architecture"]),
            instructions=instructions.view(np.recarray),
            operands=operands.view(np.recarray),
            opcodes=tuple(metadata["opcodes"]),
            special_registers=tuple(metadata["special_registers"]),
            text=tuple(metadata["text"]),
            constants={int(bank): bytes.fromhex(data) for bank, data in metadata["constants"].items()},
            globals=GlobalData(
                size=int(metadata["globals"]["size"]),
                image=bytes.fromhex(metadata["globals"]["image"]),
                relocations=tuple(Relocation(*r) for r in metadata["globals"]["relocations"]),
                symbols=tuple(Symbol(*s) for s in metadata["globals"]["symbols"]),
            ),
            parameters=tuple(Parameter(*p) for p in metadata["parameters"]),
            parameter_base=int(metadata["parameter_base"]),
            registers=int(metadata["registers"]),
            shared_bytes=int(metadata["shared_bytes"]),
            local_bytes=int(metadata["local_bytes"]),
            barriers=int(metadata["barriers"]),
            provenance=metadata["provenance"],
        )
