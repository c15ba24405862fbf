"""Asynchronous copies (LDGSTS) in groups: LDGDEPBAR closes one and raises a dependence counter, which falls when every
copy issued before is complete.

DEPBAR.LE then lets a warp go on while the youngest groups are still on their way (PTX ISA, cp.async.commit_group and
cp.async.wait_group).
"""

from __future__ import annotations

from gpusim.constants import NO_COUNTER
from gpusim.jit import inlined
from gpusim.model.counters import one
from gpusim.model.state import COPY_GROUPS
from gpusim.model.types import Counter, Flag, Record


@inlined
def start_groups(warp: Record) -> None:
    """A new warp has one open group, empty."""
    warp.group_head = 0
    warp.groups_closed = 0
    warp.groups_due = 0
    warp.group_copies[0] = 0
    warp.group_queued[0] = 0


@inlined
def all_groups_taken(warp: Record) -> Flag:
    """Whether another group cannot be closed before one is complete."""
    return warp.groups_closed == COPY_GROUPS - 1


@inlined
def issue_copy(warp: Record) -> None:
    """An LDGSTS belongs to the group that is open when it issues."""
    place = (warp.group_head + warp.groups_closed) % COPY_GROUPS
    warp.group_copies[place] += 1
    warp.group_queued[place] += 1


@inlined
def close_group(warp: Record, counter: Counter) -> None:
    """LDGDEPBAR issues: `counter` (NO_COUNTER if none) falls when this group and all before it are complete."""
    place = (warp.group_head + warp.groups_closed) % COPY_GROUPS
    warp.group_counter[place] = counter
    warp.groups_closed += 1
    place = (place + 1) % COPY_GROUPS
    warp.group_copies[place] = 0
    warp.group_queued[place] = 0
    end_groups(warp)


@inlined
def accept_copy(warp: Record) -> int:
    """The memory unit accepts a warp's next LDGSTS, in the order of issue. Returns its group."""
    place = warp.group_head
    while warp.group_queued[place] == 0:
        place = (place + 1) % COPY_GROUPS
    warp.group_queued[place] -= 1
    return place


@inlined
def complete_copy(warp: Record, group: int) -> None:
    """An LDGSTS is complete."""
    warp.group_copies[group] -= 1
    end_groups(warp)


@inlined
def group_due(warp: Record) -> None:
    """The oldest LDGDEPBAR that was not has gone through the pipeline: its counter has risen and may fall."""
    warp.groups_due += 1
    end_groups(warp)


@inlined
def end_groups(warp: Record) -> None:
    """Forget the closed groups that are complete, the oldest first; their counters fall."""
    while warp.groups_closed > 0 and warp.group_copies[warp.group_head] == 0:
        counter = warp.group_counter[warp.group_head]
        if counter != NO_COUNTER:
            if warp.groups_due == 0:
                return
            warp.groups_due -= 1
            warp.counters -= one(counter)
        warp.group_head = (warp.group_head + 1) % COPY_GROUPS
        warp.groups_closed -= 1
