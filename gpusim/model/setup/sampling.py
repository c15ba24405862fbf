"""Sampling within a launch: some waves of its CTAs are simulated, and the rest of it is extrapolated from their rate.

A wave is as many CTAs as the card has places for. The CTAs that are simulated are spread over the grid, as
docs/sampling.md draws it: a head with the ramp, stretches of whole waves whose rate is measured, and a tail that ends
the grid. Dispatch goes from one to the next without a pause, so the machine stays full, as if the others had been cut
out of the grid; what they would have added is the measured waves once more, times a factor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from gpusim.config.models import GpuConfig
from gpusim.constants import EXPLICIT, SECTOR_BYTES, WARP_SIZE
from gpusim.model.setup.card import occupancy
from gpusim.model.setup.simulate import KernelRun, RunOptions, Totals
from gpusim.results.result import KernelResult
from gpusim.results.sampled import Sampled
from gpusim.results.stalls import Stall
from gpusim.trace.trace import ChunkSource, CtaChunk, CutCta, Launch

LEAST_WAVES = 24
"""Of a launch that is sampled; in a shorter one ramp, tail and the first pass are half of it or more."""
HEAD_WAVES = 1.5
"""Simulated before anything is measured: the first wave starts everywhere at once and with cold caches."""
MEASURED_WAVES = 2
"""Of a stretch, one after another, each measured by itself."""
WARM_UP_WAVES = 1.0
"""Of a stretch, before its rate is measured: what lies in L2 is that of another place of the grid."""
STRETCHES = 3
"""Of a pass, at least. Each pass lies between the stretches of those before."""
SHARE_OF_PASS = 0.04
"""Of the grid, which a pass takes where STRETCHES take less."""
MOST_STRETCHES = 16
"""Of a pass, whatever its share."""
LEAST_TAIL = 0.25
"""Waves that end the grid. The CTAs left out are whole waves, so the last one is as full as in the whole launch."""
STUDENT_95 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
"""Student's t: 97.5 % lie below it, by degrees of freedom from 1. For more of them the last is taken, a little much."""


# ---- statistics


def half_width(values: Sequence[float]) -> float:
    """Half of the 95 % confidence interval of the mean, relative to the mean; infinite for fewer than two values."""
    if len(values) < 2:
        return math.inf
    mean, freedom = float(np.mean(values)), len(values) - 1
    t = STUDENT_95[min(freedom, len(STUDENT_95)) - 1]
    return t * float(np.std(values, ddof=1)) / math.sqrt(len(values)) / mean


def apportioned(shares: np.ndarray, total: int) -> np.ndarray:
    """Whole numbers in the proportion of `shares` (int64, any shape) that add up to `total`: largest remainders."""
    exact = shares.ravel() * (total / max(int(shares.sum()), 1))
    whole = np.floor(exact).astype(np.int64)
    missing = total - int(whole.sum())
    order = np.argsort(whole - exact, kind="stable")[: max(missing, 0)]
    whole[order] += 1
    return whole.reshape(shares.shape)


def van_der_corput(number: int) -> float:
    """Element `number`, from 1, of the sequence 1/2, 1/4, 3/4, 1/8, 5/8 ...: points of (0, 1), each in a large gap."""
    digits = f"{number:b}"[::-1]
    return int(digits, 2) / (1 << len(digits))


# ---- which CTAs


class Plan:
    """Where on the grid the CTAs lie that are simulated.

    Attributes:
        ctas: of the grid. wave: CTAs that the card has places for. head: CTAs of the ramp, which may grow.
        warm_up: CTAs of a stretch before its first wave.
    """

    def __init__(self, ctas: int, wave: int) -> None:
        self.ctas, self.wave = ctas, wave
        self.head = math.ceil(HEAD_WAVES * wave)
        self.warm_up = math.ceil(WARM_UP_WAVES * wave)
        self._reserve = math.ceil((LEAST_TAIL + 1) * wave)  # the longest tail
        self._taken: set[int] = set()
        self._stretch = self.warm_up + MEASURED_WAVES * wave
        self._pass = min(max(STRETCHES, int(SHARE_OF_PASS * ctas / self._stretch)), MOST_STRETCHES)
        self._points = 0

    @property
    def expected(self) -> int:
        """CTAs that will have been simulated, if no further pass is needed."""
        return self.head + (len(self._taken) or self._pass) * self._stretch + self.wave

    @property
    def head_can_grow(self) -> bool:
        """Whether a further wave of head leaves room for the first pass."""
        return self._slots(self.head + self.wave) >= self._pass

    def next_pass(self) -> list[int]:
        """First CTA of each stretch of the next pass in the order of the grid; none where all of it was taken."""
        slots, new = self._slots(self.head), set[int]()
        while len(new) < min(self._pass, slots - len(self._taken)):
            self._points += 1
            new |= {int(van_der_corput(self._points) * slots)} - self._taken
        self._taken |= new
        return [self.head + slot * self._stretch for slot in sorted(new)]

    def _slots(self, head: int) -> int:
        """Stretches for which there is room between head and tail."""
        return (self.ctas - head - self._reserve) // self._stretch

    def tail(self) -> int:
        """How many CTAs end the grid: as many as leave whole waves out."""
        given = self.head + len(self._taken) * self._stretch
        least = math.ceil(LEAST_TAIL * self.wave)
        return least + (self.ctas - given - least) % self.wave


