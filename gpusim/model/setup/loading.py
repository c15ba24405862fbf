"""Chunks and pieces of a launch's streams as the pools of State hold them.

Compiled code reads a piece (`gpusim.model.unpacking`); what it does not take, and chunks, NumPy does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpusim.constants import EXPLICIT, INSTRUCTION_BYTES, WARP_SIZE
from gpusim.errors import GpusimError
from gpusim.model.state import MASK_SHIFT
from gpusim.model.unpacking import COLUMNS, RECORDS_AT_MOST, Workspace, share, unpack
from gpusim.sass.program import Program
from gpusim.trace.chunks import wild_access
from gpusim.trace.trace import MEMORY_RECORD_DTYPE, CtaChunk, CutCta


@dataclass(frozen=True)
class Streams:
    """Streams that follow each other.

    Attributes:
        words: (instructions,) as State.stream has them. records: (r,) MEMORY_RECORD_DTYPE; explicit ones name their
            first address in `addresses`. addresses: (a,) int64, lists that repeat once.
    """

    words: np.ndarray
    records: np.ndarray
    addresses: np.ndarray

    @property
    def bytes(self) -> int:
        return self.words.nbytes + self.records.nbytes + self.addresses.nbytes


def streams_of(program: Program, chunk: CtaChunk) -> Streams:
    """Those of a chunk. Raises GpusimError for an address that no GPU has."""
    _check_addresses(program, chunk)
    words = chunk.mask.astype(np.int64)
    words <<= MASK_SHIFT
    words |= chunk.index
    return Streams(words, *shared_addresses(chunk.records, chunk.addresses))


def shared_addresses(records: np.ndarray, addresses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same records where those with equal explicit addresses, as a loop has many, name the same ones."""
    explicit = np.flatnonzero(records["stride"] == EXPLICIT)
    starts = records["start"][explicit]
    lengths = np.diff(starts, append=len(addresses))
    if not len(explicit) or lengths.min() < 1 or lengths.max() > WARP_SIZE:
        return records, addresses
    shared = np.empty_like(addresses)
    used = share(starts, lengths, np.ascontiguousarray(addresses), shared, _table(len(explicit)))
    records = records.copy()
    records["start"][explicit] = starts
    return records, shared[:used]


def _table(lists: int) -> np.ndarray:
    """Room for the hash table of so many lists of addresses: the next power of two of twice as many."""
    return np.empty(4 * lists, np.int64)


def _check_addresses(program: Program, chunk: CtaChunk) -> None:
    """The caches number lines by address, so an impossible one must not reach them. Raises GpusimError."""
    if found := wild_access(program, chunk):
        index, address = found
        raise GpusimError(
            f"kernel {program.name}, pc {INSTRUCTION_BYTES * index:#06x} ({program.text[index]}): "
            f"address {address & (1 << 64) - 1:#x} is outside the 49 bits that a GPU addresses"
        )


class PieceLoader:
    """Loads pieces of one launch. Not for two threads at once."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._room = (0, 0)  # instructions and bytes of a piece that the workspace is for

    def load(self, cut: CutCta, number: int) -> Streams:
        """The stream of a piece of a long CTA.

        Raises GpusimError where it is damaged, or has an address that no GPU has.
        """
        content, instructions = np.frombuffer(cut.packed(number), np.uint8), int(cut.instructions[number])
        if not self._unpacked(content, instructions):
            return streams_of(self._program, cut.read(number))
        work = self._work
        records, addresses = work.sizes.tolist()
        return Streams(
            work.words[:instructions].copy(),
            work.records[:records].copy().view(MEMORY_RECORD_DTYPE).reshape(-1),
            work.addresses[:addresses].copy(),
        )

    def _unpacked(self, content: np.ndarray, instructions: int) -> bool:
        """Whether a piece is plain; it lies in the workspace then."""
        if 2 * instructions > len(content):  # an index and a mask take a byte each
            return False
        if instructions > self._room[0] or len(content) > self._room[1]:
            self._make_room(instructions, len(content))
        return bool(unpack(content, self._work, self._program.address_counts, instructions))

    def _make_room(self, instructions: int, content_bytes: int) -> None:
        """Make a workspace. A column has as many elements as a piece has bytes at most."""
        self._room = max(self._room[0], instructions), max(self._room[1], content_bytes)
        records = RECORDS_AT_MOST * self._room[0]
        words, starts, strides = (np.empty(length, np.int64) for length in (self._room[0], records, records))
        self._work = Workspace(
            words=words,
            records=np.empty((records, 2), np.int64),
            addresses=np.empty(self._room[1], np.int64),
            sizes=np.empty(2, np.int64),
            columns=np.empty((COLUMNS, 4), np.int64),
            column=np.empty(max(records, self._room[1]), np.int64),
            slots=np.empty(RECORDS_AT_MOST * len(self._program), np.int64),
            starts=starts,
            strides=strides,
            table=_table(max(records, 1)),
        )
