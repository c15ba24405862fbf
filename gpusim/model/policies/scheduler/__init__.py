"""Warp schedulers: which of a sub-core's ready warps issues. One file per scheduler, with one function:

    def choose(S, P, sm, k, ready, now): ...

`gpusim.model.rows` gives the records of the sub-core and its warps. The sub-core has `greedy`, the local warp issued
last; `order`, its `warp_count` local warps from the youngest to the oldest; and `scheduler_words`, eight integers for
whatever a scheduler wants to remember, 0 at first. `P.card[0]` is the card, with
`sm.sub_core.issue.scheduler_parameters` for numbers of a scheduler's own. What it may not do: change anything but its
words, or count on being called in every cycle: cycles in which nothing can issue are skipped.
"""

from __future__ import annotations

from gpusim.model.params import Params
from gpusim.model.policies.dispatch import hook
from gpusim.model.state import State
from gpusim.model.types import Cycle, Local, Mask, Sm, SubCore


@hook("scheduler", number="P.derived[0].scheduler")
def choose(S: State, P: Params, sm: Sm, k: SubCore, ready: Mask, now: Cycle) -> Local:
    """Local warp that issues in cycle `now`: one of `ready` (a bit per local warp, not empty), or -1 to let none
    issue."""
    raise NotImplementedError
