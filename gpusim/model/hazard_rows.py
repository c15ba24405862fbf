"""From the checker's table of counts to Hazards with their remedies."""

from __future__ import annotations

import numpy as np

from gpusim.config.models import Issue
from gpusim.model.dependence import REGISTER_BITS, REGISTER_MASK
from gpusim.model.hazards import PENDING, WAR
from gpusim.results.hazards import Hazard
from gpusim.sass.program import NO_COUNTER, Program

KINDS = ("RAW", "WAW", "WAR")
LARGEST_STALL = 15
VISIBLE = 2
"""Stall count with which an instruction's own counters are seen by the next one (arXiv 2503.20481 section 4)."""


def hazard_rows(table: np.recarray, names: tuple[str, ...], program: Program, issue: Issue) -> tuple[Hazard, ...]:
    """Hazards of all threads' tables, added up and sorted by consumer, producer, register and kind."""
    found: dict[tuple[int, int, str, int], tuple[int, int]] = {}
    for row in table[table.key > 0]:
        key = int(row.key) - 1
        kind, number, instructions = key & 3, key >> 2 & REGISTER_MASK, key >> 2 + REGISTER_BITS
        place = (instructions & 0xFFFFF, instructions >> 20, names[number], kind)
        count, short = found.get(place, (0, 0))
        found[place] = (count + int(row.count), max(short, int(row.short)))
    return tuple(_hazard(place, *found[place], program, issue) for place in sorted(found))


def _hazard(place: tuple[int, int, str, int], count: int, short: int, program: Program, issue: Issue) -> Hazard:
    consumer, producer, register, kind = place
    pending = short >= PENDING
    stall, counter, remedy = (
        _counter(producer, consumer, kind, program) if pending else _stall(producer, short, program, issue)
    )
    return Hazard(
        kind=KINDS[kind],
        register=register,
        producer_pc=int(program.instructions[producer].pc),
        producer=program.text[producer],
        consumer_pc=int(program.instructions[consumer].pc),
        consumer=program.text[consumer],
        occurrences=count,
        stall=stall,
        counter=counter,
        remedy=remedy,
    )


def _stall(producer: int, short: int, program: Program, issue: Issue) -> tuple[int | None, int | None, str]:
    """A result of fixed latency: the producer's stall count has to be longer by as much as the consumer was early."""
    row = program.instructions[producer]
    effective = max(int(row.stall), VISIBLE if row.yields else 1)
    if row.stall > issue.long_stall_limit and not row.yields:
        effective = issue.long_stall_wait
    enough = effective + short
    if enough > LARGEST_STALL:
        return None, None, f"{short} cycles more between them"
    with_yield = " with yield" if enough > issue.long_stall_limit else ""
    return (
        enough,
        None,
        f"stall {enough}{with_yield} instead of {int(row.stall)} at the earlier one, or {short} more between",
    )


def _counter(producer: int, consumer: int, kind: int, program: Program) -> tuple[int | None, int | None, str]:
    """An instruction of variable latency: a dependence counter has to be waited for."""
    row = program.instructions[producer]
    reads = kind == WAR and row.read_counter != NO_COUNTER
    counter = int(row.read_counter if reads else row.write_counter)
    if counter == NO_COUNTER:
        role = "read" if kind == WAR else "write"
        return None, None, f"a {role} counter at the earlier one and a wait for it"
    if program.instructions[consumer].wait_mask >> counter & 1:
        return VISIBLE, counter, f"stall {VISIBLE} at the earlier one: its SB{counter} was not yet raised for the wait"
    return None, counter, f"a wait for SB{counter}"
