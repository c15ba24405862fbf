"""The sections, symbols and relocations of an ELF file, read at once through pyelftools and checked.

pyelftools reads lazily and raises whatever a damaged file leads it to; nothing of it leaves this module.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, NamedTuple

from gpusim.errors import GpusimError
from gpusim.sass import toolchain

_ENTRY_BYTES = {"SHT_SYMTAB": 24, "SHT_REL": 16, "SHT_RELA": 24}


class Section(NamedTuple):
    name: str
    type: str | int
    flags: int
    offset: int
    size: int
    info: int


class Symbol(NamedTuple):
    """`section`: index of its section, or the name of a special one (SHN_UNDEF, SHN_ABS)."""

    name: str
    type: str | int
    bind: str | int
    section: int | str
    value: int
    size: int


class ElfRelocation(NamedTuple):
    """`section`: name of the section of relocations that it stands in, `target`: index of the one that it is for."""

    section: str
    target: int
    offset: int
    symbol: int
    type: int
    addend: int


class Elf(NamedTuple):
    """A whole file: machine and flags of its header, and what it lists."""

    machine: int | str
    flags: int
    sections: tuple[Section, ...]
    symbols: tuple[Symbol, ...]
    relocations: tuple[ElfRelocation, ...]


def read_elf(data: bytes, origin: str) -> Elf:
    """Raises GpusimError naming `origin` where the data is no ELF file, truncated or damaged."""
    try:
        from elftools.elf.elffile import ELFFile
    except ImportError as error:
        raise GpusimError(f"reading a cubin needs pyelftools; {toolchain.REMEDY}") from error
    if data[:4] != b"\x7fELF":
        raise GpusimError(f"{origin}: not an ELF file, so not a cubin; make one with NVRTC or nvcc -cubin")
    try:
        return _read(ELFFile(io.BytesIO(data)), len(data), origin)
    except GpusimError:
        raise
    except Exception as error:
        raise GpusimError(f"{origin}: truncated or damaged ELF file: {error or type(error).__name__}") from error


def _read(elf: Any, size: int, origin: str) -> Elf:
    end = elf["e_shoff"] + elf["e_shnum"] * elf["e_shentsize"]
    if end > size:
        raise GpusimError(f"{origin}: truncated: the section table ends at byte {end}, the file at {size}")
    sections: list[Section] = []
    symbols: list[Symbol] = []
    relocations: list[ElfRelocation] = []
    for each in elf.iter_sections():
        kind = each["sh_type"]
        section = Section(each.name, kind, each["sh_flags"], each["sh_offset"], each["sh_size"], each["sh_info"])
        sections.append(section)
        if kind in _ENTRY_BYTES:
            _check_table(section, each["sh_entsize"], size, origin)
        if kind == "SHT_SYMTAB" and section.name == ".symtab":
            symbols += _symbols(each)
        elif kind in ("SHT_REL", "SHT_RELA"):
            relocations += _relocations(each, section)
    return Elf(elf["e_machine"], elf["e_flags"], tuple(sections), tuple(symbols), tuple(relocations))


def _check_table(section: Section, entry_bytes: int, size: int, origin: str) -> None:
    """A table must lie in the file, or reading it entry by entry would take for ever."""
    if entry_bytes != _ENTRY_BYTES[str(section.type)] or section.offset + section.size > size:
        raise GpusimError(f"{origin}: truncated or damaged ELF file: table {section.name} ends behind the file")


def _symbols(table: Any) -> Iterator[Symbol]:
    for symbol in table.iter_symbols():
        info = symbol["st_info"]
        yield Symbol(symbol.name, info["type"], info["bind"], symbol["st_shndx"], symbol["st_value"], symbol["st_size"])


def _relocations(table: Any, section: Section) -> Iterator[ElfRelocation]:
    for entry in table.iter_relocations():
        addend = entry["r_addend"] if entry.is_RELA() else 0
        yield ElfRelocation(
            section.name, section.info, entry["r_offset"], entry["r_info_sym"], entry["r_info_type"], addend
        )
