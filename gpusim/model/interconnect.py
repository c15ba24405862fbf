"""The crossbar: messages between SMs and L2 slices, and the ports that they share.

An SM has two rings of messages, each sorted by time (requests leave one per cycle, so they are). Whatever stands behind
L1 reads requests and writes replies; nothing else crosses the SM's border. Requests are merged over SMs in (cycle, SM)
order and join their slices' queues in the order of arrival, replies pass their GPC's port in the order of (time,
slice), so results do not depend on windows or threads. What is called with a group or a GPC may run beside the same of
another.
"""

from __future__ import annotations

from gpusim.constants import SECTORS
from gpusim.jit import inlined, njit, popcount64
from gpusim.model.cache import NONE
from gpusim.model.hashing import spread
from gpusim.model.params import Params
from gpusim.model.rows import check_warp, core_of, slot_row, sub_core, wake_core
from gpusim.model.state import FOREVER, MESSAGES, Fault, State
from gpusim.model.ticks import cycle_of_tick, first_tick
from gpusim.model.types import Cycle, Flag, Line, Mask, Node, Number, Place, Record, Records, Slot, Sm

READ_LINE = 0  # L1D fill: sectors of a line
READ_ENTRY = 1  # read that bypasses L1D; token: the ACCESS
WRITE = 2  # acknowledged; token: see writer_token
ATOMIC = 3  # token: the ACCESS; a reduction is acknowledged as a write
READ_CODE = 4  # instruction or constant line of the first-level cache
ACKNOWLEDGE = 5  # of a write or reduction: no data, uses no port; token: that of the request

ALL_SECTORS = (1 << SECTORS) - 1
REQUESTS, REPLIES, NODES = int(Fault.REQUESTS), int(Fault.REPLIES), int(Fault.NODES)

FAR_FUTURE = 1 << 48  # later than any cycle; times are multiplied here
DEPARTURE_BACKLOG = 1024  # requests that wait for the SM's port before it accepts no more accesses
REPLY_LIMIT = MESSAGES - 1024  # replies outstanding before it accepts no more; one access asks for at most 128


@inlined
def write_message(message: Record, time: Cycle, kind: int, line: Line, sectors: Mask, token: int) -> None:
    message.time = time
    message.kind = kind
    message.line = line
    message.sectors = sectors
    message.token = token


@inlined
def copy_message(target: Record, source: Record) -> None:
    write_message(target, source.time, source.kind, source.line, source.sectors, source.token)


@inlined
def ring_place(sm: Sm, position: int) -> Place:
    """Row in State.requests or .replies of a position in an SM's ring."""
    return sm * MESSAGES + position % MESSAGES


# ---- the SM's side


@inlined
def send(S: State, P: Params, sm: Sm, time: Cycle, kind: int, line: Line, sectors: Mask, token: int) -> Cycle:
    """Ask for sectors of a line over the SM's request port from cycle `time` on; returns the departure."""
    S.sms[sm].replies_due += 1
    return send_packet(S, P, sm, time, kind, line, sectors, token, 0, 0, 0, 1)


@inlined
def expect_acknowledgement(S: State, P: Params, sm: Sm, token: int) -> None:
    """A write or reduction has begun, see writer_token."""
    S.sms[sm].writes_due += 1
    S.warps[slot_row(P, sm, writer_slot(token))].writes_due += 1


@inlined
def send_packet(
    S: State,
    P: Params,
    sm: Sm,
    time: Cycle,
    kind: int,
    line: Line,
    sectors: Mask,
    token: int,
    low: Mask,
    high: Mask,
    clocks: int,
    cycles: Cycle,
) -> Cycle:
    """A request that takes the SM's port for some cycles from `time` on; returns the departure.

    `low`, `high`: bytes that a write has of its halves of a line; `clocks`: of L2, for what an atomic does to one word.
    """
    unit = S.sms[sm]
    if unit.out_count >= MESSAGES:
        S.gpu[0].fault = REQUESTS
        return time
    depart = max(time, unit.out_free)
    unit.out_free = depart + cycles
    S.counters[sm].request_port_cycles += cycles
    message = S.requests[ring_place(sm, unit.out_head + unit.out_count)]
    write_message(message, depart, kind, line, sectors, token)
    message.slice = first_slice(P, sm, kind, slice_of(P, line))
    message.low = low
    message.high = high
    message.clocks = clocks
    unit.out_count += 1
    return depart


