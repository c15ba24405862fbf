"""Collects instructions into the two tables of a Program."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypedDict

import numpy as np

from gpusim.constants import INSTRUCTION_BYTES
from gpusim.errors import GpusimError
from gpusim.sass.control_bits import ControlBits
from gpusim.sass.instructions import Instruction
from gpusim.sass.program import INSTRUCTION_DTYPE, OPERAND_DTYPE


class Tables(TypedDict):
    """What a Program is made of, by the names of its fields."""

    instructions: np.recarray
    operands: np.recarray
    opcodes: tuple[str, ...]
    special_registers: tuple[str, ...]
    text: tuple[str, ...]


@dataclass
class ProgramBuilder:
    """Rows of one kernel in pc order; `tables` delivers what Program wants."""

    special_registers: list[str] = field(default_factory=list)
    _opcodes: dict[str, int] = field(default_factory=dict)
    _instructions: list[tuple] = field(default_factory=list)
    _targets: list[int | None] = field(default_factory=list)
    _operands: list[tuple] = field(default_factory=list)
    _text: list[str] = field(default_factory=list)

    def special_register(self, name: str) -> int:
        """Index of a special register's name, added if new."""
        if name not in self.special_registers:
            self.special_registers.append(name)
        return self.special_registers.index(name)

    def add(
        self, instruction: Instruction, control: ControlBits, text: str, encoding: tuple[int, int] = (0, 0)
    ) -> None:
        """Append an instruction, 16 bytes after the one before; encoding is (low, high) 64-bit words."""
        pc = len(self._instructions) * INSTRUCTION_BYTES
        opcode = self._opcodes.setdefault(instruction.opcode, len(self._opcodes))
        start = len(self._operands)
        self._operands += [operand.row() for operand in instruction.operands]
        info = instruction.info
        guard = (instruction.guard, instruction.guard_negate, instruction.guard_uniform)
        place = (start, len(instruction.operands), int(info.space), info.access_bytes, -1)
        timing = (control.stall, control.yields, control.write_counter, control.read_counter, control.wait_mask)
        self._instructions.append((pc, opcode, *guard, *place, *timing, *encoding))
        self._targets.append(instruction.target)
        self._text.append(text)

    def tables(self) -> Tables:
        """Keyword arguments of Program: both tables, opcodes, special registers, text. Resolves branch targets.

        Raises GpusimError if a branch leaves the kernel's code.
        """
        instructions = np.array(self._instructions, dtype=INSTRUCTION_DTYPE)
        for index, target in enumerate(self._targets):
            if target is None:
                continue
            if target % INSTRUCTION_BYTES or not 0 <= target < len(instructions) * INSTRUCTION_BYTES:
                pc = index * INSTRUCTION_BYTES
                raise GpusimError(f"pc {pc:#x}: '{self._text[index]}' branches to {target:#x}, outside the kernel")
            instructions["target"][index] = target // INSTRUCTION_BYTES
        return {
            "instructions": instructions.view(np.recarray),
            "operands": np.array(self._operands, dtype=OPERAND_DTYPE).view(np.recarray),
            "opcodes": tuple(self._opcodes),
            "special_registers": tuple(self.special_registers),
            "text": tuple(self._text),
        }
