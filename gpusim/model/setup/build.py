"""Allocate a State for one kernel on one card."""

from __future__ import annotations

import numpy as np

from gpusim.config.models import GpuConfig
from gpusim.model import state as st
from gpusim.model.l1_instructions import CONSTANT_SPACE
from gpusim.model.params import Params
from gpusim.model.policies.loading import at_launch
from gpusim.model.policies.policy_set import set_of
from gpusim.model.threads import TEAM_WORDS
from gpusim.results.stalls import STALL_REASONS
from gpusim.trace.trace import MEMORY_RECORD_DTYPE


def records(count: int, dtype: np.dtype) -> np.recarray:
    return np.zeros(count, dtype).view(np.recarray)


def tags(caches: int, cache: np.record) -> np.recarray:
    """Empty small caches of a geometry (a record of the card with `sets` and `ways`): entries older than any cycle."""
    array = records(caches * int(cache.sets * cache.ways), st.TAG)
    array.line = -1
    array.stamp = -1
    place = np.arange(len(array))
    array.first = place - place % cache.ways
    return array


def sectored(caches: int, sets: int, ways: int) -> tuple[np.recarray, np.recarray]:
    """Empty lines, all in their sets' lists by age in order, and the sets."""
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
    card = params.card[0].dram
    channels = records(int(card.channels), st.CHANNEL)
    channels.clock = st.FOREVER
    channels.head, channels.tail = -1, -1
    channels.activations = -st.FOREVER
    banks = records(len(channels) * int(card.banks), st.BANK)
    banks.row, banks.hit, banks.head, banks.tail = -1, -1, -1, -1
    each = int(params.derived[0].transfers)
    transfers = records(len(channels) * each, st.TRANSFER)
    place = np.arange(len(transfers))
    transfers.next = np.where(place % each == each - 1, -1, place + 1)
    channels.free = np.arange(len(channels)) * each
    return channels, banks, transfers


