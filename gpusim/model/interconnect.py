"""The crossbar: messages between SMs and L2 slices, and the ports that they share.

An SM has two rings of messages, each sorted by time (requests leave one per cycle, so they are). Whatever stands behind
L1 reads requests and writes replies; nothing else crosses the SM's border. Requests are merged over SMs in (cycle, SM)
order and join their slices' queues in the order of arrival, so results do not depend on windows or threads.
"""

from __future__ import annotations

from gpusim.jit import inlined, njit, popcount64
from gpusim.model.cache import NONE
from gpusim.model.hashing import spread
from gpusim.model.state import FAULT_NODES, FAULT_REPLIES, FAULT_REQUESTS, FOREVER, MESSAGES, SUB_CORES

READ_LINE = 0  # L1D fill: sectors of a line
READ_ENTRY = 1  # read that bypasses L1D; token: pending request table entry
WRITE = 2  # acknowledged; token: see writer_token
ATOMIC = 3  # token: table entry; a reduction is acknowledged as a write
READ_CODE = 4  # instruction or constant line of the first-level cache
ACKNOWLEDGE = 5  # of a write or reduction: no data, uses no port; token: that of the request

FAR_FUTURE = 1 << 48  # later than any cycle; times are multiplied here
DEPARTURE_BACKLOG = 1024  # requests that wait for the SM's port before it accepts no more accesses
REPLY_LIMIT = MESSAGES - 1024  # replies outstanding before it accepts no more; one access asks for at most 128


@inlined
def write_message(message, time, kind, line, sectors, token):
    message.time = time
    message.kind = kind
    message.line = line
    message.sectors = sectors
    message.token = token


@inlined
def copy_message(target, source):
    write_message(target, source.time, source.kind, source.line, source.sectors, source.token)


# ---- the SM's side


@inlined
def send(S, P, sm, time, kind, line, sectors, token):
    """Send a request that is ready to leave in cycle `time`; return when it departs. Data occupy the SM's port."""
    return send_data(S, P, sm, time, kind, line, sectors, token, 0, 0, 0)


@inlined
def send_data(S, P, sm, time, kind, line, sectors, token, low, high, passes):
    """`send` for writes (the bytes written, low and high half of the line) and atomics (operations on one word)."""
    unit = S.sms[sm]
    if unit.out_count >= MESSAGES:
        S.gpu[0].fault = FAULT_REQUESTS
        return time
    beats = 1
    if kind == WRITE or kind == ATOMIC:
        beats += 32 * popcount64(sectors) // P.machine[0].port_bytes
    depart = max(time, unit.out_free)
    unit.out_free = depart + beats
    message = S.requests[sm * MESSAGES + (unit.out_head + unit.out_count) % MESSAGES]
    write_message(message, depart, kind, line, sectors, token)
    message.low = low
    message.high = high
    message.passes = passes
    unit.out_count += 1
    if token < 0:
        unit.writes_due += 1
        S.warps[sm * P.machine[0].warps + writer_slot(token)].writes_due += 1
    else:
        unit.replies_due += 1
    return depart


@inlined
def writer_token(slot):
    """Token of a write or reduction of a warp slot; negative: L2 answers it with an acknowledgement instead of data."""
    return -1 - slot


@inlined
def writer_slot(token):
    return -1 - token


@inlined
def take_acknowledgement(S, P, sm, token, now):
    """A write or reduction has been taken by L2; with a warp's last its memory barrier may issue."""
    slot = writer_slot(token)
    warp = S.warps[sm * P.machine[0].warps + slot]
    S.sms[sm].writes_due -= 1
    warp.writes_due -= 1
    if warp.writes_due == 0:
        warp.next_check = min(warp.next_check, now)
        core = S.sub_cores[sm * SUB_CORES + slot % SUB_CORES]
        core.wake = min(core.wake, now)


@inlined
def next_reply(S, sm):
    """Cycle in which an SM takes its next reply: when it has arrived and the port has passed the one before."""
    unit = S.sms[sm]
    return max(S.replies[sm * MESSAGES + unit.in_head].time, unit.reply_port) if unit.in_count > 0 else FOREVER


