"""The sub-core's memory unit: an in-order queue, register read and address calculation.

Room for 4 instructions and one that comes from Control, checked at issue; one address calculation per 4 cycles; an
entry is held until the SM-shared unit or the ADU accepts it (arXiv 2503.20481 section 5.4, Table 1).
"""

from __future__ import annotations

from gpusim.constants import NO_COUNTER
from gpusim.jit import inlined
from gpusim.model.events import LOWER, push_event
from gpusim.model.in_flight import take_access
from gpusim.model.kinds import Kind
from gpusim.model.operands import read_variable
from gpusim.model.params import Params
from gpusim.model.rows import core_row, local_of, slot_of, sub_core, wake_throttled, warp_row
from gpusim.model.state import FOREVER, QUEUE, State
from gpusim.model.types import Access, Cycle, Flag, Record, Sm, SubCore

ADU = int(Kind.ADU)
LSU_OF, ADU_OF = 0, 1
"""Which unit asks for the head of the queue."""


@inlined
def queue_full(P: Params, core: Record) -> Flag:
    """Whether no memory instruction can issue."""
    return core.queue_count > P.card[0].sm.sub_core.memory_queue.entries


@inlined
def enqueue(S: State, P: Params, sm: Sm, k: SubCore, now: Cycle) -> None:
    """Move the memory instruction in Control into the queue; issue has seen to it that there is room."""
    core = sub_core(S, sm, k)
    queue = P.card[0].sm.sub_core.memory_queue
    place = (core.queue_head + core.queue_count) % QUEUE
    core.queue_count += 1
    core.queue_access[place] = take_access(S, sm, warp_row(P, sm, k, core.control_warp), core)
    core.queue_ready[place] = now - 1 + queue.register_read


@inlined
def address_unit(S: State, P: Params, sm: Sm, k: SubCore, now: Cycle) -> None:
    """Read the registers of the next queued instruction and start its address calculation."""
    core = sub_core(S, sm, k)
    queue = P.card[0].sm.sub_core.memory_queue
    if core.queue_addressed >= core.queue_count or core.address_free > now:
        return
    place = (core.queue_head + core.queue_addressed) % QUEUE
    if core.queue_ready[place] > now:
        return
    access = S.accesses[core.queue_access[place]]
    index = access.index
    if not read_variable(S, P, sm, core, index, now):
        return
    code = P.code[index]
    core.queue_addressed += 1
    core.address_free = now + (
        queue.address_interval_uniform if code.uniform_address else queue.address_interval_regular
    )
    core.queue_ready[place] = now + address_to_grant(P, code)
    if code.read_counter != NO_COUNTER or P.derived[0].scoreboard:
        released = max(now + code.war - queue.register_read, now + 1)
        local = local_of(slot_of(P, sm, access.warp))
        push_event(S, core_row(sm, k), released, LOWER, local, code.read_counter, 0, index, -1)
    if access.timeline >= 0:
        S.timeline[access.timeline].read = now


@inlined
def address_to_grant(P: Params, code: Record) -> Cycle:
    """Cycles from the register read to the request to the SM-shared unit."""
    queue = P.card[0].sm.sub_core.memory_queue
    return queue.address_to_grant_uniform if code.uniform_address else queue.address_to_grant_regular


@inlined
def granted_after(P: Params, code: Record) -> Cycle:
    """Cycles from issue to grant of an unqueued instruction, which Table 2's latencies include."""
    return P.card[0].sm.sub_core.memory_queue.register_read + address_to_grant(P, code)


@inlined
def next_request(S: State, P: Params, core: Record, whose: int) -> Cycle:
    """First cycle in which the head of the queue asks a unit, FOREVER if it has no address yet or asks another."""
    if core.queue_addressed == 0:
        return FOREVER
    of_adu = P.code[S.accesses[next_access(core)].index].kind >= ADU
    return core.queue_ready[core.queue_head] if of_adu == (whose == ADU_OF) else FOREVER


@inlined
def next_access(core: Record) -> Access:
    """The instruction at the head of the queue."""
    return core.queue_access[core.queue_head]


@inlined
def leave_queue(S: State, P: Params, sm: Sm, k: SubCore, now: Cycle) -> None:
    """A unit has accepted the head of sub-core k's queue in cycle `now`."""
    core = sub_core(S, sm, k)
    core.queue_head = (core.queue_head + 1) % QUEUE
    core.queue_count -= 1
    core.queue_addressed -= 1
    wake_throttled(S, P, sm, k, now)


@inlined
def address_wake(core: Record, now: Cycle) -> Cycle:
    """Next cycle in which the address unit can do something."""
    if core.queue_addressed >= core.queue_count:
        return FOREVER
    place = (core.queue_head + core.queue_addressed) % QUEUE
    return max(core.queue_ready[place], core.address_free, now + 1)