def prefetch_program(params: Params, config: GpuConfig, state: st.State) -> None:
    """Say how many lines a launch brings to the instruction caches; the last go into the prefetchers' own buffers."""
    fetch, hierarchy = config.sm.sub_core.fetch, config.sm.instruction_hierarchy
    lines = min(hierarchy.launch.lines, -(-len(params.code) // int(params.derived[0].line_instructions)))
    held = at_launch(
        set_of(params.policies.dtype.names), int(params.derived[0].prefetcher), fetch, state.sub_cores, lines
    )
    state.gpu.l0_lines = lines - held
    state.gpu.l1_instruction_lines = -(-lines * fetch.l0.line_bytes // hierarchy.l1.line_bytes)


def sms_at_start(count: int) -> tuple[np.recarray, np.recarray]:
    """SMs without anything under way, and their free ACCESSes."""
    units = records(count, st.SM)
    units.waiter_next[:] = np.arange(1, st.WAITERS + 1)
    units.waiter_next[:, -1] = -1
    units.gpc_ready = st.FOREVER
    units.access_free = np.arange(count) * st.IN_FLIGHT
    accesses = records(count * st.IN_FLIGHT, st.ACCESS)
    accesses.next = np.arange(1, len(accesses) + 1)
    accesses.record = -1
    return units, accesses


def sub_cores_at_start(count: int, warps: int) -> np.recarray:
    """Sub-cores with nothing in their pipelines; `warps`: of an SM."""
    cores = records(count, st.SUB_CORE)
    cores.greedy = warps // st.SUB_CORES - 1  # the highest slot (artifact of arXiv 2503.20481)
    cores.cached, cores.constant_hold = -1, -1
    cores.wake = st.FOREVER
    return cores


def listed(count: int, dtype: np.dtype) -> np.recarray:
    """Records with empty lists."""
    array = records(count, dtype)
    array.head, array.tail = -1, -1
    return array


def idle_groups(count: int) -> np.recarray:
    """Groups of channels without work."""
    groups = records(count, st.GROUP)
    groups.next = st.FOREVER
    return groups


def build_state(params: Params, config: GpuConfig, threads: int, window: int) -> st.State:
    """A fresh State: caches cold but for what a launch brings, nothing resident, stream pools empty."""
    card, derived = params.card[0], params.derived[0]
    sms, warps = config.sms, config.sms * config.sm.warps
    units, accesses = sms_at_start(sms)
    cores = sub_cores_at_start(sms * st.SUB_CORES, config.sm.warps)
    residents = records(warps, st.WARP)
    residents.fetch_line = -1
    l1_lines, l1_sets = sectored(sms, config.sm.memory_unit.l1_data.sets, int(derived.l1_ways))
    l2_lines, l2_sets = sectored(config.l2.slices, config.l2.sets, config.l2.ways)
    channels, banks, transfers = dram(params)
    nodes, gpcs, groups = sms * st.MESSAGES, config.interconnect.gpcs, int(derived.groups)
    state = st.State(
        gpu=records(1, st.GPU),
        sms=units,
        sub_cores=cores,
        warps=residents,
        ctas=records(sms * config.sm.ctas, st.CTA),
        l0=tags(len(cores), card.sm.sub_core.fetch.l0),
        fl_constants=tags(len(cores), card.sm.sub_core.constant_cache),
        l1_instructions=tags(sms, card.sm.instruction_hierarchy.l1),
        vl_constants=tags(sms, card.sm.memory_unit.constant_cache),
        accesses=accesses,
        l1_lines=l1_lines,
        l1_sets=l1_sets,
        l1_hash=np.full(sms * st.LINE_BUCKETS, -1, np.int64),
        requests=records(sms * st.MESSAGES, st.MESSAGE),
        replies=records(sms * st.MESSAGES, st.MESSAGE),
        l2_lines=l2_lines,
        l2_sets=l2_sets,
        l2_hash=np.full(config.l2.slices * int(derived.l2_buckets), -1, np.int64),
        slices=listed(config.l2.slices, st.SLICE),
        slice_next=np.full(config.l2.slices, st.FOREVER, np.int64),
        copies=listed(config.l2.slices, st.COPIES),
        copy_next=np.full(config.l2.slices, st.FOREVER, np.int64),
        nodes=records(nodes, st.NODE),
        free_nodes=np.zeros(nodes, np.int64),
        returned=np.zeros(gpcs * nodes, np.int64),
        groups=idle_groups(groups),
        gpcs=records(gpcs, st.GPC),
        reply_queues=listed(gpcs * 2 * groups, st.REPLY_QUEUE),
        reply_times=np.full(gpcs * 2 * groups, st.FOREVER, np.int64),
        channels=channels,
        channel_next=np.full(len(channels), st.FOREVER, np.int64),
        banks=banks,
        transfers=transfers,
        merge=np.zeros(window + 1, np.int64),
        by_time=np.zeros(nodes, np.int64),
        merged=np.zeros((nodes, 2), np.int64),
        registers=records(warps * int(derived.registers) if derived.scoreboard else 1, st.REGISTER),
        stalls=np.zeros((threads, len(params.code), len(STALL_REASONS)), np.int64),
        counters=records(sms + len(channels), st.COUNTERS),
        stream=np.zeros(0, np.int64),
        records=records(0, MEMORY_RECORD_DTYPE),
        addresses=np.zeros(0, np.int64),
        warp_starts=np.zeros((0, 4), np.int64),
        timeline=records(0, st.TIMELINE),
        teamwork=np.zeros(TEAM_WORDS, np.int64),
    )
    prefetch_program(params, config, state)
    return state


def keep_l2(before: st.State, fresh: st.State) -> st.State:
    """A fresh State with the data lines that the kernel before left in L2, without code, constants, local memory."""
    lines = before.l2_lines
    private = lines.line >= CONSTANT_SPACE
    for name in ("valid", "dirty", "low", "high"):
        lines[name][private] = 0
    return fresh._replace(l2_lines=lines, l2_sets=before.l2_sets, l2_hash=before.l2_hash)
