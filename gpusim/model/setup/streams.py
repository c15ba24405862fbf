"""The pools that hold the streams of CTAs being simulated.

A chunk is loaded when dispatch reaches it and dropped when its CTAs are done, so memory is bounded by the chunks that
still have a CTA running, not by the trace. Of a CTA that comes in pieces every warp has a place of its own, which holds
the few pieces around where the warp is: `supply` moves what is left of them to a new place, with the next behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gpusim.constants import EXPLICIT, INSTRUCTION_BYTES, WARP_SIZE
from gpusim.errors import GpusimError
from gpusim.model.gpu import WINDOWS_LOADED
from gpusim.model.state import MASK_SHIFT, State
from gpusim.trace.chunks import wild_access
from gpusim.trace.trace import CtaChunk, CutCta, Launch, moved

RESERVED = 1 << 24
"""Elements that a pool is given at once at most."""
AHEAD = 1 << 10
"""Instructions of a warp below which its next piece is loaded when any warp's is."""
WEIGHTS = np.random.default_rng(1).integers(1, 1 << 62, WARP_SIZE) | 1
"""Of the lanes in a sum that tells lists of addresses apart."""
POOLS = ("stream", "records", "addresses")
"""Fields of State."""


@dataclass
class Place:
    """Where streams lie in the pools: (start, length) per pool."""

    stream: tuple[int, int]
    records: tuple[int, int]
    addresses: tuple[int, int]


@dataclass
class Allocator:
    """Gives out places in one pool: sizes are rounded up, and a place that was given back serves the next of its size.

    `end` is the first element that was never given out.
    """

    end: int = 0
    free: dict[int, list[int]] = field(default_factory=dict)

    def take(self, length: int) -> int:
        size = rounded(length)
        if places := self.free.get(size):
            return places.pop()
        self.end += size
        return self.end - size

    def give_back(self, place: tuple[int, int]) -> None:
        start, length = place
        self.free.setdefault(rounded(length), []).append(start)


