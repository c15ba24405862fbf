"""Whether the tables of a stored Program can be what a compiler or the assembler made."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gpusim.constants import INSTRUCTION_BYTES, NO_COUNTER, MemorySpace
from gpusim.sass.program import NO_SLOT, RZ, OperandKind, Program

_COUNTERS = 6
_INSTRUCTION_MOST = {
    "guard": 15, "guard_negate": 1, "guard_uniform": 1, "space": max(MemorySpace), "access_bytes": 16, "stall": 15,
    "yields": 1, "wait_mask": (1 << _COUNTERS) - 1,
}  # fmt: skip
_OPERAND_MOST = {"kind": max(OperandKind), "is_destination": 1, "register": RZ, "width": 16, "reuse": 1}


def program_problem(program: Program) -> str | None:
    """What of a Program's tables cannot be, None where all can: a field and the instruction or operand that has it."""
    if len(program.text) != len(program):
        return f"{len(program.text)} lines of text for {len(program)} instructions"
    checks = (("instruction", program.instructions, _instructions), ("operand", program.operands, _operands))
    for what, table, wrong_fields in checks:
        for name, wrong in wrong_fields(program):
            if np.any(wrong):
                first = int(np.argmax(wrong))
                return f"{what} {first} has the {name.replace('_', ' ')} {table[name][first]}"
    return None


def _instructions(program: Program) -> Iterator[tuple[str, np.ndarray]]:
    """Fields of the instructions, and which of these have a value there that cannot be."""
    rows = program.instructions
    for name, most in _INSTRUCTION_MOST.items():
        yield name, rows[name] > most
    yield "pc", rows.pc != INSTRUCTION_BYTES * np.arange(len(rows))
    yield "opcode", rows.opcode >= len(program.opcodes)
    yield "operand_start", rows.operand_start.astype(np.int64) + rows.operand_count > len(program.operands)
    yield "target", (rows.target < -1) | (rows.target >= len(rows))
    for name in ("write_counter", "read_counter"):
        yield name, (rows[name] >= _COUNTERS) & (rows[name] != NO_COUNTER)


def _operands(program: Program) -> Iterator[tuple[str, np.ndarray]]:
    """The same for the operands."""
    rows = program.operands
    for name, most in _OPERAND_MOST.items():
        yield name, rows[name] > most
    yield "slot", (rows.slot > 2) & (rows.slot != NO_SLOT)
    special = rows.kind == OperandKind.SPECIAL_REGISTER
    yield "immediate", special & ((rows.immediate < 0) | (rows.immediate >= len(program.special_registers)))
