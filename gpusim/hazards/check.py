"""Check launches for hazards, and say of each what would have been enough. No cycle is simulated for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from gpusim.config.models import GpuConfig, Issue
from gpusim.constants import NO_COUNTER
from gpusim.errors import GpusimError
from gpusim.hazards.walk import HAZARD, PENDING, PROGRESS, READER, RESULT, ROWS, SLOTS, VISIBLE, WAR, check_warps
from gpusim.model.setup.code import CodeBuilder, cycles_to_next_issue
from gpusim.model.setup.dependence import DependenceBuilder, DependenceTable
from gpusim.results.hazards import Hazard
from gpusim.results.result import Result
from gpusim.sass.isa import load_isa
from gpusim.sass.program import Program
from gpusim.trace.trace import CtaChunk, Launch, Trace

KINDS = ("RAW", "WAW", "WAR")
LARGEST_STALL = 15


def check_hazards(trace: Trace, config: GpuConfig) -> list[tuple[Hazard, ...]]:
    """Hazards of every launch of a trace: control bits that let an instruction issue before an earlier one is done
    with its registers.

    Raises GpusimError where there are more different ones in a launch than can be told.
    """
    return [
        find_hazards(launch, dependence_table(launch.program, config), config.sm.sub_core.issue)
        for launch in trace.launches
    ]


def with_hazards(result: Result, hazards: Sequence[tuple[Hazard, ...]]) -> Result:
    """A result, whole or partial, with what `check_hazards` found in each of its trace's launches."""
    kernels = tuple(replace(kernel, hazards=found) for kernel, found in zip(result.kernels, hazards))
    return replace(result, kernels=kernels)


def dependence_table(program: Program, config: GpuConfig) -> DependenceTable:
    """Which registers each instruction touches, and how long its results take on a card."""
    reader = CodeBuilder(program, load_isa(program.architecture), config)
    return DependenceBuilder(reader, reader.build()).build()


def find_hazards(launch: Launch, table: DependenceTable, issue: Issue) -> tuple[Hazard, ...]:
    """Hazards of every warp of a launch, by consumer, producer, register and kind. Timing plays no part.

    Raises GpusimError where there are more different ones than can be told.
    """
    slots = max(len(table.names), 1) * SLOTS
    sizes = ((slots, RESULT), (slots, READER), (1, PROGRESS), (ROWS, HAZARD))
    results, readers, progress, hazards = (np.zeros(size, dtype).view(np.recarray) for size, dtype in sizes)
    work = results, readers, progress, hazards
    tables, last = (work, table.operands, table.distances), None
    for chunk, warp in _streams(launch):
        goes_on = warp is not None and warp == last
        last = warp
        if not check_warps(*tables, chunk.instruction_start, chunk.index, chunk.mask, goes_on):
            raise GpusimError(
                f"{launch.program.name}: more than {ROWS} different hazards: are there control bits at all?"
            )
    found = hazards[hazards.occurrences > 0]
    names = [table.names[number] for number in found.register]
    places = zip(found.consumer.tolist(), found.producer.tolist(), names, found.kind.tolist())
    rows = sorted(zip(places, found.occurrences.tolist(), found.short.tolist()))
    return tuple(_hazard(place, count, short, launch.program, issue) for place, count, short in rows)


def _streams(launch: Launch) -> Iterator[tuple[CtaChunk, tuple[int, int] | None]]:
    """Chunks, but of a long CTA the pieces, each with its CTA and warp; those of a warp in a row."""
    for number in range(len(launch.source.cta_counts)):
        cut = launch.source.cut(number)
        if cut is None:
            chunk = launch.source.read(number)
            yield chunk, None
            continue
        for piece, warp in enumerate(cut.warp.tolist()):
            yield cut.read(piece), (cut.cta, warp)


def _hazard(place: tuple[int, int, str, int], count: int, short: int, program: Program, issue: Issue) -> Hazard:
    consumer, producer, register, kind = place
    by_counter = short >= PENDING or program.instructions[producer].write_counter != NO_COUNTER
    stall, counter, remedy = (
        _counter(producer, consumer, kind, program) if by_counter else _stall(producer, short, program, issue)
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
    enough = cycles_to_next_issue(int(row.stall), bool(row.yields), issue) + short
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
