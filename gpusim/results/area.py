"""Register bits that a dependence mechanism needs, as arXiv 2503.20481 section 7.5 and Table 7 count them."""

from __future__ import annotations

from dataclasses import dataclass

REGISTERS = 255 + 63 + 7 + 7
"""Entries of a warp's scoreboards: regular, uniform, predicate and uniform predicate registers."""
CONTROL_BITS = 6 * 6 + 4 + 1
"""Bits of a warp for control bits: six dependence counters of 6 bits, the stall counter, yield."""
REGISTER_FILE_BITS = 256 * 1024 * 8
"""One SM's register file."""


@dataclass(frozen=True)
class DependenceArea:
    """bits_per_warp; bits_per_sm for all its warps; share of them in the bits of a 256 KB register file."""

    bits_per_warp: int
    bits_per_sm: int
    share: float


def control_bits_area(warps: int = 48) -> DependenceArea:
    """Control bits: 41 bits per warp; 0.09 % with 48 warps, 0.13 % with 64."""
    return _area(CONTROL_BITS, warps)


def scoreboard_area(max_consumers: int, warps: int = 48) -> DependenceArea:
    """Scoreboards that count up to `max_consumers` readers: a pending-write bit and a counter per register.

    332 + 332 * log2(max_consumers + 1) bits per warp: 1.52 % for 1 consumer, 5.32 % for 63 with 48 warps. Raises
    ValueError for no limit (0), which no counter of finite width allows, and where the counter is no whole bits.
    """
    width = max_consumers.bit_length()
    if max_consumers < 1 or max_consumers + 1 != 1 << width:
        raise ValueError(f"a counter of whole bits counts up to 1, 3, 7, 15, 31 or 63 consumers, not {max_consumers}")
    return _area(REGISTERS * (1 + width), warps)


def _area(bits: int, warps: int) -> DependenceArea:
    return DependenceArea(bits, bits * warps, bits * warps / REGISTER_FILE_BITS)
