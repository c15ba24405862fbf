"""Why a resident warp did not issue in a cycle, named as in Nsight Compute. Light: compiled code imports it."""

from __future__ import annotations

from enum import IntEnum


class Stall(IntEnum):
    """One reason per resident warp and cycle. The order is the column order of every stall table."""

    SELECTED = 0
    NOT_SELECTED = 1
    WAIT = 2
    LONG_SCOREBOARD = 3
    SHORT_SCOREBOARD = 4
    NO_INSTRUCTION = 5
    IMC_MISS = 6
    MATH_PIPE_THROTTLE = 7
    MIO_THROTTLE = 8
    LG_THROTTLE = 9
    TEX_THROTTLE = 10
    DISPATCH_STALL = 11
    BRANCH_RESOLVING = 12
    BARRIER = 13
    MEMBAR = 14
    SLEEPING = 15
    DRAIN = 16
    MISC = 17


STALL_REASONS: tuple[str, ...] = tuple(reason.name.lower() for reason in Stall)

STALL_MEANINGS: dict[Stall, str] = {
    Stall.SELECTED: "the warp issued an instruction",
    Stall.NOT_SELECTED: "ready, but the scheduler issued another warp",
    Stall.WAIT: "stall counter of the previous instruction not yet zero, or it yielded",
    Stall.LONG_SCOREBOARD: "waits on a dependence counter of a global, local or texture access",
    Stall.SHORT_SCOREBOARD: "waits on a dependence counter of shared memory, SFU, FP64 or another variable unit",
    Stall.NO_INSTRUCTION: "the instruction buffer is empty: instruction cache miss or refill",
    Stall.IMC_MISS: "a constant operand misses the L0 constant cache",
    Stall.MATH_PIPE_THROTTLE: "the input latch of the execution unit is busy",
    Stall.MIO_THROTTLE: "the memory queue has no room for a shared-memory or special instruction",
    Stall.LG_THROTTLE: "the memory queue has no room for a global or local access",
    Stall.TEX_THROTTLE: "the memory queue has no room for a texture access",
    Stall.DISPATCH_STALL: "the issue port is blocked: register read ports, result queue or pipeline latch busy",
    Stall.BRANCH_RESOLVING: "the instruction buffer refills after a taken branch",
    Stall.BARRIER: "waits for the other warps of its CTA at a barrier",
    Stall.MEMBAR: "waits for a memory barrier",
    Stall.SLEEPING: "NANOSLEEP",
    Stall.DRAIN: "exited, its stores are still on the way",
    Stall.MISC: "any other reason",
}
