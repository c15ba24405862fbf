"""The pools that hold the streams of CTAs being simulated.

A chunk is loaded when dispatch reaches it and dropped when its CTAs are done, so memory is bounded by the chunks that
still have a CTA running, not by the trace. Of a CTA that comes in pieces every warp has a place of its own, which holds
the few pieces around where the warp is: `supply` moves what is left of them to a new place, with the next behind it.
Addresses stay where they are, in a block per piece, for as long as a place has records that name them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from gpusim.model.gpu import WINDOWS_LOADED
from gpusim.model.setup.loading import Streams, streams_of
from gpusim.model.setup.reading_ahead import Piece, ReadAhead
from gpusim.model.state import State
from gpusim.trace.trace import CutCta, Launch, moved

RESERVED = 1 << 24
"""Elements that a pool is given at once at most."""
AHEAD = 1 << 10
"""Instructions of a warp below which its next piece is loaded when any warp's is."""
POOLS = ("stream", "records", "addresses")
"""Fields of State."""


@dataclass
class Block:
    """Addresses in their pool. `holders`: places with records that name them."""

    start: int
    length: int
    holders: int = 0


class Place(NamedTuple):
    """Where streams lie in the pools: (start, length) of words and of records, and blocks of addresses, each with the
    end of the records that name them."""

    stream: tuple[int, int]
    records: tuple[int, int]
    blocks: tuple[tuple[int, Block], ...]

    @property
    def ends(self) -> tuple[int, int]:
        """Of its words."""
        return self.stream[0], sum(self.stream)

    def rest(self, position: int, record: int) -> Place:
        """What is behind a word and a record."""
        end, record_end = sum(self.stream), sum(self.records)
        blocks = tuple((end, block) for end, block in self.blocks if end > record)
        return Place((position, end - position), (record, record_end - record), blocks)


