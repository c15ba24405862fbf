"""The control field of a 128-bit instruction, and its text form `[B01----:R0:W1:Y:S05]`.

Bits of the instruction (Volta to Ada and Hopper); sources: arXiv 2503.20481 section 4 and its artifact, and
public repositories cloudcores/CuAssembler and daadaada/turingas; checked against compiled code for sm_75 to sm_90.

| bits     | field                                                                      |
|----------|----------------------------------------------------------------------------|
| 105..108 | stall count, 0..15                                                         |
| 109      | yield, inverted: 0 asks for a yield                                        |
| 110..112 | counter released at write-back (RAW, WAW), 7 for none                      |
| 113..115 | counter released when the sources were read (WAR), 7 for none              |
| 116..121 | wait mask: bit i set waits for counter SBi to be zero                      |
| 122..124 | reuse of source slot A, B, C                                               |
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpusim.constants import NO_COUNTER
from gpusim.errors import GpusimError

COUNTERS = 6
"""Dependence counters per warp, SB0..SB5 (arXiv 2503.20481 section 4)."""
REUSE_SLOTS = 3

_HIGH_WORD = 64
_STALL_BIT = 105 - _HIGH_WORD
_YIELD_BIT = 109 - _HIGH_WORD
_WRITE_BIT = 110 - _HIGH_WORD
_READ_BIT = 113 - _HIGH_WORD
_WAIT_BIT = 116 - _HIGH_WORD
_REUSE_BIT = 122 - _HIGH_WORD

_TEXT = re.compile(
    r"\[B(?P<wait>[0-5-]{6}):R(?P<read>[0-5-]):W(?P<write>[0-5-]):(?P<yields>[Y-]):S(?P<stall>\d{1,2})\]", re.IGNORECASE
)


@dataclass(frozen=True)
class ControlBits:
    """Scheduling facts that the compiler put into one instruction."""

    stall: int = 1
    yields: bool = False
    write_counter: int = NO_COUNTER
    read_counter: int = NO_COUNTER
    wait_mask: int = 0

    def __str__(self) -> str:
        wait = "".join(str(i) if self.wait_mask >> i & 1 else "-" for i in range(COUNTERS))
        read, write = ("-" if c == NO_COUNTER else str(c) for c in (self.read_counter, self.write_counter))
        return f"[B{wait}:R{read}:W{write}:{'Y' if self.yields else '-'}:S{self.stall:02d}]"

    def encode(self) -> int:
        """The field's bits in the high 64-bit word (reuse bits zero)."""
        return (
            self.stall << _STALL_BIT
            | (not self.yields) << _YIELD_BIT
            | self.write_counter << _WRITE_BIT
            | self.read_counter << _READ_BIT
            | self.wait_mask << _WAIT_BIT
        )


def decode(high: int) -> ControlBits:
    """Control bits from the high 64-bit word of an instruction."""
    return ControlBits(
        stall=high >> _STALL_BIT & 0xF,
        yields=not high >> _YIELD_BIT & 1,
        write_counter=high >> _WRITE_BIT & 0x7,
        read_counter=high >> _READ_BIT & 0x7,
        wait_mask=high >> _WAIT_BIT & 0x3F,
    )


def decode_reuse(high: int) -> int:
    """Reuse bits from the high 64-bit word: bit k set keeps the register read in slot k."""
    return high >> _REUSE_BIT & 0x7


def parse(text: str) -> ControlBits:
    """Control bits from their text form. Raises GpusimError naming the wrong part.

    The wait mask may also name counter i at any place of the six (`B01----`, `B--1---`).
    """
    match = _TEXT.fullmatch(text.strip())
    if not match:
        raise GpusimError(
            f"control field '{text.strip()}' is malformed; expected e.g. [B01----:R0:W1:Y:S05]: "
            "six places of the wait mask, read and write counter 0..5 or -, Y or -, stall count"
        )
    stall = int(match["stall"])
    if stall > 15:
        raise GpusimError(f"control field '{text.strip()}': stall count {stall} does not fit, the largest is 15")
    wait_mask = 0
    for digit in match["wait"].replace("-", ""):
        wait_mask |= 1 << int(digit)
    read, write = (NO_COUNTER if match[k] == "-" else int(match[k]) for k in ("read", "write"))
    return ControlBits(stall, match["yields"].upper() == "Y", write, read, wait_mask)
