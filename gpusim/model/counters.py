"""Dependence counters of a warp, SB0 to SB5: six fields of 8 bits in one word, so that a wait is one `and`.

A counter holds at most MAX_COUNTER, so a field never carries into the next.
"""

from __future__ import annotations

from gpusim.jit import inlined
from gpusim.model.types import Counter

FIELD_BITS = 8
FIELD = (1 << FIELD_BITS) - 1


@inlined
def one(counter: Counter) -> int:
    """What raises a counter by 1."""
    return 1 << FIELD_BITS * counter


@inlined
def field(counter: Counter) -> int:
    """Mask of a counter."""
    return FIELD << FIELD_BITS * counter


@inlined
def value(counters: int, counter: Counter) -> int:
    """What a counter holds."""
    return counters >> FIELD_BITS * counter & FIELD
