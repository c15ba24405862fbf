"""First in, first out: the way that was filled the longest ago, however often it has been used since."""

from __future__ import annotations

from gpusim.model.types import Line


def victim(word: int, oldest: int, ways: int, line: Line) -> int:
    return oldest
