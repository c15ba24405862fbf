"""The native trace store: lossless, lazy, and never silently wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trace_cases import assert_same_chunk, make_chunk, make_program, make_trace

from gpusim.constants import EXPLICIT
from gpusim.errors import GpusimError
from gpusim.sealed import KEY, seal
from gpusim.trace.store import TraceWriter, open_trace, write_trace
from gpusim.trace.trace import MEMORY_RECORD_DTYPE, CtaChunk


@pytest.fixture
def stored(tmp_path):
    trace = make_trace()
    write_trace(trace, tmp_path / "toy")
    return trace, tmp_path / "toy"


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    chunks=st.integers(1, 4),
    ctas=st.integers(1, 3),
    warps=st.integers(1, 3),
    length=st.integers(0, 50),
)
def test_any_chunks_come_back_as_they_were(tmp_path_factory, seed, chunks, ctas, warps, length):
    trace = make_trace(seed, chunks, ctas, warps, length, anywhere=True)
    path = tmp_path_factory.mktemp("store") / "t"
    write_trace(trace, path)
    read = open_trace(path).launches[0]
    assert read.warp_instructions == trace.launches[0].warp_instructions
    for before, after in zip(trace.launches[0].chunks(), read.chunks(), strict=True):
        assert_same_chunk(before, after)


def test_launch_facts_program_and_provenance_come_back(stored):
    trace, path = stored
    read = open_trace(path)
    before, after = trace.launches[0], read.launches[0]
    assert (after.grid, after.block, after.shared_bytes) == (before.grid, before.block, before.shared_bytes)
    assert after.program.metadata() == before.program.metadata()
    np.testing.assert_array_equal(after.program.instructions, before.program.instructions)
    np.testing.assert_array_equal(after.program.operands, before.program.operands)
    assert after.provenance == {"arguments": "n=4"}
    assert read.provenance["source"] == "toy.sass"
    assert read.provenance["gpusim_version"]


def test_chunks_are_writable_plain_arrays(stored):
    chunk = open_trace(stored[1]).launches[0].source.read(0)
    for array in (chunk.index, chunk.mask, chunk.records, chunk.addresses, chunk.instruction_start):
        assert array.flags.writeable
        assert array.flags.c_contiguous


def test_one_chunk_is_read_without_the_others(tmp_path):
    trace = make_trace(chunks=4)
    write_trace(trace, tmp_path / "t")
    index = json.loads((tmp_path / "t" / "trace.json").read_text())
    wanted = index["launches"][0]["chunks"][2]["columns"].values()
    begin, end = min(c["offset"] for c in wanted), max(c["offset"] + c["bytes"] for c in wanted)
    file = tmp_path / "t" / index["launches"][0]["file"]
    data = bytearray(file.read_bytes())
    data[:begin], data[end:] = bytes(begin), bytes(len(data) - end)
    file.write_bytes(data)  # everything else is ruined, sizes kept
    source = open_trace(tmp_path / "t").launches[0].source
    assert_same_chunk(source.read(2), trace.launches[0].source.read(2))
    with pytest.raises(GpusimError, match="checksum"):
        source.read(1)


def test_launches_share_one_stored_program(tmp_path):
    rng = np.random.default_rng(1)
    with TraceWriter(tmp_path / "t") as writer:
        for program in (make_program(), make_program(), make_program("other")):
            with writer.launch(program, (1, 1, 1), (32, 1, 1), 0) as sink:
                sink.add(make_chunk(program, rng, 0, 1, 1))
    assert len(list((tmp_path / "t").glob("program-*.bin"))) == 2
    names = [launch.program.name for launch in open_trace(tmp_path / "t").launches]
    assert names == ["toy", "toy", "other"]


@pytest.mark.parametrize("name", ["launch-0000.bin", "program-0000.bin"])
def test_truncated_file_is_named(stored, name):
    file = stored[1] / name
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(GpusimError, match=rf"{name}.*truncated") as caught:
        open_trace(stored[1])
    assert "gpusim trace" in str(caught.value)


@pytest.mark.parametrize("name", ["launch-0000.bin", "program-0000.bin"])
def test_flipped_bit_is_found(stored, name):
    file = stored[1] / name
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(GpusimError, match=rf"{name}.*checksum"):
        list(open_trace(stored[1]).launches[0].chunks())


def _edit(path, change):
    """Change the index, its checksum too."""
    index = json.loads((path / "trace.json").read_text())
    change(index)
    index.pop(KEY, None)
    (path / "trace.json").write_text(seal(json.dumps(index)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda i: i.update(version=4), "format version 4, this gpusim .* reads up to version 3"),
        (lambda i: i.update(format="other"), "not the index of a trace: no format 'gpusim-trace' in it"),
        (lambda i: i.pop("launches"), "damaged trace: launches: missing"),
        (lambda i: i["launches"][0]["chunks"].pop(), "4 CTAs of 6"),
        (lambda i: i["launches"][0].update(program=3), "launch 0 is of program 3, there are 1"),
        (
            lambda i: i["programs"][0]["metadata"].pop("opcodes"),
            r"damaged trace: programs\[0\].metadata.opcodes: missing",
        ),
        (lambda i: i["programs"][0]["instructions"]["dtype"].pop(), "fields of another version"),
    ],
)
def test_edited_index_is_refused(stored, change, message):
    _edit(stored[1], change)
    with pytest.raises(GpusimError, match=message):
        open_trace(stored[1])


def test_truncated_index_missing_file_and_missing_folder(stored, tmp_path):
    path = stored[1]
    with pytest.raises(GpusimError, match="no such trace"):
        open_trace(tmp_path / "absent")
    with pytest.raises(GpusimError, match=r"has no trace\.json"):
        open_trace(tmp_path)
    (path / "launch-0000.bin").unlink()
    with pytest.raises(GpusimError, match=r"launch-0000\.bin: missing"):
        open_trace(path)
    text = (path / "trace.json").read_text()
    (path / "trace.json").write_text(text[: len(text) // 2])
    with pytest.raises(GpusimError, match=r"trace\.json: not the index of a trace: not JSON"):
        open_trace(path)


def test_index_cannot_point_outside_the_folder(stored, tmp_path):
    (tmp_path / "secret.bin").write_bytes(b"x")
    _edit(stored[1], lambda i: i["launches"][0].update(file="../secret.bin", bytes=1))
    with pytest.raises(GpusimError, match=r"toy/secret\.bin: missing"):
        open_trace(stored[1])


def test_nothing_is_overwritten_unless_asked(stored, tmp_path):
    trace, path = stored
    with pytest.raises(GpusimError, match="holds a trace already"):
        write_trace(trace, path)
    write_trace(make_trace(seed=9), path, overwrite=True)
    assert open_trace(path).launches[0].warp_instructions == make_trace(seed=9).launches[0].warp_instructions
    other = tmp_path / "mine"
    other.mkdir()
    (other / "thesis.txt").write_text("irreplaceable")
    with pytest.raises(GpusimError, match="not a gpusim trace"):
        write_trace(trace, other, overwrite=True)
    assert (other / "thesis.txt").exists()


def test_an_error_leaves_nothing_behind(tmp_path):
    program = make_program()
    chunk = make_chunk(program, np.random.default_rng(0), 0, 1, 1)
    with pytest.raises(ValueError, match="1 of 2 CTAs"), TraceWriter(tmp_path / "t") as writer:  # noqa: SIM117
        with writer.launch(program, (2, 1, 1), (32, 1, 1), 0) as sink:
            sink.add(chunk)
    assert list(tmp_path.iterdir()) == []


def _broken(chunk, **changes):
    return type(chunk)(**{**chunk.__dict__, **changes})


def _swapped(records):
    explicit = np.flatnonzero(records["stride"] == EXPLICIT)[:2]
    changed = records.copy()
    changed["start"][explicit] = records["start"][explicit[::-1]]
    return changed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: {"first_cta": 1}, "the next one is 0"),
        (lambda c: {"mask": c.mask[:-1]}, "masks for"),
        (lambda c: {"index": c.index + np.uint16(5)}, "instruction index"),
        (lambda c: {"records": c.records[:-1]}, "memory records where"),
        (lambda c: {"record_start": c.record_start + 1}, "record_start"),
        (lambda c: {"addresses": c.addresses[:3]}, "3 explicit addresses where"),
        (lambda c: {"records": _swapped(c.records)}, "do not follow each other"),
        (lambda c: {"mask": c.mask & np.uint32(0)}, "mask 0 is not zero"),
        (lambda c: {"instruction_start": c.instruction_start[:-1]}, "warp streams"),
    ],
)
def test_chunk_that_contradicts_itself_is_refused(tmp_path, change, message):
    program = make_program()
    chunk = make_chunk(program, np.random.default_rng(3), 0, 1, 2, 60)
    with pytest.raises(ValueError, match=message), TraceWriter(tmp_path / "t") as writer:  # noqa: SIM117
        with writer.launch(program, (1, 1, 1), (64, 1, 1), 0) as sink:
            sink.add(_broken(chunk, **change(chunk)))


def test_regular_accesses_cost_little(tmp_path):
    """A loop of strided loads takes well under one byte per instruction: grouping by instruction works."""
    program, warps, trips = make_program(), 64, 200
    index = np.tile(np.array([0, 1, 2], np.uint16), warps * trips)
    count = len(index)
    starts = np.arange(warps + 1) * 3 * trips
    records = np.zeros(warps * trips * 2, MEMORY_RECORD_DTYPE)
    warp, trip = np.divmod(np.arange(warps * trips), trips)
    records["start"][0::2] = 0x7F0000000000 + 128 * warp + 8192 * trip
    records["start"][1::2] = 512 * trip
    records["stride"][0::2], records["stride"][1::2] = 4, 16
    mask = np.full(count, 0xFFFFFFFF, np.uint32)
    chunk = CtaChunk(0, 16, starts, index, mask, np.arange(warps + 1) * 2 * trips, records, np.empty(0, np.int64))
    with TraceWriter(tmp_path / "t") as writer, writer.launch(program, (16, 1, 1), (128, 1, 1), 0) as sink:
        sink.add(chunk)
    assert (tmp_path / "t" / "launch-0000.bin").stat().st_size < 0.1 * count
    assert_same_chunk(open_trace(tmp_path / "t").launches[0].source.read(0), chunk)


def test_a_repeated_pattern_of_lanes_costs_little(tmp_path):
    """Explicit addresses with one pattern and a moving first address, as in a tiled matrix product."""
    program, trips = make_program(), 2000
    index, mask = np.full(trips, 2, np.uint16), np.full(trips, 0xFFFFFFFF, np.uint32)
    pattern = np.repeat(np.arange(8), 4) * 16
    addresses = (np.arange(trips)[:, None] * 512 + pattern).reshape(-1)
    records = np.zeros(trips, MEMORY_RECORD_DTYPE)
    records["start"], records["stride"] = 32 * np.arange(trips), EXPLICIT
    whole = np.array([0, trips])
    chunk = CtaChunk(0, 1, whole, index, mask, whole, records, addresses)
    with TraceWriter(tmp_path / "t") as writer, writer.launch(program, (1, 1, 1), (32, 1, 1), 0) as sink:
        sink.add(chunk)
    assert (tmp_path / "t" / "launch-0000.bin").stat().st_size < 0.2 * trips
    assert_same_chunk(open_trace(tmp_path / "t").launches[0].source.read(0), chunk)
