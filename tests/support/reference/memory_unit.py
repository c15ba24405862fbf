"""The SM-shared memory unit: grants, shared memory, L1D (timing model, section 12)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gpusim.config.models import GpuConfig
from gpusim.constants import MemorySpace
from gpusim.model.kinds import Kind
from reference.coalescing import agree_in_pairs, global_accesses, shared_passes, space_of
from reference.l1_data import L1Data
from reference.memory_system import SmPorts
from reference.warp import Dynamic

SHARED_KINDS = (Kind.SHARED_LOAD, Kind.SHARED_STORE, Kind.SHARED_ATOMIC, Kind.SHUFFLE, Kind.SPECIAL)


@dataclass(eq=False)
class QueueEntry:
    """An entry of a sub-core's memory queue; asks_from is None until its address is computed."""

    dynamic: Dynamic
    readable_from: int
    asks_from: int | None = None

    def asks(self, t: int) -> bool:
        return self.asks_from is not None and t >= self.asks_from


def after_grant(config: GpuConfig, dynamic: Dynamic, raw: int) -> int:
    """raw less what it contains before the grant."""
    queue = config.sm.sub_core.memory_queue
    uniform = dynamic.static.uniform_address
    to_grant = queue.address_to_grant_uniform if uniform else queue.address_to_grant_regular
    return raw - queue.register_read - to_grant


class MemoryUnit:
    """`finish(dynamic, cycle)` of the owner makes an instruction visible (complete) in a cycle."""

    def __init__(
        self,
        config: GpuConfig,
        ports: SmPorts,
        l1_lines: int,
        finish: Callable[[Dynamic, int], None],
    ) -> None:
        unit = config.sm.memory_unit
        self.config, self.unit, self.finish = config, unit, finish
        self.l1 = L1Data(config, ports, l1_lines, finish)
        self.next_grant = 0
        self.turn = 0
        self.starts: list[int] = []
        self.pipe_free = 0
        self.last_result = 0

    def grant(self, t: int, queues: list[list[QueueEntry]]) -> None:
        self.l1.release_stores(t)
        if t < self.next_grant:
            return
        for number in [(self.turn + k) % 4 for k in range(4)]:
            queue = queues[number]
            if not queue or queue[0].dynamic.static.is_adu or not queue[0].asks(t):
                continue
            if self._refused(queue[0].dynamic, t):
                self.turn = number
                return
            dynamic = queue.pop(0).dynamic
            self.next_grant = t + self.unit.grant_interval
            self.turn = (number + 1) % 4
            dynamic.execute = self._start(dynamic, t)
            self.starts.append(dynamic.execute)
            return

    def _refused(self, dynamic: Dynamic, t: int) -> bool:
        back = self.unit.pending_instructions
        if len(self.starts) >= back and self.starts[-back] > t:
            return True
        return self._kind(dynamic) not in SHARED_KINDS and self.l1.refuses(dynamic, t)

    def _kind(self, dynamic: Dynamic) -> Kind:
        """Kind of an instruction; of a generic one by its address."""
        in_shared = space_of(dynamic) == MemorySpace.SHARED
        return dynamic.static.shared_kind if in_shared else dynamic.static.kind

    def after_grant(self, dynamic: Dynamic) -> int:
        in_shared = space_of(dynamic) == MemorySpace.SHARED
        raw = dynamic.static.shared_raw if in_shared else dynamic.static.raw
        return after_grant(self.config, dynamic, raw)

    def _start(self, dynamic: Dynamic, t: int) -> int:
        kind = self._kind(dynamic)
        if dynamic.step.mask == 0:
            self.finish(dynamic, t + self.after_grant(dynamic))
            return t
        if kind in SHARED_KINDS:
            return self._shared(dynamic, t)
        return self.l1.access(dynamic, t, global_accesses(dynamic), self.after_grant(dynamic))

    def _shared(self, dynamic: Dynamic, t: int) -> int:
        passes = conflicts = transfer = 0
        kind = self._kind(dynamic)
        if kind not in (Kind.SHUFFLE, Kind.SPECIAL):
            passes, conflicts = shared_passes(dynamic)
            moved = 32 * dynamic.static.access_bytes // (2 if agree_in_pairs(dynamic) else 1)
            transfer = moved // self.unit.shared_memory.data_bytes_per_cycle
        start = max(t, self.pipe_free)
        busy = max(passes, transfer, self.unit.shared_memory.minimum_cycles)
        self.pipe_free = start + busy
        if kind == Kind.SHARED_STORE or dynamic.static.kind == Kind.GLOBAL_REDUCTION:
            self.finish(dynamic, start + busy)
        else:
            self.last_result = max(start + conflicts + self.after_grant(dynamic), self.last_result)
            self.finish(dynamic, self.last_result)
        return start
