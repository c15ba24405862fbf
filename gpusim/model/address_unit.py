"""The sub-core's memory unit: an in-order queue, register read and address calculation.

Queue of 4 besides the instruction in Control; one address calculation per 4 cycles; an entry is held until the
SM-shared unit accepts it (arXiv 2503.20481 section 5.4, Table 1).
"""

from __future__ import annotations

from gpusim.jit import inlined
from gpusim.model.events import LOWER, NO_COUNTER, push_event
from gpusim.model.operands import read_variable
from gpusim.model.state import FOREVER, QUEUE, SUB_CORES


@inlined
def enqueue(S, P, sm, k, now):
    """Move the memory instruction in Control into the queue. 0 while it is full."""
    core = S.sub_cores[sm * SUB_CORES + k]
    machine = P.machine[0]
    if core.queue_count >= machine.queue_entries:
        return 0
    place = (core.queue_head + core.queue_count) % QUEUE
    core.queue_count += 1
    core.queue_warp[place] = core.control_warp
    core.queue_index[place] = core.control_index
    core.queue_mask[place] = core.control_mask
    core.queue_record[place] = core.control_record
    core.queue_row[place] = core.control_row
    core.queue_ready[place] = now - 1 + machine.register_read
    return 1


@inlined
def address_unit(S, P, sm, k, now):
    """Read the registers of the next queued instruction and start its address calculation."""
    c = sm * SUB_CORES + k
    core = S.sub_cores[c]
    machine = P.machine[0]
    if core.queue_addressed >= core.queue_count or core.address_free > now:
        return
    place = (core.queue_head + core.queue_addressed) % QUEUE
    index = core.queue_index[place]
    if core.queue_ready[place] > now or not read_variable(S, P, sm, k, index, now):
        return
    code = P.code[index]
    core.queue_addressed += 1
    core.address_free = now + (machine.interval_uniform if code.uniform_address else machine.interval_regular)
    core.queue_ready[place] = now + (machine.grant_uniform if code.uniform_address else machine.grant_regular)
    if code.read_counter != NO_COUNTER or machine.scoreboard:
        released = max(now + code.war - machine.register_read, now + 1)
        push_event(S, c, released, LOWER, core.queue_warp[place], code.read_counter, 0, index, -1)
    row = core.queue_row[place]
    if row >= 0:
        S.timeline[row].read = now


@inlined
def next_request(core):
    """First cycle in which the head of the queue asks the SM-shared unit, FOREVER if it has no address yet."""
    return core.queue_ready[core.queue_head] if core.queue_addressed > 0 else FOREVER


@inlined
def address_wake(core, now):
    """Next cycle in which the address unit can do something."""
    if core.queue_addressed >= core.queue_count:
        return FOREVER
    place = (core.queue_head + core.queue_addressed) % QUEUE
    return max(core.queue_ready[place], core.address_free, now + 1)
