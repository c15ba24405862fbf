"""Functions of the CUDA runtime that device code calls: printf, malloc, free, and what a failed assert does.

Compiled code (sm_75 to sm_90) passes arguments from R4 on, 64-bit ones in even pairs, expects the result there, and
leaves the return address in R20 and R21. printf hands over a format and the address of its arguments, which lie in
local memory one behind the other. Lanes of a warp are served in ascending order. A call costs the trace nothing but
its CALL instruction.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from gpusim.constants import LOCAL_WINDOW, SHARED_WINDOW, WINDOW_BYTES
from gpusim.emulator import state
from gpusim.emulator.buffers import DeviceMemory
from gpusim.emulator.conditions import Write
from gpusim.emulator.machine import Prepared, place
from gpusim.emulator.printf import Arguments, formatted
from gpusim.errors import CudaError, LaunchFault
from gpusim.sass.relocations import RUNTIME_FUNCTIONS

FIRST_ARGUMENT, RETURN_ADDRESS = 4, 20
"""Registers."""
MOST_TEXT = 1 << 20
"""Bytes of a string: CUDA's default print buffer, cudaLimitPrintfFifoSize."""
_NULL_FORMAT = -1  # what printf returns for one (CUDA C++ Programming Guide, Formatted Output)


class DeviceCalls:
    """Answers the calls of one launch."""

    def __init__(self, prepared: Prepared, memory: DeviceMemory, write: Write) -> None:
        self._prepared, self._memory, self._write = prepared, memory, write
        self._answers = {
            "vprintf": self._printf,
            "malloc": self._malloc,
            "free": self._free,
            "__assertfail": self._assert_failed,
            "__cuda_syscall_aligned_malloc": self._aligned_malloc,
        }

    def answer(self) -> None:
        """Do the call that stopped the machine, for its lanes, and let them go on behind it.

        Raises LaunchFault for a failed assertion, and for an address that leads nowhere.
        """
        m = self._prepared.machine
        warp, lanes = int(m.control[state.ERROR_WARP]), int(m.control[state.CALL_LANES])
        number = state.RUNTIME_PC - int(m.control[state.ERROR_PC])
        self._answers[RUNTIME_FUNCTIONS[number]](warp, [lane for lane in range(32) if lanes >> lane & 1])
        registers = self._registers(warp)
        for lane in range(32):
            if lanes >> lane & 1:
                m.lane_pc[warp, lane] = int(registers[RETURN_ADDRESS, lane]) >> 4
        m.control[state.CHANGES] += 1

    def _registers(self, warp: int) -> np.ndarray:
        g = self._prepared.machine.geometry
        first = int(g[state.FIRST_REGISTER_ROW] + warp * g[state.ROWS_PER_WARP])
        return self._prepared.machine.registers[first:]

    def _argument(self, warp: int, lane: int, number: int) -> int:
        """The 64-bit argument of a number; one of 32 bits is its low half."""
        low, high = self._registers(warp)[FIRST_ARGUMENT + 2 * number :][:2, lane]
        return int(low) | int(high) << 32

    def _result(self, warp: int, lane: int, value: int, words: int) -> None:
        for k in range(words):
            self._registers(warp)[FIRST_ARGUMENT + k, lane] = value >> 32 * k & 0xFFFFFFFF

    # ---- the functions

    def _printf(self, warp: int, lanes: list[int]) -> None:
        for lane in lanes:
            text, arguments = self._argument(warp, lane, 0), self._argument(warp, lane, 1)
            if not text:
                self._result(warp, lane, _NULL_FORMAT, 1)
                continue
            taken = Arguments(partial(self._bytes, warp, lane, arguments))
            printed = formatted(self._string(warp, lane, text), taken, partial(self._string, warp, lane))
            self._write(printed.decode(errors="replace"))
            self._result(warp, lane, taken.taken, 1)

    def _malloc(self, warp: int, lanes: list[int]) -> None:
        heap = self._memory.heap()
        for lane in lanes:
            self._result(warp, lane, heap.allocate(self._argument(warp, lane, 0)), 2)

    def _aligned_malloc(self, warp: int, lanes: list[int]) -> None:
        """What `new` of a type with an alignment of its own calls: size and alignment."""
        heap = self._memory.heap()
        for lane in lanes:
            size, alignment = (self._argument(warp, lane, k) for k in range(2))
            self._result(warp, lane, heap.allocate(size, alignment), 2)

    def _free(self, warp: int, lanes: list[int]) -> None:
        heap = self._memory.heap()
        for lane in lanes:
            address = self._argument(warp, lane, 0)
            if address and not heap.release(address):
                what = f"frees address {address:#x}, which malloc did not give or which is free already"
                raise self._fault(warp, lane, what)

    def _assert_failed(self, warp: int, lanes: list[int]) -> None:
        """Raises LaunchFault with CUDA's message for every lane."""
        lines = []
        for lane in lanes:
            condition, file, _, function = (self._argument(warp, lane, k) for k in range(4))
            line = self._argument(warp, lane, 2) & 0xFFFFFFFF
            texts = [self._string(warp, lane, at).decode(errors="replace") for at in (file, function, condition)]
            block = ",".join(map(str, self._cta()))
            thread = ",".join(map(str, self._thread(warp, lane)))
            lines.append(
                f"{texts[0]}:{line}: {texts[1]}: block: [{block}], thread: [{thread}] Assertion `{texts[2]}` failed."
            )
        name = self._prepared.program.name
        raise LaunchFault("\n".join([f"kernel {name}: an assertion failed", *lines]), CudaError.ASSERT)

    def _cta(self) -> tuple[int, int, int]:
        (gx, gy, _), cta = self._prepared.grid, int(self._prepared.machine.control[state.CTA])
        return cta % gx, cta // gx % gy, cta // (gx * gy)

    def _thread(self, warp: int, lane: int) -> tuple[int, int, int]:
        (bx, by, _), thread = self._prepared.block, 32 * warp + lane
        return thread % bx, thread // bx % by, thread // (bx * by)

    # ---- memory by generic addresses

    def _fault(self, warp: int, lane: int, what: str) -> LaunchFault:
        where = place(self._prepared, (int(self._registers(warp)[RETURN_ADDRESS, lane]) >> 4) - 1)
        return LaunchFault(f"{where}, lane {lane}: {what}", CudaError.ILLEGAL_ADDRESS)

    def _from(self, warp: int, lane: int, address: int) -> np.ndarray:
        """All bytes from an address to the end of what it lies in. Raises LaunchFault where it lies in nothing."""
        m, g = self._prepared.machine, self._prepared.machine.geometry
        first, end = 0, 0
        if SHARED_WINDOW <= address < SHARED_WINDOW + WINDOW_BYTES:
            first, end = 4 * int(g[state.SHARED_WORD]) + address - SHARED_WINDOW, int(g[state.SHARED_BYTES])
            end += 4 * int(g[state.SHARED_WORD])
        elif LOCAL_WINDOW <= address < LOCAL_WINDOW + WINDOW_BYTES:
            start, size = 4 * int(g[state.LOCAL_WORD]), int(g[state.LOCAL_BYTES])
            start += (32 * warp + lane) * size
            first, end = start + address - LOCAL_WINDOW, start + size
        elif 0 <= (place := address - state.GLOBAL_BASE) < len(m.granules) * state.GRANULE:
            allocation = int(m.granules[place // state.GRANULE])
            first, end = place, int(m.ends[allocation]) if allocation else 0
        if first >= end:
            where = self._memory.nearest(address)
            raise self._fault(warp, lane, f"a runtime function is given address {address:#x}: {where}")
        return m.memory[first // 4 : -(-end // 4)].view(np.uint8)[first % 4 : end - first // 4 * 4]

    def _bytes(self, warp: int, lane: int, address: int, offset: int, size: int) -> bytes:
        found = self._from(warp, lane, address + offset)[:size].tobytes()
        if len(found) < size:
            raise self._fault(warp, lane, f"a runtime function reads past the end of memory at {address + offset:#x}")
        return found

    def _string(self, warp: int, lane: int, address: int) -> bytes:
        """Up to the first 0, or the end of what it lies in."""
        return self._from(warp, lane, address)[:MOST_TEXT].tobytes().partition(b"\0")[0]
