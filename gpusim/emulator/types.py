"""What the numbers in signatures of the emulator's compiled functions mean; nothing checks them once compiled.

Whole numbers are int64 there, but for the words of registers and memory, which are uint32, and pairs of them, which
are uint64. These are converted before they meet an int64: Numba makes a float64 of a sum of uint64 and int64.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

Number: TypeAlias = "int | np.int64"
"""A whole number that is none of those below: a count, a value of a register, a hash."""
Flag: TypeAlias = "bool | np.bool | Number"
"""Whether something holds: a bool, or a number that is not 0."""

# ---- tables of a Machine and their rows

Registers: TypeAlias = np.ndarray
"""Machine.registers: (rows, 32) words."""
Predicates: TypeAlias = np.ndarray
"""A warp's row of Machine.predicates: a mask per predicate."""
Modifier: TypeAlias = np.ndarray
"""Words mode, and, xor, extra: a row of Machine.modifiers of one instruction."""
Decoded: TypeAlias = Any
"""A row of Machine.table, np.record: its fields are those of DECODED_DTYPE."""
Geometry: TypeAlias = np.ndarray
"""Machine.geometry."""

# ---- which

Row: TypeAlias = Number
"""Row of Machine.registers."""
RelativeRow: TypeAlias = Number
"""A row from the first one of the warp on, or ~row where it is the same for all warps."""
Predicate: TypeAlias = Number
"""0 to 7: P0 to PT; 8 to 15: UP0 to UPT."""
Warp: TypeAlias = Number
"""Number of a warp in its CTA."""
Lane: TypeAlias = Number
"""0 to 31; -1: none."""
Thread: TypeAlias = Number
"""Number of a thread in its CTA."""
Mask: TypeAlias = Number
"""A bit per lane."""
MaskPair: TypeAlias = Number
"""Two masks, p | q << 32: the predicate results of an operation."""
Index: TypeAlias = Number
"""Index of an instruction: row of Machine.table. -1 and below: none, for the reason that the function states."""
ConvergenceBarrier: TypeAlias = Number
"""Number of a barrier register of a warp, B0 to B15."""
CtaBarrier: TypeAlias = Number
"""Number of a barrier of the CTA, row of Machine.barriers."""
Bank: TypeAlias = Number
"""Number of a constant bank; only that space has any."""

# ---- values

Word: TypeAlias = np.uint32
"""32 bits of a register or of memory."""
Pair: TypeAlias = np.uint64
"""64 bits: two words, the low one first."""
Single: TypeAlias = np.float32
Double: TypeAlias = "float | np.float64"
Address: TypeAlias = Number
"""In bytes, within a memory space or generic."""
WordIndex: TypeAlias = Number
"""Place in Machine.memory; -1: outside."""
Bytes: TypeAlias = Number
"""A size, or a distance between addresses."""

# ---- codes

Operation: TypeAlias = Number
"""What is done: DECODED_DTYPE.op, or the choice of an atomic, of MUFU, or of how predicates are combined."""
Flags: TypeAlias = Number
"""Bits of a decoded instruction's x: flags and rounding mode as in float32.py, or what the operation says."""
Rounding: TypeAlias = Number
"""NEAREST, DOWN, UP or ZERO of bits.py."""
Comparison: TypeAlias = Number
"""Code of a comparison: LT ... ALWAYS of integer.py, LESS | EQUAL | GREATER | UNORDERED of float32.py."""
Format: TypeAlias = Number
"""Code of a format of numbers, of those in convert.py, atomics.py or tensor.py."""
Space: TypeAlias = Number
"""MemorySpace."""
SpecialRegister: TypeAlias = Number
"""Code of a special register, of NAMES in special.py."""
WaitCode: TypeAlias = Number
"""What a lane waits for: see Machine.lane_wait."""
ErrorCode: TypeAlias = int
"""OK ... PAUSED of state.py."""
Clock: TypeAlias = Number
"""Warp instructions executed so far in the launch."""
