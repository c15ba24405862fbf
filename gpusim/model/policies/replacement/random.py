"""Random: a way drawn from the line's number and the count of lines that have come into the set; the same in every
run."""

from __future__ import annotations

from gpusim.model.types import Flag, Line

BITS = 24
MULTIPLIER = 0x9E3779  # 2^BITS over the golden ratio, odd: consecutive inputs fall far apart


def victim(word: int, oldest: int, ways: int, line: Line) -> int:
    drawn = (line + word & (1 << BITS) - 1) * MULTIPLIER
    return (drawn >> BITS // 2 & (1 << BITS) - 1) % ways  # the middle bits of a product depend on the most others


def filled(word: int, way: int, ways: int) -> tuple[int, Flag]:
    return word + 1, 1
