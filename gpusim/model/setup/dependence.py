"""Which registers every static instruction reads and writes, and how long a result takes to reach each consumer.

What the scoreboards and the hazard checker share. Registers that the program uses are numbered from 0, of all four
files. A result is available to a consumer `distances[row, column]` cycles after the producer's issue: a row per kind of
result, a column per kind of operand. Column 0 is the register write itself. Results of variable latency have no row of
use: a completion event makes them available.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gpusim.config.models import Dependence
from gpusim.constants import COUNTERS
from gpusim.errors import GpusimError
from gpusim.model.counters import FIELD_BITS
from gpusim.model.kinds import Kind
from gpusim.model.params import CLOSES, COPIES, MAX_READS, MAX_WRITES, MEMORY_QUEUE, OPERANDS, TENSOR_UNIT
from gpusim.model.setup.code import CodeBuilder, Operand
from gpusim.sass.isa import OpcodeInfo
from gpusim.sass.program import PT, RZ, URZ, OperandKind

FILES = {
    OperandKind.REGISTER: ("R", RZ),
    OperandKind.UNIFORM_REGISTER: ("UR", URZ),
    OperandKind.PREDICATE: ("P", PT),
    OperandKind.UNIFORM_PREDICATE: ("UP", PT),
}
"""Prefix of a register's name, and the number that is no register."""
MEMORY_CLASSES = frozenset({"memory_global", "memory_shared", "memory_local", "memory_misc", "ldgsts", "texture"})
"""Latency classes that the bypass does not reach. Compilers let LDC take its address as early as an ALU does: 4; so
may all that the ADU executes."""
PREDICATE_OPERANDS = frozenset({"int", "fp32", "imad", "imad_wide", "half", "predicate"})
"""Latency classes that take a predicate operand as data. Branches, votes and barriers take it as late as a guard."""
VARIABLE = {Kind.SFU: 1, Kind.FP64: 2, Kind.MISC_QUEUE: 3}
"""Units of variable latency outside the memory pipeline, and their numbers as in-order units."""
IN_ORDER = frozenset({Kind.SHARED_LOAD, Kind.SHARED_ATOMIC, Kind.SHUFFLE, Kind.SPECIAL})
"""Memory instructions that complete in order among themselves, as other units' do; loads from L1D do not."""

READ_FIELDS = ("register", "column", "late", "guard")
WRITE_FIELDS = ("register", "row", "uniform")
"""Fields of OPERANDS for each register, behind `read_` and `write_`."""

Register = tuple[str, int]


@dataclass(frozen=True)
class DependenceTable:
    """operands: [instructions] OPERANDS; distances: (rows, columns) int64 cycles; names: of the registers, `R4`."""

    operands: np.recarray
    distances: np.ndarray
    names: tuple[str, ...]


def no_table() -> DependenceTable:
    """One element of each: what compiled code is given where nobody looks."""
    return DependenceTable(np.zeros(1, OPERANDS).view(np.recarray), np.zeros((1, 1), np.int64), ())


def matches(pattern: str, info: OpcodeInfo) -> bool:
    """Whether a name of a forwarding rule means an opcode: `any`, its latency class, or its spelling, in order."""
    if pattern in ("any", info.latency_class):
        return True
    rest = iter(info.opcode.split("."))
    return all(word in rest for word in pattern.split("."))


def result_latency(rules: Dependence, producer: OpcodeInfo, latency: int, consumer: OpcodeInfo) -> int:
    """Cycles from the issue of a producer of class latency `latency` to a consumer's: the first rule that fits."""
    for rule in rules.forwarding:
        if matches(rule.producer, producer) and any(matches(name, consumer) for name in rule.consumers):
            return rule.latency
    return latency


