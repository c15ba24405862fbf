"""Allocate a State for one kernel on one card."""

from __future__ import annotations

import numpy as np

from gpusim.model import state as st
from gpusim.model.l1_instructions import CODE_SPACE, CONSTANT_SPACE
from gpusim.model.params import Params
from gpusim.results.stalls import STALL_REASONS
from gpusim.trace.trace import MEMORY_RECORD_DTYPE


def records(count: int, dtype: np.dtype) -> np.recarray:
    return np.zeros(count, dtype).view(np.recarray)


def tags(count: int) -> np.recarray:
    """Empty small-cache entries: older than any cycle."""
    array = records(count, st.TAG)
    array.line = -1
    array.stamp = -1
    return array


def sectored(caches: int, sets: int, ways: int) -> tuple[np.recarray, np.recarray]:
    """Empty lines, all in their sets' LRU lists in order, and the ends of the lists."""
    total = caches * sets * ways
    lines = records(total, st.LINE)
    place = np.arange(total)
    lines.line, lines.hash_next, lines.waiters, lines.last_waiter = -1, -1, -1, -1
    lines.older = np.where(place % ways == 0, -1, place - 1)
    lines.newer = np.where(place % ways == ways - 1, -1, place + 1)
    ends = records(caches * sets, st.CACHE_SET)
    ends.oldest = np.arange(caches * sets) * ways
    ends.newest = ends.oldest + ways - 1
    return lines, ends


def dram(params: Params) -> tuple[np.recarray, np.recarray, np.recarray]:
    """Idle channels, their banks with all rows closed, and their free transfers."""
    m = params.machine[0]
    channels = records(int(m.dram_channels), st.CHANNEL)
    channels.clock = st.FOREVER
    channels.arriving, channels.arriving_tail, channels.filling, channels.filling_tail = -1, -1, -1, -1
    banks = records(len(channels) * int(m.banks), st.BANK)
    banks.row, banks.hit, banks.head, banks.tail = -1, -1, -1, -1
    each = int(m.transfers)
    transfers = records(len(channels) * each, st.TRANSFER)
    place = np.arange(len(transfers))
    transfers.next = np.where(place % each == each - 1, -1, place + 1)
    channels.free = np.arange(len(channels)) * each
    return channels, banks, transfers


def fill_at_start(entries: np.recarray, caches: int, sets: int, ways: int, lines: range) -> None:
    """Put lines into each of some equal small caches in cycle 0: empty ways first, then the lowest."""
    each = entries.reshape(caches, sets * ways)
    for line in lines:
        way = (line - lines.start) // sets
        place = line % sets * ways + (way if way < ways else 0)
        each.line[:, place], each.stamp[:, place] = line, 0


