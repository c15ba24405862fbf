"""Least recently used: the way that was used or filled the longest ago."""

from __future__ import annotations

from gpusim.model.types import Flag, Line


def victim(word: int, oldest: int, ways: int, line: Line) -> int:
    return oldest


def used(word: int, way: int, ways: int) -> tuple[int, Flag]:
    return word, 1
