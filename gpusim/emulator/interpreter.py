"""The compiled loop: warps of a CTA in turn, CTAs one after another.

A warp runs until its lanes wait or exit, or until its time slice is over, so that warps which spin on each other
make progress. Every executed instruction goes to the log with the lanes that executed it.
"""

from __future__ import annotations

import numpy as np

from gpusim.constants import ALL_LANES
from gpusim.emulator import (
    atomics,
    control,
    convert,
    float32,
    float64,
    half,
    integer,
    livelock,
    memory,
    special,
    tensor,
    texture,
    warpwide,
)
from gpusim.emulator.bits import trailing_zeros32
from gpusim.emulator.rows import modified, predicate, row_of, write_back, write_predicate
from gpusim.emulator.state import (
    ADDRESSES_USED,
    BAD_TARGET,
    BARRIERS_TOUCHED,
    CALL_LANES,
    CALLED,
    CHANGES,
    CHANGES_SEEN,
    CLOCK,
    CTA,
    CTA_CLOCK,
    CTA_LIMIT,
    DEADLOCK,
    ERROR,
    ERROR_PC,
    ERROR_WARP,
    FINISHED,
    FIRST_READ,
    FIRST_REGISTER_ROW,
    GROUPS,
    IDLE,
    IDLE_LIMIT,
    IDLE_PASSES,
    INDEX_USED,
    KNOWN_PC,
    LIMIT_REACHED,
    LOCAL_BYTES,
    LOCAL_WORD,
    LOG_FULL,
    MISSED,
    NEXT_WARP,
    NO_PROGRESS,
    OK,
    PASS_CHANGES,
    PAUSED,
    POLLED,
    POSITION,
    PROGRESS,
    READ_COLUMNS,
    READY,
    RECORDS_USED,
    ROWS_PER_WARP,
    SEGMENTS_USED,
    SHARED_BYTES,
    SHARED_WORD,
    SLICE_BEGIN,
    STARTED,
    THREADS,
    TIME_SLICE,
    TRAPPED,
    WARP_CLOCK,
    WARPS,
    YIELDED,
    Machine,
)
from gpusim.emulator.trace_log import has_room, record
from gpusim.emulator.types import Clock, Decoded, ErrorCode, Index, Lane, Mask, MaskPair, Number, Row, Warp
from gpusim.jit import kernel, njit

GLOBAL, SHARED, GENERIC, GLOBAL_TO_SHARED = 1, 2, 5, 6  # MemorySpace


@njit
def memory_operation(
    m: Machine, w: Warp, i: Decoded, pc: Index, a: Row, b: Row, c: Row, d: Row, mask: Mask, reach: Mask
) -> bool:
    """Run one memory instruction; mask: lanes that execute, reach: lanes that are written. False after an error."""
    op, P = i.op, m.predicates[w]
    if op >= memory.TEXTURE:
        return texture.execute(
            m, w, i, m.geometry[FIRST_REGISTER_ROW] + w * m.geometry[ROWS_PER_WARP], a, b, c, d, mask
        )
    if op == memory.LDGSTS:
        copied = memory.copy_to_shared(m, w, i, a, b, c, d, mask, predicate(P, i.in0, i.not0))
        if m.control[MISSED]:
            memory.note_missed(m, pc)
        return copied
    memory.addresses(m, i, a, b)
    if i.space != 0:
        record(m, mask)
    if op == memory.TOUCH:
        return True
    if op == memory.QSPC:
        write_predicate(P, i.p, memory.lanes_in(m, i.x, mask), mask)
        return True
    if op == memory.LDSM:
        return memory.load_matrices(m, w, i)
    if op == memory.STSM:
        return memory.store_matrices(m, w, i, c)
    if not memory.locate(m, w, i.access, i.bytes, i.z, reach, op == memory.LOAD):
        return False
    if m.control[MISSED]:
        memory.note_missed(m, pc)
    if op == memory.STORE:
        memory.store(m, c, i.bytes, mask)
        return True
    if i.access == GLOBAL or i.access == GENERIC or i.access == SHARED:
        livelock.note_read(m, w, pc, m.address[0, trailing_zeros32(np.uint32(mask))])
    if op == memory.LOAD:
        memory.load(m, i, i.bytes, reach)
    elif op == memory.ARRIVE:
        memory.arrive(m, mask)
    elif i.p & 7 != 7:  # a generic atomic that says whether it was done: outside global memory the code does it itself
        done = memory.lanes_in(m, GLOBAL, mask)
        atomics.atomic(m, i, c, d, done)
        write_predicate(P, i.p, done, mask)
    else:
        atomics.atomic(m, i, c, d, mask)
    return True


