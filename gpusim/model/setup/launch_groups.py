"""Sampling over launches: those that are alike form a group, of which some are simulated and the others estimated.

Alike are launches of one program with the same grid, block and shared memory that execute the same mix of instructions
about as often and use memory in the same way. All of that is known from their streams before anything is simulated.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from gpusim.constants import EXPLICIT, LINE_BYTES, SECTOR_BYTES, WARP_SIZE
from gpusim.model.setup.sampling import apportioned, half_width
from gpusim.results.result import KernelResult
from gpusim.results.sampled import Sampled
from gpusim.results.stalls import Stall
from gpusim.trace.trace import CtaChunk, Launch, Trace

ALIKE = 0.05
"""Largest difference of two launches of a group in any feature: 5 %."""
LOOKED_AT = 8
"""Chunks of a launch, spread over its grid, whose features stand for all of it."""


@dataclass(frozen=True)
class Features:
    """What a launch does, whatever card it runs on.

    Attributes:
        instructions: warp instructions, of all chunks. mix: (n,) share of each static instruction in them.
        lanes: that execute, mean. sectors: that an access touches, mean. lines: new 128-byte lines per access.
    """

    instructions: int
    mix: np.ndarray
    lanes: float
    sectors: float
    lines: float

    def distance(self, other: Features) -> float:
        """Largest relative difference in a feature; of the mix, the share of instructions that are others."""
        pairs = [(getattr(self, name), getattr(other, name)) for name in ("instructions", "lanes", "sectors", "lines")]
        relative = [abs(a - b) / max(a, b) for a, b in pairs if a != b]
        return max(float(np.abs(self.mix - other.mix).sum()) / 2, *relative, 0.0)


def features(launch: Launch) -> Features:
    """Read some of a launch's chunks, of a long CTA its first piece, and measure what it does."""
    chunks = len(launch.source.cta_counts)
    places = np.unique(np.linspace(0, chunks - 1, min(LOOKED_AT, chunks)).astype(int)).tolist()
    mix = np.zeros(len(launch.program), np.int64)
    lanes = accesses = sectors = lines = 0
    for place in places:
        cut = launch.source.cut(place)
        chunk = cut.read(0) if cut else launch.source.read(place)
        mix += np.bincount(chunk.index, minlength=len(mix))
        lanes += int(np.bitwise_count(chunk.mask).sum(dtype=np.int64))
        touched, begins = _memory(chunk)
        accesses, sectors, lines = accesses + len(begins), sectors + touched, lines + len(np.unique(begins))
    seen, asked = max(int(mix.sum()), 1), max(accesses, 1)
    return Features(launch.warp_instructions, mix / seen, lanes / seen, sectors / asked, lines / asked)


def _memory(chunk: CtaChunk) -> tuple[int, np.ndarray]:
    """Sectors that a chunk's accesses touch (of evenly spaced lanes, as if all took part), and the line of each one's
    first address."""
    start, stride = chunk.records["start"], chunk.records["stride"]
    explicit = stride == EXPLICIT
    spans = np.minimum(np.abs(np.where(explicit, 0, stride)), SECTOR_BYTES) * (WARP_SIZE - 1) // SECTOR_BYTES + 1
    listed = chunk.addresses // SECTOR_BYTES
    turns = int(np.count_nonzero(np.diff(listed))) + int(explicit.sum())
    places = start[explicit]
    first = start.copy()
    first[explicit] = chunk.addresses[np.minimum(places, len(chunk.addresses) - 1)] if len(chunk.addresses) else 0
    return int(spans[~explicit].sum()) + turns, first // LINE_BYTES


