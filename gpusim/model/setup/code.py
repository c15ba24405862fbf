"""Program + opcode table + configuration -> CODE: one record per static instruction for the timing model."""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Iterator
from functools import cache
from operator import attrgetter
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np

from gpusim.config.models import (
    AddressTiming,
    ClassTiming,
    FlatTiming,
    GpuConfig,
    Issue,
    LoadTiming,
    MemoryLatency,
    VariableTiming,
)
from gpusim.constants import CONSTANT_BANK_BITS, COUNTERS, INSTRUCTION_BYTES, NO_COUNTER, MemorySpace
from gpusim.errors import GpusimError
from gpusim.model.counters import FIELD, FIELD_BITS
from gpusim.model.kinds import Kind, Unit
from gpusim.model.params import CODE, MAX_SOURCES
from gpusim.model.state import BANKS, SLOTS
from gpusim.results.stalls import Stall
from gpusim.sass.isa import Isa, OpcodeInfo
from gpusim.sass.program import NO_SLOT, RZ, OperandKind, Program

UNITS = {
    "int": Unit.INT, "fp32": Unit.FP32, "half": Unit.FP32, "tensor": Unit.TENSOR, "uniform": Unit.UNIFORM,
    "branch": Unit.BRANCH, "misc": Unit.MISC,
}  # fmt: skip
"""Latch that a fixed-latency unit of the opcode table uses; half precision runs on the FP32 unit."""

VARIABLE = {"sfu": Kind.SFU, "fp64": Kind.FP64, "misc_queue": Kind.MISC_QUEUE}
FIXED_AS = {"depbar": "misc", "ldgdepbar": "misc", "membar": "misc"}
"""Classes with a rule of their own at issue, and the class whose timing they have otherwise."""
RULES = {
    "branch": Kind.BRANCH, "exit": Kind.EXIT, "depbar": Kind.DEPBAR,
    "ldgdepbar": Kind.ASYNC_BARRIER, "membar": Kind.MEMBAR,
}  # fmt: skip
IN_SHARED = {
    Kind.GLOBAL_LOAD: (Kind.SHARED_LOAD, "shared_load"),
    Kind.GLOBAL_STORE: (Kind.SHARED_STORE, "shared_store"),
    Kind.GLOBAL_ATOMIC: (Kind.SHARED_ATOMIC, "shared_atomic"),
    Kind.GLOBAL_REDUCTION: (Kind.SHARED_ATOMIC, "shared_atomic"),
}
"""What a generic access is where its address is shared memory, and its row of the memory latencies."""
TEXTURE = "texture"
"""Class of reads and writes through textures and surfaces."""
WIDE_ATOMICS = frozenset({"F32", "F16x2", "BF16x2", "F64", "64", "U64", "S64"})
"""Modifiers of atomics on floating-point numbers or 64 bits; each operation is a packet of its own."""
COUNTER_LIST = 255
"""Register of a DEPENDENCE_COUNTER operand that is a list, `{3,4}`: its immediate is the set's bit mask."""
CACHED_UNITS = frozenset({"int", "fp32", "half", "fp64", "tensor"})
"""Units whose operands pass the register file cache (arXiv 2503.20481 section 5.3.1)."""


def counter_mask(bits: int) -> int:
    """Mask of the fields (gpusim.model.counters) of a 6-bit set of counters."""
    return sum(FIELD << FIELD_BITS * counter for counter in range(COUNTERS) if bits >> counter & 1)


def cycles_to_next_issue(stall: int, yields: bool, issue: Issue) -> int:
    """Cycles from a warp's issue to its next, by the control bits alone (section 4, with its two quirks)."""
    if yields:
        return max(stall, 2) if stall else issue.yield_without_stall
    return issue.long_stall_wait if stall > issue.long_stall_limit else max(stall, 1)