@njit
def compute(m: Machine, w: Warp, i: Decoded, pc: Index, base: Row, mask: Mask) -> bool:
    """Run one instruction that does not change control flow; False after an error."""
    R, P, op = m.registers, m.predicates[w], i.op
    a, b, c, d = row_of(i.a, base), row_of(i.b, base), row_of(i.c, base), row_of(i.d, base)
    if i.modified:
        a = modified(R, a, m.modifiers[pc, 0], 0)
        b = modified(R, b, m.modifiers[pc, 1], 1)
        c = modified(R, c, m.modifiers[pc, 2], 2)
    reach = ALL_LANES if i.uniform else mask
    result: MaskPair = np.int64(0)
    if op < 100:
        if not memory_operation(m, w, i, pc, a, b, c, d, mask, reach):
            return False
    else:
        in0, in1 = predicate(P, i.in0, i.not0), predicate(P, i.in1, i.not1)
        if op < 200:
            result = integer.execute(op, R, i, a, b, c, in0, in1)
        elif op < 250:
            result = float32.execute(op, R, i, a, b, c, in0, mask)
        elif op < 300:
            result = float64.execute(op, R, i, a, b, c, in0)
        elif op < 350:
            convert.execute(op, R, i, a, b, c, reach)
        elif op < 400:
            result = half.execute(op, R, i, a, b, c, in0)
        elif op >= tensor.HMMA:
            tensor.execute(op, m, i, a, b, c, d)
        else:
            in2 = predicate(P, i.in2, i.not2)
            result = warpwide.execute(op, R, P, i, a, b, c, in0, in1, in2, mask)
        # an instruction that writes uniform registers may still write a predicate of the running lanes alone
        write_predicate(P, i.p, result & ALL_LANES, reach if i.p > 7 else mask)
        write_predicate(P, i.q, (result >> 32) & ALL_LANES, reach if i.q > 7 else mask)
    if i.destination_words:
        write_back(R, base + i.destination, i.destination_words, reach)
    return True


@njit
def read_machine(m: Machine, w: Warp, i: Decoded, base: Row, mask: Mask) -> None:
    """S2R (special registers) and B2R (the result of BAR.RED)."""
    R = m.registers
    reach = ALL_LANES if i.uniform else mask
    if i.op == control.S2R:
        special.read_special(m, w, i.x)
    else:
        value = m.warps[w].barrier_result
        for lane in range(32):
            R[0, lane] = value
        write_predicate(m.predicates[w], i.p, ALL_LANES if value else np.int64(0), reach)
    write_back(R, base + i.destination, i.destination_words, reach)


@njit
def part(m: Machine, w: Warp, taken: Mask, rest: Mask, target: Index, pc: Index) -> Index:
    """Lanes that branch and lanes that do not; returns the program counter to go on with if all agree, else -1."""
    if rest == 0:
        return target
    if taken == 0:
        return pc + 1
    control.suspend(m, w, taken, target)
    control.suspend(m, w, rest, pc + 1)
    return np.int64(-1)


@njit
def branch(m: Machine, w: Warp, i: Decoded, pc: Index, base: Row, mask: Mask, active: Mask) -> Index:
    """Next program counter of the running lanes after a branch, -1 if they part, -2 for a bad target."""
    P = m.predicates[w]
    taken = mask & predicate(P, i.in0, i.not0)
    if i.op == control.BRA_DIV or i.op == control.BRA_CONV:
        named = np.int64(m.registers[row_of(i.a, base), 0])
        if i.x:
            named ^= ALL_LANES
        together = named & np.int64(m.warps[w].alive) & ~active == 0
        if together != (i.op == control.BRA_CONV):
            return pc + 1
    if i.op == control.JUMP_REGISTER:
        rest = active & ~taken
        if taken == 0:
            return pc + 1
        target = control.jump(m, w, taken, row_of(i.a, base), i.offset, m.table.size)
        if target == -2:
            return target
        if rest == 0 and target >= 0:
            return target
        control.suspend(m, w, rest, pc + 1)
        return np.int64(-1)
    return part(m, w, taken, active & ~taken, np.int64(i.target), pc)