def rounded(length: int) -> int:
    """The next size of a place: four to the octave, so that at most a fifth is wasted."""
    step = 1 << max(max(length, 1).bit_length() - 3, 4)
    return -(-max(length, 1) // step) * step


def grown(pool: Any, used: int, capacity: int) -> Any:
    """The pool with at least `capacity` elements and what it has in the first `used`; positions keep their meaning."""
    larger = np.zeros(max(capacity, 2 * used), pool.dtype)
    larger[:used] = pool[:used]
    return larger.view(np.recarray) if isinstance(pool, np.recarray) else larger


def pack(target: np.ndarray, chunk: CtaChunk) -> None:
    """Write a chunk's streams into `target` as State.stream holds them: a step of a warp touches one word."""
    target[:] = chunk.mask
    target <<= MASK_SHIFT
    target |= chunk.index


def shared_addresses(records: np.ndarray, addresses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same records where those with equal explicit addresses, as a loop has many, name the same ones.

    The addresses that are given follow each other in the order of the records.
    """
    explicit = np.flatnonzero(records["stride"] == EXPLICIT)
    if not len(explicit):
        return records, addresses
    starts = records["start"][explicit]
    lengths = np.diff(starts, append=len(addresses))
    lane = np.arange(len(addresses)) - np.repeat(starts, lengths)
    sums = np.add.reduceat(addresses * WEIGHTS[lane], starts)
    _, first, same = np.unique(sums, return_index=True, return_inverse=True)
    if len(first) > len(explicit) // 2 or np.any(lengths[first][same] != lengths):
        return records, addresses
    if np.any(addresses[np.repeat(starts[first][same], lengths) + lane] != addresses):  # two have the same sum
        return records, addresses
    before = np.cumsum(lengths[first]) - lengths[first]
    kept = addresses[spans(starts[first], lengths[first])]
    records = np.array(records)
    records["start"][explicit] = before[same]
    return records, kept


def spans(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """All positions start .. start + length - 1, one span after the other."""
    return np.arange(lengths.sum()) + np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)


@dataclass
class CutStreams:
    """A CTA in pieces that is loaded: each warp's next piece, the one behind its last, and its place."""

    cut: CutCta
    next_piece: list[int]
    end_piece: list[int]
    places: list[Place]


class StreamPools:
    """Loads a launch's chunks, in CTA order, into a State's pools. window: cycles, as the model is run with."""

    def __init__(self, launch: Launch, window: int) -> None:
        self.launch = launch
        self.next_chunk = 0
        self.ahead = max(AHEAD, 2 * WINDOWS_LOADED * window)
        self.allocators = {name: Allocator() for name in POOLS}
        self.chunks: list[tuple[int, int, Place]] = []  # first and last CTA
        self.cut: dict[int, CutStreams] = {}  # by CTA
        self.retired: list[Place] = []  # whose memory records an instruction in flight may still need

    def load_next(self, state: State) -> State:
        """Drop finished chunks, load the next one, and make its CTAs the ones that dispatch takes."""
        self._drop_finished(state, None)
        number = self.next_chunk
        self.next_chunk += 1
        cut = self.launch.source.cut(number)
        if cut is not None:
            return self._load_cut(state, cut)
        chunk: CtaChunk = self.launch.source.read(number)
        state, place = self._write(state, [chunk])
        self.chunks.append((chunk.first_cta, chunk.first_cta + chunk.cta_count - 1, place))
        at, records = place.stream[0], place.records[0]
        starts, ends = chunk.instruction_start[:-1] + at, chunk.instruction_start[1:] + at
        columns = [starts, ends, chunk.record_start[:-1] + records, np.zeros(len(starts))]
        return self._dispatch(state, chunk.first_cta, chunk.cta_count, np.stack(columns, axis=1))

    def supply(self, state: State) -> State:
        """Load the next pieces of every warp that comes near the end of what is loaded of its stream."""
        gpu = state.gpu[0]
        self._drop_finished(state, int(gpu.chunk_first) if gpu.next_cta < gpu.chunk_first + gpu.chunk_count else None)
        warps = state.warps
        left = warps.end - warps.position
        for w in np.flatnonzero((warps.active == 1) & (warps.more == 1) & (left <= self.ahead)):
            state = self._append(state, warps[w])
        gpu.stream_check = 0
        return state

    def _dispatch(self, state: State, first_cta: int, ctas: int, starts: np.ndarray) -> State:
        gpu = state.gpu[0]
        gpu.chunk_first, gpu.chunk_count, gpu.chunk_table = first_cta, ctas, 0
        return state._replace(warp_starts=np.ascontiguousarray(starts, dtype=np.int64))

    def _load_cut(self, state: State, cut: CutCta) -> State:
        """The first pieces of all warps."""
        warps = np.arange(self.launch.warps_per_cta)
        firsts, ends = (np.searchsorted(cut.warp, warps, side).tolist() for side in ("left", "right"))
        streams = CutStreams(cut, firsts, ends, [])
        starts = np.zeros((len(warps), 4), np.int64)
        for warp in warps.tolist():
            state, place = self._write(state, self._next_pieces(streams, warp, 0))
            streams.places.append(place)
            starts[warp] = *self._ends(place), place.records[0], self._more(streams, warp)
        self.cut[cut.cta] = streams
        return self._dispatch(state, cut.cta, 1, starts)

    def _append(self, state: State, warp: Any) -> State:
        """Move what a warp has left to a new place, with its next pieces behind it."""
        number, streams = int(warp.warp_in_cta), self.cut[int(warp.cta_id)]
        old = streams.places[number]
        rest = self._rest(state, warp, old)
        state, place = self._write(state, [rest, *self._next_pieces(streams, number, len(rest.index))])
        self.retired.append(old)
        streams.places[number] = place
        warp.position, warp.end = self._ends(place)
        warp.begin, warp.record, warp.more = warp.position, place.records[0], self._more(streams, number)
        return state

    def _rest(self, state: State, warp: Any, place: Place) -> CtaChunk:
        """What a warp has not issued of its place."""
        words = state.stream[warp.position : warp.end]
        mask, index = (words >> MASK_SHIFT).astype(np.uint32), words.astype(np.uint32)
        records = np.array(state.records[warp.record : sum(place.records)])
        explicit = records["stride"] == EXPLICIT
        masks = np.repeat(mask, self.launch.program.address_counts[index])
        lengths = np.bitwise_count(masks[explicit]).astype(np.int64)
        addresses = state.addresses[spans(records["start"][explicit], lengths)]
        records["start"][explicit] = np.cumsum(lengths) - lengths
        starts = [np.array([0, len(array)]) for array in (words, records)]
        return CtaChunk(int(warp.cta_id), 1, starts[0], index, mask, starts[1], records, addresses)

    def _next_pieces(self, streams: CutStreams, warp: int, have: int) -> list[CtaChunk]:
        """Pieces of a warp that has so many instructions, until it has enough or its stream ends."""
        pieces: list[CtaChunk] = []
        while have <= self.ahead and self._more(streams, warp):
            pieces.append(streams.cut.read(streams.next_piece[warp]))
            streams.next_piece[warp] += 1
            have += pieces[-1].warp_instructions
        return pieces

    def _more(self, streams: CutStreams, warp: int) -> bool:
        return streams.next_piece[warp] < streams.end_piece[warp]

    def _ends(self, place: Place) -> tuple[int, int]:
        return place.stream[0], sum(place.stream)

    # ---- places

    def _write(self, state: State, parts: list[CtaChunk]) -> tuple[State, Place]:
        """Put parts of streams that follow each other into the pools."""
        for part in parts:
            self._check_addresses(part)
        reached = [shared_addresses(part.records, part.addresses) for part in parts]
        lengths = (
            sum(len(part.index) for part in parts),
            sum(len(records) for records, _ in reached),
            sum(len(addresses) for _, addresses in reached),
        )
        used = {name: allocator.end for name, allocator in self.allocators.items()}
        place = Place(*((self.allocators[name].take(length), length) for name, length in zip(POOLS, lengths)))
        state = self._with_room(state, place, used)
        at, record_at, address_at = place.stream[0], place.records[0], place.addresses[0]
        for part, (records, addresses) in zip(parts, reached):
            end, record_end = at + len(part.index), record_at + len(records)
            pack(state.stream[at:end], part)
            state.records[record_at:record_end] = moved(records, address_at)
            state.addresses[address_at : address_at + len(addresses)] = addresses
            at, record_at, address_at = end, record_end, address_at + len(addresses)
        return state, place

    def _with_room(self, state: State, place: Place, used: Mapping[str, int]) -> State:
        """The state with pools that reach to the end of what has been given out; before, that was `used`."""
        pools = {}
        for name in POOLS:
            needed, pool = self.allocators[name].end, getattr(state, name)
            if needed > len(pool):
                length, instructions = getattr(place, name)[1], max(place.stream[1], 1)
                pools[name] = grown(pool, used[name], max(needed, self._expected(length / instructions)))
        return state._replace(**pools) if pools else state

    def _expected(self, share: float) -> int:
        """Elements that the whole launch needs if it has as many per instruction everywhere, within a limit.

        Untouched zeros cost no memory, so reserving too much is cheaper than copying a pool each time it grows.
        """
        return min(int(share * self.launch.source.instruction_counts.sum()), RESERVED)

    def _check_addresses(self, chunk: CtaChunk) -> None:
        """The caches number lines by address, so an impossible one must not reach them. Raises GpusimError."""
        if found := wild_access(self.launch.program, chunk):
            index, address = found
            program = self.launch.program
            raise GpusimError(
                f"kernel {program.name}, pc {INSTRUCTION_BYTES * index:#06x} ({program.text[index]}): "
                f"address {address & (1 << 64) - 1:#x} is outside the 49 bits that a GPU addresses"
            )

    def _drop_finished(self, state: State, begins: int | None) -> None:
        """Give back the places of CTAs that have run, and places that warps have left and no access needs any more.

        begins: first CTA of the chunk that dispatch has not come to the end of, None if there is none.
        """
        running = np.unique(state.warps.cta_id[state.warps.active == 1])
        kept = []
        for first, last, place in self.chunks:
            at = np.searchsorted(running, first)
            if first == begins or (at < len(running) and running[at] <= last):
                kept.append((first, last, place))
            else:
                self._give_back(place)
        self.chunks = kept
        for cta in [cta for cta in self.cut if cta != begins and cta not in running]:
            for place in self.cut.pop(cta).places:
                self._give_back(place)
        self._drop_retired(state)

    def _drop_retired(self, state: State) -> None:
        cores = state.sub_cores
        needed = np.concatenate((state.accesses.record, cores.control_record[cores.control_valid == 1]))
        needed.sort()
        edges = np.array([(place.records[0], sum(place.records)) for place in self.retired]).reshape(-1, 2)
        first, last = np.searchsorted(needed, edges).T
        for place, free in zip(self.retired, first == last):
            if free:
                self._give_back(place)
        self.retired = [place for place, free in zip(self.retired, first == last) if not free]

    def _give_back(self, place: Place) -> None:
        for name in POOLS:
            self.allocators[name].give_back(getattr(place, name))
