"""Dependence by scoreboards in place of control bits (timing model, section 21)."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from gpusim.config.models import Forwarding, GpuConfig
from gpusim.model.kinds import Unit
from gpusim.sass.program import OperandKind
from reference.operands import Read, Register
from reference.program import Static
from reference.warp import Dynamic

ALUS = (Unit.INT, Unit.FP32)
"""Units to whose operands a predicate is forwarded."""
CONSUMER_LIMIT = "source at its limit of consumers"
REFUSALS = (
    "source pending, fixed latency", "source pending, variable latency", CONSUMER_LIMIT,
    "destination pending, fixed latency", "destination pending, variable latency", "destination has consumers",
)  # fmt: skip
"""Why a scoreboard holds an instruction back."""


class Refusal(NamedTuple):
    rule: str  # of REFUSALS
    holder: Static  # the instruction that is waited for


def latency_of(producer: Dynamic) -> str:
    return "fixed latency" if producer.static.is_fixed else "variable latency"


def _fits(name: str, static: Static) -> bool:
    """Whether a name of `dependence.forwarding` stands for an instruction."""
    if name in ("any", static.latency_class):
        return True
    wanted, modifiers = name.split("."), iter(static.opcode.split("."))
    return wanted[0] == next(modifiers) and all(modifier in modifiers for modifier in wanted[1:])


class Distances:
    """Cycles from the issue of a fixed-latency producer to that of what reads or overwrites its result."""

    def __init__(self, config: GpuConfig) -> None:
        self.dependence = config.sm.sub_core.dependence
        self.predicate = config.sm.sub_core.execution.fixed.predicate.latency
        self.known: dict[tuple[Static, Static, Read], int] = {}

    def to_source(self, producer: Static, consumer: Static, read: Read) -> int:
        key = producer, consumer, read
        if key not in self.known:
            self.known[key] = self._to_source(producer, consumer, read)
        return self.known[key]

    def _to_source(self, producer: Static, consumer: Static, read: Read) -> int:
        if read.register.file == OperandKind.PREDICATE:
            early = consumer.unit in ALUS and not read.is_guard
            return self.dependence.predicate_operand if early else self.predicate
        rule = next((r for r in self.dependence.forwarding if self._applies(r, producer, consumer)), None)
        distance = rule.latency if rule else producer.latency
        from_memory = consumer.is_memory and not consumer.is_adu
        return distance + self.dependence.memory_operand * (from_memory and read.register.is_regular)

    @staticmethod
    def _applies(rule: Forwarding, producer: Static, consumer: Static) -> bool:
        return _fits(rule.producer, producer) and any(_fits(name, consumer) for name in rule.consumers)

    def to_destination(self, producer: Static, register: Register) -> int:
        if register.file == OperandKind.PREDICATE:
            return max(producer.latency, self.predicate)
        return producer.latency


class Scoreboard:
    """The last instruction of a warp that writes each register, and those that read it."""

    def __init__(self, distances: Distances, max_consumers: int) -> None:
        self.distances, self.max_consumers = distances, max_consumers
        self.writers: dict[Register, Dynamic] = {}
        self.readers: dict[Register, list[Dynamic]] = defaultdict(list)
        self.last_reader: dict[Register, Static] = {}
        self.unfinished: list[Dynamic] = []  # on units of variable latency

    def refusal(self, static: Static, t: int) -> Refusal | None:
        """Why the instruction cannot issue in t, None if it can."""
        for read in static.reads:
            producer = self.writers.get(read.register)
            if producer and not producer.available(t, self.distances.to_source(producer.static, static, read)):
                return Refusal(f"source pending, {latency_of(producer)}", producer.static)
            if self.max_consumers and self._consumers(read.register, t) >= self.max_consumers:
                return Refusal(CONSUMER_LIMIT, self.last_reader[read.register])
        for register in static.writes:
            producer = self.writers.get(register)
            if producer and not producer.available(t, self.distances.to_destination(producer.static, register)):
                return Refusal(f"destination pending, {latency_of(producer)}", producer.static)
            if self._consumers(register, t):
                return Refusal("destination has consumers", self.last_reader[register])
        return None

    def _consumers(self, register: Register, t: int) -> int:
        if register in self.readers:
            self.readers[register] = [d for d in self.readers[register] if not d.has_read(t)]
        return len(self.readers.get(register, ()))

    def issue(self, dynamic: Dynamic) -> None:
        for register in {read.register for read in dynamic.static.reads if read.register.is_regular}:
            self.readers[register].append(dynamic)
            self.last_reader[register] = dynamic.static
        for register in dynamic.static.writes:
            self.writers[register] = dynamic
        if dynamic.static.is_variable:
            self.unfinished.append(dynamic)

    def is_clear(self, t: int) -> bool:
        """Whether all sources have been read and all instructions of variable latency are complete."""
        self.unfinished = [d for d in self.unfinished if not d.visible]
        return not self.unfinished and not any(self._consumers(register, t) for register in self.readers)
