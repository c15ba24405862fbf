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
SM_THREADS = {75: 1024, 80: 2048, 86: 1536, 89: 1536, 90: 2048}
SM_CTAS = {75: 16, 80: 32, 86: 16, 89: 24, 90: 32}
SM_SHARED_BYTES = {75: 64 << 10, 80: 164 << 10, 86: 100 << 10, 89: 100 << 10, 90: 228 << 10}
SM_REGISTERS = 64 << 10
"""What the CTAs on an SM share, by architecture."""
RESERVED_SHARED_BYTES = {75: 0, 80: 1024, 86: 1024, 89: 1024, 90: 1024}
"""Shared memory that the system takes of every CTA (CUDA C++ Best Practices Guide, Ampere and Hopper tuning guides)."""
WARP_REGISTERS = 256
"""Registers are given to a warp in multiples of this many."""
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


def ctas_per_sm(architecture: int, threads: int, registers: int, shared_bytes: int) -> int:
    """CTAs of `threads` threads with so many registers each and so much shared memory that fit on an SM at once."""
    warps = -(-threads // 32)
    per_warp = max(-(-registers * 32 // WARP_REGISTERS) * WARP_REGISTERS, WARP_REGISTERS)
    shared = shared_bytes + RESERVED_SHARED_BYTES[architecture]
    limits = [SM_CTAS[architecture], SM_THREADS[architecture] // (32 * warps), SM_REGISTERS // (per_warp * warps)]
    return min(*limits, SM_SHARED_BYTES[architecture] // shared if shared else limits[0])
