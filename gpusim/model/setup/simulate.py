"""The timing model's entry: a Trace on a card gives a Result."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gpusim import __version__
from gpusim.compatibility import check_compatible
from gpusim.compiling import Stopwatch
from gpusim.config.models import GpuConfig
from gpusim.config.policies import policy_names
from gpusim.errors import GpusimError
from gpusim.model import gpu as compiled
from gpusim.model.params import Params
from gpusim.model.policies.loading import check_compiles, policy_set
from gpusim.model.setup.build import build_state, keep_l2, records
from gpusim.model.setup.card import (
    build_card,
    build_derived,
    hash_masks,
    occupancy,
    shortest_round_trip,
)
from gpusim.model.setup.code import CodeBuilder, clear_control_bits
from gpusim.model.setup.deadlock import deadlock_report
from gpusim.model.setup.dependence import DependenceBuilder, DependenceTable, no_table
from gpusim.model.setup.footprint import check_footprint
from gpusim.model.setup.streams import StreamPools
from gpusim.model.state import FAULT_TEXTS, TIMELINE, Fault, State
from gpusim.model.threads import KIND_SHIFT, LEAVE, NO_JOBS, OFFER
from gpusim.results.result import FOREIGN, UNLISTED, KernelResult, Result, Stop
from gpusim.results.stalls import STALL_REASONS, Stall
from gpusim.results.timeline import TIMELINE_COLUMNS, TIMELINE_DTYPE
from gpusim.sass.isa import load_isa
from gpusim.trace.trace import Launch, Trace

if TYPE_CHECKING:
    from gpusim.model.setup.launch_groups import LaunchGroups

SECONDS_PER_CALL = 0.2
"""Wall seconds of compiled code between two looks at the progress, and so the longest that Ctrl-C waits."""
MOST_WINDOWS = 1 << 20
"""Windows per call at most: a long trace interrupts calls for its next CTAs, however many windows they are given."""
IDLE_CYCLES = 10_000_000
"""Cycles without an issue anywhere that the watchdog takes for a deadlock. The longest wait that one instruction can
ask for is that of NANOSLEEP, at most 1 ms (PTX ISA 8.5), two million cycles of a fast card."""


@dataclass(frozen=True)
class Progress:
    """What a progress callback is told. Instructions before: of the launches that are done, total: of all."""

    kernel_index: int
    kernel_count: int
    kernel_name: str
    cycle: int
    warp_instructions_done: int
    warp_instructions_total: int
    warp_instructions_before: int
    trace_warp_instructions: int


@dataclass(frozen=True)
class RunOptions:
    """How to simulate; none of it changes a result, but `sample` and what `strict` and `any_architecture` refuse or let
    pass.

    threads: they share the work of SMs and memory, as many as SMs with a CTA at most. skip: jump over idle cycles
    (False: the slow oracle). window: cycles an SM runs ahead of the others, None for the longest that is exact.
    timeline: keep every instruction's stages (on one thread). strict: refuse opcodes that the table does not list.
    any_architecture: simulate also machine code that such a card would not run. sample: simulate only as much as it
    takes to estimate the cycles within so many percent (docs/sampling.md); None: everything. progress, warn: are told
    how far it is, and what the model has to guess. kernel_done: is given the partial Result between two launches.
    """

    threads: int = 1
    skip: bool = True
    window: int | None = None
    timeline: bool = False
    strict: bool = False
    any_architecture: bool = False
    sample: float | None = None
    progress: Callable[[Progress], None] | None = None
    warn: Callable[[str], None] | None = None
    kernel_done: Callable[[Result], None] | None = None


class Interrupted(KeyboardInterrupt):
    """Ctrl-C. `partial` holds the launches that were finished; its `stopped` says where. `so_far`: what was counted of
    the one after them, None if nothing had issued."""

    def __init__(self, partial: Result, so_far: KernelResult | None = None) -> None:
        super().__init__("interrupted")
        self.partial, self.so_far = partial, so_far

    def __reduce__(self) -> tuple:  # out of a worker process goes the fact alone
        return KeyboardInterrupt, self.args


class SimulationError(GpusimError):
    """A launch that could not be simulated to its end. `partial` holds the launches before it."""

    def __init__(self, message: str, partial: Result) -> None:
        super().__init__(message)
        self.partial = partial

    def __reduce__(self) -> tuple:  # out of a worker process goes the message alone
        return GpusimError, self.args


def simulate(
    trace: Trace, config: GpuConfig, options: RunOptions | None = None, resumed: Result | None = None
) -> Result:
    """Simulate every launch of a trace, one after another, caches cold at each start
    (but L2 as the card's `l2.kept_between_kernels` says).

    `resumed` is the partial Result of an earlier call with the same arguments: its kernels are taken over, and since
    every launch starts from the same state, the whole is what one call without a stop gives.

    Raises GpusimError for machine code that the card does not run, SimulationError where a CTA does not fit on it, the
    model deadlocks, or, if strict, an opcode is unknown, and Interrupted at Ctrl-C.
    """
    options = options or RunOptions()
    check_sampling(options)
    foreign = check_compatible(trace, config, options.any_architecture)
    if foreign and options.warn:
        options.warn(f"{foreign}: its timing is that of no real card")
    simulation = Simulation(config, options, resumed)
    simulation.kernels = taken_over(resumed, trace, options) if resumed else []
    simulation.groups = groups_of(trace, config, options, simulation.kernels)
    provenance = {**trace.provenance, **({FOREIGN: foreign} if foreign else {})}
    for number, launch in enumerate(trace.launches):
        if number < len(simulation.kernels):
            continue
        stop = Stop("running", number, len(trace.launches), launch.program.name, 0)
        if simulation.kernels and options.kernel_done:
            options.kernel_done(simulation.result(provenance, stop))
        simulation.run(launch, stop, provenance, teller(trace, number, options))
    return simulation.result(provenance, None)


class Simulation:
    """Launches that are simulated one after another, and what came of them so far.

    kernels: results in order. groups: of like launches, from which some are estimated instead; None for none.
    """

    def __init__(self, config: GpuConfig, options: RunOptions, resumed: Result | None = None) -> None:
        """`resumed`: an earlier Result, whose seconds and unknown opcodes count."""
        self.config, self.options = config, options
        self.kernels: list[KernelResult] = []
        self.groups: LaunchGroups | None = None
        self._clock = Stopwatch(resumed.cpu_seconds, resumed.compile_seconds) if resumed else Stopwatch()
        self._unlisted = set(filter(None, resumed.provenance.get(UNLISTED, "").split(", "))) if resumed else set()
        self._before: KernelRun | None = None

    def run(
        self, launch: Launch, stop: Stop, provenance: Mapping[str, str], tell: Callable[[int, int], None] | None
    ) -> KernelResult:
        """Simulate one launch to its end, or estimate it, and add it.

        stop: its number, and where the partial result says that it ended, if it does. tell: as of KernelRun.
        Raises SimulationError and Interrupted.
        """
        run = None
        try:
            if self.groups and (estimate := self.groups.estimate(stop.kernel)):
                self.kernels.append(estimate)
                return estimate
            run = run_of(launch, self.config, self.options, self._unlisted, tell)
            if self._before and self.config.l2.kept_between_kernels:
                run.state = keep_l2(self._before.state, run.state)
            self.kernels.append(run.simulate())
            self._before = run
            if self.groups:
                self.groups.add(stop.kernel, self.kernels[-1])
            return self.kernels[-1]
        except KeyboardInterrupt:
            partial = self.result(provenance, replace(stop, reason="interrupted", cycle=run.cycle if run else 0))
            raise Interrupted(partial, run.so_far() if run else None) from None
        except GpusimError as error:
            partial = self.result(provenance, replace(stop, reason="error", cycle=run.cycle if run else 0))
            raise SimulationError(str(error), partial) from error

    def result(self, provenance: Mapping[str, str], stopped: Stop | None) -> Result:
        """What there is, whole or stopped early; `provenance` of the trace."""
        facts = {**provenance, "simulated_by": f"gpusim {__version__}"}
        facts |= {UNLISTED: ", ".join(sorted(self._unlisted))} if self._unlisted else {}
        clock = self._clock
        return Result(self.config.name, tuple(self.kernels), clock.cpu_seconds, facts, stopped, clock.compile_seconds)


def check_sampling(options: RunOptions) -> None:
    """Raises GpusimError where `sample` is no percentage or does not go with the other options."""
    if options.sample is None:
        return
    if isinstance(options.sample, bool) or not 0 < options.sample <= 100:
        raise GpusimError(f"sample={options.sample!r}: should be the percentage of error to stop at, such as 5")
    if options.timeline:
        raise GpusimError("a sampled run has no timeline of all instructions; leave out one of the two")


def groups_of(trace: Trace, config: GpuConfig, options: RunOptions, kernels: list[KernelResult]) -> LaunchGroups | None:
    """The groups of like launches of a sampled run, which know of those that are done; None where all are simulated.

    They all are also on a card that keeps L2: what a launch finds there, those before must have been simulated for.
    """
    if options.sample is None or config.l2.kept_between_kernels:
        return None
    from gpusim.model.setup.launch_groups import LaunchGroups

    groups = LaunchGroups(trace, options.sample)
    for number, kernel in enumerate(kernels):
        groups.add(number, kernel)
    return groups


def run_of(
    launch: Launch,
    config: GpuConfig,
    options: RunOptions,
    unlisted: set[str],
    tell: Callable[[int, int], None] | None,
) -> KernelRun:
    """A run of the launch, sampled where that is wanted and the launch is long enough."""
    if options.sample is not None:
        from gpusim.model.setup.sampling import SampledRun, can_be_sampled

        if can_be_sampled(launch, config):
            return SampledRun(launch, config, options, unlisted, tell)
    return KernelRun(launch, config, options, unlisted, tell)


def taken_over(resumed: Result, trace: Trace, options: RunOptions) -> list[KernelResult]:
    """The kernels of an earlier result.

    Raises GpusimError where they are not the first launches of the trace, or are estimates and none are wanted.
    """
    launches = [(launch.program.name, launch.grid, launch.block) for launch in trace.launches]
    kernels = list(resumed.kernels)
    if [(kernel.name, kernel.grid, kernel.block) for kernel in kernels] != launches[: len(kernels)]:
        raise GpusimError("the result to go on from has other kernels than the trace; start without it")
    if options.sample is None and any(kernel.sampled for kernel in kernels):
        raise GpusimError("the result to go on from is of a sampled run; sample again (--sample), or start without it")
    return kernels


def next_windows(windows: int, quick: bool) -> int:
    """Windows of the next call of compiled code, after one of `windows` that was quick or took its time."""
    return min(2 * windows, MOST_WINDOWS) if quick else max(windows // 2, 1)


def teller(trace: Trace, number: int, options: RunOptions) -> Callable[[int, int], None] | None:
    """What a launch calls with its cycle and the warp instructions issued, None where nobody listens."""
    listener = options.progress
    if not listener:
        return None
    sizes = [launch.warp_instructions for launch in trace.launches]
    before, name = sum(sizes[:number]), trace.launches[number].program.name

    def tell(cycle: int, done: int) -> None:
        listener(Progress(number, len(sizes), name, cycle, done, sizes[number], before, sum(sizes)))

    return tell


class Totals(NamedTuple):
    """Of a launch. cycles: until its end, without the launch overhead. stalls: (instructions, reasons) warp-cycles, and
    warp instructions issued."""

    cycles: int
    counters: dict[str, int]
    stalls: np.ndarray


class KernelRun:
    """One launch on one card."""

    def __init__(
        self,
        launch: Launch,
        config: GpuConfig,
        options: RunOptions,
        unlisted: set[str],
        tell: Callable[[int, int], None] | None = None,
    ) -> None:
        """`unlisted`: unknown opcodes told already, to which this launch's are added; `tell` is given the cycle and the
        warp instructions issued."""
        self.launch, self.config, self.options, self.tell = launch, config, options, tell
        self.windows = 1
        self.last_issue = (0, 0)
        # a thread has an SM with a CTA at least
        self.threads = 1 if options.timeline else min(options.threads, config.sms, launch.cta_count)
        self.window = self._window()
        self.ctas_per_sm = self._ctas_per_sm()
        builder = CodeBuilder(launch.program, load_isa(launch.program.architecture), config)
        code = builder.build()
        self._report_unknown(builder.unknown - unlisted)
        unlisted |= builder.unknown
        shared = self.ctas_per_sm * (launch.shared_bytes + config.sm.memory_unit.shared_memory.reserved_bytes)
        shared = shared if launch.shared_bytes else 0
        table = self._dependence(builder, code)
        check_footprint(config, self.threads, len(code), len(table.names))
        policies = policy_set(policy_names(config))
        derived = build_derived(config, policies, shared, self.window, options.skip, options.timeline, len(table.names))
        masks = hash_masks(config)
        self.params = Params(build_card(config), derived, code, table.operands, table.distances, masks, policies.mark)
        self.pools = StreamPools(launch, self.window)
        self.state = self._initial_state()
        check_compiles(policies, self.state, self.params)

    def _dependence(self, reader: CodeBuilder, code: np.recarray) -> DependenceTable:
        """The table that scoreboards need, which leave CODE without control bits."""
        if self.config.sm.sub_core.dependence.mode != "scoreboard":
            return no_table()
        table = DependenceBuilder(reader, code).build()
        clear_control_bits(code)
        return table

    def _window(self) -> int:
        longest = shortest_round_trip(self.config)
        window = self.options.window or longest
        if window > longest:
            raise GpusimError(
                f"--window {window}: {self.config.name} allows at most {longest}, its shortest round trip to L2"
            )
        return window

    def _ctas_per_sm(self) -> int:
        launch = self.launch
        ctas, limit = occupancy(self.config, launch.warps_per_cta, launch.program.registers, launch.shared_bytes)
        if ctas == 0:
            raise GpusimError(
                f"{launch.program.name}: one CTA of {launch.threads_per_cta} threads, "
                f"{launch.program.registers} registers and {launch.shared_bytes} bytes of shared memory "
                f"does not fit on an SM of {self.config.name}: {limit}"
            )
        return ctas

    def _report_unknown(self, opcodes: set[str]) -> None:
        if not opcodes:
            return
        names = ", ".join(sorted(opcodes))
        if self.options.strict:
            raise GpusimError(
                f"{self.launch.program.name}: opcodes not in isa/{self.config.isa}.yaml: {names}; add a row"
            )
        if self.options.warn:
            self.options.warn(f"opcodes not in the opcode table, timed as their likely class: {names}")

    def _initial_state(self) -> State:
        state = build_state(self.params, self.config, self.threads, self.window)
        gpu = state.gpu[0]
        gpu.cta_total = self.launch.cta_count
        gpu.warps_per_cta = self.launch.warps_per_cta
        gpu.ctas_per_sm = self.ctas_per_sm
        return state

    @property
    def cycle(self) -> int:
        """How far the simulation is, without the launch overhead."""
        return int(self.state.gpu[0].now)

    def simulate(self) -> KernelResult:
        """Run the launch to its end."""
        clock = Stopwatch()
        with ThreadPoolExecutor(self.threads) as pool, self._reading_ahead():
            while True:
                self.pools.look_ahead(self.state)
                status = self._run_windows(pool)
                if status == compiled.FINISHED:
                    return self._result(clock.cpu_seconds)
                if status == compiled.NEEDS_CTAS:
                    self._load_ctas()
                elif status == compiled.NEEDS_STREAMS:
                    self.state = self.pools.supply(self.state)
                elif status == compiled.DEADLOCK:
                    raise self._deadlock("nothing is on its way")
                elif status == compiled.FAULT:
                    raise self._fault()
                self._look()

    def _reading_ahead(self) -> AbstractContextManager[None]:
        """A thread that loads streams, unless there is to be one thread."""
        return self.pools.reader.running() if self.threads > 1 else nullcontext()

    def _load_ctas(self) -> None:
        """Bring what dispatch waits for into the pools."""
        self.state = self.pools.load_next(self.state)

    def _run_windows(self, pool: Executor) -> int:
        """Some windows, on all threads; what they return is that of the first."""
        if self.options.timeline:
            self._make_room()
            return compiled.run_windows(self.state, self.params, 0, 1, 1)
        began = time.perf_counter()
        self.state.teamwork[OFFER] = NO_JOBS
        run = partial(compiled.run_windows, self.state, self.params)
        helpers = [pool.submit(run, number, self.threads, 0) for number in range(1, self.threads)]
        try:
            status = run(0, self.threads, self.windows)
        finally:
            self.state.teamwork[OFFER] = LEAVE << KIND_SHIFT
            wait(helpers)
        quick = time.perf_counter() - began < SECONDS_PER_CALL / 2
        self.windows = next_windows(self.windows, quick)
        return status

    def _make_room(self) -> None:
        """Let the timeline hold what a window can add: every sub-core may issue once a cycle."""
        rows = int(self.state.gpu[0].timeline_rows) + 4 * self.config.sms * self.window
        if len(self.state.timeline) < rows:
            larger = records(max(rows, 2 * len(self.state.timeline)), TIMELINE)
            larger[: len(self.state.timeline)] = self.state.timeline
            self.state = self.state._replace(timeline=larger)

    def _look(self) -> None:
        """Tell the progress, and stop where nothing has issued for too long."""
        done = int(self.state.counters.warp_instructions.sum())
        if done > self.last_issue[0]:
            self.last_issue = (done, self.cycle)
        elif self.cycle - self.last_issue[1] > IDLE_CYCLES:
            raise self._deadlock(f"no warp has issued since about cycle {self.last_issue[1]}")
        if self.tell:
            self.tell(self.cycle, self._told(done))

    def _told(self, done: int) -> int:
        """What the progress is told of `done` warp instructions that were issued."""
        return done

    def _fault(self) -> GpusimError:
        """A table of fixed size was too small, or a policy broke its rules."""
        gpu = self.state.gpu[0]
        fault = Fault(int(gpu.fault))
        policy = fault in (Fault.SCHEDULER, Fault.REPLACEMENT)
        remedy = "correct it" if policy else "this configuration is outside what the model was built for"
        return GpusimError(f"{self.launch.program.name}: {FAULT_TEXTS[fault]} at about cycle {gpu.now}; {remedy}")

    def _deadlock(self, cause: str) -> GpusimError:
        return GpusimError(deadlock_report(self.state, self.params, self.launch, cause))

    def so_far(self) -> KernelResult | None:
        """What was counted of a launch that was stopped, as if its warps had left; None if none issued."""
        state = self.state
        counted = self._counted(self.cycle)
        if not counted.counters["warp_instructions"]:
            return None
        resident = state.warps[state.warps.active == 1]
        np.add.at(counted.stalls, (resident.index, resident.reason), np.maximum(self.cycle - resident.reason_since, 0))
        counted.counters["resident_warp_cycles"] = int(counted.stalls.sum())
        running = state.sms[state.sms.live_ctas > 0]
        counted.counters["sm_active_cycles"] += int(np.maximum(self.cycle - running.active_since, 0).sum())
        return self._kernel_result(counted, 0.0)

    def _counted(self, cycles: int) -> Totals:
        """What was counted up to now."""
        state = self.state
        counters = {name: int(state.counters[name].sum()) for name in state.counters.dtype.names or ()}
        return Totals(cycles, counters, state.stalls.sum(axis=0))

    def _totals(self) -> Totals:
        """What was counted until the end."""
        totals = self._counted(self._end())
        assert totals.counters["warp_instructions"] == self.launch.warp_instructions, "the model lost instructions"
        return totals

    def _result(self, seconds: float) -> KernelResult:
        return self._kernel_result(self._totals(), seconds)

    def _kernel_result(self, totals: Totals, seconds: float) -> KernelResult:
        launch, (end, counters, stalls) = self.launch, totals
        resident = counters.pop("resident_warp_cycles")
        accesses = counters.pop("l1_instruction_accesses")
        counters["l1_instruction_hits"] = accesses - counters["l1_instruction_misses"]
        counters["launch_cycles"] = self.config.kernel_launch_cycles
        active = counters["sm_active_cycles"]
        return KernelResult(
            name=launch.program.name,
            grid=launch.grid,
            block=launch.block,
            cycles=self.config.kernel_launch_cycles + end,
            warp_instructions=counters.pop("warp_instructions"),
            thread_instructions=counters.pop("thread_instructions"),
            counters=counters,
            pc=launch.program.instructions.pc.astype(np.int64),
            pc_issues=stalls[:, Stall.SELECTED],
            pc_stalls=stalls[:, : len(STALL_REASONS)],
            resident_warp_cycles=resident,
            occupancy=resident / (active * self.config.sm.warps) if active else 0.0,
            seconds=seconds,
            timeline=self._timeline() if self.options.timeline else None,
            program=launch.program,
        )

    def _end(self) -> int:
        """Cycle in which the last warp has retired and L2 has taken all that was written."""
        return max(int(self.state.sms.last_retire.max()), int(self.state.gpcs.last_acknowledge.max()))

    def _timeline(self) -> np.ndarray:
        """Rows by SM, cycle of issue and sub-core."""
        rows = self.state.timeline[: int(self.state.gpu[0].timeline_rows)]
        table = np.zeros(len(rows), TIMELINE_DTYPE)
        instructions = self.launch.program.instructions[rows["index"]]
        for name in TIMELINE_COLUMNS:
            if name not in ("pc", "opcode"):
                table[name] = rows[name]
        table["pc"], table["opcode"] = instructions.pc, instructions.opcode
        return table[np.lexsort((table["sub_core"], table["issue"], table["sm"]))]
