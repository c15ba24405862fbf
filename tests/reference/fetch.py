"""Fetch of one sub-core: L0 instruction cache, stream buffer, request port (timing model, section 5)."""

from __future__ import annotations

from dataclasses import dataclass

from gpusim.config.models import GpuConfig
from reference.caches import L1Instructions, SmallCache
from reference.warp import BufferEntry, Warp

OUTSTANDING_LINES = 32
RING = 32


@dataclass
class StreamLine:
    line: int
    place: int  # in the ring
    has_data: bool = False


class Fetch:
    """What a sub-core fetches with. `code_lines` is the number of lines that the program covers."""

    def __init__(self, config: GpuConfig, l1_instructions: L1Instructions, instructions: int) -> None:
        self.config = config.sm.sub_core.fetch
        self.launch = config.sm.instruction_hierarchy.launch
        self.l1_instructions = l1_instructions
        self.instructions = instructions
        self.l0 = SmallCache(self.config.l0.sets, self.config.l0.ways)
        self.requested: set[int] = set()
        self.arrivals: list[tuple[int, int, int | None]] = []  # cycle, line, ring place of a prefetch
        self.port_taken = -1  # the cycle in which its last request leaves
        self.stream: list[StreamLine] = []
        self.first_place = 0  # ring place of the head
        self.next = 0
        self.active = False
        self.head_wanted = False
        self._take_launch()

    def _take_launch(self) -> None:
        """The program's first lines are there; the last of them stand in the stream buffer."""
        self.next = min(self.launch.lines, self.line_of(self.instructions - 1) + 1)
        streamed = min(self.config.stream_buffer_lines, max(self.next - 1, 0))
        for line in range(self.next - streamed):
            self.l0.fill(line, 0)
        self.stream = [StreamLine(self.next - streamed + n, n, True) for n in range(streamed)]

    def line_of(self, index: int) -> int:
        return index // (self.config.l0.line_bytes // 16)

    # ---- step b

    def lines_arrive(self, t: int, warps: list[Warp]) -> None:
        for arrival in [a for a in self.arrivals if a[0] <= t]:
            self.arrivals.remove(arrival)
            _, line, place = arrival
            if place is None:
                self.requested.discard(line)
                self._into_l0(line, t, warps)
                continue
            for waiting in [s for s in self.stream if s.place == place and s.line == line]:
                waiting.has_data = True
                if self.head_wanted and waiting is self.stream[0]:
                    self.head_wanted = False
                    self._pop_head()
                    self._into_l0(line, t, warps)

    def _pop_head(self) -> None:
        self.stream.pop(0)
        self.first_place += 1
        self.active = True

    def _into_l0(self, line: int, t: int, warps: list[Warp]) -> None:
        self.l0.fill(line, t)
        for warp in warps:
            if warp.waits_for == line:
                warp.waits_for = None

    # ---- step h

    def may_fetch(self, warp: Warp, t: int) -> bool:
        return (
            len(warp.buffer) < self.config.buffer_entries
            and warp.waits_for is None
            and t >= warp.fetch_from
            and warp.next_fetch < self.instructions
            and not warp.used_up
        )

    def fetch(self, warp: Warp, t: int) -> None:
        line = self.line_of(warp.next_fetch)
        if self.config.perfect or self._demand(line, warp, t):
            warp.buffer.append(BufferEntry(warp.next_fetch, t + self.config.hit_to_issue))
            warp.next_fetch += 1
        elif warp.waits_for is not None:
            warp.flushed = False

    def _demand(self, line: int, warp: Warp, t: int) -> bool:
        if line in self.l0:
            self.l0.use(line, t)
            return True
        if self.stream and self.stream[0].line == line:
            if self.stream[0].has_data:
                self._pop_head()
                self.l0.fill(line, t)
                return True
            warp.waits_for = line
            self.head_wanted = True
        elif line in self.requested:
            warp.waits_for = line
        elif self.port_taken < t and len(self.requested) < OUTSTANDING_LINES and not self.l1_instructions.full:
            warp.waits_for = line
            self._restart_stream(line)
            self.requested.add(line)
            self._request(line, t, None)
        return False

    def _restart_stream(self, line: int) -> None:
        if self.config.stream_buffer_lines == 0 or self.head_wanted:
            return
        if self.stream and self.stream[0].line == line + 1:
            return
        if self.active and not self.stream and self.next == line + 1:
            return
        self.stream = []
        self.next = line + 1
        self.active = True

    def prefetch(self, t: int) -> None:
        if not self.active or len(self.stream) >= self.config.stream_buffer_lines:
            return
        if self.port_taken >= t or self.l1_instructions.full:
            return
        behind = self.next > self.line_of(self.instructions - 1)
        if behind or self.next in self.l0 or self.next in self.requested:
            self.active = False
            return
        place = (self.first_place + len(self.stream)) % RING
        self.stream.append(StreamLine(self.next, place))
        self._request(self.next, t, place)
        self.next += 1

    def _request(self, line: int, t: int, place: int | None) -> None:
        byte = line * self.config.l0.line_bytes
        self.port_taken = self.l1_instructions.request(
            "code", byte, t, lambda at: self.arrivals.append((at, line, place))
        )


class ConstantCache:
    """L0 constant cache of a sub-core for operands c[bank][offset] (section 7, constant miss)."""

    OUTSTANDING = 16

    def __init__(self, config: GpuConfig, l1_instructions: L1Instructions) -> None:
        geometry = config.sm.sub_core.constant_cache
        self.line_bytes = geometry.line_bytes
        self.cache = SmallCache(geometry.sets, geometry.ways)
        self.l1_instructions = l1_instructions
        self.requested: set[int] = set()
        self.arrivals: list[tuple[int, int]] = []

    def lines_arrive(self, t: int) -> None:
        for arrival in [a for a in self.arrivals if a[0] <= t]:
            self.arrivals.remove(arrival)
            self.requested.discard(arrival[1])
            self.cache.fill(arrival[1], t)

    def ask(self, line: int, t: int) -> None:
        if line in self.requested or len(self.requested) >= self.OUTSTANDING or self.l1_instructions.full:
            return
        self.requested.add(line)
        byte = line * self.line_bytes
        self.l1_instructions.request("constant", byte, t, lambda at: self.arrivals.append((at, line)))