def prefetch_program(params: Params, state: st.State) -> None:
    """Put what a launch prefetches into the instruction caches, its last lines into the stream buffers.

    A stream buffer goes on behind them when the first of its lines is taken.
    """
    m = params.machine[0]
    lines = min(int(m.launch_lines), -(-len(params.code) // int(m.line_instructions)))
    streamed = min(int(m.stream_lines), max(lines - 1, 0))
    in_l1 = -(-lines * int(m.line_instructions) * 16 // int(m.l1i_line_bytes))
    code = range(CODE_SPACE, CODE_SPACE + in_l1)
    fill_at_start(state.l0, len(state.sub_cores), int(m.l0_sets), int(m.l0_ways), range(lines - streamed))
    fill_at_start(state.l1_instructions, len(state.sms), int(m.l1i_sets), int(m.l1i_ways), code)
    state.sub_cores.stream_head = lines - streamed
    state.sub_cores.stream_count = streamed
    state.sub_cores.stream_next = lines


def power_of_two(at_least: int) -> int:
    return 1 << max(at_least - 1, 1).bit_length()


def build_state(params: Params, threads: int, window: int) -> st.State:
    """A fresh State: caches cold but for what a launch brings, nothing resident, stream pools empty."""
    m = params.machine[0]
    sms, cores = int(m.sms), int(m.sms) * st.SUB_CORES
    units = records(sms, st.SM)
    units.table_next[:] = np.arange(1, st.PENDING_TABLE + 1)
    units.waiter_next[:] = np.arange(1, st.WAITERS + 1)
    units.waiter_next[:, -1] = -1
    units.gpc_ready = st.FOREVER
    core = records(cores, st.SUB_CORE)
    core.greedy = m.warps // st.SUB_CORES - 1  # the highest slot (artifact of arXiv 2503.20481)
    core.cached, core.constant_hold = -1, -1
    core.wake = st.FOREVER
    warps = records(sms * int(m.warps), st.WARP)
    warps.fetch_line = -1
    lines, line_sets = sectored(sms, int(m.l1_sets), int(m.l1_ways))
    l2_lines, l2_sets = sectored(int(m.l2_slices), int(m.l2_sets), int(m.l2_ways))
    slices = records(int(m.l2_slices), st.SLICE)
    slices.head, slices.tail = -1, -1
    copies = records(len(slices), st.COPIES)
    copies.head, copies.tail = -1, -1
    channels, banks, transfers = dram(params)
    gpcs = records(int(m.gpcs), st.GPC)
    gpcs.head, gpcs.tail = -1, -1
    gpu = records(1, st.GPU)
    gpu.node_free = -1
    tracked = sms * int(m.warps) * int(m.registers)
    state = st.State(
        gpu=gpu,
        sms=units,
        sub_cores=core,
        warps=warps,
        ctas=records(sms * int(m.ctas), st.CTA),
        l0=tags(cores * int(m.l0_sets * m.l0_ways)),
        l0_constants=tags(cores * int(m.constant_sets * m.constant_ways)),
        l1_instructions=tags(sms * int(m.l1i_sets * m.l1i_ways)),
        constants=tags(sms * int(m.ldc_sets * m.ldc_ways)),
        lines=lines,
        line_sets=line_sets,
        line_hash=np.full(sms * st.LINE_BUCKETS, -1, np.int64),
        requests=records(sms * st.MESSAGES, st.MESSAGE),
        replies=records(sms * st.MESSAGES, st.MESSAGE),
        l2_lines=l2_lines,
        l2_sets=l2_sets,
        l2_hash=np.full(power_of_two(2 * len(l2_lines)), -1, np.int64),
        slices=slices,
        slice_next=np.full(len(slices), st.FOREVER, np.int64),
        copies=copies,
        copy_next=np.full(len(slices), st.FOREVER, np.int64),
        nodes=records(sms * st.MESSAGES, st.NODE),
        gpcs=gpcs,
        channels=channels,
        channel_next=np.full(len(channels), st.FOREVER, np.int64),
        banks=banks,
        transfers=transfers,
        merge=np.zeros(window + 1, np.int64),
        merged=np.zeros(sms * st.MESSAGES, np.int64),
        registers=records(tracked if m.scoreboard else 1, st.REGISTER),
        stalls=np.zeros((threads, len(params.code), len(STALL_REASONS)), np.int64),
        counters=records(sms, st.COUNTERS),
        stream=np.zeros(0, np.int64),
        records=records(0, MEMORY_RECORD_DTYPE),
        addresses=np.zeros(0, np.int64),
        warp_starts=np.zeros((0, 3), np.int64),
        timeline=records(0, st.TIMELINE),
    )
    prefetch_program(params, state)
    return state


def keep_l2(before: st.State, fresh: st.State) -> st.State:
    """A fresh State with the data lines that the kernel before left in L2, without code, constants, local memory."""
    lines = before.l2_lines
    private = lines.line >= CONSTANT_SPACE
    for name in ("valid", "dirty", "low", "high"):
        lines[name][private] = 0
    return fresh._replace(l2_lines=lines, l2_sets=before.l2_sets, l2_hash=before.l2_hash)