@njit
def exit_lanes(m: Machine, w: Warp, i: Decoded, pc: Index, mask: Mask, active: Mask) -> Index:
    """EXIT: end lanes; returns the program counter of those that stay, -1 if none of the running ones does."""
    gone = mask & predicate(m.predicates[w], i.in0, i.not0)
    warp = m.warps[w]
    warp.alive = np.int64(warp.alive) & ~gone
    m.control[CHANGES] += np.int64(gone != 0)
    if gone and warp.waiting:
        control.release_converged(m, w)
    if active & ~gone == 0:
        return np.int64(-1)
    return pc + 1


@njit
def synchronise(m: Machine, w: Warp, i: Decoded, pc: Index, base: Row, mask: Mask, active: Mask) -> Index:
    """BSSY, BSYNC, BREAK, WARPSYNC, BAR, YIELD: next program counter, or -1 if the lanes were sent away."""
    op, R = i.op, m.registers
    if op == control.BSSY:
        row = control.barrier_row(m, w, i.x)
        for lane in range(32):
            if (mask >> lane) & 1:
                R[row, lane] = mask
        return pc + 1
    if op == control.BREAK:
        lanes = mask & predicate(m.predicates[w], i.in0, i.not0)
        control.leave(m, w, lanes, i.x)
        control.release_converged(m, w)
        return pc + 1
    if op == control.YIELD:
        warp = m.warps[w]
        warp.yields = min(warp.yields + 1, control.PATIENCE + 1)
        if warp.yields <= control.PATIENCE or warp.waiting == 0:
            return pc + 1
        warp.yields = 0
        freed = control.let_through(m, w)
        if freed:
            control.suspend(m, w, active, pc + 1)
            lane = 0
            while (freed >> lane) & 1 == 0:
                lane += 1
            warp.next_lane = lane
            return np.int64(-1)
        return pc + 1
    if op == control.BAR_SYNC or op == control.BAR_ARRIVE:
        in0 = predicate(m.predicates[w], i.in0, i.not0)
        control.arrive_cta(m, w, i, row_of(i.a, base), row_of(i.b, base), in0, mask, pc)
        if op == control.BAR_ARRIVE:
            return pc + 1
    else:
        number = np.int64(i.x)
        if op == control.WARPSYNC:
            row, source = control.barrier_row(m, w, number), row_of(i.a, base)
            first = R[source, trailing_zeros32(np.uint32(mask))]
            others = np.int64(0)
            for lane in range(32):
                if i.y and (mask >> lane) & 1 and R[source, lane] != first:
                    others |= np.int64(1) << lane
            if others:  # each group comes here again by itself
                control.suspend(m, w, mask & ~others, pc)
                control.suspend(m, w, others, pc)
                control.suspend(m, w, active & ~mask, pc + 1)
                return np.int64(-1)
            for lane in range(32):
                if (mask >> lane) & 1:
                    R[row, lane] = R[source, lane]
        if control.arrive(m, w, mask, pc, number) == mask:
            return pc + 1
    control.suspend(m, w, active & ~mask, pc + 1)
    return np.int64(-1)


@njit
def control_flow(m: Machine, w: Warp, i: Decoded, pc: Index, base: Row, mask: Mask, active: Mask) -> Index:
    """Run one control instruction; next program counter, -1 if the running lanes changed, -2 bad target, -3 trap."""
    op = i.op
    if op == control.NOP:
        return pc + 1
    if mask == 0:
        return pc + 1
    if op == control.S2R or op == control.B2R:
        read_machine(m, w, i, base, mask)
        return pc + 1
    if op == control.TRAP:
        return np.int64(-3)
    if op == control.EXIT:
        return exit_lanes(m, w, i, pc, mask, active)
    if op == control.BRA or op == control.BRA_DIV or op == control.BRA_CONV or op == control.JUMP_REGISTER:
        return branch(m, w, i, pc, base, mask, active)
    return synchronise(m, w, i, pc, base, mask, active)


