"""One line of assembly -> opcode, guard and operands with their roles (from the opcode table)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from gpusim.constants import MemorySpace
from gpusim.errors import GpusimError
from gpusim.sass.isa import Isa, OpcodeInfo
from gpusim.sass.operands import Context, Operand, parse_operand
from gpusim.sass.program import PT, OperandKind

_PREDICATES = (OperandKind.PREDICATE, OperandKind.UNIFORM_PREDICATE)
_REGISTERS = (OperandKind.REGISTER, OperandKind.UNIFORM_REGISTER)
_SLOTTED = (*_REGISTERS, OperandKind.IMMEDIATE, OperandKind.CONSTANT, OperandKind.MEMORY)
_SOURCE_LETTERS = "abce"

_GUARD = re.compile(r"@(?P<negate>!?)(?P<uniform>U?)P(?P<number>\d|T)\s+")
_OPCODE = re.compile(r"(?P<opcode>[A-Z][A-Z0-9_]*(?:\.[A-Za-z0-9_]+)*)(?P<rest>.*)", re.DOTALL)
_ANNOTATION = re.compile(r"\(\*.*?\*\)", re.DOTALL)
_OPERAND_BREAK = re.compile(r",(?![^\[{(]*[\]})])")
_PAIRED = re.compile(r"(?P<register>U?R(?:\d+|Z))\s+(?P<rest>`\(.*\)|[+-]?0x[0-9a-f]+)", re.IGNORECASE)


@dataclass
class Instruction:
    """One parsed instruction. `target` is the byte offset it may branch to, None if it has none."""

    opcode: str
    info: OpcodeInfo
    guard: int = PT
    guard_negate: bool = False
    guard_uniform: bool = False
    operands: list[Operand] = field(default_factory=list)
    target: int | None = None


def split_text(text: str) -> tuple[str, str, list[str]]:
    """Guard (`@!P0 ` or empty), opcode and operand texts of a line without `;` and annotations.

    Registers followed by a label or an offset without comma (`BRX R2 -0x140`) are two operands.
    Raises GpusimError if there is no opcode.
    """
    text = _ANNOTATION.sub("", text).strip().removesuffix(";").strip()
    guard = _GUARD.match(text)
    match = _OPCODE.fullmatch(text[guard.end() :] if guard else text)
    if not match:
        raise GpusimError(f"no opcode in '{text}'")
    parts = []
    for part in _OPERAND_BREAK.split(match["rest"].strip()) if match["rest"].strip() else []:
        pair = _PAIRED.fullmatch(part.strip())
        parts += [pair["register"], pair["rest"]] if pair else [part.strip()]
    return (guard.group() if guard else "", match["opcode"], parts)


def _destination_count(rule: str, operands: list[Operand]) -> int:
    """How many operands, counted from the first, are written."""
    kinds = [operand.kind for operand in operands]
    if rule == "none" or not kinds:
        return 0
    if rule == "carry":
        count = 1
        while kinds[0] not in _PREDICATES and count < len(kinds) and kinds[count] in _PREDICATES:
            count += 1
        return count
    if rule == "predicate_register":
        return next((i + 1 for i, kind in enumerate(kinds) if kind not in _PREDICATES), len(kinds))
    if rule == "before_address":
        return next((i for i, kind in enumerate(kinds) if kind == OperandKind.MEMORY), 0)
    counts = {"first": 1, "two": 2, "all": len(kinds), "all_but_last": len(kinds) - 1}
    return min(counts[rule], len(kinds))


def _pack_halves(operands: list[Operand]) -> list[Operand]:
    """Join two neighbouring half-precision immediates into one 32-bit pattern, the first in the high half."""
    packed: list[Operand] = []
    for operand in operands:
        immediate = operand.kind == OperandKind.IMMEDIATE
        if immediate and packed and packed[-1].kind == OperandKind.IMMEDIATE and packed[-1].width == 0:
            packed[-1].immediate = packed[-1].immediate << 16 | operand.immediate
            packed[-1].width = 1
        else:
            packed.append(operand)
    return packed


def _assign_roles(info: OpcodeInfo, operands: list[Operand]) -> None:
    """Set position, destination, width and slot of every operand."""
    destinations = _destination_count(info.destinations, operands)
    source = 0
    for position, operand in enumerate(operands):
        operand.position = position
        letter = "d"
        if position < destinations:
            operand.is_destination = 1
        elif operand.kind in _SLOTTED:
            letter = _SOURCE_LETTERS[source] if source < len(_SOURCE_LETTERS) else ""
            if operand.kind in (OperandKind.REGISTER, OperandKind.MEMORY) and source < len(info.slots):
                operand.slot = info.slots[source]
            source += 1
        if operand.kind in _REGISTERS:
            operand.width = info.widths.get(letter, 1)


def _check_alignment(operands: list[Operand]) -> None:
    """Registers must exist to the end of a wide operand. Raises GpusimError."""
    last: dict[int, int] = {OperandKind.REGISTER: 255, OperandKind.UNIFORM_REGISTER: 63}
    for operand in operands:
        limit = last.get(operand.kind)
        if limit and operand.register != limit and operand.register + operand.width > limit:
            raise GpusimError(
                f"operand {operand.position + 1} covers {operand.width} registers from {operand.register}: too many"
            )


def parse_instruction(
    text: str, isa: Isa, label: Callable[[str], int], special_register: Callable[[str], int]
) -> Instruction:
    """One instruction with roles, widths and slots from the opcode table.

    Args:
        text: e.g. `@!P0 IMAD.WIDE R4, R9, R4.reuse, c[0x0][0x160] ;`.
        label: byte offset of a label name. special_register: index for a name such as `SR_TID.X`.

    Raises GpusimError naming the operand that is not understood.
    """
    guard, opcode, parts = split_text(text)
    info = isa.lookup(opcode)
    modifiers = opcode.split(".")[1:]
    encoding = "bf16" if info.immediate == "f16" and any(m.startswith("BF16") for m in modifiers) else info.immediate
    wide = info.space in (MemorySpace.GLOBAL, MemorySpace.GENERIC) or opcode.startswith("QSPC")
    wide &= "E" in modifiers
    operands: list[Operand] = []
    for part in parts:
        # an asynchronous copy names a shared (32-bit), then a global address (64-bit)
        second = info.space == MemorySpace.GLOBAL_TO_SHARED and bool(operands)
        operands.append(parse_operand(part, Context(encoding, label, special_register, wide or second)))
    if encoding in ("f16", "bf16"):
        operands = _pack_halves(operands)
    _assign_roles(info, operands)
    _check_alignment(operands)
    match = _GUARD.match(guard)
    instruction = Instruction(opcode, info, operands=operands)
    if match:
        instruction.guard = PT if match["number"] == "T" else int(match["number"])
        instruction.guard_negate, instruction.guard_uniform = bool(match["negate"]), bool(match["uniform"])
    indirect = info.register_target and any(o.kind in _REGISTERS for o in operands)
    if not indirect:
        instruction.target = next((o.immediate for o in operands if o.kind == OperandKind.LABEL), None)
    return instruction
