"""Handlers of integer instructions (see opcodes.py)."""

from __future__ import annotations

from gpusim.emulator import integer
from gpusim.emulator.binding import BOOLEANS, INTEGER_FORMATS, Handler, Instruction, UnknownInstruction

INTEGER_COMPARES = {"F": 0, "LT": 1, "EQ": 2, "LE": 3, "GT": 4, "NE": 5, "GE": 6, "T": 7}
PRMT_MODES = {"IDX": 0, "F4E": 1, "B4E": 2, "RC8": 3, "ECL": 4, "ECR": 5, "RC16": 6}


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


def viadd(i: Instruction) -> None:
    if not i.flag("16x2"):
        iadd3(i)
        return
    i.set(op=integer.ADD_HALVES, x=i.bare_sign(0), y=i.bare_sign(1))
    i.destination()
    i.source("a")
    i.source("b")


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


def vector_limit(operands: int) -> Handler:
    """VIMNMX and its kin: a and b, a, b and c, or a + b and c (`operands` of integer.py)."""

    def handler(i: Instruction) -> None:
        kind = i.choice({"U32": 0, "S32": 1, "U16x2": 2, "S16x2": 3}, 1)
        relu = integer.VECTOR_RELU if i.flag("RELU") else 0
        i.set(op=integer.VECTOR_LIMIT, x=kind | relu, y=operands)
        i.destination()
        if i.predicate_destinations() and operands != integer.TWO:
            raise UnknownInstruction("a predicate result of three operands")
        for slot in "ab" if operands == integer.TWO else "abc":
            i.source(slot, "plain" if kind >= 2 else "int")
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
    less = not high and bool(i.sources) and i.bare_sign(0)
    i.set(op=integer.LEA_HI if high else integer.LEA, z=int(sign or less))
    i.destination()
    i.predicate_destinations()
    i.source("a")
    negated = i.source("b", "inverted")
    if high and not sign:
        i.source("c")
    i.set(x=i.immediate() & 31, y=int((negated or less) and not extended))
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


INTEGER_HANDLERS: dict[str, Handler] = {
    "IADD3": iadd3, "UIADD3": iadd3, "VIADD": viadd, "IMAD": imad, "UIMAD": imad, "MOV": mov, "UMOV": mov,
    "LOP3": lop3, "ULOP3": lop3, "ISETP": isetp, "UISETP": isetp, "IMNMX": imnmx, "VIMNMX": vector_limit(integer.TWO),
    "VIADDMNMX": vector_limit(integer.SUM_AND_ONE), "VIMNMX3": vector_limit(integer.THREE),
    "SEL": sel, "USEL": sel, "LEA": lea, "ULEA": lea, "SHF": shf, "USHF": shf, "PRMT": prmt, "UPRMT": prmt,
    "POPC": unary(integer.POPC), "UPOPC": unary(integer.POPC), "BREV": unary(integer.BREV),
    "UBREV": unary(integer.BREV), "IABS": unary(integer.IABS, "int"), "FLO": flo, "UFLO": flo,
    "SGXT": sgxt, "USGXT": sgxt, "BMSK": bmsk, "UBMSK": bmsk, "IDP": idp, "VABSDIFF": vabsdiff, "VABSDIFF4": vabsdiff,
}  # fmt: skip