@inlined
def next_departure(S, sm):
    """Cycle of the first request of an SM that the crossbar has not taken."""
    unit = S.sms[sm]
    return S.requests[sm * MESSAGES + unit.out_head].time if unit.out_count > 0 else FOREVER


# ---- requests: from the SMs to the slices' queues


@inlined
def slice_of(P, line):
    """L2 slice of a line."""
    return spread(P.hashes, 0, line, P.machine[0].slice_odd, P.machine[0].slice_bits)


@inlined
def far(P, sm, number):
    """Whether an SM and a slice belong to different partitions of L2."""
    machine = P.machine[0]
    return machine.l2_partitions > 1 and sm % machine.gpcs % machine.l2_partitions != number % machine.l2_partitions


@inlined
def first_slice(P, sm, kind, home):
    """Slice that looks up a request for a line of slice `home`: reads through L1 ask their own partition's first."""
    machine = P.machine[0]
    if not far(P, sm, home) or (kind != READ_LINE and kind != READ_CODE):
        return home
    near = home - home % machine.l2_partitions + sm % machine.gpcs % machine.l2_partitions
    return near if near < machine.l2_slices else home


@inlined
def take_node(S):
    """A free NODE, or -1 and a fault."""
    gpu = S.gpu[0]
    node = gpu.node_free
    gpu.nodes_busy += 1
    if node != NONE:
        gpu.node_free = S.nodes[node].next
        return node
    if gpu.node_used >= len(S.nodes):
        gpu.fault = FAULT_NODES
        return NONE
    gpu.node_used += 1
    return gpu.node_used - 1


@inlined
def free_node(S, node):
    S.nodes[node].next = S.gpu[0].node_free
    S.gpu[0].node_free = node
    S.gpu[0].nodes_busy -= 1


@inlined
def insert_behind(nodes, queue, node):
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
def take_first(nodes, queue):
    """Take the first node off a list."""
    node = queue.head
    queue.head = nodes[node].next
    if queue.head == NONE:
        queue.tail = NONE
    else:
        nodes[queue.head].previous = NONE
    return node


@inlined
def route_request(S, P, place):
    """Move a request from its SM's ring to its slice's queue, where requests of one cycle are in the order of SMs."""
    machine = P.machine[0]
    message = S.requests[place]
    node = take_node(S)
    if node == NONE:
        return
    sm = place // MESSAGES
    entry = S.nodes[node]
    number = first_slice(P, sm, message.kind, slice_of(P, message.line))
    arrival = message.time + machine.request_latency
    if far(P, sm, number):
        arrival += machine.far_latency // 2
    entry.kind = message.kind
    entry.line = message.line
    entry.sectors = message.sectors
    entry.token = message.token
    entry.low = message.low
    entry.high = message.high
    entry.passes = message.passes
    entry.sm = sm
    entry.copy_at = NONE
    join_slice(S, P, number, node, arrival)


