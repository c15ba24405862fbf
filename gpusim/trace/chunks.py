"""A CtaChunk as columns of blocks: what can be derived is left out, addresses of one instruction lie together.

Left out: `record_start` (from the instructions and Program.address_counts), records of instructions with mask 0
(base and stride 0 by definition) and the place of explicit addresses (they follow each other). A record's base, or the
first of its explicit addresses, is grouped by static instruction before it is differenced: a loop's accesses then
differ by a constant. The other explicit addresses become differences between lanes, which repeat from record to record.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gpusim.constants import ADDRESS_SPACE, EXPLICIT, WARP_SIZE
from gpusim.sass.program import Program
from gpusim.trace.blocks import BlockReader, BlockWriter, differences
from gpusim.trace.trace import MEMORY_RECORD_DTYPE, CtaChunk

COLUMNS = {
    "warp_instructions": np.dtype("<i8"), "index": None, "mask": np.dtype("<u4"), "explicit": np.dtype("|u1"),
    "base": np.dtype("<i8"), "stride": np.dtype("<i8"), "lanes": np.dtype("<i8"),
}  # fmt: skip
"""Columns of a chunk and what they are made of; the index is of 16 or of 32 bits."""


DIFFERENCED = ("base",)
"""Columns of which differences of neighbours are stored."""


def write_chunk(writer: BlockWriter, program: Program, warps_per_cta: int, chunk: CtaChunk) -> dict[str, Any]:
    """Append a chunk; returns its index entry. Raises ValueError where the chunk contradicts itself or the program."""
    columns = chunk_columns(program, warps_per_cta, chunk)
    return {
        "first_cta": int(chunk.first_cta),
        "cta_count": int(chunk.cta_count),
        "warp_instructions": chunk.warp_instructions,
        "columns": {name: writer.write(column, delta=name in DIFFERENCED) for name, column in columns.items()},
    }


def chunk_columns(program: Program, warps_per_cta: int, chunk: CtaChunk) -> dict[str, np.ndarray]:
    """What is stored of a chunk, by the names of COLUMNS. Raises ValueError as `write_chunk`."""
    _check_streams(program, warps_per_cta, chunk)
    owner, slot = _record_owners(program, chunk.index)
    _check_records(chunk, owner)
    masks = chunk.mask[owner]
    executed = masks != 0
    explicit = chunk.records["stride"] == EXPLICIT
    begin = _explicit_start(masks, explicit)
    base, lanes = chunk.records["start"].copy(), differences(chunk.addresses)
    base[explicit], lanes[begin[explicit]] = chunk.addresses[begin[explicit]], 0
    order = _grouped(slot, executed)
    return {
        "warp_instructions": np.diff(chunk.instruction_start),
        "index": chunk.index,
        "mask": chunk.mask,
        "explicit": explicit[order].view(np.uint8),
        "base": base[order],
        "stride": chunk.records["stride"][order[~explicit[order]]],
        "lanes": lanes,
    }


def read_chunk(reader: BlockReader, program: Program, warps_per_cta: int, entry: Mapping[str, Any]) -> CtaChunk:
    """Inverse of `write_chunk`. Raises GpusimError where the file does not hold what its index says, and ValueError
    where the columns contradict each other or the program."""
    columns = {name: reader.read(entry["columns"][name], dtype) for name, dtype in COLUMNS.items()}
    return chunk_of(program, warps_per_cta, entry, columns)


def chunk_of(
    program: Program, warps_per_cta: int, entry: Mapping[str, Any], columns: Mapping[str, np.ndarray]
) -> CtaChunk:
    """Inverse of `chunk_columns`; `entry` says first CTA, CTAs and warp instructions. Raises ValueError as
    `read_chunk`."""
    index, mask = columns["index"], columns["mask"]
    _check_lengths(program, warps_per_cta, entry, columns)
    starts = np.concatenate((np.zeros(1, np.int64), np.cumsum(columns["warp_instructions"], dtype=np.int64)))
    owner, slot = _record_owners(program, index)
    masks = mask[owner]
    order = _grouped(slot, masks != 0)
    _check_length(columns["explicit"], len(order), "marks of explicit addresses")
    _check_length(columns["base"], len(order), "bases of memory records")
    explicit = np.zeros(len(owner), bool)
    explicit[order] = columns["explicit"] != 0
    records = np.zeros(len(owner), MEMORY_RECORD_DTYPE)
    _check_length(columns["stride"], len(order) - int(explicit.sum()), "strides")
    if np.any(columns["stride"] == EXPLICIT):
        raise ValueError("a stride is the mark of explicit addresses")
    _check_length(columns["lanes"], int(np.bitwise_count(masks[explicit]).sum(dtype=np.int64)), "explicit addresses")
    records["start"][order] = columns["base"]
    records["stride"][order[~explicit[order]]] = columns["stride"]
    records["stride"][explicit] = EXPLICIT
    begin = _explicit_start(masks, explicit)[explicit]
    addresses = _addresses(columns["lanes"], begin, records["start"][explicit])
    records["start"][explicit] = begin
    return CtaChunk(
        first_cta=int(entry["first_cta"]),
        cta_count=int(entry["cta_count"]),
        instruction_start=starts,
        index=index,
        mask=mask,
        record_start=_record_start(program, index, starts),
        records=records,
        addresses=addresses,
    )


def wild_access(program: Program, chunk: CtaChunk) -> tuple[int, int] | None:
    """Static instruction and address of an access outside the address space of a GPU, None where there is none."""
    start, stride = chunk.records["start"], chunk.records["stride"]
    explicit = stride == EXPLICIT
    if _far_from_wild(start, np.where(explicit, 0, stride)) and _far_from_wild(chunk.addresses):
        return None
    counts = program.address_counts[chunk.index]
    masks = np.repeat(chunk.mask, counts)
    lowest = np.bitwise_count((masks & -masks) - np.uint32(1)).astype(np.int64)
    highest = np.frexp(masks.astype(np.float64))[1] - 1
    wild = (stride < -ADDRESS_SPACE) | (stride > ADDRESS_SPACE)
    with np.errstate(over="ignore"):
        for lane in (lowest, highest):
            address = start + stride * lane
            wild |= (address < 0) | (address >= ADDRESS_SPACE)
    wild &= (masks != 0) & ~explicit
    beyond = (chunk.addresses < 0) | (chunk.addresses >= ADDRESS_SPACE)
    if np.any(beyond):
        place = int(np.argmax(beyond))
        ends = np.cumsum(np.where(explicit, np.bitwise_count(masks), 0), dtype=np.int64)
        record, address = int(np.searchsorted(ends, place, "right")), chunk.addresses[place]
    elif np.any(wild):
        record = int(np.argmax(wild))
        address = start[record]
    else:
        return None
    return int(np.repeat(chunk.index, counts)[record]), int(address)


def _far_from_wild(start: np.ndarray, stride: np.ndarray | int = 0) -> bool:
    """Whether no lane of a warp could leave the address space, whichever of these starts had whichever stride."""
    if not start.size:
        return True
    reach = (WARP_SIZE - 1) * int(np.max(stride)), (WARP_SIZE - 1) * int(np.min(stride))
    return int(start.min()) + min(0, *reach) >= 0 and int(start.max()) + max(0, *reach) < ADDRESS_SPACE


def _record_owners(program: Program, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Per memory record: which executed instruction it belongs to, and its static slot (instruction and operand)."""
    counts = program.address_counts[index]
    owner = np.repeat(np.arange(len(index)), counts)
    which = np.zeros(len(owner), np.int64)
    which[1:] = owner[1:] == owner[:-1]  # at most two records per instruction
    slot = 2 * index[owner].astype(np.int64) + which
    return owner, slot.astype(np.uint16) if 2 * len(program) <= 1 << 16 else slot


