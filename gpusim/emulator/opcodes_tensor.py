"""Handlers of matrix instructions (see opcodes.py)."""

from __future__ import annotations

from gpusim.emulator import tensor
from gpusim.emulator.binding import Handler, Instruction, UnknownInstruction
from gpusim.sass.program import OPERAND_SELECTORS

FLOATS = {"F16": tensor.F16, "BF16": tensor.BF16, "TF32": tensor.TF32}
INTEGERS = {"S8": tensor.S8, "U8": tensor.U8, "S4": tensor.S4, "U4": tensor.U4}
# Shape modifier to rows of A and depth; B always has 8 columns.
HMMA_SHAPES = {"1684": (16, 4), "1688": (16, 8), "16816": (16, 16), "16832": (16, 32)}
IMMA_SHAPES = {"8816": (8, 16), "8832": (8, 32), "16816": (16, 16), "16832": (16, 32), "16864": (16, 64),
               "168128": (16, 128)}  # fmt: skip
BMMA_SHAPES = {"88128": (8, 128), "168128": (16, 128), "168256": (16, 256)}
DMMA_SHAPES = {"884": (8, 4), "8x8x4": (8, 4), "16x8x4": (16, 4), "16x8x8": (16, 8), "16x8x16": (16, 16)}
DEPTHS = {tensor.F16: (8, 16), tensor.BF16: (8, 16), tensor.TF32: (4, 8)}
"""Depths of dense HMMA; sparse ones are twice as deep."""
SELECTORS = {1: 4, 2: 2, 4: 1}
"""Lanes of every four that hold metadata of a sparse A, to the number of choices of such lanes."""


def shape(i: Instruction, shapes: dict[str, tuple[int, int]]) -> tuple[int, int]:
    """Take the shape modifier; sets and returns the rows of A and the depth."""
    names = {name: k for k, name in enumerate(shapes)}
    rows, depth = list(shapes.values())[i.choice(names)]
    i.set(x=depth, scale=rows)
    return rows, depth


def fragments(i: Instruction) -> None:
    for slot, expected in (("a", "ROW"), ("b", "COL")):
        select = OPERAND_SELECTORS[int(i.sources[0].select)]
        if select not in ("", expected):
            raise UnknownInstruction(f"fragment in .{select} order")
        i.set(**{slot: i.register(i.next_source())})
    i.source("c", "plain", 8)


def sparse(i: Instruction, groups: int) -> None:
    """Take the metadata register and the selector of the lanes that hold it; `groups` of A in a row."""
    i.set(d=i.register(i.next_source()))
    selector = i.immediate()
    if selector >= SELECTORS[groups // 4]:
        raise UnknownInstruction(f"sparsity selector {selector}")
    i.set(offset=selector)
    i.row["z"] |= tensor.SPARSE


def hmma(i: Instruction) -> None:
    if i.flag("884"):
        hmma884(i)
        return
    zeros_left_out = i.flag("SP")
    _, depth = shape(i, HMMA_SHAPES)
    half = not i.flag("F32") and i.flag("F16")
    kind = i.choice(FLOATS, tensor.F16)
    if depth >> zeros_left_out not in DEPTHS[kind] or (half and kind != tensor.F16):
        raise UnknownInstruction("this shape with this element type")
    i.set(op=tensor.HMMA, y=kind, z=kind | (tensor.HALF_RESULT if half else 0))
    i.destination(2 if half else 4)
    fragments(i)
    if zeros_left_out:
        sparse(i, depth // (2 if kind == tensor.TF32 else 4))


def hmma884(i: Instruction) -> None:
    """A step of Turing's 8x8x4 products; result format, then that of C."""
    half = i.choice({"F32": 0, "F16": 1}) == 1
    half_addend = i.choice({"F32": 0, "F16": 1}) == 1
    step = i.choice({"STEP0": 0, "STEP1": 1, "STEP2": 2, "STEP3": 3})
    if half and (step > 1 or not half_addend):
        raise UnknownInstruction("this step with a float16 result")
    flags = (tensor.HALF_RESULT if half else 0) | (tensor.HALF_ADDEND if half_addend else 0)
    i.destination(2)
    for slot, usual, flag in (("a", "ROW", tensor.COLUMN_A), ("b", "COL", tensor.ROW_B)):
        order = OPERAND_SELECTORS[int(i.sources[0].select)]
        if order not in ("ROW", "COL"):
            raise UnknownInstruction("a fragment without .ROW or .COL")
        flags |= flag if order != usual else 0
        i.set(**{slot: i.register(i.next_source())})
    i.source("c", "plain", 2)
    i.set(op=tensor.HMMA884, x=step, z=flags)


def imma(i: Instruction) -> None:
    zeros_left_out = i.flag("SP")
    rows, depth = shape(i, IMMA_SHAPES)
    kinds = [i.choice(INTEGERS), i.choice(INTEGERS)]
    bits = 8 if kinds[0] in (tensor.S8, tensor.U8) else 4
    deepest = 256 // bits << zeros_left_out
    if depth not in (deepest, deepest // 2) or (rows == 8 and (zeros_left_out or depth == deepest)):
        raise UnknownInstruction("this shape with these element types")
    i.set(op=tensor.IMMA, y=kinds[0], z=kinds[1] | (tensor.SATURATE if i.flag("SAT") else 0))
    i.destination(rows // 4)
    fragments(i)
    if zeros_left_out:
        sparse(i, depth * bits // 32)


def bmma(i: Instruction) -> None:
    rows, _ = shape(i, BMMA_SHAPES)
    i.set(op=tensor.BMMA, z=i.choice({"XOR": 0, "AND": tensor.BITS_AND}))
    if not i.flag("POPC"):
        raise UnknownInstruction(".POPC is missing")
    i.destination(rows // 4)
    fragments(i)


def dmma(i: Instruction) -> None:
    rows, _ = shape(i, DMMA_SHAPES)
    i.set(op=tensor.DMMA)
    i.destination(rows // 2)
    fragments(i)


def movm(i: Instruction) -> None:
    if not i.flag("16") or not i.flag("MT88"):
        raise UnknownInstruction("a form other than .16.MT88")
    i.set(op=tensor.MOVM)
    i.destination()
    i.source("a")


TENSOR_HANDLERS: dict[str, Handler] = {"HMMA": hmma, "IMMA": imma, "BMMA": bmma, "DMMA": dmma, "MOVM": movm}
