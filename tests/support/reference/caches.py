"""Small caches and the first-level instruction and constant cache (timing model, sections 5 and 6)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from gpusim.config.models import Cache, GpuConfig
from reference.ways import Ways

WAITING_MISSES, FULL_FOR_SUB_CORES = 512, 448


SPACES = {"constant": 1 << 40, "code": 1 << 41}
"""Where the line numbers of the first-level cache begin."""


class SmallCache:
    """A cache of lines; one may be any (space, number)."""

    def __init__(self, geometry: Cache) -> None:
        self.sets: list[Ways] = [Ways(geometry.replacement, geometry.ways) for _ in range(geometry.sets)]

    def _set(self, line: object) -> Ways:
        number = line[1] if isinstance(line, tuple) else line
        return self.sets[number % len(self.sets)]

    def _way(self, line: object) -> int | None:
        return self._set(line).find(lambda entry: entry == line)

    def __contains__(self, line: object) -> bool:
        return self._way(line) is not None

    def use(self, line: object, t: int) -> None:
        self._set(line).use(self._way(line), t)

    def fill(self, line: object, t: int) -> None:
        """A line arrives."""
        if line in self:
            return
        ways = self._set(line)
        number = SPACES[line[0]] + line[1] if isinstance(line, tuple) else line
        ways.put(ways.place(number), line, t)


@dataclass(frozen=True)
class LineRequest:
    """A request of a sub-core or of the LDC path for one line; `answer(t)` is called with the arrival cycle."""

    key: tuple[str, int]  # ("code" or "constant", its line there)
    arrival: int
    answer: Callable[[int], None]


class L1Instructions:
    """One lookup a cycle, one reply a cycle. Behind it the GPC's cache, with what the launch brought, and L2."""

    def __init__(
        self, config: GpuConfig, instructions: int, fetch_line: Callable[[tuple[str, int], int], None]
    ) -> None:
        hierarchy = config.sm.instruction_hierarchy
        self.line_bytes = {"code": hierarchy.l1.line_bytes, "constant": hierarchy.constant_line_bytes}
        self.to_l1, self.to_l0 = hierarchy.l0_to_l1, hierarchy.l1_to_l0
        self.cache = SmallCache(hierarchy.l1)
        self.queue: deque[LineRequest] = deque()
        self.missing: dict[tuple[str, int], list[LineRequest]] = {}
        self.reply_free = 0
        self.port_free = 0
        self.fetch_line = fetch_line
        launch = hierarchy.launch
        self.gpc_latency, self.gpc_miss_latency = launch.gpc_latency, launch.gpc_miss_latency
        self.gpc_lines = {
            "code": launch.code_bytes // self.line_bytes["code"],
            "constant": launch.constant_bytes // self.line_bytes["constant"],
        }
        self.from_gpc: dict[tuple[str, int], int] = {}  # arrival by line
        code_line = config.sm.sub_core.fetch.l0.line_bytes
        program = -(-instructions * 16 // code_line) * code_line
        for line in range(-(-min(launch.lines * code_line, program) // self.line_bytes["code"])):
            self.cache.fill(("code", line), 0)

    @property
    def full(self) -> bool:
        """Whether sub-cores must hold their requests back."""
        return len(self.queue) >= FULL_FOR_SUB_CORES

    def request(self, space: str, byte: int, t: int, answer: Callable[[int], None]) -> int:
        """Made in cycle t by a requester, for the line that holds this byte. Returns the cycle in which it leaves."""
        departs = max(t, self.port_free)
        self.port_free = departs + 1
        self.queue.append(LineRequest((space, byte // self.line_bytes[space]), departs + self.to_l1, answer))
        return departs

    def lookup(self, t: int) -> None:
        waiting = sum(len(requests) for requests in self.missing.values())
        if not self.queue or self.queue[0].arrival > t or waiting >= WAITING_MISSES:
            return
        request = self.queue.popleft()
        if request.key in self.cache:
            self.cache.use(request.key, t)
            self._reply(request, t)
            return
        if request.key not in self.missing:
            self.missing[request.key] = []
            if request.key[1] < self.gpc_lines[request.key[0]]:
                self.from_gpc[request.key] = t + self.gpc_latency
            else:
                self.fetch_line(request.key, t + 1)
        self.missing[request.key].append(request)

    def lines_arrive(self, t: int) -> None:
        """From the GPC's cache or through it, in the order in which they were missed."""
        for key in [key for key in self.missing if self.from_gpc.get(key, t + 1) <= t]:
            del self.from_gpc[key]
            self._line_arrives(key, t)

    def line_from_l2(self, key: tuple[str, int], t: int) -> None:
        self.from_gpc[key] = t + self.gpc_miss_latency

    def _line_arrives(self, key: tuple[str, int], t: int) -> None:
        self.cache.fill(key, t)
        for request in self.missing.pop(key):
            self._reply(request, t)

    def _reply(self, request: LineRequest, t: int) -> None:
        depart = max(t, self.reply_free)
        self.reply_free = depart + 1
        request.answer(depart + 1 + self.to_l0)
