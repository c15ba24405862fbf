"""Register reads: banked read ports over a 3-cycle window, and the register file cache.

An instruction leaves Allocate when all its register reads fit in the ports of the next cycles; until then everything
above it waits. Source: arXiv 2503.20481 sections 5.1.1 and 5.3; Listing 1 gives 0, 1 and 2 bubbles.
"""

from __future__ import annotations

from gpusim.jit import inlined
from gpusim.model.params import Params
from gpusim.model.state import BANKS, READ_HORIZON, State
from gpusim.model.types import Cycle, Flag, Index, Local, Record, Sm

PORT_BITS = 4
"""A slot of the calendar of read ports: ports booked, and above these bits the cycle for which."""
PORTS = (1 << PORT_BITS) - 1


@inlined
def port_slot(bank: int, cycle: Cycle) -> int:
    """Place of a bank's cycle in the calendar."""
    return bank * READ_HORIZON + (cycle & (READ_HORIZON - 1))


@inlined
def ports_used(core: Record, bank: int, cycle: Cycle) -> int:
    """Read ports of a bank already booked for `cycle`."""
    slot = core.read_slots[port_slot(bank, cycle)]
    return slot & PORTS if slot >> PORT_BITS == cycle else 0


@inlined
def book_port(core: Record, bank: int, cycle: Cycle) -> None:
    core.read_slots[port_slot(bank, cycle)] = (cycle << PORT_BITS) + ports_used(core, bank, cycle) + 1


@inlined
def book_reads(core: Record, ports: int, bank: int, need: int, first: Cycle, window: int) -> None:
    """Book the earliest free port slots of the window that starts at cycle `first`; the caller knows that they fit."""
    cycle = first
    while need > 0 and cycle < first + window:
        while need > 0 and ports_used(core, bank, cycle) < ports:
            book_port(core, bank, cycle)
            need -= 1
        cycle += 1


@inlined
def free_reads(core: Record, ports: int, bank: int, first: Cycle, window: int) -> int:
    """Port slots of a bank free in the window that starts at cycle `first`."""
    free = 0
    for cycle in range(first, first + window):
        free += ports - ports_used(core, bank, cycle)
    return free


# ---- register file cache: an entry per bank and operand slot


@inlined
def tag(local: Local, register: int) -> int:
    """What an entry holds that has a warp's register."""
    return local * 256 + register


@inlined
def cached(core: Record, local: Local, code: Record, place: int) -> Flag:
    """Whether a source operand is in the register file cache."""
    return core.cached[code.source_entry[place]] == tag(local, code.source_register[place])


@inlined
def uncached_need(core: Record, local: Local, code: Record) -> tuple[int, int, int]:
    """Register reads of bank 0 and bank 1 that the register file cache does not serve, and how many it does."""
    if core.cached_count == 0 or not code.caches:
        return code.need[0], code.need[1], 0
    need0, need1, hits = 0, 0, 0
    for place in range(code.source_count):
        register = code.source_register[place]
        if cached(core, local, code, place):
            hits += 1
            continue
        duplicate = False
        for earlier in range(place):
            same = code.source_register[earlier] == register
            duplicate = duplicate or (same and not cached(core, local, code, earlier))
        if not duplicate:
            if register & 1 == 0:
                need0 += 1
            else:
                need1 += 1
    return min(need0, code.need[0]), min(need1, code.need[1]), hits


@inlined
def update_cache(core: Record, local: Local, code: Record) -> None:
    """Any read of a (bank, slot) empties that entry; a read with reuse fills it (section 5.3.1)."""
    if not code.caches or (core.cached_count == 0 and not code.reuses):
        return
    for place in range(code.source_count):
        entry = code.source_entry[place]
        if core.cached[entry] >= 0:
            core.cached[entry] = -1
            core.cached_count -= 1
        if code.source_reuse[place]:
            core.cached[entry] = tag(local, code.source_register[place])
            core.cached_count += 1


@inlined
def forget_warp(core: Record, local: Local) -> None:
    """A later warp in this place must not hit what this one has left."""
    for entry in range(len(core.cached)):
        if core.cached[entry] >= tag(local, 0) and core.cached[entry] < tag(local + 1, 0):
            core.cached[entry] = -1
            core.cached_count -= 1


# ---- who reads


@inlined
def allocate_reads(S: State, P: Params, sm: Sm, core: Record, local: Local, index: Index, now: Cycle) -> Flag:
    """Try to book all reads of an instruction in Allocate at cycle `now`. 1 if it may leave."""
    code = P.code[index]
    file = P.card[0].sm.sub_core.register_file
    need0, need1, hits = code.need[0], code.need[1], 0
    if file.cache:
        need0, need1, hits = uncached_need(core, local, code)
    window = code.read_window
    if need0 and free_reads(core, file.read_ports, 0, now + 1, window) < need0:
        return 0
    if need1 and free_reads(core, file.read_ports, 1, now + 1, window) < need1:
        return 0
    book_reads(core, file.read_ports, 0, need0, now + 1, window)
    book_reads(core, file.read_ports, 1, need1, now + 1, window)
    if file.cache:
        update_cache(core, local, code)
        S.counters[sm].register_cache_hits += hits
    S.counters[sm].register_reads += need0 + need1
    return 1


@inlined
def read_variable(S: State, P: Params, sm: Sm, core: Record, index: Index, cycle: Cycle) -> Flag:
    """Reads of a variable-latency instruction in `cycle`: one slot per bank, if fixed-latency reads left one."""
    code = P.code[index]
    for bank in range(BANKS):
        if code.need[bank] > 0 and ports_used(core, bank, cycle) >= P.card[0].sm.sub_core.register_file.read_ports:
            return 0
    for bank in range(BANKS):
        if code.need[bank] > 0:
            book_port(core, bank, cycle)
            S.counters[sm].register_reads += code.need[bank]
    return 1
