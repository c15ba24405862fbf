"""The SMs: CTA launch, the order of a cycle, retirement (timing model, sections 3 and 4)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from gpusim.config.models import GpuConfig
from gpusim.results.stalls import Stall
from gpusim.trace.trace import Launch
from reference.adu import Adu
from reference.caches import L1Instructions
from reference.memory_system import MemorySystem, SmPorts
from reference.memory_unit import MemoryUnit
from reference.program import Streams
from reference.scoreboard import Distances, Scoreboard
from reference.sub_core import SubCore
from reference.variable import SharedFp64
from reference.warp import Cta, Dynamic, Warp

SUB_CORES = 4


@dataclass
class Outcome:
    """Total cycles, and what the SMs have seen.

    issued: every instruction by SM and sub-core. stalls: warp-cycles by static instruction and reason. refusals: how
    often scoreboards held an instruction back, by rule.
    """

    cycles: int
    issued: dict[tuple[int, int], list[Dynamic]]
    stalls: Counter[tuple[int, Stall]]
    refusals: Counter[str]


class Deadlock(Exception):
    """No warp finishes within the limit."""


def ctas_per_sm(config: GpuConfig, launch: Launch) -> int:
    sm, memory = config.sm, config.sm.memory_unit.shared_memory
    per_warp = -(-launch.program.registers * 32 // sm.register_allocation) * sm.register_allocation
    shared = -(-(launch.shared_bytes + memory.reserved_bytes) // memory.allocation_bytes) * memory.allocation_bytes
    return min(
        sm.ctas,
        sm.warps // launch.warps_per_cta,
        SUB_CORES * (sm.registers // SUB_CORES // per_warp) // launch.warps_per_cta,
        memory.options_kb[-1] * 1024 // shared if shared else sm.ctas,
    )


def l1_lines(config: GpuConfig, launch: Launch, ctas: int) -> int:
    unit = config.sm.memory_unit
    needed = ctas * (launch.shared_bytes + unit.shared_memory.reserved_bytes) if launch.shared_bytes else 0
    carve_out = next(kb for kb in unit.shared_memory.options_kb if kb * 1024 >= needed)
    lines = (unit.l1_data.unified_kb - carve_out) * 8
    return lines - lines % unit.l1_data.sets


class ReferenceSm:
    def __init__(self, launch: Launch, config: GpuConfig, number: int, ports: SmPorts, streams: Streams) -> None:
        self.config, self.launch, self.number, self.ports, self.streams = config, launch, number, ports, streams
        self.slots = ctas_per_sm(config, launch)
        self.distances = Distances(config)
        self.l1_instructions = L1Instructions(config, len(streams.program), self._fetch_line)
        lines = l1_lines(config, launch, self.slots)
        self.shared = MemoryUnit(config, ports, lines, self._memory_done)
        self.adu = Adu(config, self.l1_instructions, self._memory_done)
        execution, size = config.sm.sub_core.execution, len(self.streams.program)
        self.fp64 = SharedFp64(execution.fp64, self._run_fp64) if execution.fp64_shared else None
        self.sub_cores = [SubCore(config, k, self.l1_instructions, size, self.fp64) for k in range(SUB_CORES)]
        for core in self.sub_cores:
            core.issue.retire = self._retire
            core.issue.writes_of = ports.writes_of
        self.resident: list[Cta] = []
        self.warps_launched = 0
        self.starting: list[Cta] = []
        self.last_retirement = 0

    # ---- CTAs

    @property
    def full(self) -> bool:
        return len(self.resident) >= self.slots

    def take_cta(self, cta_number: int, start: int) -> None:
        """Give the lowest free slot a CTA; its warps are there from cycle `start` on."""
        slot = min(set(range(self.slots)) - {cta.slot for cta in self.resident})
        cta = Cta(cta_number, slot, start, self.number * self.config.sm.warps)
        for number, stream in enumerate(self.streams.ctas[cta_number]):
            place = slot * self.launch.warps_per_cta + number
            warp = Warp(cta, stream, place, self.warps_launched, start, stream[0].static.index, self._scoreboard())
            cta.warps.append(warp)
            self.warps_launched += 1
        self.starting.append(cta)
        self.resident.append(cta)

    def _scoreboard(self) -> Scoreboard | None:
        dependence = self.config.sm.sub_core.dependence
        return Scoreboard(self.distances, dependence.max_consumers) if dependence.mode == "scoreboard" else None

    def _start_ctas(self, t: int) -> None:
        for cta in [c for c in self.starting if c.start <= t]:
            self.starting.remove(cta)
            for warp in cta.warps:
                warps = self.sub_cores[warp.slot % SUB_CORES].warps
                warps.append(warp)
                warps.sort(key=lambda w: -w.age)

    def _retire(self, warp: Warp, t: int) -> None:
        warp.retired = True
        self.sub_cores[warp.slot % SUB_CORES].warps.remove(warp)
        self.last_retirement = t
        if warp.cta.live:
            warp.cta.check_barriers(t + self.config.sm.barriers.release)
        else:
            self.resident.remove(warp.cta)

    # ---- memory

    def _fetch_line(self, key: tuple[str, int], ready: int) -> None:
        arrives = self.l1_instructions.line_from_l2
        self.ports.read(self._line_number(key), 0xF, ready, lambda at: arrives(key, at), keeps_copy=True)

    @staticmethod
    def _line_number(key: tuple[str, int]) -> int:
        space, line = key
        return line + {"code": 1 << 41, "constant": 1 << 40}[space]

    def _run_fp64(self, sub_core: int, dynamic: Dynamic, t: int) -> None:
        self.sub_cores[sub_core].run_variable(dynamic, t)

    def _memory_done(self, dynamic: Dynamic, cycle: int) -> None:
        self.sub_cores[dynamic.warp.slot % SUB_CORES].memory_done(dynamic, cycle)

    # ---- time

    def cycle(self, t: int) -> None:
        self._start_ctas(t)
        self.ports.take_replies(t)
        self.adu.constant_lines_arrive(t)
        self.l1_instructions.lines_arrive(t)
        self.l1_instructions.lookup(t)
        queues = [core.queue for core in self.sub_cores]
        self.shared.grant(t, queues)
        self.adu.cycle(t, queues)
        if self.fp64:
            self.fp64.cycle(t)
        for core in self.sub_cores:
            core.cycle(t)
        if not self.resident:
            self.shared.l1.release_all_stores(t)


class ReferenceGpu:
    def __init__(self, launch: Launch, config: GpuConfig) -> None:
        self.config, self.streams = config, Streams.of(launch, config)
        self.memory_system = MemorySystem(config, config.sms)
        self.sms = [ReferenceSm(launch, config, n, self.memory_system.sms[n], self.streams) for n in range(config.sms)]
        self.launched = 0

    def _launch_ctas(self, t: int) -> None:
        """At first one CTA for each SM in turn until all are full, then a CTA for each place as it becomes free."""
        if t == 0:
            while self.launched < len(self.streams.ctas) and not self.sms[self.launched % len(self.sms)].full:
                self._launch(self.sms[self.launched % len(self.sms)], self.config.sm.instruction_hierarchy.launch.start)
        for sm in self.sms:
            while self.launched < len(self.streams.ctas) and not sm.full:
                self._launch(sm, t + self.config.cta_launch_latency.at(self.config.clocks.core_mhz))

    def _launch(self, sm: ReferenceSm, start: int) -> None:
        sm.take_cta(self.launched, start)
        self.launched += 1

    def run(self, limit: int = 3_000_000) -> Outcome:
        """Raises Deadlock if the kernel has not ended after `limit` cycles."""
        t = 0
        while (
            self.memory_system.unacknowledged
            or self.launched < len(self.streams.ctas)
            or any(s.resident for s in self.sms)
        ):
            self._launch_ctas(t)
            for sm in self.sms:
                if sm.resident:
                    sm.cycle(t)
            self.memory_system.cycle(t)
            t += 1
            if t > limit:
                raise Deadlock(f"not finished after {limit} cycles")
        issued = {(n, k): core.issue.log for n, sm in enumerate(self.sms) for k, core in enumerate(sm.sub_cores)}
        end = max(self.memory_system.last_acknowledgement, *(sm.last_retirement for sm in self.sms))
        cores = [core for sm in self.sms for core in sm.sub_cores]
        stalls = sum((core.issue.stalls for core in cores), Counter())
        refusals = sum((core.issue.refusals for core in cores), Counter())
        return Outcome(self.config.kernel_launch_cycles + end, issued, stalls, refusals)
