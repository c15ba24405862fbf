"""Streams that come in pieces: the same result as whole ones, for pieces of any size, and memory for the pieces only."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bundled_cases import CARDS, FOUR_SMS, assert_same, first_launch, reference
from microbench import kernel, op, simulate_small, trace
from reference.random_kernels import random_program
from trace_cases import cut_of_pieces, in_pieces, make_trace

from gpusim.config.loading import load_config
from gpusim.constants import EXPLICIT
from gpusim.errors import GpusimError
from gpusim.model import unpacking
from gpusim.model.setup import loading, reading_ahead, streams
from gpusim.model.setup.loading import PieceLoader, Streams, streams_of
from gpusim.model.setup.reading_ahead import Piece, ReadAhead, most_bytes
from gpusim.model.setup.simulate import Interrupted, KernelRun, Progress, RunOptions, SimulationError, simulate
from gpusim.model.state import INDEX_MASK, LANES, MASK_SHIFT
from gpusim.sass.program import Program
from gpusim.trace import pieces
from gpusim.trace.blocks import BlockReader
from gpusim.trace.pieces import cut_of
from gpusim.trace.store import INDEX_NAME, open_trace, write_trace
from gpusim.trace.trace import ChunkList, CutCta, Trace, moved

NAMES = ["ampere/histogram", "ampere/transpose", "ampere/reduction", "ampere/saxpy", "turing/histogram",
         "turing/transpose"]  # fmt: skip
OPTIONS = {
    "one thread": RunOptions(),
    "no skipping": RunOptions(skip=False),
    "windows of 1": RunOptions(window=1),
    "two threads": RunOptions(threads=2),
}


def check(name: str, longest: int, option: str) -> None:
    cut = in_pieces(first_launch(name), longest)
    found = simulate_small(cut, *FOUR_SMS, card=CARDS[name.split("/")[0]], options=OPTIONS[option])
    assert_same(found, reference(name, *FOUR_SMS))


@pytest.mark.parametrize("longest", [64, 257, 1 << 20])
@pytest.mark.parametrize("name", NAMES)
def test_pieces_of_any_size_change_no_result(name: str, longest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "AHEAD", 1)  # as late as it can be
    check(name, longest, "one thread")


@pytest.mark.parametrize("option", ["no skipping", "windows of 1", "two threads"])
@pytest.mark.parametrize("name", NAMES[:3])
def test_pieces_and_threads_change_no_result(name: str, option: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "AHEAD", 1)
    check(name, 64, option)


def test_a_sampled_run_takes_pieces_too() -> None:
    name, option = "ampere/vecadd", RunOptions(sample=20)
    expected = simulate_small(first_launch(name), *FOUR_SMS, options=option)
    found = simulate_small(in_pieces(first_launch(name), 8), *FOUR_SMS, options=option)
    assert found.result.sampled == expected.result.sampled
    assert found.result.sampled is not None
    assert_same(found, expected)


def check_random(seed: int) -> None:
    generator = random.Random(seed)
    program = random_program(seed, blocks=(32, 64, 160, 512), grids=(1, 3, 7))
    measured = trace.__wrapped__(program.text)
    overrides = [*program.overrides, f"sms={generator.choice((1, 2, 3))}"]
    expected = simulate_small(measured, *overrides, card=program.card)
    option = RunOptions(window=generator.choice([1, 5, None]), timeline=True)
    cut = in_pieces(measured, generator.choice([1, 3, 16]))
    found = simulate_small(cut, *overrides, card=program.card, options=option)
    assert_same(found, expected)
    assert np.array_equal(found.result.timeline, expected.result.timeline), program


@pytest.mark.boundscheck
@pytest.mark.parametrize("first", [0, 8])
def test_random_programs_in_pieces(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "AHEAD", 1)
    for seed in range(first, first + 8):
        check_random(seed)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(100, 300, 50))
def test_more_random_programs_in_pieces(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "AHEAD", 1)
    for seed in range(first, first + 50):
        check_random(seed)


# ---- what compiled code reads


def assert_same_streams(program: Program, found: Streams, expected: Streams) -> None:
    """The same words and records; lists of addresses may lie elsewhere."""
    assert np.array_equal(found.words, expected.words)
    assert np.array_equal(found.records["stride"], expected.records["stride"])
    index, mask = found.words & INDEX_MASK, found.words >> MASK_SHIFT & LANES
    lanes = np.bitwise_count(np.repeat(mask, program.address_counts[index]))
    for one, other, count in zip(found.records, expected.records, lanes, strict=True):
        if one["stride"] != EXPLICIT:
            assert one["start"] == other["start"]
            continue
        lists = [all_.addresses[row["start"] :][:count] for all_, row in ((found, one), (expected, other))]
        assert np.array_equal(*lists)


def test_compiled_code_knows_how_pieces_are_stored() -> None:
    columns = [unpacking.INDEX, unpacking.MASK, unpacking.MARKS, unpacking.BASE, unpacking.STRIDE, unpacking.STEPS]
    assert [pieces.NAMES[column] for column in columns] == ["index", "mask", "explicit", "base", "stride", "lanes"]
    assert (len(pieces.NAMES), len(pieces.STORED)) == (unpacking.COLUMNS, unpacking.TYPES)
    assert pieces.HEADER.itemsize * len(pieces.NAMES) == unpacking.HEADER_BYTES
    for kind, dtype in enumerate(pieces.STORED):
        assert dtype.itemsize == 1 << (kind & unpacking.WIDEST)
        assert (dtype.kind == "i") == (kind > unpacking.WIDEST)


@pytest.mark.boundscheck
@pytest.mark.parametrize("longest", [1, 7, 40])
def test_compiled_code_reads_what_numpy_reads(longest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    (launch,) = in_pieces(make_trace(seed=longest), longest).launches
    loader, program = PieceLoader(launch.program), launch.program
    for cut in launch.source.chunks:
        expected = [streams_of(program, cut.read(number)) for number in range(len(cut.warp))]
        with monkeypatch.context() as patch:
            patch.delattr(loading, "streams_of")  # so that NumPy helps with none
            found = [loader.load(cut, number) for number in range(len(cut.warp))]
        for one, other in zip(found, expected, strict=True):
            assert_same_streams(program, one, other)


def told(read: Callable[[], Streams]) -> Streams | str:
    """What is read, or the error."""
    try:
        return read()
    except (ValueError, GpusimError) as error:
        return f"{type(error)}: {error}"


@pytest.mark.boundscheck
def test_pieces_that_are_not_what_they_should_be_are_read_or_refused_as_numpy_does() -> None:
    """Any byte of a piece may be another, or missing: what a checksum would find."""
    (launch,) = in_pieces(make_trace(seed=3), 40).launches
    cut, loader, random_bytes = launch.source.chunks[0], PieceLoader(launch.program), np.random.default_rng(1)
    refused = 0
    for number in range(len(cut.warp)):
        packed = cut.packed(number)
        for at in random_bytes.integers(0, len(packed), 100).tolist():
            change = random_bytes.choice([packed[at] ^ 1, packed[at] ^ 0x80, 255 - packed[at]])
            for content in (packed[:at] + bytes([change]) + packed[at + 1 :], packed[:at]):
                streams = cut.warp, cut.instructions
                spoilt = cut_of(launch.program, cut.cta, cut.warps, streams, {number: content}.__getitem__)
                expected = told(lambda: streams_of(launch.program, spoilt.read(number)))  # noqa: B023
                found = told(lambda: loader.load(spoilt, number))  # noqa: B023
                if isinstance(expected, str):
                    refused += 1
                    assert found == expected
                else:
                    assert_same_streams(launch.program, found, expected)
    assert refused > 50


def test_addresses_that_repeat_are_kept_once() -> None:
    (launch,) = in_pieces(make_trace(seed=5, length=200), 200).launches
    cut = launch.source.chunks[0]
    piece = cut.read(0)
    explicit = piece.records["stride"] == EXPLICIT
    twice = replace(
        piece,
        instruction_start=2 * piece.instruction_start,
        record_start=2 * piece.record_start,
        index=np.tile(piece.index, 2),
        mask=np.tile(piece.mask, 2),
        records=np.concatenate([piece.records, moved(piece.records, len(piece.addresses))]),
        addresses=np.tile(piece.addresses, 2),
    )
    once, found = streams_of(launch.program, piece), streams_of(launch.program, twice)
    assert explicit.sum() > 20
    assert 0 < len(found.addresses) == len(once.addresses) <= len(piece.addresses)
    assert_same_streams(launch.program, found, Streams(found.words, twice.records, twice.addresses))
    loaded = PieceLoader(launch.program).load(cut_of_pieces(launch.program, cut, [twice]), 0)
    assert np.array_equal(loaded.addresses, found.addresses)
    assert_same_streams(launch.program, loaded, found)


# ---- reading ahead

LOOP = [
    op("LDC.64 R2, c[0x0][0x160]", 2, write=5),
    op("MOV R6, RZ", 4, wait="5"),
    "LOOP:",
    op("LDG.E R4, [R2.64]", 2, write=0),
    op("IADD3 R6, R6, 0x1, RZ", 5),
    op("ISETP.LT.AND P0, PT, R6, 0x1000, PT", 13, wait="0"),
    op("@P0 BRA `(LOOP)", 5),
]


def long_trace() -> Trace:
    return trace(kernel(LOOP, block=64, grid=4))


def pieces_of_a_loop() -> Trace:
    return in_pieces(long_trace(), 512)


def threads_of_reading() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("gpusim-read-ahead")]


class Watched(ReadAhead):
    """Counts the pieces that were loaded ahead, and the most bytes of them."""

    ahead, most = 0, 0

    def expect(self, pieces: Iterable[Piece]) -> None:
        super().expect(pieces)
        Watched.most = max(Watched.most, self._bytes)

    def load(self, cut: CutCta, number: int) -> Streams:
        Watched.ahead += (cut.cta, number) in self._loading
        return super().load(cut, number)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> type[Watched]:
    monkeypatch.setattr(streams, "ReadAhead", Watched)
    monkeypatch.setattr(streams, "AHEAD", 1)
    Watched.ahead = Watched.most = 0
    return Watched


class Slow(PieceLoader):
    """Is overtaken by whoever asks."""

    def load(self, cut: CutCta, number: int) -> Streams:
        if threading.current_thread() is not threading.main_thread():
            time.sleep(0.01)
        return super().load(cut, number)


@pytest.mark.parametrize("room", [0, 1 << 16, 1 << 26])
@pytest.mark.parametrize("loader", [PieceLoader, Slow])
def test_when_a_piece_is_loaded_changes_no_result(
    room: int, loader: type[PieceLoader], watched: type[Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_ahead, "AHEAD_BYTES", room)
    monkeypatch.setattr(reading_ahead, "PieceLoader", loader)
    expected = simulate_small(pieces_of_a_loop(), "sms=2")
    assert watched.ahead == 0  # a run of one thread has no other
    found = simulate_small(pieces_of_a_loop(), "sms=2", options=RunOptions(threads=2))
    assert_same(found, expected)
    assert watched.most <= room
    assert (watched.ahead > 0) == (room > 0)


def test_a_loaded_piece_takes_no_more_than_it_may() -> None:
    (launch,) = in_pieces(make_trace(seed=1), 20).launches
    loader = PieceLoader(launch.program)
    for cut in launch.source.chunks:
        for number in range(len(cut.warp)):
            assert 0 < loader.load(cut, number).bytes <= most_bytes(cut, number)


def damaged(path: Path) -> Trace:
    """A stored trace of which one of the last pieces has another byte."""
    write_trace(pieces_of_a_loop(), path)
    index, file = json.loads((path / INDEX_NAME).read_text()), path / "launch-0000.bin"
    whole = bytearray(file.read_bytes())
    table = BlockReader(file, memoryview(whole)).read(index["launches"][0]["chunks"][0]["pieces"], pieces.PIECE)
    whole[table["offset"][-1] + 8] ^= 1
    file.write_bytes(whole)
    return open_trace(path)


def test_a_damaged_piece_is_told_as_on_one_thread(tmp_path: Path, watched: type[Watched]) -> None:
    trace, card, errors = damaged(tmp_path / "t"), load_config("a6000", ["sms=2"]), []
    for threads in (1, 2):
        with pytest.raises(SimulationError, match="damaged trace: checksum mismatch") as caught:
            simulate(trace, card, RunOptions(threads=threads))
        errors.append((str(caught.value), caught.value.partial.stopped))
    assert errors[0] == errors[1]
    assert watched.ahead > 0
    assert threads_of_reading() == []


def test_no_thread_is_left_after_an_interrupt(watched: type[Watched]) -> None:
    def stop(progress: Progress) -> None:
        if progress.warp_instructions_done and watched.ahead:
            assert len(threads_of_reading()) == 1
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        simulate(pieces_of_a_loop(), load_config("a6000", ["sms=2"]), RunOptions(threads=2, progress=stop))
    assert threads_of_reading() == []


# ---- what is in memory


def places(run: KernelRun) -> int:
    """Instructions that the pools have given out at most."""
    return run.pools.allocators["stream"].end


def test_pools_hold_pieces_not_streams() -> None:
    whole, config = long_trace(), load_config("a6000", ["sms=2"])
    runs = [KernelRun(each.launches[0], config, RunOptions(), set()) for each in (whole, in_pieces(whole, 512))]
    results = [run.simulate() for run in runs]
    assert results[0].cycles == results[1].cycles
    assert places(runs[0]) > whole.warp_instructions * 0.9
    assert places(runs[1]) < whole.warp_instructions / 2
    longer = trace(kernel([line.replace("0x1000", "0x4000") for line in LOOP], block=64, grid=4))
    third = KernelRun(in_pieces(longer, 512).launches[0], config, RunOptions(), set())
    third.simulate()
    assert places(third) == places(runs[1])


def test_an_address_in_a_later_piece_that_cannot_be_is_refused() -> None:
    (launch,) = in_pieces(long_trace(), 512).launches

    def spoilt(cut: CutCta) -> CutCta:
        chunks = [cut.read(number) for number in range(len(cut.warp))]
        [*_, last] = (chunk for chunk in chunks if len(chunk.records))
        last.records["start"][-1] = 1 << 60
        return cut_of_pieces(launch.program, cut, chunks)

    source = ChunkList(tuple(map(spoilt, launch.source.chunks)))
    with pytest.raises(GpusimError, match="outside the 49 bits"):
        simulate(Trace((replace(launch, source=source),)), load_config("a6000", ["sms=2"]))


def test_a_deadlock_report_looks_back_no_further_than_is_loaded() -> None:
    (launch,) = in_pieces(long_trace(), 64).launches
    run = KernelRun(launch, load_config("a6000", ["sms=2"]), RunOptions(), set())
    run.state = run.pools.load_next(run.state)
    warp = run.state.warps[0]
    warp.active, warp.begin, warp.position, warp.end, warp.sequence, warp.counters = 1, 40, 42, 64, 1000, 1
    from gpusim.model.setup.deadlock import deadlock_report

    assert "SB" in deadlock_report(run.state, run.params, launch, "nothing moves")


def test_places_are_used_again() -> None:
    allocator = streams.Allocator()
    first = allocator.take(100)
    second = allocator.take(100)
    assert second >= first + 100
    allocator.give_back((first, 100))
    assert allocator.take(99) == first
    assert allocator.take(100) >= second + 100
    for length in (1, 2, 63, 64, 65, 1000, 4097, 1 << 20, (1 << 20) + 1):
        assert length <= streams.rounded(length) <= max(1.25 * length, 16)
