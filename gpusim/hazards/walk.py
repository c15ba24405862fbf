"""The hazard checker: do a program's control bits keep every instruction away from what earlier ones still do?

The hardware does not check (arXiv 2503.20481 section 4), so wrong control bits give wrong values and no error. Each
warp's executed instructions are walked through on a clock of their own, which advances by what the control bits alone
guarantee: the stall count of each instruction. So a fault is found also where a cache miss or another warp hides it in
this run, and what is found depends on no timing but the latencies.

- A result of fixed latency needs its distance to the consumer (`gpusim.model.setup.dependence`).
- One of variable latency needs a wait for its dependence counter, or for that of a later instruction of a unit that
  completes in order. A counter is seen VISIBLE cycles after the instruction that raises it.
- A register that such an instruction reads is free once its read or write counter has been waited for, or a later
  instruction of the same queue has read. Behind BAR all memory instructions have: compilers rely on that. An LDGSTS
  has too once the counter of a later LDGDEPBAR has been waited for.
- Lanes that do not both execute do not meet.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from gpusim.constants import ALL_LANES
from gpusim.jit import inlined, kernel
from gpusim.model.params import CLOSES, MEMORY_QUEUE
from gpusim.model.types import Counter, Flag, Record, Records

RAW, WAW, WAR = 0, 1, 2
COUNTERS = 6
UNITS = 6  # numbers of in-order units, 0 for none
VISIBLE = 2
"""Cycles from an instruction's issue until a wait sees the counter that it raises (arXiv 2503.20481 section 4)."""
PENDING = 1 << 20
"""`short` of a hazard that no stall count prevents: a counter has to be waited for."""
LONGEST = 128
"""Cycles after which every result of fixed latency is there; the longest, of matrix instructions, takes half of it."""
NEVER = -(1 << 40)
SLOTS = 2
"""Results, and readers, of one register that are remembered: diverged lanes have their own."""
RAISES = 64
"""Outstanding instructions of one counter that are remembered; it holds at most 63."""
ROWS = 8192
"""Different hazards of a launch; a power of two."""

RESULT = np.dtype(
    [
        ("producer", "i8"),  # static index + 1, 0 if none
        ("row", "i8"),  # row of the distances
        ("since", "i8"),  # clock of its issue
        ("lanes", "i8"),
    ]
)
"""The last result of a register."""
READER = np.dtype([("producer", "i8"), ("since", "i8"), ("lanes", "i8")])
"""The last variable-latency instruction that reads a register."""
PROGRESS = np.dtype(
    [
        ("clock", "i8"),  # of the next instruction
        ("waited", "i8", (COUNTERS,)),  # instructions of a counter issued by this clock are complete
        ("done", "i8", (UNITS,)),  # results of an in-order unit issued by this clock are there
        ("read", "i8", (UNITS,)),  # and registers of its queue are read
        ("copied", "i8"),  # asynchronous copies issued by this clock are complete
        ("raises", "i8", (COUNTERS,)),  # outstanding instructions per counter, and each one's clock and index
        ("raise_clock", "i8", (COUNTERS * RAISES,)),
        ("raise_index", "i8", (COUNTERS * RAISES,)),
        ("hold_counter", "i8"),  # DEPBAR.LE whose effect is to come, -1 if none
        ("hold_limit", "i8"),
        ("hold_from", "i8"),
    ]
)
"""How far a warp's waits have come."""
HAZARD = np.dtype(
    [
        ("producer", "i8"),  # static index
        ("consumer", "i8"),
        ("register", "i8"),
        ("kind", "i8"),  # RAW, WAW or WAR
        ("occurrences", "i8"),  # 0: the row is free
        ("short", "i8"),  # cycles that the consumer may come too early, at most
    ]
)
"""A hazard found."""

Clock: TypeAlias = int
"""Cycle of the warp's own clock, which begins at its first instruction."""
Cycles: TypeAlias = int
"""How many cycles; PENDING: no number of them is enough."""
Index: TypeAlias = "int | np.int64"
"""Index of a static instruction: row of the table of OPERANDS."""
Mask: TypeAlias = "int | np.int64"
"""A bit per lane."""
Unit: TypeAlias = int
"""Number of an in-order unit or of its queue, 0 for none."""
Register: TypeAlias = int
"""Number of a register among those that the program touches (DependenceTable.names)."""
Slot: TypeAlias = int
"""Row of the RESULTs and of the READERs: SLOTS for each register."""
Kind: TypeAlias = int
"""RAW, WAW or WAR."""
Work: TypeAlias = tuple[Records, Records, Records, Records]
"""What a walk writes: a RESULT and a READER per slot, the warp's PROGRESS, and the table of HAZARDs."""


@inlined
def same_hazard(row: Record, producer: Index, consumer: Index, register: Register, kind: Kind) -> Flag:
    """Whether a row is free or counts this hazard."""
    same = row.producer == producer and row.consumer == consumer and row.register == register and row.kind == kind
    return row.occurrences == 0 or same


