"""Matrix instructions: whole matrices from the lanes' fragments, multiplied by NumPy in exact or wide arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from semantics import ieee
from semantics.draw import MASK, Draw, Drawn, Lane, Wrote, pair

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


TAMED = {"F16": (0xBBFFBBFF, 0), "BF16": (0xBFFFBFFF, 0x3C003C00), "TF32": (0xBFFFFFFF, 0x3C000000)}
"""Bits that every element keeps and gets: below 2, and of the wide formats from 2^-7, so that sums in float64 are exact."""


def tamed(lanes: Lanes, kind: str) -> Lanes:
    kept, set_ = TAMED[kind]
    return [Lane(tuple(word & kept | set_ for word in lane.words), lane.number) for lane in lanes]


def taming(kind: str) -> list[str]:
    """The instructions that do so to R8..R15."""
    kept, set_ = TAMED[kind]
    lines = [f"LOP3.LUT R{k}, R{k}, {kept:#x}, RZ, 0xc0, !PT" for k in range(8, 16)]
    return lines + [f"LOP3.LUT R{k}, R{k}, {set_:#x}, RZ, 0xfc, !PT" for k in range(8, 16)]


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
    masked = taming(kind)
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


def hmma_half(d: Draw) -> Drawn:
    """As hmma, with results packed as float16."""
    shape, depth = d.one_of(("1688", 8), ("16816", 16)) if d.architecture >= 80 else ("1688", 8)

    def meaning(lanes: Lanes, k: int, active: int) -> Wrote:
        a, b = (floats(fragment(tamed(lanes, "F16"), *p, depth, 16), "F16") for p in ((0, 16), (4, 8)))
        words = (a @ b.T).astype(np.float16).view(np.uint16)
        low, high = ([int(words[place(k, j + n)]) for n in (0, 1)] for j in (0, 2))
        return Wrote((low[1] << 16 | low[0], high[1] << 16 | high[0]))

    masked = taming("F16")
    text = " ;\n".join([*masked, f"HMMA.{shape}.F16 R16, R8, R12, RZ"])
    return Drawn(text, meaning, warp=True, guarded=False)


SPARSE = (
    ("HMMA.SP.16816.F32", "F16", 16, 16), ("HMMA.SP.16832.F32", "F16", 32, 16), ("HMMA.SP.16816.F32.BF16", "BF16", 16, 16),
    ("HMMA.SP.16832.F32.BF16", "BF16", 32, 16), ("HMMA.SP.1688.F32.TF32", "TF32", 8, 32),
    ("HMMA.SP.16816.F32.TF32", "TF32", 16, 32), ("IMMA.SP.16832", "S8", 32, 8), ("IMMA.SP.16864", "S8", 64, 8),
    ("IMMA.SP.16864", "S4", 64, 4), ("IMMA.SP.168128", "S4", 128, 4),
)  # fmt: skip
"""Opcode, element kind, depth and bits of an element of the products with a 2:4 sparse A."""
CHOICES = (0x4, 0x8, 0xC, 0x9, 0xD, 0xE)
"""Four bits of metadata: the positions of the two kept elements of four, the lower one in the low bits."""


def nibble(word_of: Callable[[int], int], row: int, group: int, bits: int, lanes: int, selector: int) -> int:
    """The metadata of a group: 16-bit and TF32 elements: four groups of two rows per lane; others: eight of one row."""
    first = 4 * (row % 8) + selector * lanes
    if bits >= 16:
        return word_of(first + group // 4) >> 16 * (row // 8) + 4 * (group % 4) & 15
    return word_of(first + 2 * (group // 8) + row // 8) >> 4 * (group % 8) & 15


def dense(kept: np.ndarray, depth: int, bits: int, metadata: Callable[[int, int], int]) -> np.ndarray:
    """A with its zeros: of four elements (4-bit ones in pairs) two are kept, of two TF32 elements one."""
    full = np.zeros((16, depth), np.int64)
    pairs = 2 if bits == 4 else 1
    groups = depth // (2 if bits == 32 else 4 * pairs)
    for row in range(16):
        for group in range(groups):
            choice = metadata(row, group)
            if bits == 32:
                full[row, 2 * group + (choice == 0xE)] = kept[row, group]
                continue
            for n, position in enumerate((choice & 3, choice >> 2)):
                source, target = (2 * group + n) * pairs, (4 * group + position) * pairs
                full[row, target : target + pairs] = kept[row, source : source + pairs]
    return full


def sparse(d: Draw) -> Drawn:
    """A from R8, B from R12, metadata in R20: one of two words, by P0, so that lanes differ."""
    opcode, kind, depth, bits = d.one_of(*SPARSE)
    groups = depth // (2 if bits == 32 else 8 if bits == 4 else 4)
    lanes_used = groups // 4
    selector = d.number(0, {1: 3, 2: 1, 4: 0}[lanes_used])
    choices = (0x4, 0xE) if bits == 32 else CHOICES
    words = [sum(d.one_of(*choices) << 4 * k for k in range(8)) for _ in range(2)]
    integers = kind[0] == "S"
    left, right, saturates = d.one_of("S", "U"), d.one_of("S", "U"), d.one_of("", ".SAT")  # C is 0: nothing to saturate
    if integers:
        opcode += f".{left}{bits}.{right}{bits}{saturates}"

    def meaning(lanes: Lanes, k: int, active: int) -> Wrote:
        inputs = lanes if integers else tamed(lanes, kind)

        def metadata(row: int, group: int) -> int:
            return nibble(lambda lane: words[not lanes[lane].predicate(0)], row, group, bits, lanes_used, selector)

        a = dense(fragment(inputs, 0, 16, depth // 2, bits), depth, bits, metadata)
        b = fragment(inputs, 4, 8, depth, bits)
        if integers:
            a = np.where(a >> (bits - 1) & 1, a - (1 << bits), a) if left == "S" else a
            b = np.where(b >> (bits - 1) & 1, b - (1 << bits), b) if right == "S" else b
            sums = (a @ b.T & MASK).astype(np.uint32)
        else:
            sums = (floats(a, kind) @ floats(b, kind).T).astype(np.float32).view(np.uint32)
        return Wrote(tuple(int(sums[place(k, j)]) for j in range(4)))

    masked = [] if integers else taming(kind)
    a, b = ("R8.ROW", "R12.COL") if integers else ("R8", "R12")
    lines = [*masked, f"MOV R20, {words[1]:#x}", f"@P0 MOV R20, {words[0]:#x}"]
    text = " ;\n".join([*lines, f"{opcode} R16, {a}, {b}, RZ, R20, {selector:#x}"])
    return Drawn(text, meaning, warp=True, guarded=False)


def dmma(d: Draw) -> Drawn:
    """FP64 8x8x4: products added to C one after another."""

    def meaning(lanes: Lanes, k: int, active: int) -> Wrote:
        def double(lane: int, first: int) -> int:
            return lanes[lane].words[first] | lanes[lane].words[first + 1] << 32

        words: list[int] = []
        for j in range(2):
            total = double(k, 4 + 2 * j)
            for t in range(4):
                total = ieee.fma(ieee.DOUBLE, double(4 * (k // 4) + t, 0), double(4 * (2 * (k % 4) + j) + t, 2), total)
            words += pair(total)
        return Wrote(tuple(words))

    name = "DMMA.8x8x4" if d.architecture >= 90 else "DMMA.884"
    return Drawn(f"{name} R16, R8, R10, R12", meaning, warp=True, guarded=False)


def place884(k: int, step: int, j: int, half: bool) -> tuple[int, int]:
    """Row and column of element j of a step's result (PTX ISA, mma.m8n8k4)."""
    upper = 4 * (k >= 16)
    if half:
        return k % 4 + upper, 4 * step + j
    i = 2 * step + j
    return (k & 1) + (i & 2) + upper, (i & 4) + (k & 2) + (i & 1)


