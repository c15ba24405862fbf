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


@dataclass
class Slice:
    sets: list[list[L2Line]]
    free: int = 0  # in sixteenths of a cycle
    order: int = 0  # requests served


@dataclass(order=True)
class Reply:
    arrival: int
    number: int  # order of service
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
        self._reply(self._serve(line, sectors, depart, write=False), sectors, receive)
        return depart

    def write(self, line: int, sectors: int, ready: int) -> int:
        depart = self._depart(ready, self._data_cycles(sectors, 1))
        self._serve(line, sectors, depart, write=True)
        return depart

    def atomic(self, line: int, sectors: int, ready: int, receive: Callable[[int], None] | None) -> int:
        depart = self._depart(ready, self._data_cycles(sectors, 1))
        data = self._serve(line, sectors, depart, write=receive is None)
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
        depart = max(data, self.reply_free)
        self.reply_free = depart + max(1, self._data_cycles(sectors, 0))
        self.served += 1
        self.replies.append(Reply(depart + self.config.interconnect.reply_latency, self.served, receive))

    def _serve(self, line: int, sectors: int, depart: int, write: bool) -> int:
        """Cycle in which the data are there."""
        l2 = self.config.l2
        number = fold(line >> 1) % l2.slices
        slice_ = self.slices[number]
        begin = max(SIXTEENTHS * (depart + self.config.interconnect.request_latency), slice_.free)
        slice_.free = begin + self.slice_sector * sectors.bit_count()
        served = -(-begin // SIXTEENTHS)
        slice_.order += 1
        entry = self._find(slice_, slice_.sets[fold(line // l2.slices) % l2.sets], line, number, served)
        if write:
            entry.valid |= sectors
            entry.dirty |= sectors
            return served
        missing = sectors & ~entry.valid
        entry.valid |= sectors
        data = served + l2.latency
        if missing:
            data = -(-self._dram(number, missing.bit_count(), data) // SIXTEENTHS) + self.config.dram.latency
        return data

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

    def arrived(self, t: int) -> list[Reply]:
        """Replies that have arrived by t, by arrival, then by order of service; they are taken out."""
        due = sorted(r for r in self.replies if r.arrival <= t)
        self.replies = [r for r in self.replies if r.arrival > t]
        return due
