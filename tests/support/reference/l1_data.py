"""L1 data cache with its table of pending requests (timing model, section 12, global and local)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gpusim.config.models import GpuConfig
from gpusim.model.kinds import Kind
from reference.coalescing import Access, data_wavefronts, tag_wavefronts
from reference.memory_system import SmPorts
from reference.warp import Dynamic
from reference.ways import Ways

PORT_AHEAD = 1024
REPLIES_DUE = 3072
LINES_OF_A_WARP = 32
WRITING = (Kind.GLOBAL_STORE, Kind.GLOBAL_REDUCTION)


@dataclass(eq=False)
class TableEntry:
    dynamic: Dynamic
    return_cycles: int
    lines_awaited: int = 0


@dataclass
class HeldStore:
    """Bytes (mask) of a line written by instructions that merge; slot: of the warp that began."""

    line: int
    sectors: int
    written: int
    slot: int
    until: int


@dataclass(eq=False)
class CacheLine:
    line: int
    valid: int = 0
    pending: int = 0
    waiting: list[TableEntry] = field(default_factory=list)


class L1Data:
    def __init__(self, config: GpuConfig, ports: SmPorts, lines: int, finish: Callable[[Dynamic, int], None]) -> None:
        self.config, self.ports, self.finish = config.sm.memory_unit, ports, finish
        self.writes_in_flight = config.interconnect.writes_in_flight
        self.plain_raw = config.sm.memory_latency.global_load.regular.raw[0]
        l1 = self.config.l1_data
        self.sets: list[Ways[CacheLine]] = [Ways(l1.replacement, lines // l1.sets) for _ in range(l1.sets)]
        self.table: list[TableEntry] = []
        self.pipe_free = 0
        self.return_free = 0
        self.lookups = 0
        self.held: list[HeldStore] = []

    def refuses(self, dynamic: Dynamic, t: int) -> bool:
        pending = sum(1 for ways in self.sets for line in ways.entries if line and line.pending)
        return (
            self.ports.port_free > t + PORT_AHEAD
            or len(self.table) >= self.config.pending_requests
            or self.ports.replies_due >= REPLIES_DUE
            or (dynamic.static.kind in WRITING and self.ports.writes_due >= self.writes_in_flight)
            or (pending > 0 and pending + LINES_OF_A_WARP > self.config.l1_data.mshr_entries)
        )

    def access(self, dynamic: Dynamic, t: int, accesses: list[Access], after: int) -> int:
        """Granted in t; returns its start."""
        l1 = self.config.l1_data
        plain = max(1, 32 * dynamic.static.access_bytes // l1.return_bytes_per_cycle)
        wavefronts = tag_wavefronts([a.line for a in accesses], l1.tag_banks)
        return_cycles = max(plain, data_wavefronts(dynamic) * l1.data_interval)
        cycles = max(max(wavefronts) + 1, return_cycles)
        start = max(t, self.pipe_free)
        self.pipe_free = start + cycles
        ready = [start + l1.miss_latency + wavefront for wavefront in wavefronts]
        kind = dynamic.static.kind
        if kind == Kind.GLOBAL_STORE:
            for a, at in zip(accesses, ready):
                self._hold(a, at, dynamic.warp.slot)
            self.finish(dynamic, max(max(ready), self.ports.port_free) + 1)
        elif kind == Kind.GLOBAL_REDUCTION:
            departures = [self._reduce(dynamic, a, at) for a, at in zip(accesses, ready)]
            self.finish(dynamic, departures[-1] + 1)
        else:
            entry = TableEntry(dynamic, return_cycles)
            for a, at in zip(accesses, ready):
                self._look_up(entry, a, at)
            if entry.lines_awaited:
                self.table.append(entry)
                if kind != Kind.GLOBAL_ATOMIC:
                    self.pipe_free = start + max(wavefronts) + 1
            else:
                self.finish(dynamic, start + (cycles - plain) + after)
        return start

    # ---- stores and reductions

    def _hold(self, access: Access, ready: int, slot: int) -> None:
        l1 = self.config.l1_data
        self.release_stores(ready)
        for held in (h for h in self.held if h.line == access.line):
            held.sectors |= access.sectors
            held.written |= access.bytes
            return
        self.ports.begin_write(slot)
        if len(self.held) == l1.store_lines and self.held:
            self._send(self.held.pop(0), ready)
        new = HeldStore(access.line, access.sectors, access.bytes, slot, ready + l1.store_hold)
        if l1.store_lines:
            self.held.append(new)
        else:
            self._send(new, ready)

    def _send(self, held: HeldStore, ready: int) -> None:
        self.ports.write(held.line, held.sectors, held.written, ready, held.slot)

    def release_stores(self, t: int) -> None:
        for held in [h for h in self.held if h.until <= t]:
            self.held.remove(held)
            self._send(held, held.until)

    def release_all_stores(self, t: int) -> None:
        """The SM has nothing left to run."""
        while self.held:
            self._send(self.held.pop(0), t)

    def _reduce(self, dynamic: Dynamic, access: Access, ready: int) -> int:
        slot, static = dynamic.warp.slot, dynamic.static
        self.ports.begin_write(slot)
        return self.ports.atomic(access.line, access.sectors, access.passes, static, ready, None, slot)

    # ---- loads

    def _look_up(self, entry: TableEntry, access: Access, ready: int) -> None:
        number, sectors = access.line, access.sectors
        if entry.dynamic.static.kind == Kind.GLOBAL_ATOMIC:
            entry.lines_awaited += 1
            done = lambda at: self._line_done(entry, at)  # noqa: E731
            self.ports.atomic(number, sectors, access.passes, entry.dynamic.static, ready, done, -1)
            return
        line = None if entry.dynamic.static.bypass else self._line(number)
        if line is None:
            entry.lines_awaited += 1
            self.ports.read(number, sectors, ready, lambda at: self._line_done(entry, at))
            return
        missing = sectors & ~line.valid
        request = missing & ~line.pending
        if request:
            line.pending |= request
            arrive = self._sectors_arrive
            self.ports.read(number, request, ready, lambda at: arrive(line, request, at), keeps_copy=True)
        if missing:
            entry.lines_awaited += 1
            line.waiting.append(entry)

    def _line(self, number: int) -> CacheLine | None:
        """The line, looked up; None if every way of its set awaits data."""
        self.lookups += 1
        ways = self.sets[number % len(self.sets)]
        way = ways.find(lambda line: line.line == number)
        if way is not None:
            ways.use(way, self.lookups)
            return ways.entries[way]
        way = ways.place(number, lambda line: not line.pending)
        if way is None:
            return None
        ways.put(way, CacheLine(number), self.lookups)
        return ways.entries[way]

    # ---- step 1

    def _sectors_arrive(self, line: CacheLine, sectors: int, t: int) -> None:
        line.pending &= ~sectors
        line.valid |= sectors
        if line.pending == 0:
            waiting, line.waiting = line.waiting, []
            for entry in waiting:
                self._line_done(entry, t)

    def _line_done(self, entry: TableEntry, t: int) -> None:
        entry.lines_awaited -= 1
        if entry.lines_awaited:
            return
        self.table.remove(entry)
        begin = max(t, self.return_free)
        self.return_free = begin + entry.return_cycles
        self.pipe_free = max(self.pipe_free, t) + entry.return_cycles
        raw = entry.dynamic.static.raw
        self.finish(entry.dynamic, begin + self.config.l1_data.fill_latency + max(raw - self.plain_raw, 0))
