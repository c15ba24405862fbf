"""Pseudo-random interleaving by polynomials over GF(2) (timing model, section 15)."""

from __future__ import annotations

from functools import cache

PRIMITIVE = {1: "11", 2: "111", 3: "1011", 4: "10011", 5: "100101", 6: "1000011", 7: "10000011", 8: "100011101"}
"""Coefficients, highest power first."""


@cache
def spread(x: int, n: int) -> int:
    """A number below n for a line."""
    k = 0
    while n % 2 == 0:
        n, k = n // 2, k + 1
    y = x >> k
    return ((y + y // n) % n << k) + (_remainder(x, k) if k else 0)


def _remainder(x: int, degree: int) -> int:
    divisor = int(PRIMITIVE[degree], 2)
    while x.bit_length() > degree:
        x ^= divisor << (x.bit_length() - 1 - degree)
    return x
