"""What each opcode's text means: one small handler per opcode, in the table HANDLERS.

A handler takes the modifiers and operands that it understands (see decode.Instruction) and names the operation of
compiled code that does the work. To add an opcode, add a handler and a row, and an operation where none fits.
"""

from __future__ import annotations

from collections.abc import Callable

from gpusim.emulator import control, convert, float32, float64, half, integer, special, warpwide
from gpusim.emulator.decode import Instruction, UnknownInstruction
from gpusim.emulator.opcodes_memory import MEMORY_HANDLERS
from gpusim.sass.program import OperandKind

Handler = Callable[[Instruction], None]

INTEGER_COMPARES = {"F": 0, "LT": 1, "EQ": 2, "LE": 3, "GT": 4, "NE": 5, "GE": 6, "T": 7}
FLOAT_COMPARES = {
    "F": 0, "LT": 1, "EQ": 2, "LE": 3, "GT": 4, "NE": 5, "GE": 6, "NUM": 7,
    "NAN": 8, "LTU": 9, "EQU": 10, "LEU": 11, "GTU": 12, "NEU": 13, "GEU": 14, "T": 15,
}  # fmt: skip
"""Compare modifier to the bits less, equal, greater, unordered."""
BOOLEANS = {"AND": 0, "OR": 1, "XOR": 2}
ROUNDINGS = {"RN": 0, "RM": 1, "RP": 2, "RZ": 3, "FLOOR": 1, "CEIL": 2, "TRUNC": 3}
INTEGER_FORMATS = {
    "U8": convert.U8, "S8": convert.S8, "U16": convert.U16, "S16": convert.S16,
    "U32": convert.U32, "S32": convert.S32, "U64": convert.U64, "S64": convert.S64,
}  # fmt: skip
FLOAT_FORMATS = {"F16": convert.F16, "F32": convert.F32, "F64": convert.F64, "BF16": convert.BF16}
MUFU_FUNCTIONS = {
    "RCP": float32.RCP, "RSQ": float32.RSQ, "SQRT": float32.SQRT, "EX2": float32.EX2, "LG2": float32.LG2,
    "SIN": float32.SIN, "COS": float32.COS, "TANH": float32.TANH, "RCP64H": float32.RCP64H, "RSQ64H": float32.RSQ64H,
}  # fmt: skip
PRMT_MODES = {"IDX": 0, "F4E": 1, "B4E": 2, "RC8": 3, "ECL": 4, "ECR": 5, "RC16": 6}


# ---- integer


def iadd3(i: Instruction) -> None:
    extended = i.flag("X")
    i.destination()
    carries = i.predicate_destinations()
    carry = extended or carries
    i.set(op=integer.IADD3_CARRY if carry else integer.IADD3)
    negated = [i.source(slot, "inverted" if carry else "int") for slot in "abc"[: len(i.sources)]]
    i.set(x=0 if extended else sum(negated))
    i.predicate("in0", default=False)
    i.predicate("in1", default=False)


def imad(i: Instruction) -> None:
    i.flag("MOV", "SHL", "IADD")  # spellings of the same operation
    wide, high, extended, unsigned = i.flag("WIDE"), i.flag("HI"), i.flag("X"), i.flag("U32")
    i.destination(2 if wide else 1)
    carries = i.predicate_destinations()
    i.set(x=int((wide or high) and not unsigned))
    i.source("a", "plain" if (wide or high) and unsigned else "int")
    i.source("b", "plain" if (wide or high) and unsigned else "int")
    if wide or high:
        i.source("c", "pair_inverted" if extended else "pair")
        i.set(op=integer.IMAD_WIDE if wide else integer.IMAD_HI)
    elif carries or extended:
        negated = i.source("c", "inverted")
        i.set(op=integer.IMAD_CARRY, x=int(negated and not extended))
    else:
        i.source("c", "int")
        i.set(op=integer.IMAD)
    i.predicate("in0", default=False)


def mov(i: Instruction) -> None:
    wide = i.flag("64")
    i.destination(2 if wide else 1)
    i.set(op=integer.MOV64 if wide else integer.MOV)
    i.source("a", "plain", 2 if wide else 1)


