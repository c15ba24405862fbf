"""Long CTAs in pieces: a warp's stream is cut every so many instructions, and each piece is stored by itself.

A piece is one block: the columns that a chunk of one warp would have, behind a table of their lengths and types. A
table of the pieces, a block too, says where each lies, so that any is read without the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from gpusim.constants import EXPLICIT, WARP_SIZE
from gpusim.sass.program import Program
from gpusim.trace.blocks import LIMITS, BlockReader, BlockWriter, differences, from_planes, narrowest, planes
from gpusim.trace.chunks import COLUMNS, DIFFERENCED, chunk_columns, chunk_of
from gpusim.trace.trace import CtaChunk, CutCta, moved

PIECE_INSTRUCTIONS, PIECE_ADDRESSES = 1 << 13, 1 << 14
"""Of one warp, at most. A card has thousands of resident warps, each with a piece or two in memory. Twice as many
instructions as a warp has in a part of a CTA (gpusim.emulator.tracing.LONG_WARP): most of those are one piece."""
PIECE = np.dtype(
    [
        ("warp", "<u4"),  # in its CTA
        ("instructions", "<u4"),
        ("bytes", "<u4"),
        ("crc32", "<u4"),
        ("offset", "<u8"),
    ]
)
"""A row of a CTA's table of pieces."""
STORED = [dtype for dtype, *_ in LIMITS]
HEADER = np.dtype([("count", "<u4"), ("stored", "<u4")])
"""In front of a piece, once per column: its length and the number of its type in STORED."""
NAMES = [name for name in COLUMNS if name != "warp_instructions"]
MOST_BYTES = 6 + 2 * (1 + 8 + 8 + 8 * WARP_SIZE)
"""Of an instruction with two memory records of explicit addresses."""


def pieces_of(program: Program, part: CtaChunk, longest: int) -> Iterator[tuple[int, CtaChunk]]:
    """A part of a CTA cut by warps and into pieces, each with its warp.

    A piece has `longest` instructions and PIECE_ADDRESSES explicit addresses at most, if one instruction has no more.
    """
    counts = program.address_counts[part.index]
    records_before = np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))
    lanes = np.where(part.records["stride"] == EXPLICIT, np.bitwise_count(np.repeat(part.mask, counts)), 0)
    addresses_before = np.concatenate(([0], np.cumsum(lanes, dtype=np.int64)))[records_before]
    starts = part.instruction_start.tolist()
    for warp, (first, last) in enumerate(pairwise(starts)):
        start = first
        while start < last:
            full = int(np.searchsorted(addresses_before, addresses_before[start] + PIECE_ADDRESSES, "right")) - 1
            end = max(min(start + longest, last, full), start + 1)
            yield warp, _piece(part, (start, end), records_before, addresses_before)
            start = end


def _piece(part: CtaChunk, ends: tuple[int, int], records_before: np.ndarray, addresses_before: np.ndarray) -> CtaChunk:
    """Instructions of one warp, from the first of `ends` to before the second, as a chunk with one stream."""
    (start, end), records, addresses = ends, records_before[[*ends]].tolist(), addresses_before[[*ends]].tolist()
    return CtaChunk(
        part.first_cta,
        1,
        np.array([0, end - start], np.int64),
        part.index[start:end],
        part.mask[start:end],
        np.array([0, records[1] - records[0]], np.int64),
        moved(part.records[records[0] : records[1]], -addresses[0]),
        part.addresses[addresses[0] : addresses[1]],
    )


class CutWriter:
    """Takes the parts of one long CTA and writes them in pieces."""

    def __init__(self, writer: BlockWriter, program: Program, warps: int, cta: int) -> None:
        self._writer, self._program, self._warps, self._cta = writer, program, warps, cta
        self._rows: list[tuple[int, int, int, int, int]] = []

    def add(self, part: CtaChunk) -> None:
        """Append a part. Raises ValueError where it contradicts itself or the program."""
        if (part.first_cta, part.cta_count) != (self._cta, 1) or len(part.instruction_start) != self._warps + 1:
            raise ValueError(f"a part of CTA {self._cta} of {self._warps} warps is of other CTAs or warps")
        for warp, piece in pieces_of(self._program, part, PIECE_INSTRUCTIONS):
            place = self._writer.append(packed_piece(self._program, piece))
            row = warp, piece.warp_instructions, place["bytes"], place["crc32"], place["offset"]
            self._rows.append(row)

    def entry(self) -> dict[str, Any]:
        """The CTA's index entry, when all parts are there."""
        table = np.array(self._rows, PIECE)
        table = table[np.argsort(table["warp"], kind="stable")]
        return {
            "first_cta": self._cta,
            "cta_count": 1,
            "warp_instructions": int(table["instructions"].sum(dtype=np.int64)),
            "pieces": self._writer.write(table),
        }


