"""What lies behind the SMs: ports, slices and channels, cycle by cycle (timing model, section 15)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from gpusim.config.models import GpuConfig
from reference.dram import Channel
from reference.l2 import SECTOR_BYTES, Reply, Request, Slice, ticks
from reference.program import Static
from reference.spread import spread


@dataclass(order=True)
class Arrival:
    """A reply or acknowledgement on its way to an SM."""

    cycle: int
    data: bool
    number: int
    busy: int = field(compare=False)
    receive: Callable[[int], None] | None = field(compare=False)
    slot: int = field(compare=False)  # of the warp that wrote


@dataclass(eq=False)
class Gpc:
    free: int = 0  # sixteenths
    replies: list[Reply] = field(default_factory=list)


class SmPorts:
    """One SM's ports to the crossbar."""

    def __init__(self, config: GpuConfig, sm: int, memory_system: MemorySystem) -> None:
        self.network, self.sm, self.memory_system = config.interconnect, sm, memory_system
        self.port_free = 0
        self.reply_free = 0
        self.arrivals: list[Arrival] = []
        self.replies_due = 0
        self.writes_due = 0
        self.writes_of: Counter[int] = Counter()  # by warp slot

    def read(
        self, line: int, sectors: int, ready: int, receive: Callable[[int], None], keeps_copy: bool = False
    ) -> int:
        """A read of sectors (mask) of a 128-byte line; returns its departure. keeps_copy: through L1."""
        return self._send("read", line, sectors, ready, 1, receive, keeps_copy=keeps_copy)

    def write(self, line: int, sectors: int, written: int, ready: int, slot: int) -> int:
        """By the warp in a slot; `written`: mask of the line's bytes."""
        parts = [written >> 32 * s & SECTOR_BYTES for s in range(4) if sectors >> s & 1]
        busy = self._written_cycles(sectors) + any(part != SECTOR_BYTES for part in parts)
        return self._send("write", line, sectors, ready, busy, None, written=written, slot=slot)

    def atomic(
        self,
        line: int,
        sectors: int,
        passes: int,
        static: Static,
        ready: int,
        receive: Callable[[int], None] | None,
        slot: int,
    ) -> int:
        """Reads and writes at L2; no reply for a reduction. Wide ones are a packet for each lane on one word."""
        busy = max(1 + self._written_cycles(sectors), passes if static.packet_per_lane else 0)
        clocks = passes * static.atomic_interval
        return self._send("atomic", line, sectors, ready, busy, receive, clocks=clocks, slot=slot)

    def begin_write(self, slot: int) -> None:
        """A write or reduction of a warp slot will be acknowledged."""
        self.writes_due += 1
        self.writes_of[slot] += 1
        self.memory_system.unacknowledged += 1

    def _written_cycles(self, sectors: int) -> int:
        return -(-32 * sectors.bit_count() // self.network.request_bytes_per_cycle)

    def _data_cycles(self, sectors: int) -> int:
        return 32 * sectors.bit_count() // self.network.bytes_per_cycle

    def _send(self, kind: str, line: int, sectors: int, ready: int, busy: int, receive, **more: int) -> int:
        depart = max(ready, self.port_free)
        self.port_free = depart + busy
        if receive is not None:
            self.replies_due += 1
        request = Request(self.sm, kind, line, sectors, receive, **more)
        self.memory_system.take(request, depart)
        return depart

    def arrive(self, cycle: int, request: Request, acknowledge: bool) -> None:
        busy = 0 if acknowledge else max(1, self._data_cycles(request.sectors))
        receive = None if acknowledge else request.receive
        self.arrivals.append(Arrival(cycle, not acknowledge, self.memory_system.count(), busy, receive, request.slot))

    def take_replies(self, t: int) -> None:
        while self.arrivals and t >= self.reply_free:
            first = min(self.arrivals)
            if first.cycle > t:
                return
            self.arrivals.remove(first)
            if first.receive is None:
                self.writes_due -= 1
                self.writes_of[first.slot] -= 1
            else:
                self.replies_due -= 1
                self.reply_free = t + first.busy
                first.receive(t)


class MemorySystem:
    """Crossbar, L2 and DRAM of all SMs."""

    def __init__(self, config: GpuConfig, sms: int) -> None:
        self.config = config
        self.counted = 0
        self.last_acknowledgement = 0
        self.unacknowledged = 0  # writes and reductions begun that no slice has taken
        self.sms = [SmPorts(config, sm, self) for sm in range(sms)]
        self.gpcs = [Gpc() for _ in range(config.interconnect.gpcs)]
        self.gpc_sector = ticks(config.interconnect.gpc_bytes_per_cycle)
        self.channels = [Channel(config) for _ in range(config.dram.channels)]
        self.slices = [
            Slice(config, number, self.channels[number % config.dram.channels], self)
            for number in range(config.l2.slices)
        ]

    def count(self) -> int:
        self.counted += 1
        return self.counted

    def _far(self, sm: int, slice_number: int) -> int:
        partitions = self.config.l2.partitions
        gpc = sm % self.config.interconnect.gpcs
        return self.config.interconnect.far_latency if gpc % partitions != slice_number % partitions else 0

    def take(self, request: Request, depart: int) -> None:
        number = self._first_slice(request)
        request.arrival = depart + self.config.interconnect.request_latency + self._far(request.sm, number) // 2
        self.slices[number].put(request)

    def _first_slice(self, request: Request) -> int:
        l2 = self.config.l2
        home = spread(request.line, l2.slices)
        near = home - home % l2.partitions + request.sm % self.config.interconnect.gpcs % l2.partitions
        return near if request.keeps_copy and near < l2.slices else home

    def pass_on(self, request: Request, asker: Slice, t: int) -> None:
        """A slice without a copy asks the one to which the line belongs."""
        request.asker = asker
        request.arrival = t + max(self.config.interconnect.far_latency // 2, 1)
        request.first_try = None
        self.slices[spread(request.line, self.config.l2.slices)].put(request)

    def come_back(self, request: Request, number: int, start: int, latency: int) -> None:
        """Data leave slice `number` in `start` (sixteenths) for the slice that asked."""
        far = self.config.interconnect.far_latency
        cycle = -(-start // 16) - latency + max(far - far // 2, 1)
        request.asker.copies.append((cycle, number, self.count(), request))

    def drop_copies(self, owner: Slice, line: int, sectors: int) -> None:
        first = owner.number - owner.number % self.config.l2.partitions
        for other in self.slices[first : first + self.config.l2.partitions]:
            if other is not owner:
                other.drop(line, sectors)

    def reply(self, reply: Reply) -> None:
        self.gpcs[reply.request.sm % len(self.gpcs)].replies.append(reply)

    def acknowledge(self, request: Request, slice_number: int, data: int) -> None:
        self.unacknowledged -= 1
        cycle = data + self._way_back(request.sm, slice_number)
        self.last_acknowledgement = max(self.last_acknowledgement, cycle)
        self.sms[request.sm].arrive(cycle, request, acknowledge=True)

    def _way_back(self, sm: int, slice_number: int) -> int:
        far = self._far(sm, slice_number)
        return self.config.interconnect.reply_latency + far - far // 2

    def cycle(self, t: int) -> None:
        for channel in self.channels:
            channel.cycle(t)
        for slice_ in self.slices:
            slice_.take_copies(t)
        for slice_ in self.slices:
            slice_.cycle(t)
        # no reply that is not yet known can be at its port before this
        known = 16 * (t + 1 + self.slices[0].latency)
        for gpc in (g for g in self.gpcs if g.replies):
            for reply in sorted(r for r in gpc.replies if r.start < known):
                gpc.replies.remove(reply)
                start = max(reply.start, gpc.free)
                gpc.free = start + self.gpc_sector * reply.request.sectors.bit_count()
                cycle = -(-start // 16) + self._way_back(reply.request.sm, reply.slice_number)
                self.sms[reply.request.sm].arrive(cycle, reply.request, acknowledge=False)