@njit
def open_segment(m: Machine, w: Warp) -> None:
    s = m.control[SEGMENTS_USED]
    m.segments[s, 0] = (m.control[CTA] << 16) | w
    m.segments[s, 1] = m.control[INDEX_USED]
    m.segments[s, 3] = m.control[RECORDS_USED]
    m.segments[s, 5] = m.control[ADDRESSES_USED]


@njit
def close_segment(m: Machine) -> None:
    s = m.control[SEGMENTS_USED]
    m.segments[s, 2] = m.control[INDEX_USED]
    m.segments[s, 4] = m.control[RECORDS_USED]
    m.segments[s, 6] = m.control[ADDRESSES_USED]
    m.control[SEGMENTS_USED] = s + 1


@njit
def log_instruction(m: Machine, i: Decoded, pc: Index, mask: Mask) -> None:
    at = m.control[INDEX_USED]
    m.log_index[at] = pc
    m.log_mask[at] = mask
    m.control[INDEX_USED] = at + 1
    if mask == 0 and i.space != 0:
        record(m, mask)
        if i.space == GLOBAL_TO_SHARED:
            record(m, mask)


@njit
def select(m: Machine, w: Warp) -> Lane:
    """A lane of the group to run next; -1 if no lane can run."""
    warp = m.warps[w]
    lane = np.int64(warp.next_lane)
    warp.next_lane = -1
    if lane >= 0 and (control.runnable(m, w) >> lane) & 1:
        return lane
    return control.lowest_lane(m, w)


@njit
def next_group(m: Machine, w: Warp) -> tuple[Index, Mask]:
    """Program counter and lanes of the group to run next; no lanes if none can run."""
    lane = select(m, w)
    if lane < 0:
        return np.int64(-1), np.int64(0)
    return np.int64(m.lane_pc[w, lane]), control.companions(m, w, lane)


@njit
def run_slice(m: Machine, w: Warp) -> ErrorCode:
    """Run groups of a warp's lanes until none can run or the time slice is over; returns an error code.

    The first turn, and the first behind a CTA barrier, ends before the first write to global or shared memory: the
    warps go on together there, so what all of them read at first, they read before any of them has changed it.
    """
    if m.control[SEGMENTS_USED] >= m.segments.shape[0]:
        return LOG_FULL
    g = m.geometry
    base, begin, count = g[FIRST_REGISTER_ROW] + w * g[ROWS_PER_WARP], m.control[INDEX_USED], m.table.size
    end = begin + g[TIME_SLICE]
    code = OK
    m.control[SLICE_BEGIN], m.control[YIELDED] = begin, 0
    open_segment(m, w)
    first_turn = m.warps[w].begun == 0 and g[WARPS] > 1
    pc, active = next_group(m, w)
    while active and m.control[INDEX_USED] < end:
        if pc >= count or pc < 0:
            code = BAD_TARGET if pc >= 0 else CALLED
            break
        if not has_room(m):
            code = LOG_FULL
            break
        i = m.table[pc]
        if (
            first_turn
            and (i.op == memory.STORE or i.op == memory.ATOMIC)
            and (i.access == GLOBAL or i.access == GENERIC or i.access == SHARED)
        ):
            break
        mask = active & predicate(m.predicates[w], i.guard, i.guard_negate)
        log_instruction(m, i, pc, mask)
        if i.op > control.LAST_CONTROL:
            if mask and not compute(m, w, i, pc, base, mask):
                code = m.control[ERROR]
                break
            pc += 1
            if m.control[YIELDED]:
                break
            continue
        after = control_flow(m, w, i, pc, base, mask, active)
        if after <= -2:
            code = BAD_TARGET if after == -2 else TRAPPED
            break
        if i.op == control.EXIT:
            active &= np.int64(m.warps[w].alive)
        pc = after
        if after == -1:
            pc, active = next_group(m, w)
    close_segment(m)
    m.control[CLOCK] += m.control[INDEX_USED] - begin
    m.polls[w, WARP_CLOCK] += m.control[INDEX_USED] - begin
    m.control[ERROR_PC], m.control[ERROR_WARP], m.control[CALL_LANES] = pc, w, active
    goes_on = code == LOG_FULL or code == CALLED
    if not goes_on:
        m.warps[w].begun = 1
    if active:
        control.suspend(m, w, active, pc)
        m.warps[w].next_lane = trailing_zeros32(np.uint32(active)) if goes_on else control.oldest_lane(m, w)
    control.finish_slice(m, w)
    return code


