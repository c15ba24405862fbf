"""Stream buffer of `fetch.stream_buffer_lines` lines (0: none) behind the last miss; its rules are those of the
artifact of arXiv 2503.20481 (stream_buffer.cc): only its head is compared with a demand, and it moves into L0 then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpusim.model.l0_instructions import fill_l0
from gpusim.model.params import Params
from gpusim.model.policies.prefetcher import ABSENT, COMING, HIT, NONE
from gpusim.model.rows import sub_core
from gpusim.model.state import FOREVER, STREAM_LINES, State
from gpusim.model.types import Cycle, Line, Place, Records, Sm, SubCore

if TYPE_CHECKING:
    from gpusim.config.models import InstructionFetch


def head_place(S: State, sm: Sm, k: SubCore) -> Place:
    """Where the head stands: the buffer holds the last of the lines that have been asked for."""
    core = sub_core(S, sm, k)
    return (core.stream_asked - core.stream_count) % STREAM_LINES


def take_head(S: State, P: Params, sm: Sm, k: SubCore, now: Cycle) -> None:
    """The head's data move into L0, and the stream goes on behind it."""
    core = sub_core(S, sm, k)
    fill_l0(S, P, sm, k, core.stream_head, now)
    core.stream_head += 1
    core.stream_count -= 1
    core.stream_wanted = 0
    core.stream_active = 1
    S.counters[sm].stream_buffer_hits += 1


def look_up(S: State, P: Params, sm: Sm, k: SubCore, line: Line, now: Cycle) -> int:
    core = sub_core(S, sm, k)
    if core.stream_count == 0 or core.stream_head != line:
        return ABSENT
    if core.stream_ready[head_place(S, sm, k)] <= now:
        take_head(S, P, sm, k, now)
        return HIT
    core.stream_wanted = 1
    return COMING


def missed(S: State, P: Params, sm: Sm, k: SubCore, line: Line, now: Cycle) -> None:
    """A demand that neither the head nor its predecessor explains starts a new stream behind it."""
    core = sub_core(S, sm, k)
    if P.card[0].sm.sub_core.fetch.stream_buffer_lines == 0 or core.stream_wanted:
        return
    if core.stream_count > 0 and core.stream_head == line + 1:
        return
    if core.stream_active and core.stream_count == 0 and core.stream_next == line + 1:
        return
    core.stream_count = 0
    core.stream_next = line + 1
    core.stream_active = 1


def wanted(S: State, P: Params, sm: Sm, k: SubCore) -> Line:
    core = sub_core(S, sm, k)
    room = core.stream_active and core.stream_count < P.card[0].sm.sub_core.fetch.stream_buffer_lines
    return core.stream_next if room else NONE


def asked(S: State, P: Params, sm: Sm, k: SubCore, line: Line, now: Cycle) -> int:
    core = sub_core(S, sm, k)
    if core.stream_count == 0:
        core.stream_head = line
    number = core.stream_asked
    core.stream_ready[number % STREAM_LINES] = FOREVER
    core.stream_asked = number + 1
    core.stream_count += 1
    core.stream_next = line + 1
    return number


def refused(S: State, P: Params, sm: Sm, k: SubCore, line: Line, now: Cycle) -> None:
    sub_core(S, sm, k).stream_active = 0


def arrived(S: State, P: Params, sm: Sm, k: SubCore, line: Line, number: int, ready: Cycle) -> None:
    """Unless the line has been dropped since it was asked for."""
    core = sub_core(S, sm, k)
    if number >= core.stream_asked - core.stream_count:
        core.stream_ready[number % STREAM_LINES] = ready


def due(S: State, P: Params, sm: Sm, k: SubCore) -> Cycle:
    core = sub_core(S, sm, k)
    return core.stream_ready[head_place(S, sm, k)] if core.stream_wanted else FOREVER


def deliver(S: State, P: Params, sm: Sm, k: SubCore, now: Cycle) -> Line:
    core = sub_core(S, sm, k)
    if not core.stream_wanted or core.stream_ready[head_place(S, sm, k)] > now:
        return NONE
    line = core.stream_head
    take_head(S, P, sm, k, now)
    return line


def at_launch(fetch: InstructionFetch, cores: Records, lines: int) -> int:
    """The last of a launch's lines stand in the buffer; it goes on behind them when the first of them is taken."""
    held = min(fetch.stream_buffer_lines, max(lines - 1, 0))
    cores.stream_head = lines - held
    cores.stream_count = held
    cores.stream_asked = held
    cores.stream_next = lines
    return held
