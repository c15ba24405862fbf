"""Handlers of floating-point instructions and conversions (see opcodes.py)."""

from __future__ import annotations

from gpusim.emulator import convert, float32, float64, half
from gpusim.emulator.binding import BOOLEANS, INTEGER_FORMATS, Handler, Instruction, UnknownInstruction
from gpusim.emulator.bits import DOWN
from gpusim.sass.program import PT

FLOAT_COMPARES = {
    "F": 0, "LT": 1, "EQ": 2, "LE": 3, "GT": 4, "NE": 5, "GE": 6, "NUM": 7,
    "NAN": 8, "LTU": 9, "EQU": 10, "LEU": 11, "GTU": 12, "NEU": 13, "GEU": 14, "T": 15,
}  # fmt: skip
"""Compare modifier to the bits less, equal, greater, unordered."""
ROUNDINGS = {"RN": 0, "RM": 1, "RP": 2, "RZ": 3, "FLOOR": 1, "CEIL": 2, "TRUNC": 3}
FLOAT_FORMATS = {"F16": convert.F16, "F32": convert.F32, "F64": convert.F64, "BF16": convert.BF16}
MUFU_FUNCTIONS = {
    "RCP": float32.RCP, "RSQ": float32.RSQ, "SQRT": float32.SQRT, "EX2": float32.EX2, "LG2": float32.LG2,
    "SIN": float32.SIN, "COS": float32.COS, "TANH": float32.TANH, "RCP64H": float32.RCP64H, "RSQ64H": float32.RSQ64H,
}  # fmt: skip
HALF_FUNCTIONS = {"EX2": float32.EX2, "TANH": float32.TANH}
ONE32, ONE64 = (0x3F800000,), (0, 0x3FF00000)


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
            down = flags >> float32.ROUND_SHIFT & 3 == DOWN
            zero = 0 if down else 0x80000000  # the zero that keeps the sign of a zero product in this mode
            i.set(c=literal(*(0,) * (len(one) - 1), zero))
        else:
            i.source("b", kind)
            i.source("c", kind)

    return handler


SCALES = {"D2": -1, "D4": -2, "D8": -3, "M2": 1, "M4": 2, "M8": 3}
"""Of a product: divided or multiplied by that, as powers of two."""
_product = fused(float32.FMUL, float32.FFMA_DIRECTED, "float", ONE32)


def multiply(i: Instruction) -> None:
    """FMUL, with the factor that a multiplication by a power of two behind it has left in it."""
    scale = i.choice(SCALES, 0)
    if not scale:
        _product(i)
        return
    flags = float_flags(i)
    if flags >> float32.ROUND_SHIFT:
        raise UnknownInstruction("a scaled product that is not rounded to the nearest")
    i.set(op=float32.FMUL_SCALED, x=flags, y=scale)
    i.destination()
    i.source("a", "float")
    i.source("b", "float")


def minimum_flags(i: Instruction) -> int:
    """Flags of FMNMX and HMNMX2, with .XORSIGN of sources whose bars the operation takes over."""
    flags = float32.FTZ if i.flag("FTZ") else 0
    if i.flag("XORSIGN"):
        i.bare_magnitudes()
        flags |= float32.XORSIGN
    return flags


def fmnmx(i: Instruction) -> None:
    i.set(op=float32.FMNMX, x=minimum_flags(i), y=int(i.flag("NAN")))
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


def half_flags(i: Instruction) -> int:
    """FTZ, SAT, RELU and the bfloat16 format, taken from the modifiers."""
    names = {"FTZ": float32.FTZ, "SAT": float32.SAT, "RELU": float32.RELU, "BF16_V2": float32.BFLOAT}
    return sum(bit for name, bit in names.items() if i.flag(name))


def dsetp(i: Instruction) -> None:
    if not {"MAX", "MIN"} & set(i.modifiers):
        float_compare(float64.DSETP, "double")(i)
        return
    i.set(op=float64.DSETP_SELECT, x=i.choice({"MIN": 0, "MAX": 1}))
    if i.choice(BOOLEANS) != 0 or any(p.register != PT or p.negate for p in i.predicates_in):
        raise UnknownInstruction("a predicate combined with .MIN or .MAX")
    i.predicate_destinations()
    i.source("a", "double")
    i.source("b", "double")


def float_compare(op: int, kind: str) -> Handler:
    def handler(i: Instruction) -> None:
        flags = half_flags(i) | (float32.BOOLEAN_FLOAT if i.flag("BF") else 0)
        flags |= float32.BOTH_HALVES if i.flag("H_AND") else 0
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
    halves = i.choice({"F16": 1, "BF16": 2}, 0)
    if halves:
        i.set(op=half.HMUFU, y=i.choice(HALF_FUNCTIONS), x=float32.BFLOAT if halves == 2 else 0)
        i.destination()
        i.source("a", "halves")
        return
    i.set(op=float32.MUFU, y=i.choice(MUFU_FUNCTIONS), x=float32.SAT if i.flag("SAT") else 0)
    i.destination()
    i.source("a", "float")