@inlined
def join_slice(S, P, number, node, arrival):
    """Put a request that arrives in some cycle into a slice's queue."""
    queue = S.slices[number]
    S.nodes[node].time = arrival * P.machine[0].sms + S.nodes[node].sm
    insert_behind(S.nodes, queue, node)
    if queue.head == node:
        S.slice_next[number] = max(arrival, (queue.free + 15) // 16)


@inlined
def pass_on(S, P, number, home, node, now):
    """Slice `number` has no copy of what a request reads: ask the slice to which the line belongs."""
    S.nodes[node].copy_at = number
    join_slice(S, P, home, node, now + max(P.machine[0].far_latency // 2, 1))


@njit
def collect_requests(S, P, first, end):
    """Take every request that departs before cycle `end`, in (cycle, SM) order, by a counting sort over the window."""
    sms = P.machine[0].sms
    starts = S.merge
    starts[: end - first + 1] = 0
    total = 0
    for sm in range(sms):
        unit = S.sms[sm]
        for place in range(unit.out_count):
            time = S.requests[sm * MESSAGES + (unit.out_head + place) % MESSAGES].time
            if time >= end:
                break
            starts[max(time - first, 0)] += 1
            total += 1
    if total == 0:
        return
    before = 0
    for cycle in range(end - first):
        count = starts[cycle]
        starts[cycle] = before
        before += count
    for sm in range(sms):
        unit = S.sms[sm]
        while unit.out_count > 0:
            place = sm * MESSAGES + unit.out_head
            time = S.requests[place].time
            if time >= end:
                break
            S.merged[starts[max(time - first, 0)]] = place
            starts[max(time - first, 0)] += 1
            unit.out_head = (unit.out_head + 1) % MESSAGES
            unit.out_count -= 1
    for number in range(total):
        route_request(S, P, S.merged[number])


# ---- replies: from the slices to the SMs


@njit
def send_reply(S, P, number, node, ready):
    """A slice has the data of a request in cycle `ready`: they pass its port, then join the queue of the SM's GPC.

    A request that was passed on goes back instead: its data have then paid for the latency of L2 that comes there.
    """
    machine = P.machine[0]
    server = S.slices[number]
    entry = S.nodes[node]
    start = max(16 * ready, server.reply_free)
    server.reply_free = start + popcount64(entry.sectors) * machine.l2_sector_x16
    if entry.copy_at != NONE:
        way = max(machine.far_latency - machine.far_latency // 2, 1)
        entry.time = ((start + 15) // 16 - machine.l2_latency + way) * machine.l2_slices + number
        copies = S.copies[entry.copy_at]
        insert_behind(S.nodes, copies, node)
        S.copy_next[entry.copy_at] = S.nodes[copies.head].time // machine.l2_slices
        return
    entry.time = start * machine.l2_slices + number
    insert_behind(S.nodes, S.gpcs[entry.sm % machine.gpcs], node)


@inlined
def pass_gpcs(S, P, end):
    """Let replies that reach their GPC's port before cycle `end` pass it, in the order of time, then of slices."""
    machine = P.machine[0]
    end = min(end, FAR_FUTURE)
    for number in range(machine.gpcs):
        port = S.gpcs[number]
        while port.head != NONE and S.nodes[port.head].time < 16 * end * machine.l2_slices:
            node = take_first(S.nodes, port)
            entry = S.nodes[node]
            start = max(entry.time // machine.l2_slices, port.free)
            port.free = start + popcount64(entry.sectors) * machine.gpc_sector_x16
            arrival = (start + 15) // 16 + machine.reply_latency
            if far(P, entry.sm, entry.time % machine.l2_slices):
                arrival += machine.far_latency - machine.far_latency // 2
            deliver(S, entry.sm, arrival, entry.kind, entry.line, entry.sectors, entry.token)
            free_node(S, node)


@inlined
def acknowledge(S, P, number, node, now):
    """Tell an SM that L2 took its write in cycle `now`."""
    machine = P.machine[0]
    sm = S.nodes[node].sm
    arrival = now + machine.l2_latency + machine.reply_latency
    if far(P, sm, number):
        arrival += machine.far_latency - machine.far_latency // 2
    S.gpu[0].last_acknowledge = max(S.gpu[0].last_acknowledge, arrival)
    deliver(S, sm, arrival, ACKNOWLEDGE, 0, 0, S.nodes[node].token)
    free_node(S, node)


@njit
def deliver(S, sm, time, kind, line, sectors, token):
    """Put a reply that arrives in cycle `time` into an SM's ring: behind all that are not later, data last."""
    unit = S.sms[sm]
    if unit.in_count >= MESSAGES:
        S.gpu[0].fault = FAULT_REPLIES
        return
    base = sm * MESSAGES
    place = unit.in_count
    unit.in_count += 1
    while place > 0:  # the ring is nearly sorted, so few move
        earlier = S.replies[base + (unit.in_head + place - 1) % MESSAGES]
        if earlier.time < time or (earlier.time == time and (kind != ACKNOWLEDGE or earlier.kind == ACKNOWLEDGE)):
            break
        copy_message(S.replies[base + (unit.in_head + place) % MESSAGES], earlier)
        place -= 1
    message = S.replies[base + (unit.in_head + place) % MESSAGES]
    write_message(message, time, kind, line, sectors, token)
    if unit.live_ctas > 0:
        S.gpu[0].first = min(S.gpu[0].first, next_reply(S, sm))
