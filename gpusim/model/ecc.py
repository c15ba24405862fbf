"""ECC kept in GDDR memory itself: each sector of it protects 16 sectors, those of four lines that follow in a channel.

A controller keeps the ECC sectors that it used last. What is read with a line needs them; what is written changes
them, without reading, and they are written when their place is needed (docs/timing-model.md, section 15).
"""

from __future__ import annotations

from gpusim.jit import inlined
from gpusim.model.params import Params
from gpusim.model.state import State
from gpusim.model.types import Flag, Line, Number

PROTECTED_LINES = 4


@inlined
def ecc_traffic(S: State, P: Params, number: Number, line: Line, writes: Flag) -> tuple[int, int]:
    """ECC sectors that channel `number` reads and writes for a transfer of a line."""
    dram = P.card[0].dram
    if not P.derived[0].inline_ecc:
        return 0, 0
    channel = S.channels[number]
    group = line // dram.channels // PROTECTED_LINES
    channel.ecc_uses += 1
    oldest, place = 0, -1
    for candidate in range(dram.ecc_sectors):
        if channel.ecc_used[candidate] and channel.ecc_group[candidate] == group:
            place = candidate
            break
        if channel.ecc_used[candidate] < channel.ecc_used[oldest]:
            oldest = candidate
    reads = written_back = 0
    if place < 0:
        place = oldest
        written_back = channel.ecc_changed[place]
        channel.ecc_group[place] = group
        channel.ecc_changed[place] = 0
        reads = 0 if writes else 1
    channel.ecc_used[place] = channel.ecc_uses
    channel.ecc_changed[place] |= writes
    return reads, written_back