def lop3(i: Instruction) -> None:
    i.flag("LUT", "POR")
    i.set(op=integer.LOP3, y=int(i.flag("PAND")))
    i.predicate_destinations()
    i.destination()
    for slot in "abc":
        i.source(slot, "logic")
    i.set(x=i.immediate())
    i.predicate("in0", default=False)


def isetp(i: Instruction) -> None:
    extended, unsigned = i.flag("EX"), i.flag("U32")
    i.flag("S32")
    i.set(op=integer.ISETP, x=i.choice(INTEGER_COMPARES), y=int(not unsigned))
    i.set(z=i.choice(BOOLEANS, 0) + (4 if extended else 0))
    i.predicate_destinations()
    i.source("a", "int")
    i.source("b", "int")
    i.predicate("in0")
    i.predicate("in1")


def imnmx(i: Instruction) -> None:
    unsigned = i.flag("U32")
    i.flag("S32")
    i.set(op=integer.IMNMX, x=int(not unsigned))
    i.destination()
    i.predicate_destinations()
    i.source("a", "int")
    i.source("b", "int")
    i.predicate("in0")


def three_way(op: int) -> Handler:
    def handler(i: Instruction) -> None:
        unsigned = i.flag("U32")
        i.flag("S32")
        i.set(op=op, x=int(not unsigned))
        i.destination()
        i.predicate_destinations()
        for slot in "abc":
            i.source(slot, "int")
        i.predicate("in0")

    return handler


def sel(i: Instruction) -> None:
    i.set(op=integer.SEL)
    i.destination()
    i.source("a", "int")
    i.source("b", "int")
    i.predicate("in0")


def lea(i: Instruction) -> None:
    high, extended, sign = i.flag("HI"), i.flag("X"), i.flag("SX32")
    i.set(op=integer.LEA_HI if high else integer.LEA, z=int(sign))
    i.destination()
    i.predicate_destinations()
    i.source("a", "plain" if high else "int")
    negated = i.source("b", "inverted")
    if high and not sign:
        i.source("c")
    i.set(x=i.immediate() & 31, y=int(negated and not extended))
    i.predicate("in0", default=False)


def shf(i: Instruction) -> None:
    flags = integer.SHF_RIGHT if i.choice({"R": 1, "L": 0}) else 0
    flags |= integer.SHF_HIGH if i.flag("HI") else 0
    flags |= integer.SHF_WRAP if i.flag("W") else 0
    kind = i.choice({"U32": 0, "S32": 1, "U64": 2, "S64": 3}, 0)
    flags |= (integer.SHF_SIGNED if kind & 1 else 0) | (integer.SHF_64 if kind & 2 else 0)
    i.set(op=integer.SHF, x=flags)
    i.destination()
    for slot in "abc":
        i.source(slot, "logic")


def prmt(i: Instruction) -> None:
    i.set(op=integer.PRMT, x=i.choice(PRMT_MODES, 0))
    i.destination()
    for slot in "abc":
        i.source(slot)


def unary(op: int, kind: str = "logic") -> Handler:
    def handler(i: Instruction) -> None:
        i.set(op=op)
        i.destination()
        i.source("a", kind)

    return handler


def flo(i: Instruction) -> None:
    unsigned = i.flag("U32")
    i.set(op=integer.FLO, x=int(not unsigned), y=int(i.flag("SH")))
    i.destination()
    i.predicate_destinations()
    i.source("a", "logic")


def sgxt(i: Instruction) -> None:
    unsigned = i.flag("U32")
    i.set(op=integer.SGXT, x=int(not unsigned), y=int(i.flag("W")))
    i.flag("C")
    i.destination()
    i.source("a")
    i.source("b")


def bmsk(i: Instruction) -> None:
    i.set(op=integer.BMSK, y=int(i.flag("W")))
    i.flag("C")
    i.destination()
    i.source("a")
    i.source("b")


def idp(i: Instruction) -> None:
    count = i.choice({"4A": 4, "2A": 2})
    high = i.flag("HI")
    i.flag("LO")
    kinds = [name for name in i.modifiers if name in INTEGER_FORMATS]
    i.flag(*INTEGER_FORMATS)
    if len(kinds) != 2:
        raise UnknownInstruction("two element types are needed")
    i.set(op=integer.IDP, x=count, y=(kinds[0][0] == "S") | (kinds[1][0] == "S") << 1 | high << 2)
    i.destination()
    for slot in "abc":
        i.source(slot, "int" if slot == "c" else "plain")


