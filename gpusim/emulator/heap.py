"""The heap that device code allocates from with malloc and new."""

from __future__ import annotations

import bisect

HEAP_BYTES = 8 << 20
"""CUDA's default, cudaLimitMallocHeapSize (CUDA C++ Programming Guide, Dynamic Global Memory Allocation)."""
ALIGNMENT = 16


class DeviceHeap:
    """Hands out parts of one buffer, first fit. Contents are left as they are."""

    def __init__(self, address: int, size: int = HEAP_BYTES) -> None:
        self._free = [(address, size)] if size else []  # start and bytes, by start
        self._taken: dict[int, int] = {}

    def allocate(self, size: int, alignment: int = ALIGNMENT) -> int:
        """The address of so many bytes, a multiple of 16 and of `alignment`; 0 where there is no room."""
        whole = max(-(-size // ALIGNMENT) * ALIGNMENT, ALIGNMENT)
        alignment = max(alignment, ALIGNMENT)
        for k, (start, room) in enumerate(self._free):
            address = -(-start // alignment) * alignment
            left = start + room - address - whole
            if left >= 0:
                parts = (start, address - start), (address + whole, left)
                self._free[k : k + 1] = [part for part in parts if part[1]]
                self._taken[address] = whole
                return address
        return 0

    def release(self, address: int) -> bool:
        """Take a part back; whether it was one."""
        whole = self._taken.pop(address, None)
        if whole is None:
            return False
        k = bisect.bisect(self._free, (address, 0))
        if k < len(self._free) and self._free[k][0] == address + whole:
            whole += self._free.pop(k)[1]
        if k and sum(self._free[k - 1]) == address:
            k -= 1
            address, room = self._free.pop(k)
            whole += room
        self._free.insert(k, (address, whole))
        return True
