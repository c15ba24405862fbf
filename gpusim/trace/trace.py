"""Trace: what every warp of every launch executed, and where it reached in memory. No cycle is known here.

A Trace is a list of Launches. A Launch owns a Program and delivers its warps' streams in chunks of
consecutive CTAs, and long CTAs in pieces, so that a trace larger than memory still runs. The emulator produces chunks,
the store writes and reads them, the timing model consumes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from gpusim.constants import EXPLICIT, WARP_SIZE
from gpusim.display import counted, dimensions, html_facts, html_table
from gpusim.sass.program import Program

MEMORY_RECORD_DTYPE = np.dtype(
    [
        ("start", "i8"),  # stride form: byte address of lane l is start + stride * l (lane 0 may be inactive);
        #                  explicit form: index of the first active lane's address in CtaChunk.addresses
        ("stride", "i8"),  # bytes between lanes, or EXPLICIT
    ]
)
"""Addresses of one executed memory instruction. Shared and local addresses are offsets in their window, but generic
instructions (LD, ST, ATOM) have the addresses of the windows in gpusim.constants."""


@dataclass(frozen=True)
class CtaChunk:
    """Streams of CTAs first_cta .. first_cta + cta_count - 1, warps of a CTA in order.

    Attributes:
        instruction_start: (warps + 1,) int64 offsets into `index` and `mask`.
        index: (instructions,) uint16 or uint32: row in Program.instructions.
        mask: (instructions,) uint32: lanes that executed, i.e. active and guard true; 0 when predicated off.
        record_start: (warps + 1,) int64 offsets into `records`.
        records: (r,) MEMORY_RECORD_DTYPE: Program.address_counts rows per executed memory instruction, in order
            (also for those with mask 0, then base and stride 0).
        addresses: (a,) int64: explicit addresses, popcount(mask) per explicit record, in lane order.
        goes_on: this is a part of one CTA whose streams go on in the next part.
    """

    first_cta: int
    cta_count: int
    instruction_start: np.ndarray
    index: np.ndarray
    mask: np.ndarray
    record_start: np.ndarray
    records: np.ndarray
    addresses: np.ndarray
    goes_on: bool = False

    @property
    def warp_instructions(self) -> int:
        return len(self.index)

    @property
    def bytes(self) -> int:
        """Memory that its arrays take."""
        arrays = (self.instruction_start, self.index, self.mask, self.record_start, self.records, self.addresses)
        return sum(array.nbytes for array in arrays)


@dataclass(frozen=True)
class CutCta:
    """A CTA that is too long to be taken at once: its warps' streams in pieces, each read by itself.

    Attributes:
        cta: its number. warps: how many it has.
        warp: (pieces,) int64: whose stream a piece belongs to, ascending; pieces of a warp follow each other.
        instructions: (pieces,) int64.
        packed: gives a piece by its number as it is stored (gpusim.trace.pieces).
        read: gives it as a CtaChunk with one stream.
    """

    cta: int
    warps: int
    warp: np.ndarray
    instructions: np.ndarray
    packed: Callable[[int], bytes]
    read: Callable[[int], CtaChunk]

    @property
    def warp_instructions(self) -> int:
        return int(self.instructions.sum())

    @property
    def cta_count(self) -> int:
        return 1

    def part(self, number: int) -> CtaChunk:
        """A piece as a part of its CTA: the streams of the other warps are empty."""
        piece, behind = self.read(number), np.arange(self.warps + 1) > self.warp[number]
        starts, records = (np.where(behind, ends[-1], 0) for ends in (piece.instruction_start, piece.record_start))
        goes_on = number + 1 < len(self.warp)
        return replace(piece, instruction_start=starts, record_start=records, goes_on=goes_on)

    def whole(self) -> CtaChunk:
        """All pieces as one chunk, which may be large."""
        pieces = [self.read(number) for number in range(len(self.warp))]
        starts = np.zeros((2, self.warps + 1), np.int64)
        np.add.at(starts[0], self.warp + 1, self.instructions)
        np.add.at(starts[1], self.warp + 1, [len(piece.records) for piece in pieces])
        records = [moved(piece.records, at) for piece, at in zip(pieces, _before(piece.addresses for piece in pieces))]
        return CtaChunk(
            first_cta=self.cta,
            cta_count=1,
            instruction_start=np.cumsum(starts[0]),
            index=np.concatenate([piece.index for piece in pieces]),
            mask=np.concatenate([piece.mask for piece in pieces]),
            record_start=np.cumsum(starts[1]),
            records=np.concatenate(records),
            addresses=np.concatenate([piece.addresses for piece in pieces]),
        )


def moved(records: np.ndarray, by: int) -> np.ndarray:
    """Memory records whose explicit addresses lie `by` further on."""
    records = np.array(records, dtype=MEMORY_RECORD_DTYPE)
    records["start"] += np.where(records["stride"] == EXPLICIT, by, 0)
    return records


def _before(arrays: Iterable[np.ndarray]) -> Iterator[int]:
    """Elements before each of arrays that follow each other."""
    total = 0
    for array in arrays:
        yield total
        total += len(array)


class ChunkSource(Protocol):
    """Where a Launch's chunks come from: memory or the store. Each call may decompress; callers keep what they need."""

    @property
    def cta_counts(self) -> np.ndarray:
        """(chunks,) int64: CTAs in each chunk, in CTA order."""

    @property
    def instruction_counts(self) -> np.ndarray:
        """(chunks,) int64: warp instructions in each chunk."""

    def read(self, chunk: int) -> CtaChunk: ...

    def cut(self, chunk: int) -> CutCta | None:
        """The chunk in pieces where it is one long CTA, None where it is to be read at once."""


