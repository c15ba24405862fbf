"""The SM's ADU: LDC, BAR, R2UR, S2UR, and S2R of what is no thread index (timing model, section 12)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gpusim.config.models import GpuConfig
from gpusim.model.kinds import Kind
from reference.caches import L1Instructions, SmallCache
from reference.memory_unit import QueueEntry, after_grant
from reference.warp import Dynamic

WAITING_LDCS = 64
BANK_BYTES = 1 << 20


@dataclass
class WaitingLdc:
    dynamic: Dynamic
    line: int


@dataclass
class Ldc:
    """Constant cache of LDC instructions."""

    cache: SmallCache
    line_bytes: int
    waiting: list[WaitingLdc] = field(default_factory=list)
    arrivals: list[tuple[int, int]] = field(default_factory=list)


class Adu:
    """`finish(dynamic, cycle)` of the owner makes an instruction visible (complete) in a cycle."""

    def __init__(
        self, config: GpuConfig, l1_instructions: L1Instructions, finish: Callable[[Dynamic, int], None]
    ) -> None:
        self.config, self.l1_instructions, self.finish = config, l1_instructions, finish
        geometry = config.sm.memory_unit.constant_cache
        self.ldc = Ldc(SmallCache(geometry), geometry.line_bytes)
        self.free = 0
        self.turn = 0

    # ---- step 1, second part

    def constant_lines_arrive(self, t: int) -> None:
        for arrival in [a for a in self.ldc.arrivals if a[0] <= t]:
            self.ldc.arrivals.remove(arrival)
            line = arrival[1]
            self.ldc.cache.fill(line, t)
            ready = [w for w in self.ldc.waiting if w.line == line]
            self.ldc.waiting = [w for w in self.ldc.waiting if w.line != line]
            for waiting in ready:
                self._finish(waiting.dynamic, t)

    # ---- step 3, second part

    def cycle(self, t: int, queues: list[list[QueueEntry]]) -> None:
        if t < self.free:
            return
        for number in [(self.turn + k) % 4 for k in range(4)]:
            queue = queues[number]
            if queue and queue[0].dynamic.static.is_adu and queue[0].asks(t) and not self._refused(queue[0].dynamic):
                self._execute(queue.pop(0).dynamic, t)
                self.free = t + self.config.sm.memory_unit.adu_interval
                self.turn = (number + 1) % 4
                return

    def _refused(self, dynamic: Dynamic) -> bool:
        return dynamic.static.kind == Kind.CONSTANT_LOAD and len(self.ldc.waiting) >= WAITING_LDCS

    def _execute(self, dynamic: Dynamic, t: int) -> None:
        dynamic.execute = t
        if dynamic.step.mask != 0 and dynamic.static.kind == Kind.CONSTANT_LOAD:
            self._load_constant(dynamic, t)
        elif dynamic.step.mask != 0 and dynamic.static.kind == Kind.BARRIER:
            dynamic.warp.arrive(dynamic.static, t + self.config.sm.barriers.release)
            self.finish(dynamic, t)
        else:
            self._finish(dynamic, t)

    def _finish(self, dynamic: Dynamic, t: int) -> None:
        self.finish(dynamic, t + after_grant(self.config, dynamic, dynamic.static.raw))

    def _load_constant(self, dynamic: Dynamic, t: int) -> None:
        _, address = dynamic.step.accesses[0].lanes[0]
        line = (dynamic.static.constant_bank * BANK_BYTES + address % BANK_BYTES) // self.ldc.line_bytes
        if line in self.ldc.cache:
            self.ldc.cache.use(line, t)
            self._finish(dynamic, t)
            return
        if not any(w.line == line for w in self.ldc.waiting):
            byte = line * self.ldc.line_bytes
            self.l1_instructions.request("constant", byte, t, lambda at: self.ldc.arrivals.append((at, line)))
        self.ldc.waiting.append(WaitingLdc(dynamic, line))
