"""Dependence by scoreboards instead of control bits, as arXiv 2503.20481 section 7.5 compares them.

Per warp and register (255 regular, 63 uniform, 7 + 7 predicates): a bit for a pending write, set at issue and taken as
cleared for a consumer when it could issue under ideal control bits, and a count of consumers that have not read yet, at
most `max_consumers`. Issue is refused while a source or the destination has a pending write, a destination has
consumers, or a source has as many as can be counted. Uniform registers and predicates are read at issue: no count.
An instruction that waits behind issue, in Control or Allocate, delays its result by as much.
"""

from __future__ import annotations

from gpusim.jit import inlined
from gpusim.model.params import Params
from gpusim.model.rows import check_warp
from gpusim.model.state import FOREVER, State
from gpusim.model.types import Cycle, Index, Place, Record, Row
from gpusim.results.stalls import Stall

READY, WAIT = int(Stall.NOT_SELECTED), int(Stall.WAIT)
LONG, SHORT = int(Stall.LONG_SCOREBOARD), int(Stall.SHORT_SCOREBOARD)
UNHELD = 2
"""Cycles from issue to leaving Allocate of an instruction that waits nowhere."""


@inlined
def first_register(P: Params, w: Row) -> Place:
    """Row in State.registers of a warp's first register."""
    return w * P.derived[0].registers


@inlined
def reason_of(P: Params, index: Index) -> int:
    """What a warp reports that waits for instruction `index`: long for L1TEX, short for other variable latencies."""
    if P.code[index].long_owner:
        return LONG
    return SHORT if P.operands[index].variable else WAIT


@inlined
def available_at(P: Params, register: Record, column: int) -> Cycle:
    """First cycle in which an operand of a column may use a register's pending result; FOREVER while not known."""
    if register.writer == 0:
        return 0
    if register.since == FOREVER:
        return FOREVER
    return register.since + P.distances[register.row, column]


@inlined
def waits_for_registers(S: State, P: Params, w: Row, now: Cycle) -> int:
    """Reason LONG, SHORT or WAIT while a register that warp w's next instruction uses is taken, READY otherwise."""
    warp = S.warps[w]
    operands = P.operands[warp.index]
    first = first_register(P, w)
    limit = P.card[0].sm.sub_core.dependence.max_consumers
    for place in range(operands.read_count):
        register = S.registers[first + operands.read_register[place]]
        until = available_at(P, register, operands.read_column[place])
        if until > now:
            warp.next_check = until
            return reason_of(P, register.writer - 1)
        if operands.read_late[place] and limit > 0 and register.consumers >= limit:
            warp.next_check = FOREVER
            return reason_of(P, register.consumer)
    for place in range(operands.write_count):
        register = S.registers[first + operands.write_register[place]]
        until = available_at(P, register, 0)
        if until > now:
            warp.next_check = until
            return reason_of(P, register.writer - 1)
        if register.consumers > 0:
            warp.next_check = FOREVER
            return reason_of(P, register.consumer)
    return READY


@inlined
def take_registers(S: State, P: Params, w: Row, index: Index) -> None:
    """Warp w issues instruction `index`: its destinations are pending, its sources have one more consumer."""
    operands = P.operands[index]
    first = first_register(P, w)
    for place in range(operands.read_count):
        if operands.read_late[place]:
            register = S.registers[first + operands.read_register[place]]
            register.consumers += 1
            register.consumer = index
    for place in range(operands.write_count):
        register = S.registers[first + operands.write_register[place]]
        register.writer = index + 1
        register.row = operands.write_row[place]
        register.since = FOREVER
    S.warps[w].registers_due += (operands.late_reads > 0) + operands.variable


@inlined
def result_known(S: State, P: Params, w: Row, index: Index, now: Cycle) -> None:
    """Fixed-latency instruction `index` leaves Allocate in cycle `now`: when its result is available follows."""
    operands = P.operands[index]
    first = first_register(P, w)
    for place in range(operands.write_count):
        register = S.registers[first + operands.write_register[place]]
        if register.writer == index + 1:
            register.since = now - UNHELD
    check_warp(S.warps[w], now)


@inlined
def sources_read(S: State, P: Params, w: Row, index: Index) -> None:
    """Instruction `index` has read its registers."""
    operands = P.operands[index]
    first = first_register(P, w)
    for place in range(operands.read_count):
        if operands.read_late[place]:
            S.registers[first + operands.read_register[place]].consumers -= 1
    S.warps[w].registers_due -= operands.late_reads > 0


@inlined
def result_written(S: State, P: Params, w: Row, index: Index) -> None:
    """Variable-latency instruction `index` is complete."""
    operands = P.operands[index]
    first = first_register(P, w)
    for place in range(operands.write_count):
        register = S.registers[first + operands.write_register[place]]
        if register.writer == index + 1:
            register.writer = 0
    S.warps[w].registers_due -= 1


@inlined
def free_registers(S: State, P: Params, w: Row) -> None:
    """A new warp starts: nothing is pending."""
    for place in range(first_register(P, w), first_register(P, w + 1)):
        S.registers[place].writer = 0
        S.registers[place].consumers = 0