# ---- streams of some CTAs


class SomeCtas:
    """A ChunkSource of those CTAs of another that were chosen so far, with their numbers in the grid."""

    def __init__(self, source: ChunkSource, warps_per_cta: int) -> None:
        self._source, self._warps = source, warps_per_cta
        counts = np.asarray(source.cta_counts)
        self._ends = np.cumsum(counts)
        self._pieces: list[tuple[int, int, int]] = []  # chunk of the source, first CTA, CTAs
        self._given: list[tuple[int, int]] = []  # CTAs and warp instructions
        self._read: tuple[int, CtaChunk | None] = (-1, None)

    @property
    def cta_counts(self) -> np.ndarray:
        return np.array([ctas for ctas, _ in self._given], dtype=np.int64)

    @property
    def instruction_counts(self) -> np.ndarray:
        return np.array([instructions for _, instructions in self._given], dtype=np.int64)

    @property
    def waiting(self) -> int | None:
        """First CTA of the next chunk, None where all chosen CTAs were read."""
        return self._pieces[len(self._given)][1] if len(self._given) < len(self._pieces) else None

    def choose(self, first: int, count: int) -> None:
        """Append CTAs; every chunk lies within one of the source."""
        end = first + count
        while first < end:
            chunk = int(np.searchsorted(self._ends, first, "right"))
            upto = min(end, int(self._ends[chunk]))
            self._pieces.append((chunk, first, upto - first))
            first = upto

    def cut(self, chunk: int) -> CutCta | None:
        """Chunk number `chunk` of those chosen, where it is a long CTA in pieces; otherwise it is to be read."""
        number, _, count = self._pieces[chunk]
        found = self._source.cut(number)
        if found is not None:
            self._given.append((count, found.warp_instructions))
        return found

    def read(self, chunk: int) -> CtaChunk:
        """Chunk number `chunk` of those chosen; each is read once, in order."""
        number, first, count = self._pieces[chunk]
        before, whole = self._read
        if before != number or whole is None:
            whole = self._source.read(number)
            self._read = number, whole
        part = cut(whole, first, count, self._warps)
        self._given.append((count, part.warp_instructions))
        return part


def cut(chunk: CtaChunk, first: int, count: int, warps: int) -> CtaChunk:
    """CTAs first .. first + count - 1 of a chunk; `warps`: of a CTA."""
    begin = (first - chunk.first_cta) * warps
    rows = slice(begin, begin + count * warps + 1)
    starts, record_starts = chunk.instruction_start[rows], chunk.record_start[rows]
    index = chunk.index[starts[0] : starts[-1]]
    records = chunk.records[record_starts[0] : record_starts[-1]].copy()
    explicit = records["stride"] == EXPLICIT
    addresses = chunk.addresses[:0]
    if np.any(explicit):
        places = records["start"][explicit]
        lowest = int(places.min())
        addresses = chunk.addresses[lowest : int(places.max()) + WARP_SIZE]
        records["start"][explicit] -= lowest
    mask = chunk.mask[starts[0] : starts[-1]]
    return CtaChunk(first, count, starts - starts[0], index, mask, record_starts - record_starts[0], records, addresses)


# ---- a sampled launch


class Snapshot(NamedTuple):
    """How far a launch is, or how far it came between two looks at it.

    cycles: mean over the SMs, each of which has its own clock within a window. stalls: as KernelResult.pc_stalls, with
    the warp instructions issued.
    """

    cycles: float
    counters: dict[str, int]
    stalls: np.ndarray

    @property
    def instructions(self) -> int:
        """Warp instructions issued, at least 1."""
        return max(self.counters["warp_instructions"], 1)

    def since(self, before: Snapshot) -> Snapshot:
        counters = {name: count - before.counters[name] for name, count in self.counters.items()}
        return Snapshot(self.cycles - before.cycles, counters, self.stalls - before.stalls)


def can_be_sampled(launch: Launch, config: GpuConfig) -> bool:
    """Whether a launch has enough waves; False also where its CTAs do not fit on the card at all."""
    places = _places(launch, config)
    return bool(places) and launch.cta_count >= LEAST_WAVES * places


def _places(launch: Launch, config: GpuConfig) -> int:
    ctas, _ = occupancy(config, launch.warps_per_cta, launch.program.registers, launch.shared_bytes)
    return config.sms * ctas


