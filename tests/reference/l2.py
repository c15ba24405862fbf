"""One slice of L2 (timing model, section 15)."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass, field

from gpusim.config.models import GpuConfig
from reference.dram import Channel, Transfer
from reference.spread import spread

SECTOR_BYTES = 0xFFFFFFFF


def ticks(bytes_per_cycle: float) -> int:
    """Sixteenths of a cycle per sector."""
    return max(1, round(512 / bytes_per_cycle))


@dataclass(eq=False)
class Request:
    sm: int
    kind: str
    line: int
    sectors: int
    receive: Callable[[int], None] | None  # None: acknowledged
    written: int = 0
    passes: int = 1
    arrival: int = 0
    first_try: int | None = None
    lacks: int = 0


@dataclass(order=True)
class Reply:
    start: int  # sixteenths
    slice_number: int
    request: Request = field(compare=False)


@dataclass(eq=False)
class Line:
    line: int
    used: int = 0
    valid: int = 0
    pending: int = 0
    dirty: int = 0
    written: int = 0
    waiting: list[Request] = field(default_factory=list)


class Slice:
    def __init__(
        self, config: GpuConfig, number: int, channel: Channel, reply: Callable, acknowledge: Callable
    ) -> None:
        self.config, self.l2, self.number, self.channel = config, config.l2, number, channel
        self.reply, self.acknowledge = reply, acknowledge
        slowness = config.clocks.core_mhz / (config.clocks.l2_mhz or config.clocks.core_mhz)
        self.latency = max(1, round(self.l2.latency * slowness))
        self.sector = ticks(self.l2.bytes_per_cycle / slowness)
        self.queue: list[Request] = []
        self.sets: list[list[Line]] = [[] for _ in range(self.l2.sets)]
        self.free = self.reply_free = 0  # sixteenths
        self.order = 0

    def put(self, request: Request) -> None:
        insort(self.queue, request, key=lambda r: (r.arrival, r.sm))

    def cycle(self, t: int) -> None:
        while self.queue:
            request = self.queue[0]
            begin = max(16 * request.arrival, self.free)
            if begin > 16 * t:
                return
            if request.first_try is None:
                request.first_try = t
            if not self._may_be_taken(request):
                return
            if request.first_try < t:
                begin = 16 * t
            busy = self.sector * request.sectors.bit_count()
            if request.kind == "atomic":
                busy = max(busy, 16 * self.l2.atomic_interval * request.passes)
            self.free = begin + busy
            self.queue.pop(0)
            self._take(request, t)

    # ---- resources

    def _lines(self, line: int) -> list[Line]:
        return self.sets[spread(line // self.l2.slices, self.l2.sets)]

    def _find(self, line: int) -> Line | None:
        return next((entry for entry in self._lines(line) if entry.line == line), None)

    def _victim(self, line: int) -> Line | None:
        """None: a way is empty. Raises IndexError if all ways await data."""
        ways = self._lines(line)
        if len(ways) < self.l2.ways:
            return None
        return sorted((entry for entry in ways if not entry.pending), key=lambda entry: entry.used)[0]

    def _may_be_taken(self, request: Request) -> bool:
        entry = self._find(request.line)
        if request.kind != "write":
            missing = request.sectors & ~(entry.valid if entry else 0)
            ask = missing & ~(entry.pending if entry else 0)
            if missing and entry and entry.pending and len(entry.waiting) >= self.l2.mshr_merges:
                return False
            awaited = sum(1 for ways in self.sets for other in ways if other.pending)
            if missing and not (entry and entry.pending) and awaited >= self.l2.mshr_entries:
                return False
            if not self.channel.has_room("read", ask.bit_count()):
                return False
        if entry:
            return True
        try:
            victim = self._victim(request.line)
        except IndexError:
            return False
        return victim is None or self.channel.has_room("write", victim.dirty.bit_count())

    # ---- lookup

    def _bring_in(self, line: int, t: int) -> Line:
        entry = self._find(line)
        self.order += 1
        if entry is None:
            victim = self._victim(line)
            if victim:
                self._lines(line).remove(victim)
                if victim.dirty:
                    self.channel.start(Transfer("write", victim.line, victim.dirty.bit_count()), t)
            entry = Line(line)
            self._lines(line).append(entry)
        entry.used = self.order
        return entry

    def _take(self, request: Request, t: int) -> None:
        entry = self._bring_in(request.line, t)
        if request.kind != "read":
            entry.dirty |= request.sectors
        if request.kind == "write":
            entry.written |= request.written
            for sector in range(4):
                if entry.written >> 32 * sector & SECTOR_BYTES == SECTOR_BYTES:
                    entry.valid |= 1 << sector
            self.acknowledge(request, self.number, t + self.latency)
            return
        request.lacks = request.sectors & ~entry.valid
        ask = request.lacks & ~entry.pending
        if ask:
            entry.pending |= ask
            transfer = Transfer("read", entry.line, ask.bit_count(), lambda at: self._data_arrive(entry, ask, at))
            self.channel.start(transfer, t)
        if request.receive is None:
            self.acknowledge(request, self.number, t + self.latency)
        elif request.lacks:
            entry.waiting.append(request)
        else:
            self._reply(request, t)

    def _data_arrive(self, entry: Line, sectors: int, t: int) -> None:
        entry.valid |= sectors
        entry.pending &= ~sectors
        for request in list(entry.waiting):
            request.lacks &= ~sectors
            if not request.lacks:
                entry.waiting.remove(request)
                self._reply(request, t)

    def _reply(self, request: Request, t: int) -> None:
        start = max(16 * (t + self.latency), self.reply_free)
        self.reply_free = start + self.sector * request.sectors.bit_count()
        self.reply(Reply(start, self.number, request))