def clear_control_bits(code: np.recarray) -> None:
    """Make CODE records issue as if no instruction had control bits: scoreboards alone hold them back.

    Groups of asynchronous copies have no register: LDGDEPBAR keeps its counter, and DEPBAR its stall count and its wait
    where it is for such a counter.
    """
    code.write_counter = np.where(code.kind == Kind.ASYNC_BARRIER, code.write_counter, NO_COUNTER)
    raised = 1 << FIELD_BITS * np.minimum(code.write_counter, COUNTERS - 1).astype(np.int64)
    code.raised = np.where(code.write_counter == NO_COUNTER, 0, raised)
    groups = np.isin(code.depbar_counter, code.write_counter[code.write_counter != NO_COUNTER])
    code.stall, code.depbar_counter = np.where(groups, code.stall, 1), np.where(groups, code.depbar_counter, -1)
    code.read_counter, code.waits = NO_COUNTER, np.where(groups, code.waits, 0)


Latencies: TypeAlias = "AddressTiming | FlatTiming | LoadTiming"
"""A row of the memory latencies."""
Instruction: TypeAlias = Any
Operand: TypeAlias = Any
"""Rows of a program's tables, INSTRUCTION_DTYPE and OPERAND_DTYPE, as named tuples."""


def named_rows(table: np.ndarray) -> list[Any]:
    """Rows of a table as tuples with its field names: a field of a numpy record costs twenty times as much to read."""
    row = _row_type(table.dtype.names or ())
    return [row._make(values) for values in table.tolist()]


@cache
def _row_type(names: tuple[str, ...]) -> Any:
    made: Any = namedtuple  # mypy reads no fields that are computed
    return made("row", names)


PER_SOURCE = ("source_register", "source_entry", "source_reuse")
EMPTY = {name: 0 for name in CODE.names or () if name not in PER_SOURCE}


