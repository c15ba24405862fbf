"""Packed half-precision instructions, binary16 and bfloat16."""

from __future__ import annotations

from collections.abc import Callable

from semantics import ieee
from semantics.draw import Draw, Drawn, Lane, Operand, Wrote, combine
from semantics.floats import COMPARES
from semantics.ieee import BFLOAT, HALF, Format


def source(d: Draw, k: int) -> Operand:
    """R8 + k with a choice of its halves, perhaps with bars or a minus."""
    suffix = d.one_of("", "", ".H0_H0", ".H1_H1", ".H1_H0", ".H0_H1")
    bars, minus = d.chance(0.2), d.chance(0.2)
    name = f"|R{8 + k}|" if bars else f"R{8 + k}"

    def value(lane: Lane) -> int:
        low, high = lane.words[k] & 0xFFFF, lane.words[k] >> 16
        low, high = {".H0_H0": (low, low), ".H1_H1": (high, high), ".H0_H1": (high, low)}.get(suffix, (low, high))
        word = high << 16 | low
        word = word & 0x7FFF7FFF if bars else word
        return word ^ 0x80008000 if minus else word

    return Operand(f"{'-' if minus else ''}{name}{suffix}", value)


def each(function: Callable[..., int], *words: int) -> int:
    """A function of 16-bit patterns applied to both halves."""
    low = function(*(word & 0xFFFF for word in words))
    return function(*(word >> 16 for word in words)) << 16 | low


def format_of(d: Draw) -> tuple[Format, str]:
    return d.one_of((HALF, ""), (BFLOAT, ".BF16_V2")) if d.architecture >= 90 else (HALF, "")


def arithmetic(d: Draw) -> Drawn:
    opcode, (f, kind) = d.one_of("HADD2", "HMUL2", "HFMA2"), format_of(d)
    if d.architecture >= 80 and d.chance(0.3):
        opcode, (f, kind) = "HFMA2", (BFLOAT, ".BF16_V2")  # the only one of sm_80
    ftz, sat = f is HALF and d.chance(0.3), f is HALF and d.chance(0.2)
    relu = opcode == "HFMA2" and not sat and not ftz and d.architecture >= 80 and d.chance(0.3)
    sources = [source(d, k) for k in range(3 if opcode == "HFMA2" else 2)]

    def one(*words: int) -> int:
        run = {"HADD2": ieee.add, "HMUL2": ieee.multiply, "HFMA2": ieee.fma}[opcode]
        result = ieee.flush(f, run(f, *(ieee.flush(f, word, ftz) for word in words)), ftz)
        if relu and not ieee.is_nan(f, result) and ieee.negative(f, result):
            result = 0
        return ieee.saturate(f, result) if sat else result

    flags = f"{'.FTZ' if ftz else ''}{'.SAT' if sat else ''}{'.RELU' if relu else ''}"
    return Drawn(
        f"{opcode}{kind}{flags} R16, {', '.join(map(str, sources))}",
        lambda lane: Wrote((each(one, *(s(lane) for s in sources)),)),
    )


def limits(d: Draw) -> Drawn:
    (f, kind), nan, least = d.one_of((HALF, ""), (BFLOAT, ".BF16_V2")), d.chance(0.3), d.predicate()
    ftz = f is HALF and d.chance(0.3)
    a, b = source(d, 0), source(d, 1)

    def meaning(lane: Lane) -> Wrote:
        def one(x: int, y: int) -> int:
            return ieee.extreme(f, ieee.flush(f, x, ftz), ieee.flush(f, y, ftz), bool(least(lane)), nan)

        return Wrote((each(one, a(lane), b(lane)),))

    def crossed(lane: Lane) -> Wrote:
        def one(x: int, y: int) -> int:
            result = ieee.extreme(f, x & 0x7FFF, y & 0x7FFF, bool(least(lane)), nan)
            return result if ieee.is_nan(f, result) else result | (x ^ y) & 0x8000

        return Wrote((each(one, lane.words[0], lane.words[1]),))

    if d.chance(0.2):
        return Drawn(f"HMNMX2{kind}{'.NAN' if nan else ''}.XORSIGN R16, |R8|, |R9|, {least}", crossed)
    return Drawn(f"HMNMX2{kind}{'.FTZ' if ftz else ''}{'.NAN' if nan else ''} R16, {a}, {b}, {least}", meaning)


def compares(d: Draw) -> Drawn:
    (f, kind), code, boolean = format_of(d), d.one_of(*COMPARES), d.one_of("AND", "OR", "XOR")
    a, b, other, both, number = source(d, 0), source(d, 1), d.predicate(), d.chance(0.2), d.chance()
    one = (0x3F80 if f is BFLOAT else 0x3C00) if number else 0xFFFF

    def parts(lane: Lane) -> list[bool]:
        return [ieee.compare(f, code, a(lane) >> s & 0xFFFF, b(lane) >> s & 0xFFFF) for s in (0, 16)]

    def predicates(lane: Lane) -> Wrote:
        truths = parts(lane)
        if both:
            truths = [all(truths), not all(truths)]
        return Wrote(p=combine(boolean, truths[0], other(lane)), q=combine(boolean, truths[1], other(lane)))

    def words(lane: Lane) -> Wrote:
        low, high = (combine(boolean, truth, other(lane)) for truth in parts(lane))
        return Wrote((high * one << 16 | low * one,))

    if d.chance():
        return Drawn(f"HSET2{kind}{'.BF' if number else ''}.{code}.{boolean} R16, {a}, {b}, {other}", words)
    name = f"HSETP2{kind}.{code}{'.H_AND' if both else ''}.{boolean}"
    return Drawn(f"{name} P3, P4, {a}, {b}, {other}", predicates)


def to_single(d: Draw) -> Drawn:
    a = d.one_of("R8.H0_H0", "R8.H1_H1")

    def meaning(lane: Lane) -> Wrote:
        word = lane.words[0] >> (16 if "H1" in a else 0) & 0xFFFF
        return Wrote((ieee.convert(HALF, ieee.SINGLE, word),))

    return Drawn(f"HADD2.F32 R16, -RZ, {a}", meaning)


def functions(d: Draw) -> Drawn:
    """MUFU of a half where the result is exact: 2 to an integral power, the hyperbolic tangent of 0 and of infinity."""
    (f, kind), name = (
        d.one_of((HALF, "F16"), (BFLOAT, "BF16")) if d.architecture >= 90 else (HALF, "F16"),
        d.one_of("EX2", "TANH"),
    )
    power = d.number(-10, 10)
    one = ieee.encode(f, ieee.Fraction(1))
    source, result = d.one_of(
        *(((ieee.encode(f, ieee.Fraction(power)), ieee.encode(f, ieee.Fraction(2) ** power)),) if name == "EX2" else (
            (0, 0), (f.infinity, one), (f.infinity | f.sign, one | f.sign), (f.nan, f.nan)))
    )  # fmt: skip
    return Drawn(f"MOV R20, {source:#x} ;\nMUFU.{name}.{kind} R16, R20", lambda lane: Wrote((result,)), guarded=False)


DRAWS = (functions, arithmetic, arithmetic, limits, compares, to_single)
