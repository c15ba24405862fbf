"""One sub-core: completions, Allocate, Control, address unit, issue, fetch (timing model, sections 3 and 5 to 14)."""

from __future__ import annotations

from dataclasses import dataclass, field

from gpusim.config.models import GpuConfig
from gpusim.model.kinds import Kind, Unit
from reference.caches import L1Instructions
from reference.fetch import ConstantCache, Fetch
from reference.issue import Issue
from reference.memory_unit import QueueEntry
from reference.program import LONG_KINDS
from reference.registers import RegisterFile
from reference.variable import SharedFp64, VariableUnit
from reference.warp import Dynamic, Warp

COUNTER_ONLY, LOAD, NO_RESULT, COPY, OTHER_RESULT, GROUP = range(6)
"""Kinds of completions, in the order in which they are taken."""
WITHOUT_RESULT = (Kind.GLOBAL_STORE, Kind.SHARED_STORE, Kind.GLOBAL_REDUCTION, Kind.BARRIER)
RESULTS_AHEAD = 62


@dataclass(order=True)
class Completion:
    kind: int
    due: int
    number: int  # in the order in which `due` became known
    counter: int | None = field(compare=False)
    dynamic: Dynamic = field(compare=False)


class SubCore:
    def __init__(
        self,
        config: GpuConfig,
        number: int,
        l1_instructions: L1Instructions,
        instructions: int,
        fp64: SharedFp64 | None,
    ) -> None:
        self.number_in_sm = number
        self.config = config.sm.sub_core
        self.warps: list[Warp] = []  # youngest first
        self.registers = RegisterFile(config)
        self.fetch = Fetch(config, l1_instructions, instructions)
        self.constants = ConstantCache(config, l1_instructions)
        self.issue = Issue(config, self)
        execution = self.config.execution
        self.units = {
            Kind.SFU: VariableUnit(execution.sfu),
            Kind.FP64: fp64 or VariableUnit(execution.fp64),
            Kind.MISC_QUEUE: VariableUnit(execution.misc_queue),
        }
        self.completions: list[Completion] = []
        self.number = 0
        self.control: Dynamic | None = None
        self.rising: Dynamic | None = None
        self.allocate: Dynamic | None = None
        self.unit_open = dict.fromkeys(Unit, 0)
        self.queue: list[QueueEntry] = []
        self.address_unit_free = 0
        self.results: set[int] = set()  # write-back cycles taken
        self.reserved: list[Dynamic] = []  # holders of result queue entries

    # ---- completions

    def complete(self, due: int, kind: int, dynamic: Dynamic, counter: int | None) -> None:
        self.number += 1
        self.completions.append(Completion(kind, due, self.number, counter, dynamic))

    def memory_done(self, dynamic: Dynamic, cycle: int) -> None:
        """A memory instruction is visible, or complete, in this cycle."""
        kind = dynamic.static.kind
        how = LOAD
        if kind == Kind.GLOBAL_TO_SHARED:
            how = COPY
        elif kind in WITHOUT_RESULT or dynamic.step.mask == 0:
            how = NO_RESULT
        self.complete(cycle, how, dynamic, dynamic.static.write_counter)

    def _read(self, dynamic: Dynamic, cycle: int) -> None:
        """The sources of an instruction may be overwritten from this cycle on."""
        dynamic.sources_read = cycle
        if dynamic.static.read_counter is not None:
            self.complete(cycle, COUNTER_ONLY, dynamic, dynamic.static.read_counter)

    def take_completions(self, t: int) -> None:
        due = sorted(c for c in self.completions if c.due <= t)
        self.completions = [c for c in self.completions if c.due > t]
        held = set()  # kinds of which one could not be written
        for completion in due:
            dynamic, warp = completion.dynamic, completion.dynamic.warp
            if completion.kind in (LOAD, OTHER_RESULT):
                if completion.kind in held or not self.registers.try_write(dynamic.static, t - 1):
                    held.add(completion.kind)
                    self.completions.append(completion)
                    continue
                dynamic.write_back = t - 1
            dynamic.visible |= completion.kind in (LOAD, NO_RESULT, OTHER_RESULT)
            if completion.counter is not None:
                warp.counters[completion.counter] -= 1
            if completion.kind in (LOAD, NO_RESULT, COPY):
                warp.outstanding -= 1
            if completion.kind == COPY:
                dynamic.group.copies -= 1
            elif completion.kind == GROUP:
                dynamic.group.may_end = True
            warp.end_groups()

    # ---- one cycle

    def cycle(self, t: int) -> None:
        self.take_completions(t)
        self.fetch.lines_arrive(t, self.warps)
        self.constants.lines_arrive(t)
        self.try_allocate(t)
        self.try_control(t)
        self.compute_address(t)
        self.begin_pass(t)
        self.issue.cycle(t)
        self.begin_pass(t)
        self.fetch_one(t)
        self.fetch.prefetch(t)
        self.raise_counters()

    def try_allocate(self, t: int) -> None:
        dynamic = self.allocate
        if dynamic is None or (dynamic.latch is not None and t < self.unit_open[dynamic.latch]):
            return
        static = dynamic.static
        if not self.registers.try_read(static, dynamic.warp, t):
            return
        self.allocate = None
        if dynamic.latch is not None:
            self.unit_open[dynamic.latch] = t + static.interval
        execute = t + 1 + static.window
        dynamic.allocate, dynamic.read, dynamic.execute = t, t + 1 if static.sources else -1, execute
        self._read(dynamic, execute)
        if dynamic.passes_left == 0:
            self._finish(dynamic, t, t)

    def begin_pass(self, t: int) -> None:
        """The tensor unit takes the pass that has been ready longest, of equals that of the lowest warp."""
        waiting = [w.matrix for w in self.warps if w.matrix is not None and w.matrix.pass_ready <= t]
        if not waiting or t < self.issue.unit_free[Unit.TENSOR]:
            return
        dynamic = min(waiting, key=lambda d: (d.pass_ready, d.warp.local))
        self.issue.unit_free[Unit.TENSOR] = t + dynamic.static.interval
        dynamic.passes_left -= 1
        dynamic.pass_ready = t + dynamic.static.latency
        if dynamic.passes_left == 0:
            dynamic.warp.matrix = None
            if dynamic.allocate >= 0:
                self._finish(dynamic, t + 2, t)

    def _finish(self, dynamic: Dynamic, allocated: int, t: int) -> None:
        """The result of a fixed-latency instruction, as if it had left Allocate in `allocated`."""
        static = dynamic.static
        dynamic.left_allocate = allocated
        if static.has_result:
            self._write_back(dynamic, allocated + 1 + static.window + static.latency, t)
        if static.write_counter is not None:
            falls = max(allocated - 2 + static.latency, t + 1)
            if static.kind == Kind.ASYNC_BARRIER:
                self.complete(falls, GROUP, dynamic, None)
            else:
                self.complete(falls, COUNTER_ONLY, dynamic, static.write_counter)

    def _write_back(self, dynamic: Dynamic, earliest: int, t: int) -> None:
        cycle = earliest
        while cycle in self.results and cycle < t + RESULTS_AHEAD:
            cycle += 1
        cycle = min(cycle, t + RESULTS_AHEAD)
        self.results.add(cycle)
        dynamic.write_back = cycle
        for bank in dynamic.static.banks:
            self.registers.writes.book(bank, cycle)

    def results_reserved(self, t: int) -> int:
        """Result queue entries held in the issue check of cycle t."""
        self.reserved = [d for d in self.reserved if d.write_back < 0 or d.write_back > t]
        return len(self.reserved)

    def try_control(self, t: int) -> None:
        dynamic = self.control
        if dynamic is None:
            return
        if not dynamic.counted:
            dynamic.counted = True
            dynamic.control = t
            self.rising = dynamic
        static = dynamic.static
        if static.is_memory:
            self.queue.append(QueueEntry(dynamic, t - 1 + self.config.memory_queue.register_read))
        elif static.is_variable:
            if not self._start_variable(dynamic, t):
                return
        else:
            if self.allocate is not None:
                return
            self.allocate = dynamic
        self.control = None

    def _start_variable(self, dynamic: Dynamic, t: int) -> bool:
        static = dynamic.static
        unit = self.units[static.kind]
        if not self.registers.try_read_once(static, t + 1):
            return False
        if isinstance(unit, SharedFp64):
            unit.queues[self.number_in_sm].append((dynamic, t + 1))
        else:
            self.run_variable(dynamic, unit.take(t))
        return True

    def run_variable(self, dynamic: Dynamic, start: int) -> None:
        """The unit takes the instruction in cycle `start`."""
        static = dynamic.static
        dynamic.read, dynamic.execute = start, start + static.window
        self._read(dynamic, max(start - 2 + static.war, start))
        self.complete(start - 2 + static.raw, OTHER_RESULT, dynamic, static.write_counter)

    def compute_address(self, t: int) -> None:
        entry = next((e for e in self.queue if e.asks_from is None), None)
        if entry is None or t < self.address_unit_free or t < entry.readable_from:
            return
        static, queue = entry.dynamic.static, self.config.memory_queue
        if not self.registers.try_read_once(static, t):  # the port of this very cycle
            return
        uniform = static.uniform_address
        self.address_unit_free = t + (queue.address_interval_uniform if uniform else queue.address_interval_regular)
        entry.asks_from = t + (queue.address_to_grant_uniform if uniform else queue.address_to_grant_regular)
        entry.dynamic.read = t
        self._read(entry.dynamic, max(t + static.war - queue.register_read, t + 1))

    def fetch_one(self, t: int) -> None:
        """The warp issued last if it may fetch, else the youngest that may."""
        may = [w for w in self.warps if self.fetch.may_fetch(w, t)]
        if may:
            self.fetch.fetch(next((w for w in may if w.local == self.issue.last_local), may[0]), t)

    def raise_counters(self) -> None:
        if self.rising is None:
            return
        dynamic, self.rising = self.rising, None
        for counter in (dynamic.static.write_counter, dynamic.static.read_counter):
            if counter is not None:
                dynamic.warp.counters[counter] += 1
                update = set.add if dynamic.static.kind in (*LONG_KINDS, Kind.ASYNC_BARRIER) else set.discard
                update(dynamic.warp.long_counters, counter)

    def holds(self, warp: Warp) -> bool:
        """Whether an instruction of the warp is in Control or Allocate."""
        return any(d is not None and d.warp is warp for d in (self.control, self.allocate))
