"""What the reference is given: static instructions with their control bits, and the stream of each warp."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice

import numpy as np

from gpusim.config.models import GpuConfig
from gpusim.constants import EXPLICIT
from gpusim.model.kinds import Kind, Unit
from gpusim.model.setup.code import CodeBuilder
from gpusim.model.state import SLOTS
from gpusim.sass.isa import load_isa
from gpusim.sass.program import Program
from gpusim.trace.trace import Launch
from reference.operands import Read, Register, reads, writes

VARIABLE = (Kind.SFU, Kind.FP64, Kind.MISC_QUEUE)
LONG_KINDS = (
    Kind.GLOBAL_LOAD, Kind.GLOBAL_STORE, Kind.GLOBAL_ATOMIC, Kind.GLOBAL_REDUCTION, Kind.GLOBAL_TO_SHARED,
)  # fmt: skip
"""What waits for L1TEX: global and local accesses."""
FULL_MASK = 0xFFFFFFFF


@dataclass(frozen=True)
class Source:
    register: int
    slot: int
    reuse: bool

    @property
    def bank(self) -> int:
        return self.register % 2


@dataclass(frozen=True, eq=False)
class Static:
    """One static instruction (timing model, section 2)."""

    index: int
    opcode: str
    latency_class: str
    reads: tuple[Read, ...]
    writes: tuple[Register, ...]
    kind: Kind
    unit: Unit
    latency: int
    interval: int
    passes: int  # through the tensor unit; above 1: several
    stall: int
    yields: bool
    write_counter: int | None
    read_counter: int | None
    waits: tuple[int, ...]
    depbar: tuple[int, int] | None
    line: int | None
    constant_bank: int
    need: tuple[int, int]
    sources: tuple[Source, ...]
    caches: bool
    window: int
    has_result: bool
    banks: tuple[int, ...]
    space: int
    uniform_address: bool
    access_bytes: int
    war: int
    raw: int
    shared_kind: Kind
    shared_raw: int
    is_imad: bool
    bypass: bool
    atomic_interval: int
    packet_per_lane: bool
    barrier: int
    barrier_warps: int
    barrier_waits: bool
    membar: int

    @cached_property
    def is_memory(self) -> bool:
        return self.kind >= Kind.MEMORY

    @cached_property
    def is_adu(self) -> bool:
        return self.kind >= Kind.ADU

    @cached_property
    def is_variable(self) -> bool:
        return self.kind in VARIABLE

    @cached_property
    def is_fixed(self) -> bool:
        return not self.is_memory and not self.is_variable


def _counters(mask: int) -> tuple[int, ...]:
    return tuple(c for c in range(6) if mask >> (8 * c) & 0xFF)


def statics(program: Program, config: GpuConfig) -> list[Static]:
    """The instructions of a program as a card sees them."""
    code = CodeBuilder(program, load_isa(program.architecture), config).build()
    made = [_static(program, index, row) for index, row in enumerate(code)]
    return without_control_bits(made) if config.sm.sub_core.dependence.mode == "scoreboard" else made


def without_control_bits(made: list[Static]) -> list[Static]:
    """The instructions as scoreboards see them: control bits count for groups of copies only (section 21)."""
    of_groups = {static.write_counter for static in made if static.kind == Kind.ASYNC_BARRIER}
    return [_without_control_bits(static, of_groups) for static in made]


def _without_control_bits(static: Static, of_groups: set[int | None]) -> Static:
    if static.depbar is not None and static.depbar[0] in of_groups:
        return replace(static, write_counter=None, read_counter=None)
    counter = static.write_counter if static.kind == Kind.ASYNC_BARRIER else None
    return replace(static, stall=1, yields=False, write_counter=counter, read_counter=None, waits=(), depbar=None)


def _static(program: Program, index: int, row: np.record) -> Static:
    instruction = program.instructions[index]
    opcode = program.opcode_of(index)
    registers = zip(row.source_register.tolist(), row.source_entry.tolist(), row.source_reuse.tolist())
    return Static(
        index=index,
        opcode=opcode,
        latency_class=load_isa(program.architecture).lookup(opcode).latency_class,
        reads=reads(program, index),
        writes=writes(program, index),
        kind=Kind(int(row.kind)),
        unit=Unit(int(row.unit)),
        latency=int(row.latency),
        interval=int(row.interval),
        passes=int(row.passes),
        stall=int(instruction.stall),
        yields=bool(instruction.yields),
        write_counter=int(row.write_counter) if row.write_counter < 6 else None,
        read_counter=int(row.read_counter) if row.read_counter < 6 else None,
        waits=_counters(int(row.waits)),
        depbar=(int(row.depbar_counter), int(row.depbar_limit)) if row.depbar_counter >= 0 else None,
        line=int(row.constant_line) if row.constant_line >= 0 else None,
        constant_bank=int(row.constant_bank),
        need=(int(row.need[0]), int(row.need[1])),
        sources=tuple(Source(r, entry % SLOTS, bool(reuse)) for r, entry, reuse in islice(registers, row.source_count)),
        caches=bool(row.caches),
        window=int(row.read_window),
        has_result=bool(row.has_result),
        banks=tuple(b for b in (0, 1) if int(row.banks_written) >> b & 1),
        space=int(row.space),
        uniform_address=bool(row.uniform_address),
        access_bytes=int(row.access_bytes),
        war=int(row.war),
        raw=int(row.raw),
        shared_kind=Kind(int(row.shared_kind)),
        shared_raw=int(row.shared_raw),
        is_imad=bool(row.is_imad),
        bypass=bool(row.bypass_l1),
        atomic_interval=int(row.atomic_interval),
        packet_per_lane=bool(row.packet_per_lane),
        barrier=int(row.barrier),
        barrier_warps=int(row.barrier_warps),
        barrier_waits=bool(row.barrier_waits),
        membar=int(row.membar),
    )


@dataclass(frozen=True)
class Access:
    """Byte addresses of one memory operand: (lane, address) of the active lanes."""

    lanes: tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class Step:
    """One executed instruction of a warp."""

    static: Static
    mask: int
    accesses: tuple[Access, ...] = ()


@dataclass
class Streams:
    """Streams of a launch by CTA and warp."""

    program: list[Static]
    ctas: list[list[list[Step]]] = field(default_factory=list)

    @classmethod
    def of(cls, launch: Launch, config: GpuConfig) -> Streams:
        streams = cls(statics(launch.program, config))
        counts = launch.program.address_counts
        for chunk in launch.chunks():
            warps = [list(_steps(chunk, w, streams.program, counts)) for w in range(len(chunk.instruction_start) - 1)]
            size = launch.warps_per_cta
            streams.ctas += [warps[k : k + size] for k in range(0, len(warps), size)]
        return streams


def _steps(chunk, warp: int, program: list[Static], counts: np.ndarray) -> Iterator[Step]:
    record = int(chunk.record_start[warp])
    for k in range(int(chunk.instruction_start[warp]), int(chunk.instruction_start[warp + 1])):
        index, mask = int(chunk.index[k]), int(chunk.mask[k])
        accesses = tuple(_access(chunk, record + n, mask) for n in range(int(counts[index])))
        record += int(counts[index])
        yield Step(program[index], mask, accesses)


def _access(chunk, record: int, mask: int) -> Access:
    base, stride = int(chunk.records[record]["start"]), int(chunk.records[record]["stride"])
    active = [lane for lane in range(32) if mask >> lane & 1]
    if stride == int(EXPLICIT):
        addresses = chunk.addresses[base : base + len(active)].tolist()
        return Access(tuple(zip(active, addresses)))
    return Access(tuple((lane, base + stride * lane) for lane in active))
