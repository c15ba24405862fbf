"""Stores on their way out of L1D: a line waits a little for more of its bytes, then leaves over the SM's request port.

Neighbouring stores to a line leave as one packet: 94 % of pairs in one instruction after the other, but none that are a
load's latency apart, and few of instructions that write 8 lines (docs/timing-model.md, section 12).
"""

from __future__ import annotations

from gpusim.constants import SECTOR_BYTES
from gpusim.jit import inlined, popcount64
from gpusim.model.interconnect import WRITE, expect_acknowledgement, send_packet
from gpusim.model.params import Params
from gpusim.model.state import FOREVER, State
from gpusim.model.types import Cycle, Flag, Line, Mask, Place, Sm

LOWER, UPPER = 0xFFFFFFFF, -1 << 32
"""Bytes of the first and of the second sector of half a line."""


@inlined
def in_part(sectors: Mask, low: Mask, high: Mask) -> Flag:
    """Whether some sector of a line is written in part; it then takes a byte mask with it."""
    whole_low = (LOWER if sectors & 1 else 0) | (UPPER if sectors & 2 else 0)
    whole_high = (LOWER if sectors & 4 else 0) | (UPPER if sectors & 8 else 0)
    return low != whole_low or high != whole_high


@inlined
def data_cycles(P: Params, sectors: Mask) -> Cycle:
    """Cycles of the request port for the data of some sectors."""
    width = P.card[0].interconnect.request_bytes_per_cycle
    return (SECTOR_BYTES * popcount64(sectors) + width - 1) // width


@inlined
def send_store(
    S: State, P: Params, sm: Sm, time: Cycle, line: Line, sectors: Mask, low: Mask, high: Mask, token: int
) -> None:
    cycles = data_cycles(P, sectors) + in_part(sectors, low, high)
    send_packet(S, P, sm, time, WRITE, line, sectors, token, low, high, 0, cycles)


@inlined
def send_held(S: State, P: Params, sm: Sm, place: Place, time: Cycle) -> None:
    """A held line leaves from cycle `time` on; those behind it move up."""
    unit = S.sms[sm]
    line, sectors, token = unit.held_line[place], unit.held_sectors[place], unit.held_token[place]
    send_store(S, P, sm, time, line, sectors, unit.held_low[place], unit.held_high[place], token)
    unit.held_stores -= 1
    for behind in range(place, unit.held_stores):
        unit.held_line[behind] = unit.held_line[behind + 1]
        unit.held_sectors[behind] = unit.held_sectors[behind + 1]
        unit.held_low[behind] = unit.held_low[behind + 1]
        unit.held_high[behind] = unit.held_high[behind + 1]
        unit.held_token[behind] = unit.held_token[behind + 1]
        unit.held_until[behind] = unit.held_until[behind + 1]


@inlined
def release_stores(S: State, P: Params, sm: Sm, now: Cycle) -> None:
    """Lines that have been held long enough by cycle `now` leave."""
    unit = S.sms[sm]
    place = 0
    while place < unit.held_stores:
        if unit.held_until[place] <= now:
            send_held(S, P, sm, place, unit.held_until[place])
        else:
            place += 1


@inlined
def release_all_stores(S: State, P: Params, sm: Sm, now: Cycle) -> None:
    """The SM has nothing left to run: what it holds leaves."""
    while S.sms[sm].held_stores > 0:
        send_held(S, P, sm, 0, now)


@inlined
def hold_store(
    S: State, P: Params, sm: Sm, time: Cycle, line: Line, sectors: Mask, low: Mask, high: Mask, token: int
) -> None:
    """A store's part of a line comes in cycle `time`: it joins the same line, or is held with the oldest giving way."""
    unit = S.sms[sm]
    l1_data = P.card[0].sm.memory_unit.l1_data
    release_stores(S, P, sm, time)
    for place in range(unit.held_stores):
        if unit.held_line[place] == line:
            unit.held_sectors[place] |= sectors
            unit.held_low[place] |= low
            unit.held_high[place] |= high
            return
    expect_acknowledgement(S, P, sm, token)
    if l1_data.store_lines == 0:
        send_store(S, P, sm, time, line, sectors, low, high, token)
        return
    if unit.held_stores == l1_data.store_lines:
        send_held(S, P, sm, 0, time)
    place = unit.held_stores
    unit.held_stores = place + 1
    unit.held_line[place] = line
    unit.held_sectors[place] = sectors
    unit.held_low[place] = low
    unit.held_high[place] = high
    unit.held_token[place] = token
    unit.held_until[place] = time + l1_data.store_hold


@inlined
def stores_wake(S: State, sm: Sm) -> Cycle:
    """First cycle in which a held line leaves."""
    unit = S.sms[sm]
    first = FOREVER
    for place in range(unit.held_stores):
        first = min(first, unit.held_until[place])
    return first
