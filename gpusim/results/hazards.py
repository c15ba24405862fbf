"""Hazards that the checker found: which instruction came too early for which other, and what would have been enough."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Hazard:
    """An instruction that issued before an earlier one of its warp was done with a register.

    Attributes:
        kind: RAW (reads a result too early), WAW (its result is overwritten by an earlier instruction's), WAR
            (overwrites a register that an earlier instruction has yet to read).
        register: `R4`, `UR2`, `P0` or `UP1`.
        producer_pc, producer: byte offset and text of the earlier instruction. consumer_pc, consumer: of the later one.
        occurrences: how often, over all warps.
        stall: stall count of the producer that would have been enough, None where only a counter helps.
        counter: dependence counter that the consumer has to wait for, None where it needs or the producer has none.
        remedy: the same in words.
    """

    kind: str
    register: str
    producer_pc: int
    producer: str
    consumer_pc: int
    consumer: str
    occurrences: int
    stall: int | None
    counter: int | None
    remedy: str

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)
