"""One launch of a program: executed, and traced or simulated where that is asked for."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

import gpusim
from gpusim.compiling import Stopwatch
from gpusim.emulator import state
from gpusim.emulator.conditions import DEFAULTS, Conditions, Write, to_stdout
from gpusim.emulator.machine import Prepared, check_launch, prepare
from gpusim.emulator.tracing import Progress, Sink, TraceStep, remarks, run
from gpusim.errors import GpusimError
from gpusim.limits import extent_problem
from gpusim.programs.memory import SharedMemory
from gpusim.programs.modules import Kernel
from gpusim.programs.protocol import LaunchRequest
from gpusim.trace.spool import Spool

if TYPE_CHECKING:
    from gpusim.config.models import GpuConfig
    from gpusim.model.setup.simulate import RunOptions, Simulation
    from gpusim.results.result import KernelResult, Result, Stop
    from gpusim.sass.program import Program
    from gpusim.trace.store import TraceWriter
    from gpusim.trace.trace import Launch


NO_LIMIT = 1 << 62
"""Warp instructions of a CTA: a program may take its time, shows its progress and can be stopped."""


@dataclass(frozen=True)
class Chosen:
    """Which launches are traced or simulated: numbers from 1 in the program's order, and kernels by name.

    numbers: ranges, both ends included; None for all. kernel: a regular expression; None for all.
    """

    numbers: tuple[tuple[int, int], ...] | None = None
    kernel: re.Pattern[str] | None = None

    @classmethod
    def parse(cls, numbers: str | None, kernel: str | None) -> Chosen:
        """From `1,4-6` and a regular expression. Raises GpusimError where either is malformed."""
        from gpusim.trace.select import name_pattern, number_ranges

        return cls(number_ranges(numbers) if numbers else None, name_pattern(kernel) if kernel else None)

    def has(self, number: int, name: str) -> bool:
        """Whether launch `number` of kernel `name` is one of them."""
        if self.numbers is not None and not any(first <= number <= last for first, last in self.numbers):
            return False
        return self.kernel is None or self.kernel.search(name) is not None


class Replacement(NamedTuple):
    """What is executed in place of a launch: a program, its banks of constants, and who takes the trace."""

    program: Program
    written: Mapping[int, bytes]
    done: Callable[[Launch], None]


@dataclass
class Totals:
    """What a program's launches came to. by_kernel: launches by kernel name."""

    launches: int = 0
    chosen: int = 0
    warp_instructions: int = 0
    by_kernel: dict[str, int] = field(default_factory=dict)


