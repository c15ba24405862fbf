"""The streams of launches that are simulated but not kept: in memory while they are few, the rest in a temporary file.

The file has no name and is gone with the last trace that reads it, however the process ends. TMPDIR says where it is.
"""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gpusim.constants import WARP_SIZE
from gpusim.sass.program import Program
from gpusim.trace.blocks import BlockWriter
from gpusim.trace.store import LaunchSink, StoredChunks, writing
from gpusim.trace.trace import ChunkList, ChunkSource, CtaChunk, CutCta, Launch

HELD_BYTES = 1 << 25
"""Of the streams of all launches that stay in memory."""
SPOOL_LEVEL = 1
"""zstd level: the file is read once or twice."""


@dataclass(frozen=True)
class SpooledChunks:
    """A ChunkSource of chunks that are held and of others, in `places` numbers, that `stored` reads."""

    places: tuple[CtaChunk | int, ...]
    stored: StoredChunks

    @property
    def cta_counts(self) -> np.ndarray:
        counts = self.stored.cta_counts
        return np.array([counts[p] if isinstance(p, int) else p.cta_count for p in self.places], np.int64)

    @property
    def instruction_counts(self) -> np.ndarray:
        counts = self.stored.instruction_counts
        return np.array([counts[p] if isinstance(p, int) else p.warp_instructions for p in self.places], np.int64)

    def read(self, chunk: int) -> CtaChunk:
        place = self.places[chunk]
        return self.stored.read(place) if isinstance(place, int) else place

    def cut(self, chunk: int) -> CutCta | None:
        place = self.places[chunk]
        return self.stored.cut(place) if isinstance(place, int) else None


class _Sink:
    """Takes one launch's chunks: while there is room they stay in memory."""

    def __init__(self, spool: Spool, sink: LaunchSink) -> None:
        self._spool, self._sink = spool, sink
        self.places: list[CtaChunk | int] = []

    def add(self, chunk: CtaChunk) -> None:
        """Raises GpusimError where the temporary file cannot be written."""
        whole = not chunk.goes_on and not self._sink.in_parts
        if whole and self._spool.held + chunk.bytes <= HELD_BYTES:
            self._spool.held += chunk.bytes
            self.places.append(chunk)
            self._sink.next_cta += chunk.cta_count
            return
        before = len(self._sink.entries)
        self._sink.add(chunk)
        self.places += range(before, len(self._sink.entries))


class Spool:
    """Collects launches; `launches` are complete as soon as their `with` block has ended."""

    def __init__(self) -> None:
        self.launches: list[Launch] = []
        self.held = 0
        self._file = tempfile.TemporaryFile(prefix="gpusim-")  # noqa: SIM115 - open as long as a trace reads it
        self._writer = BlockWriter(self._file, SPOOL_LEVEL)
        self._path = Path(tempfile.gettempdir()) / "the streams of this run"

    @contextmanager
    def launch(
        self,
        program: Program,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        shared_bytes: int,
        provenance: Mapping[str, str],
    ) -> Iterator[_Sink]:
        """One launch: `with spool.launch(...) as sink: sink.add(chunk)`."""
        warps = -(-block[0] * block[1] * block[2] // WARP_SIZE)
        stored = LaunchSink(self._writer, program, warps, self._path)
        sink = _Sink(self, stored)
        yield sink
        held = tuple(place for place in sink.places if isinstance(place, CtaChunk))
        source: ChunkSource = ChunkList(held)
        if stored.entries:
            chunks = StoredChunks(self._path, program, warps, tuple(stored.entries), self._map)
            source = SpooledChunks(tuple(sink.places), chunks)
        self.launches.append(Launch(program, grid, block, shared_bytes, source, provenance))

    def _map(self) -> memoryview:
        with writing(self._path):
            self._file.flush()
        return memoryview(mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ))
