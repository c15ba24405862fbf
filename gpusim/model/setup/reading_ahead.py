"""Pieces of streams are loaded on a thread of their own before they are asked for, while compiled code runs.

That changes when a piece is loaded and nothing else: an error of one that is damaged is raised where it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager

from gpusim.constants import WARP_SIZE
from gpusim.model.setup.loading import PieceLoader, Streams
from gpusim.model.unpacking import RECORDS_AT_MOST
from gpusim.sass.program import Program
from gpusim.trace.pieces import PIECE_ADDRESSES
from gpusim.trace.trace import MEMORY_RECORD_DTYPE, CutCta

AHEAD_BYTES = 1 << 26
"""Of pieces that are loaded and not asked for yet, at most."""
Piece = tuple[CutCta, int]
"""A piece by its number in a CTA."""


def most_bytes(cut: CutCta, number: int) -> int:
    """What a loaded piece takes at most."""
    instructions = int(cut.instructions[number])
    records = RECORDS_AT_MOST * instructions
    addresses = min(records * WARP_SIZE, PIECE_ADDRESSES + RECORDS_AT_MOST * WARP_SIZE)
    return 8 * instructions + MEMORY_RECORD_DTYPE.itemsize * records + 8 * addresses


class ReadAhead:
    """Loads pieces of one launch, within `running` ahead of time. To be called by one thread."""

    def __init__(self, program: Program) -> None:
        self._here, self._there = PieceLoader(program), PieceLoader(program)
        self._executor: Executor | None = None
        self._loading: dict[tuple[int, int], Future[Streams]] = {}  # by CTA and piece
        self._bytes = 0  # that they take at most

    @contextmanager
    def running(self) -> Iterator[None]:
        """The thread exists in here. Whatever ends the block, what it has not begun it does not load."""
        executor = self._executor = ThreadPoolExecutor(1, "gpusim-read-ahead")
        try:
            yield
        finally:
            self._executor = None
            executor.shutdown(cancel_futures=True)
            self._loading, self._bytes = {}, 0

    def expect(self, pieces: Iterable[Piece]) -> None:
        """Load these, if there is a thread for it: as many as there is room for, the first first."""
        if self._executor is None:
            return
        for cut, number in pieces:
            if (cut.cta, number) in self._loading:
                continue
            self._bytes += most_bytes(cut, number)
            if self._bytes > AHEAD_BYTES:
                self._bytes -= most_bytes(cut, number)
                return
            self._loading[cut.cta, number] = self._executor.submit(self._there.load, cut, number)

    def load(self, cut: CutCta, number: int) -> Streams:
        """A piece, whether it was expected or not. Raises as `PieceLoader.load`."""
        loading = self._loading.pop((cut.cta, number), None)
        if loading is None:
            return self._here.load(cut, number)
        self._bytes -= most_bytes(cut, number)
        return self._here.load(cut, number) if loading.cancel() else loading.result()
