"""What the integers in signatures of compiled functions mean. All are int64 once compiled; nothing checks them
there."""

from __future__ import annotations

from typing import Any, TypeAlias

Record: TypeAlias = Any
"""A row of a record array, np.record: its fields are those of its dtype in `state` or `params`."""
Records: TypeAlias = Any
"""A record array, np.recarray."""
Cycle: TypeAlias = int
"""SM clock cycle. FOREVER: not before some event."""
Tick: TypeAlias = int
"""1/16 of a cycle."""
Clock: TypeAlias = int
"""Command clock of DRAM."""
Sm: TypeAlias = int
"""Number of an SM."""
SubCore: TypeAlias = int
"""Number of a sub-core in its SM, 0 to 3."""
CoreRow: TypeAlias = int
"""Row of State.sub_cores."""
Slot: TypeAlias = int
"""Warp slot, or CTA slot, of an SM."""
Local: TypeAlias = int
"""Number of a warp in its sub-core; -1: none."""
Row: TypeAlias = int
"""Row of a warp in State.warps."""
Index: TypeAlias = int
"""Index of a static instruction: row of Params.code."""
Access: TypeAlias = int
"""Row of a memory instruction in State.accesses."""
TimelineRow: TypeAlias = int
"""Row of State.timeline, -1 where none is kept."""
Mask: TypeAlias = int
"""A bit per lane, local warp, sector or bank."""
Counter: TypeAlias = int
"""Dependence counter, 0 to 5, or NO_COUNTER."""
Line: TypeAlias = int
"""Number of a cache line: its byte address over the line's size."""
Place: TypeAlias = int
"""Position in an array of cache entries, or in a ring; -1: none."""
Node: TypeAlias = int
"""Row of State.nodes or State.transfers; -1: none."""
Number: TypeAlias = int
"""Number of an L2 slice, a GPC or a DRAM channel."""
Flag: TypeAlias = int
"""0 or 1, or a bool."""
