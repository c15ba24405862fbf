"""Register file of a sub-core: port calendars and the register file cache (timing model, sections 9, 10, 13)."""

from __future__ import annotations

from collections import Counter

from gpusim.config.models import GpuConfig
from reference.program import Static
from reference.warp import Warp


class Ports:
    """Slots per (bank, cycle)."""

    def __init__(self, ports: int) -> None:
        self.ports = ports
        self.taken: Counter[tuple[int, int]] = Counter()

    def free(self, bank: int, cycle: int) -> int:
        return self.ports - self.taken[bank, cycle]

    def book(self, bank: int, cycle: int) -> None:
        self.taken[bank, cycle] += 1


class RegisterFile:
    def __init__(self, config: GpuConfig) -> None:
        file = config.sm.sub_core.register_file
        self.reads, self.writes = Ports(file.read_ports), Ports(file.write_ports)
        self.cache_on = file.cache
        self.cache: dict[tuple[int, int], tuple[Warp, int]] = {}  # (bank, slot) -> (warp, register)

    # ---- fixed latency

    def need(self, static: Static, warp: Warp) -> list[int]:
        """Port slots per bank after the register file cache has served what it holds."""
        if not (self.cache_on and static.caches):
            return list(static.need)
        met: set[int] = set()
        need = [0, 0]
        for source in static.sources:
            hit = self.cache.get((source.bank, source.slot)) == (warp, source.register)
            if not hit and source.register not in met:
                need[source.bank] += 1
                met.add(source.register)
        return [min(need[bank], static.need[bank]) for bank in (0, 1)]

    def try_read(self, static: Static, warp: Warp, t: int) -> bool:
        """Book the window t + 1 .. t + window if all reads fit; the register file cache follows."""
        need = self.need(static, warp)
        window = range(t + 1, t + 1 + static.window)
        if any(sum(self.reads.free(bank, c) for c in window) < need[bank] for bank in (0, 1)):
            return False
        for bank in (0, 1):
            slots = [c for c in window for _ in range(self.reads.free(bank, c))]
            for cycle in slots[: need[bank]]:
                self.reads.book(bank, cycle)
        if self.cache_on and static.caches:
            for source in static.sources:
                self.cache.pop((source.bank, source.slot), None)
                if source.reuse:
                    self.cache[source.bank, source.slot] = (warp, source.register)
        return True

    # ---- variable latency and memory: one slot in each bank that is read

    def try_read_once(self, static: Static, cycle: int) -> bool:
        banks = [bank for bank in (0, 1) if static.need[bank] > 0]
        if any(self.reads.free(bank, cycle) == 0 for bank in banks):
            return False
        for bank in banks:
            self.reads.book(bank, cycle)
        return True

    def try_write(self, static: Static, cycle: int) -> bool:
        if any(self.writes.free(bank, cycle) <= 0 for bank in static.banks):
            return False
        for bank in static.banks:
            self.writes.book(bank, cycle)
        return True