def hmma884(d: Draw) -> Drawn:
    """Turing's 8x8x4 products of four groups of lanes, one step; A in R8, B in R10, C in R12."""
    half, half_addend = d.one_of((True, True), (False, True), (False, False))
    step = d.number(0, 1 if half else 3)
    orders = d.one_of("ROW", "COL"), d.one_of("ROW", "COL")

    def element(lanes: Lanes, k: int, first: int, line: int, inner: int, by_line: bool) -> float:
        """Element (line, inner) of A, or of B by columns: a lane holds a line, or one inner index of four lines."""
        lane, n = (line % 4, inner) if by_line else (inner, line % 4)
        word = lanes[16 * (line >= 4) + 4 * (k % 16 // 4) + lane].words[first + n // 2]
        return float(np.uint16(word >> 16 * (n % 2) & 0xFFFF).view(np.float16))

    def addend(lanes: Lanes, k: int, row: int, column: int, j: int) -> float:
        if not half_addend:
            return float(np.uint32(lanes[k].words[4 + j]).view(np.float32))
        word = lanes[16 * (row >= 4) + 4 * (k % 16 // 4) + row % 4].words[4 + column % 4 // 2]
        return float(np.uint16(word >> 16 * (column % 2) & 0xFFFF).view(np.float16))

    def meaning(lanes: Lanes, k: int, active: int) -> Wrote:
        lanes, results = tamed(lanes, "F16"), []
        for j in range(4 if half else 2):
            row, column = place884(k, step, j, half)
            terms = [addend(lanes, k, row, column, j)]
            for n in range(4):
                left = element(lanes, k, 0, row, n, orders[0] == "ROW")
                terms.append(left * element(lanes, k, 2, column, n, orders[1] == "COL"))
            results.append(math.fsum(terms))
        if not half:
            return Wrote(tuple(int(np.float32(value).view(np.uint32)) for value in results))
        words = [int(np.float64(value).astype(np.float16).view(np.uint16)) for value in results]
        return Wrote((words[1] << 16 | words[0], words[3] << 16 | words[2]))

    kind = f"{'F16' if half else 'F32'}.{'F16' if half_addend else 'F32'}"
    masked = taming("F16")
    text = f"HMMA.884.{kind}.STEP{step} R16, R8.{orders[0]}, R10.{orders[1]}, R12"
    return Drawn(" ;\n".join([*masked, text]), meaning, warp=True, guarded=False)


DRAWS = (hmma, imma, bmma, hmma_half, sparse, dmma)
DRAWS_75 = (hmma, imma, bmma, hmma_half, hmma884)
DRAWS_90 = (sparse, dmma)
