"""Everything behind the SMs, event by event: DRAM channels, copies, L2 slices, in every cycle in which one has work.

A cycle can be served when no request can arrive in it that is not known: all SMs have simulated up to some cycle, and a
request takes `interconnect.request_latency` cycles to its slice. What is served so early is answered in time, because a
window is no longer than the shortest way from an SM to L2 and back.
"""

from __future__ import annotations

from gpusim.jit import inlined, njit
from gpusim.model.dram import FILLING, clock_of, cycle_of, first_time, free_transfer, run_clocks, take_first
from gpusim.model.interconnect import next_departure, pass_gpcs
from gpusim.model.l2 import data_arrive, run_slice, take_copies, wake_slices
from gpusim.model.params import Params
from gpusim.model.state import FOREVER, State
from gpusim.model.types import Cycle, Flag, Number


@inlined
def served_before(S: State, P: Params) -> Cycle:
    """Cycle from which on a request may arrive that is not known."""
    return max(S.gpu[0].first, S.gpu[0].now) + P.card[0].interconnect.request_latency


@njit
def run_memory_system(S: State, P: Params) -> None:
    """Serve all cycles before `gpu.first` + request latency; a reply to an idle SM brings `first` forward."""
    card = P.card[0]
    while True:
        now = next_work(S, P)
        pass_gpcs(S, P, min(now, served_before(S, P)) + P.derived[0].l2_latency)
        if now >= served_before(S, P) or now >= FOREVER:
            return
        for number in range(card.dram.channels):
            if S.channel_next[number] <= now:
                run_channel(S, P, number, now)
        if card.l2.partitions > 1:
            for number in range(card.l2.slices):
                if S.copy_next[number] <= now:
                    take_copies(S, P, number, now)
        for number in range(card.l2.slices):
            if S.slice_next[number] <= now:
                run_slice(S, P, number, now)


@inlined
def next_work(S: State, P: Params) -> Cycle:
    """The next cycle in which a channel or a slice has something to do."""
    first = FOREVER
    for number in range(P.card[0].dram.channels):
        first = min(first, S.channel_next[number])
    for number in range(P.card[0].l2.slices):
        first = min(first, S.slice_next[number], S.copy_next[number])
    return first


@inlined
def run_channel(S: State, P: Params, number: Number, now: Cycle) -> None:
    """The command clocks of a channel that fall into cycle `now` or before, then its data that reach L2."""
    if run_clocks(S, P, number, clock_of(P, now)):
        wake_slices(S, P, number, now)
    channel = S.channels[number]
    while first_time(S, channel, FILLING) <= now:
        node = take_first(S, channel, FILLING)
        entry = S.transfers[node]
        data_arrive(S, P, entry.slice, entry.place, entry.sectors, now)
        free_transfer(S, channel, node)
    following = first_time(S, channel, FILLING)
    if channel.clock < FOREVER:
        following = min(following, cycle_of(P, channel.clock))
    S.channel_next[number] = following


@njit
def memory_system_is_idle(S: State, P: Params) -> Flag:
    """Whether no request or transfer is under way behind any SM."""
    if S.gpu[0].nodes_busy > 0:
        return False
    for number in range(P.card[0].dram.channels):
        if S.channel_next[number] < FOREVER:
            return False
    for sm in range(P.card[0].sms):
        if next_departure(S, sm) < FOREVER:
            return False
    return True
