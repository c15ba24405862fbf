"""Conversions between number formats."""

from __future__ import annotations

from semantics import ieee
from semantics.draw import MASK, Draw, Drawn, Lane, Operand, Wrote, pair, signed
from semantics.ieee import BFLOAT, DOUBLE, HALF, SINGLE

MODES = {"": "RN", ".FLOOR": "RM", ".CEIL": "RP", ".TRUNC": "RZ"}
ROUNDINGS = {"": "RN", ".RM": "RM", ".RP": "RP", ".RZ": "RZ"}
REALS = {"F16": HALF, "F32": SINGLE, "F64": DOUBLE, "BF16": BFLOAT}


def real(d: Draw, name: str) -> Operand:
    """A number of a format in R8 (or the pair from it, or a half of it)."""
    if name == "F64":
        return d.real(0, wide=True)
    if name == "F32":
        return d.real(0)
    shift = d.one_of(0, 16)
    return Operand("R8.H1" if shift else "R8", lambda lane: lane.words[0] >> shift & 0xFFFF)


def limited(value: int, name: str) -> int:
    bits = int(name[1:])
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if name[0] == "S" else (0, (1 << bits) - 1)
    return min(max(value, low), high)


def registers(value: int, bits: int) -> tuple[int, ...]:
    return pair(value) if bits == 64 else (value & MASK,)


def to_integer(d: Draw) -> Drawn:
    source, mode = d.one_of("F16", "F32", "F32", "F64", "BF16"), d.one_of(*MODES)
    zero_nan, ftz = d.chance(), source == "F32" and d.chance(0.3)
    target = d.one_of("U8", "S8", "U16", "S16", "U32", "S32", "U64", "S64")
    a, f = real(d, source), REALS[source]

    def meaning(lane: Lane) -> Wrote:
        word, bits = ieee.flush(f, a(lane), ftz), int(target[1:])
        if ieee.is_nan(f, word):  # zero, or the top bit of the format, with its sign as other results
            top = 0 if zero_nan else -(1 << bits - 1)
            return Wrote(registers(top, bits))
        if ieee.is_infinite(f, word):
            value = -(1 << 70) if ieee.negative(f, word) else 1 << 70
        else:
            value = ieee.whole(ieee.exact(f, word), MODES[mode])
        return Wrote(registers(limited(value, target), int(target[1:])))

    names = [target if target != "S32" else "", source if source != "F32" else ""]
    flags = f"{mode}{'.NTZ' if zero_nan else ''}"
    return Drawn(f"F2I{'.FTZ' if ftz else ''}{''.join('.' + n for n in names if n)}{flags} R16, {a}", meaning)


