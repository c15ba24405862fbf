"""Replacement: which way of a full set a cache gives up. One file per policy, with up to three functions of integers:

    def victim(word, oldest, ways, line): ...     # the way to give up for `line`
    def used(word, way, ways): ...                # an access hits `way`
    def filled(word, way, ways): ...              # a line has come into `way`

Every set has an integer of its own for the policy, `word`, 0 at first; `used` and `filled` return what it becomes, and
whether the way is now the set's youngest. So a cache keeps its ways by age for any policy, and `oldest` is the way that
has been the youngest least recently. `victim` may change nothing: a miss that must wait asks again.

The cache sees to the rest. Empty ways are filled first, in their order, without asking; a way that awaits data is
passed over, for the next higher one, cyclically; `oldest` awaits none. One function serves the caches for instructions
and constants (`l0`, `l1`, `constant_cache`), L1D and L2: a card names the policy of each (`replacement`).
"""

from __future__ import annotations

from gpusim.model.params import Params
from gpusim.model.policies.dispatch import hook
from gpusim.model.types import Flag, Line

Word = int
"""A set's integer."""


def keep_age(word: Word, way: int, ways: int) -> tuple[Word, Flag]:
    return word, 0


def become_youngest(word: Word, way: int, ways: int) -> tuple[Word, Flag]:
    return word, 1


@hook("replacement", number="replacement", own=("P", "replacement"))
def victim(P: Params, replacement: int, word: Word, oldest: int, ways: int, line: Line) -> int:
    """The way, from 0 to `ways` - 1, that a full set gives up for `line`."""
    raise NotImplementedError


@hook("replacement", number="replacement", own=("P", "replacement"), results=2, default=keep_age)
def used(P: Params, replacement: int, word: Word, way: int, ways: int) -> tuple[Word, Flag]:
    """The set's word after an access that hits `way`, and whether that is now the youngest. Default: nothing
    changes."""
    raise NotImplementedError


@hook("replacement", number="replacement", own=("P", "replacement"), results=2, default=become_youngest)
def filled(P: Params, replacement: int, word: Word, way: int, ways: int) -> tuple[Word, Flag]:
    """The set's word when a line comes into `way`, and whether that is now the youngest. Default: it is."""
    raise NotImplementedError
