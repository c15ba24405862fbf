"""Opcode tables: what `isa/sm_NN.yaml` says about an opcode and its modifiers.

The tables are data; the meaning of each field is stated at the head of `isa/common.yaml`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from gpusim import resources
from gpusim.errors import GpusimError, nearest
from gpusim.sass.program import MemorySpace

UNITS = ("int", "fp32", "half", "tensor", "uniform", "branch", "misc", "sfu", "fp64", "memory")
"""Execution units that a table may name."""
LATENCY_CLASSES = (
    "int", "fp32", "imad", "imad_wide", "half", "predicate", "uniform", "branch", "exit", "misc", "misc_queue", "sfu",
    "tensor", "fp64", "memory_global", "memory_shared", "memory_local", "memory_constant", "memory_misc", "texture",
    "barrier", "membar", "depbar", "ldgdepbar", "ldgsts",
)  # fmt: skip
"""Latency classes that a table may name; the timing configuration gives them cycles."""
DESTINATIONS = ("none", "first", "two", "carry", "predicate_register", "all", "all_but_last", "before_address")
"""Rules that tell destinations from sources by text position."""
IMMEDIATES = ("int", "f32", "f64", "f16")
SLOTS = ("A", "B", "C")
WIDTH_KEYS = ("d", "a", "b", "c", "e")
TABLE_OF = {75: "sm_75", 80: "sm_80", 86: "sm_86", 89: "sm_86", 90: "sm_90"}
"""Table that serves an architecture; Ada reads that of sm_86."""
SUPPORTED_ARCHITECTURES = tuple(TABLE_OF)
"""Architectures whose machine code can be read."""

_FILE_KEYS = (
    "base",
    "architecture",
    "source",
    "without",
    "groups",
    "descriptor_bits",
    "parameter_base",
    "sizes",
    "atomic_sizes",
)


@dataclass(frozen=True)
class OpcodeInfo:
    """What is known of one full opcode spelling.

    Attributes:
        opcode: the full spelling (`IMAD.WIDE.U32`).
        unit, latency_class: of UNITS and LATENCY_CLASSES.
        destinations: one of DESTINATIONS.
        widths: registers covered where not 1: d for destination registers, a, b, c, e for sources in text order.
        slots: register-file slots (0 A, 1 B, 2 C) of the sources that are not predicates, in text order.
        immediate: how a decimal number is encoded, one of IMMEDIATES.
        space, access_bytes: memory space, and bytes per lane (0 if no memory instruction).
        register_target: a register operand, if there is one, decides where the branch goes.
        source: where the facts come from.
        known: False if no table lists the opcode and the rest is a guess from its first letters.
    """

    opcode: str
    unit: str = "int"
    latency_class: str = "int"
    destinations: str = "carry"
    widths: Mapping[str, int] = field(default_factory=dict)
    slots: tuple[int, ...] = (0, 1, 2)
    immediate: str = "int"
    space: MemorySpace = MemorySpace.NONE
    access_bytes: int = 0
    register_target: bool = False
    source: str = ""
    known: bool = True


_ENTRY_KEYS = (*(f.name for f in fields(OpcodeInfo) if f.name not in ("opcode", "known")), "variants")
_CHOICES = {"unit": UNITS, "latency_class": LATENCY_CLASSES, "destinations": DESTINATIONS, "immediate": IMMEDIATES}
_SPACES = tuple(space.name.lower() for space in MemorySpace)

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
class _Entry:
    """One opcode of a table: its fields and those of its variants."""

    info: OpcodeInfo
    variants: tuple[tuple[tuple[str, ...], Mapping[str, Any]], ...]


@dataclass
class _Table:
    """A table file with its bases applied."""

    entries: dict[str, _Entry] = field(default_factory=dict)
    descriptor_bits: Mapping[str, int] = field(default_factory=dict)
    parameter_base: int = 0


def _contains(modifiers: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    """Whether `wanted` occurs in `modifiers` in order, other modifiers between allowed."""
    rest = iter(modifiers)
    return all(modifier in rest for modifier in wanted)


class Isa:
    """The opcode table of one architecture; `parameter_base` is the byte offset of kernel parameters in bank 0."""

    def __init__(self, architecture: int, table: _Table) -> None:
        self.architecture = architecture
        self.parameter_base = table.parameter_base
        self._entries = table.entries
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


def _fail(path: Path, where: str, what: str) -> None:
    raise GpusimError(f"{path}: {where}: {what}")


def _check_keys(path: Path, where: str, values: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in values:
        if key not in known:
            _fail(path, where, f"unknown key '{key}'{nearest(str(key), known)}")


def _convert(path: Path, where: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Checked field values of an entry or a variant, as OpcodeInfo wants them."""
    _check_keys(path, where, values, _ENTRY_KEYS)
    result = {key: value for key, value in values.items() if key != "variants"}
    for key, choices in _CHOICES.items():
        if key in result and result[key] not in choices:
            _fail(path, where, f"{key} '{result[key]}' is not known{nearest(str(result[key]), choices)}")
    if "slots" in result:
        if any(slot not in SLOTS for slot in result["slots"]):
            _fail(path, where, f"slots {result['slots']} must be of {', '.join(SLOTS)}")
        result["slots"] = tuple(SLOTS.index(slot) for slot in result["slots"])
    if "space" in result:
        if result["space"] not in _SPACES:
            _fail(path, where, f"space '{result['space']}' is not known{nearest(str(result['space']), _SPACES)}")
        result["space"] = MemorySpace[result["space"].upper()]
    _check_keys(path, where, result.get("widths", {}), WIDTH_KEYS)
    return result