@inlined
def writer_token(slot: Slot) -> int:
    """Token of a write or reduction of a warp slot; negative: L2 answers it with an acknowledgement instead of data."""
    return -1 - slot


@inlined
def writer_slot(token: int) -> Slot:
    return -1 - token


@inlined
def take_acknowledgement(S: State, P: Params, sm: Sm, token: int, now: Cycle) -> None:
    """A write or reduction has been taken by L2; with a warp's last its memory barrier may issue."""
    slot = writer_slot(token)
    warp = S.warps[slot_row(P, sm, slot)]
    S.sms[sm].writes_due -= 1
    warp.writes_due -= 1
    if warp.writes_due == 0:
        check_warp(warp, now)
        wake_core(sub_core(S, sm, core_of(slot)), now)


@inlined
def next_reply(S: State, sm: Sm) -> Cycle:
    """Cycle in which an SM takes its next reply: when it has arrived and the port has passed the one before."""
    unit = S.sms[sm]
    return max(S.replies[ring_place(sm, unit.in_head)].time, unit.reply_port) if unit.in_count > 0 else FOREVER


@inlined
def next_departure(S: State, sm: Sm) -> Cycle:
    """Cycle of the first request of an SM that the crossbar has not taken."""
    unit = S.sms[sm]
    return S.requests[ring_place(sm, unit.out_head)].time if unit.out_count > 0 else FOREVER


# ---- ways between an SM and a slice, which lie in one partition of L2 or in two


@inlined
def far(P: Params, sm: Sm, number: Number) -> Flag:
    """Whether an SM and a slice belong to different partitions of L2."""
    partitions = P.card[0].l2.partitions
    return partitions > 1 and sm % P.card[0].interconnect.gpcs % partitions != number % partitions


@inlined
def far_there(P: Params) -> Cycle:
    """What the way to a slice of another partition takes longer."""
    return P.card[0].interconnect.far_latency // 2


@inlined
def far_back(P: Params) -> Cycle:
    """What the way back from it takes longer."""
    return P.card[0].interconnect.far_latency - far_there(P)


@inlined
def way_back(P: Params, sm: Sm, number: Number) -> Cycle:
    """Cycles from a slice to an SM."""
    return P.card[0].interconnect.reply_latency + (far_back(P) if far(P, sm, number) else 0)


@inlined
def slice_of(P: Params, line: Line) -> Number:
    """L2 slice of a line."""
    return spread(P.hashes, 0, line, P.derived[0].slice_odd, P.derived[0].slice_bits)


@inlined
def group_of_slice(P: Params, number: Number) -> Number:
    """Group of channels to which a slice of L2 belongs."""
    return number % P.card[0].dram.channels // P.derived[0].group_channels


@inlined
def first_slice(P: Params, sm: Sm, kind: int, home: Number) -> Number:
    """Slice that looks up a request for a line of slice `home`: reads through L1 ask their own partition's first."""
    l2 = P.card[0].l2
    if not far(P, sm, home) or (kind != READ_LINE and kind != READ_CODE):
        return home
    near = home - home % l2.partitions + sm % P.card[0].interconnect.gpcs % l2.partitions
    return near if near < l2.slices else home


# ---- nodes, and lists of them sorted by time


@inlined
def take_node(S: State) -> Node:
    """A free NODE, or -1 and a fault."""
    gpu = S.gpu[0]
    if gpu.free_nodes > 0:
        gpu.free_nodes -= 1
        return S.free_nodes[gpu.free_nodes]
    if gpu.nodes_used >= len(S.nodes):
        gpu.fault = NODES
        return NONE
    gpu.nodes_used += 1
    return gpu.nodes_used - 1


