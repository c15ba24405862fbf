"""Program + launch constants -> the table that compiled code runs; only its literals differ from launch to launch.

A handler of `opcodes.py` turns each instruction into a row; all unknown ones of a program are reported together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from gpusim.emulator.binding import (
    Binding,
    ConstantOperand,
    Instruction,
    Literals,
    UnknownInstruction,
    constant_words,
)
from gpusim.emulator.opcodes import HANDLERS
from gpusim.emulator.state import DECODED_DTYPE, UNIFORM_REGISTERS
from gpusim.errors import GpusimError
from gpusim.sass.program import RZ, OperandKind, Program


@dataclass(frozen=True)
class Decoded:
    """A program bound to a launch.

    Attributes:
        table: (n,) DECODED_DTYPE. modifiers: (n, 4, 4) uint32, see Machine.
        literals: words of the literal rows. registers: rows of regular registers per warp.
        constants: literals that are constants of a launch, with their place. relied_on: as of Binding.
    """

    table: np.ndarray
    modifiers: np.ndarray
    literals: np.ndarray
    registers: int
    constants: tuple[tuple[ConstantOperand, int], ...]
    relied_on: frozenset[tuple[int, int, int]]

    def bound(self, banks: Mapping[int, bytes]) -> Decoded | None:
        """The same program for another launch, None where decoding has read a constant that is another now.

        banks: as for `decode`, and as long as they were then.
        """
        if any(constant_words(banks, bank, offset, 1) != (value,) for bank, offset, value in self.relied_on):
            return None
        literals = self.literals.copy()
        for operand, place in self.constants:
            words = operand.value(banks)
            literals[place : place + len(words)] = words
        return replace(self, literals=literals)


def register_rows(program: Program) -> int:
    """Rows that a warp's regular registers need: up to the end of every operand, taken as four registers at least."""
    used = program.operands[program.operands.kind == OperandKind.REGISTER]
    used = used[used.register != RZ]
    last = (used.register.astype(np.int64) + np.maximum(used.width, 4)).max(initial=0)
    addressed = program.operands[program.operands.kind == OperandKind.MEMORY]
    addressed = addressed[addressed.register != RZ].register
    return max(program.registers, int(last), int(addressed.max(initial=0)) + 2)


def decode(program: Program, banks: Mapping[int, bytes]) -> Decoded:
    """Decode every instruction, with the constants of a launch put in.

    Args:
        banks: contents of the constant banks.
    Raises:
        GpusimError: instructions that the emulator does not know, all of them, with pc and text.
    """
    rows = register_rows(program)
    binding = Binding(banks, rows, rows + UNIFORM_REGISTERS, Literals())
    table = np.zeros(len(program), DECODED_DTYPE)
    modifiers = np.zeros((len(program), 4, 4), np.uint32)
    problems = []
    for index in range(len(program)):
        instruction = Instruction(program, index, binding, table[index], modifiers[index])
        try:
            handler = HANDLERS.get(instruction.base)
            if handler is None:
                raise UnknownInstruction(f"opcode {instruction.base}")
            handler(instruction)
            instruction.finish()
        except UnknownInstruction as unknown:
            problems.append(
                f"  {program.opcode_of(index)} at pc {instruction.pc:#06x}: {unknown}: {program.text[index]}"
            )
    if problems:
        raise GpusimError(
            f"kernel {program.name} (sm_{program.architecture}): the emulator does not know "
            f"{len(problems)} of {len(program)} instructions:\n" + "\n".join(problems)
        )
    literals = binding.literals
    words = np.array(literals.words, np.uint32)
    return Decoded(table, modifiers, words, rows, tuple(literals.constants.items()), frozenset(binding.relied_on))