@njit
def start_cta(m: Machine) -> None:
    """Registers, predicates, shared and local memory of a new CTA: zero; every thread at the first instruction."""
    g = m.geometry
    warps = g[WARPS]
    m.registers[g[FIRST_REGISTER_ROW] :, :] = 0
    m.barriers[:, :] = 0
    m.lane_pc[:, :] = 0
    m.lane_group[:, :] = 0
    m.lane_wait[:, :] = 0
    shared = g[SHARED_WORD]
    m.memory[shared : shared + (g[SHARED_BYTES] >> 2)] = 0
    local = g[LOCAL_WORD]
    m.memory[local : local + ((warps * 32 * g[LOCAL_BYTES]) >> 2)] = 0
    for w in range(warps):
        m.predicates[w, :] = 0
        m.predicates[w, 7] = ALL_LANES
        m.predicates[w, 15] = ALL_LANES
        warp = m.warps[w]
        warp.alive = ALL_LANES >> max(32 * (w + 1) - g[THREADS], 0)
        warp.waiting = 0
        warp.status = READY
        warp.yields = 0
        warp.next_lane = -1
        warp.barrier_result = 0
        warp.begun = 0
    m.polls[:, :] = 0
    m.polls[:, FIRST_READ + KNOWN_PC :: READ_COLUMNS] = -1
    c = m.control
    c[STARTED], c[NEXT_WARP], c[PROGRESS], c[BARRIERS_TOUCHED], c[GROUPS] = 1, 0, 0, 0, 0
    c[CTA] = m.order[c[POSITION]] if m.order.size else c[POSITION]
    c[CTA_CLOCK], c[CHANGES_SEEN] = c[CLOCK], -1
    c[POLLED], c[PASS_CHANGES], c[IDLE_PASSES] = 0, c[CHANGES], 0


@njit
def release_barriers(m: Machine) -> bool:
    """Look at the CTA barriers with arrivals; returns whether one was released."""
    released = False
    for b in range(16):
        if (m.control[BARRIERS_TOUCHED] >> b) & 1 and control.release_cta_barrier(m, b):
            m.control[BARRIERS_TOUCHED] &= ~(np.int64(1) << b)
            released = True
    return released


@njit
def end_pass(m: Machine) -> ErrorCode:
    """After every warp had its turn: release barriers, notice the end of the CTA, a deadlock, or a run without end."""
    c = m.control
    moved = c[PROGRESS] + release_barriers(m)
    idle = c[POLLED] == c[PROGRESS] and c[CHANGES] == c[PASS_CHANGES]
    c[NEXT_WARP], c[PROGRESS], c[POLLED], c[PASS_CHANGES] = 0, 0, 0, c[CHANGES]
    if moved:
        if livelock.stuck(m):
            return NO_PROGRESS
        if c[CLOCK] - c[CTA_CLOCK] > m.geometry[CTA_LIMIT]:
            return LIMIT_REACHED
        c[IDLE_PASSES] = c[IDLE_PASSES] + 1 if idle else 0
        return IDLE if c[IDLE_PASSES] >= c[IDLE_LIMIT] else OK
    for w in range(m.geometry[WARPS]):
        if m.warps[w].status != FINISHED:
            return DEADLOCK
    c[STARTED] = 0
    c[POSITION] += 1
    return OK


@kernel
def run_ctas(m: Machine, end: Number, enough: Number, pause: Clock) -> ErrorCode:
    """Run CTAs in m.order from the current position up to `end` until the log holds `enough` instructions.

    Returns an error code; PAUSED where the clock has reached `pause` before that, IDLE where the CTA only polls.
    """
    c = m.control
    while c[POSITION] < end and (c[STARTED] or c[INDEX_USED] < enough):
        if c[STARTED] == 0:
            start_cta(m)
        for w in range(c[NEXT_WARP], m.geometry[WARPS]):
            if m.warps[w].status == READY:
                c[NEXT_WARP] = w
                code = run_slice(m, w)
                if code != OK:
                    return code
                c[PROGRESS] += 1
                c[POLLED] += c[YIELDED]
                if c[CLOCK] >= pause:
                    c[NEXT_WARP] = w + 1
                    return PAUSED
        code = end_pass(m)
        if code != OK:
            return code
    return OK