def vabsdiff(i: Instruction) -> None:
    four = i.base == "VABSDIFF4"
    unsigned = i.flag("U8") if four else i.flag("U32")
    i.flag("S8") if four else i.flag("S32")
    i.set(op=integer.VABSDIFF4 if four else integer.VABSDIFF, x=int(not unsigned), y=int(i.flag("ACC")))
    i.destination()
    for slot in "abc":
        i.source(slot)


# ---- floating point


def float_flags(i: Instruction) -> int:
    """FTZ, SAT and rounding, taken from the modifiers, as x."""
    flags = (float32.FTZ if i.flag("FTZ") else 0) | (float32.SAT if i.flag("SAT") else 0)
    return flags | i.choice({"RN": 0, "RM": 1, "RP": 2, "RZ": 3}, 0) << float32.ROUND_SHIFT


def fused(op: int, directed: int, kind: str, one: tuple[int, ...]) -> Handler:
    """ADD, MUL and FMA of one precision; with a directed rounding all become a * b + c."""

    def handler(i: Instruction) -> None:
        flags = float_flags(i)
        i.set(x=flags)
        i.destination(2 if kind == "double" else 1)
        literal = i.binding.literals.row
        if not flags >> float32.ROUND_SHIFT:
            i.set(op=op)
            for slot in "abc"[: len(i.sources)]:
                i.source(slot, kind)
            return
        i.set(op=directed)
        i.source("a", kind)
        if i.base.endswith("ADD"):
            i.set(b=literal(*one))
            i.source("c", kind)
        elif i.base.endswith("MUL"):
            i.source("b", kind)
            i.set(c=literal(*(0,) * (len(one) - 1), 0x80000000))  # minus zero keeps the sign of a zero product
        else:
            i.source("b", kind)
            i.source("c", kind)

    return handler


def fmnmx(i: Instruction) -> None:
    i.set(op=float32.FMNMX, x=float32.FTZ if i.flag("FTZ") else 0, y=int(i.flag("NAN")))
    i.destination()
    i.source("a", "float")
    i.source("b", "float")
    i.predicate("in0")


def fsel(i: Instruction) -> None:
    i.set(op=float32.FSEL, x=float32.FTZ if i.flag("FTZ") else 0)
    i.destination()
    i.source("a", "float")
    i.source("b", "float")
    i.predicate("in0")


def float_compare(op: int, kind: str) -> Handler:
    def handler(i: Instruction) -> None:
        flags = (float32.FTZ if i.flag("FTZ") else 0) | (16 if i.flag("BF") else 0) | (32 if i.flag("H_AND") else 0)
        i.set(op=op, x=flags, y=i.choice(FLOAT_COMPARES), z=i.choice(BOOLEANS, 0))
        i.destination()
        i.predicate_destinations()
        i.source("a", kind)
        i.source("b", kind)
        i.predicate("in0")

    return handler


def fchk(i: Instruction) -> None:
    i.flag("DIVIDE")
    i.set(op=float32.FCHK)
    i.predicate_destinations()
    i.source("a", "float")
    i.source("b", "float")


def mufu(i: Instruction) -> None:
    i.set(op=float32.MUFU, y=i.choice(MUFU_FUNCTIONS), x=float32.SAT if i.flag("SAT") else 0)
    i.destination()
    i.source("a", "float")


# ---- conversions


def rounding_flags(i: Instruction) -> int:
    flags = (float32.FTZ if i.flag("FTZ") else 0) | (float32.SAT if i.flag("SAT") else 0)
    return flags | i.choice(ROUNDINGS, 0) << float32.ROUND_SHIFT


def float_source(i: Instruction, code: int) -> None:
    i.source("a", {convert.F64: "double", convert.F16: "element"}.get(code, "float"))


def f2i(i: Instruction) -> None:
    target, source = i.choice(INTEGER_FORMATS, convert.S32), i.choice(FLOAT_FORMATS, convert.F32)
    flags = rounding_flags(i) | (convert.NTZ if i.flag("NTZ") else 0)
    i.set(op=convert.F2I, x=flags, y=source, z=target)
    i.destination(2 if target >= convert.U64 else 1)
    float_source(i, source)