def _record_start(program: Program, index: np.ndarray, instruction_start: np.ndarray) -> np.ndarray:
    """(warps + 1,) offsets into records."""
    before = np.concatenate((np.zeros(1, np.int64), np.cumsum(program.address_counts[index], dtype=np.int64)))
    return before[instruction_start]


def _explicit_start(masks: np.ndarray, explicit: np.ndarray) -> np.ndarray:
    """Per record: where its addresses begin if those of all explicit records follow each other."""
    lanes = np.where(explicit, np.bitwise_count(masks), 0).astype(np.int64)
    return np.cumsum(lanes) - lanes


def _addresses(lanes: np.ndarray, begin: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Explicit addresses from differences between lanes (0 where a record begins) and each record's first address."""
    if not len(begin):
        return lanes
    last = first + np.add.reduceat(lanes, begin)
    lanes[begin] = first
    lanes[begin[1:]] -= last[:-1]
    return np.cumsum(lanes)


def _grouped(slot: np.ndarray, executed: np.ndarray) -> np.ndarray:
    """Executed records ordered by static slot, otherwise as they were. A radix sort for 16-bit slots."""
    kept = np.flatnonzero(executed)
    return kept[np.argsort(slot[kept], kind="stable")]


def _check_length(column: np.ndarray, wanted: int, what: str) -> None:
    if len(column) != wanted:
        raise ValueError(f"{len(column)} {what} where the instructions have {wanted}")


def _check_lengths(
    program: Program, warps_per_cta: int, entry: Mapping[str, Any], columns: Mapping[str, np.ndarray]
) -> None:
    """The streams of a stored chunk: as many warps and instructions as its index says, of the program's."""
    index, counts = columns["index"], columns["warp_instructions"]
    if index.dtype.str not in ("<u2", "<u4"):
        raise ValueError(f"the index is of {index.dtype}")
    _check_length(counts, entry["cta_count"] * warps_per_cta, "warp streams")
    _check_length(index, entry["warp_instructions"], "indices")
    _check_length(columns["mask"], len(index), "masks")
    if (len(counts) and (counts.min() < 0 or counts.max() > len(index))) or counts.sum() != len(index):
        raise ValueError(f"the warps' streams do not add up to {len(index)} instructions")
    if len(index) and int(index.max()) >= len(program):
        raise ValueError(f"instruction index {int(index.max())} of a program of {len(program)}")


def _check_streams(program: Program, warps_per_cta: int, chunk: CtaChunk) -> None:
    starts = chunk.instruction_start
    if chunk.cta_count < 1 or len(starts) != chunk.cta_count * warps_per_cta + 1:
        raise ValueError(
            f"a chunk of {chunk.cta_count} CTAs of {warps_per_cta} warps has {len(starts) - 1} warp streams"
        )
    if starts[0] != 0 or starts[-1] != len(chunk.index) or np.any(np.diff(starts) < 0):
        raise ValueError("instruction_start does not ascend from 0 to the number of instructions")
    if len(chunk.mask) != len(chunk.index):
        raise ValueError(f"{len(chunk.mask)} masks for {len(chunk.index)} instructions")
    if len(chunk.index) and int(chunk.index.max()) >= len(program):
        raise ValueError(f"instruction index {int(chunk.index.max())} of a program of {len(program)}")
    if not np.array_equal(chunk.record_start, _record_start(program, chunk.index, starts)):
        raise ValueError("record_start disagrees with Program.address_counts")


def _check_records(chunk: CtaChunk, owner: np.ndarray) -> None:
    if len(chunk.records) != len(owner):
        raise ValueError(f"{len(chunk.records)} memory records where the instructions have {len(owner)}")
    masks = chunk.mask[owner]
    off = chunk.records[masks == 0]
    if np.any(off["start"]) or np.any(off["stride"]):
        raise ValueError("a memory record of an instruction with mask 0 is not zero")
    explicit = chunk.records["stride"] == EXPLICIT
    if not np.array_equal(chunk.records["start"][explicit], _explicit_start(masks, explicit)[explicit]):
        raise ValueError("the explicit addresses of records do not follow each other")
    if len(chunk.addresses) != (lanes := int(np.bitwise_count(masks[explicit]).sum(dtype=np.int64))):
        raise ValueError(f"{len(chunk.addresses)} explicit addresses where the masks have {lanes} lanes")
