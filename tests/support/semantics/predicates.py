"""Predicate instructions."""

from __future__ import annotations

from semantics.draw import Draw, Drawn, Lane, Operand, Wrote


def plop3(d: Draw) -> Drawn:
    sources: list[Operand] = [d.predicate() for _ in range(3)]
    if d.chance(0.3):
        k, word = d.number(0, 2), d.number(0, 6)
        sources[k] = Operand(f"R{8 + word}.SIGN", lambda lane: lane.words[word] >> 31)
    first, second = d.number(0, 255), d.number(0, 255)

    def meaning(lane: Lane) -> Wrote:
        index = sum(source(lane) << 2 - k for k, source in enumerate(sources))
        return Wrote(p=bool(first >> index & 1), q=bool(second >> index & 1))

    return Drawn(f"PLOP3.LUT P3, P4, {', '.join(map(str, sources))}, {first:#x}, {second:#x}", meaning)


def to_register(d: Draw) -> Drawn:
    byte, mask = d.number(0, 3), d.number(0, 7)

    def meaning(lane: Lane) -> Wrote:
        word, shift = lane.words[0], 8 * byte
        return Wrote((word & ~(mask << shift) | (lane.words[7] & mask) << shift,))

    suffix = f".B{byte}" if byte else ""
    return Drawn(f"P2R{suffix} R16, PR, R8, {mask:#x}", meaning)


def from_register(d: Draw) -> Drawn:
    byte, mask = d.number(0, 3), d.one_of(0x8, 0x10, 0x18, 0)

    def meaning(lane: Lane) -> Wrote:
        bits = lane.words[0] >> 8 * byte
        return Wrote(p=bool(bits & 8) if mask & 8 else None, q=bool(bits & 16) if mask & 16 else None)

    return Drawn(f"R2P PR, R8{f'.B{byte}' if byte else ''}, {mask:#x}", meaning)


def by_guard(d: Draw) -> Drawn:
    """Any instruction under a guard; the guard is drawn by the runner."""
    return Drawn("MOV R16, R9", lambda lane: Wrote((lane.words[1],)))


DRAWS = (plop3, to_register, from_register, by_guard)
