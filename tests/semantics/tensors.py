"""Matrix instructions: whole matrices from the lanes' fragments, multiplied by NumPy in exact or wide arithmetic."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from semantics.draw import MASK, Draw, Drawn, Lane, Wrote

Lanes = Sequence[Lane]


def fragment(lanes: Lanes, first: int, rows: int, depth: int, bits: int) -> np.ndarray:
    """(rows, depth) bit patterns of A, or of B given by columns, as the PTX ISA places them for mma.sync."""
    each = 32 // bits
    result = np.zeros((rows, depth), np.int64)
    for row in range(rows):
        for k in range(depth):
            lane = 4 * (row % 8) + k // each % 4
            register = first + row // 8 + rows // 8 * (k // (4 * each))
            result[row, k] = lanes[lane].words[register] >> bits * (k % each) & ((1 << bits) - 1)
    return result


def place(k: int, j: int) -> tuple[int, int]:
    """Row and column of element j of C in lane k."""
    return k // 4 + 8 * (j // 2), 2 * (k % 4) + j % 2


def floats(patterns: np.ndarray, kind: str) -> np.ndarray:
    if kind == "F16":
        return patterns.astype(np.uint16).view(np.float16).astype(np.float64)
    if kind == "BF16":
        return (patterns << 16).astype(np.uint32).view(np.float32).astype(np.float64)
    return (patterns & 0xFFFFE000).astype(np.uint32).view(np.float32).astype(np.float64)


TAMED = {"F16": 0xBBFFBBFF, "BF16": 0xBFFFBFFF, "TF32": 0xBFFFFFFF}
"""Masks that clear the highest exponent bit of every element, so that sums neither overflow nor are NaN."""


def tamed(lanes: Lanes, kind: str) -> Lanes:
    return [Lane(tuple(word & TAMED[kind] for word in lane.words), lane.number) for lane in lanes]


SHAPES = {"F16": (("1688", 8), ("16816", 16)), "BF16": (("1688", 8), ("16816", 16)), "TF32": (("1684", 4), ("1688", 8))}


def hmma(d: Draw) -> Drawn:
    """A from R8, B from R12; C is RZ, so that the only rounding is that of the result."""
    kind = d.one_of("F16", "BF16", "TF32") if d.architecture >= 80 else "F16"
    shape, depth = d.one_of(*SHAPES[kind]) if d.architecture >= 80 else ("1688", 8)

    def meaning(lanes: Lanes, k: int, active: int) -> Wrote:
        bits = 32 if kind == "TF32" else 16
        a, b = (floats(fragment(tamed(lanes, kind), *p, depth, bits), kind) for p in ((0, 16), (4, 8)))
        sums = (a @ b.T).astype(np.float32)
        return Wrote(tuple(int(sums[place(k, j)].view(np.uint32)) for j in range(4)))

    suffix = "" if kind == "F16" else f".{kind}"
    masked = [f"LOP3.LUT R{k}, R{k}, {TAMED[kind]:#x}, RZ, 0xc0, !PT" for k in range(8, 16)]
    text = " ;\n".join([*masked, f"HMMA.{shape}.F32{suffix} R16, R8, R12, RZ"])
    return Drawn(text, meaning, warp=True, guarded=False)


def imma(d: Draw) -> Drawn:
    shape, rows, depth, bits = d.one_of(("8816", 8, 16, 8), ("16816", 16, 16, 8), ("16832", 16, 32, 8),
                                        ("8832", 8, 32, 4), ("16832", 16, 32, 4), ("16864", 16, 64, 4))  # fmt: skip
    if d.architecture < 80:
        shape, rows, depth, bits = d.one_of(("8816", 8, 16, 8), ("8832", 8, 32, 4))
    left, right, saturates = d.one_of("S", "U"), d.one_of("S", "U"), d.chance(0.3)

    def numbers(patterns: np.ndarray, kind: str) -> np.ndarray:
        return np.where(patterns >> (bits - 1) & 1, patterns - (1 << bits), patterns) if kind == "S" else patterns

    def meaning(lanes: Lanes, k: int, active: int) -> Wrote:
        a = numbers(fragment(lanes, 0, rows, depth, bits), left)
        b = numbers(fragment(lanes, 4, 8, depth, bits), right)
        sums = a @ b.T
        results = []
        for j in range(rows // 4):
            word = lanes[k].words[j]
            total = int(sums[place(k, j)]) + (word - (1 << 32) if word >> 31 else word)
            results.append((min(max(total, -(1 << 31)), (1 << 31) - 1) if saturates else total) & MASK)
        return Wrote(tuple(results))

    name = f"IMMA.{shape}.{left}{bits}.{right}{bits}{'.SAT' if saturates else ''}"
    return Drawn(f"{name} R16, R8.ROW, R12.COL, R8", meaning, warp=True, guarded=False)


def bmma(d: Draw) -> Drawn:
    shape, rows, depth = d.one_of(("88128", 8, 128), ("168128", 16, 128), ("168256", 16, 256))
    operation = d.one_of("XOR", "AND")
    if d.architecture < 80:
        shape, rows, depth, operation = "88128", 8, 128, "XOR"

    def meaning(lanes: Lanes, k: int, active: int) -> Wrote:
        a, b = fragment(lanes, 0, rows, depth, 1), fragment(lanes, 4, 8, depth, 1)
        results = []
        for j in range(rows // 4):
            row, column = place(k, j)
            both = a[row] ^ b[column] if operation == "XOR" else a[row] & b[column]
            results.append((int(both.sum()) + lanes[k].words[j]) & MASK)
        return Wrote(tuple(results))

    text = f"BMMA.{shape}.{operation}.POPC R16, R8.ROW, R12.COL, R8"
    return Drawn(text, meaning, warp=True, guarded=False)


DRAWS = (hmma, imma, bmma)
