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
    BARRIER = 6
    DEPBAR = 7
    ASYNC_BARRIER = 8  # LDGDEPBAR
    MEMBAR = 9
    MEMORY = 10  # first of the memory kinds
    GLOBAL_LOAD = 10
    GLOBAL_STORE = 11
    GLOBAL_ATOMIC = 12
    GLOBAL_REDUCTION = 13
    SHARED_LOAD = 14
    SHARED_STORE = 15
    SHARED_ATOMIC = 16
    SHUFFLE = 17
    SPECIAL = 18  # S2R and others that pass the memory unit without an address
    CONSTANT_LOAD = 19
    GLOBAL_TO_SHARED = 20


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
