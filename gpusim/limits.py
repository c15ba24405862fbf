"""What CUDA allows a launch (CUDA C++ Programming Guide, technical specifications per compute capability)."""

from __future__ import annotations

import math
from collections.abc import Sequence

GRID = ((1 << 31) - 1, 65535, 65535)
BLOCK = (1024, 1024, 64)
THREADS = 1024
"""Of a CTA."""
REGISTERS = 255
"""Per thread, RZ excluded."""
SHARED_BYTES = {75: 64 << 10, 80: 163 << 10, 86: 99 << 10, 89: 99 << 10, 90: 227 << 10}
"""Shared memory of a CTA, static and dynamic, by architecture."""
LOCAL_BYTES = 512 << 10
"""Local memory of a thread."""
CONSTANT_BYTES = 64 << 10
"""A bank of constant memory."""
BARRIERS = 16
"""Named barriers of a CTA."""


def extent_problem(what: str, sizes: Sequence[int]) -> str | None:
    """What is wrong with the sizes of a `grid` or a `block`, None if nothing is."""
    for axis, size, most in zip("xyz", sizes, GRID if what == "grid" else BLOCK):
        if not 1 <= size <= most:
            return f"{size} in {axis}: a {what} has 1 to {most} there"
    if what == "block" and math.prod(sizes) > THREADS:
        return f"a block has at most {THREADS} threads, these are {math.prod(sizes)}"
    return None