def i2f(i: Instruction) -> None:
    source, target = i.choice(INTEGER_FORMATS, convert.S32), i.choice(FLOAT_FORMATS, convert.F32)
    i.set(op=convert.I2F, x=rounding_flags(i), y=source, z=target)
    i.destination(2 if target == convert.F64 else 1)
    i.source("a", "pair" if source >= convert.U64 else "element" if source < convert.U32 else "int")


def f2f(i: Instruction) -> None:
    target = i.choice(FLOAT_FORMATS, convert.F32)
    source = i.choice(FLOAT_FORMATS, convert.F32)
    i.set(op=convert.F2F, x=rounding_flags(i), y=source, z=target)
    if convert.BF16 in (source, target):
        raise UnknownInstruction("conversion of bfloat16 with F2F")
    i.destination(2 if target == convert.F64 else 1)
    float_source(i, source)


def frnd(i: Instruction) -> None:
    kind = i.choice({"F32": convert.F32, "F64": convert.F64}, convert.F32)
    i.set(op=convert.FRND, x=rounding_flags(i), y=kind, z=kind)
    i.destination(2 if kind == convert.F64 else 1)
    float_source(i, kind)


def f2fp(i: Instruction) -> None:
    target = i.choice({"F16": convert.F16, "BF16": convert.BF16}, convert.F16)
    i.flag("F32", "PACK_AB", "RN")
    i.set(op=convert.F2FP, z=target)
    i.destination()
    i.source("a", "float")
    i.source("b", "float")


# ---- half precision


def half_arithmetic(op: int) -> Handler:
    def handler(i: Instruction) -> None:
        single = i.base == "HADD2" and i.flag("F32")
        i.flag("MMA")  # names the pipe, not the result
        i.set(op=half.HADD2_F32 if single else op, x=float32.SAT if i.flag("SAT") else 0)
        i.destination()
        for slot in "abc"[: 3 if op == half.HFMA2 else 2]:
            i.source(slot, "halves")

    return handler


def hmnmx2(i: Instruction) -> None:
    i.set(op=half.HMNMX2, y=int(i.flag("NAN")))
    i.destination()
    i.source("a", "halves")
    i.source("b", "halves")
    i.predicate("in0")


# ---- warp-wide and predicates


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
    i.flag("LUT")
    i.set(op=warpwide.PLOP3)
    i.predicate_destinations()
    for name in ("in0", "in1", "in2"):
        i.predicate(name)
    i.set(x=i.immediate(), y=i.immediate() if i.sources else 0)


def byte_position(i: Instruction) -> int:
    return i.choice({"B0": 0, "B1": 8, "B2": 16, "B3": 24}, 0)


def p2r(i: Instruction) -> None:
    i.set(op=warpwide.P2R, x=byte_position(i))
    i.predicates_in.clear()  # PR, all of them
    i.destination()
    i.source("a")
    i.source("b")


def r2p(i: Instruction) -> None:
    operand = i.sources[0]
    i.set(op=warpwide.R2P, x=byte_position(i))
    i.predicates_out.clear()  # PR
    if operand.select:
        i.source("a", "element")
    else:
        i.source("a")
    i.source("b")


def r2ur(i: Instruction) -> None:
    i.set(op=warpwide.R2UR)
    i.destination()
    i.source("a")


# ---- control


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


def jump_register(i: Instruction) -> None:
    """A target in a register, relative to a label or to the next instruction plus a number."""
    i.set(op=control.JUMP_REGISTER)
    i.source("a")
    if not i.sources:
        offset = i.pc + 16
    elif i.sources[0].kind == OperandKind.IMMEDIATE:
        number = i.immediate()
        offset = i.pc + 16 + (number - (1 << 32) if number >> 31 else number)
    else:
        offset = label(i)
    i.set(offset=offset)
    i.predicate("in0")


