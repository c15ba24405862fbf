"""Numbers that several parts share, compiled code among them: of the machine code, of warps and of memory.

Part of every compiled-code cache key (gpusim.jit), so what belongs to one part alone stays there.
"""

from __future__ import annotations

from enum import IntEnum

INSTRUCTION_BYTES = 16
"""Every instruction of Volta and later is 128 bits long."""
COUNTERS = 6
"""Dependence counters of a warp, SB0 to SB5."""
NO_COUNTER = 7
"""Value of a dependence-counter field that names none of them."""
WARP_SIZE = 32
ALL_LANES = 0xFFFFFFFF
"""Mask of a whole warp."""
LINE_BYTES = 128
"""Cache line of L1D and L2, and what a warp's addresses are coalesced to."""
SECTOR_BYTES = 32
SECTORS = LINE_BYTES // SECTOR_BYTES
CONSTANT_BANK_BITS = 20
"""Of an offset in a constant bank; above them stands the bank's number, so that banks have addresses of one space."""
EXPLICIT = -(1 << 63)
"""Stride of a memory record whose addresses are listed one by one (gpusim.trace.trace.MEMORY_RECORD_DTYPE)."""
ADDRESS_SPACE = 1 << 49
"""Bytes that a GPU can address: 49 bits (NVIDIA Tesla P100 whitepaper: unified memory)."""
SHARED_WINDOW = 0x7E0000000000
"""Generic address of shared memory; kernels read it from c[0][0x18]."""
LOCAL_WINDOW = 0x7E8000000000
"""Generic address of local memory; kernels read it from c[0][0x20]."""
WINDOW_BYTES = 1 << 24


class MemorySpace(IntEnum):
    """Memory space of an instruction with an address; NONE for all others."""

    NONE = 0
    GLOBAL = 1
    SHARED = 2
    LOCAL = 3
    CONSTANT = 4
    GENERIC = 5
    GLOBAL_TO_SHARED = 6