def _read_group(path: Path, group: Mapping[str, Any]) -> dict[str, _Entry]:
    name = str(group.get("name", "unnamed group"))
    shared = {key: value for key, value in group.items() if key not in ("name", "opcodes")}
    for required in ("unit", "latency_class", "source"):
        if required not in shared:
            _fail(path, name, f"'{required}' is missing")
    entries = {}
    for opcode, own in group.get("opcodes", {}).items():
        where = f"{name}, {opcode}"
        values = _convert(path, where, {**shared, **(own or {})})
        variants = (own or {}).get("variants", {})
        converted = tuple((tuple(str(k).split(".")), _convert(path, f"{where}.{k}", v)) for k, v in variants.items())
        entries[str(opcode)] = _Entry(OpcodeInfo(str(opcode), **values), converted)
    return entries


def _read_table(path: Path) -> _Table:
    """A table file, its `base` first."""
    import yaml

    try:
        content = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, yaml.YAMLError) as error:
        raise GpusimError(f"{path}: cannot read the opcode table: {error}") from error
    _check_keys(path, "top level", content, _FILE_KEYS)
    table = _read_table(path.parent / content["base"]) if "base" in content else _Table()
    for opcode in content.get("without", ()):
        if opcode not in table.entries:
            _fail(path, "without", f"no opcode '{opcode}' to leave out{nearest(opcode, table.entries)}")
        del table.entries[opcode]
    for group in content.get("groups", ()):
        table.entries.update(_read_group(path, group))
    table.descriptor_bits = content.get("descriptor_bits", table.descriptor_bits)
    table.parameter_base = content.get("parameter_base", table.parameter_base)
    return table


@lru_cache(maxsize=8)
def load_isa(architecture: int) -> Isa:
    """The table of an architecture (75, 80, 86, 89, 90). Raises GpusimError if there is none or it is malformed."""
    if architecture not in TABLE_OF:
        known = ", ".join(f"sm_{a}" for a in TABLE_OF)
        raise GpusimError(f"no opcode table for sm_{architecture}; supported: {known}")
    return Isa(architecture, _read_table(resources.find("isa") / f"{TABLE_OF[architecture]}.yaml"))
