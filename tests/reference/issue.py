"""The issue stage of a sub-core (timing model, sections 7 and 14)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from gpusim.config.models import GpuConfig
from gpusim.model.kinds import Kind, Unit
from reference.program import Static
from reference.warp import DepbarHold, Dynamic, Warp

if TYPE_CHECKING:
    from reference.sub_core import SubCore

CYCLIC = 16
MAX_COUNTER = 63
CLOSED_GROUPS = 15


class Issue:
    def __init__(self, config: GpuConfig, sub_core: SubCore) -> None:
        self.config, self.sm = config.sm.sub_core.issue, config.sm
        self.branch_refill = config.sm.sub_core.fetch.branch_refill
        self.sub_core = sub_core
        self.last_local = config.sm.warps // 4 - 1
        self.unit_free = dict.fromkeys(Unit, 0)
        self.port_open = 0
        self.hold: int | None = None
        self.log: list[Dynamic] = []
        self.refusals: Counter[str] = Counter()  # by scoreboards
        self.retire = None  # set by the SM: called with (warp, t)
        self.writes_of = None  # set by the SM: unacknowledged writes by warp slot

    def cycle(self, t: int) -> None:
        core = self.sub_core
        for warp in list(core.warps):
            if warp.used_up and self._may_retire(warp, t):
                self.retire(warp, t)
        missing: set[int] = set()
        ready = [w for w in core.warps if self._ready(w, t, missing)]
        if self.last_local not in missing:
            self.hold = None
        elif self.hold is None:
            self.hold = t + self.config.constant_miss_hold
        blocked = core.control is not None or t < self.port_open or (self.hold is not None and self.hold > t)
        if ready and not blocked:
            self._issue(self._choose(ready), t)

    def _may_retire(self, warp: Warp, t: int) -> bool:
        nothing_left = warp.outstanding == 0 and not any(warp.counters) and warp.matrix is None
        if warp.scoreboard is not None and not warp.scoreboard.is_clear(t):
            return False
        return nothing_left and not self.sub_core.holds(warp)

    # ---- conditions

    def _ready(self, warp: Warp, t: int, missing: set[int]) -> bool:
        if warp.used_up or t < warp.stall_until or warp.at_barrier is not None:
            return False
        if t < warp.barrier_open or t < warp.membar_end:
            return False
        if not warp.buffer or t < warp.buffer[0].issues_from:
            return False
        static = warp.next_step.static
        assert warp.buffer[0].index == static.index
        if not self._dependences_met(warp, static, t):
            return False
        if static.is_fixed and not self._unit_available(static, warp, t):
            return False
        if static.line is not None and static.line not in self.sub_core.constants.cache:
            self.sub_core.constants.ask(static.line, t)
            missing.add(warp.local)
            return False
        return True

    def _dependences_met(self, warp: Warp, static: Static, t: int) -> bool:
        if any(warp.counters[c] for c in static.waits):
            return False
        hold = warp.hold
        if hold is not None and t >= hold.start and warp.counters[hold.counter] > hold.limit:
            return False
        if max(self._counted(warp, static.write_counter), self._counted(warp, static.read_counter)) >= MAX_COUNTER:
            return False
        if warp.scoreboard is not None and (refusal := warp.scoreboard.refusal(static, t)):
            self.refusals[refusal] += 1
            return False
        if static.kind == Kind.ASYNC_BARRIER and len(warp.closed_groups) >= CLOSED_GROUPS:
            return False
        return not (static.kind == Kind.MEMBAR and (warp.outstanding or self.writes_of[warp.slot]))

    def _counted(self, warp: Warp, counter: int | None) -> int:
        """Value of a counter after this cycle's step i."""
        if counter is None:
            return 0
        rising = self.sub_core.rising
        mine = (rising.static.write_counter, rising.static.read_counter) if rising and rising.warp is warp else ()
        return warp.counters[counter] + mine.count(counter)

    def _unit_available(self, static: Static, warp: Warp, t: int) -> bool:
        if static.unit == Unit.TENSOR and warp.matrix is not None:
            return False
        if static.passes <= 1 and self._latch(static, t) is None:
            return False
        entries = self.sm.sub_core.execution.result_queue_entries
        return not static.has_result or self.sub_core.results_reserved(t) < entries

    def _latch(self, static: Static, t: int) -> Unit | None:
        """The free latch that the instruction would take."""
        if t >= self.unit_free[static.unit]:
            return static.unit
        may_use_int = static.unit == Unit.FP32 and not static.is_imad and self.sm.sub_core.execution.fp32_in_int_pipe
        return Unit.INT if may_use_int and t >= self.unit_free[Unit.INT] else None

    def _choose(self, ready: list[Warp]) -> Warp:
        if self.config.scheduler == "lrr":
            return min(ready, key=lambda w: (w.local - self.last_local - 1) % CYCLIC)
        for warp in ready:
            if warp.local == self.last_local:
                return warp
        return (max if self.config.scheduler == "cggty" else min)(ready, key=lambda w: w.age)

    # ---- the issue itself

    def _issue(self, warp: Warp, t: int) -> None:
        core, step = self.sub_core, warp.next_step
        static = step.static
        dynamic = Dynamic(warp, step, warp.issued, t)
        self.log.append(dynamic)
        if warp.scoreboard is not None:
            warp.scoreboard.issue(dynamic)
        if static.passes > 1:
            warp.matrix, dynamic.passes_left, dynamic.pass_ready = dynamic, static.passes, t
        elif static.is_fixed:
            dynamic.latch = self._latch(static, t)
            self.unit_free[dynamic.latch] = t + static.interval
        if static.line is not None:
            core.constants.cache.use(static.line, t)
        if static.has_result:
            core.reserved.append(dynamic)
        core.control = dynamic
        self.hold = None
        self.last_local = warp.local
        if static.is_imad:
            self.port_open = t + 1 + self.config.imad_port_block
        warp.stall_until = t + self._stall(static)
        warp.outstanding += static.is_memory
        if static.kind in (Kind.GLOBAL_TO_SHARED, Kind.ASYNC_BARRIER):
            self._copy(dynamic)
        warp.issued += 1
        warp.buffer.pop(0)
        self._follow(warp, static, t)
        if warp.hold is not None and t >= warp.hold.start:
            warp.hold = None
        if static.depbar is not None:
            warp.hold = DepbarHold(*static.depbar, t + self.config.depbar_effect)
        if step.mask == 0:
            return
        if static.kind == Kind.MEMBAR:
            warp.membar_end = t + static.membar
        if static.kind == Kind.BARRIER:
            self._arrive(warp, static, t)

    def _copy(self, dynamic: Dynamic) -> None:
        dynamic.group = dynamic.warp.open_group
        if dynamic.static.kind == Kind.ASYNC_BARRIER:
            dynamic.warp.close_group(dynamic.static.write_counter)
        else:
            dynamic.group.copies += 1

    def _stall(self, static: Static) -> int:
        if static.yields:
            return max(static.stall, 2) if static.stall else self.config.yield_without_stall
        if static.stall > self.config.long_stall_limit:
            return self.config.long_stall_wait
        return max(static.stall, 1)

    def _follow(self, warp: Warp, static: Static, t: int) -> None:
        if warp.used_up or warp.next_step.static.index == static.index + 1:
            return
        warp.buffer.clear()
        warp.waits_for = None
        warp.next_fetch = warp.next_step.static.index
        warp.fetch_from = t + self.branch_refill

    def _arrive(self, warp: Warp, static: Static, t: int) -> None:
        cta = warp.cta
        arrival = cta.arrived.setdefault(static.barrier, 0) + 1
        cta.arrived[static.barrier] = arrival
        cta.expected[static.barrier] = static.barrier_warps
        if static.barrier_waits:
            warp.at_barrier = static.barrier
        cta.check_barriers(t + self.sm.barriers.release)
