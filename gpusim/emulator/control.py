"""Warp control flow: which lanes run, where, and what they wait for.

Volta and later give every lane its own program counter and let the compiler name the points of reconvergence:
BSSY notes the running lanes in a convergence barrier, BSYNC makes lanes wait until all noted lanes that have not exited
or left (BREAK) arrive. The running subset of a warp's lanes has one program counter; where lanes part, all of them go
back to `lane_pc` in groups, and the group with the lowest program counter runs on. Groups meet again at barriers only,
not where their program counters happen to agree. Barrier registers are kept per lane, so that
two subsets that use the same register at different times do not disturb each other.

A loop that spins on other lanes of its own warp announces itself with YIELD. After PATIENCE of them, lanes that wait
at a convergence barrier are let through: the guarantee of forward progress between lanes that the CUDA
programming model gives for Volta and later.
"""

from __future__ import annotations

import numpy as np

from gpusim.constants import ALL_LANES
from gpusim.emulator.bits import popcount32
from gpusim.emulator.state import (
    AT_BARRIER,
    BARRIER_REGISTERS,
    BARRIER_ROW,
    BARRIERS_TOUCHED,
    CHANGES,
    FINISHED,
    FIRST_REGISTER_ROW,
    GROUPS,
    LAST_RUNTIME_PC,
    READY,
    ROWS_PER_WARP,
    RUNNABLE,
    WAIT_CTA,
    WARPS,
    Machine,
)
from gpusim.emulator.types import (
    Bytes,
    ConvergenceBarrier,
    CtaBarrier,
    Decoded,
    Flag,
    Index,
    Lane,
    Mask,
    Number,
    Row,
    WaitCode,
    Warp,
)
from gpusim.jit import njit

(
    NOP,
    BRA,
    EXIT,
    BSSY,
    BSYNC,
    BREAK,
    BRA_DIV,
    BRA_CONV,
    WARPSYNC,
    JUMP_REGISTER,
    BAR_SYNC,
    BAR_ARRIVE,
    YIELD,
    B2R,
    S2R,
    TRAP,
) = range(16)
LAST_CONTROL = 15

PATIENCE = 64
"""YIELDs before waiting lanes are let through; more than the 32 turns that a loop of one lane after another takes."""

# BAR.RED operations in x; columns of m.barriers.
RED_NONE, RED_POPC, RED_AND, RED_OR = range(4)
ARRIVED, COUNT, ANDED, ORED, EXPECTED, KIND = range(6)


@njit
def barrier_row(m: Machine, w: Warp, b: ConvergenceBarrier) -> Row:
    g = m.geometry
    return g[FIRST_REGISTER_ROW] + w * g[ROWS_PER_WARP] + g[BARRIER_ROW] + b


@njit
def regroup(m: Machine, w: Warp, mask: Mask) -> None:
    """Make lanes one group, apart from all others."""
    m.control[GROUPS] += 1
    for lane in range(32):
        if (mask >> lane) & 1:
            m.lane_group[w, lane] = m.control[GROUPS]


@njit
def suspend(m: Machine, w: Warp, mask: Mask, pc: Index) -> None:
    """Send running lanes away as one group that goes on at pc."""
    regroup(m, w, mask)
    for lane in range(32):
        if (mask >> lane) & 1:
            m.lane_pc[w, lane] = pc


@njit
def runnable(m: Machine, w: Warp) -> Mask:
    return np.int64(m.warps[w].alive) & ~np.int64(m.warps[w].waiting)


@njit
def companions(m: Machine, w: Warp, leader: Lane) -> Mask:
    """Runnable lanes of the leader's group at its program counter."""
    lanes = runnable(m, w)
    for lane in range(32):
        same = m.lane_group[w, lane] == m.lane_group[w, leader] and m.lane_pc[w, lane] == m.lane_pc[w, leader]
        if not same:
            lanes &= ~(np.int64(1) << lane)
    return lanes