@dataclass(frozen=True)
class ChunkList:
    """A ChunkSource over chunks and long CTAs held in memory."""

    chunks: tuple[CtaChunk | CutCta, ...]

    @property
    def cta_counts(self) -> np.ndarray:
        return np.array([c.cta_count for c in self.chunks], dtype=np.int64)

    @property
    def instruction_counts(self) -> np.ndarray:
        return np.array([c.warp_instructions for c in self.chunks], dtype=np.int64)

    def read(self, chunk: int) -> CtaChunk:
        found = self.chunks[chunk]
        return found.whole() if isinstance(found, CutCta) else found

    def cut(self, chunk: int) -> CutCta | None:
        found = self.chunks[chunk]
        return found if isinstance(found, CutCta) else None


@dataclass(frozen=True)
class Launch:
    """One kernel launch. grid and block are (x, y, z); CTA ids are linear, x fastest."""

    program: Program
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    shared_bytes: int  # static + dynamic shared memory per CTA
    source: ChunkSource
    provenance: Mapping[str, str] = field(default_factory=dict)

    @property
    def cta_count(self) -> int:
        return self.grid[0] * self.grid[1] * self.grid[2]

    @property
    def threads_per_cta(self) -> int:
        return self.block[0] * self.block[1] * self.block[2]

    @property
    def warps_per_cta(self) -> int:
        return -(-self.threads_per_cta // WARP_SIZE)

    @property
    def warp_instructions(self) -> int:
        return int(self.source.instruction_counts.sum())

    def __repr__(self) -> str:
        sizes = f"grid {dimensions(self.grid)}, block {dimensions(self.block)}"
        return f"<Launch {self.program.name}: {sizes}, {counted(self.warp_instructions, 'warp instruction')}>"

    def _repr_html_(self) -> str:
        facts = {
            "kernel": self.program.name,
            "grid": dimensions(self.grid),
            "block": dimensions(self.block),
            "registers per thread": self.program.registers,
            "shared bytes per CTA": self.shared_bytes,
            "warp instructions": self.warp_instructions,
            **self.provenance,
        }
        return html_facts(repr(self), facts)

    def chunks(self) -> Iterator[CtaChunk]:
        """All chunks in CTA order. A long CTA comes whole: `parts` takes little memory, whatever its length."""
        for chunk in range(len(self.source.cta_counts)):
            yield self.source.read(chunk)

    def parts(self) -> Iterator[CtaChunk]:
        """All chunks in CTA order, long CTAs warp by warp in parts that say `goes_on`."""
        for chunk in range(len(self.source.cta_counts)):
            cut = self.source.cut(chunk)
            if cut is None:
                yield self.source.read(chunk)
            else:
                yield from (cut.part(number) for number in range(len(cut.warp)))


@dataclass(frozen=True)
class Trace:
    """Launches in order, with where they came from (source and hash, compiler version, arguments, gpusim version)."""

    launches: tuple[Launch, ...]
    provenance: Mapping[str, str] = field(default_factory=dict)

    @property
    def warp_instructions(self) -> int:
        """Of all launches."""
        return sum(launch.warp_instructions for launch in self.launches)

    def __repr__(self) -> str:
        sizes = f"{counted(len(self.launches), 'launch')}, {counted(self.warp_instructions, 'warp instruction')}"
        return f"<Trace {self.provenance.get('source', 'of no file')}: {sizes}>"

    def _repr_html_(self) -> str:
        headings = ("launch", "kernel", "grid", "block", "registers", "shared bytes", "warp instructions")
        rows = (
            (
                number,
                launch.program.name,
                dimensions(launch.grid),
                dimensions(launch.block),
                launch.program.registers,
                launch.shared_bytes,
                launch.warp_instructions,
            )
            for number, launch in enumerate(self.launches)
        )
        return html_table(repr(self), headings, rows)