def branch(i: Instruction) -> None:
    i.flag("U", "REL", "NOINC", "NODEC", "INC", "DEC", "WARP")
    if i.flag("DIV"):
        i.set(op=control.BRA_DIV)
    elif i.flag("CONV"):
        i.set(op=control.BRA_CONV)
    elif len(i.sources) > 1 or (i.sources and i.sources[0].kind != OperandKind.LABEL):
        jump_register(i)
        return
    else:
        i.set(op=control.BRA)
    i.set(target=label(i) // 16)
    if i.sources:
        mask = i.next_source()
        i.set(a=i.register(mask), x=int(mask.invert))
    i.predicate("in0")


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
    i.set(op=control.WARPSYNC, x=16)
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


ONE32, ONE64 = (0x3F800000,), (0, 0x3FF00000)

HANDLERS: dict[str, Handler] = {
    # integer
    "IADD3": iadd3, "UIADD3": iadd3, "VIADD": iadd3, "IMAD": imad, "UIMAD": imad, "MOV": mov, "UMOV": mov,
    "LOP3": lop3, "ULOP3": lop3, "ISETP": isetp, "UISETP": isetp, "IMNMX": imnmx, "VIMNMX": imnmx,
    "VIADDMNMX": three_way(integer.VIADDMNMX), "VIMNMX3": three_way(integer.VIMNMX3),
    "SEL": sel, "USEL": sel, "LEA": lea, "ULEA": lea, "SHF": shf, "USHF": shf, "PRMT": prmt, "UPRMT": prmt,
    "POPC": unary(integer.POPC), "UPOPC": unary(integer.POPC), "BREV": unary(integer.BREV), "UBREV": unary(integer.BREV),
    "IABS": unary(integer.IABS, "int"), "FLO": flo, "UFLO": flo, "SGXT": sgxt, "USGXT": sgxt, "BMSK": bmsk, "UBMSK": bmsk,
    "IDP": idp, "VABSDIFF": vabsdiff, "VABSDIFF4": vabsdiff,
    # floating point
    "FADD": fused(float32.FADD, float32.FFMA_DIRECTED, "float", ONE32),
    "FMUL": fused(float32.FMUL, float32.FFMA_DIRECTED, "float", ONE32),
    "FFMA": fused(float32.FFMA, float32.FFMA_DIRECTED, "float", ONE32),
    "DADD": fused(float64.DADD, float64.DFMA, "double", ONE64),
    "DMUL": fused(float64.DMUL, float64.DFMA, "double", ONE64),
    "DFMA": fused(float64.DFMA, float64.DFMA, "double", ONE64),
    "FMNMX": fmnmx, "FSEL": fsel, "FSETP": float_compare(float32.FSETP, "float"),
    "FSET": float_compare(float32.FSET, "float"), "DSETP": float_compare(float64.DSETP, "double"),
    "FCHK": fchk, "MUFU": mufu,
    "HADD2": half_arithmetic(half.HADD2), "HMUL2": half_arithmetic(half.HMUL2), "HFMA2": half_arithmetic(half.HFMA2),
    "HMNMX2": hmnmx2, "HSETP2": float_compare(half.HSETP2, "halves"),
    # conversions
    "F2I": f2i, "I2F": i2f, "I2FP": i2f, "F2F": f2f, "FRND": frnd, "F2FP": f2fp,
    # warp-wide and predicates
    "VOTE": vote, "VOTEU": vote, "SHFL": shfl, "MATCH": match, "REDUX": redux, "PLOP3": plop3, "UPLOP3": plop3,
    "P2R": p2r, "R2P": r2p, "R2UR": r2ur,
    # control
    "NOP": nothing, "MEMBAR": nothing, "ERRBAR": nothing, "CGAERRBAR": nothing, "DEPBAR": nothing, "LDGDEPBAR": nothing,
    "PMTRIG": nothing, "YIELD": yield_, "NANOSLEEP": yield_, "BRA": branch, "JMP": branch, "CALL": branch, "RET": branch,
    "BRX": branch, "EXIT": exit_, "KILL": exit_, "BSSY": bssy, "BSYNC": bsync, "BREAK": break_, "WARPSYNC": warpsync,
    "BMOV": bmov, "BAR": bar, "B2R": b2r, "S2R": s2r, "S2UR": s2r, "CS2R": s2r,
    **MEMORY_HANDLERS,
}  # fmt: skip
