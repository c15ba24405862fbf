"""Units of variable latency: those of a sub-core, and the FP64 unit that an SM shares (timing model, section 10)."""

from __future__ import annotations

from collections.abc import Callable

from gpusim.config.models import VariableTiming
from reference.warp import Dynamic


class VariableUnit:
    """In order, one instruction per interval: its backlog tells how long its queue is."""

    def __init__(self, timing: VariableTiming) -> None:
        self.timing = timing
        self.free = 0

    def has_room(self, t: int, sub_core: int) -> bool:
        return self.free - t <= (self.timing.queue_entries + 1) * self.timing.initiation_interval

    def take(self, t: int) -> int:
        """Start of an instruction that leaves Control in t."""
        start = max(t + 1, self.free)
        self.free = start + self.timing.initiation_interval
        return start


class SharedFp64:
    """A queue per sub-core of (instruction, first cycle in which it may start), served in turn."""

    def __init__(self, timing: VariableTiming, run: Callable[[int, Dynamic, int], None]) -> None:
        self.timing, self.run = timing, run
        self.queues: list[list[tuple[Dynamic, int]]] = [[] for _ in range(4)]
        self.free = 0
        self.turn = 0

    def has_room(self, t: int, sub_core: int) -> bool:
        return len(self.queues[sub_core]) <= self.timing.queue_entries

    def cycle(self, t: int) -> None:
        if t < self.free:
            return
        for sub_core in [(self.turn + k) % 4 for k in range(4)]:
            queue = self.queues[sub_core]
            if queue and queue[0][1] <= t:
                self.run(sub_core, queue.pop(0)[0], t)
                self.free = t + self.timing.initiation_interval
                self.turn = (sub_core + 1) % 4
                return
