"""One static instruction bound to a launch: what the handlers of `opcodes.py` read and the row that they fill.

An `Instruction` holds its operands sorted by role. Every modifier of the opcode and of an operand must be taken by the
handler: what is left over is unknown (`Instruction.finish`).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from gpusim.emulator import state
from gpusim.emulator.state import LITERAL_ROW, ZERO_ROW
from gpusim.sass.operands import BINDLESS_BANK
from gpusim.sass.program import OPERAND_SELECTORS, PT, RZ, URZ, OperandKind, Program

WORD_MASK = 0xFFFFFFFF
SIGN = 0x80000000
HALF_CHOICES = {"": 0, "H1_H0": 0, "H0_H0": 1, "H1_H1": 2, "H0_H1": 3, "F32": 4, "H0_NH1": 5, "H0": 1, "H1": 2}
"""Operand suffix to the half choices of rows.py."""
FIELDS = {"B0": (0, 0xFF), "B1": (8, 0xFF), "B2": (16, 0xFF), "B3": (24, 0xFF), "H0": (0, 0xFFFF), "H1": (16, 0xFFFF),
          "H0_H0": (0, 0xFFFF), "H1_H1": (16, 0xFFFF)}  # fmt: skip
"""Operand suffix to shift and mask of one element."""
SLOTS = ("a", "b", "c", "d")
BOOLEANS = {"AND": 0, "OR": 1, "XOR": 2}
"""How a comparison is combined with a predicate."""
INTEGER_FORMATS = {"U8": 0, "S8": 1, "U16": 2, "S16": 3, "U32": 4, "S32": 5, "U64": 6, "S64": 7}
"""Integer type modifier to the format codes of convert.py."""


class UnknownInstruction(Exception):
    """What the emulator does not know about one instruction; the text completes `not known: ...`."""


def constant_words(banks: Mapping[int, bytes], bank: int, offset: int, words: int) -> tuple[int, ...]:
    """Words of a constant bank. Raises UnknownInstruction where the bank ends before."""
    image = banks.get(bank, b"")
    if offset < 0 or offset % 4 or offset + 4 * words > len(image):
        raise UnknownInstruction(f"c[{bank:#x}][{offset:#x}] lies outside the bank of {len(image)} bytes")
    return struct.unpack_from(f"<{words}I", image, offset)


class ConstantOperand(NamedTuple):
    """A constant as an operand, with its modifier: another value in every launch, in the same literal rows."""

    bank: int
    offset: int
    words: int
    mode: int
    mask: int
    flip: int
    extra: int

    def value(self, banks: Mapping[int, bytes]) -> tuple[int, ...]:
        """Words of its literal rows. Raises UnknownInstruction where the bank ends before."""
        words = constant_words(banks, self.bank, self.offset, self.words)
        return fold(self.mode, words, self.mask, self.flip, self.extra)


@dataclass
class Literals:
    """Rows of values that are the same in every lane, shared between instructions."""

    words: list[int] = field(default_factory=list)
    known: dict[tuple[int, ...], int] = field(default_factory=dict)
    constants: dict[ConstantOperand, int] = field(default_factory=dict)
    """Places in `words` of those that a launch fills in."""

    def row(self, *words: int) -> int:
        """Operand code (~row) of consecutive words."""
        if not any(words):
            return ~ZERO_ROW
        if words not in self.known:
            self.known[words] = LITERAL_ROW + len(self.words)
            self.words.extend(words)
        return ~self.known[words]

    def constant_row(self, operand: ConstantOperand, words: tuple[int, ...]) -> int:
        """Operand code (~row) of a constant, whose words now are these."""
        if operand not in self.constants:
            self.constants[operand] = len(self.words)
            self.words.extend(words)
        return ~(LITERAL_ROW + self.constants[operand])


@dataclass(frozen=True)
class Binding:
    """What decoding needs of a launch: constant banks as bytes, rows of a warp, literals.

    `relied_on`: constants that decoding has read as numbers, with their values (bank, offset, value).
    """

    banks: Mapping[int, bytes]
    uniform_row: int
    barrier_row: int
    literals: Literals
    relied_on: set[tuple[int, int, int]] = field(default_factory=set)

    def number(self, bank: int, offset: int) -> int:
        """A constant that says what the instruction is. Raises UnknownInstruction where the bank ends before."""
        (value,) = constant_words(self.banks, bank, offset, 1)
        self.relied_on.add((bank, offset, value))
        return value


def fold(mode: int, words: tuple[int, ...], mask: int, flip: int, extra: int) -> tuple[int, ...]:
    """A modifier of state.py applied to literal words; halves keep theirs for the operation."""
    if mode in (state.PLAIN, state.HALVES):
        return words
    if mode == state.WORD:
        return ((((words[0] & mask) ^ flip) + extra) & WORD_MASK,)
    if mode == state.FIELD:
        return ((words[0] >> extra) & mask,)
    if mode == state.PAIR_HIGH:
        return words[0], (words[1] & mask) ^ flip
    value = words[0] | words[1] << 32
    value = -value if mode == state.PAIR_NEGATE else ~value
    return value & WORD_MASK, value >> 32 & WORD_MASK


class Instruction:
    """One instruction while it is decoded."""

    def __init__(self, program: Program, index: int, binding: Binding, row: np.void, modifiers: np.ndarray) -> None:
        self.binding, self.row, self._modifier_rows = binding, row, modifiers
        self.static = program.instructions[index]
        self.pc = int(self.static.pc)
        self.special_registers = program.special_registers
        self.base, *rest = program.opcode_of(index).split(".")
        self.modifiers = list(rest)
        operands = program.operands_of(index)
        predicates = (OperandKind.PREDICATE, OperandKind.UNIFORM_PREDICATE)
        self.destinations = [o for o in operands if o.is_destination and o.kind not in predicates]
        self.predicates_out = [o for o in operands if o.is_destination and o.kind in predicates]
        self.sources = [o for o in operands if not o.is_destination and o.kind not in predicates]
        self.predicates_in = [o for o in operands if not o.is_destination and o.kind in predicates]
        self._defaults()

    def _defaults(self) -> None:
        row, static = self.row, self.static
        row["guard"] = int(static.guard) + (8 if static.guard_uniform else 0)
        row["guard_negate"] = static.guard_negate
        row["space"] = static.space
        row["bytes"] = static.access_bytes
        row["target"] = -1
        row["scale"] = 1
        for name in SLOTS:
            row[name] = ~ZERO_ROW
        for name in ("p", "q", "in0", "in1", "in2"):
            row[name] = PT

    # ---- modifiers of the opcode

    def flag(self, *names: str) -> bool:
        """Take any of these modifiers, all occurrences; whether one was there."""
        found = [name for name in self.modifiers if name in names]
        self.modifiers = [name for name in self.modifiers if name not in names]
        return bool(found)

    def choice(self, options: Mapping[str, int], default: int | None = None) -> int:
        """Take the first modifier among the options. Raises UnknownInstruction if there is none and no default."""
        for name in self.modifiers:
            if name in options:
                self.modifiers.remove(name)
                return options[name]
        if default is None:
            raise UnknownInstruction(f"one of .{', .'.join(options)} is missing")
        return default

    # ---- operands

    def set(self, **fields: int) -> None:
        for name, value in fields.items():
            self.row[name] = value

    def destination(self, words: int = 1) -> None:
        """Take the one register destination, if the instruction has it."""
        if not self.destinations:
            return
        operand = self.destinations.pop(0)
        if operand.kind == OperandKind.REGISTER:
            code, zero = int(operand.register), operand.register == RZ
        elif operand.kind == OperandKind.UNIFORM_REGISTER:
            code, zero = self.binding.uniform_row + int(operand.register), operand.register == URZ
            self.row["uniform"] = 1
        elif operand.kind == OperandKind.BARRIER_REGISTER:
            code, zero = self.binding.barrier_row + int(operand.register), False
        else:
            raise UnknownInstruction("a destination that is no register")
        self.set(destination=code, destination_words=0 if zero else words)

    def predicate_destinations(self, uniform: bool = False) -> bool:
        """Take up to two predicate destinations; whether one of them is kept."""
        kept = False
        for name in ("p", "q"):
            if self.predicates_out:
                operand = self.predicates_out.pop(0)
                is_uniform = operand.kind == OperandKind.UNIFORM_PREDICATE
                self.row[name] = int(operand.register) + (8 if is_uniform else 0)
                self.row["uniform"] |= int(is_uniform or uniform)
                kept |= operand.register != PT
        return kept

    def predicate(self, name: str, default: bool = True) -> None:
        """Take the next predicate source as `in0`, `in1` or `in2`; `default` where there is none."""
        number = name[-1]
        if not self.predicates_in:
            self.set(**{name: PT, f"not{number}": int(not default)})
            return
        operand = self.predicates_in.pop(0)
        code = int(operand.register) + (8 if operand.kind == OperandKind.UNIFORM_PREDICATE else 0)
        self.set(**{name: code, f"not{number}": int(operand.negate)})

    def next_source(self) -> np.record:
        if not self.sources:
            raise UnknownInstruction("an operand is missing")
        return self.sources.pop(0)

    def drop(self, suffix: str) -> bool:
        """Remove a suffix from the next source; whether it had it."""
        operand = self.sources[0].copy()
        found = OPERAND_SELECTORS[int(operand.select)] == suffix
        if found:
            operand.select = 0
            self.sources[0] = operand
        return found

    def bare_magnitudes(self) -> None:
        """Drop the bars of all sources, for operations that take them themselves. All must have them."""
        for k, operand in enumerate(self.sources):
            if not operand.absolute or operand.negate:
                raise UnknownInstruction("an operand without bars")
            self.sources[k] = operand.copy()
            self.sources[k].absolute = 0

    def bare_sign(self, k: int) -> bool:
        """Drop the minus of source k, for operations that apply it themselves; whether it had one."""
        negated = bool(self.sources[k].negate)
        self.sources[k] = self.sources[k].copy()
        self.sources[k].negate = 0
        return negated

    def zero_source(self) -> None:
        """Take the next source, which must be RZ."""
        operand = self.next_source()
        if operand.kind != OperandKind.REGISTER or operand.register != RZ:
            raise UnknownInstruction("an operand that is known as RZ only")

    def immediate(self) -> int:
        """Take the next source, which must be a plain number."""
        operand = self.next_source()
        if operand.kind == OperandKind.CONSTANT and operand.register == RZ and operand.uniform == URZ:
            return self.binding.number(int(operand.bank), int(operand.immediate))
        if operand.kind == OperandKind.REGISTER and operand.register == RZ:
            return 0
        if operand.kind != OperandKind.IMMEDIATE:
            raise UnknownInstruction("an operand that should be a number is a register")
        return int(operand.immediate)

    def source(self, slot: str, kind: str = "plain", words: int = 1) -> bool:
        """Take the next source into a slot; kind says what its signs mean. Returns whether it was negated.

        plain: no sign allowed · int: two's complement · inverted: minus becomes a complement · logic: complement ·
        float · double · pair, pair_inverted: 64-bit integer · halves · element: one byte or half.
        """
        operand = self.next_source()
        words = 2 if kind in ("double", "pair", "pair_inverted") else words
        mode, mask, flip, extra = self._modifier(operand, kind)
        if operand.kind == OperandKind.CONSTANT:
            code = self._constant(operand, words, mode, mask, flip, extra)
        elif operand.kind == OperandKind.IMMEDIATE:
            literal = self._literal(operand, kind, words)
            code = self.binding.literals.row(*fold(mode, literal, mask, flip, extra))
        else:
            code = self.register(operand)
        if operand.kind in (OperandKind.CONSTANT, OperandKind.IMMEDIATE) and mode != state.HALVES:
            mode = state.PLAIN
        k = SLOTS.index(slot)
        self.row[slot] = code
        if mode != state.PLAIN:
            self.row["modified"] = 1
            self._modifier_rows[k] = (mode, mask, flip, extra)
        return bool(operand.negate)

    def register(self, operand: np.record) -> int:
        """Operand code of a register, whatever its signs."""
        if operand.kind == OperandKind.REGISTER:
            return ~ZERO_ROW if operand.register == RZ else int(operand.register)
        if operand.kind == OperandKind.UNIFORM_REGISTER:
            return ~ZERO_ROW if operand.register == URZ else self.binding.uniform_row + int(operand.register)
        if operand.kind == OperandKind.BARRIER_REGISTER:
            return self.binding.barrier_row + int(operand.register)
        raise UnknownInstruction(f"an operand of kind {OperandKind(int(operand.kind)).name.lower()}")

    def _constant(self, operand: np.record, words: int, mode: int, mask: int, flip: int, extra: int) -> int:
        """Operand code of a constant, after its modifier."""
        if operand.bank == BINDLESS_BANK:
            raise UnknownInstruction("a constant bank that a uniform register names (cx)")
        if operand.register != RZ or operand.uniform != URZ:
            raise UnknownInstruction("an indexed constant as operand")
        constant = ConstantOperand(int(operand.bank), int(operand.immediate), words, mode, mask, flip, extra)
        return self.binding.literals.constant_row(constant, constant.value(self.binding.banks))

    def _literal(self, operand: np.record, kind: str, words: int) -> tuple[int, ...]:
        """Words of an immediate operand."""
        value = int(operand.immediate) & WORD_MASK
        if kind == "double":
            return 0, value
        if kind == "halves":
            return (self._packed_halves(value),)
        if words == 1:
            return (value,)
        high = WORD_MASK if value & SIGN and self.row["x"] else 0  # x of wide integer operations: signed
        return (value, high) + (0,) * (words - 2)

    def _packed_halves(self, value: int) -> int:
        """Two numbers in the text are the high and the low half; one alone is already packed or serves both."""
        if self.sources and self.sources[0].kind == OperandKind.IMMEDIATE:
            return (value & 0xFFFF) << 16 | int(self.sources.pop(0).immediate) & 0xFFFF
        return value

    def _modifier(self, operand: np.record, kind: str) -> tuple[int, int, int, int]:
        """Mode, and, xor, extra of a source's signs and selector. Raises UnknownInstruction if the kind has none."""
        negate, invert, absolute = bool(operand.negate), bool(operand.invert), bool(operand.absolute)
        select = OPERAND_SELECTORS[int(operand.select)]
        if kind == "halves":
            choice = HALF_CHOICES.get(select)
            if choice is None or invert:
                raise UnknownInstruction(f"operand suffix .{select}" if choice is None else "~ on a half operand")
            mask, flip = 0x7FFF7FFF if absolute else WORD_MASK, 0x80008000 if negate else 0
            plain = choice == 0 and not negate and not absolute
            return (state.PLAIN if plain else state.HALVES, mask, flip, choice)
        if select and select not in ("U32", "64"):
            return self._element(select, kind, negate or invert or absolute)
        if kind in ("float", "double"):
            if invert:
                raise UnknownInstruction("~ on a floating-point operand")
            mode = state.WORD if kind == "float" else state.PAIR_HIGH
            mask, flip = SIGN - 1 if absolute else WORD_MASK, SIGN if negate else 0
            return (mode if negate or absolute else state.PLAIN, mask, flip, 0)
        return self._integer_modifier(kind, negate, invert, absolute)

    @staticmethod
    def _element(select: str, kind: str, signed: bool) -> tuple[int, int, int, int]:
        if kind != "element" or select not in FIELDS or signed:
            raise UnknownInstruction(f"operand suffix .{select}")
        shift, mask = FIELDS[select]
        return (state.FIELD, mask, 0, shift)

    @staticmethod
    def _integer_modifier(kind: str, negate: bool, invert: bool, absolute: bool) -> tuple[int, int, int, int]:
        if not (negate or invert or absolute):
            return (state.PLAIN, 0, 0, 0)
        if absolute or (negate and invert) or kind in ("plain", "element") or (negate and kind == "logic"):
            raise UnknownInstruction(f"{'|x|' if absolute else '-' if negate else '~'} on this operand")
        if kind in ("pair", "pair_inverted"):
            complement = invert or kind == "pair_inverted"
            return (state.PAIR_INVERT if complement else state.PAIR_NEGATE, 0, 0, 0)
        return (state.WORD, WORD_MASK, WORD_MASK, int(negate and kind == "int"))

    def finish(self) -> None:
        """Check that everything was taken."""
        if self.modifiers:
            raise UnknownInstruction(f"modifier .{', .'.join(self.modifiers)}")
        left = [o for o in (*self.predicates_out, *self.predicates_in) if o.register != PT]
        if self.sources or self.destinations or left:
            raise UnknownInstruction("more operands than this form is known with")


Handler = Callable[[Instruction], None]
"""Fills the row of one instruction; raises UnknownInstruction."""