NOWHERE = Place((0, 0), (0, 0), ())


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
        self.reader = ReadAhead(launch.program)

    def load_next(self, state: State) -> State:
        """Drop finished chunks, load the next one, and make its CTAs the ones that dispatch takes."""
        self._drop_finished(state, None)
        number = self.next_chunk
        self.next_chunk += 1
        cut = self.launch.source.cut(number)
        if cut is not None:
            return self._load_cut(state, cut)
        chunk = self.launch.source.read(number)
        state, place = self._write(state, NOWHERE, [streams_of(self.launch.program, chunk)])
        self.chunks.append((chunk.first_cta, chunk.first_cta + chunk.cta_count - 1, place))
        at, records = place.stream[0], place.records[0]
        starts, ends = chunk.instruction_start[:-1] + at, chunk.instruction_start[1:] + at
        columns = [starts, ends, chunk.record_start[:-1] + records, np.zeros(len(starts))]
        return self._dispatch(state, chunk.first_cta, chunk.cta_count, np.stack(columns, axis=1))

    def supply(self, state: State) -> State:
        """Load the next pieces of every warp that comes near the end of what is loaded of its stream."""
        gpu = state.gpu[0]
        self._drop_finished(state, int(gpu.chunk_first) if gpu.next_cta < gpu.chunk_first + gpu.chunk_count else None)
        warps = np.asarray(state.warps)
        left = warps["end"] - warps["position"]
        needed = _needed_records(state)
        for w in np.flatnonzero((warps["active"] == 1) & (warps["more"] == 1) & (left <= self.ahead)):
            state, old = self._append(state, warps[w : w + 1])
            self.retired += self._drop(needed, [old])  # at once, so that the next warp takes this one's place
        gpu.stream_check = 0
        return state

    def look_ahead(self, state: State) -> None:
        """Let the next pieces of warps be loaded while compiled code runs; those that have least left come first."""
        if self.cut:
            self.reader.expect(self._next_of(np.asarray(state.warps)))

    def _next_of(self, warps: np.ndarray) -> Iterator[Piece]:
        """The pieces that resident warps need next, in about that order."""
        going_on = np.flatnonzero((warps["active"] == 1) & (warps["more"] == 1))
        left = warps["end"][going_on] - warps["position"][going_on]
        for row in going_on[np.argsort(left, kind="stable")].tolist():
            streams = self.cut[int(warps["cta_id"][row])]
            yield streams.cut, streams.next_piece[int(warps["warp_in_cta"][row])]

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
            state, place = self._write(state, NOWHERE, self._next_pieces(streams, warp, 0))
            streams.places.append(place)
            starts[warp] = *place.ends, place.records[0], self._more(streams, warp)
        self.cut[cut.cta] = streams
        return self._dispatch(state, cut.cta, 1, starts)

    def _append(self, state: State, warp: np.ndarray) -> tuple[State, Place]:
        """Move what a warp has left to a new place, with its next pieces behind it. warp: (1,) WARP. Gives also the
        place that it leaves."""
        number, streams = int(warp["warp_in_cta"][0]), self.cut[int(warp["cta_id"][0])]
        old = streams.places[number]
        rest = old.rest(int(warp["position"][0]), int(warp["record"][0]))
        state, place = self._write(state, rest, self._next_pieces(streams, number, rest.stream[1]))
        streams.places[number] = place
        warp["position"], warp["end"] = place.ends
        warp["begin"], warp["record"], warp["more"] = place.stream[0], place.records[0], self._more(streams, number)
        return state, old

    def _next_pieces(self, streams: CutStreams, warp: int, have: int) -> list[Streams]:
        """Pieces of a warp that has so many instructions, until it has enough or its stream ends."""
        pieces: list[Streams] = []
        while have <= self.ahead and self._more(streams, warp):
            pieces.append(self.reader.load(streams.cut, streams.next_piece[warp]))
            streams.next_piece[warp] += 1
            have += len(pieces[-1].words)
        return pieces

    def _more(self, streams: CutStreams, warp: int) -> bool:
        return streams.next_piece[warp] < streams.end_piece[warp]

    # ---- places

    def _write(self, state: State, rest: Place, parts: list[Streams]) -> tuple[State, Place]:
        """Put streams that follow each other into a new place: what lies in a part of the pools, then others."""
        used = {name: allocator.end for name, allocator in self.allocators.items()}
        words = rest.stream[1] + sum(len(part.words) for part in parts)
        records = rest.records[1] + sum(len(part.records) for part in parts)
        stream, record = self.allocators["stream"].take(words), self.allocators["records"].take(records)
        blocks = [Block(self.allocators["addresses"].take(n), n) for n in (len(part.addresses) for part in parts)]
        state = self._with_room(state, (words, records, sum(block.length for block in blocks)), used)
        at, record_at = stream + rest.stream[1], record + rest.records[1]
        entries = np.asarray(state.records)  # slices of a record array take longer than what is in them
        state.stream[stream:at] = state.stream[rest.stream[0] :][: rest.stream[1]]
        entries[record:record_at] = entries[rest.records[0] :][: rest.records[1]]
        held = [(end + record - rest.records[0], block) for end, block in rest.blocks]
        for part, block in zip(parts, blocks):
            end, record_end = at + len(part.words), record_at + len(part.records)
            state.stream[at:end] = part.words
            entries[record_at:record_end] = moved(part.records, block.start)
            state.addresses[block.start : block.start + block.length] = part.addresses
            at, record_at = end, record_end
            held.append((record_end, block))
        for _, block in held:
            block.holders += 1
        return state, Place((stream, words), (record, records), tuple(held))

    def _with_room(self, state: State, lengths: tuple[int, int, int], used: Mapping[str, int]) -> State:
        """The state with pools that reach to the end of what has been given out; before, that was `used`. lengths: what
        the last place takes of each."""
        pools = {}
        for name, length in zip(POOLS, lengths):
            needed, pool = self.allocators[name].end, getattr(state, name)
            if needed > len(pool):
                pools[name] = grown(pool, used[name], max(needed, self._expected(length / max(lengths[0], 1))))
        return state._replace(**pools) if pools else state

    def _expected(self, share: float) -> int:
        """Elements that the whole launch needs if it has twice as many per instruction everywhere, within a limit.

        Untouched zeros cost no memory, so reserving too much is cheaper than copying a pool each time it grows.
        """
        return min(int(2 * share * self.launch.warp_instructions), RESERVED)

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
        resident = {*running.tolist(), begins}
        for cta in [cta for cta in self.cut if cta not in resident]:
            for place in self.cut.pop(cta).places:
                self._give_back(place)
        self.retired = self._drop(_needed_records(state), self.retired)

    def _drop(self, needed: np.ndarray, places: list[Place]) -> list[Place]:
        """Give back places that warps have left; returns those with a record that is needed. needed: in order."""
        edges = np.array([(place.records[0], sum(place.records)) for place in places]).reshape(-1, 2)
        first, last = np.searchsorted(needed, edges).T
        for place, free in zip(places, first == last):
            if free:
                self._give_back(place)
        return [place for place, free in zip(places, first == last) if not free]

    def _give_back(self, place: Place) -> None:
        self.allocators["stream"].give_back(place.stream)
        self.allocators["records"].give_back(place.records)
        for _, block in place.blocks:
            block.holders -= 1
            if not block.holders:
                self.allocators["addresses"].give_back((block.start, block.length))


def _needed_records(state: State) -> np.ndarray:
    """The memory records of all instructions in flight, in order."""
    cores = state.sub_cores
    needed = np.concatenate((state.accesses.record, cores.control_record[cores.control_valid == 1]))
    needed.sort()
    return needed