def open_cut(reader: BlockReader, program: Program, warps: int, entry: Any) -> CutCta:
    """A stored CTA in pieces. Raises GpusimError where the file is damaged, ValueError where it contradicts itself."""
    table = reader.read(entry["pieces"], PIECE)
    counts = table["instructions"].astype(np.int64)
    owner = table["warp"].astype(np.int64)
    if len(table) and (np.any(np.diff(owner) < 0) or owner[-1] >= warps):
        raise ValueError("its pieces are not in the order of its warps")
    if counts.sum() != entry["warp_instructions"] or np.any(counts == 0):
        raise ValueError(f"its pieces do not add up to {entry['warp_instructions']} instructions")

    def packed(number: int) -> bytes:
        row = table[number]
        most = len(NAMES) * HEADER.itemsize + MOST_BYTES * int(row["instructions"])
        return reader.content(int(row["offset"]), int(row["bytes"]), int(row["crc32"]), most)

    return cut_of(program, int(entry["first_cta"]), warps, (owner, counts), packed)


def cut_of(
    program: Program, cta: int, warps: int, streams: tuple[np.ndarray, np.ndarray], packed: Callable[[int], bytes]
) -> CutCta:
    """A CTA of packed pieces. streams: of each piece its warp and instructions, as CutCta has them."""
    owner, counts = streams

    def read(number: int) -> CtaChunk:
        length = int(counts[number])
        columns = {"warp_instructions": np.array([length], np.int64), **_unpacked(packed(number), len(program))}
        facts = {"first_cta": cta, "cta_count": 1, "warp_instructions": length}
        return chunk_of(program, 1, facts, columns)

    return CutCta(cta, warps, owner, counts, packed, read)


def packed_piece(program: Program, piece: CtaChunk) -> bytes:
    """A piece before it is compressed. Raises ValueError where it contradicts itself or the program."""
    return _packed(chunk_columns(program, 1, piece))


def _packed(columns: dict[str, np.ndarray]) -> bytes:
    header, data = np.zeros(len(NAMES), HEADER), []
    for row, name in zip(header, NAMES):
        values = differences(columns[name].astype(np.int64)) if name in DIFFERENCED else columns[name]
        stored = narrowest(values)
        row["count"], row["stored"] = len(values), STORED.index(stored)
        data.append(planes(values.astype(stored, copy=False)) if len(values) else b"")
    return b"".join((header.tobytes(), *data))


def _unpacked(content: bytes, instructions: int) -> dict[str, np.ndarray]:
    """The columns of a piece of a program of so many instructions. Raises ValueError where it holds other bytes."""
    at = len(NAMES) * HEADER.itemsize
    header = np.frombuffer(content[:at], HEADER)
    if len(header) != len(NAMES) or np.any(header["stored"] >= len(STORED)):
        raise ValueError("a piece has no table of its columns")
    columns = {}
    for name, count, kind in zip(NAMES, header["count"].tolist(), header["stored"].tolist()):
        size = count * STORED[kind].itemsize
        if at + size > len(content):
            raise ValueError(f"a piece ends within its column {name}")
        values = from_planes(content[at : at + size], STORED[kind], count) if count else np.empty(0, STORED[kind])
        if name in DIFFERENCED:
            values = np.cumsum(values, dtype=np.int64)
        wide = np.dtype(np.uint32 if instructions > 1 << 16 else np.uint16)
        columns[name] = values.astype(COLUMNS[name] or wide, copy=False)
        at += size
    if at != len(content):
        raise ValueError("a piece is longer than its columns")
    return columns
