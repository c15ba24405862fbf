"""The hazard checker: does every instruction issue late enough for what earlier ones of its warp still do?

The hardware does not check (arXiv 2503.20481 section 4), so wrong control bits give wrong values and no error. At issue
the registers of an instruction are compared with the results and register reads on their way in the lanes that both
execute. Found hazards are counted per (producer, consumer, register, kind) in a hash table per thread; nothing here
changes timing.
"""

from __future__ import annotations

from gpusim.jit import inlined
from gpusim.model.dependence import COLUMN_MASK, GUARD, READ_LATE, REGISTER_BITS, REGISTER_MASK, UNIFORM
from gpusim.model.state import FAULT_HAZARDS, HAZARD_ROWS, SLOTS

RAW, WAW, WAR = 0, 1, 2
ALL_LANES = 0xFFFFFFFF
LONGEST = 128
"""Cycles after which every result of fixed latency has long been written (the longest, HMMA.16816.F32, takes 64)."""
PENDING = 1 << 20
"""`short` of a hazard that no stall count prevents: the instruction waited for has a variable latency."""


@inlined
def report(S, P, thread, producer, consumer, register, kind, short):
    """Count one occurrence; `short` cycles later the consumer would have been late enough."""
    key = (((producer << 20 | consumer) << REGISTER_BITS | register) << 2 | kind) + 1
    place = (key ^ key >> 11 ^ key >> 23) & HAZARD_ROWS - 1
    for _ in range(HAZARD_ROWS):
        row = S.hazards[thread * HAZARD_ROWS + place]
        if row.key == 0 or row.key == key:
            row.key = key
            row.count += 1
            row.short = max(row.short, short)
            return
        place = (place + 1) & HAZARD_ROWS - 1
    S.gpu[0].fault = FAULT_HAZARDS


@inlined
def check_reads(S, P, thread, w, index, lanes, now):
    """RAW: results that the instruction reads and that are not there yet."""
    operands = P.operands[index]
    first = w * P.machine[0].registers
    for place in range(operands.read_count):
        read = operands.reads[place]
        number = read & REGISTER_MASK
        # which lanes a guard lets pass follows from its value: one that lets none pass was read for all
        reading = lanes if lanes or not read & GUARD else ALL_LANES
        for slot in range(SLOTS):
            result = S.results[(first + number) * SLOTS + slot]
            if result.producer == 0 or not result.lanes & reading:
                continue
            due = result.since + P.distances[result.row, read >> REGISTER_BITS & COLUMN_MASK]
            if result.pending:
                report(S, P, thread, result.producer - 1, index, number, RAW, PENDING)
            elif due > now:
                report(S, P, thread, result.producer - 1, index, number, RAW, due - now)


@inlined
def check_writes(S, P, thread, w, index, lanes, now):
    """WAW: results that would arrive after this one; WAR: registers to be written that others have not read yet."""
    operands = P.operands[index]
    first = w * P.machine[0].registers
    for place in range(operands.write_count):
        write = operands.writes[place]
        number = write & REGISTER_MASK
        written = now + P.distances[write >> REGISTER_BITS & COLUMN_MASK, 0]
        for slot in range(SLOTS):
            result = S.results[(first + number) * SLOTS + slot]
            if result.producer and result.lanes & lanes:
                earlier = P.operands[result.producer - 1]
                due = result.since + P.distances[result.row, 0]
                if result.pending:
                    if operands.order == 0 or operands.order != earlier.order:
                        report(S, P, thread, result.producer - 1, index, number, WAW, PENDING)
                elif due >= written:
                    report(S, P, thread, result.producer - 1, index, number, WAW, due - written + 1)
            reader = S.readers[(first + number) * SLOTS + slot]
            if reader.pending and reader.lanes & lanes:
                earlier = P.operands[reader.producer - 1]
                if operands.queue == 0 or operands.queue != earlier.queue:
                    report(S, P, thread, reader.producer - 1, index, number, WAR, PENDING)


@inlined
def result_slot(S, place, lanes, now):
    """Slot for a new result of the register whose slots start at `place`; those that it overwrites are freed."""
    chosen = place
    for slot in range(place + SLOTS - 1, place - 1, -1):
        result = S.results[slot]
        over = not result.pending and result.since + LONGEST < now
        if result.producer == 0 or over or result.lanes & ~lanes == 0:
            result.producer = 0
            result.pending = 0
            chosen = slot
    return chosen


@inlined
def reader_slot(S, P, place, index):
    """Slot for a new reader: its own, one of the same queue (which has read before it will), or a free one."""
    chosen = place
    for slot in range(place + SLOTS - 1, place - 1, -1):
        if S.readers[slot].pending == 0:
            chosen = slot
    for slot in range(place, place + SLOTS):
        reader = S.readers[slot]
        if reader.pending and P.operands[reader.producer - 1].queue == P.operands[index].queue:
            chosen = slot
    reader = S.readers[chosen]
    if reader.pending == 0 or reader.producer != index + 1:
        reader.lanes = reader.lanes if reader.pending else 0
        reader.pending = 0
    return chosen


@inlined
def record_registers(S, P, w, index, lanes, now):
    """Remember what the issued instruction writes and, if its latency is variable, reads."""
    operands = P.operands[index]
    first = w * P.machine[0].registers
    for place in range(operands.write_count):
        write = operands.writes[place]
        slot = result_slot(S, (first + (write & REGISTER_MASK)) * SLOTS, lanes, now)
        result = S.results[slot]
        result.producer = index + 1
        result.row = write >> REGISTER_BITS & COLUMN_MASK
        result.since = now
        result.lanes = ALL_LANES if write & UNIFORM else lanes
        result.pending = operands.variable
    for place in range(operands.read_count if operands.variable else 0):
        read = operands.reads[place]
        if read & READ_LATE:
            reader = S.readers[reader_slot(S, P, (first + (read & REGISTER_MASK)) * SLOTS, index)]
            reader.producer = index + 1
            reader.pending += 1
            reader.lanes |= lanes


@inlined
def check_hazards(S, P, thread, w, index, mask, now):
    """Warp w issues instruction `index` in the lanes of `mask`, which are none where it is predicated off."""
    check_reads(S, P, thread, w, index, mask, now)
    if mask:
        check_writes(S, P, thread, w, index, mask, now)
        record_registers(S, P, w, index, mask, now)


@inlined
def reads_done(S, P, w, index):
    """Variable-latency instruction `index` has read its registers."""
    operands = P.operands[index]
    first = w * P.machine[0].registers
    for place in range(operands.read_count):
        for slot in range(SLOTS):
            reader = S.readers[(first + (operands.reads[place] & REGISTER_MASK)) * SLOTS + slot]
            if reader.pending and reader.producer == index + 1:
                reader.pending -= 1


@inlined
def result_done(S, P, w, index):
    """Variable-latency instruction `index` is complete."""
    operands = P.operands[index]
    first = w * P.machine[0].registers
    for place in range(operands.write_count):
        for slot in range(SLOTS):
            result = S.results[(first + (operands.writes[place] & REGISTER_MASK)) * SLOTS + slot]
            if result.pending and result.producer == index + 1:
                result.pending = 0
                result.producer = 0


@inlined
def forget_registers(S, P, w):
    """A new warp starts: nothing is on its way."""
    slots = P.machine[0].registers * SLOTS
    for slot in range(w * slots, (w + 1) * slots):
        S.results[slot].producer = 0
        S.results[slot].pending = 0
        S.readers[slot].pending = 0
