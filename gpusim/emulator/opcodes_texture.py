"""Handlers of texture and surface instructions (see opcodes.py).

Their forms, read off machine code of nvcc 13.5: `TEX.SCR.LL Rc, Rd, Ra, Rb, bank, word, shape, channels`. Channels that
the last operand names (all four without it) are packed; the first two come from Rd on, the others from Rc on. The
coordinates and, with .LL, a level of detail follow each other, half of them from Ra on, the rest from Rb on. The handle
is a constant, whose bank and place in words are named, on sm_90 a uniform register, or with .B the first register of
Rb.
"""

from __future__ import annotations

from gpusim.emulator import memory, state
from gpusim.emulator.binding import ConstantOperand, Handler, Instruction, UnknownInstruction
from gpusim.emulator.texture import IGNORE, TO_EDGE, TRAP
from gpusim.sass.operands import TEXTURE_SHAPES
from gpusim.sass.program import RZ, OperandKind

DIMENSIONS = {"1D": 1, "2D": 2, "3D": 3}
ALL_CHANNELS = 0xF
WHOLE, GATHER, CHANNEL_SHIFT = 1, 2, 4
"""Bits of z: coordinates are whole numbers; four texels of one channel, whose number stands from CHANNEL_SHIFT on."""
SURFACE_BYTES = {"U8": 1, "S8": 1, "U16": 2, "S16": 2, "32": 4, "64": 8, "128": 16}
HINTS = ("SCR", "NODEP", "D", "BA", "STRONG", "WEAK", "SM", "CTA", "GPU", "SYS", "E")
"""Modifiers without effect on values: who waits for the result, that addresses are in bytes, scope and ordering."""


def _numbers(i: Instruction) -> list[int]:
    """Take the numbers at the end of the operands."""
    first = len(i.sources)
    while first and i.sources[first - 1].kind == OperandKind.IMMEDIATE:
        first -= 1
    numbers = [int(operand.immediate) for operand in i.sources[first:]]
    i.sources = i.sources[:first]
    return numbers


def _handle(i: Instruction, numbers: list[int]) -> list[int]:
    """Take the handle in a constant, or for sm_90 in a uniform register with 0 behind it; returns the other numbers."""
    for k, operand in enumerate(i.sources):
        if operand.kind == OperandKind.UNIFORM_REGISTER:
            i.set(d=i.register(i.sources.pop(k)))
            if numbers[0]:
                raise UnknownInstruction("a number behind the handle")
            return numbers[1:]
    bank, word, *others = numbers
    constant = ConstantOperand(bank, 4 * word, 1, state.PLAIN, 0, 0, 0)
    i.set(d=i.binding.literals.constant_row(constant, constant.value(i.binding.banks)))
    return others


def _shape(number: int) -> int:
    """Dimensions. Raises UnknownInstruction for layers and cubes."""
    name = TEXTURE_SHAPES[number]
    if name not in DIMENSIONS:
        raise UnknownInstruction(f"texture shape {name}")
    return DIMENSIONS[name]


def _results(i: Instruction, channels: int) -> None:
    """Take both destinations: the second named one gets the first two channels."""
    count = channels.bit_count()
    others = i.destinations.pop(0)
    i.destination(min(count, 2))
    i.set(target=int(others.register) if others.register != RZ and count > 2 else -1)


def texture(whole: bool = False, gathers: bool = False) -> Handler:
    """A read through a texture: by number (`whole`), or of four texels (`gathers`), else by coordinates."""

    def handler(i: Instruction) -> None:
        i.flag(*HINTS)
        bindless = i.flag("B")
        level = i.flag("LL", "LB")
        i.flag("LZ")
        numbers = _numbers(i)
        if not bindless:
            numbers = _handle(i, numbers)
        dimensions, channels = _shape(numbers[0]), numbers[1] if len(numbers) > 1 else ALL_CHANNELS
        words = dimensions + level + bindless
        z = WHOLE if whole else 0
        if gathers:
            z |= GATHER | i.choice({"R": 0, "G": 1, "B": 2, "A": 3}, 0) << CHANNEL_SHIFT
        i.set(op=memory.TEXTURE, x=dimensions, y=channels, z=z, wide=(words + 1) // 2, scale=int(bindless))
        i.source("a")
        if words > 1 or i.sources:
            i.source("b")
        if bindless:
            i.set(d=i.row["b"])
        _results(i, channels)

    return handler


def gradient(i: Instruction) -> None:
    """TXD: with derivatives, which choose among levels of detail, of which there is one."""
    i.flag(*HINTS)
    numbers = _handle(i, _numbers(i))
    dimensions = _shape(numbers[0])
    channels = numbers[1] if len(numbers) > 1 else ALL_CHANNELS
    i.set(op=memory.TEXTURE, x=dimensions, y=channels, wide=dimensions)
    i.source("a")
    i.next_source()
    _results(i, channels)


def surface(op: int) -> Handler:
    """SULD and SUST: bytes as they are, at a place in bytes, rows and planes."""

    def handler(i: Instruction) -> None:
        i.flag(*HINTS)
        outside = TRAP if i.flag("TRAP") else IGNORE if i.flag("IGN") else TO_EDGE
        dimensions = i.choice(DIMENSIONS)
        size = i.choice(SURFACE_BYTES, 4)
        numbers = _numbers(i)
        if numbers:
            _handle(i, numbers)
        i.set(op=op, x=dimensions, y=outside, bytes=size)
        place = next((k for k, o in enumerate(i.sources) if o.kind == OperandKind.MEMORY), None)
        if place is None:
            raise UnknownInstruction("an address is missing")
        i.set(a=int(i.sources.pop(place).register))
        if op == memory.SURFACE_STORE:
            i.source("c", "plain", max(size // 4, 1))
        else:
            i.destination(max(size // 4, 1))
        if not numbers:
            i.source("d")

    return handler


TEXTURE_HANDLERS = {
    "TEX": texture(), "TLD": texture(whole=True), "TLD4": texture(gathers=True), "TXD": gradient,
    "SULD": surface(memory.SURFACE_LOAD), "SUST": surface(memory.SURFACE_STORE),
}  # fmt: skip