class CodeBuilder:
    """Builds the CODE table of one program."""

    def __init__(self, program: Program, isa: Isa, config: GpuConfig) -> None:
        self.program, self.isa, self.config = program, isa, config
        self.unknown: set[str] = set()
        self.instructions: list[Instruction] = named_rows(program.instructions)
        self.operands: list[Operand] = named_rows(program.operands)

    def build(self) -> np.recarray:
        """(n,) CODE records. Opcodes that the table does not list are collected in `unknown`."""
        fields, rows = attrgetter(*(CODE.names or ())), []
        for index in range(len(self.program)):
            info = self.isa.lookup(self.program.opcode_of(index))
            if not info.known:
                self.unknown.add(self.program.opcode_of(index))
            row = SimpleNamespace(**EMPTY, **{name: [0] * MAX_SOURCES for name in PER_SOURCE})
            self._common(row, index)
            self._registers(row, index, info)
            self._timing(row, index, info)
            if row.kind in VARIABLE.values() or row.kind >= Kind.MEMORY:
                row.has_result = 0
            rows.append(fields(row))
        return np.array(rows, CODE).view(np.recarray)

    def operands_of(self, index: int) -> list[Operand]:
        """The operands of an instruction in text order."""
        instruction = self.instructions[index]
        return self.operands[instruction.operand_start : instruction.operand_start + instruction.operand_count]

    def _operands(self, index: int, kind: OperandKind) -> Iterator[Operand]:
        return (operand for operand in self.operands_of(index) if operand.kind == kind)

    def _common(self, row: SimpleNamespace, index: int) -> None:
        """Control bits and the line of a constant operand."""
        instruction = self.instructions[index]
        row.line = index * INSTRUCTION_BYTES // self.config.sm.sub_core.fetch.l0.line_bytes
        row.stall = cycles_to_next_issue(instruction.stall, bool(instruction.yields), self.config.sm.sub_core.issue)
        row.write_counter, row.read_counter = instruction.write_counter, instruction.read_counter
        for counter in (int(instruction.write_counter), int(instruction.read_counter)):
            if counter != NO_COUNTER:
                row.raised += 1 << FIELD_BITS * counter
        row.waits = counter_mask(int(instruction.wait_mask))
        row.depbar_counter, row.constant_line = -1, -1
        row.addresses = self.program.address_counts[index]
        for operand in self._operands(index, OperandKind.CONSTANT):
            row.constant_bank = operand.bank
            if operand.register == RZ and instruction.space == MemorySpace.NONE:
                offset = int(operand.immediate) & (1 << CONSTANT_BANK_BITS) - 1
                address = int(operand.bank) << CONSTANT_BANK_BITS | offset
                cache = self.config.sm.sub_core.constant_cache
                row.constant_line = address // cache.line_bytes
                row.constant_set = row.constant_line % cache.sets

    def _registers(self, row: SimpleNamespace, index: int, info: OpcodeInfo) -> None:
        """Source registers per bank and slot, and the banks written."""
        sources: list[tuple[int, int, int]] = []
        for operand in self.operands_of(index):
            kind, register, width = int(operand.kind), int(operand.register), int(operand.width)
            row.has_result |= int(operand.is_destination and kind in (OperandKind.REGISTER, OperandKind.PREDICATE))
            if kind == OperandKind.REGISTER and operand.is_destination:
                for r in range(register, register + width):
                    row.banks_written |= 0 if register == RZ else 1 << (r % 2)
            elif kind in (OperandKind.REGISTER, OperandKind.MEMORY, OperandKind.CONSTANT) and register != RZ:
                slot = int(operand.slot) if operand.slot != NO_SLOT else 0
                sources += [(r, slot, int(operand.reuse)) for r in range(register, register + max(width, 1))]
        row.source_count = min(len(sources), MAX_SOURCES)
        for place, (register, slot, reuse) in enumerate(sources[:MAX_SOURCES]):
            row.source_register[place], row.source_reuse[place] = register, reuse
            row.source_entry[place] = register % BANKS * SLOTS + min(slot, SLOTS - 1)
        row.caches = info.unit in CACHED_UNITS and len(sources) > 0
        row.reuses = any(reuse for _, _, reuse in sources)
        widest = max(
            (int(o.width) for o in self._operands(index, OperandKind.REGISTER) if not o.is_destination), default=1
        )
        file = self.config.sm.sub_core.register_file
        row.read_window = file.tensor_read_cycles if info.unit == "tensor" and widest >= 4 else file.read_cycles
        # a matrix instruction with more operands than its window has slots takes the whole window
        row.need = [min(len({r for r, _, _ in sources if r % 2 == bank}), int(row.read_window)) for bank in (0, 1)]

    def _timing(self, row: SimpleNamespace, index: int, info: OpcodeInfo) -> None:
        """Kind, unit and latencies."""
        name = info.latency_class
        execution = self.config.sm.sub_core.execution
        row.unit = Unit.NONE
        if name in VARIABLE:
            timing: VariableTiming = getattr(execution, name)
            row.kind, row.raw, row.war, row.interval = (
                VARIABLE[name],
                timing.raw,
                timing.war,
                timing.initiation_interval,
            )
            row.throttle = self._throttle(name)
        elif info.unit in ("memory", "adu") and name not in RULES:
            self._memory(row, index, info)
        else:
            row.kind = RULES.get(name, Kind.FIXED)
            row.long_owner = row.kind == Kind.ASYNC_BARRIER
            row.unit = UNITS.get(info.unit, Unit.MISC)
            row.latency, row.interval = self._fixed(index, info)
            if info.latency_class == "tensor" and accumulates_fp32(info.opcode):
                row.passes = execution.tensor.fp32_accumulate_passes
            row.is_imad = info.opcode.split(".")[0] == "IMAD"
            self._rules(row, index, info)

    def _fixed(self, index: int, info: OpcodeInfo) -> tuple[int, int]:
        execution = self.config.sm.sub_core.execution
        if info.latency_class == "tensor":
            return tensor_timing(info.opcode, self.config)
        timing: ClassTiming = getattr(execution.fixed, FIXED_AS.get(info.latency_class, info.latency_class))
        return timing.latency, timing.initiation_interval

    def _rules(self, row: SimpleNamespace, index: int, info: OpcodeInfo) -> None:
        """DEPBAR and memory barriers."""
        if row.kind == Kind.DEPBAR:
            immediates = self._immediates(index)
            for operand in self._operands(index, OperandKind.DEPENDENCE_COUNTER):
                if operand.register == COUNTER_LIST:
                    row.waits |= counter_mask(int(operand.immediate))
                else:
                    row.depbar_counter, row.depbar_limit = operand.register, immediates[0] if immediates else 0
        elif row.kind == Kind.MEMBAR:
            barriers, scopes = self.config.sm.barriers, info.opcode.split(".")
            row.membar = next(
                (
                    cycles
                    for scope, cycles in (("SYS", barriers.membar_system), ("GPU", barriers.membar_gpu))
                    if scope in scopes
                ),
                barriers.membar_cta,
            )

    def _immediates(self, index: int) -> list[int]:
        return [int(operand.immediate) for operand in self._operands(index, OperandKind.IMMEDIATE)]

    def _barrier(self, row: SimpleNamespace, index: int, info: OpcodeInfo) -> None:
        """Number of a CTA barrier, how many warps it expects, and whether its warp waits."""
        immediates = self._immediates(index)
        row.barrier = immediates[0] % 16 if immediates else 0
        row.barrier_warps = immediates[1] // 32 if len(immediates) > 1 else 0
        row.barrier_waits = "ARV" not in info.opcode.split(".")

    def _throttle(self, name: str) -> Stall:
        """Of a unit of variable latency, by Nsight Compute's name; TEX's queue leads to a shared FP64 unit."""
        if name != "fp64":
            return Stall.MIO_THROTTLE
        return Stall.TEX_THROTTLE if self.config.sm.sub_core.execution.fp64_shared else Stall.MATH_PIPE_THROTTLE

    def _memory(self, row: SimpleNamespace, index: int, info: OpcodeInfo) -> None:
        """Memory instructions: kind and the row of Table 2 that they follow."""
        latency = self.config.sm.memory_latency
        instruction = self.instructions[index]
        base = info.opcode.split(".")[0]
        row.space, row.access_bytes = instruction.space, instruction.access_bytes
        addressed = info.latency_class != TEXTURE
        row.uniform_address = addressed and all(o.register == RZ for o in self._operands(index, OperandKind.MEMORY))
        row.kind, table = self._memory_kind(index, base, info, latency)
        if row.kind == Kind.BARRIER:
            self._barrier(row, index, info)
        row.raw, row.war = self._latencies(row, index, table)
        row.shared_kind, row.shared_raw = row.kind, row.raw
        if row.space == MemorySpace.GENERIC and row.kind in IN_SHARED:
            row.shared_kind, name = IN_SHARED[row.kind]
            row.shared_raw, _ = self._latencies(row, index, getattr(latency, name))
        long = row.kind in (
            Kind.GLOBAL_LOAD,
            Kind.GLOBAL_STORE,
            Kind.GLOBAL_ATOMIC,
            Kind.GLOBAL_REDUCTION,
            Kind.GLOBAL_TO_SHARED,
        )
        row.long_owner = long
        row.throttle = Stall.LG_THROTTLE if long else Stall.MIO_THROTTLE
        if info.latency_class == TEXTURE:
            row.throttle = Stall.TEX_THROTTLE
        modifiers = info.opcode.split(".")
        row.packet_per_lane = not WIDE_ATOMICS.isdisjoint(modifiers)
        l2 = self.config.l2
        row.atomic_interval = l2.wide_atomic_interval if row.packet_per_lane else l2.atomic_interval
        row.bypass_l1 = "BYPASS" in modifiers or ("STRONG" in modifiers and ("GPU" in modifiers or "SYS" in modifiers))

    def _latencies(self, row: SimpleNamespace, index: int, table: Latencies) -> tuple[int, int]:
        """(raw, war) of a memory instruction in its row of Table 2."""
        if isinstance(table, FlatTiming):
            return table.raw, table.war
        if isinstance(table, AddressTiming):
            indexed = [o for o in self._operands(index, OperandKind.CONSTANT) if o.register != RZ]
            uniform = not indexed if row.kind == Kind.CONSTANT_LOAD else bool(row.uniform_address)
            table = table.uniform if uniform else table.regular
        width = {8: 1, 16: 2}.get(int(row.access_bytes), 0)
        return table.raw[width], table.war[width]

    def _memory_kind(self, index: int, base: str, info: OpcodeInfo, latency: MemoryLatency) -> tuple[Kind, Latencies]:
        name = info.latency_class
        if info.unit == "adu":
            return self._adu_kind(index, name, latency)
        if name == "ldgsts":
            return Kind.GLOBAL_TO_SHARED, latency.global_to_shared
        if name == "memory_misc":
            shuffled = base in ("SHFL", "MATCH")
            return (Kind.SHUFFLE, latency.shuffle) if shuffled else (Kind.SPECIAL, latency.special_register)
        if name == "memory_shared":
            if base.startswith("ATOM"):
                return Kind.SHARED_ATOMIC, latency.shared_atomic
            return (
                (Kind.SHARED_STORE, latency.shared_store)
                if base.startswith("ST")
                else (Kind.SHARED_LOAD, latency.shared_load)
            )
        if name == TEXTURE and self.instructions[index].space == MemorySpace.GLOBAL:
            stores = base == "SUST"
            return (Kind.GLOBAL_STORE, latency.global_store) if stores else (Kind.GLOBAL_LOAD, latency.texture)
        if name in ("memory_global", "memory_local"):
            if base.startswith("ATOM"):
                return Kind.GLOBAL_ATOMIC, latency.global_load
            if base.startswith("RED"):
                return Kind.GLOBAL_REDUCTION, latency.global_store
            return (
                (Kind.GLOBAL_STORE, latency.global_store)
                if base.startswith("ST")
                else (Kind.GLOBAL_LOAD, latency.global_load)
            )
        raise GpusimError(f"{self.program.name}: {info.opcode}: instructions of class '{name}' are not modelled")

    def _adu_kind(self, index: int, name: str, latency: MemoryLatency) -> tuple[Kind, Latencies]:
        """Of what the opcode table gives to the ADU; S2R of a thread's own index is the LSU's (isa/common.yaml)."""
        if name == "memory_constant":
            return Kind.CONSTANT_LOAD, latency.constant_load
        if name == "barrier":
            return Kind.BARRIER, latency.special_register
        if name == "to_uniform":
            return Kind.ADU, latency.to_uniform
        registers = [
            self.program.special_registers[o.immediate] for o in self._operands(index, OperandKind.SPECIAL_REGISTER)
        ]
        of_thread = any(register.startswith("SR_TID") for register in registers)
        uniform = self.program.opcode_of(index).startswith("S2UR")
        return (Kind.SPECIAL if of_thread and not uniform else Kind.ADU), latency.special_register


