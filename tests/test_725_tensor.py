"""Matrix instructions: fragments placed by hand as the PTX ISA shows them, products by NumPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from emulator_cases import run_text

BODY = """
    S2R R0, SR_TID.X ;
    MOV R2, c[0x0][0x160] ;
    MOV R3, c[0x0][0x164] ;
    MOV R4, 0x30 ;
    IMAD.WIDE R2, R0, R4, R2 ;
    LDG.E.128 R8, [R2.64] ;
    LDG.E.128 R12, [R2.64+0x10] ;
    LDG.E.128 R16, [R2.64+0x20] ;
    {instruction} ;
    STG.E.128 [R2.64], R20 ;
    EXIT ;
"""


def distribute(matrix: np.ndarray, bits: int) -> np.ndarray:
    """(32 lanes, registers) words of A, or of B given by its columns; matrix holds unsigned bit patterns."""
    rows, depth = matrix.shape
    each = 32 // bits
    words = np.zeros((32, 4), np.uint32)
    for row in range(rows):
        for k in range(depth):
            lane, register = 4 * (row % 8) + k % (4 * each) // each, row // 8 + rows // 8 * (k // (4 * each))
            words[lane, register] |= np.uint32(int(matrix[row, k]) << bits * (k % each))
    return words


def lanes_of(matrix: np.ndarray) -> np.ndarray:
    """(32, 4) of C: rows g and g + 8, columns 2 t and 2 t + 1."""
    result = np.zeros((32, 4), matrix.dtype)
    for lane in range(32):
        for j in range(2 * len(matrix) // 8):
            result[lane, j] = matrix[lane // 4 + 8 * (j // 2), 2 * (lane % 4) + j % 2]
    return result


def run(folder: Path, instruction: str, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    words = np.concatenate([a, b, c], axis=1)
    return run_text(folder, BODY.format(instruction=instruction), {"data": words})[0]["data"][:, :4]


@pytest.mark.parametrize("depth", [8, 16])
def test_hmma_with_float_sums(tmp_path: Path, depth: int) -> None:
    generator = np.random.default_rng(depth)
    a, b = (
        generator.uniform(-2, 2, (16, depth)).astype(np.float16),
        generator.uniform(-2, 2, (8, depth)).astype(np.float16),
    )
    c = generator.uniform(-2, 2, (16, 8)).astype(np.float32)
    fragments = distribute(a.view(np.uint16), 16), distribute(b.view(np.uint16), 16)
    opcode = f"HMMA.{16}{8}{depth}.F32 R20, R8, R12, R16"
    actual = run(tmp_path, opcode, *fragments, lanes_of(c).view(np.uint32)).view(np.float32)
    exact = a.astype(np.float64) @ b.T.astype(np.float64) + c
    assert np.array_equal(actual, lanes_of(exact.astype(np.float32)))


def test_hmma_with_half_sums(tmp_path: Path) -> None:
    generator = np.random.default_rng(3)
    a, b = generator.uniform(-2, 2, (16, 16)).astype(np.float16), generator.uniform(-2, 2, (8, 16)).astype(np.float16)
    c = generator.uniform(-2, 2, (16, 8)).astype(np.float16)
    packed = lanes_of(c).view(np.uint32)
    padded = np.concatenate([packed, np.zeros((32, 2), np.uint32)], axis=1)
    fragments = distribute(a.view(np.uint16), 16), distribute(b.view(np.uint16), 16)
    actual = run(tmp_path, "HMMA.16816.F16 R20, R8, R12, R16", *fragments, padded)[:, :2]
    exact = a.astype(np.float64) @ b.T.astype(np.float64) + c
    assert np.array_equal(np.ascontiguousarray(actual).view(np.float16), lanes_of(exact.astype(np.float16)))


def test_hmma_of_bfloat16_and_tf32(tmp_path: Path) -> None:
    generator = np.random.default_rng(4)
    c = generator.uniform(-2, 2, (16, 8)).astype(np.float32)
    for opcode, depth, bits in (("HMMA.16816.F32.BF16", 16, 16), ("HMMA.1688.F32.TF32", 8, 32)):
        words = [generator.uniform(-2, 2, (rows, depth)).astype(np.float32).view(np.uint32) for rows in (16, 8)]
        kept = [word & np.uint32(0xFFFF0000 if bits == 16 else 0xFFFFE000) for word in words]
        fragments = [distribute(word >> np.uint32(32 - bits), bits) for word in words]
        actual = run(tmp_path, f"{opcode} R20, R8, R12, R16", *fragments, lanes_of(c).view(np.uint32))
        a, b = (word.view(np.float32).astype(np.float64) for word in kept)
        assert np.array_equal(actual.view(np.float32), lanes_of((a @ b.T + c).astype(np.float32))), opcode


@pytest.mark.parametrize(("shape", "rows", "depth"), [("8816", 8, 16), ("16816", 16, 16), ("16832", 16, 32)])
@pytest.mark.parametrize("kinds", ["S8.S8", "U8.S8", "S8.U8"])
def test_imma(tmp_path: Path, shape: str, rows: int, depth: int, kinds: str) -> None:
    generator = np.random.default_rng(rows + depth)
    left, right = (np.int8 if kind == "S8" else np.uint8 for kind in kinds.split("."))
    a, b = (
        generator.integers(0, 256, (rows, depth), dtype=np.uint8),
        generator.integers(0, 256, (8, depth), dtype=np.uint8),
    )
    c = generator.integers(-(1 << 31), 1 << 31, (rows, 8), dtype=np.int32)
    opcode = f"IMMA.{shape}.{kinds} R20, R8.ROW, R12.COL, R16"
    actual = run(tmp_path, opcode, distribute(a, 8), distribute(b, 8), lanes_of(c).view(np.uint32))
    exact = a.view(left).astype(np.int64) @ b.view(right).T.astype(np.int64) + c
    expected = lanes_of((exact & 0xFFFFFFFF).astype(np.uint32))
    assert np.array_equal(actual[:, : rows // 4], expected[:, : rows // 4])