@inlined
def return_node(S: State, gpc: Number, node: Node) -> None:
    """A reply has passed a GPC's port, so its node is free as soon as `take_returned_nodes` comes."""
    port = S.gpcs[gpc]
    S.returned[gpc * len(S.nodes) + port.returned] = node
    port.returned += 1


@inlined
def take_returned_nodes(S: State, P: Params) -> None:
    """Nodes that the GPCs have returned are free."""
    gpu = S.gpu[0]
    for gpc in range(P.card[0].interconnect.gpcs):
        port = S.gpcs[gpc]
        for place in range(port.returned):
            S.free_nodes[gpu.free_nodes] = S.returned[gpc * len(S.nodes) + place]
            gpu.free_nodes += 1
        port.returned = 0


@inlined
def insert_behind(nodes: Records, queue: Record, node: Node) -> None:
    """Put a node into a list sorted by time, behind all that are not later. Almost always that is its end."""
    place = queue.tail
    while place != NONE and nodes[place].time > nodes[node].time:
        place = nodes[place].previous
    following = queue.head if place == NONE else nodes[place].next
    nodes[node].previous = place
    nodes[node].next = following
    if place == NONE:
        queue.head = node
    else:
        nodes[place].next = node
    if following == NONE:
        queue.tail = node
    else:
        nodes[following].previous = node


@inlined
def take_first(nodes: Records, queue: Record) -> Node:
    """Take the first node off a list."""
    node = queue.head
    queue.head = nodes[node].next
    if queue.head == NONE:
        queue.tail = NONE
    else:
        nodes[queue.head].previous = NONE
    return node


# ---- requests: from the SMs to the slices' queues, in the order of (cycle of arrival, SM, passed on behind direct)


@inlined
def request_time(P: Params, arrival: Cycle, sm: Sm, passed_on: Flag) -> int:
    """NODE.time of a request. Direct ones may be known a window before others, so their order does not tell."""
    return (arrival * P.card[0].sms + sm) * 2 + passed_on


@inlined
def request_arrival(P: Params, time: int) -> Cycle:
    """Cycle of arrival of a request, by its NODE.time."""
    return time // (2 * P.card[0].sms)


@inlined
def route_request(S: State, P: Params, place: Place, node: Node) -> None:
    """Move a request from its SM's ring to its slice's queue."""
    message = S.requests[place]
    sm = place // MESSAGES
    entry = S.nodes[node]
    number = message.slice
    arrival = message.time + P.card[0].interconnect.request_latency + (far_there(P) if far(P, sm, number) else 0)
    entry.kind = message.kind
    entry.line = message.line
    entry.sectors = message.sectors
    entry.token = message.token
    entry.low = message.low
    entry.high = message.high
    entry.clocks = message.clocks
    entry.sm = sm
    entry.copy_at = NONE
    join_slice(S, P, number, node, arrival)


@inlined
def join_slice(S: State, P: Params, number: Number, node: Node, arrival: Cycle) -> None:
    """Put a request that arrives in some cycle into a slice's queue."""
    queue = S.slices[number]
    entry = S.nodes[node]
    entry.time = request_time(P, arrival, entry.sm, entry.copy_at != NONE)
    insert_behind(S.nodes, queue, node)
    if queue.head == node:
        S.slice_next[number] = max(arrival, cycle_of_tick(queue.free))


@inlined
def pass_on(S: State, P: Params, number: Number, home: Number, node: Node, now: Cycle) -> None:
    """Slice `number` has no copy of what a request reads: ask the slice to which the line belongs."""
    S.nodes[node].copy_at = number
    join_slice(S, P, home, node, now + max(far_there(P), 1))


@inlined
def count_departures(S: State, sms: int, first: Cycle, end: Cycle) -> int:
    """Requests that depart before cycle `end`, in all, and for each cycle from `first` on in State.merge."""
    S.merge[: end - first + 1] = 0
    total = 0
    for sm in range(sms):
        unit = S.sms[sm]
        for position in range(unit.out_count):
            time = S.requests[ring_place(sm, unit.out_head + position)].time
            if time >= end:
                break
            S.merge[max(time - first, 0)] += 1
            total += 1
    return total


