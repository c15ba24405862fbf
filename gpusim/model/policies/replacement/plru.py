"""Tree pseudo-LRU: a binary tree over the ways, each node pointing to the half that was used longer ago. Ways: a power
of two, 32 at most.

The set's word holds a bit per node, node n in bit n, its children 2n and 2n + 1, the root 1: 1 points to the upper
half.
"""

from __future__ import annotations

from gpusim.model.types import Flag, Line


def victim(word: int, oldest: int, ways: int, line: Line) -> int:
    node = 1
    while node < ways:
        node = 2 * node + (word >> node & 1)
    return node - ways


def used(word: int, way: int, ways: int) -> tuple[int, Flag]:
    node = way + ways
    while node > 1:
        parent = node >> 1
        if node & 1:  # an upper half: point to the lower
            word &= ~(1 << parent)
        else:
            word |= 1 << parent
        node = parent
    return word, 1


def filled(word: int, way: int, ways: int) -> tuple[int, Flag]:
    return used(word, way, ways)