@njit
def lowest_lane(m: Machine, w: Warp) -> Lane:
    """A runnable lane with the lowest program counter; -1 if there is none."""
    lanes, best = runnable(m, w), np.int64(-1)
    for lane in range(32):
        if (lanes >> lane) & 1 and (best < 0 or m.lane_pc[w, lane] < m.lane_pc[w, best]):
            best = np.int64(lane)
    return best


@njit
def oldest_lane(m: Machine, w: Warp) -> Lane:
    """A runnable lane of the group that has not run for longest; -1 if there is none."""
    lanes, best = runnable(m, w), np.int64(-1)
    for lane in range(32):
        if (lanes >> lane) & 1 and (best < 0 or m.lane_group[w, lane] < m.lane_group[w, best]):
            best = np.int64(lane)
    return best


@njit
def wait(m: Machine, w: Warp, mask: Mask, pc: Index, code: WaitCode) -> None:
    """Lanes of mask wait with a wait code and go on at pc."""
    for lane in range(32):
        if (mask >> lane) & 1:
            m.lane_pc[w, lane] = pc
            m.lane_wait[w, lane] = code
    m.warps[w].waiting = np.int64(m.warps[w].waiting) | mask


@njit
def release(m: Machine, w: Warp, mask: Mask) -> None:
    """Let waiting lanes go on, as one group where they go on at the same place."""
    regroup(m, w, mask)
    for lane in range(32):
        if (mask >> lane) & 1:
            m.lane_wait[w, lane] = RUNNABLE
    m.warps[w].waiting = np.int64(m.warps[w].waiting) & ~mask


@njit
def waiting_at(m: Machine, w: Warp, code: WaitCode) -> Mask:
    lanes = np.int64(m.warps[w].waiting)
    for lane in range(32):
        if (lanes >> lane) & 1 and m.lane_wait[w, lane] != code:
            lanes &= ~(np.int64(1) << lane)
    return lanes


@njit
def release_converged(m: Machine, w: Warp) -> None:
    """Let go the lanes of every convergence barrier at which all of its live lanes have arrived."""
    alive = np.int64(m.warps[w].alive)
    for lane in range(32):
        code = m.lane_wait[w, lane]
        if (np.int64(m.warps[w].waiting) >> lane) & 1 and code <= 1 + BARRIER_REGISTERS:
            needed = np.int64(m.registers[barrier_row(m, w, code - 1), lane]) & alive
            if needed & ~waiting_at(m, w, code) == 0:
                release(m, w, needed | (np.int64(1) << lane))


@njit
def arrive(m: Machine, w: Warp, active: Mask, pc: Index, b: ConvergenceBarrier) -> Mask:
    """Running lanes reach convergence barrier b; returns the lanes that go on at once (all) or 0."""
    first = np.int64(0)
    while (active >> first) & 1 == 0:
        first += 1
    needed = np.int64(m.registers[barrier_row(m, w, b), first]) & np.int64(m.warps[w].alive)
    if needed & ~active == 0:
        return active
    wait(m, w, active, pc + 1, 1 + b)
    release_converged(m, w)
    return np.int64(0)


@njit
def leave(m: Machine, w: Warp, lanes: Mask, b: ConvergenceBarrier) -> None:
    """Take lanes out of convergence barrier b of everyone that noted them."""
    row = barrier_row(m, w, b)
    for lane in range(32):
        m.registers[row, lane] = np.int64(m.registers[row, lane]) & ~lanes


@njit
def let_through(m: Machine, w: Warp) -> Mask:
    """Release lanes that wait at a convergence barrier, without those they wait for; returns them."""
    freed = np.int64(0)
    for b in range(BARRIER_REGISTERS):
        lanes = waiting_at(m, w, 1 + b)
        if lanes:
            leave(m, w, lanes, b)
            release(m, w, lanes)
            freed |= lanes
    return freed


