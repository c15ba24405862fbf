"""Double-precision instructions."""

from __future__ import annotations

from semantics import ieee
from semantics.draw import Draw, Drawn, Lane, Wrote, combine, pair
from semantics.floats import COMPARES
from semantics.ieee import DOUBLE


def arithmetic(d: Draw) -> Drawn:
    opcode = d.one_of("DADD", "DMUL", "DFMA")
    sources = [d.real(2 * k, wide=True) for k in range(3 if opcode == "DFMA" else 2)]

    def meaning(lane: Lane) -> Wrote:
        run = {"DADD": ieee.add, "DMUL": ieee.multiply, "DFMA": ieee.fma}[opcode]
        return Wrote(pair(run(DOUBLE, *(source(lane) for source in sources))))

    return Drawn(f"{opcode} R16, {', '.join(map(str, sources))}", meaning)


def compares(d: Draw) -> Drawn:
    code, boolean = d.one_of(*COMPARES), d.one_of("AND", "OR", "XOR")
    a, b, other = d.real(0, wide=True), d.real(2, wide=True), d.predicate()

    def meaning(lane: Lane) -> Wrote:
        truth = ieee.compare(DOUBLE, code, a(lane), b(lane))
        return Wrote(p=combine(boolean, truth, other(lane)), q=combine(boolean, not truth, other(lane)))

    return Drawn(f"DSETP.{code}.{boolean} P3, P4, {a}, {b}, {other}", meaning)


def limits(d: Draw) -> Drawn:
    """The compiler's maximum: the first operand where p holds, else the second, as a quiet NaN where q holds."""
    a, b, least = d.real(0, wide=True), d.real(2, wide=True), d.chance()

    def meaning(lane: Lane) -> Wrote:
        x, y = a(lane), b(lane)
        if ieee.is_nan(DOUBLE, x) and ieee.is_nan(DOUBLE, y):
            return Wrote(p=False, q=True)
        chosen = ieee.extreme(DOUBLE, x, y, least)
        return Wrote(p=chosen == x and x != y, q=False)

    return Drawn(f"DSETP.{'MIN' if least else 'MAX'}.AND P3, P4, {a}, {b}, PT", meaning)


DRAWS = (arithmetic, arithmetic, compares, limits)
