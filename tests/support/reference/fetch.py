"""Fetch of one sub-core: L0 instruction cache, prefetcher, request port (timing model, section 5)."""

from __future__ import annotations

from dataclasses import dataclass

from gpusim.config.models import GpuConfig, InstructionFetch
from reference.caches import L1Instructions, SmallCache
from reference.warp import BufferEntry, Warp

OUTSTANDING_LINES = 32


class Prefetcher:
    """Asks for nothing (`none`)."""

    def __init__(self, config: InstructionFetch) -> None:
        self.config = config

    def at_launch(self, lines: int) -> int:
        """How many of a launch's first lines, the last of them, stand in the own buffer."""
        return 0

    def demanded(self, line: int) -> None:
        """A warp begins a line: it is there, on its way, or must be asked for."""

    def missed(self, line: int) -> None:
        """A demand for a line is about to be sent."""
        self.demanded(line)

    def look_up(self, line: int) -> bool | None:
        """True: has the line, and gives it away. False: it will come. None: does not know it."""
        return None

    def arrives(self, number: int) -> bool:
        """Data of the own buffer, asked for by `number`; whether they go to L0 at once, since a warp waits for them."""
        raise NotImplementedError

    def wants(self) -> int | None:
        return None

    def refused(self, line: int) -> None:
        raise NotImplementedError

    def asked(self, line: int) -> int | None:
        """Number by which the own buffer knows the request; None: into L0."""
        raise NotImplementedError


class Perfect(Prefetcher):
    def look_up(self, line: int) -> bool | None:
        return True


class NextLine(Prefetcher):
    next = end = 0

    def demanded(self, line: int) -> None:
        self.next, self.end = line + 1, line + 1 + self.config.prefetch_degree

    def wants(self) -> int | None:
        return self.next if self.next < self.end else None

    def refused(self, line: int) -> None:
        self.next += 1

    def asked(self, line: int) -> int | None:
        self.next += 1
        return None


@dataclass
class StreamLine:
    line: int
    number: int  # of its request
    has_data: bool = False


class StreamBuffer(Prefetcher):
    def __init__(self, config: InstructionFetch) -> None:
        super().__init__(config)
        self.lines: list[StreamLine] = []
        self.requests = 0
        self.next = 0
        self.active = False
        self.head_wanted = False

    def at_launch(self, lines: int) -> int:
        held = min(self.config.stream_buffer_lines, max(lines - 1, 0))
        self.lines = [StreamLine(lines - held + n, -1, True) for n in range(held)]
        self.next = lines
        return held

    def demanded(self, line: int) -> None:
        pass

    def look_up(self, line: int) -> bool | None:
        if not self.lines or self.lines[0].line != line:
            return None
        if self.lines[0].has_data:
            self._pop_head()
            return True
        self.head_wanted = True
        return False

    def _pop_head(self) -> None:
        self.lines.pop(0)
        self.active = True

    def arrives(self, number: int) -> bool:
        for waiting in [s for s in self.lines if s.number == number]:
            waiting.has_data = True
            if self.head_wanted and waiting is self.lines[0]:
                self.head_wanted = False
                self._pop_head()
                return True
        return False

    def missed(self, line: int) -> None:
        if self.config.stream_buffer_lines == 0 or self.head_wanted:
            return
        if self.lines and self.lines[0].line == line + 1:
            return
        if self.active and not self.lines and self.next == line + 1:
            return
        self.lines = []
        self.next = line + 1
        self.active = True

    def wants(self) -> int | None:
        return self.next if self.active and len(self.lines) < self.config.stream_buffer_lines else None

    def refused(self, line: int) -> None:
        self.active = False

    def asked(self, line: int) -> int | None:
        self.requests += 1
        self.lines.append(StreamLine(line, self.requests))
        self.next += 1
        return self.requests


PREFETCHERS = {"none": Prefetcher, "perfect": Perfect, "next_line": NextLine, "stream_buffer": StreamBuffer}


class Fetch:
    """What a sub-core fetches with. `code_lines` is the number of lines that the program covers."""

    def __init__(self, config: GpuConfig, l1_instructions: L1Instructions, instructions: int) -> None:
        self.config = config.sm.sub_core.fetch
        self.l1_instructions = l1_instructions
        self.instructions = instructions
        self.l0 = SmallCache(self.config.l0)
        self.requested: set[int] = set()
        self.arrivals: list[tuple[int, int, int | None]] = []  # cycle, line, number of a prefetch
        self.port_taken = -1  # the cycle in which its last request leaves
        self.prefetcher: Prefetcher = PREFETCHERS[self.config.prefetcher](self.config)
        lines = min(config.sm.instruction_hierarchy.launch.lines, self.line_of(instructions - 1) + 1)
        for line in range(lines - self.prefetcher.at_launch(lines)):
            self.l0.fill(line, 0)

    def line_of(self, index: int) -> int:
        return index // (self.config.l0.line_bytes // 16)

    # ---- step b

    def lines_arrive(self, t: int, warps: list[Warp]) -> None:
        due = [a for a in self.arrivals if a[0] <= t]
        for arrival in sorted(due, key=lambda a: a[2] is not None):
            self.arrivals.remove(arrival)
            _, line, number = arrival
            if number is None:
                self.requested.discard(line)
            if number is None or self.prefetcher.arrives(number):
                self._into_l0(line, t, warps)

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
        if self._demand(self.line_of(warp.next_fetch), warp, t):
            warp.buffer.append(BufferEntry(warp.next_fetch, t + self.config.hit_to_issue))
            warp.next_fetch += 1
        elif warp.waits_for is not None:
            warp.flushed = False

    def _demand(self, line: int, warp: Warp, t: int) -> bool:
        begins, warp.demanded = warp.demanded != line, line
        if line in self.l0:
            if begins:
                self.prefetcher.demanded(line)
            self.l0.use(line, t)
            return True
        found = self.prefetcher.look_up(line)
        if found:
            if self.config.prefetcher != "perfect":
                self.l0.fill(line, t)
            return True
        if found is False:
            warp.waits_for = line
        elif line in self.requested:
            warp.waits_for = line
            if begins:
                self.prefetcher.demanded(line)
        elif self._may_ask(t) and len(self.requested) < OUTSTANDING_LINES:
            warp.waits_for = line
            self.prefetcher.missed(line)
            self.requested.add(line)
            self._request(line, t, None)
        return False

    def _may_ask(self, t: int) -> bool:
        return self.port_taken < t and not self.l1_instructions.full

    def prefetch(self, t: int) -> None:
        line = self.prefetcher.wants()
        if line is None or not self._may_ask(t):
            return
        behind = line > self.line_of(self.instructions - 1)
        if behind or line in self.l0 or line in self.requested:
            self.prefetcher.refused(line)
            return
        number = self.prefetcher.asked(line)
        if number is None:
            if len(self.requested) >= OUTSTANDING_LINES:
                return
            self.requested.add(line)
        self._request(line, t, number)

    def _request(self, line: int, t: int, number: int | None) -> None:
        byte = line * self.config.l0.line_bytes
        self.port_taken = self.l1_instructions.request(
            "code", byte, t, lambda at: self.arrivals.append((at, line, number))
        )


class ConstantCache:
    """L0 constant cache of a sub-core for operands c[bank][offset] (section 7, constant miss)."""

    OUTSTANDING = 16

    def __init__(self, config: GpuConfig, l1_instructions: L1Instructions) -> None:
        geometry = config.sm.sub_core.constant_cache
        self.line_bytes = geometry.line_bytes
        self.cache = SmallCache(geometry)
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
