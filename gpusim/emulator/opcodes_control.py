"""Handlers of control, warp-wide and predicate instructions (see opcodes.py)."""

from __future__ import annotations

from gpusim.emulator import control, integer, special, warpwide
from gpusim.emulator.binding import Handler, Instruction, UnknownInstruction
from gpusim.emulator.opcodes_integer import mov
from gpusim.sass.program import OPERAND_SELECTORS, PT, OperandKind


def vote(i: Instruction) -> None:
    i.set(op=warpwide.VOTE, x=i.choice({"ALL": 0, "ANY": 1, "EQ": 2}))
    i.destination()
    i.predicate_destinations(uniform=i.base == "VOTEU")
    i.predicate("in0")


def shfl(i: Instruction) -> None:
    i.set(op=warpwide.SHFL, x=i.choice({"IDX": 0, "UP": 1, "DOWN": 2, "BFLY": 3}))
    i.predicate_destinations()
    i.destination()
    for slot in "abc":
        i.source(slot)


def match(i: Instruction) -> None:
    wide = i.flag("U64")
    i.set(op=warpwide.MATCH, x=i.choice({"ANY": 0, "ALL": 1}), y=int(wide))
    i.predicate_destinations()
    i.destination()
    i.source("a", "plain", 2 if wide else 1)


def redux(i: Instruction) -> None:
    operation = i.choice({"AND": 0, "OR": 1, "XOR": 2, "SUM": 3, "MIN": 4, "MAX": 5}, 0)
    i.set(op=warpwide.REDUX, x=operation, y=int(i.flag("S32")))
    i.flag("U32")
    i.destination()
    i.source("a")


def plop3(i: Instruction) -> None:
    """Three predicates, or signs of registers (`R4.SIGN`), in the order of the text."""
    i.flag("LUT")
    i.set(op=warpwide.PLOP3)
    i.predicate_destinations()
    positions = [int(o.position) for o in (*i.predicates_in, *i.sources)]
    signs = [int(o.position) for o in i.sources if OPERAND_SELECTORS[int(o.select)] == "SIGN"]
    for k, position in enumerate(sorted(positions)[:3]):
        if position not in signs:
            i.predicate(f"in{k}")
            continue
        i.drop("SIGN")
        i.source("abc"[k])
        i.row["z"] |= 1 << k
    i.set(x=i.immediate(), y=i.immediate() if i.sources else 0)


def byte_position(i: Instruction) -> int:
    return i.choice({"B0": 0, "B1": 8, "B2": 16, "B3": 24}, 0)


def p2r(i: Instruction) -> None:
    i.set(op=warpwide.P2R, x=byte_position(i), y=8 if i.base == "UP2UR" else 0)
    i.predicates_in.clear()  # PR, all of them
    i.destination()
    i.source("a")
    i.source("b")


def r2p(i: Instruction) -> None:
    operand = i.sources[0]
    i.set(op=warpwide.R2P, x=byte_position(i), y=8 if i.base == "UR2UP" else 0)
    i.row["uniform"] = i.base == "UR2UP"
    i.predicates_out.clear()  # PR
    if operand.select:
        i.source("a", "element")
    else:
        i.source("a")
    i.source("b")


def elect(i: Instruction) -> None:
    i.set(op=warpwide.ELECT)
    i.predicate_destinations()
    i.destination()
    i.set(uniform=0)  # the predicate is one of lanes; the uniform register gets the same number in all that execute
    i.predicates_in = [p for p in i.predicates_in if p.register != PT or p.negate]


def r2ur(i: Instruction) -> None:
    """With a predicate, which compiled code tests before it takes lanes with one mask together.

    No document says what it is; taken as set where the lanes' values differ. In all code seen (cooperative_groups on
    sm_80 and later) both ways behind it give the same.
    """
    i.set(op=warpwide.R2UR)
    i.predicate_destinations()
    i.destination()
    i.source("a")


def nothing(i: Instruction) -> None:
    """No effect on values: barriers of memory, waits, hints. Their operands do not matter."""
    i.set(op=control.NOP)
    for operands in (i.modifiers, i.sources, i.destinations, i.predicates_in, i.predicates_out):
        operands.clear()


def label(i: Instruction) -> int:
    """Take the label among the sources: byte offset. Raises UnknownInstruction if there is none."""
    for k, operand in enumerate(i.sources):
        if operand.kind == OperandKind.LABEL:
            return int(i.sources.pop(k).immediate)
    raise UnknownInstruction("a label is missing")


def jump_register(i: Instruction, absolute: bool) -> None:
    """A target in a register: absolute, or relative to a label or to the next instruction plus a number.

    Absolute addresses count from the kernel's first instruction, as LEPC gives them.
    """
    i.set(op=control.JUMP_REGISTER)
    i.source("a")
    if not i.sources:
        offset = 0 if absolute else i.pc + 16
    elif i.sources[0].kind == OperandKind.IMMEDIATE:
        number = i.immediate()
        offset = i.pc + 16 + (number - (1 << 32) if number >> 31 else number)
    else:
        offset = label(i)
    i.set(offset=offset)
    i.predicate("in0")


