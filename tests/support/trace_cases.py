"""Small programs and chunks for tests: hand-made, so that they need neither compiler nor emulator."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gpusim.constants import EXPLICIT, MemorySpace
from gpusim.sass.program import INSTRUCTION_DTYPE, OPERAND_DTYPE, Program
from gpusim.trace.pieces import cut_of, packed_piece, pieces_of
from gpusim.trace.trace import MEMORY_RECORD_DTYPE, ChunkList, CtaChunk, CutCta, Launch, Trace

SPACES = (MemorySpace.NONE, MemorySpace.GLOBAL, MemorySpace.SHARED, MemorySpace.GLOBAL_TO_SHARED, MemorySpace.NONE)
OPCODES = ("FFMA", "LDG.E", "LDS.128", "LDGSTS.E", "EXIT")


def make_program(name: str = "toy") -> Program:
    """One instruction per entry of OPCODES, without operands."""
    instructions = np.zeros(len(OPCODES), INSTRUCTION_DTYPE)
    instructions["pc"] = 16 * np.arange(len(OPCODES))
    instructions["opcode"] = np.arange(len(OPCODES))
    instructions["space"] = SPACES
    instructions["guard"], instructions["write_counter"], instructions["read_counter"] = 7, 7, 7
    instructions["stall"] = 1
    text = tuple(f"{opcode} R0 ;" for opcode in OPCODES)
    operands = np.zeros(1, OPERAND_DTYPE)
    return Program(name, 86, instructions, operands, OPCODES, (), text, {3: b"\x01\x02"}, registers=32)


def make_chunk(
    program: Program,
    rng: np.random.Generator,
    first_cta: int,
    cta_count: int,
    warps_per_cta: int,
    length: int = 40,
    anywhere: bool = False,
) -> CtaChunk:
    """Random streams of up to `length` instructions per warp, with both forms of addresses and all kinds of masks.

    anywhere: addresses are any numbers of 64 bits, not only those that a GPU has.
    """
    counts = rng.integers(0, length + 1, cta_count * warps_per_cta)
    starts = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    index = rng.integers(0, len(program), starts[-1]).astype(np.uint16)
    mask = rng.choice(np.array([0, 1, 0x80000000, 0xFFFFFFFF, 0x0F0F00F0], np.uint32), starts[-1])
    per_instruction = program.address_counts[index]
    before = np.concatenate(([0], np.cumsum(per_instruction, dtype=np.int64)))
    masks = np.repeat(mask, per_instruction)
    records = np.zeros(len(masks), MEMORY_RECORD_DTYPE)
    on = masks != 0
    explicit = on & (rng.random(len(masks)) < 0.5)
    lowest, highest = (-(1 << 62), 1 << 62) if anywhere else (1 << 12, 1 << 48)
    records["start"] = np.where(on, rng.integers(lowest, highest, len(masks)), 0)
    records["stride"] = np.where(on, rng.integers(-64, 64, len(masks)), 0)
    lanes = np.where(explicit, np.bitwise_count(masks), 0).astype(np.int64)
    records["start"][explicit] = (np.cumsum(lanes) - lanes)[explicit]
    records["stride"][explicit] = EXPLICIT
    lowest, highest = (np.iinfo(np.int64).min, np.iinfo(np.int64).max) if anywhere else (0, 1 << 49)
    addresses = rng.integers(lowest, highest, int(lanes.sum()))
    return CtaChunk(first_cta, cta_count, starts, index, mask, before[starts], records, addresses)


def make_trace(
    seed: int = 0,
    chunks: int = 3,
    ctas_per_chunk: int = 2,
    warps_per_cta: int = 2,
    length: int = 40,
    anywhere: bool = False,
) -> Trace:
    """A launch of `chunks` random chunks, as `make_chunk`."""
    program, rng = make_program(), np.random.default_rng(seed)
    parts = tuple(
        make_chunk(program, rng, n * ctas_per_chunk, ctas_per_chunk, warps_per_cta, length, anywhere)
        for n in range(chunks)
    )
    grid, block = (chunks * ctas_per_chunk, 1, 1), (32 * warps_per_cta, 1, 1)
    return Trace((Launch(program, grid, block, 1024, ChunkList(parts), {"arguments": "n=4"}),), {"source": "toy.sass"})


def assert_same_chunk(a: CtaChunk, b: CtaChunk) -> None:
    """Every field equal, dtypes included."""
    assert (a.first_cta, a.cta_count) == (b.first_cta, b.cta_count)
    for name in ("instruction_start", "index", "mask", "record_start", "records", "addresses"):
        x, y = getattr(a, name), getattr(b, name)
        assert x.dtype == y.dtype, name
        np.testing.assert_array_equal(x, y, err_msg=name)


def cut_launch(launch: Launch, longest: int) -> Launch:
    """The same launch with every CTA in pieces of `longest` instructions at most."""
    pieces: dict[int, list[tuple[int, CtaChunk]]] = {cta: [] for cta in range(launch.cta_count)}
    for chunk in launch.chunks():
        for stream, piece in pieces_of(launch.program, chunk, longest):
            cta, warp = divmod(stream, launch.warps_per_cta)
            pieces[chunk.first_cta + cta].append((warp, replace(piece, first_cta=chunk.first_cta + cta)))
    return replace(launch, source=ChunkList(tuple(_cut(launch, cta, own) for cta, own in pieces.items())))


def _cut(launch: Launch, cta: int, own: list[tuple[int, CtaChunk]]) -> CutCta:
    warp = np.array([warp for warp, _ in own], np.int64)
    return _packed(launch.program, (cta, launch.warps_per_cta), warp, [piece for _, piece in own])


def cut_of_pieces(program: Program, cut: CutCta, pieces: list[CtaChunk]) -> CutCta:
    """The first pieces of a long CTA, changed."""
    return _packed(program, (cut.cta, cut.warps), cut.warp[: len(pieces)], pieces)


def _packed(program: Program, cta: tuple[int, int], warp: np.ndarray, pieces: list[CtaChunk]) -> CutCta:
    instructions = np.array([piece.warp_instructions for piece in pieces], np.int64)
    packed = [packed_piece(program, piece) for piece in pieces]
    return cut_of(program, *cta, (warp, instructions), packed.__getitem__)


def in_pieces(trace: Trace, longest: int) -> Trace:
    """The same trace with all CTAs in pieces."""
    return replace(trace, launches=tuple(cut_launch(launch, longest) for launch in trace.launches))
