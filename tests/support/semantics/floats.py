"""Single-precision instructions."""

from __future__ import annotations

from semantics import ieee
from semantics.draw import Draw, Drawn, Lane, Wrote, combine
from semantics.ieee import SINGLE

COMPARES = ("LT", "EQ", "LE", "GT", "NE", "GE", "NUM", "NAN", "LTU", "EQU", "LEU", "GTU", "NEU", "GEU")


SCALES = {".D2": -1, ".D4": -2, ".D8": -3, ".M2": 1, ".M4": 2, ".M8": 3}


def arithmetic(d: Draw) -> Drawn:
    opcode, ftz, sat = d.one_of("FADD", "FMUL", "FFMA"), d.chance(0.3), d.chance(0.2)
    mode = d.one_of("", "", "", ".RM", ".RP", ".RZ")
    sources = [d.real(k) for k in range(3 if opcode == "FFMA" else 2)]

    def meaning(lane: Lane) -> Wrote:
        words = [ieee.flush(SINGLE, source(lane), ftz) for source in sources]
        run = {"FADD": ieee.add, "FMUL": ieee.multiply, "FFMA": ieee.fma}[opcode]
        result = ieee.flush(SINGLE, run(SINGLE, *words, mode[1:] or "RN"), ftz)
        return Wrote((ieee.saturate(SINGLE, result) if sat else result,))

    text = f"{opcode}{'.FTZ' if ftz else ''}{mode}{'.SAT' if sat else ''}"
    return Drawn(f"{text} R16, {', '.join(map(str, sources))}", meaning)


def scaled(d: Draw) -> Drawn:
    (name, power), ftz, sat = d.one_of(*SCALES.items()), d.chance(0.3), d.chance(0.2)
    a, b = d.real(0), d.real(1)

    def meaning(lane: Lane) -> Wrote:
        x, y = (ieee.flush(SINGLE, source(lane), ftz) for source in (a, b))
        result = ieee.flush(SINGLE, ieee.scaled(SINGLE, x, y, power), ftz)
        return Wrote((ieee.saturate(SINGLE, result) if sat else result,))

    return Drawn(f"FMUL{name}{'.FTZ' if ftz else ''}{'.SAT' if sat else ''} R16, {a}, {b}", meaning)


def limits(d: Draw) -> Drawn:
    a, b, least, nan, ftz = d.real(0), d.real(1), d.predicate(), d.chance(0.3), d.chance(0.3)

    def meaning(lane: Lane) -> Wrote:
        x, y = (ieee.flush(SINGLE, v(lane), ftz) for v in (a, b))
        return Wrote((ieee.extreme(SINGLE, x, y, bool(least(lane)), nan),))

    def crossed(lane: Lane) -> Wrote:
        x, y = (ieee.flush(SINGLE, lane.words[k], ftz) for k in (0, 1))
        result = ieee.extreme(SINGLE, x & ~SINGLE.sign, y & ~SINGLE.sign, bool(least(lane)), nan)
        return Wrote((result if ieee.is_nan(SINGLE, result) else result | (x ^ y) & SINGLE.sign,))

    flags = f"{'.FTZ' if ftz else ''}{'.NAN' if nan else ''}"
    if d.chance(0.2):
        return Drawn(f"FMNMX{flags}.XORSIGN R16, |R8|, |R9|, {least}", crossed)
    return Drawn(f"FMNMX{flags} R16, {a}, {b}, {least}", meaning)


def select(d: Draw) -> Drawn:
    a, b, p, ftz = d.real(0), d.real(1), d.predicate(), d.chance(0.3)
    return Drawn(
        f"FSEL{'.FTZ' if ftz else ''} R16, {a}, {b}, {p}",
        lambda lane: Wrote((ieee.flush(SINGLE, a(lane) if p(lane) else b(lane), ftz),)),
    )


def compares(d: Draw) -> Drawn:
    code, boolean, ftz = d.one_of(*COMPARES), d.one_of("AND", "OR", "XOR"), d.chance(0.3)
    a, b, other = d.real(0), d.real(1), d.predicate()

    def truth(lane: Lane) -> bool:
        return ieee.compare(SINGLE, code, *(ieee.flush(SINGLE, v(lane), ftz) for v in (a, b)))

    def word(lane: Lane, true: int) -> Wrote:
        return Wrote((true if combine(boolean, truth(lane), other(lane)) else 0,))

    text = f"{code}{'.FTZ' if ftz else ''}.{boolean}"
    return d.one_of(
        Drawn(
            f"FSETP.{text} P3, P4, {a}, {b}, {other}",
            lambda lane: Wrote(
                p=combine(boolean, truth(lane), other(lane)), q=combine(boolean, not truth(lane), other(lane))
            ),
        ),
        Drawn(f"FSET.BF.{text} R16, {a}, {b}, {other}", lambda lane: word(lane, 0x3F800000)),
        Drawn(f"FSET.{text} R16, {a}, {b}, {other}", lambda lane: word(lane, 0xFFFFFFFF)),
    )


DRAWS = (arithmetic, arithmetic, scaled, limits, select, compares)
