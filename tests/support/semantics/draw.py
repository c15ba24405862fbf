"""Drawing random instructions: operands that know their text and their value in a lane."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

MASK = 0xFFFFFFFF
KEPT = 0xA5A5A5A5
"""What R16..R19 hold before an instruction: a register that it does not write must keep it."""
CORNERS = (
    0, 1, 2, 3, 31, 32, 33, 63, 64, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000,
    0x80000001, 0xFFFFFFFE, 0xFFFFFFFF, 0x3F800000, 0xBF800000, 0x7F800000, 0xFF800000, 0x7FC00000, 0x7F7FFFFF,
    0x00800000, 0x007FFFFF, 0x80000010, 0x4F000000, 0xCF000000, 0x5F000000, 0x33800000, 0x4B800001, 0x7C00FC00,
    0x3C00BC00, 0x7BFF0400, 0x03FF8001, 0x7E000000, 0x7FF00000, 0xFFF00000, 0x3FF00000, 0x7FEFFFFF, 0x00100000,
    0x43E00000, 0x41E00000, 0xC1E00000,
)  # fmt: skip
"""Words at the edges of the integer and floating-point formats, alone or as halves or as the high word of a double."""


@dataclass(frozen=True)
class Lane:
    """What an instruction finds in a lane: R8..R15, P0..P2, and its number."""

    words: tuple[int, ...]
    number: int

    def predicate(self, k: int) -> bool:
        return bool(self.words[7] >> k & 1)


@dataclass(frozen=True)
class Wrote:
    """What an instruction leaves: words from R16 on, P3 and P4; None where it writes nothing."""

    words: tuple[int, ...] = ()
    p: bool | None = None
    q: bool | None = None


@dataclass(frozen=True)
class Drawn:
    """An instruction and its meaning: a function of the lane, or of all lanes, the lane's number and the active ones.

    `memory` gives the 1024 bytes that the instruction finds at [R4.64] (and leaves changed) to the meaning.
    """

    text: str
    meaning: Callable[..., Wrote]
    warp: bool = False
    memory: bool = False
    architecture: int | None = None
    guarded: bool = True


@dataclass(frozen=True)
class Operand:
    """A source: its text, and its value as an unsigned number."""

    text: str
    value: Callable[[Lane], int]

    def __call__(self, lane: Lane) -> int:
        return self.value(lane)

    def __str__(self) -> str:
        return self.text


@dataclass
class Draw:
    """Random choices, and operands of every kind."""

    random: np.random.Generator
    architecture: int = 86
    immediates: int = field(default=0, init=False)

    def chance(self, share: float = 0.5) -> bool:
        return bool(self.random.random() < share)

    def one_of(self, *choices):
        return choices[int(self.random.integers(len(choices)))]

    def number(self, low: int, high: int) -> int:
        """From low to high, both included."""
        return int(self.random.integers(low, high + 1))

    def word(self) -> int:
        return self.one_of(*CORNERS) if self.chance() else int(self.random.integers(0, 1 << 32))

    def plain(self, k: int, immediate: bool = False) -> Operand:
        """Register R8 + k, RZ, or (once per instruction) a number."""
        if immediate and not self.immediates and self.chance(0.2):
            self.immediates += 1
            value = self.word()
            return Operand(f"{value:#x}", lambda lane: value)
        if self.chance(0.05):
            return Operand("RZ", lambda lane: 0)
        return Operand(f"R{8 + k}", lambda lane: lane.words[k])

    def integer(self, k: int, immediate: bool = False) -> Operand:
        """As plain, perhaps with a minus."""
        operand = self.plain(k, immediate)
        if operand.text[0] == "R" and self.chance(0.3):
            return Operand(f"-{operand}", lambda lane: -operand(lane) & MASK)
        return operand

    def logic(self, k: int, immediate: bool = False) -> Operand:
        """As plain, perhaps complemented."""
        operand = self.plain(k, immediate)
        if operand.text[0] == "R" and self.chance(0.3):
            return Operand(f"~{operand}", lambda lane: ~operand(lane) & MASK)
        return operand

    def wide(self, k: int) -> Operand:
        """The register pair from R8 + k, or RZ."""
        if self.chance(0.05):
            return Operand("RZ", lambda lane: 0)
        return Operand(f"R{8 + k}", lambda lane: lane.words[k] | lane.words[k + 1] << 32)

    def real(self, k: int, wide: bool = False) -> Operand:
        """A float32 or the float64 from R8 + k, perhaps with bars or a minus."""
        operand = self.wide(k) if wide else self.plain(k)
        sign = 1 << (63 if wide else 31)
        if self.chance(0.25):
            bars = operand
            operand = Operand(f"|{bars}|", lambda lane: bars(lane) & ~sign)
        if self.chance(0.25):
            bare = operand
            operand = Operand(f"-{bare}", lambda lane: bare(lane) ^ sign)
        return operand

    def predicate(self, default: str = "PT") -> Operand:
        """P0..P2 or PT, perhaps negated; its value is 0 or 1."""
        k, inverted = self.number(0, 3), self.chance()
        name = default if k == 3 else f"P{k}"
        return Operand(
            f"{'!' if inverted else ''}{name}", lambda lane: int((True if k == 3 else lane.predicate(k)) != inverted)
        )


def signed(word: int, bits: int = 32) -> int:
    """An unsigned number read as two's complement."""
    return word - (1 << bits) if word >> (bits - 1) & 1 else word


def combine(boolean: str, compared: bool, other: int) -> bool:
    return {"AND": compared and bool(other), "OR": compared or bool(other), "XOR": compared != bool(other)}[boolean]


def pair(value: int) -> tuple[int, int]:
    """Low and high word of a 64-bit result."""
    return value & MASK, value >> 32 & MASK
