"""What the timing model distinguishes among instructions, and among units."""

from __future__ import annotations

from enum import IntEnum


class Kind(IntEnum):
    """Path of an instruction through the pipeline; memory kinds are those from MEMORY on."""

    FIXED = 0
    SFU = 1
    FP64 = 2
    MISC_QUEUE = 3
    BRANCH = 4
    EXIT = 5
    DEPBAR = 6
    ASYNC_BARRIER = 7  # LDGDEPBAR
    MEMBAR = 8
    MEMORY = 9  # first of those that pass the sub-core's memory queue
    GLOBAL_LOAD = 9
    GLOBAL_STORE = 10
    GLOBAL_ATOMIC = 11
    GLOBAL_REDUCTION = 12
    SHARED_LOAD = 13
    SHARED_STORE = 14
    SHARED_ATOMIC = 15
    SHUFFLE = 16
    SPECIAL = 17  # S2R SR_TID and others that pass the memory unit without an address
    GLOBAL_TO_SHARED = 18
    ADU = 19  # first of those of the ADU: other S2R, S2UR, R2UR
    CONSTANT_LOAD = 20
    BARRIER = 21


class Unit(IntEnum):
    """Units whose input latch is checked at issue, in every sub-core. NONE: nothing is checked."""

    INT = 0
    FP32 = 1
    TENSOR = 2
    UNIFORM = 3
    BRANCH = 4
    MISC = 5
    NONE = 6


VARIABLE_SFU, VARIABLE_FP64, VARIABLE_MISC = 0, 1, 2
"""Rows of SUB_CORE.variable_free."""