class DependenceBuilder:
    """Builds the table of the program that `reader` has read, whose CODE records are `code`."""

    def __init__(self, reader: CodeBuilder, code: np.recarray) -> None:
        self.reader, self.program, self.isa, config = reader, reader.program, reader.isa, reader.config
        self.code = code
        self.kinds, self.latencies, self.raws = code.kind.tolist(), code.latency.tolist(), code.raw.tolist()
        self.rules = config.sm.sub_core.dependence
        self.guard_latency = config.sm.sub_core.execution.fixed.predicate.latency
        self.depbar_effect = config.sm.sub_core.issue.depbar_effect
        self.registers: dict[Register, int] = {}
        self.rows: dict[tuple[str, int, str], int] = {}  # opcode, latency, file
        self.columns: dict[tuple[str, bool], int] = {("", False): 0}  # opcode, is it the guard

    def build(self) -> DependenceTable:
        """The table. Raises GpusimError where an instruction names more registers than any known one."""
        operands = np.zeros(len(self.program), OPERANDS).view(np.recarray)
        for index in range(len(self.program)):
            self._instruction(operands[index], index)
        for name in ("stall", "write_counter", "read_counter", "depbar_counter", "depbar_limit"):
            operands[name] = self.code[name]
        for counter in range(COUNTERS):
            operands.waits |= (self.code.waits >> FIELD_BITS * counter & 1) << counter
        operands.depbar_effect = self.depbar_effect
        operands.barrier = self.code.kind == Kind.BARRIER
        copies, closes = self.code.kind == Kind.GLOBAL_TO_SHARED, self.code.kind == Kind.ASYNC_BARRIER
        operands.copies = COPIES * copies + CLOSES * closes
        distances = np.array([[self._distance(row, column) for column in self.columns] for row in self.rows] or [[0]])
        return DependenceTable(operands, distances.astype(np.int64), tuple(f"{a}{n}" for a, n in self.registers))

    def _instruction(self, row: np.record, index: int) -> None:
        kind = self.kinds[index]
        row.variable = kind >= Kind.MEMORY or kind in VARIABLE
        opcode = self.program.opcode_of(index)
        tensor = self.isa.lookup(opcode).latency_class == "tensor"
        row.queue = MEMORY_QUEUE if kind >= Kind.MEMORY else VARIABLE.get(kind, 0)
        row.order = MEMORY_QUEUE if kind in IN_ORDER else TENSOR_UNIT if tensor else VARIABLE.get(kind, 0)
        reads = dict.fromkeys(self._read(register, (opcode, False)) for register in self._sources(index))
        instruction = self.reader.instructions[index]
        if instruction.guard != PT:
            guard = ("UP" if instruction.guard_uniform else "P", instruction.guard)
            reads[self._read(guard, (opcode, True))] = None
        latency = self.raws[index] if row.variable else self.latencies[index]
        writes = [self._write(r, (opcode, latency, r[0])) for r in dict.fromkeys(self._destinations(index))]
        if len(reads) > MAX_READS or len(writes) > MAX_WRITES:
            place = f"{self.program.name}: pc 0x{instruction.pc:04x} {self.program.text[index]}"
            raise GpusimError(f"{place}: more registers than any known instruction names")
        _fill(row, "read", READ_FIELDS, list(reads))
        _fill(row, "write", WRITE_FIELDS, writes)
        row.late_reads = row.read_late.sum()

    def _read(self, register: Register, column: tuple[str, bool]) -> tuple[int, ...]:
        """READ_FIELDS of a register that an operand of a column reads."""
        number = self.registers.setdefault(register, len(self.registers))
        late = register[0] == "R"
        return number, self.columns.setdefault(column, len(self.columns)), int(late), int(column[1])

    def _write(self, register: Register, row: tuple[str, int, str]) -> tuple[int, ...]:
        """WRITE_FIELDS of a register that a result of a row goes to."""
        number = self.registers.setdefault(register, len(self.registers))
        return number, self.rows.setdefault(row, len(self.rows)), int(register[0].startswith("U"))

    def _distance(self, row: tuple[str, int, str], column: tuple[str, bool]) -> int:
        """Cycles from the issue of a producer to the earliest issue of a consumer, or to the write (column 0)."""
        (opcode, latency, file), (consumer_opcode, is_guard) = row, column
        if not consumer_opcode:
            return max(latency, self.guard_latency) if file == "P" else latency
        producer, consumer = self.isa.lookup(opcode), self.isa.lookup(consumer_opcode)
        if file == "P":
            as_data = not is_guard and consumer.latency_class in PREDICATE_OPERANDS
            return self.rules.predicate_operand if as_data else self.guard_latency
        base = result_latency(self.rules, producer, latency, consumer)
        return base + (self.rules.memory_operand if file == "R" and consumer.latency_class in MEMORY_CLASSES else 0)

    def _destinations(self, index: int) -> Iterator[Register]:
        for operand in self.reader.operands_of(index):
            if operand.is_destination:
                yield from self._span(operand)

    def _sources(self, index: int) -> Iterator[Register]:
        for operand in self.reader.operands_of(index):
            if operand.is_destination:
                continue
            yield from self._span(operand)
            if operand.kind in (OperandKind.MEMORY, OperandKind.CONSTANT):
                yield from registers("R", operand.register, max(operand.width, 1), RZ)
                yield from registers("UR", operand.uniform, max(operand.uniform_width, 1), URZ)
                yield from registers("UR", operand.descriptor, 2, URZ)

    def _span(self, operand: Operand) -> Iterator[Register]:
        if operand.kind in FILES:
            file, none = FILES[operand.kind]
            yield from registers(file, operand.register, max(operand.width, 1), none)


def _fill(row: np.record, prefix: str, fields: tuple[str, ...], entries: list[tuple[int, ...]]) -> None:
    """Put the registers of an instruction into its record."""
    row[f"{prefix}_count"] = len(entries)
    for place, name in enumerate(fields):
        row[f"{prefix}_{name}"][: len(entries)] = [entry[place] for entry in entries]


def registers(file: str, first: int, count: int, none: int) -> Iterator[Register]:
    """`count` registers from `first` on, without those that hold nothing."""
    return ((file, number) for number in range(first, first + count) if first != none and number < none)