def from_integer(d: Draw) -> Drawn:
    source, mode = d.one_of("U8", "S8", "U16", "S16", "U32", "S32", "U64", "S64"), d.one_of(*ROUNDINGS)
    target = d.one_of("F16", "F32", "F64", "BF16")
    f, bits = REALS[target], int(source[1:])
    shift = d.number(0, 32 // bits - 1) * bits if bits < 32 else 0

    def meaning(lane: Lane) -> Wrote:
        word = lane.words[0] | lane.words[1] << 32 if bits == 64 else lane.words[0] >> shift & ((1 << bits) - 1)
        value = signed(word, bits) if source[0] == "S" else word
        return Wrote(registers(ieee.encode(f, ieee.Fraction(value), ROUNDINGS[mode]), 64 if f is DOUBLE else 32))

    part = f".{'B' if bits == 8 else 'H'}{shift // bits}" if bits < 32 else ""
    names = [target if target != "F32" else "", source if source != "S32" else ""]
    return Drawn(f"I2F{''.join('.' + n for n in names if n)}{mode} R16, R8{part}", meaning)


def between(d: Draw) -> Drawn:
    source, target = d.one_of(("F32", "F64"), ("F64", "F32"), ("F16", "F32"), ("F16", "F64"), ("BF16", "F32"),
                              ("F32", "F16"))  # fmt: skip
    target, source = source, target
    mode = d.one_of(*ROUNDINGS)
    a, f, t = real(d, source), REALS[source], REALS[target]

    def meaning(lane: Lane) -> Wrote:
        return Wrote(registers(ieee.convert(f, t, a(lane), ROUNDINGS[mode]), 64 if t is DOUBLE else 32))

    return Drawn(f"F2F.{target}.{source}{mode} R16, {a}", meaning)


def integral(d: Draw) -> Drawn:
    kind, mode = d.one_of("F16", "F32", "F64"), d.one_of(*MODES)
    a, f, ftz = real(d, kind), REALS[kind], kind == "F32" and d.chance(0.3)

    def meaning(lane: Lane) -> Wrote:
        word = ieee.flush(f, a(lane), ftz)
        if ieee.is_nan(f, word) or ieee.is_infinite(f, word):
            result = ieee.convert(f, f, word)
        else:
            value = ieee.whole(ieee.exact(f, word), MODES[mode])
            result = ieee.encode(f, ieee.Fraction(value), "RN", ieee.negative(f, word))
        return Wrote(registers(result, 64 if f is DOUBLE else 32))

    return Drawn(f"FRND{'.FTZ' if ftz else ''}{'.' + kind if kind != 'F32' else ''}{mode} R16, {a}", meaning)


def pack(d: Draw) -> Drawn:
    kind, mode, relu = d.one_of("F16", "BF16"), d.one_of("", ".RZ"), d.chance(0.3)
    a, b, f, merge = d.real(0), d.real(1), REALS[kind], d.chance(0.2)

    def one(word: int) -> int:
        result = ieee.convert(SINGLE, f, word, ROUNDINGS[mode])
        return 0 if relu and ieee.negative(f, result) and not ieee.is_nan(f, result) else result

    names = d.one_of(f".{kind}.F32", ".BF16" if kind == "BF16" else "")  # sm_90 and sm_80 spell it differently
    text = f"F2FP{'.RELU' if relu else ''}{names}.{'MERGE_C' if merge else 'PACK_AB'}{mode}"
    if merge:
        return Drawn(f"{text} R16, {a}, RZ", lambda lane: Wrote((one(a(lane)),)))
    return Drawn(f"{text} R16, {a}, {b}", lambda lane: Wrote((one(a(lane)) << 16 | one(b(lane)),)))


def narrow(d: Draw) -> Drawn:
    """Saturating conversions between integers."""
    target = d.one_of("U8", "S8", "U16", "S16")
    packed = d.one_of("S8", "U8", "S4", "U4", "S16", "U16")
    bits = int(packed[1:])
    a, b, c = d.plain(0), d.plain(1), d.plain(2)

    def meaning(lane: Lane) -> Wrote:
        high, low = (limited(signed(v(lane)), packed) & ((1 << bits) - 1) for v in (a, b))
        return Wrote((((c(lane) if bits < 16 else 0) << 2 * bits | high << bits | low) & MASK,))

    rest = {16: "RZ", 8: f"{c}", 4: f"{c}.24"}[bits]
    return d.one_of(
        Drawn(f"I2I.{target}.S32.SAT R16, {a}", lambda lane: Wrote((limited(signed(a(lane)), target) & MASK,))),
        Drawn(f"I2IP.{packed}.S32.SAT R16, {a}, {b}, {rest}", meaning),
    )


def small(d: Draw) -> Drawn:
    """I2FP and F2IP."""
    unsigned, mode, a, rounding = d.chance(), d.one_of(".TRUNC", ""), real(d, "F32"), d.one_of(*ROUNDINGS)

    def to_byte(lane: Lane) -> Wrote:
        word = a(lane)
        if ieee.is_nan(SINGLE, word):
            return Wrote((0,))
        if ieee.is_infinite(SINGLE, word):
            return Wrote((0 if ieee.negative(SINGLE, word) else 255,))
        return Wrote((limited(ieee.whole(ieee.exact(SINGLE, word), MODES[mode]), "U8"),))

    def to_real(lane: Lane) -> Wrote:
        value = lane.words[0] if unsigned else signed(lane.words[0])
        return Wrote((ieee.encode(SINGLE, ieee.Fraction(value), ROUNDINGS[rounding]),))

    return d.one_of(
        Drawn(f"F2IP.U8.F32{mode}.NTZ R16, RZ, {a}, RZ", to_byte),
        Drawn(f"I2FP.F32.{'U' if unsigned else 'S'}32{rounding} R16, R8", to_real),
    )


DRAWS = (to_integer, to_integer, from_integer, between, integral, pack, narrow, small)
