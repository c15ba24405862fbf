"""Handlers of memory instructions (see opcodes.py)."""

from __future__ import annotations

from gpusim.constants import MemorySpace
from gpusim.emulator import atomics, control, integer, memory
from gpusim.emulator.binding import Handler, Instruction, UnknownInstruction
from gpusim.sass.program import PT, RZ, URZ, OperandKind

HINTS = (
    "E", "SYS", "GPU", "SM", "CTA", "STRONG", "WEAK", "CONSTANT", "PRIVATE", "EF", "EL", "LU", "EU", "NA", "U",
    "LTC64B", "LTC128B", "LTC256B", "BYPASS", "ACCESS",
)  # fmt: skip
"""Modifiers without effect on values: address size, scope, ordering and cache policy."""
SIZES = {"U8": 1, "S8": 1, "U16": 2, "S16": 2, "32": 4, "64": 8, "128": 16}
OPERATIONS = {
    "ADD": atomics.ADD, "MIN": atomics.MIN, "MAX": atomics.MAX, "AND": atomics.AND, "OR": atomics.OR,
    "XOR": atomics.XOR,
    "EXCH": atomics.EXCH, "CAS": atomics.CAS, "INC": atomics.INC, "DEC": atomics.DEC,
}  # fmt: skip
TYPES = {
    "U32": atomics.U32, "S32": atomics.S32, "32": atomics.U32, "U64": atomics.U64, "S64": atomics.S64,
    "64": atomics.U64,
    "F32": atomics.F32, "F64": atomics.F64, "F16x2": atomics.F16X2, "BF16x2": atomics.BF16X2,
}  # fmt: skip


def address(i: Instruction) -> None:
    """Take the memory or constant operand: register, uniform register, scale and offset."""
    found = [k for k, o in enumerate(i.sources) if o.kind in (OperandKind.MEMORY, OperandKind.CONSTANT)]
    if not found:
        raise UnknownInstruction("an address is missing")
    operand = i.sources.pop(found[0])
    wide = 0
    if operand.register != RZ:
        i.set(a=int(operand.register))
        wide |= 1 if operand.width == 2 else 0
    if operand.uniform != URZ:
        i.set(b=i.binding.uniform_row + int(operand.uniform))
        wide |= 2 if operand.uniform_width == 2 else 0
    i.set(offset=int(operand.immediate), scale=max(int(operand.scale), 1), wide=wide)


