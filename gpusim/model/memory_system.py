"""Everything behind the SMs, event by event: DRAM channels, copies, L2 slices, in every cycle in which one has work.

A cycle can be served when no request can arrive in it that is not known: all SMs have simulated up to some cycle, and a
request takes `interconnect.request_latency` cycles to its slice. What is served so early is answered in time, because a
window is no longer than the shortest way from an SM to L2 and back.

Channels with the slices in front of them see nothing of each other, so each group of them serves a stretch of cycles by
itself. A stretch ends before a request can arrive that answers to what is served in it could bring forth.
"""

from __future__ import annotations

from gpusim.jit import inlined, njit
from gpusim.model.dram import FILLING, clock_of, cycle_of, first_time, free_transfer, run_clocks, take_first
from gpusim.model.interconnect import next_departure, route_requests, take_returned_nodes
from gpusim.model.l2 import data_arrive, run_slice, take_copies, wake_slices
from gpusim.model.params import Params
from gpusim.model.state import FOREVER, State
from gpusim.model.types import Cycle, Flag, Number


@inlined
def served_before(S: State, P: Params) -> Cycle:
    """Cycle from which on a request may arrive that is not known."""
    return max(S.gpu[0].first, S.gpu[0].now) + P.card[0].interconnect.request_latency


@inlined
def begin_passing(S: State, P: Params) -> None:
    """Set the cycle before which replies pass their GPCs' ports: no more can come that would go before them."""
    gpu = S.gpu[0]
    gpu.pass_end = min(next_work(S, P), served_before(S, P)) + P.derived[0].l2_latency
    for gpc in range(P.card[0].interconnect.gpcs):
        S.gpcs[gpc].first = FOREVER


@inlined
def end_passing(S: State, P: Params) -> None:
    """Replies have passed: one to an idle SM brings `gpu.first` forward."""
    gpu = S.gpu[0]
    take_returned_nodes(S, P)
    for gpc in range(P.card[0].interconnect.gpcs):
        gpu.first = min(gpu.first, S.gpcs[gpc].first)


@inlined
def begin_serving(S: State, P: Params) -> Flag:
    """Set the cycle before which groups serve all of theirs; False if there is nothing to serve yet."""
    gpu = S.gpu[0]
    start = next_work(S, P)
    if start >= served_before(S, P) or start >= FOREVER:
        return False
    there, back = P.card[0].interconnect.request_latency, P.card[0].interconnect.reply_latency
    gpu.serve_end = min(served_before(S, P), start + P.derived[0].l2_latency + back + there)
    return True


@inlined
def next_work(S: State, P: Params) -> Cycle:
    """The next cycle in which a group has something to do; of requests that it has not looked at, one before it."""
    first = FOREVER
    for number in range(P.derived[0].groups):
        group = S.groups[number]
        first = min(first, group.next)
        if group.requests:
            message = S.requests[S.merged[group.first_request, 0]]
            first = min(first, message.time + P.card[0].interconnect.request_latency)
    return first


@inlined
def has_work(S: State, number: Number) -> Flag:
    """Whether a group has requests to look at or something to do in this stretch."""
    return S.groups[number].requests > 0 or S.groups[number].next < S.gpu[0].serve_end


@njit
def serve_group(S: State, P: Params, number: Number) -> None:
    """Serve all of a group's cycles before `gpu.serve_end`."""
    route_requests(S, P, number)
    end = S.gpu[0].serve_end
    now = next_of_group(S, P, number)
    while now < end:
        serve_cycle(S, P, number, now)
        now = next_of_group(S, P, number)
    S.groups[number].next = now


@inlined
def next_of_group(S: State, P: Params, number: Number) -> Cycle:
    """The next cycle in which a channel or a slice of a group has something to do."""
    card, each = P.card[0], P.derived[0].group_channels
    first = FOREVER
    for channel in range(number * each, (number + 1) * each):
        first = min(first, S.channel_next[channel])
        for place in range(channel, card.l2.slices, card.dram.channels):
            first = min(first, S.slice_next[place], S.copy_next[place])
    return first


@inlined
def serve_cycle(S: State, P: Params, number: Number, now: Cycle) -> None:
    """What a group does in a cycle: its channels, copies and slices, each in the order of their numbers."""
    card, each = P.card[0], P.derived[0].group_channels
    for channel in range(number * each, (number + 1) * each):
        if S.channel_next[channel] <= now:
            run_channel(S, P, channel, now)
    if card.l2.partitions > 1:
        for row in range(number * each, card.l2.slices, card.dram.channels):
            for place in range(row, min(row + each, card.l2.slices)):
                if S.copy_next[place] <= now:
                    take_copies(S, P, place, now)
    for row in range(number * each, card.l2.slices, card.dram.channels):
        for place in range(row, min(row + each, card.l2.slices)):
            if S.slice_next[place] <= now:
                run_slice(S, P, place, now)


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
    if S.gpu[0].nodes_used > S.gpu[0].free_nodes:
        return False
    for number in range(P.derived[0].groups):
        if S.groups[number].next < FOREVER:
            return False
    for sm in range(P.card[0].sms):
        if next_departure(S, sm) < FOREVER:
            return False
    return True