def branch(i: Instruction) -> None:
    i.flag("U", "REL", "NOINC", "NODEC", "INC", "DEC", "WARP")
    absolute = i.flag("ABS")
    if i.flag("DIV"):
        i.set(op=control.BRA_DIV)
    elif i.flag("CONV"):
        i.set(op=control.BRA_CONV)
    elif len(i.sources) > 1 or (i.sources and i.sources[0].kind != OperandKind.LABEL):
        jump_register(i, absolute)
        return
    else:
        i.set(op=control.BRA)
    i.set(target=label(i) // 16)
    if i.sources:
        mask = i.next_source()
        i.set(a=i.register(mask), x=int(mask.invert))
    i.predicate("in0")


def lepc(i: Instruction) -> None:
    """The instruction's own address, or that of a label; from it compiled code makes the return address of a call."""
    address = label(i) if i.sources else i.pc
    i.set(op=integer.MOV64, a=i.binding.literals.row(address, 0))
    i.destination(2)


def exit_(i: Instruction) -> None:
    i.set(op=control.EXIT)
    i.predicate("in0")


def barrier_number(i: Instruction) -> int:
    for operands in (i.destinations, i.sources):
        for k, operand in enumerate(operands):
            if operand.kind == OperandKind.BARRIER_REGISTER:
                return int(operands.pop(k).register)
    raise UnknownInstruction("a barrier register is missing")


def bssy(i: Instruction) -> None:
    i.set(op=control.BSSY, x=barrier_number(i))
    label(i)


def bsync(i: Instruction) -> None:
    i.set(op=control.BSYNC, x=barrier_number(i))


def break_(i: Instruction) -> None:
    i.set(op=control.BREAK, x=barrier_number(i))
    i.predicate("in0")


def warpsync(i: Instruction) -> None:
    """.EXCLUSIVE: lanes of one mask go on by themselves, as what follows them (REDUX) works on the running lanes."""
    i.set(op=control.WARPSYNC, x=16, y=int(i.flag("EXCLUSIVE")))
    if i.flag("COLLECTIVE") and label(i) != i.pc + 48:
        raise UnknownInstruction("a collective of more than one instruction")
    if i.flag("ALL"):
        i.set(a=i.binding.literals.row(0xFFFFFFFF))
    else:
        i.source("a", "logic")


def bmov(i: Instruction) -> None:
    i.flag("32", "CLEAR")  # a cleared barrier register is written again before it is used
    mov(i)


def bar(i: Instruction) -> None:
    i.flag("DEFER_BLOCKING", "SYNCALL")
    arrive = i.flag("ARV")
    kind = i.choice({"POPC": 1, "AND": 2, "OR": 3}) if i.flag("RED") else 0
    if not kind and not arrive and not i.flag("SYNC"):
        raise UnknownInstruction("one of .SYNC, .ARV, .RED is missing")
    i.set(op=control.BAR_ARRIVE if arrive else control.BAR_SYNC, x=kind)
    i.source("a")
    if i.sources:
        i.source("b")
    i.predicate("in0")


def trap(i: Instruction) -> None:
    nothing(i)
    i.set(op=control.TRAP)


def yield_(i: Instruction) -> None:
    nothing(i)
    i.set(op=control.YIELD)


def b2r(i: Instruction) -> None:
    i.choice({"RESULT": 0})
    i.set(op=control.B2R)
    i.destination()
    i.predicate_destinations()


def s2r(i: Instruction) -> None:
    wide = i.base == "CS2R" and not i.flag("32")
    name = i.special_registers[int(i.next_source().immediate)]
    if name not in special.NAMES:
        raise UnknownInstruction(f"special register {name}")
    i.set(op=control.S2R, x=special.NAMES[name])
    i.destination(2 if wide else 1)


CONTROL_HANDLERS: dict[str, Handler] = {
    "VOTE": vote, "VOTEU": vote, "SHFL": shfl, "MATCH": match, "REDUX": redux, "PLOP3": plop3, "UPLOP3": plop3,
    "P2R": p2r, "R2P": r2p, "UP2UR": p2r, "UR2UP": r2p, "R2UR": r2ur, "ELECT": elect, "BPT": trap,
    "NOP": nothing, "MEMBAR": nothing, "ERRBAR": nothing, "CGAERRBAR": nothing, "DEPBAR": nothing,
    "LDGDEPBAR": nothing, "PMTRIG": nothing, "ENDCOLLECTIVE": nothing, "YIELD": yield_, "NANOSLEEP": yield_,
    "BRA": branch, "JMP": branch, "CALL": branch, "RET": branch, "BRX": branch, "EXIT": exit_, "KILL": exit_,
    "LEPC": lepc,
    "BSSY": bssy, "BSYNC": bsync, "BREAK": break_, "WARPSYNC": warpsync, "BMOV": bmov, "BAR": bar,
    "B2R": b2r, "S2R": s2r, "S2UR": s2r, "CS2R": s2r,
}  # fmt: skip
