"""The issue stage of a sub-core, and why a warp does not issue (timing model, sections 7, 14 and 16)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from gpusim.config.models import GpuConfig
from gpusim.model.kinds import Kind, Unit
from gpusim.results.stalls import Stall
from reference.program import LONG_KINDS, Static
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
        self.stalls: Counter[tuple[int, Stall]] = Counter()  # warp-cycles by static instruction and reason
        self.retire = None  # set by the SM: called with (warp, t)
        self.writes_of = None  # set by the SM: unacknowledged writes by warp slot

    def cycle(self, t: int) -> None:
        core = self.sub_core
        for warp in list(core.warps):
            if warp.used_up and self._may_retire(warp, t):
                self.retire(warp, t)
        reasons = {warp: self._reason(warp, t) for warp in core.warps}
        if not any(w.local == self.last_local and reason == Stall.IMC_MISS for w, reason in reasons.items()):
            self.hold = None
        elif self.hold is None:
            self.hold = t + self.config.constant_miss_hold
        blocked = core.control is not None or t < self.port_open or (self.hold is not None and self.hold > t)
        ready = [warp for warp, reason in reasons.items() if reason is None]
        chosen = self._choose(ready) if ready and not blocked else None
        for warp, reason in reasons.items():
            if warp is not chosen:
                passed_over = Stall.DISPATCH_STALL if blocked else Stall.NOT_SELECTED
                self.stalls[warp.last_step.static.index, passed_over if reason is None else reason] += 1
        if chosen:
            self.stalls[chosen.last_step.static.index, Stall.SELECTED] += 1
            self._issue(chosen, t)

    def _may_retire(self, warp: Warp, t: int) -> bool:
        if t <= self._resolved(warp):
            return False
        nothing_left = warp.outstanding == 0 and not any(warp.counters) and warp.matrix is None
        if warp.scoreboard is not None and not warp.scoreboard.is_clear(t):
            return False
        return nothing_left and not self.sub_core.holds(warp)

    def _resolved(self, warp: Warp) -> int:
        """When a warp whose stream is used up may leave."""
        return warp.stall_until + self.config.exit_resolution

    # ---- conditions

    def _reason(self, warp: Warp, t: int) -> Stall | None:
        """The first condition that fails, None if the warp is ready."""
        if t < warp.stall_until:
            return Stall.WAIT
        if warp.used_up:
            return Stall.BRANCH_RESOLVING if t < self._resolved(warp) else Stall.DRAIN
        if warp.at_barrier is not None or t < warp.barrier_open:
            return Stall.BARRIER
        if t < warp.membar_end:
            return Stall.MEMBAR
        if not warp.buffer or t < warp.buffer[0].issues_from:
            return Stall.BRANCH_RESOLVING if warp.flushed else Stall.NO_INSTRUCTION
        static = warp.next_step.static
        assert warp.buffer[0].index == static.index
        reason = self._dependence(warp, static, t) or self._memory(warp, static) or self._unit(static, warp, t)
        if reason is None and static.line is not None and static.line not in self.sub_core.constants.cache:
            self.sub_core.constants.ask(static.line, t)
            return Stall.IMC_MISS
        return reason

    def _dependence(self, warp: Warp, static: Static, t: int) -> Stall | None:
        blocking = {c for c in static.waits if warp.counters[c]}
        hold = warp.hold
        if hold is not None and t >= hold.start and warp.counters[hold.counter] > hold.limit:
            blocking.add(hold.counter)
        raised = (static.write_counter, static.read_counter)
        blocking |= {c for c in raised if self._counted(warp, c) >= MAX_COUNTER}
        if blocking:
            return Stall.LONG_SCOREBOARD if blocking & warp.long_counters else Stall.SHORT_SCOREBOARD
        if warp.scoreboard is None or not (refusal := warp.scoreboard.refusal(static, t)):
            return None
        self.refusals[refusal.rule] += 1
        if refusal.holder.is_fixed:
            return Stall.WAIT
        return Stall.LONG_SCOREBOARD if refusal.holder.kind in LONG_KINDS else Stall.SHORT_SCOREBOARD

    def _memory(self, warp: Warp, static: Static) -> Stall | None:
        if static.kind == Kind.ASYNC_BARRIER and len(warp.closed_groups) >= CLOSED_GROUPS:
            return Stall.LONG_SCOREBOARD
        waits = static.kind == Kind.MEMBAR and (warp.outstanding or self.writes_of[warp.slot])
        return Stall.MEMBAR if waits else None

    def _counted(self, warp: Warp, counter: int | None) -> int:
        """Value of a counter after this cycle's step i."""
        if counter is None:
            return 0
        rising = self.sub_core.rising
        mine = (rising.static.write_counter, rising.static.read_counter) if rising and rising.warp is warp else ()
        return warp.counters[counter] + mine.count(counter)

    def _unit(self, static: Static, warp: Warp, t: int) -> Stall | None:
        if not static.is_fixed:
            return self._throttle(static, t)
        behind_passes = static.unit == Unit.TENSOR and warp.matrix is not None
        if behind_passes or (static.passes <= 1 and self._latch(static, t) is None):
            return Stall.MATH_PIPE_THROTTLE
        entries = self.sm.sub_core.execution.result_queue_entries
        full = static.has_result and self.sub_core.results_reserved(t) >= entries
        return Stall.DISPATCH_STALL if full else None

    def _throttle(self, static: Static, t: int) -> Stall | None:
        """Of a memory instruction, or one of variable latency, whose queue is full."""
        if static.is_memory:
            room = len(self.sub_core.queue) <= self.sm.sub_core.memory_queue.entries
        else:
            room = self.sub_core.units[static.kind].has_room(t, self.sub_core.number_in_sm)
        if room:
            return None
        if static.kind == Kind.FP64:
            return Stall.TEX_THROTTLE if self.sm.sub_core.execution.fp64_shared else Stall.MATH_PIPE_THROTTLE
        return Stall.LG_THROTTLE if static.kind in LONG_KINDS else Stall.MIO_THROTTLE

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
            if warp.local == self.last_local and self.config.scheduler != "oldest":
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
        warp.flushed = False
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
            warp.come_to_barrier(static)

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
        warp.flushed = True
        warp.waits_for = None
        warp.next_fetch = warp.next_step.static.index
        warp.fetch_from = t + self.branch_refill
