"""A warp, its CTA, and the record of one executed instruction."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reference.program import Static, Step

if TYPE_CHECKING:
    from reference.scoreboard import Scoreboard


@dataclass
class BufferEntry:
    index: int
    issues_from: int


@dataclass
class DepbarHold:
    """DEPBAR.LE keeps its warp from issuing, from `start` on, while the counter exceeds the limit."""

    counter: int
    limit: int
    start: int


@dataclass
class CopyGroup:
    """Asynchronous copies that one LDGDEPBAR stands for: `copies` are incomplete, `counter` is its dependence counter.

    may_end: LDGDEPBAR is through the pipeline, or has no counter that could fall.
    """

    copies: int = 0
    counter: int | None = None
    may_end: bool = False


@dataclass
class Cta:
    number: int
    slot: int
    start: int
    first_slot: int = 0  # warp slots of the SMs before its own
    warps: list[Warp] = field(default_factory=list)
    arrived: dict[int, int] = field(default_factory=dict)  # warps that have come to a barrier
    expected: dict[int, int] = field(default_factory=dict)  # 0: all live warps

    @property
    def live(self) -> list[Warp]:
        return [w for w in self.warps if not w.retired]

    def check_barriers(self, opens: int) -> None:
        """Release the warps of every barrier that is complete; they can issue from `opens` on."""
        for barrier, arrived in self.arrived.items():
            expected = self.expected[barrier] or len(self.live)
            if arrived == 0 or arrived < expected:
                continue
            self.arrived[barrier] = 0
            for warp in self.warps:
                if warp.at_barrier == barrier and warp.has_arrived:
                    warp.at_barrier = None
                    warp.barrier_open = opens


@dataclass(eq=False)
class Warp:
    """age: number of the launch order. waits_for: line whose arrival lets it fetch again; demanded: its last demand."""

    cta: Cta
    stream: list[Step]
    slot: int
    age: int
    fetch_from: int
    next_fetch: int = 0
    scoreboard: Scoreboard | None = None  # None: control bits
    issued: int = 0
    counters: list[int] = field(default_factory=lambda: [0] * 6)
    long_counters: set[int] = field(default_factory=set)  # last raised by a global or local access or an LDGSTS
    buffer: list[BufferEntry] = field(default_factory=list)
    flushed: bool = False  # its buffer was emptied, and it has waited for no line since
    waits_for: int | None = None
    demanded: int | None = None
    stall_until: int = 0
    at_barrier: int | None = None  # waits at it, or for its BAR to be executed
    has_arrived: bool = False  # that has been
    barrier_open: int = 0
    membar_end: int = 0
    hold: DepbarHold | None = None
    outstanding: int = 0
    open_group: CopyGroup = field(default_factory=CopyGroup)
    closed_groups: list[CopyGroup] = field(default_factory=list)
    matrix: Dynamic | None = None  # its matrix instruction with passes through the tensor unit left
    retired: bool = False

    @property
    def local(self) -> int:
        return self.slot // 4

    def close_group(self, counter: int | None) -> None:
        """LDGDEPBAR issues."""
        self.open_group.counter, self.open_group.may_end = counter, counter is None
        self.closed_groups.append(self.open_group)
        self.open_group = CopyGroup()
        self.end_groups()

    def end_groups(self) -> None:
        """Groups end in order, each when all its copies are complete."""
        while self.closed_groups and self.closed_groups[0].may_end and not self.closed_groups[0].copies:
            counter = self.closed_groups.pop(0).counter
            if counter is not None:
                self.counters[counter] -= 1

    def come_to_barrier(self, static: Static) -> None:
        """BAR issues."""
        if static.barrier_waits:
            self.at_barrier, self.has_arrived = static.barrier, False

    def arrive(self, static: Static, opens: int) -> None:
        """BAR is executed; if that completes the barrier, its warps can issue from `opens` on."""
        cta = self.cta
        cta.arrived[static.barrier] = cta.arrived.get(static.barrier, 0) + 1
        cta.expected[static.barrier] = static.barrier_warps
        if static.barrier_waits:
            self.has_arrived = True
        cta.check_barriers(opens)

    @property
    def used_up(self) -> bool:
        return self.issued == len(self.stream)

    @property
    def next_step(self) -> Step:
        return self.stream[self.issued]

    @property
    def last_step(self) -> Step:
        """The next step, or the last one of a stream that is used up."""
        return self.stream[min(self.issued, len(self.stream) - 1)]


@dataclass(eq=False)
class Dynamic:
    """One issued instruction and the cycles of its stages (-1: none), as in the timeline."""

    warp: Warp
    step: Step
    sequence: int
    issue: int
    control: int = -1
    allocate: int = -1
    read: int = -1
    execute: int = -1
    write_back: int = -1
    counted: bool = False  # its dependence counters have risen
    latch: object = None  # the unit whose latch it took
    passes_left: int = 0  # through the tensor unit, not begun
    pass_ready: int = 0  # first cycle the next may begin
    sources_read: int | None = None  # cycle in which its read counter falls
    left_allocate: int | None = None  # fixed latency: the cycle that its result counts from
    visible: bool = False  # variable latency: its result is
    group: CopyGroup | None = None  # of an LDGSTS its group, of an LDGDEPBAR the one that it closes

    @property
    def static(self) -> Static:
        return self.step.static

    def has_read(self, t: int) -> bool:
        return self.sources_read is not None and t >= self.sources_read

    def available(self, t: int, distance: int) -> bool:
        """Whether a result of fixed latency can be used in t, `distance` behind its issue, or one of variable latency."""
        if not self.static.is_fixed:
            return self.visible
        left = self.left_allocate
        return left is not None and t >= max(left - 2 + distance, left)