def operand_bits(opcode: str) -> int:
    """Width of a matrix instruction's factors, from its mnemonic."""
    operand = re.search(r"\.[SU]([48])", opcode)
    return 1 if opcode.startswith("BMMA") else int(operand.group(1)) if operand else 16


def accumulates_fp32(opcode: str) -> bool:
    return operand_bits(opcode) == 16 and ".F32" in opcode


def tensor_timing(opcode: str, config: GpuConfig) -> tuple[int, int]:
    """(latency, initiation interval) of a matrix instruction from its mnemonic, e.g. HMMA.16816.F32.

    An M x 8 x K step takes M * 8 * K / rate cycles at the operand type's rate; accumulating in FP32 may issue more
    slowly and takes no longer (see configs for the measurements). MOVM, without a shape, counts as 8 x 8 x 4.
    """
    tensor = config.sm.sub_core.execution.tensor
    shape = re.search(r"\.(8|16)8(\d+)", opcode)
    m, k = (int(shape.group(1)), int(shape.group(2))) if shape else (8, 4)
    fma = m * 8 * k // (2 if ".SP" in opcode else 1)
    interval = max(1, fma // getattr(tensor, f"fma_per_cycle_{operand_bits(opcode)}"))
    latency = interval + tensor.pipeline
    if accumulates_fp32(opcode):
        interval = max(1, fma // tensor.fma_per_cycle_fp32_accumulate)
    return latency, interval
