"""Memory instructions in flight: each is one ACCESS from the sub-core's memory queue to its end.

An access that awaits lines is in the SM's pending request table, whose size limits how many may.
"""

from __future__ import annotations

from gpusim.jit import inlined
from gpusim.model.copies import accept_copy
from gpusim.model.events import COMPLETE, COPY, LOAD, push_event
from gpusim.model.kinds import Kind
from gpusim.model.params import Params
from gpusim.model.rows import core_of, core_row, local_of, slot_of
from gpusim.model.state import State
from gpusim.model.types import Access, Cycle, Mask, Record, Row, Sm

GLOBAL_TO_SHARED = int(Kind.GLOBAL_TO_SHARED)


@inlined
def take_access(S: State, sm: Sm, w: Row, core: Record) -> Access:
    """Warp w's instruction in Control enters the memory pipeline. There is room: see state.IN_FLIGHT."""
    unit = S.sms[sm]
    number = unit.access_free
    access = S.accesses[number]
    unit.access_free = access.next
    access.warp = w
    access.index = core.control_index
    access.timeline = core.control_row
    access.mask = core.control_mask
    access.record = core.control_record
    access.left = 0
    return number


@inlined
def free_access(S: State, sm: Sm, number: Access) -> None:
    """Nothing refers to it any more: what is to happen has been noted as an event."""
    S.accesses[number].record = -1
    S.accesses[number].next = S.sms[sm].access_free
    S.sms[sm].access_free = number


@inlined
def finish(S: State, P: Params, sm: Sm, number: Access, time: Cycle, kind: int, banks: Mask) -> None:
    """An instruction ends with an event of this kind; banks: that it writes, of a copy its group."""
    access = S.accesses[number]
    slot = slot_of(P, sm, access.warp)
    counter = P.code[access.index].write_counter
    c = core_row(sm, core_of(slot))
    push_event(S, c, time, kind, local_of(slot), counter, banks, access.index, access.timeline)
    free_access(S, sm, number)


@inlined
def finish_load(S: State, P: Params, sm: Sm, number: Access, visible: Cycle) -> None:
    """The result is visible to dependents from cycle `visible` on."""
    finish(S, P, sm, number, visible, LOAD, P.code[S.accesses[number].index].banks_written)


@inlined
def finish_without_result(S: State, P: Params, sm: Sm, number: Access, time: Cycle) -> None:
    finish(S, P, sm, number, time, COMPLETE, 0)


@inlined
def finish_empty(S: State, P: Params, sm: Sm, number: Access, done: Cycle) -> None:
    """An instruction whose lanes are all predicated off ends, having done nothing."""
    access = S.accesses[number]
    if P.code[access.index].kind == GLOBAL_TO_SHARED:
        finish(S, P, sm, number, done, COPY, access.group)
    else:
        finish(S, P, sm, number, done, COMPLETE, 0)


@inlined
def accept_group(S: State, P: Params, number: Access) -> None:
    """The memory unit has accepted the instruction; a copy belongs to the oldest group that still lacks one."""
    access = S.accesses[number]
    if P.code[access.index].kind == GLOBAL_TO_SHARED:
        access.group = accept_copy(S.warps[access.warp])


@inlined
def finish_load_or_copy(S: State, P: Params, sm: Sm, number: Access, visible: Cycle) -> None:
    """As finish_load, for what may be a copy too."""
    access = S.accesses[number]
    if P.code[access.index].kind == GLOBAL_TO_SHARED:
        finish(S, P, sm, number, visible, COPY, access.group)
    else:
        finish_load(S, P, sm, number, visible)
