"""Disassembled lines with their encodings -> instruction and operand tables of one kernel."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from gpusim.constants import MemorySpace
from gpusim.errors import GpusimError
from gpusim.sass import control_bits
from gpusim.sass.builder import ProgramBuilder, Tables
from gpusim.sass.disassembly import DisassembledFunction, DisassembledLine
from gpusim.sass.instructions import Instruction, parse_instruction
from gpusim.sass.isa import Isa, load_isa
from gpusim.sass.operands import Operand
from gpusim.sass.program import NO_SLOT, OPERAND_SELECTORS, URZ, OperandKind

if TYPE_CHECKING:
    from gpusim.sass.cubin import CubinFile

IMMEDIATE_FORMS = (2, 4)
"""Operand forms (encoding bits 9..11) with a 32-bit immediate in bits 32..63: as third or second source."""
_FORM_BIT = 9
_WIDE_SUFFIX = OPERAND_SELECTORS.index("64")
_DESCRIPTOR_SPACES = (MemorySpace.GLOBAL, MemorySpace.GENERIC, MemorySpace.GLOBAL_TO_SHARED)
_FUNCTION_SPAN = re.compile(r"^\.text\.")


def label_resolver(function: DisassembledFunction, cubin: CubinFile) -> Callable[[str], int]:
    """Byte offset of a label: of the listing, or of a function symbol in the kernel's section."""
    section = cubin.section_names.index(f".text.{function.name}")
    symbols = {symbol.name: symbol.value for symbol in cubin.symbols if symbol.section == section}

    def resolve(name: str) -> int:
        plain = _FUNCTION_SPAN.sub("", name)
        for table in (function.labels, symbols):
            if plain in table:
                return table[plain]
        raise GpusimError(f"label '{name}' is not in this kernel; link device functions into it (no -rdc)")

    return resolve


def apply_encoding(instruction: Instruction, line: DisassembledLine, isa: Isa) -> None:
    """Take from the encoding what the text tells less exactly, or not at all.

    Reuse flags come from bits 122..124, 32-bit immediates from bits 32..63 (exact floats, NaN payloads), and
    on sm_80 to sm_89 the uniform register of a memory descriptor from the bits that the opcode table names.
    """
    reuse = control_bits.decode_reuse(line.high)
    immediates = [o for o in instruction.operands if o.kind == OperandKind.IMMEDIATE]
    form = line.low >> _FORM_BIT & 0x7
    for operand in instruction.operands:
        # texture instructions use these bits for other fields; memory instructions never reuse
        if operand.slot != NO_SLOT and instruction.info.unit not in ("memory", "adu"):
            operand.reuse = reuse >> operand.slot & 1
    if form in IMMEDIATE_FORMS and immediates and instruction.info.immediate != "int":
        immediates[0].immediate = line.low >> 32
    bit = isa.descriptor_bit(instruction.info.opcode.split(".", 1)[0])
    if bit is not None and instruction.info.space in _DESCRIPTOR_SPACES:
        for operand in instruction.operands:
            if _untold_descriptor(operand):
                word = line.low >> bit if bit < 64 else line.high >> bit - 64
                operand.descriptor = word & URZ


def _untold_descriptor(operand: Operand) -> bool:
    return operand.kind == OperandKind.MEMORY and operand.select == _WIDE_SUFFIX and operand.descriptor == URZ


def decode_kernel(function: DisassembledFunction, cubin: CubinFile, kernel: str) -> Tables:
    """The tables of one kernel as keyword arguments of Program.

    Raises GpusimError naming kernel and pc for text that is not understood, or code that differs from the
    file's (nvdisasm and the ELF reader disagree).
    """
    isa = load_isa(cubin.architecture)
    code = cubin.content(f".text.{kernel}")
    resolve = label_resolver(function, cubin)
    builder = ProgramBuilder()
    for line in function.without_padding():
        words = (line.low, line.high)
        where = f"{cubin.origin}: kernel '{kernel}', pc {line.pc:#06x}: '{line.text}'"
        if code[line.pc : line.pc + 16] != line.low.to_bytes(8, "little") + line.high.to_bytes(8, "little"):
            raise GpusimError(f"{where}: the encoding printed by nvdisasm is not that of the file")
        try:
            instruction = parse_instruction(line.text, isa, resolve, builder.special_register)
        except GpusimError as error:
            raise GpusimError(f"{where}: {error}") from None
        apply_encoding(instruction, line, isa)
        builder.add(instruction, control_bits.decode(line.high), line.text, words)
    try:
        return builder.tables()
    except GpusimError as error:
        raise GpusimError(f"{cubin.origin}: kernel '{kernel}', {error}") from None
