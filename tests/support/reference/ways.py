"""The ways of one set of a cache, and which of them gives up its line (timing model, section 5, replacement)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

Entry = TypeVar("Entry")


class Ways(Generic[Entry]):
    """Entries by way, None where a way is empty; `young` is the time since which each way has its age."""

    def __init__(self, policy: str, count: int) -> None:
        self.policy = policy
        self.entries: list[Entry | None] = [None] * count
        self.young = [-1] * count
        self.arrivals = 0
        self.points_up = [False] * count  # by node of the tree, the root 1, below n the nodes 2 n and 2 n + 1

    def find(self, wanted: Callable[[Entry], bool]) -> int | None:
        """The way whose entry is wanted."""
        return next((way for way, entry in enumerate(self.entries) if entry is not None and wanted(entry)), None)

    def use(self, way: int, time: int) -> None:
        if self.policy == "lru":
            self.young[way] = time
        elif self.policy == "plru":
            self._point_away(way)

    def put(self, way: int, entry: Entry, time: int) -> None:
        """A line comes into a way."""
        self.entries[way] = entry
        self.young[way] = time
        self.arrivals += 1
        if self.policy == "plru":
            self._point_away(way)

    def place(self, line: int, idle: Callable[[Entry], bool] = lambda _: True) -> int | None:
        """Way that an arriving line takes; None where all await data."""
        if None in self.entries:
            return self.entries.index(None)
        ways = range(len(self.entries))
        allowed = [way for way in ways if idle(self.entries[way])]
        if not allowed:
            return None
        if self.policy in ("lru", "fifo"):
            return min(allowed, key=lambda way: (self.young[way], way))
        way = self._drawn(line) if self.policy == "random" else self._led_to()
        while way not in allowed:
            way = (way + 1) % len(ways)
        return way

    def _drawn(self, line: int) -> int:
        x = (line + self.arrivals) % 2**24 * 0x9E3779
        return (x >> 12) % 2**24 % len(self.entries)

    def _led_to(self) -> int:
        node = 1
        while node < len(self.entries):
            node = 2 * node + self.points_up[node]
        return node - len(self.entries)

    def _point_away(self, way: int) -> None:
        node = way + len(self.entries)
        while node > 1:
            self.points_up[node // 2] = node % 2 == 0
            node //= 2