class SampledRun(KernelRun):
    """One launch of which waves are simulated until the error estimate of its cycles is small enough."""

    def __init__(
        self,
        launch: Launch,
        config: GpuConfig,
        options: RunOptions,
        unlisted: set[str],
        tell: Callable[[int, int], None] | None = None,
    ) -> None:
        """As KernelRun; `options.sample` is the percentage of error at which sampling stops."""
        self.chosen = SomeCtas(launch.source, launch.warps_per_cta)
        super().__init__(replace(launch, source=self.chosen), config, options, unlisted, tell)
        self.all_instructions = launch.warp_instructions
        self.plan = Plan(launch.cta_count, _places(launch, config))
        self.measured: list[Snapshot] = []
        self._bound = options.sample or 0.0
        self._furthest = 0
        self._steps = self._sequence()

    # ---- which CTAs are next

    def _load_ctas(self) -> None:
        """Load the next of the chosen CTAs, after choosing more where all were dispatched."""
        while self.chosen.waiting is None:
            next(self._steps)
        gpu = self.state.gpu[0]
        gpu.next_cta = self.chosen.waiting
        super()._load_ctas()

    def _sequence(self) -> Iterator[None]:
        """The sampled launch from head to tail; goes on when all CTAs that it has chosen were dispatched."""
        plan = self.plan
        self.chosen.choose(0, plan.head)
        yield
        while self._fills_l2() and plan.head_can_grow:
            self.chosen.choose(plan.head, plan.wave)
            plan.head += plan.wave
            yield
        while (not self.measured or self.error_estimate > self._bound) and (stretches := plan.next_pass()):
            for first in stretches:
                self.chosen.choose(first, plan.warm_up)
                yield
                for number in range(MEASURED_WAVES):
                    before = self._snapshot()
                    self.chosen.choose(first + plan.warm_up + number * plan.wave, plan.wave)
                    yield
                    self.measured.append(self._snapshot().since(before))
        tail = plan.tail()
        self.chosen.choose(plan.ctas - tail, tail)
        yield

    def _fills_l2(self) -> bool:
        """Whether the launch is about to fill L2 and has not yet: until then nothing has to leave it.

        Data that a launch writes stay there at first, and what it reads finds free room.
        """
        now = self._snapshot()
        taken = SECTOR_BYTES * (now.counters["dram_read_sectors"] + now.counters["l2_write_sectors"])
        return taken < self.config.l2_bytes <= taken / now.instructions * self.all_instructions

    # ---- measuring

    def _snapshot(self) -> Snapshot:
        sms, counted = self.state.sms, self._counted(self.cycle)
        active = sms[sms.live_ctas > 0]  # whose present time with a CTA is counted at its end
        counted.counters["sm_active_cycles"] += int((active.now - active.active_since).sum())
        return Snapshot(float(sms.now.mean()), counted.counters, counted.stalls)

    @property
    def _factor(self) -> float:
        """Warp instructions that are left out over those that were measured."""
        left = self.all_instructions - int(self.chosen.instruction_counts.sum())
        return left / sum(part.instructions for part in self.measured)

    @property
    def error_estimate(self) -> float:
        """Half of the 95 % confidence interval of the launch's cycles, percent of them: of the extrapolated part, from
        how much the measured waves differ in cycles per warp instruction."""
        extrapolated = self._factor * sum(part.cycles for part in self.measured)
        relative = half_width([part.cycles / part.instructions for part in self.measured])
        return 100 * relative * extrapolated / (extrapolated + self._snapshot().cycles)

    # ---- the result

    def _totals(self) -> Totals:
        """What was simulated, and what was measured once more, times the factor."""
        end, counters, stalls = super()._totals()
        factor = self._factor
        scaled = {
            name: count + round(factor * sum(part.counters[name] for part in self.measured))
            for name, count in counters.items()
        }
        scaled["warp_instructions"] = self.all_instructions
        scaled["ctas_launched"] = self.plan.ctas
        table = stalls + np.rint(factor * sum(part.stalls for part in self.measured)).astype(np.int64)
        table[:, Stall.SELECTED] = apportioned(table[:, Stall.SELECTED], self.all_instructions)
        scaled["resident_warp_cycles"] = int(table.sum())
        return Totals(end + round(factor * sum(part.cycles for part in self.measured)), scaled, table)

    def _result(self, seconds: float) -> KernelResult:
        simulated = int(self.chosen.instruction_counts.sum())
        mark = Sampled(simulated / self.all_instructions, self.error_estimate, len(self.measured))
        return replace(super()._result(seconds), sampled=mark)

    def _told(self, done: int) -> int:
        """Warp instructions as if all of the launch were simulated, so that the progress ends with it."""
        given = int(self.chosen.instruction_counts.sum())
        expected = given / max(int(self.chosen.cta_counts.sum()), 1) * self.plan.expected
        self._furthest = max(self._furthest, int(done / max(expected, done, 1) * self.all_instructions))
        return self._furthest