@inlined
def sort_by_time(S: State, P: Params, first: Cycle, end: Cycle) -> None:
    """Take every request that departs before cycle `end` off its ring, into State.by_time in (cycle, SM) order: a
    counting sort over the window."""
    before = 0
    for cycle in range(end - first):
        count = S.merge[cycle]
        S.merge[cycle] = before
        before += count
    for sm in range(P.card[0].sms):
        unit = S.sms[sm]
        while unit.out_count > 0:
            place = ring_place(sm, unit.out_head)
            time = S.requests[place].time
            if time >= end:
                break
            S.by_time[S.merge[max(time - first, 0)]] = place
            S.merge[max(time - first, 0)] += 1
            unit.out_head = (unit.out_head + 1) % MESSAGES
            unit.out_count -= 1


@njit
def collect_requests(S: State, P: Params, first: Cycle, end: Cycle) -> None:
    """Take every request that departs before cycle `end`, in (cycle, SM) order, and hand it to its slice's group."""
    groups = P.derived[0].groups
    total = count_departures(S, P.card[0].sms, first, end)
    if total == 0:
        return
    sort_by_time(S, P, first, end)
    for position in range(total):
        S.groups[group_of_slice(P, S.requests[S.by_time[position]].slice)].requests += 1
    before = 0
    for number in range(groups):
        group = S.groups[number]
        group.first_request = before
        before += group.requests
        group.requests = 0
    for position in range(total):
        node = take_node(S)
        if node == NONE:
            return
        group = S.groups[group_of_slice(P, S.requests[S.by_time[position]].slice)]
        place = group.first_request + group.requests
        S.merged[place, 0], S.merged[place, 1] = S.by_time[position], node
        group.requests += 1


@inlined
def route_requests(S: State, P: Params, number: Number) -> None:
    """The window's requests to a group join their slices' queues."""
    group = S.groups[number]
    for place in range(group.first_request, group.first_request + group.requests):
        route_request(S, P, S.merged[place, 0], S.merged[place, 1])
    group.requests = 0


# ---- replies: from the slices to the SMs, data in the order of (time, slice)

DATA, TAKEN = 0, 1
"""Kinds of replies: those that take a GPC's port, and acknowledgements."""


@inlined
def reply_time(P: Params, time: int, number: Number) -> int:
    """NODE.time of data: a tick where they go to a GPC's port, a cycle where they go back to a slice."""
    return time * P.card[0].l2.slices + number


@inlined
def reply_due(P: Params, time: int) -> int:
    """That tick or cycle, by a NODE.time."""
    return time // P.card[0].l2.slices


@inlined
def join_reply_queue(S: State, P: Params, number: Number, node: Node, kind: int) -> None:
    """A reply of slice `number`, of which NODE.time is set, is on its way to the GPC of its SM."""
    gpc = S.nodes[node].sm % P.card[0].interconnect.gpcs
    row = (gpc * 2 + kind) * P.derived[0].groups + group_of_slice(P, number)
    queue = S.reply_queues[row]
    insert_behind(S.nodes, queue, node)
    S.reply_times[row] = S.nodes[queue.head].time


@njit
def send_reply(S: State, P: Params, number: Number, node: Node, ready: Cycle) -> None:
    """A slice has the data of a request in cycle `ready`: they pass its port, then go to the GPC of the SM.

    A request that was passed on goes back instead: its data have then paid for the latency of L2 that comes there.
    """
    server = S.slices[number]
    entry = S.nodes[node]
    start = max(first_tick(ready), server.reply_free)
    server.reply_free = start + popcount64(entry.sectors) * P.derived[0].l2_sector_ticks
    if entry.copy_at != NONE:
        back = cycle_of_tick(start) - P.derived[0].l2_latency + max(far_back(P), 1)
        entry.time = reply_time(P, back, number)
        copies = S.copies[entry.copy_at]
        insert_behind(S.nodes, copies, node)
        S.copy_next[entry.copy_at] = reply_due(P, S.nodes[copies.head].time)
        return
    entry.time = reply_time(P, start, number)
    join_reply_queue(S, P, number, node, DATA)


