"""The pools that hold the streams of CTAs being simulated.

A chunk is loaded when dispatch reaches it and dropped when its CTAs are done, so memory is
bounded by the chunks that still have a CTA running, not by the trace.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpusim.constants import EXPLICIT, INSTRUCTION_BYTES
from gpusim.errors import GpusimError
from gpusim.model.state import MASK_SHIFT, State
from gpusim.trace.chunks import wild_access
from gpusim.trace.trace import MEMORY_RECORD_DTYPE, CtaChunk, Launch

RESERVED = 1 << 24
"""Elements that a pool is given at once at most."""


@dataclass
class Region:
    """Where a loaded chunk lies in the pools: (start, length) per pool."""

    first_cta: int
    last_cta: int
    instructions: tuple[int, int]
    records: tuple[int, int]
    addresses: tuple[int, int]


def first_gap(taken: list[tuple[int, int]], length: int, capacity: int) -> int | None:
    """Lowest start of `length` free elements between the taken (start, length) pieces, None if there is none."""
    start = 0
    for begin, size in sorted(taken):
        if begin - start >= length:
            return start
        start = max(start, begin + size)
    return start if capacity - start >= length else None


def grown(pool: Any, capacity: int) -> Any:
    """The pool with at least `capacity` elements; positions keep their meaning."""
    larger = np.zeros(max(capacity, len(pool) * 3 // 2), pool.dtype)
    larger[: len(pool)] = pool
    return larger.view(np.recarray) if isinstance(pool, np.recarray) else larger


def pack(target: np.ndarray, chunk: CtaChunk) -> None:
    """Write a chunk's streams into `target` as State.stream holds them: a step of a warp touches one word."""
    target[:] = chunk.mask
    target <<= MASK_SHIFT
    target |= chunk.index


class StreamPools:
    """Loads a launch's chunks, in CTA order, into a State's pools."""

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self.next_chunk = 0
        self.regions: list[Region] = []

    def _place(self, name: str, length: int, pool: Any) -> tuple[int, Any]:
        taken = [getattr(region, name) for region in self.regions]
        start = first_gap(taken, length, len(pool))
        if start is None:
            start = max((begin + size for begin, size in taken), default=0)
            pool = grown(pool, max(start + length, self._expected(length)))
        return start, pool

    def _expected(self, length: int) -> int:
        """Elements that the whole launch needs if all its chunks are like the one just read, within a limit.

        Untouched zeros cost no memory, so reserving too much is cheaper than copying a pool each time it grows.
        """
        instructions = np.asarray(self.launch.source.instruction_counts)
        share = instructions[self.next_chunk - 1] / instructions.sum()
        return min(int(length / share), RESERVED)

    def load_next(self, state: State) -> State:
        """Drop finished chunks, load the next one, and make its CTAs the ones that dispatch takes."""
        self._drop_finished(state)
        chunk: CtaChunk = self.launch.source.read(self.next_chunk)
        self._check_addresses(chunk)
        self.next_chunk += 1
        at, stream = self._place("instructions", len(chunk.index), state.stream)
        record_at, record_pool = self._place("records", len(chunk.records), state.records)
        address_at, addresses = self._place("addresses", len(chunk.addresses), state.addresses)
        pack(stream[at : at + len(chunk.index)], chunk)
        moved = np.array(chunk.records, dtype=MEMORY_RECORD_DTYPE)
        moved["start"] += np.where(moved["stride"] == EXPLICIT, address_at, 0)
        record_pool[record_at : record_at + len(moved)] = moved
        addresses[address_at : address_at + len(chunk.addresses)] = chunk.addresses
        last = chunk.first_cta + chunk.cta_count - 1
        self.regions.append(
            Region(
                chunk.first_cta,
                last,
                (at, len(chunk.index)),
                (record_at, len(moved)),
                (address_at, len(chunk.addresses)),
            )
        )
        starts = np.stack(
            [chunk.instruction_start[:-1] + at, chunk.instruction_start[1:] + at, chunk.record_start[:-1] + record_at],
            axis=1,
        )
        gpu = state.gpu[0]
        gpu.chunk_first, gpu.chunk_count, gpu.chunk_table = chunk.first_cta, chunk.cta_count, 0
        return state._replace(
            stream=stream,
            records=record_pool,
            addresses=addresses,
            warp_starts=np.ascontiguousarray(starts, dtype=np.int64),
        )

    def _check_addresses(self, chunk: CtaChunk) -> None:
        """The caches number lines by address, so an impossible one must not reach them. Raises GpusimError."""
        if found := wild_access(self.launch.program, chunk):
            index, address = found
            program = self.launch.program
            raise GpusimError(
                f"kernel {program.name}, pc {INSTRUCTION_BYTES * index:#06x} ({program.text[index]}): "
                f"address {address & (1 << 64) - 1:#x} is outside the 49 bits that a GPU addresses"
            )

    def _drop_finished(self, state: State) -> None:
        """Forget chunks none of whose CTAs is running."""
        running = state.warps.cta_id[state.warps.active == 1]
        self.regions = [r for r in self.regions if np.any((running >= r.first_cta) & (running <= r.last_cta))]
