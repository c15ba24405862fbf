"""Handlers of matrix instructions (see opcodes.py)."""

from __future__ import annotations

from gpusim.emulator import tensor
from gpusim.emulator.decode import Handler, Instruction, UnknownInstruction
from gpusim.sass.program import OPERAND_SELECTORS

SHAPES = {
    "1684": (16, 4), "1688": (16, 8), "16816": (16, 16), "16832": (16, 32), "16864": (16, 64),
    "8816": (8, 16), "8832": (8, 32),
}  # fmt: skip
"""Shape modifier to rows of A and depth; B always has 8 columns."""
INTEGERS = {"S8": tensor.S8, "U8": tensor.U8, "S4": tensor.S4, "U4": tensor.U4}


def shape(i: Instruction) -> int:
    """Take the shape modifier; returns the rows of A."""
    names = {name: k for k, name in enumerate(SHAPES)}
    rows, depth = list(SHAPES.values())[i.choice(names)]
    i.set(x=depth, scale=rows)
    return rows


def fragments(i: Instruction) -> None:
    for slot, expected in (("a", "ROW"), ("b", "COL")):
        select = OPERAND_SELECTORS[int(i.sources[0].select)]
        if select not in ("", expected):
            raise UnknownInstruction(f"fragment in .{select} order")
        i.set(**{slot: i.register(i.next_source())})
    i.source("c", "plain", 4)


def hmma(i: Instruction) -> None:
    rows = shape(i)
    half = not i.flag("F32") and i.flag("F16")
    kind = i.choice({"F16": tensor.F16, "BF16": tensor.BF16, "TF32": tensor.TF32}, tensor.F16)
    if rows != 16 or i.row["x"] not in ((4, 8) if kind == tensor.TF32 else (8, 16)):
        raise UnknownInstruction("this shape with this element type")
    i.set(op=tensor.HMMA, y=kind, z=kind | (tensor.HALF_RESULT if half else 0))
    i.destination(2 if half else 4)
    fragments(i)


def imma(i: Instruction) -> None:
    rows = shape(i)
    kinds = [i.choice(INTEGERS), i.choice(INTEGERS)]
    i.set(op=tensor.IMMA, y=kinds[0], z=kinds[1] | (tensor.SATURATE if i.flag("SAT") else 0))
    i.destination(rows // 4)
    fragments(i)


TENSOR_HANDLERS: dict[str, Handler] = {"HMMA": hmma, "IMMA": imma}