@inlined
def acknowledge(S: State, P: Params, number: Number, node: Node, now: Cycle) -> None:
    """Tell an SM that L2 took its write in cycle `now`."""
    entry = S.nodes[node]
    entry.time = now + P.derived[0].l2_latency + way_back(P, entry.sm, number)
    join_reply_queue(S, P, number, node, TAKEN)


@inlined
def first_queue(S: State, P: Params, gpc: Number, kind: int) -> Place:
    """Row of the reply queue of a GPC whose first is the earliest, of one kind."""
    groups = P.derived[0].groups
    first = (gpc * 2 + kind) * groups
    row = first
    for other in range(first + 1, first + groups):
        if S.reply_times[other] < S.reply_times[row]:
            row = other
    return row


@inlined
def take_reply(S: State, row: Place) -> Node:
    """Take the first reply off a queue."""
    queue = S.reply_queues[row]
    node = take_first(S.nodes, queue)
    S.reply_times[row] = FOREVER if queue.head == NONE else S.nodes[queue.head].time
    return node


@inlined
def arrive_acknowledgement(S: State, gpc: Number, row: Place) -> None:
    """The first acknowledgement of a queue arrives at its SM."""
    node = take_reply(S, row)
    entry = S.nodes[node]
    port = S.gpcs[gpc]
    port.last_acknowledge = max(port.last_acknowledge, entry.time)
    deliver(S, gpc, entry.sm, entry.time, ACKNOWLEDGE, 0, 0, entry.token)
    return_node(S, gpc, node)


@njit
def pass_gpc(S: State, P: Params, gpc: Number) -> None:
    """Let the data that reach a GPC's port before cycle `gpu.pass_end` pass it, and all acknowledgements arrive.

    Those go ahead by the time of arrival: SMs' rings then need hardly any sorting.
    """
    port = S.gpcs[gpc]
    last = reply_time(P, first_tick(min(S.gpu[0].pass_end, FAR_FUTURE)), 0)
    data, taken = first_queue(S, P, gpc, DATA), first_queue(S, P, gpc, TAKEN)
    while S.reply_times[data] < last:
        node = take_reply(S, data)
        entry = S.nodes[node]
        start = max(reply_due(P, entry.time), port.free)
        port.free = start + popcount64(entry.sectors) * P.derived[0].gpc_sector_ticks
        arrival = cycle_of_tick(start) + way_back(P, entry.sm, entry.time % P.card[0].l2.slices)
        while S.reply_times[taken] <= arrival:
            arrive_acknowledgement(S, gpc, taken)
            taken = first_queue(S, P, gpc, TAKEN)
        deliver(S, gpc, entry.sm, arrival, entry.kind, entry.line, entry.sectors, entry.token)
        return_node(S, gpc, node)
        data = first_queue(S, P, gpc, DATA)
    while S.reply_times[taken] < FOREVER:
        arrive_acknowledgement(S, gpc, taken)
        taken = first_queue(S, P, gpc, TAKEN)


@njit
def deliver(S: State, gpc: Number, sm: Sm, time: Cycle, kind: int, line: Line, sectors: Mask, token: int) -> None:
    """Put a reply that arrives in cycle `time` into an SM's ring: behind all that are not later, data last."""
    unit = S.sms[sm]
    if unit.in_count >= MESSAGES:
        S.gpu[0].fault = REPLIES
        return
    position = unit.in_head + unit.in_count
    unit.in_count += 1
    while position > unit.in_head:  # the ring is nearly sorted, so few move
        earlier = S.replies[ring_place(sm, position - 1)]
        if earlier.time < time or (earlier.time == time and (kind != ACKNOWLEDGE or earlier.kind == ACKNOWLEDGE)):
            break
        copy_message(S.replies[ring_place(sm, position)], earlier)
        position -= 1
    write_message(S.replies[ring_place(sm, position)], time, kind, line, sectors, token)
    if unit.live_ctas > 0:
        S.gpcs[gpc].first = min(S.gpcs[gpc].first, next_reply(S, sm))
