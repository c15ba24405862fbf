"""Opcode tables: what `isa/sm_NN.yaml` says about an opcode and its modifiers.

The tables are data; the meaning of each field is stated at the head of `isa/common.yaml`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Literal, TypeAlias, get_args

from gpusim import resources
from gpusim.constants import MemorySpace
from gpusim.errors import GpusimError

Unit: TypeAlias = Literal["int", "fp32", "half", "tensor", "uniform", "branch", "misc", "sfu", "fp64", "memory", "adu"]
"""Execution units that a table may name."""
Pipe: TypeAlias = Literal[
    "adu", "alu", "cbu", "fma", "fma_type_fp16", "fmaheavy", "fp16", "fp64", "fp64_op_dmma", "fp64_op_fp64", "ipa",
    "lsu", "tensor_op_dmma", "tensor_op_gmma", "tensor_op_hmma", "tensor_op_imma", "tex", "tma", "uniform", "xu",
]  # fmt: skip
"""Counters of executed warp instructions by pipe that a table may name: Nsight's `sm__inst_executed_pipe_<name>`."""
LatencyClass: TypeAlias = Literal[
    "int", "fp32", "imad", "imad_wide", "half", "predicate", "uniform", "branch", "exit", "misc", "misc_queue", "sfu",
    "tensor", "fp64", "memory_global", "memory_shared", "memory_local", "memory_constant", "memory_misc", "texture",
    "barrier", "membar", "depbar", "ldgdepbar", "ldgsts", "special_register", "to_uniform",
]  # fmt: skip
"""Latency classes that a table may name; the timing configuration gives them cycles."""
Destinations: TypeAlias = Literal[
    "none", "first", "two", "carry", "predicate_register", "all", "all_but_last", "before_address"
]
"""Rules that tell destinations from sources by text position."""
Immediate: TypeAlias = Literal["int", "f32", "f64", "f16"]
SlotName: TypeAlias = Literal["A", "B", "C"]
SLOTS: tuple[SlotName, ...] = get_args(SlotName)
TABLE_OF = {75: "sm_75", 80: "sm_80", 86: "sm_86", 89: "sm_86", 90: "sm_90"}
"""Table that serves an architecture; Ada reads that of sm_86."""
SUPPORTED_ARCHITECTURES = tuple(TABLE_OF)
"""Architectures whose machine code can be read."""


@dataclass(frozen=True)
class OpcodeInfo:
    """What is known of one full opcode spelling.

    Attributes:
        opcode: the full spelling (`IMAD.WIDE.U32`).
        unit, latency_class: where it executes, and whose latency it has.
        destinations: which operands of the text it writes.
        widths: registers covered where not 1: d for destination registers, a, b, c, e for sources in text order.
        slots: register-file slots (0 A, 1 B, 2 C) of the sources that are not predicates, in text order.
        immediate: how a decimal number is encoded.
        space, access_bytes: memory space, and bytes per lane (0 if no memory instruction).
        register_target: a register operand, if there is one, decides where the branch goes.
        source: where the facts come from.
        known: False if no table lists the opcode and the rest is a guess from its first letters.
    """

    opcode: str
    unit: Unit = "int"
    latency_class: LatencyClass = "int"
    destinations: Destinations = "carry"
    widths: Mapping[str, int] = field(default_factory=dict)
    slots: tuple[int, ...] = (0, 1, 2)
    immediate: Immediate = "int"
    space: MemorySpace = MemorySpace.NONE
    access_bytes: int = 0
    register_target: bool = False
    source: str = ""
    known: bool = True