@inlined
def report(hazards: Records, producer: Index, consumer: Index, register: Register, kind: Kind, short: Cycles) -> bool:
    """Count one occurrence. False where the table is full."""
    place = (producer * 31 ^ consumer * 1009 ^ register * 8191 ^ kind) & (ROWS - 1)
    for _ in range(ROWS):
        row = hazards[place]
        if same_hazard(row, producer, consumer, register, kind):
            row.producer = producer
            row.consumer = consumer
            row.register = register
            row.kind = kind
            row.occurrences += 1
            row.short = max(row.short, short)
            return True
        place = (place + 1) & (ROWS - 1)
    return False


@inlined
def cover(progress: Record, operands: Records, counter: Counter, limit: int, clock: Clock) -> None:
    """At `clock` a warp has waited until at most `limit` of a counter's visible instructions are outstanding."""
    base = counter * RAISES
    last = progress.raises[counter]
    while last > 0 and progress.raise_clock[base + last - 1] > clock - VISIBLE:
        last -= 1
    complete = max(last - limit, 0)
    if limit == 0:
        progress.waited[counter] = max(progress.waited[counter], clock - VISIBLE)
    elif complete > 0:
        progress.waited[counter] = max(progress.waited[counter], progress.raise_clock[base + complete - 1])
    for place in range(complete):
        since = progress.raise_clock[base + place]
        own = operands[progress.raise_index[base + place]]
        progress.read[own.queue] = max(progress.read[own.queue], since)
        if own.write_counter == counter:
            progress.done[own.order] = max(progress.done[own.order], since)
            if own.copies == CLOSES:
                progress.copied = max(progress.copied, since)
    for place in range(complete, progress.raises[counter]):
        progress.raise_clock[base + place - complete] = progress.raise_clock[base + place]
        progress.raise_index[base + place - complete] = progress.raise_index[base + place]
    progress.raises[counter] -= complete


@inlined
def wait(progress: Record, operands: Records, own: Record, clock: Clock) -> None:
    """The waits that an instruction issued at `clock` has gone through."""
    for counter in range(COUNTERS):
        if own.waits >> counter & 1:
            cover(progress, operands, counter, 0, clock)
    if progress.hold_counter >= 0 and progress.hold_from <= clock:
        cover(progress, operands, progress.hold_counter, progress.hold_limit, clock)
        progress.hold_counter = -1
    if own.barrier:
        progress.read[MEMORY_QUEUE] = clock


@inlined
def result_complete(progress: Record, earlier: Record, since: Clock) -> Flag:
    """Whether waits guarantee that the result of an instruction issued at `since` is there."""
    if earlier.write_counter < COUNTERS and progress.waited[earlier.write_counter] >= since:
        return True
    return earlier.order > 0 and progress.done[earlier.order] >= since


@inlined
def registers_read(progress: Record, earlier: Record, since: Clock) -> Flag:
    """Whether waits guarantee that an instruction issued at `since` has read its registers."""
    if earlier.read_counter < COUNTERS and progress.waited[earlier.read_counter] >= since:
        return True
    if earlier.copies and progress.copied >= since:
        return True
    return progress.read[earlier.queue] >= since or result_complete(progress, earlier, since)


@inlined
def raise_counters(progress: Record, own: Record, index: Index, clock: Clock) -> None:
    """Remember what an issued instruction raises; DEPBAR.LE holds what follows it."""
    for counter in (own.write_counter, own.read_counter):
        if counter < COUNTERS and (counter == own.write_counter or own.write_counter != own.read_counter):
            base = counter * RAISES
            if progress.raises[counter] == RAISES:
                for place in range(RAISES - 1):
                    progress.raise_clock[base + place] = progress.raise_clock[base + place + 1]
                    progress.raise_index[base + place] = progress.raise_index[base + place + 1]
                progress.raises[counter] -= 1
            progress.raise_clock[base + progress.raises[counter]] = clock
            progress.raise_index[base + progress.raises[counter]] = index
            progress.raises[counter] += 1
    if own.depbar_counter >= 0:
        progress.hold_counter = own.depbar_counter
        progress.hold_limit = own.depbar_limit
        progress.hold_from = clock + own.depbar_effect


@inlined
def short_of(progress: Record, earlier: Record, since: Clock, due: Clock, clock: Clock) -> Cycles:
    """Cycles that an instruction issued at `clock` may come too early for a result due at `due`; 0 if none."""
    if result_complete(progress, earlier, since):
        return 0
    return PENDING if earlier.variable else max(due - clock, 0)


@inlined
def check_reads(
    work: Work, operands: Records, distances: np.ndarray, own: Record, index: Index, lanes: Mask, clock: Clock
) -> bool:
    """RAW: results that the instruction reads and that may not be there yet."""
    results, _, progress, hazards = work
    for place in range(own.read_count):
        number = own.read_register[place]
        # which lanes a guard lets pass follows from its value: one that lets none pass was read for all
        reading = lanes if lanes or not own.read_guard[place] else ALL_LANES
        for slot in range(number * SLOTS, (number + 1) * SLOTS):
            result = results[slot]
            if result.producer and result.lanes & reading:
                due = result.since + distances[result.row, own.read_column[place]]
                short = short_of(progress[0], operands[result.producer - 1], result.since, due, clock)
                if short and not report(hazards, result.producer - 1, index, number, RAW, short):
                    return False
    return True


