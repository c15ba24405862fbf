"""The registers that an instruction reads and writes, as scoreboards know them (timing model, section 21)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gpusim.sass.program import PT, RZ, URZ, OperandKind, Program

DESCRIPTOR_WIDTH = 2
"""A memory descriptor, or the address of a bindless bank, is a pair of uniform registers."""
NOTHING = {
    OperandKind.REGISTER: RZ,
    OperandKind.UNIFORM_REGISTER: URZ,
    OperandKind.PREDICATE: PT,
    OperandKind.UNIFORM_PREDICATE: PT,
}
"""Files of registers, and the number in each that holds nothing: it is neither read nor written."""


class Register(NamedTuple):
    file: OperandKind  # of NOTHING
    number: int

    @property
    def is_regular(self) -> bool:
        return self.file == OperandKind.REGISTER


class Read(NamedTuple):
    register: Register
    is_guard: bool


def _registers(file: OperandKind, first: int, width: int) -> list[Register]:
    return [] if first == NOTHING[file] else [Register(file, number) for number in range(first, first + width)]


def _named(operand: np.record) -> list[Register]:
    """Registers of an operand; those of an address are its base, uniform register and descriptor."""
    kind = OperandKind(int(operand.kind))
    if kind in NOTHING:
        return _registers(kind, int(operand.register), int(operand.width))
    if kind not in (OperandKind.MEMORY, OperandKind.CONSTANT):
        return []
    return [
        *_registers(OperandKind.REGISTER, int(operand.register), int(operand.width)),
        *_registers(OperandKind.UNIFORM_REGISTER, int(operand.uniform), int(operand.uniform_width)),
        *_registers(OperandKind.UNIFORM_REGISTER, int(operand.descriptor), DESCRIPTOR_WIDTH),
    ]


def reads(program: Program, index: int) -> tuple[Read, ...]:
    """What an instruction reads, in text order, its guard last."""
    found = [
        Read(register, is_guard=False)
        for operand in program.operands_of(index)
        if not operand.is_destination or operand.kind == OperandKind.MEMORY
        for register in _named(operand)
    ]
    instruction = program.instructions[index]
    file = OperandKind.UNIFORM_PREDICATE if instruction.guard_uniform else OperandKind.PREDICATE
    guard = _registers(file, int(instruction.guard), 1)
    return (*found, *(Read(register, is_guard=True) for register in guard))


def writes(program: Program, index: int) -> tuple[Register, ...]:
    """What an instruction writes, whether its guard lets it or not."""
    return tuple(
        register
        for operand in program.operands_of(index)
        if operand.is_destination and operand.kind in NOTHING
        for register in _named(operand)
    )
