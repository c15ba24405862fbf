"""Does a CTA still get on, and which of its warps only poll? CTAs run one after another, so a loop that waits for
another CTA would never end.

Two ways to know, both only while nothing changes: no store or atomic that changes memory, no lane that exits, no CTA
barrier that opens. First, the state of all warps is the same as after an earlier pass: what runs next depends on
nothing else, so it repeats for ever. Second, for loops that count their turns or read the clock: for POLL_LIMIT
instructions every warp has only read one address again and again.
"""

from __future__ import annotations

import numpy as np

from gpusim.emulator.state import (
    CHANGE_CLOCK,
    CHANGES,
    CHANGES_SEEN,
    CLOCK,
    CLOCK_READ,
    FIRST_READ,
    FIRST_REGISTER_ROW,
    INDEX_USED,
    KNOWN_ADDRESS,
    KNOWN_CHANGES,
    KNOWN_NEW_READS,
    KNOWN_PC,
    LOOKED_CLOCK,
    NEW_READS,
    NEXT_KEPT,
    PASSES,
    POLL_ADDRESS,
    POLL_COLUMNS,
    POLL_COUNT,
    POLL_LIMIT,
    POLL_PC,
    POLLING,
    READ_CLOCK,
    READ_COLUMNS,
    READS,
    READY,
    SLICE_BEGIN,
    STATE_HASH,
    TIME_SLICE,
    WARP_CLOCK,
    WARPS,
    YIELDED,
    Machine,
)
from gpusim.emulator.types import Address, Index, Number, Warp, Word
from gpusim.jit import njit

ENOUGH_POLLS = 1000
"""Repetitions of one read after which a warp counts as polling."""
MULTIPLIER = np.int64(6364136223846793005)
"""Of a 64-bit linear congruential generator (D. Knuth's MMIX)."""


@njit(forceinline=True)
def mix(value: Number, word: Word | Number) -> Number:
    return (value ^ np.int64(word)) * MULTIPLIER + np.int64(1442695040888963407)


@njit
def note_read(m: Machine, w: Warp, pc: Index, address: Address) -> None:
    """A read of global or shared memory: count it as a poll if since it was last done the warp has read nothing new.

    A poll of memory that nothing has changed meanwhile ends the warp's time slice: how often a warp polls is a matter
    of time, which is not known here, and its next poll finds something new only when others have run.
    """
    c, p = m.control, m.polls
    clock = p[w, WARP_CLOCK] + c[INDEX_USED] - c[SLICE_BEGIN]
    known = np.int64(-1)
    for at in range(FIRST_READ, POLL_COLUMNS, READ_COLUMNS):
        if p[w, at + KNOWN_PC] == pc and p[w, at + KNOWN_ADDRESS] == address:
            known = np.int64(at)
    if known >= 0 and p[w, known + KNOWN_NEW_READS] == p[w, NEW_READS]:
        p[w, POLL_PC], p[w, POLL_ADDRESS] = pc, address
        p[w, POLL_COUNT] += 1
        c[POLLING] += clock - p[w, READ_CLOCK]
        if p[w, known + KNOWN_CHANGES] == c[CHANGES]:
            c[YIELDED] = 1
    elif known < 0:
        p[w, NEW_READS] += 1
        p[w, POLL_COUNT] = 0
        known = FIRST_READ + p[w, NEW_READS] % READS * READ_COLUMNS
        p[w, known + KNOWN_PC], p[w, known + KNOWN_ADDRESS] = pc, address
    p[w, known + KNOWN_NEW_READS], p[w, known + KNOWN_CHANGES] = p[w, NEW_READS], c[CHANGES]
    p[w, READ_CLOCK] = clock


@njit
def lanes_hash(m: Machine, w: Warp, value: Number) -> Number:
    """Program counters, waits and the order of the groups of a warp's lanes (their numbers only grow)."""
    for lane in range(32):
        rank: Number = 0
        for other in range(32):
            rank += np.int64(m.lane_group[w, other] < m.lane_group[w, lane])
        value = mix(mix(mix(value, m.lane_pc[w, lane]), m.lane_wait[w, lane]), rank)
    return value


@njit
def state_hash(m: Machine) -> Number:
    """A number that stands for all that decides what the CTA's warps do next, but memory."""
    value: Number = np.int64(0)
    for row in range(m.geometry[FIRST_REGISTER_ROW], m.registers.shape[0]):
        for lane in range(32):
            value = mix(value, m.registers[row, lane])
    for b in range(m.barriers.shape[0]):
        for column in range(m.barriers.shape[1]):
            value = mix(value, m.barriers[b, column])
    for w in range(m.geometry[WARPS]):
        warp = m.warps[w]
        value = mix(mix(mix(value, warp.alive), warp.waiting), warp.status)
        value = mix(mix(mix(value, warp.yields), warp.next_lane), warp.barrier_result)
        for k in range(m.predicates.shape[1]):
            value = mix(value, m.predicates[w, k])
        value = lanes_hash(m, w, value)
    return value


@njit
def all_poll(m: Machine) -> bool:
    """Whether every warp that can run does nothing but read one address."""
    for w in range(m.geometry[WARPS]):
        if m.warps[w].status == READY and m.polls[w, POLL_COUNT] < ENOUGH_POLLS:
            return False
    return True


@njit
def stuck(m: Machine) -> bool:
    """Called after every pass over the CTA's warps: whether the CTA will never end.

    The state is looked at after a time slice's instructions, since passes of warps that poll are short. It is kept
    after 1, 2, 4, 8 ... looks without a change, so that a loop of any length is found.
    """
    c = m.control
    if c[CHANGES] != c[CHANGES_SEEN]:
        c[CHANGES_SEEN], c[CHANGE_CLOCK], c[PASSES], c[NEXT_KEPT] = c[CHANGES], c[CLOCK], 0, 1
        c[LOOKED_CLOCK] = c[CLOCK]
        return False
    if c[CLOCK] - c[LOOKED_CLOCK] < m.geometry[TIME_SLICE]:
        return False
    c[LOOKED_CLOCK] = c[CLOCK]
    c[PASSES] += 1
    value = state_hash(m)
    if c[CLOCK_READ]:  # what runs next depends on the time
        value, c[CLOCK_READ] = mix(value, c[CLOCK]), 0
    if c[PASSES] > 1 and value == c[STATE_HASH]:
        return True
    if c[PASSES] == c[NEXT_KEPT]:
        c[STATE_HASH] = value
        c[NEXT_KEPT] *= 2
    return c[CLOCK] - c[CHANGE_CLOCK] > m.geometry[POLL_LIMIT] and all_poll(m)