@inlined
def check_writes(
    work: Work, operands: Records, distances: np.ndarray, own: Record, index: Index, lanes: Mask, clock: Clock
) -> bool:
    """WAW: results that may arrive after this one; WAR: registers that others may not have read yet."""
    results, readers, progress, hazards = work
    for place in range(own.write_count):
        number = own.write_register[place]
        written = clock + distances[own.write_row[place], 0]
        for slot in range(number * SLOTS, (number + 1) * SLOTS):
            result = results[slot]
            if result.producer and result.lanes & lanes:
                earlier = operands[result.producer - 1]
                due = result.since + distances[result.row, 0] + 1
                short = short_of(progress[0], earlier, result.since, due, written)
                in_order = own.order > 0 and own.order == earlier.order
                if short and not in_order and not report(hazards, result.producer - 1, index, number, WAW, short):
                    return False
            reader = readers[slot]
            if reader.producer and reader.lanes & lanes:
                earlier = operands[reader.producer - 1]
                in_order = own.queue > 0 and own.queue == earlier.queue
                if not in_order and not registers_read(progress[0], earlier, reader.since):
                    if not report(hazards, reader.producer - 1, index, number, WAR, PENDING):
                        return False
    return True


@inlined
def result_slot(results: Records, number: Register, operands: Records, lanes: Mask, clock: Clock) -> Slot:
    """Slot for a new result of a register: those that it overwrites are free, as are old ones of fixed latency."""
    chosen = number * SLOTS
    for slot in range((number + 1) * SLOTS - 1, number * SLOTS - 1, -1):
        result = results[slot]
        old = result.producer and not operands[result.producer - 1].variable and result.since + LONGEST < clock
        if result.producer == 0 or old or result.lanes & ~lanes == 0:
            result.producer = 0
            chosen = slot
    return chosen


@inlined
def reader_slot(readers: Records, number: Register, operands: Records, progress: Record, queue: Unit) -> Slot:
    """Slot for a new reader of a register: of one that has read, or will have before it (the same queue)."""
    chosen = number * SLOTS
    for slot in range((number + 1) * SLOTS - 1, number * SLOTS - 1, -1):
        reader = readers[slot]
        if reader.producer and registers_read(progress, operands[reader.producer - 1], reader.since):
            reader.producer = 0
        if reader.producer == 0:
            chosen = slot
    for slot in range(number * SLOTS, (number + 1) * SLOTS):
        if readers[slot].producer and operands[readers[slot].producer - 1].queue == queue:
            chosen = slot
    return chosen


@inlined
def record(work: Work, operands: Records, own: Record, index: Index, lanes: Mask, clock: Clock) -> None:
    """Remember what the instruction writes and, if its latency is variable, reads."""
    results, readers, progress, _ = work
    for place in range(own.write_count):
        result = results[result_slot(results, own.write_register[place], operands, lanes, clock)]
        result.producer = index + 1
        result.row = own.write_row[place]
        result.since = clock
        result.lanes = ALL_LANES if own.write_uniform[place] else lanes
    for place in range(own.read_count if own.variable else 0):
        if own.read_late[place]:
            number = own.read_register[place]
            reader = readers[reader_slot(readers, number, operands, progress[0], own.queue)]
            reader.lanes = (reader.lanes if reader.producer else 0) | lanes
            reader.producer = index + 1
            reader.since = clock


@inlined
def start(work: Work) -> None:
    """A new warp: nothing is on its way."""
    results, readers, progress, _ = work
    for slot in range(len(results)):
        results[slot].producer = 0
        readers[slot].producer = 0
    own = progress[0]
    own.clock = 0
    for counter in range(COUNTERS):
        own.waited[counter] = NEVER
        own.raises[counter] = 0
    for unit in range(UNITS):
        own.done[unit] = NEVER
        own.read[unit] = NEVER
    own.copied = NEVER
    own.hold_counter = -1


@kernel
def check_warps(
    work: Work,
    operands: Records,
    distances: np.ndarray,
    starts: np.ndarray,
    indices: np.ndarray,
    masks: np.ndarray,
    goes_on: bool,
) -> bool:
    """Walk through every warp of a chunk. False where the table of hazards overflowed.

    work: (results, readers, progress, hazards); indices, masks: the warps' instructions, at starts[w]..starts[w + 1];
    goes_on: they are all of the warp of the last call, behind what that saw.
    """
    for w in range(len(starts) - 1):
        if not goes_on:
            start(work)
        clock = work[2][0].clock
        for place in range(starts[w], starts[w + 1]):
            index = np.int64(indices[place])
            lanes = np.int64(masks[place])
            own = operands[index]
            wait(work[2][0], operands, own, clock)
            if not check_reads(work, operands, distances, own, index, lanes, clock):
                return False
            if lanes:
                if not check_writes(work, operands, distances, own, index, lanes, clock):
                    return False
                record(work, operands, own, index, lanes, clock)
            raise_counters(work[2][0], own, index, clock)
            clock += own.stall
        work[2][0].clock = clock
    return True
