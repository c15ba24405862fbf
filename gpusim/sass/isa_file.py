"""Files of opcode tables, isa/sm_NN.yaml, as entries that `gpusim.sass.isa` looks up; see the head of common.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from gpusim import yamlfile
from gpusim.constants import MemorySpace
from gpusim.errors import GpusimError, nearest
from gpusim.sass.isa import (
    SLOTS,
    Destinations,
    Entry,
    Immediate,
    LatencyClass,
    OpcodeInfo,
    Pipe,
    PipeRule,
    SlotName,
    Table,
    Unit,
)
from gpusim.schema import Strict, load

Registers = Annotated[int, Field(ge=1, le=16)]


class Widths(Strict):
    """Registers covered by destinations (d) and by sources in text order."""

    d: Registers = 1
    a: Registers = 1
    b: Registers = 1
    c: Registers = 1
    e: Registers = 1


class Facts(Strict):
    """What a group, an opcode or a variant may say."""

    unit: Unit = "int"
    latency_class: LatencyClass = "int"
    destinations: Destinations = "carry"
    widths: Widths = Widths()
    slots: tuple[SlotName, ...] = SLOTS
    immediate: Immediate = "int"
    space: Literal[tuple(space.name.lower() for space in MemorySpace)] = "none"  # type: ignore[valid-type]
    access_bytes: Annotated[int, Field(ge=0, le=16)] = 0
    register_target: bool = False
    source: str = ""

    def given(self) -> dict[str, Any]:
        """The facts that are told, as fields of OpcodeInfo."""
        told = self.model_dump(include=set(Facts.model_fields), exclude_unset=True)
        if "slots" in told:
            told["slots"] = tuple(SLOTS.index(slot) for slot in told["slots"])
        if "space" in told:
            told["space"] = MemorySpace[told["space"].upper()]
        return told


class Opcode(Facts):
    variants: dict[str, Facts] = Field(default_factory=dict)


class Group(Facts):
    name: str
    unit: Unit
    latency_class: LatencyClass
    source: str
    opcodes: dict[str, Opcode]


class Counted(Strict):
    """The pipe counters of a spelling."""

    pipes: tuple[Pipe, ...]
    source: str


class Pipes(Strict):
    """The pipe counters of units, and of the spellings that differ."""

    units: dict[Unit, tuple[Pipe, ...]] = Field(default_factory=dict)
    opcodes: dict[str, Counted] = Field(default_factory=dict)


class TableFile(Strict):
    """A whole file. `sizes` and `atomic_sizes` are there for aliases to name."""

    base: str | None = None
    architecture: int = 0
    source: str = ""
    without: tuple[str, ...] = ()
    pipes: Pipes = Pipes()
    groups: tuple[Group, ...] = ()
    descriptor_bits: dict[str, Annotated[int, Field(ge=0, lt=128)]] | None = None
    parameter_base: Annotated[int, Field(ge=0, lt=1 << 16)] | None = None
    sizes: dict[str, Facts] = Field(default_factory=dict)
    atomic_sizes: dict[str, Facts] = Field(default_factory=dict)


def read_table(path: Path, inheriting: tuple[Path, ...] = ()) -> Table:
    """A table file, its base first. Raises GpusimError with every problem of the file, each with its line."""
    document = yamlfile.read(path)
    file = load(TableFile, document)
    if path in inheriting:
        raise GpusimError(f"{document.place(('base',))}: base: files inherit in a circle")
    table = read_table(path.parent / file.base, (*inheriting, path)) if file.base else Table()
    for number, opcode in enumerate(file.without):
        if opcode not in table.entries:
            place, hint = document.place(("without", number)), nearest(opcode, table.entries)
            raise GpusimError(f"{place}: without: no opcode '{opcode}' to leave out{hint}")
        del table.entries[opcode]
    for group in file.groups:
        shared = group.given()
        table.entries.update((opcode, _entry(opcode, shared, own)) for opcode, own in group.opcodes.items())
    table.unit_pipes |= file.pipes.units
    table.pipe_rules |= {key: _pipe_rule(key, counted, table, document) for key, counted in file.pipes.opcodes.items()}
    if file.descriptor_bits is not None:
        table.descriptor_bits = file.descriptor_bits
    if file.parameter_base is not None:
        table.parameter_base = file.parameter_base
    return table


def _entry(opcode: str, shared: Mapping[str, Any], own: Opcode) -> Entry:
    variants = tuple((tuple(modifiers.split(".")), facts.given()) for modifiers, facts in own.variants.items())
    return Entry(OpcodeInfo(opcode, **{**shared, **own.given()}), variants)


def _pipe_rule(key: str, counted: Counted, table: Table, document: yamlfile.Document) -> PipeRule:
    """Raises GpusimError where the table has no such opcode."""
    opcode, _, register = key.partition(" ")
    base, *modifiers = opcode.split(".")
    if base not in table.entries:
        place, hint = document.place(("pipes", "opcodes", key)), nearest(base, table.entries)
        raise GpusimError(f"{place}: pipes: no opcode '{base}'{hint}")
    return PipeRule(base, tuple(modifiers), register, counted.pipes)