class Launcher:
    """Executes the launches of a program, in the order in which they come.

    card: simulates the chosen ones; None for none. writer: takes their trace. tell: hears how far one is.
    """

    def __init__(
        self,
        chosen: Chosen,
        card: GpuConfig | None = None,
        options: RunOptions | None = None,
        writer: TraceWriter | None = None,
        progress: Progress | None = None,
        conditions: Conditions = DEFAULTS,
        replace: Callable[[Kernel, LaunchRequest], Replacement | None] | None = None,
    ) -> None:
        """conditions: how kernels are executed; a CTA has no limit unless they set one. replace: says what is executed,
        and traced, in place of a launch; None, or where it returns None: itself."""
        self.replace = replace
        self.chosen, self.card, self.writer = chosen, card, writer
        self.progress, self.conditions = progress, conditions
        self._told: set[str] = set()
        self.totals = Totals()
        self.provenance: dict[str, str] = {"gpusim_version": gpusim.__version__}
        self._simulation = _simulation(card, options) if card else None
        self._known: dict[tuple[str, tuple[int, ...], tuple[int, ...]], list[float]] = {}

    def launch(
        self,
        kernel: Kernel,
        request: LaunchRequest,
        memory: SharedMemory,
        textures: np.ndarray | None = None,
        write: Write = to_stdout,
    ) -> float:
        """Execute a launch; returns the simulated nanoseconds that it takes, 0 where nothing is simulated.

        write: takes what the kernel prints. textures: what the handles of texture and surface objects mean, as of
        `prepare`.
        A launch that is not chosen takes what those of its kernel, grid and block took on average.
        Raises GpusimError where it does not fit the card or its kernel fails, and as `simulate`.
        """
        program, name = kernel.program, kernel.name
        check_geometry(kernel, request)
        if self.replace and (replacement := self.replace(kernel, request)):
            self._run_replacement(replacement, kernel, request, memory, textures, write)
            return 0.0
        prepared = prepare(
            program, request.grid, request.block, request.dynamic_shared, request.packed, memory,
            kernel.module.globals_address, self._cta_limit, kernel.written(), kernel.decoded, textures,
            request.cooperative, lenient=self.conditions.lenient,
        )  # fmt: skip
        kernel.decoded = prepared.decoded
        self.totals.launches += 1
        self.totals.by_kernel[name] = self.totals.by_kernel.get(name, 0) + 1
        keep = self.chosen.has(self.totals.launches, name) and (self._simulation or self.writer)
        if keep:
            simulated = self._execute(prepared, memory, write)
        else:
            simulated = None
            self._only_run(prepared, memory, write)
        key = (name, request.grid, request.block)
        if simulated is not None:
            self._known.setdefault(key, []).append(simulated)
            return simulated
        times = self._known.get(key, [0.0])
        return sum(times) / len(times)

    def _run_replacement(
        self,
        replacement: Replacement,
        kernel: Kernel,
        request: LaunchRequest,
        memory: SharedMemory,
        textures: np.ndarray | None,
        write: Write,
    ) -> None:
        """Execute another program in place of a launch, and hand its trace over."""
        prepared = prepare(
            replacement.program, request.grid, request.block, request.dynamic_shared, request.packed, memory,
            kernel.module.globals_address, self._cta_limit, replacement.written, None, textures,
            request.cooperative, lenient=self.conditions.lenient,
        )  # fmt: skip
        self.totals.launches += 1
        spool = Spool()
        self._traced(prepared, memory, spool, write)
        replacement.done(spool.launches[0])

    def _traced(self, prepared: Prepared, memory: SharedMemory, spool: Spool | None, write: Write) -> None:
        """Execute with the trace going to the spool and the writer, those that there are."""
        before = self.totals.warp_instructions
        with self._sinks(prepared, spool) as sinks:
            for chunk in run(prepared, memory, tell=self._teller(prepared), write=write):
                self.totals.warp_instructions += chunk.warp_instructions
                for sink in sinks:
                    sink.add(chunk)
        self._remark(prepared, memory, self.totals.warp_instructions - before)

    @property
    def _cta_limit(self) -> int:
        return self.conditions.cta_limit or NO_LIMIT

    def _remark(self, prepared: Prepared, memory: SharedMemory, executed: int) -> None:
        """Warn of what is worth it, once for each kernel or instruction."""
        for told in remarks(prepared, memory, executed):
            about = told.partition(":")[0]
            if about not in self._told:
                self._told.add(about)
                self.conditions.warn(told)

    def _only_run(self, prepared: Prepared, memory: SharedMemory, write: Write) -> None:
        for _ in run(prepared, memory, tell=self._teller(prepared), write=write, keep=False):
            pass
        executed = int(prepared.machine.control[state.CLOCK])
        self.totals.warp_instructions += executed
        self._remark(prepared, memory, executed)

    def _execute(self, prepared: Prepared, memory: SharedMemory, write: Write) -> float | None:
        """Execute a chosen launch with its trace; returns its nanoseconds if it is simulated."""
        spool = Spool() if self._simulation else None
        self._traced(prepared, memory, spool, write)
        self.totals.chosen += 1
        if not (spool and self.card):
            return None
        return self._simulate(spool.launches[0]) * 1000 / self.card.clocks.core_mhz

    @contextmanager
    def _sinks(self, prepared: Prepared, spool: Spool | None) -> Iterator[list[Sink]]:
        facts = {**prepared.program.provenance, "launch_number": str(self.totals.launches)}
        what = (prepared.program, prepared.grid, prepared.block, prepared.shared_bytes, facts)
        with ExitStack() as stack:
            sinks: list[Sink] = []
            if spool:
                sinks.append(stack.enter_context(spool.launch(*what)))
            if self.writer:
                sinks.append(stack.enter_context(self.writer.launch(*what)))
            yield sinks

    def _simulate(self, launch: Launch) -> int:
        assert self._simulation is not None
        tell = self._simulated(launch)
        return self._simulation.run(launch, self._stop("running"), self.provenance, tell).cycles

    def _simulated(self, launch: Launch) -> Callable[[int, int], None] | None:
        """What hears of a simulation: its cycle and warp instructions."""
        assert self._simulation is not None
        listener = self._simulation.options.progress
        if not listener:
            return None
        from gpusim.model.setup.simulate import Progress as Step

        number, total = self.totals.launches, launch.warp_instructions

        def tell(cycle: int, done: int) -> None:
            # how many launches will follow nobody knows: the ETA is that of this one
            listener(Step(number - 1, number, launch.program.name, cycle, done, total, 0, total))

        return tell

    def _teller(self, prepared: Prepared) -> Callable[[int, int], None] | None:
        progress = self.progress
        if not progress:
            return None
        number, before, name = self.totals.launches, self.totals.warp_instructions, prepared.program.name
        ctas, clock = math.prod(prepared.grid), Stopwatch()

        def tell(done: int, executed: int) -> None:
            rate = executed / max(clock.cpu_seconds, 1e-9)
            progress(TraceStep(name, number - 1, number, done, ctas, before + executed, rate))

        return tell

    def _stop(self, reason: str) -> Stop:
        from gpusim.results.result import Stop

        kernels = self._simulation.kernels if self._simulation else []
        return Stop(reason, len(kernels), len(kernels) + 1, "the program's next launch", 0)

    def kernels(self) -> list[KernelResult]:
        """Of the launches that were simulated."""
        return self._simulation.kernels if self._simulation else []

    def result(self, stopped: str | None = None) -> Result | None:
        """What was simulated, None without a card. stopped: why the program did not end by itself."""
        if not self._simulation:
            return None
        return self._simulation.result(self.provenance, self._stop(stopped) if stopped else None)


def _simulation(card: GpuConfig, options: RunOptions | None) -> Simulation:
    from gpusim.model.setup.simulate import RunOptions, Simulation

    return Simulation(card, options or RunOptions())


def check_geometry(kernel: Kernel, request: LaunchRequest) -> None:
    """Raises InvalidConfiguration for a grid, a block or shared memory that no card would take."""
    for what, sizes in (("grid", request.grid), ("block", request.block)):
        if problem := extent_problem(what, sizes):
            raise InvalidConfiguration(f"kernel {kernel.name}: {problem}")
    check_launch(kernel.program, request.grid, request.block, request.dynamic_shared, "the program")


class InvalidConfiguration(GpusimError):
    """A launch that CUDA refuses as cudaErrorInvalidConfiguration."""
