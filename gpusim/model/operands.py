"""Allocate: banked register read ports over a 3-cycle window, and the register file cache.

An instruction leaves Allocate when all its register reads fit in the ports of the next cycles; until then everything
above it waits. Source: arXiv 2503.20481 sections 5.1.1 and 5.3; Listing 1 gives 0, 1 and 2 bubbles.
"""

from __future__ import annotations

from gpusim.jit import inlined
from gpusim.model.state import BANKS, READ_HORIZON, SUB_CORES


@inlined
def ports_used(core, bank, cycle):
    """Read ports of a bank already booked for `cycle`."""
    slot = core.read_slots[bank * READ_HORIZON + (cycle & (READ_HORIZON - 1))]
    return slot & 15 if slot >> 4 == cycle else 0


@inlined
def book_port(core, bank, cycle):
    place = bank * READ_HORIZON + (cycle & (READ_HORIZON - 1))
    core.read_slots[place] = (cycle << 4) + ports_used(core, bank, cycle) + 1


@inlined
def book_reads(core, ports, bank, need, first, window):
    """Book the earliest free port slots of the window that starts at cycle `first`; the caller knows that they fit."""
    cycle = first
    while need > 0 and cycle < first + window:
        while need > 0 and ports_used(core, bank, cycle) < ports:
            book_port(core, bank, cycle)
            need -= 1
        cycle += 1


@inlined
def free_reads(core, ports, bank, first, window):
    """Port slots of a bank free in the window that starts at cycle `first`."""
    free = 0
    for cycle in range(first, first + window):
        free += ports - ports_used(core, bank, cycle)
    return free


@inlined
def cached(core, local, source):
    """Whether a source operand, coded as in CODE.source, is in the register file cache."""
    return core.cached[(source & 1) * 4 + (source >> 8 & 3)] == local * 256 + (source & 255)


@inlined
def uncached_need(S, P, c, local, index):
    """Register reads per bank that the register file cache does not serve, as need0 + 256 * need1 + 65536 * hits."""
    core = S.sub_cores[c]
    code = P.code[index]
    if core.cached_count == 0 or not code.caches:
        return code.need[0] + 256 * code.need[1]
    need0, need1, hits = 0, 0, 0
    for place in range(code.source_count):
        source = code.source[place]
        register = source & 255
        bank = register & 1
        if cached(core, local, source):
            hits += 1
            continue
        duplicate = False
        for earlier in range(place):
            same = code.source[earlier] & 255 == register
            duplicate = duplicate or (same and not cached(core, local, code.source[earlier]))
        if not duplicate:
            if bank == 0:
                need0 += 1
            else:
                need1 += 1
    return min(need0, code.need[0]) + 256 * min(need1, code.need[1]) + 65536 * hits


@inlined
def update_cache(S, P, c, local, index):
    """Any read of a (bank, slot) empties that entry; a read with reuse fills it (section 5.3.1)."""
    core = S.sub_cores[c]
    code = P.code[index]
    if not code.caches or (core.cached_count == 0 and not code.reuses):
        return
    for place in range(code.source_count):
        source = code.source[place]
        entry = (source & 1) * 4 + (source >> 8 & 3)
        if core.cached[entry] >= 0:
            core.cached[entry] = -1
            core.cached_count -= 1
        if source >= 1024:
            core.cached[entry] = local * 256 + (source & 255)
            core.cached_count += 1


@inlined
def allocate_reads(S, P, sm, k, local, index, now):
    """Try to book all reads of an instruction in Allocate at cycle `now`. 1 if it may leave."""
    c = sm * SUB_CORES + k
    core = S.sub_cores[c]
    code = P.code[index]
    use_cache = P.machine[0].register_cache
    need = uncached_need(S, P, c, local, index) if use_cache else code.need[0] + 256 * code.need[1]
    need0, need1 = need & 255, need >> 8 & 255
    window = code.read_window
    ports = P.machine[0].read_ports
    if need0 and free_reads(core, ports, 0, now + 1, window) < need0:
        return 0
    if need1 and free_reads(core, ports, 1, now + 1, window) < need1:
        return 0
    book_reads(core, ports, 0, need0, now + 1, window)
    book_reads(core, ports, 1, need1, now + 1, window)
    if use_cache:
        update_cache(S, P, c, local, index)
        S.counters[sm].register_cache_hits += need >> 16
    S.counters[sm].register_reads += need0 + need1
    return 1


@inlined
def read_variable(S, P, sm, k, index, cycle):
    """Reads of a variable-latency instruction in `cycle`: one slot per bank, if fixed-latency reads left one."""
    core = S.sub_cores[sm * SUB_CORES + k]
    code = P.code[index]
    for bank in range(BANKS):
        if code.need[bank] > 0 and ports_used(core, bank, cycle) >= P.machine[0].read_ports:
            return 0
    for bank in range(BANKS):
        if code.need[bank] > 0:
            book_port(core, bank, cycle)
            S.counters[sm].register_reads += code.need[bank]
    return 1
