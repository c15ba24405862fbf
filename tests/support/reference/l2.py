"""One slice of L2 (timing model, section 15)."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gpusim.config.models import GpuConfig
from reference.dram import Channel, Transfer
from reference.spread import spread
from reference.ways import Ways

if TYPE_CHECKING:
    from reference.memory_system import MemorySystem

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
    clocks: int = 0  # of L2, for an atomic
    keeps_copy: bool = False
    slot: int = -1  # of the warp that writes
    asker: Slice | None = None  # that passed it on
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
    valid: int = 0
    pending: int = 0
    dirty: int = 0
    written: int = 0
    waiting: list[Request] = field(default_factory=list)


class Slice:
    def __init__(self, config: GpuConfig, number: int, channel: Channel, memory_system: MemorySystem) -> None:
        self.config, self.l2, self.number, self.channel = config, config.l2, number, channel
        self.memory_system = memory_system
        self.copies: list[tuple[int, int, int, Request]] = []  # cycle, slice that sends it, number in all
        slowness = config.clocks.core_mhz / (config.clocks.l2_mhz or config.clocks.core_mhz)
        self.latency = max(1, round(self.l2.latency * slowness))
        self.clock = max(1, round(16 * slowness))
        self.sector = ticks(self.l2.bytes_per_cycle / slowness)
        self.queue: list[Request] = []
        self.sets: list[Ways[Line]] = [Ways(self.l2.replacement, self.l2.ways) for _ in range(self.l2.sets)]
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
                busy = max(busy, self.clock * request.clocks)
            self.free = begin + busy
            self.queue.pop(0)
            self._take(request, t)

    # ---- copies of lines of other partitions

    def _belongs_elsewhere(self, request: Request) -> bool:
        return request.asker is None and spread(request.line, self.l2.slices) != self.number

    def _look_for_copy(self, request: Request, t: int) -> None:
        entry = self._find(request.line)
        if entry is None or request.sectors & ~entry.valid:
            self.memory_system.pass_on(request, self, t)
            return
        self._bring_in(request.line, t)
        self._reply(request, t)

    def take_copies(self, t: int) -> None:
        for copy in sorted(copy for copy in self.copies if copy[0] <= t):
            self.copies.remove(copy)
            request = copy[-1]
            self._keep_copy(request, t)
            request.asker = None
            self._reply(request, t)

    def _keep_copy(self, request: Request, t: int) -> None:
        if self._find(request.line) is None and not self._has_place(request.line):
            return
        self._bring_in(request.line, t).valid |= request.sectors

    def drop(self, line: int, sectors: int) -> None:
        entry = self._find(line)
        if entry:
            entry.valid &= ~sectors

    # ---- resources

    def _ways(self, line: int) -> Ways[Line]:
        return self.sets[spread(line // self.l2.slices, self.l2.sets)]

    def _find(self, line: int) -> Line | None:
        ways = self._ways(line)
        way = ways.find(lambda entry: entry.line == line)
        return None if way is None else ways.entries[way]

    def _place(self, line: int) -> int | None:
        return self._ways(line).place(line, lambda entry: not entry.pending)

    def _may_be_taken(self, request: Request) -> bool:
        if self._belongs_elsewhere(request):
            return True
        entry = self._find(request.line)
        if request.kind == "write" or not self._always_there(request):
            missing = request.sectors & ~(entry.valid if entry else 0)
            if request.kind == "write":
                missing = self._to_fill(request, entry)
            ask = missing & ~(entry.pending if entry else 0)
            if missing and entry and entry.pending and len(entry.waiting) >= self.l2.mshr_merges:
                return False
            awaited = sum(1 for ways in self.sets for other in ways.entries if other and other.pending)
            if missing and not (entry and entry.pending) and awaited >= self.l2.mshr_entries:
                return False
            if not self.channel.has_room("read", ask.bit_count()):
                return False
        if entry is None and not self._has_place(request.line):
            return False
        if request.kind == "read" or (entry and entry.dirty):
            return True
        oldest = self._oldest_whole(request.line)
        many = sum(1 for line in self._ways(request.line).entries if line and line.dirty) >= self.l2.dirty_ways
        return not (many and oldest) or self.channel.has_room("write", oldest.dirty.bit_count())

    def _oldest_whole(self, line: int) -> Line | None:
        """The oldest dirty line of a set all bytes of which have been written."""
        ways = self._ways(line)
        whole = [(age, each) for age, each in zip(ways.young, ways.entries) if each and each.dirty]
        whole = [pair for pair in whole if pair[1].written == 2**128 - 1]
        return min(whole, key=lambda pair: pair[0])[1] if whole else None

    def _to_fill(self, request: Request, entry: Line | None) -> int:
        """Sectors that a write must read: with inline ECC those written in part."""
        if self.config.dram.ecc != "inline":
            return 0
        written = request.written | (entry.written if entry else 0)
        in_part = [s for s in range(4) if request.sectors >> s & 1 and written >> 32 * s & SECTOR_BYTES != SECTOR_BYTES]
        known = entry.valid | entry.pending if entry else 0
        return sum(1 << s for s in in_part) & ~known

    def _has_place(self, line: int) -> bool:
        way = self._place(line)
        if way is None:
            return False
        victim = self._ways(line).entries[way]
        return victim is None or self.channel.has_room("write", victim.dirty.bit_count())

    def _always_there(self, request: Request) -> bool:
        return self.l2.holds_code and request.line >> 40 in (1, 2)

    # ---- lookup

    def _bring_in(self, line: int, t: int) -> Line:
        self.order += 1
        ways = self._ways(line)
        way = ways.find(lambda entry: entry.line == line)
        if way is not None:
            ways.use(way, self.order)
            return ways.entries[way]
        way = self._place(line)
        victim = ways.entries[way]
        if victim and victim.dirty:
            self.channel.start(Transfer("write", victim.line, victim.dirty.bit_count()), t)
        ways.put(way, Line(line), self.order)
        return ways.entries[way]

    def _take(self, request: Request, t: int) -> None:
        if self._belongs_elsewhere(request):
            self._look_for_copy(request, t)
            return
        entry = self._bring_in(request.line, t)
        if request.kind == "write":
            self._ask(entry, self._to_fill(request, entry), t)
            entry.written |= request.written
            for sector in range(4):
                if entry.written >> 32 * sector & SECTOR_BYTES == SECTOR_BYTES:
                    entry.valid |= 1 << sector
            self._change(entry, request, t)
            self.memory_system.acknowledge(request, self.number, t + self.latency)
            return
        if request.kind == "atomic":
            self._change(entry, request, t)
        if self._always_there(request):
            entry.valid |= request.sectors
        request.lacks = request.sectors & ~entry.valid
        self._ask(entry, request.lacks & ~entry.pending, t)
        if request.receive is None:
            self.memory_system.acknowledge(request, self.number, t + self.latency)
        elif request.lacks:
            entry.waiting.append(request)
        else:
            self._reply(request, t)

    def _change(self, entry: Line, request: Request, t: int) -> None:
        self._make_dirty(entry, request.sectors, t)
        self.memory_system.drop_copies(self, request.line, request.sectors)

    def _make_dirty(self, entry: Line, sectors: int, t: int) -> None:
        before, entry.dirty = entry.dirty, entry.dirty | sectors
        dirty = sum(1 for line in self._ways(entry.line).entries if line and line.dirty)
        oldest = self._oldest_whole(entry.line)
        if before or dirty <= self.l2.dirty_ways or oldest is None:
            return
        if self.channel.has_room("write", oldest.dirty.bit_count()):
            self.channel.start(Transfer("write", oldest.line, oldest.dirty.bit_count()), t)
            oldest.dirty = 0

    def _ask(self, entry: Line, sectors: int, t: int) -> None:
        if sectors:
            entry.pending |= sectors
            done = lambda at: self._data_arrive(entry, sectors, at)  # noqa: E731
            self.channel.start(Transfer("read", entry.line, sectors.bit_count(), done), t)

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
        if request.asker:
            self.memory_system.come_back(request, self.number, start, self.latency)
        else:
            self.memory_system.reply(Reply(start, self.number, request))
