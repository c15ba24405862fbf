"""What the State of a kernel on a card will take in memory, before any of it is taken."""

from __future__ import annotations

from collections.abc import Iterator

from gpusim.config.models import Cache, GpuConfig
from gpusim.errors import GpusimError
from gpusim.memory_limit import in_words
from gpusim.model import state as st
from gpusim.results.stalls import STALL_REASONS

MOST_BYTES = 1 << 30
"""Of a State. That of the largest packaged card has 0.2 GB."""
WORD = 8

Part = tuple[str, str, int]
"""What it is, the keys that decide its size, and its bytes."""


def check_footprint(config: GpuConfig, threads: int, instructions: int, registers: int) -> None:
    """Raises GpusimError, which names the keys responsible, where a State would take more than MOST_BYTES.

    instructions: static ones of the kernel. registers: that scoreboards track per warp, 0 without scoreboards.
    """
    parts = list(footprint(config, threads, instructions, registers))
    total = sum(size for *_, size in parts)
    if total <= MOST_BYTES:
        return
    largest = sorted(parts, key=lambda part: -part[2])[:3]
    told = "; ".join(f"{in_words(size)} are {what} ({keys})" for what, keys, size in largest if size > total / 20)
    raise GpusimError(
        f"{config.name}: simulating it would take {in_words(total)} of memory for the machine's state, at most "
        f"{in_words(MOST_BYTES)} are taken: {told}; make these smaller"
    )


def footprint(config: GpuConfig, threads: int, instructions: int, registers: int) -> Iterator[Part]:
    """The parts of a State, those of some importance."""
    sms, sm, l2, dram = config.sms, config.sm, config.l2, config.dram_in_clocks
    cores, unit, hierarchy = sms * st.SUB_CORES, sm.memory_unit, sm.instruction_hierarchy
    messages = 2 * st.MESSAGE.itemsize + st.NODE.itemsize + (4 + config.interconnect.gpcs) * WORD
    each = st.SM.itemsize + st.SUB_CORES * st.SUB_CORE.itemsize + st.IN_FLIGHT * st.ACCESS.itemsize
    each += st.MESSAGES * messages + WORD * st.LINE_BUCKETS
    yield "the SMs", "sms", sms * (each + sm.warps * st.WARP.itemsize + sm.ctas * st.CTA.itemsize)
    for what, key, caches, cache in (
        ("L0 instruction caches", "sm.sub_core.fetch.l0", cores, sm.sub_core.fetch.l0),
        ("L0 constant caches", "sm.sub_core.constant_cache", cores, sm.sub_core.constant_cache),
        ("L1 instruction caches", "sm.instruction_hierarchy.l1", sms, hierarchy.l1),
        ("constant caches of LDC", "sm.memory_unit.constant_cache", sms, unit.constant_cache),
    ):
        yield what, f"{key}.sets and ways, sms", caches * _entries(cache) * st.TAG.itemsize
    lines = max(unit.l1_data.unified_kb * 1024 // l2.line_bytes, unit.l1_data.sets)
    each = lines * st.LINE.itemsize + unit.l1_data.sets * st.CACHE_SET.itemsize
    yield "L1 lines", "sm.memory_unit.l1_data.unified_kb and sets, sms", sms * each
    lines = l2.slices * l2.sets * l2.ways
    yield "L2 lines", "l2.slices, l2.sets, l2.ways", lines * (st.LINE.itemsize + 4 * WORD)
    transfers = dram.queue_entries + dram.write_queue.entries + int(dram.timing.cl)
    each = transfers * st.TRANSFER.itemsize + dram.banks * st.BANK.itemsize
    yield "DRAM queues", "dram.channels, dram.queue_entries, dram.write_queue.entries", dram.channels * each
    yield "scoreboards", "sms, sm.warps", sms * sm.warps * registers * st.REGISTER.itemsize
    yield "tables of stalls", "--threads", threads * instructions * len(STALL_REASONS) * WORD


def _entries(cache: Cache) -> int:
    return cache.sets * cache.ways
