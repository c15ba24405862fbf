"""Device memory that this process and the program share: one file without a name, mapped by both.

In the program it lies at the addresses that kernels see, so that copies are plain copies and managed and pinned memory
just work. Here it is an array of words, behind which the rest of a launch's memory goes.
"""

from __future__ import annotations

import bisect
import ctypes
import mmap
import os

import numpy as np

from gpusim.emulator.buffers import GRID_WORKSPACE_BYTES, GUARD
from gpusim.emulator.heap import HEAP_BYTES, DeviceHeap
from gpusim.emulator.state import GLOBAL_BASE, GRANULE
from gpusim.memory_limit import in_words

TAIL_BYTES = 1 << 31
"""Behind device memory: shared and local memory of a CTA and the constant banks of a launch (gpusim.limits)."""
ALLOCATIONS = 1 << 22
"""Most at a time. The tables for them take memory only where they are used."""
_PAGE = mmap.PAGESIZE
_HOLE = 3
"""FALLOC_FL_PUNCH_HOLE and FALLOC_FL_KEEP_SIZE of fallocate(2): pages go back to the system, and read as zeros."""


class SharedMemory:
    """A gpusim.emulator.buffers.DeviceMemory that a program allocates from."""

    def __init__(self, size: int) -> None:
        """`size` in bytes, of which only what is written takes memory. Raises OSError where it cannot be mapped."""
        self.size = size
        self.file = os.memfd_create("gpusim-device", os.MFD_CLOEXEC)
        os.ftruncate(self.file, size + TAIL_BYTES)
        self._map = mmap.mmap(self.file, size + TAIL_BYTES, mmap.MAP_SHARED | getattr(mmap, "MAP_NORESERVE", 0))
        self._words = np.frombuffer(self._map, np.uint32)
        self._granules = np.zeros(size // GRANULE + 1, np.int32)
        self._ends = np.zeros(ALLOCATIONS, np.int64)
        self._numbers: list[int] = []
        self._highest = 0
        self._sizes: dict[int, tuple[int, int]] = {}  # number and bytes, by start
        self._starts: list[int] = []
        self._free: list[tuple[int, int]] = []  # start and bytes with the guard, by start
        self._used = 0
        self.heap_bytes = HEAP_BYTES  # until device code allocates for the first time
        self._heap: DeviceHeap | None = None
        self._workspace: int | None = None

    def close(self) -> None:
        """Give everything back; the object is of no use afterwards."""
        os.close(self.file)
        self._words = np.zeros(0, np.uint32)

    # ---- allocation

    def allocate(self, size: int) -> int:
        """The address of so many bytes, zero; 0 where there is no room. First fit, as buffers of a launch file lie."""
        whole = -(-size // GRANULE) * GRANULE + GUARD
        start = self._fitting(whole)
        if start is None:
            if self._used + whole > self.size or self._highest + 1 >= ALLOCATIONS:
                return 0
            start, self._used = self._used, self._used + whole
        if self._numbers:
            number = self._numbers.pop()
        else:
            self._highest += 1
            number = self._highest
        self._sizes[start] = (number, size)
        bisect.insort(self._starts, start)
        self._granules[start // GRANULE : -(-(start + size) // GRANULE)] = number
        self._ends[number] = start + size
        return GLOBAL_BASE + start

    def _fitting(self, whole: int) -> int | None:
        for k, (start, room) in enumerate(self._free):
            if room >= whole:
                if room == whole:
                    del self._free[k]
                else:
                    self._free[k] = (start + whole, room - whole)
                return start
        return None

    def release(self, address: int) -> bool:
        """Take an allocation back, by any address in it; whether there was one."""
        place = address - GLOBAL_BASE
        k = bisect.bisect_right(self._starts, place) - 1
        if k < 0:
            return False
        start = self._starts[k]
        number, size = self._sizes[start]
        if place >= start + max(size, 1):
            return False
        del self._starts[k], self._sizes[start]
        self._granules[start // GRANULE : -(-(start + size) // GRANULE)] = 0
        self._numbers.append(number)
        whole = -(-size // GRANULE) * GRANULE + GUARD
        self._clear(start, start + whole)
        self._give_back(start, whole)
        return True

    def _clear(self, start: int, end: int) -> None:
        """Zero a range: whole pages are given back to the system."""
        first, last = -(-start // _PAGE) * _PAGE, end // _PAGE * _PAGE
        if first >= last:
            self.bytes(start, end - start)[:] = 0
            return
        self.bytes(start, first - start)[:] = 0
        self.bytes(last, end - last)[:] = 0
        _punch(self.file, first, last - first)

    def _give_back(self, start: int, whole: int) -> None:
        """Join a free range to its neighbours."""
        k = bisect.bisect(self._free, (start, 0))
        if k < len(self._free) and start + whole == self._free[k][0]:
            whole += self._free.pop(k)[1]
        if k and sum(self._free[k - 1]) == start:
            k -= 1
            start, room = self._free.pop(k)
            whole += room
        self._free.insert(k, (start, whole))

    def bytes(self, place: int, count: int) -> np.ndarray:
        """A view of bytes from a place in the memory, not an address."""
        return self._words.view(np.uint8)[place : place + count]

    def at(self, address: int, count: int) -> np.ndarray:
        """A view of the bytes at an address."""
        return self.bytes(address - GLOBAL_BASE, count)

    # ---- as launches need it

    def settle(self) -> int:
        """Words of device memory."""
        return self.size // 4

    def followed_by(self, cleared: int, words: np.ndarray) -> np.ndarray:
        """The memory itself, with `words` written behind it after a gap of `cleared` words."""
        start = self.size // 4 + cleared
        self._words[start : start + len(words)] = words
        return self._words

    def take_back(self, words: np.ndarray) -> None:
        """Nothing: launches work on the memory itself."""

    def tables(self) -> tuple[np.ndarray, np.ndarray]:
        """Allocation of each granule, and the end of each allocation (Machine.granules, Machine.ends)."""
        return self._granules[: self._used // GRANULE + 1], self._ends[: self._highest + 1]

    def heap(self) -> DeviceHeap:
        """What device code allocates from, made at the first call; it has nothing where there is no room for it."""
        if self._heap is None:
            address = self.allocate(self.heap_bytes)
            self._heap = DeviceHeap(address, self.heap_bytes if address else 0)
        return self._heap

    def grid_workspace(self) -> int:
        """Address of what cooperative launches count arrivals in, made at the first call."""
        if self._workspace is None:
            self._workspace = self.allocate(GRID_WORKSPACE_BYTES)
        return self._workspace

    def nearest(self, address: int) -> str:
        """Where an address lies, in words: inside or how far from which allocation."""
        if not self._starts:
            return "the program has allocated nothing"
        place = address - GLOBAL_BASE
        k = bisect.bisect_right(self._starts, place) - 1
        around = [self._starts[j] for j in (k, k + 1) if 0 <= j < len(self._starts)]
        start = min(around, key=lambda s: max(s - place, place - s - self._sizes[s][1] + 1, 0))
        size = self._sizes[start][1]
        where = f"{GLOBAL_BASE + start:#x} to {GLOBAL_BASE + start + size:#x}, {in_words(size)}"
        if start <= place < start + size:
            return f"inside an allocation ({where})"
        side, distance = ("before", start - place) if place < start else ("past the end of", place - start - size)
        return f"{distance} bytes {side} the nearest allocation ({where})"


def _punch(file: int, start: int, count: int) -> None:
    """Give a range of a file back to the system; where it cannot, the contents stay, which nobody relies on."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.fallocate(file, _HOLE, ctypes.c_long(start), ctypes.c_long(count))
