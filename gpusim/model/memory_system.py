"""Everything behind the SMs, event by event: DRAM channels, copies, L2 slices, in every cycle in which one has work.

A cycle can be served when no request can arrive in it that is not known: all SMs have simulated up to some cycle, and a
request takes `interconnect.request_latency` cycles to its slice. What is served so early is answered in time, because a
window is no longer than the shortest way from an SM to L2 and back.
"""

from __future__ import annotations

from gpusim.jit import inlined, njit
from gpusim.model.dram import cycle_of, next_fill, run_clocks
from gpusim.model.interconnect import next_departure, pass_gpcs
from gpusim.model.l2 import data_arrive, run_slice, take_copies, wake_slices
from gpusim.model.state import FOREVER


@njit
def run_memory_system(S, P):
    """Serve all cycles before `gpu.first` + request latency; a reply to an idle SM brings `first` forward."""
    gpu = S.gpu[0]
    machine = P.machine[0]
    while True:
        now = next_work(S, P)
        limit = max(gpu.first, gpu.now) + machine.request_latency
        pass_gpcs(S, P, min(now, limit) + machine.l2_latency)
        if now >= max(gpu.first, gpu.now) + machine.request_latency or now >= FOREVER:
            return
        for number in range(machine.dram_channels):
            if S.channel_next[number] <= now:
                run_channel(S, P, number, now)
        if machine.l2_partitions > 1:
            for number in range(machine.l2_slices):
                if S.copy_next[number] <= now:
                    take_copies(S, P, number, now)
        for number in range(machine.l2_slices):
            if S.slice_next[number] <= now:
                run_slice(S, P, number, now)


@inlined
def next_work(S, P):
    """The next cycle in which a channel or a slice has something to do."""
    first = FOREVER
    for number in range(P.machine[0].dram_channels):
        first = min(first, S.channel_next[number])
    for number in range(P.machine[0].l2_slices):
        first = min(first, S.slice_next[number], S.copy_next[number])
    return first


@inlined
def run_channel(S, P, number, now):
    """The command clocks of a channel that fall into cycle `now` or before, then its data that reach L2."""
    machine = P.machine[0]
    if run_clocks(S, P, number, now * machine.clocks // machine.clock_cycles):
        wake_slices(S, P, number, now)
    channel = S.channels[number]
    while next_fill(S, number) <= now:
        node = channel.filling
        entry = S.transfers[node]
        channel.filling = entry.next
        data_arrive(S, P, entry.slice, entry.place, entry.sectors, now)
        entry.next = channel.free
        channel.free = node
    following = next_fill(S, number)
    if channel.clock < FOREVER:
        following = min(following, cycle_of(P, channel.clock))
    S.channel_next[number] = following


@njit
def memory_system_is_idle(S, P):
    """Whether no request or transfer is under way behind any SM."""
    if S.gpu[0].nodes_busy > 0:
        return False
    for number in range(P.machine[0].dram_channels):
        if S.channel_next[number] < FOREVER:
            return False
    for sm in range(P.machine[0].sms):
        if next_departure(S, sm) < FOREVER:
            return False
    return True
