"""Runs one instruction on many operand sets: a hand-written program loads them, executes it, stores what it wrote.

Each thread takes eight words into R8..R15; the low bits of R15 become P0, P1, P2. The instruction under test writes
R16..R19 and P3, P4 (false before).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gpusim.emulator.buffers import GlobalMemory
from gpusim.emulator.machine import prepare
from gpusim.emulator.tracing import run
from gpusim.sass.assembler import assemble
from gpusim.sass.isa import load_isa
from gpusim.trace.trace import CtaChunk

FIELD = "[B------:R-:W-:-:S01] "
CORNERS = np.array(
    [0, 1, 2, 3, 31, 32, 33, 63, 64, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000,
     0x80000001, 0xFFFFFFFE, 0xFFFFFFFF, 0x3F800000, 0xBF800000, 0x7F800000, 0xFF800000, 0x7FC00000, 0x7F7FFFFF,
     0x00800000, 0x007FFFFF, 0x80000010, 0x4F000000, 0xCF000000, 0x5F000000, 0x33800000, 0x4B800001],
    np.uint32,
)  # fmt: skip
"""Words at the edges of integer and float32 formats: limits, NaN, infinities, subnormals, powers of two."""


def run_text(
    folder: Path,
    body: str,
    buffers: Mapping[str, np.ndarray],
    grid: int = 1,
    block: int = 32,
    architecture: int = 86,
    shared: int = 0,
) -> tuple[dict[str, np.ndarray], list[CtaChunk]]:
    """Assemble `body` (without control fields), run it on buffers whose addresses are its 64-bit parameters in order.

    Returns the final buffers and the chunks.
    """
    memory = GlobalMemory()
    addresses = [memory.add(name, contents) for name, contents in buffers.items()]
    lines = [line.strip() for line in body.strip().splitlines() if line.strip()]
    text = "".join(f"{line}\n" if line.endswith(":") else f"{FIELD}{line}\n" for line in lines)
    parameters = "".join(f".param p{k} uint64 {address}\n" for k, address in enumerate(addresses))
    path = folder / "case.sass"
    path.write_text(f".arch sm_{architecture}\n.kernel case\n.grid {grid}\n.block {block}\n{parameters}{text}")
    (kernel,) = assemble(path)
    arguments = b"".join(address.to_bytes(8, "little") for address in addresses)
    prepared = prepare(kernel.program, kernel.grid, kernel.block, shared, arguments, memory)
    chunks = list(run(prepared, memory))
    return dict(memory.contents()), chunks


@dataclass(frozen=True)
class Results:
    """What an instruction wrote, per case: registers (n, 4), and the two predicates."""

    registers: np.ndarray
    p: np.ndarray
    q: np.ndarray


def operands(seed: int, count: int = 512) -> np.ndarray:
    """(count, 8) words, about half of them corners."""
    generator = np.random.default_rng(seed)
    words = generator.integers(0, 1 << 32, (count, 8), dtype=np.uint32)
    corner = generator.choice(CORNERS, (count, 8))
    return np.where(generator.random((count, 8)) < 0.5, corner, words)


def run_cases(folder: Path, instruction: str, words: np.ndarray, architecture: int = 86) -> Results:
    """Run one instruction on every row of `words`, (n, 8) uint32 with n a multiple of 32."""
    base = load_isa(architecture).parameter_base
    body = f"""
    S2R R0, SR_TID.X ;
    S2R R1, SR_CTAID.X ;
    IMAD R0, R1, 0x20, R0 ;
    MOV R2, c[0x0][{base:#x}] ;
    MOV R3, c[0x0][{base + 4:#x}] ;
    MOV R4, 0x20 ;
    IMAD.WIDE R2, R0, R4, R2 ;
    MOV R6, c[0x0][{base + 8:#x}] ;
    MOV R7, c[0x0][{base + 12:#x}] ;
    IMAD.WIDE R6, R0, R4, R6 ;
    LDG.E.128 R8, [R2.64] ;
    LDG.E.128 R12, [R2.64+0x10] ;
    R2P PR, R15, 0x7 ;
    {instruction} ;
    P2R R24, PR, RZ, 0x7f ;
    STG.E.128 [R6.64], R16 ;
    STG.E [R6.64+0x10], R24 ;
    EXIT ;
    """
    buffers = {"in": words, "out": np.zeros((len(words), 8), np.uint32)}
    final, _ = run_text(folder, body, buffers, grid=len(words) // 32, architecture=architecture)
    out = final["out"]
    return Results(out[:, :4], (out[:, 4] >> 3) & 1 == 1, (out[:, 4] >> 4) & 1 == 1)


def s32(words: np.ndarray) -> np.ndarray:
    """Words as signed numbers in int64."""
    return words.view(np.int32).astype(np.int64)


def u32(words: np.ndarray) -> np.ndarray:
    """Words as unsigned numbers in int64."""
    return words.astype(np.int64)