@dataclass
class Group:
    """Launches that are alike.

    Attributes:
        members: launches, in order. simulated: results of some, by launch.
    """

    members: list[int]
    simulated: dict[int, KernelResult] = field(default_factory=dict)

    @property
    def rates(self) -> list[float]:
        """Cycles per warp instruction of those that were simulated."""
        return [kernel.cycles / max(kernel.warp_instructions, 1) for kernel in self.simulated.values()]

    @property
    def error_estimate(self) -> float:
        """Percent: half of the 95 % confidence interval of the mean rate, and what the launches' own marks allow."""
        own = [kernel.sampled.error_estimate if kernel.sampled else 0.0 for kernel in self.simulated.values()]
        return 100 * half_width(self.rates) + float(np.mean(own))

    def must_simulate(self, number: int, bound: float) -> bool:
        """Whether a launch is to be simulated: the first of a group, the second, fourth, eighth and so on, so that a
        drift is seen, and every one until the error estimate is within `bound` percent."""
        place = self.members.index(number) + 1
        doubled = place & place - 1 == 0
        return doubled or 100 * half_width(self.rates) > bound


class LaunchGroups:
    """The groups of a trace's launches. `add` and `estimate` are called in the order of the launches."""

    def __init__(self, trace: Trace, bound: float) -> None:
        """Groups all launches. `bound`: percent of error up to which one is estimated from others of its group."""
        self._trace, self._bound = trace, bound
        by_key: dict[tuple, list[int]] = {}
        for number, launch in enumerate(trace.launches):
            by_key.setdefault(_key(launch), []).append(number)
        self.groups = [group for numbers in by_key.values() for group in self._grouped(numbers)]
        self._of = {number: group for group in self.groups for number in group.members}

    def _grouped(self, numbers: list[int]) -> list[Group]:
        """Groups of launches of one key: each joins the first whose first member it is like."""
        if len(numbers) == 1:  # its streams need not be read
            return [Group(numbers)]
        firsts: list[tuple[Features, Group]] = []
        for number in numbers:
            found = features(self._trace.launches[number])
            for other, group in firsts:
                if found.distance(other) <= ALIKE:
                    group.members.append(number)
                    break
            else:
                firsts.append((found, Group([number])))
        return [group for _, group in firsts]

    def add(self, number: int, kernel: KernelResult) -> None:
        """Take note of a launch's result; estimates tell nothing new."""
        if kernel.sampled is None or kernel.sampled.like is None:
            self._of[number].simulated[number] = kernel

    def estimate(self, number: int) -> KernelResult | None:
        """The result of a launch from those of its group, None where it has to be simulated."""
        group = self._of[number]
        if group.must_simulate(number, self._bound):
            return None
        launch = self._trace.launches[number]
        like = max(group.simulated)
        cycles = round(float(np.mean(group.rates)) * launch.warp_instructions)
        mark = Sampled(0.0, group.error_estimate, 0, like)
        return scaled(group.simulated[like], launch, cycles, mark)


def _key(launch: Launch) -> tuple:
    """What launches of a group have exactly in common."""
    program = launch.program
    return program.name, launch.grid, launch.block, launch.shared_bytes, program.registers, program.text


def scaled(kernel: KernelResult, launch: Launch, cycles: int, mark: Sampled) -> KernelResult:
    """The result of `launch` that is like that of another launch, in the proportion of their warp instructions."""
    issued = launch.warp_instructions
    factor = issued / max(kernel.warp_instructions, 1)
    issues = apportioned(kernel.pc_issues, issued)
    stalls = np.rint(kernel.pc_stalls * factor).astype(np.int64)
    stalls[:, Stall.SELECTED] = issues
    counters = {name: round(count * factor) for name, count in kernel.counters.items()}
    fixed = {name: kernel.counters[name] for name in ("launch_cycles", "ctas_launched") if name in counters}
    return replace(
        kernel,
        cycles=cycles,
        warp_instructions=issued,
        thread_instructions=round(kernel.thread_instructions * factor),
        counters=counters | fixed,
        pc_issues=issues,
        pc_stalls=stalls,
        resident_warp_cycles=int(stalls.sum()),
        seconds=0.0,
        sampled=mark,
        program=launch.program,
    )
