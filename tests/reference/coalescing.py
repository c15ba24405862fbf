"""What the lanes' addresses cost: bank conflicts of shared memory, lines and sectors of global memory (section 12)."""

from __future__ import annotations

from gpusim.model.kinds import Kind
from gpusim.sass.program import MemorySpace
from reference.warp import Dynamic

BANKS = 32
LINE = 128
SECTOR = 32
WINDOWS = {MemorySpace.SHARED: 0x7E << 40, MemorySpace.LOCAL: 0x7E80 << 32}
WINDOW_BYTES = 1 << 24
"""Where generic addresses mean shared and local memory."""
LOCAL_BASE, LOCAL_BYTES = 1 << 56, 1 << 24
"""Where local memory lies, and the bytes of a warp."""


def lanes_per_group(width: int) -> int:
    return {8: 16, 16: 8}.get(width, 32)


def space_of(dynamic: Dynamic) -> MemorySpace:
    """Memory space of an access; a generic one is where its first active lane is."""
    space = MemorySpace(dynamic.static.space)
    if space != MemorySpace.GENERIC or not dynamic.step.mask:
        return space
    address = dynamic.step.accesses[0].lanes[0][1]
    inside = [s for s, window in WINDOWS.items() if window <= address < window + WINDOW_BYTES]
    return inside[0] if inside else MemorySpace.GLOBAL


def shared_passes(dynamic: Dynamic) -> tuple[int, int]:
    """(passes, conflicts) of a shared-memory access."""
    access, width = dynamic.step.accesses[0], dynamic.static.access_bytes
    group_size = lanes_per_group(width)
    atomic = dynamic.static.shared_kind == Kind.SHARED_ATOMIC
    passes = groups = 0
    for first in range(0, 32, group_size):
        words = [address // 4 for lane, address in access.lanes if first <= lane < first + group_size]
        if words:
            passes += _group_passes(words, max(1, width // 4), atomic)
            groups += 1
    return passes, passes - groups


def _group_passes(first_words: list[int], words_each: int, atomic: bool) -> int:
    counted = first_words if atomic else sorted(set(first_words))
    load = [0] * BANKS
    for first in counted:
        for word in range(first, first + words_each):
            load[word % BANKS] += 1
    return max(load)


def global_accesses(dynamic: Dynamic) -> list[tuple[int, int]]:
    """(line, sector mask) in the order in which the lanes meet the lines."""
    sectors: dict[int, int] = {}
    width = dynamic.static.access_bytes
    for lane, address in dynamic.step.accesses[0].lanes:
        for byte in _bytes(dynamic, lane, address, width):
            line, sector = byte // LINE, byte % LINE // SECTOR
            sectors[line] = sectors.get(line, 0) | 1 << sector
    return list(sectors.items())


def _bytes(dynamic: Dynamic, lane: int, address: int, width: int) -> list[int]:
    """One byte of each word that a lane touches. Local words of the 32 lanes lie side by side."""
    if space_of(dynamic) != MemorySpace.LOCAL:
        return [address]  # naturally aligned: never across sectors
    offset = address % WINDOW_BYTES
    words = range(offset // 4, offset // 4 + max(1, width // 4))
    return [LOCAL_BASE + dynamic.warp.slot * LOCAL_BYTES + word * LINE + lane * 4 for word in words]