_FALLBACKS = (  # first letters of an unlisted opcode -> what it most likely is
    (("U",), {"unit": "uniform", "latency_class": "uniform"}),
    (("LD", "ST", "ATOM", "RED"), {"unit": "memory", "latency_class": "memory_global", "destinations": "before_address",
                                   "space": MemorySpace.GLOBAL, "access_bytes": 4}),
    (("TEX", "TLD", "SU"), {"unit": "memory", "latency_class": "texture"}),
    (("BR", "BS", "JM", "CALL", "RET"), {"unit": "branch", "latency_class": "branch", "destinations": "none"}),
    (("D",), {"unit": "fp64", "latency_class": "fp64", "widths": {"d": 2, "a": 2, "b": 2, "c": 2}}),
    (("H",), {"unit": "half", "latency_class": "half"}),
    (("F",), {"unit": "fp32", "latency_class": "fp32", "immediate": "f32"}),
)  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One opcode of a table: its fields and those of its variants."""

    info: OpcodeInfo
    variants: tuple[tuple[tuple[str, ...], Mapping[str, Any]], ...]


@dataclass(frozen=True)
class PipeRule:
    """Counters of the spellings that a table names: modifiers as of variants, the register by how its name begins."""

    base: str
    modifiers: tuple[str, ...]
    register: str
    pipes: tuple[Pipe, ...]

    def covers(self, spelling: str) -> bool:
        """Whether a spelling, as `Isa.pipes` takes it, is one of them."""
        opcode, _, register = spelling.partition(" ")
        base, *modifiers = opcode.split(".")
        return base == self.base and _contains(tuple(modifiers), self.modifiers) and register.startswith(self.register)


@dataclass
class Table:
    """A table file with its bases applied."""

    entries: dict[str, Entry] = field(default_factory=dict)
    unit_pipes: dict[Unit, tuple[Pipe, ...]] = field(default_factory=dict)
    pipe_rules: dict[str, PipeRule] = field(default_factory=dict)
    descriptor_bits: Mapping[str, int] = field(default_factory=dict)
    parameter_base: int = 0


def _contains(modifiers: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    """Whether `wanted` occurs in `modifiers` in order, other modifiers between allowed."""
    rest = iter(modifiers)
    return all(modifier in rest for modifier in wanted)


class Isa:
    """The opcode table of one architecture; `parameter_base` is the byte offset of kernel parameters in bank 0."""

    def __init__(self, architecture: int, table: Table) -> None:
        self.architecture = architecture
        self.parameter_base = table.parameter_base
        self._entries = table.entries
        self._unit_pipes, self._pipe_rules = table.unit_pipes, tuple(table.pipe_rules.values())
        self._descriptor_bits = table.descriptor_bits
        self._cache: dict[str, OpcodeInfo] = {}

    @property
    def opcodes(self) -> tuple[str, ...]:
        """Base opcodes of the table, sorted."""
        return tuple(sorted(self._entries))

    def descriptor_bit(self, base_opcode: str) -> int | None:
        """Lowest encoding bit of an untold memory descriptor's uniform register, None where the text tells it."""
        return self._descriptor_bits.get(base_opcode, self._descriptor_bits.get("default"))

    def lookup(self, opcode: str) -> OpcodeInfo:
        """Facts for a full spelling such as `IMAD.WIDE.U32`; `known` is False for a guess."""
        if opcode not in self._cache:
            self._cache[opcode] = self._find(opcode)
        return self._cache[opcode]

    def pipes(self, spelling: str) -> tuple[Pipe, ...]:
        """Nsight's pipe counters that count an executed warp instruction, none for some.

        spelling: the opcode with all modifiers; if it reads a special register, a space and that (`S2R SR_TID.X`).
        """
        told = [rule.pipes for rule in self._pipe_rules if rule.covers(spelling)]
        return told[-1] if told else self._unit_pipes.get(self.lookup(spelling.split(" ")[0]).unit, ())

    def _find(self, opcode: str) -> OpcodeInfo:
        base, *rest = opcode.split(".")
        entry = self._entries.get(base)
        if entry is None:
            guess = next((values for letters, values in _FALLBACKS if base.startswith(letters)), {})
            return OpcodeInfo(opcode, source="guessed from the first letters", known=False, **guess)
        info = replace(entry.info, opcode=opcode)
        for wanted, values in entry.variants:
            if _contains(tuple(rest), wanted):
                widths = {**info.widths, **values.get("widths", {})}
                info = replace(info, **{**values, "widths": widths})
        return info


@lru_cache(maxsize=8)
def load_isa(architecture: int) -> Isa:
    """The table of an architecture (75, 80, 86, 89, 90). Raises GpusimError if there is none or it is malformed."""
    from gpusim.sass.isa_file import read_table

    if architecture not in TABLE_OF:
        known = ", ".join(f"sm_{a}" for a in TABLE_OF)
        raise GpusimError(f"no opcode table for sm_{architecture}; supported: {known}")
    return Isa(architecture, read_table(resources.find("isa") / f"{TABLE_OF[architecture]}.yaml"))