def rounding_flags(i: Instruction) -> int:
    flags = (float32.FTZ if i.flag("FTZ") else 0) | (float32.SAT if i.flag("SAT") else 0)
    return flags | i.choice(ROUNDINGS, 0) << float32.ROUND_SHIFT


def float_source(i: Instruction, code: int) -> None:
    i.source("a", {convert.F64: "double", convert.F16: "halves", convert.BF16: "halves"}.get(code, "float"))


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
    i.destination(2 if target == convert.F64 else 1)
    float_source(i, source)


def frnd(i: Instruction) -> None:
    kind = i.choice(FLOAT_FORMATS, convert.F32)
    i.set(op=convert.FRND, x=rounding_flags(i), y=kind, z=kind)
    i.destination(2 if kind == convert.F64 else 1)
    float_source(i, kind)


def f2fp(i: Instruction) -> None:
    target = i.choice({"F16": convert.F16, "BF16": convert.BF16}, convert.F16)
    i.flag("F32", "PACK_AB")
    merge, relu = i.flag("MERGE_C"), i.flag("RELU")
    i.set(op=convert.F2FP, z=target, x=rounding_flags(i) | (float32.RELU if relu else 0))
    i.destination()
    if merge:  # one half below the upper half of the other source
        i.source("b", "float")
        i.zero_source()
        return
    i.source("a", "float")
    i.source("b", "float")


def f2ip(i: Instruction) -> None:
    """Known as the conversion of one number, with RZ for the bytes above it."""
    target = i.choice({"U8": convert.U8, "S8": convert.S8})
    i.flag("F32")
    i.set(op=convert.F2I, x=rounding_flags(i) | (convert.NTZ if i.flag("NTZ") else 0), y=convert.F32, z=target)
    i.destination()
    i.zero_source()
    i.source("a", "float")
    i.zero_source()


def i2i(i: Instruction) -> None:
    i.set(op=convert.I2I, z=i.choice({"U8": convert.U8, "S8": convert.S8, "U16": convert.U16, "S16": convert.S16}))
    if not i.flag("S32") or not i.flag("SAT"):
        raise UnknownInstruction("a conversion other than from S32 with .SAT")
    i.destination()
    i.source("a", "int")


def i2ip(i: Instruction) -> None:
    formats = {"S16": 17, "U16": 16, "S8": 9, "U8": 8, "S4": 5, "U4": 4, "S2": 3, "U2": 2}  # bits + signed
    packed = i.choice(formats)
    if not i.flag("S32") or not i.flag("SAT"):
        raise UnknownInstruction("a conversion other than from S32 with .SAT")
    bits = packed & ~1
    i.set(op=convert.I2IP, y=bits, z=packed & 1)
    i.destination()
    i.source("a")
    i.source("b")
    if bits == 16:
        i.zero_source()
        return
    for suffix in ("24", "28"):  # the bits of c that stay
        i.drop(suffix)
    i.source("c")


def half_arithmetic(op: int) -> Handler:
    def handler(i: Instruction) -> None:
        single = i.base == "HADD2" and i.flag("F32")
        i.flag("MMA")  # names the pipe, not the result
        flags = half_flags(i)
        if single and flags:
            raise UnknownInstruction("modifiers of HADD2.F32")
        i.set(op=half.HADD2_F32 if single else op, x=flags)
        i.destination()
        for slot in "abc"[: 3 if op == half.HFMA2 else 2]:
            i.source(slot, "halves")

    return handler


def hmnmx2(i: Instruction) -> None:
    bfloat = float32.BFLOAT if i.flag("BF16_V2") else 0
    i.set(op=half.HMNMX2, x=minimum_flags(i) | bfloat, y=int(i.flag("NAN")))
    i.destination()
    i.source("a", "halves")
    i.source("b", "halves")
    i.predicate("in0")


FLOAT_HANDLERS: dict[str, Handler] = {
    "FADD": fused(float32.FADD, float32.FFMA_DIRECTED, "float", ONE32),
    "FMUL": multiply,
    "FFMA": fused(float32.FFMA, float32.FFMA_DIRECTED, "float", ONE32),
    "DADD": fused(float64.DADD, float64.DFMA, "double", ONE64),
    "DMUL": fused(float64.DMUL, float64.DFMA, "double", ONE64),
    "DFMA": fused(float64.DFMA, float64.DFMA, "double", ONE64),
    "FMNMX": fmnmx, "FSEL": fsel, "FSETP": float_compare(float32.FSETP, "float"),
    "FSET": float_compare(float32.FSET, "float"), "DSETP": dsetp,
    "FCHK": fchk, "MUFU": mufu,
    "HADD2": half_arithmetic(half.HADD2), "HMUL2": half_arithmetic(half.HMUL2), "HFMA2": half_arithmetic(half.HFMA2),
    "HMNMX2": hmnmx2, "HSETP2": float_compare(half.HSETP2, "halves"),
    "HSET2": float_compare(half.HSET2, "halves"), "I2I": i2i, "I2IP": i2ip, "F2IP": f2ip,
    "F2I": f2i, "I2F": i2f, "I2FP": i2f, "F2F": f2f, "FRND": frnd, "F2FP": f2fp,
}  # fmt: skip
