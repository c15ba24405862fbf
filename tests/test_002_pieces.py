"""Long CTAs in pieces: cut by the emulator, stored, read and counted piece by piece, and damaged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from trace_cases import assert_same_chunk, in_pieces, make_trace

from gpusim import sealed
from gpusim.config.loading import load_config
from gpusim.emulator import tracing
from gpusim.emulator.tracing import run_in_memory, trace_kernel
from gpusim.errors import GpusimError
from gpusim.hazards.check import check_hazards
from gpusim.runs.fingerprint import trace_digest
from gpusim.trace import pieces, spool
from gpusim.trace.info import trace_info
from gpusim.trace.pieces import PIECE
from gpusim.trace.store import INDEX_NAME, open_trace, write_trace
from gpusim.trace.trace import ChunkList, Trace

KERNEL = """.arch sm_86
.kernel k
.grid 5
.block 96
.shared 4096
[B------:R-:W-:-:S05] S2R R0, SR_TID.X ;
[B------:R-:W-:-:S05] S2R R9, SR_CTAID.X ;
[B------:R-:W-:-:S05] IMAD R2, R0, R0, RZ ;
[B------:R-:W-:-:S05] LOP3.LUT R2, R2, 0x3ff, RZ, 0xc0, !PT ;
[B------:R-:W-:-:S05] SHF.L.U32 R2, R2, 0x2, RZ ;
[B------:R-:W-:-:S05] SHF.L.U32 R10, 0x40, R9, RZ ;
LOOP:
[B------:R-:W-:-:S05] IADD3 R1, R1, 0x1, RZ ;
[B------:R-:W-:-:S05] STS [R2], R1 ;
[B------:R-:W-:-:S05] BAR.SYNC 0x0 ;
[B------:R-:W-:-:S13] ISETP.LT.AND P0, PT, R1, R10, PT ;
[B------:R-:W-:-:S05] @P0 BRA `(LOOP) ;
[B------:R-:W-:-:S05] EXIT ;
"""
"""CTA c goes round 64 * 2^c times; scattered addresses, which are stored one by one."""


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    path = tmp_path / "k.sass"
    path.write_text(KERNEL)
    return path


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """CTAs are cut from 3 * 400 instructions on, by pieces of 100, and nothing stays in memory."""
    monkeypatch.setattr(tracing, "LONG_WARP", 400)
    monkeypatch.setattr(tracing, "LONG_CTA", 0)
    monkeypatch.setattr(tracing, "CHUNK_INSTRUCTIONS", 1000)
    monkeypatch.setattr(pieces, "PIECE_INSTRUCTIONS", 100)
    monkeypatch.setattr(spool, "HELD_BYTES", 0)


def streams(trace: Trace) -> list[tuple[np.ndarray, ...]]:
    """Per warp of all CTAs: instructions, lanes, strides, and all addresses of its records."""
    found = []
    for launch in trace.launches:
        for chunk in launch.chunks():
            lanes = np.repeat(chunk.mask, launch.program.address_counts[chunk.index])
            ends = list(zip(chunk.instruction_start, chunk.instruction_start[1:], strict=False))
            for (a, b), (c, d) in zip(ends, zip(chunk.record_start, chunk.record_start[1:], strict=False), strict=True):
                records = chunk.records[c:d]
                reached = [
                    chunk.addresses[r["start"] : r["start"] + int(mask).bit_count()]
                    if r["stride"] == np.iinfo(np.int64).min
                    else [r["start"], r["stride"]]
                    for r, mask in zip(records, lanes[c:d], strict=True)
                ]
                found.append((chunk.index[a:b], chunk.mask[a:b], np.concatenate([*reached, []])))
    return found


def assert_same_streams(a: Trace, b: Trace) -> None:
    for one, other in zip(streams(a), streams(b), strict=True):
        for x, y in zip(one, other, strict=True):
            np.testing.assert_array_equal(x, y)


def test_cutting_changes_no_stream(kernel: Path, cut: None, monkeypatch: pytest.MonkeyPatch) -> None:
    trace, _ = run_in_memory(kernel, None)
    source = trace.launches[0].source
    cuts = [source.cut(number) for number in range(len(source.cta_counts))]
    assert source.cta_counts.sum() == 5
    assert [each.cta for each in cuts if each] == [1, 2, 3, 4]
    assert all(each.instructions.max() <= 100 for each in cuts if each)
    monkeypatch.setattr(tracing, "LONG_WARP", 1 << 20)
    whole, _ = run_in_memory(kernel, None)
    assert not any(whole.launches[0].source.cut(k) for k in range(len(whole.launches[0].source.cta_counts)))
    assert whole.warp_instructions == trace.warp_instructions == source.instruction_counts.sum()
    assert_same_streams(trace, whole)


def test_where_a_cta_is_cut_does_not_depend_on_time(kernel: Path, cut: None, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = run_in_memory(kernel, None)
    monkeypatch.setattr(tracing, "FIRST_PIECE", 7)
    monkeypatch.setattr(tracing, "SECONDS_PER_PIECE", 0.0)
    second, _ = run_in_memory(kernel, None)
    assert trace_digest(first) == trace_digest(second)


def test_pieces_are_stored_and_read(kernel: Path, cut: None, tmp_path: Path) -> None:
    held, _ = run_in_memory(kernel, None)
    trace_kernel(kernel, None, tmp_path / "t")
    stored = open_trace(tmp_path / "t")
    assert json.loads((tmp_path / "t" / INDEX_NAME).read_text())["version"] == 3
    assert_same_streams(held, stored)
    write_trace(stored, tmp_path / "again")
    assert trace_digest(open_trace(tmp_path / "again")) == trace_digest(open_trace(tmp_path / "again"))
    assert_same_streams(held, open_trace(tmp_path / "again"))
    figures = [trace_info(each).launches for each in (held, stored)]
    assert figures[0] == figures[1]
    assert figures[0][0].warp_instructions == held.warp_instructions


def test_hazards_are_found_across_pieces(kernel: Path, cut: None, monkeypatch: pytest.MonkeyPatch) -> None:
    text = kernel.read_text().replace("S13] ISETP", "S01] ISETP")
    kernel.write_text(text)
    config = load_config("a6000", [])
    found = check_hazards(run_in_memory(kernel, None)[0], config)
    monkeypatch.setattr(tracing, "LONG_WARP", 1 << 20)
    assert found == check_hazards(run_in_memory(kernel, None)[0], config)
    assert found[0]


@pytest.mark.parametrize("longest", [1, 7, 40, 1000])
def test_random_chunks_in_pieces(tmp_path: Path, longest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE_INSTRUCTIONS", longest)
    whole = make_trace(seed=longest, ctas_per_chunk=1, anywhere=True)
    write_trace(in_pieces(whole, 1000), tmp_path / "t")
    read = open_trace(tmp_path / "t").launches[0]
    for number, chunk in enumerate(whole.launches[0].chunks()):
        cut = read.source.cut(number)
        assert cut is not None
        assert cut.instructions.max() <= longest
        assert_same_chunk(read.source.read(number), chunk)


def test_a_part_of_another_cta_is_refused(tmp_path: Path) -> None:
    from gpusim.trace.store import TraceWriter

    (launch,) = in_pieces(make_trace(), 10).launches
    parts = list(launch.parts())
    other = next(part for part in parts if part.first_cta == 1)
    with (
        pytest.raises(ValueError, match="the next one is 0"),
        TraceWriter(tmp_path / "t") as writer,
        writer.launch(launch.program, launch.grid, launch.block, 0) as sink,
    ):
        sink.add(parts[0])
        sink.add(other)
    assert not (tmp_path / "t").exists()


# ---- damage


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    write_trace(in_pieces(make_trace(length=200), 50), tmp_path / "t")
    return tmp_path / "t"


def refused(path: Path, message: str) -> None:
    with pytest.raises(GpusimError, match=message):
        list(open_trace(path).launches[0].parts())


def test_every_damaged_piece_is_found(stored: Path) -> None:
    file = stored / "launch-0000.bin"
    whole = file.read_bytes()
    for at in np.random.default_rng(1).integers(0, len(whole), 40).tolist():
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        refused(stored, "damaged trace")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("warp", 9, "not in the order of its warps"),
        ("instructions", 0, "do not add up"),
        ("instructions", 7, "do not add up"),
        ("offset", 1 << 40, "checksum mismatch"),
        ("crc32", 1, "checksum mismatch"),
    ],
)
def test_a_table_of_pieces_that_cannot_be_is_refused(stored: Path, field: str, value: int, message: str) -> None:
    from gpusim.trace.blocks import BlockReader, BlockWriter

    index = json.loads((stored / INDEX_NAME).read_text())
    del index[sealed.KEY]
    file = stored / "launch-0000.bin"
    entry = index["launches"][0]["chunks"][0]
    table = BlockReader(file, memoryview(file.read_bytes())).read(entry["pieces"], PIECE)
    table[field][-1] = value
    with file.open("ab") as end:
        writer = BlockWriter(end)
        writer.offset = end.tell()
        entry["pieces"] = json.loads(json.dumps(writer.write(table)))
        index["launches"][0]["bytes"] = writer.offset
    (stored / INDEX_NAME).write_text(sealed.seal(json.dumps(index)))
    refused(stored, message)


def test_a_chunk_has_columns_or_pieces(stored: Path) -> None:
    index = json.loads((stored / INDEX_NAME).read_text())
    del index[sealed.KEY]
    del index["launches"][0]["chunks"][0]["pieces"]
    (stored / INDEX_NAME).write_text(sealed.seal(json.dumps(index)))
    refused(stored, "either columns or pieces")


# ---- where streams are that are not kept


def test_few_streams_stay_in_memory_and_many_do_not(kernel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held, _ = run_in_memory(kernel, None)
    assert isinstance(held.launches[0].source, ChunkList)
    monkeypatch.setattr(spool, "HELD_BYTES", 0)
    spooled, _ = run_in_memory(kernel, None)
    assert all(isinstance(place, int) for place in spooled.launches[0].source.places)
    for one, other in zip(held.launches[0].chunks(), spooled.launches[0].chunks(), strict=True):
        assert_same_chunk(one, other)


def test_a_long_cta_takes_memory_for_a_part_of_it(tmp_path: Path) -> None:
    import tracemalloc

    peaks = []
    for trips in (0x8000, 0x40000):
        path = tmp_path / f"{trips}.sass"
        path.write_text(KERNEL.replace("SHF.L.U32 R10, 0x40, R9, RZ", f"MOV R10, {trips:#x}").replace(".grid 5", ""))
        run_in_memory(path, None)
        tracemalloc.start()
        trace, _ = run_in_memory(path, None)
        assert trace.launches[0].source.cut(0) is not None
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]
