"""Messages between an SM and L2: two rings per SM, each sorted by time (requests leave one per cycle, so they are).

Whatever stands behind L1 reads requests and writes replies; nothing else crosses the SM's border. Requests are merged
over SMs in (cycle, SM) order, so results do not depend on windows or threads.
"""

from __future__ import annotations

from gpusim.jit import inlined, popcount64
from gpusim.model.state import FAULT_REPLIES, FAULT_REQUESTS, FOREVER, MESSAGES

READ_LINE = 0  # L1D fill: sectors of a line
READ_ENTRY = 1  # read that bypasses L1D; token: pending request table entry
WRITE = 2  # no reply
ATOMIC = 3  # token: table entry, or -1 without a reply
READ_CODE = 4  # instruction or constant line of the first-level cache

DEPARTURE_BACKLOG = 1024  # requests that wait for the SM's port before it accepts no more accesses
REPLY_LIMIT = MESSAGES - 256  # replies outstanding before it accepts no more; one access asks for at most 32


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


@inlined
def send(S, P, sm, time, kind, line, sectors, token):
    """Send a request that is ready to leave in cycle `time`; return when it departs. Data occupy the SM's port."""
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
    unit.out_count += 1
    if kind != WRITE and token != -1:
        unit.replies_due += 1
    return depart


@inlined
def deliver(S, sm, time, kind, line, sectors, token):
    """Put a reply that arrives in cycle `time` into an SM's ring."""
    unit = S.sms[sm]
    if unit.in_count >= MESSAGES:
        S.gpu[0].fault = FAULT_REPLIES
        return
    base = sm * MESSAGES
    place = unit.in_count
    unit.in_count += 1
    while place > 0:  # behind all that are not later; the ring is nearly sorted, so few move
        earlier = S.replies[base + (unit.in_head + place - 1) % MESSAGES]
        if earlier.time <= time:
            break
        copy_message(S.replies[base + (unit.in_head + place) % MESSAGES], earlier)
        place -= 1
    message = S.replies[base + (unit.in_head + place) % MESSAGES]
    write_message(message, time, kind, line, sectors, token)


@inlined
def next_reply(S, sm):
    """Cycle in which an SM takes its next reply: when it has arrived and the port has passed the one before."""
    unit = S.sms[sm]
    return max(S.replies[sm * MESSAGES + unit.in_head].time, unit.reply_port) if unit.in_count > 0 else FOREVER


@inlined
def next_departure(S, sm):
    """Cycle of the first request of an SM that L2 has not taken."""
    unit = S.sms[sm]
    return S.requests[sm * MESSAGES + unit.out_head].time if unit.out_count > 0 else FOREVER