@njit
def jump(m: Machine, w: Warp, active: Mask, a: Row, offset: Bytes, count: Number) -> Index:
    """Send lanes to the instruction at register a + offset bytes; the one target, -1 if they part, -2 if it is bad.

    Those that call a function of the CUDA runtime part from what runs.
    """
    only = np.int64(-1)
    same: Flag = True
    regroup(m, w, active)
    for lane in range(32):
        if (active >> lane) & 1:
            target = np.int64(np.int32(m.registers[a, lane])) + offset
            if target & 15:
                return np.int64(-2)
            target >>= 4
            if target >= count or target < LAST_RUNTIME_PC or target == -1:
                return np.int64(-2)
            m.lane_pc[w, lane] = target
            same &= bool(target >= 0 and (only == -1 or only == target))
            only = target
    return only if same else np.int64(-1)


@njit
def barrier_reduce(m: Machine, b: CtaBarrier, mask: Mask, in0: Mask) -> None:
    """Add the running lanes' predicate to the reduction of CTA barrier b."""
    m.barriers[b, COUNT] += popcount32(np.uint32(mask & in0))
    m.barriers[b, ANDED] |= np.int64(mask & ~in0 != 0)
    m.barriers[b, ORED] |= np.int64(mask & in0 != 0)


@njit
def arrive_cta(m: Machine, w: Warp, i: Decoded, a: Row, b: Row, in0: Mask, active: Mask, pc: Index) -> None:
    """BAR: note the arrival of the running lanes at CTA barrier a, of b threads in all (0: every thread of the CTA)."""
    first = np.int64(0)
    while (active >> first) & 1 == 0:
        first += 1
    number = np.int64(m.registers[a, first]) & 15
    m.control[BARRIERS_TOUCHED] |= np.int64(1) << number
    m.barriers[number, EXPECTED] = np.int64(m.registers[b, first])
    if i.op == BAR_ARRIVE:
        m.barriers[number, ARRIVED] += 32
        return
    m.barriers[number, KIND] = i.x
    if i.x != RED_NONE:
        barrier_reduce(m, number, active, in0)
    wait(m, w, active, pc + 1, WAIT_CTA + number)


@njit
def reduction_result(m: Machine, b: CtaBarrier) -> Number:
    kind = m.barriers[b, KIND]
    if kind == RED_POPC:
        return m.barriers[b, COUNT]
    if kind == RED_AND:
        return ALL_LANES if m.barriers[b, ANDED] == 0 else np.int64(0)
    return ALL_LANES if m.barriers[b, ORED] else np.int64(0)


@njit
def release_cta_barrier(m: Machine, b: CtaBarrier) -> bool:
    """Release CTA barrier b if enough threads have arrived; returns whether it did."""
    threads, arrived, warps = np.int64(0), m.barriers[b, ARRIVED], m.geometry[WARPS]
    expected = m.barriers[b, EXPECTED]
    for w in range(warps):
        alive = np.int64(m.warps[w].alive)
        here = waiting_at(m, w, WAIT_CTA + b)
        threads += popcount32(np.uint32(alive))
        if here:
            # a count is in whole warps: exited and never-started lanes of an arriving warp are part of it
            arrived += popcount32(np.uint32(here | (~alive & ALL_LANES) if expected else here))
    if arrived == 0 or arrived < (expected if expected else threads):
        return False
    for w in range(warps):
        here = waiting_at(m, w, WAIT_CTA + b)
        if here:
            release(m, w, here)
            m.warps[w].status = READY
            m.warps[w].barrier_result = reduction_result(m, b)
            m.warps[w].begun = 0
    m.barriers[b, :] = 0
    m.control[CHANGES] += 1
    return True


@njit
def finish_slice(m: Machine, w: Warp) -> None:
    """Set the status of a warp that stopped running."""
    warp = m.warps[w]
    if warp.alive == 0:
        warp.status = FINISHED
    elif warp.alive == warp.waiting:
        warp.status = AT_BARRIER
    else:
        warp.status = READY