def size(i: Instruction) -> int:
    """Take the size modifier, set bytes and sign extension; words of the register operand."""
    i.set(x=int("S8" in i.modifiers or "S16" in i.modifiers))
    count = i.choice(SIZES, 4)
    if i.static.space not in (MemorySpace.NONE, i.row["access"]) or i.static.access_bytes not in (0, count):
        raise UnknownInstruction("the opcode table gives this form another space or size")
    i.set(bytes=count)
    return max(count // 4, 1)


def load(space: int) -> Handler:
    def handler(i: Instruction) -> None:
        i.flag(*HINTS)
        i.set(op=memory.LOAD, access=space)
        words = size(i)
        i.predicates_out = [p for p in i.predicates_out if p.register != 7]
        i.destination(words)
        address(i)

    return handler


def store(space: int) -> Handler:
    def handler(i: Instruction) -> None:
        i.flag(*HINTS)
        i.set(op=memory.STORE, access=space)
        words = size(i)
        address(i)
        i.source("c", "plain", words)

    return handler


def load_constant(i: Instruction) -> None:
    """LDC and ULDC: a known place is a literal; an indexed one is read when it runs."""
    operand = i.sources[0]
    if operand.kind != OperandKind.CONSTANT or operand.bank not in range(5):
        raise UnknownInstruction("a constant bank that is not c[0] to c[4]")
    known = operand.register == RZ and operand.uniform == URZ and i.static.space == MemorySpace.NONE
    i.set(access=MemorySpace.CONSTANT, z=int(operand.bank))
    words = size(i)
    i.destination(words)
    if known and i.row["bytes"] in (4, 8):
        i.set(op=integer.MOV if words == 1 else integer.MOV64, bytes=0)
        i.source("a", "plain", words)
    else:
        i.set(op=memory.LOAD)
        address(i)


def arrive(i: Instruction) -> None:
    """ATOMS.ARRIVE.64 and ARRIVES.LDGSTSBAR.64: an arrival at an mbarrier. Copies are complete when it runs."""
    i.flag("LDGSTSBAR")
    i.set(op=memory.ARRIVE, access=MemorySpace.SHARED)
    if size(i) != 2:
        raise UnknownInstruction("a barrier that has not 64 bits")
    i.destination(2)
    address(i)


def query_space(i: Instruction) -> None:
    """QSPC: whether a generic address is a shared, local or global one; .D, another CTA's shared memory, never."""
    i.flag("E")
    spaces = {"S": MemorySpace.SHARED, "L": MemorySpace.LOCAL, "G": MemorySpace.GLOBAL, "D": MemorySpace.NONE}
    i.set(op=memory.QSPC, x=i.choice(spaces))
    i.predicate_destinations()
    i.destination()
    if i.row["destination_words"]:
        raise UnknownInstruction("a register result")
    address(i)


def atomic(space: int) -> Handler:
    def handler(i: Instruction) -> None:
        i.flag(*HINTS, "RN", "FTZ")
        if i.flag("ARRIVE"):
            arrive(i)
            return
        i.set(op=memory.ATOMIC, access=space)
        if i.flag("POPC"):
            i.flag("INC")
            operation = atomics.ADD_ONE
        elif i.flag("CAST"):
            i.flag("SPIN", "CAS")
            operation = atomics.CAST_SPIN
        else:
            operation = i.choice(OPERATIONS)
        kind = i.choice(TYPES, atomics.U32)
        double = kind in (atomics.U64, atomics.S64, atomics.F64)
        if kind >= atomics.F32 and operation not in (atomics.ADD, atomics.EXCH):
            raise UnknownInstruction("this operation on floating-point numbers")
        i.set(x=operation, y=kind, bytes=8 if double else 4)
        if i.predicate_destinations() and (space != MemorySpace.GENERIC or i.row["q"] != PT):
            raise UnknownInstruction("a predicate result of this atomic")
        i.destination(2 if double else 1)
        address(i)
        for slot in "cd"[: len(i.sources)]:
            i.source(slot, "plain", 2 if double else 1)

    return handler


def ldgsts(i: Instruction) -> None:
    """Copy from the second address (global) to the first (shared); lanes whose predicate is false fill with zeros."""
    i.flag(*HINTS)
    i.set(op=memory.LDGSTS, access=MemorySpace.GLOBAL, bytes=i.choice(SIZES, 4), y=int(i.flag("ZFILL")))
    shared, source = [i.sources.pop(0) for _ in range(2)]
    if shared.kind != OperandKind.MEMORY or source.kind != OperandKind.MEMORY or source.scale > 1:
        raise UnknownInstruction("two addresses are needed, the second unscaled")
    if shared.register != RZ:
        i.set(a=int(shared.register))
    if shared.uniform != URZ:
        i.set(b=i.binding.uniform_row + int(shared.uniform))
    i.set(offset=int(shared.immediate), scale=max(int(shared.scale), 1), z=int(source.immediate))
    if source.register != RZ:
        i.set(c=int(source.register))
    if source.uniform != URZ:
        i.set(d=i.binding.uniform_row + int(source.uniform))
    i.set(wide=int(source.width == 2) | int(source.uniform_width == 2) << 1)
    i.predicate("in0")


def matrices(i: Instruction) -> None:
    """LDSM and STSM: 8x8 matrices of 16-bit elements, each row named by a lane."""
    i.flag("16")
    transposed = i.choice({"M88": 0, "MT88": 1})
    count = i.choice({"1": 1, "2": 2, "4": 4}, 1)
    i.set(op=memory.LDSM if i.base == "LDSM" else memory.STSM, access=MemorySpace.SHARED, x=count, y=transposed)
    i.destination(count)
    address(i)
    if i.base == "STSM":
        i.source("c", "plain", count)


def cache_control(i: Instruction) -> None:
    """CCTL: with an address it is recorded, without one it does nothing."""
    if i.static.space == MemorySpace.NONE:
        i.set(op=control.NOP)
        for operands in (i.sources, i.destinations, i.modifiers):
            operands.clear()
        return
    i.modifiers.clear()
    i.set(op=memory.TOUCH, access=i.static.space)
    address(i)


_S = MemorySpace

MEMORY_HANDLERS = {
    "LDG": load(_S.GLOBAL), "LD": load(_S.GENERIC), "LDS": load(_S.SHARED), "LDL": load(_S.LOCAL),
    "STG": store(_S.GLOBAL), "ST": store(_S.GENERIC), "STS": store(_S.SHARED), "STL": store(_S.LOCAL),
    "LDC": load_constant, "ULDC": load_constant,
    "ATOMG": atomic(_S.GLOBAL), "RED": atomic(_S.GLOBAL), "REDG": atomic(_S.GLOBAL), "ATOM": atomic(_S.GENERIC),
    "ATOMS": atomic(_S.SHARED), "ARRIVES": arrive, "QSPC": query_space,
    "LDGSTS": ldgsts, "LDSM": matrices, "STSM": matrices, "CCTL": cache_control, "CCTLL": cache_control,
}  # fmt: skip
