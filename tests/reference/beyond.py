"""Request port, L2, DRAM and reply port of one SM (timing model, section 15)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gpusim.config.models import GpuConfig

SIXTEENTHS = 16


def fold(x: int) -> int:
    return (x ^ x >> 11 ^ x >> 22) & ((1 << 30) - 1)


@dataclass
class L2Line:
    line: int
    used: int
    valid: int = 0
    dirty: int = 0
    ready: int = 0  # when the sectors last asked of DRAM arrive


@dataclass
class Slice:
    sets: list[list[L2Line]]
    free: int = 0  # in sixteenths of a cycle
    order: int = 0  # requests served


@dataclass(order=True)
class Reply:
    arrival: int
    number: int  # order of service
    busy: int = field(compare=False)  # cycles of the reply port
    receive: Callable[[int], None] = field(compare=False)


class Beyond:
    """L2 serves in the order of departure, which for one SM is the order of the calls: all is known at the call."""

    def __init__(self, config: GpuConfig) -> None:
        self.config = config
        self.port_free = 0
        self.reply_free = 0
        self.slices = [Slice([[] for _ in range(config.l2.sets)]) for _ in range(config.l2.slices)]
        self.channel_free = [0] * config.dram.channels
        self.slice_sector = max(1, round(16 * 32 / config.l2.bytes_per_cycle))
        rate = config.dram.bytes_per_transfer * config.dram.efficiency
        rate *= config.clocks.memory_mhz / config.clocks.core_mhz
        self.dram_sector = max(1, round(16 * 32 / rate))
        self.replies: list[Reply] = []
        self.served = 0

    def read(self, line: int, sectors: int, ready: int, receive: Callable[[int], None]) -> int:
        """A read of sectors (mask) of a 128-byte line; returns its departure."""
        depart = self._depart(ready, 1)
        self._reply(self._serve(line, sectors, depart, reads=True, writes=False), sectors, receive)
        return depart

    def write(self, line: int, sectors: int, ready: int) -> int:
        depart = self._depart(ready, self._data_cycles(sectors, 1))
        self._serve(line, sectors, depart, reads=False, writes=True)
        return depart

    def atomic(self, line: int, sectors: int, ready: int, receive: Callable[[int], None] | None) -> int:
        """Reads and writes at L2; no reply for a reduction."""
        depart = self._depart(ready, self._data_cycles(sectors, 1))
        data = self._serve(line, sectors, depart, reads=True, writes=True)
        if receive is not None:
            self._reply(data, sectors, receive)
        return depart

    def _data_cycles(self, sectors: int, plus: int) -> int:
        return plus + 32 * sectors.bit_count() // self.config.interconnect.bytes_per_cycle

    def _depart(self, ready: int, busy: int) -> int:
        depart = max(ready, self.port_free)
        self.port_free = depart + busy
        return depart

    def _reply(self, data: int, sectors: int, receive: Callable[[int], None]) -> None:
        self.served += 1
        busy = max(1, self._data_cycles(sectors, 0))
        self.replies.append(Reply(data + self.config.interconnect.reply_latency, self.served, busy, receive))

    def _serve(self, line: int, sectors: int, depart: int, reads: bool, writes: bool) -> int:
        """Cycle in which the data are there."""
        l2 = self.config.l2
        number = fold(line >> 1) % l2.slices
        slice_ = self.slices[number]
        begin = max(SIXTEENTHS * (depart + self.config.interconnect.request_latency), slice_.free)
        slice_.free = begin + self.slice_sector * sectors.bit_count()
        served = -(-begin // SIXTEENTHS)
        slice_.order += 1
        entry = self._find(slice_, slice_.sets[fold(line // l2.slices) % l2.sets], line, number, served)
        missing = sectors & ~entry.valid if reads else 0
        entry.valid |= sectors
        entry.dirty |= sectors if writes else 0
        if not reads:
            return served
        data = served + l2.latency
        if missing:
            data = -(-self._dram(number, missing.bit_count(), data) // SIXTEENTHS) + self.config.dram.latency
            entry.ready = data
        return max(data, entry.ready)

    def _find(self, slice_: Slice, ways: list[L2Line], line: int, number: int, served: int) -> L2Line:
        for entry in ways:
            if entry.line == line:
                entry.used = slice_.order
                return entry
        if len(ways) == self.config.l2.ways:
            victim = min(ways, key=lambda e: e.used)
            if victim.dirty:
                self._dram(number, victim.dirty.bit_count(), served)
            ways.remove(victim)
        ways.append(L2Line(line, slice_.order))
        return ways[-1]

    def _dram(self, slice_number: int, sectors: int, ready: int) -> int:
        """End of the transfer in sixteenths of a cycle."""
        channel = slice_number % len(self.channel_free)
        begin = max(SIXTEENTHS * ready, self.channel_free[channel])
        self.channel_free[channel] = begin + self.dram_sector * sectors
        return self.channel_free[channel]

    def take_reply(self, t: int) -> None:
        """At most one reply a cycle, the first by arrival and then by order of service, if the port is free."""
        if not self.replies or t < self.reply_free:
            return
        reply = min(self.replies)
        if reply.arrival <= t:
            self.replies.remove(reply)
            self.reply_free = t + reply.busy
            reply.receive(t)
