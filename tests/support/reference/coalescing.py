"""What the lanes' addresses cost: bank conflicts of shared memory, lines and sectors of global memory (section 12)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from gpusim.constants import MemorySpace
from gpusim.model.kinds import Kind
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


def _agree(lanes: dict[int, int], apart: int) -> bool:
    """Whether active lanes n and n ^ apart have one address."""
    return all(lanes.get(lane ^ apart, address) == address for lane, address in lanes.items())


def agree_in_pairs(dynamic: Dynamic) -> bool:
    """Whether a load from shared memory brings each lane's registers for two lanes."""
    lanes = dict(dynamic.step.accesses[0].lanes)
    wide = dynamic.static.shared_kind == Kind.SHARED_LOAD and dynamic.static.access_bytes == 16
    return wide and (_agree(lanes, 1) or _agree(lanes, 2))


def shared_passes(dynamic: Dynamic) -> tuple[int, int]:
    """(passes, conflicts) of a shared-memory access."""
    group_size = lanes_per_group(dynamic.static.access_bytes) * (2 if agree_in_pairs(dynamic) else 1)
    passes = _passes(dynamic, group_size, dynamic.static.shared_kind == Kind.SHARED_ATOMIC)
    return sum(passes), sum(passes) - len(passes)


def _passes(dynamic: Dynamic, group_size: int, atomic: bool) -> list[int]:
    """Of each group with active lanes."""
    access, width = dynamic.step.accesses[0], dynamic.static.access_bytes
    groups = [
        [address // 4 for lane, address in access.lanes if first <= lane < first + group_size]
        for first in range(0, 32, group_size)
    ]
    return [_group_passes(words, max(1, width // 4), atomic) for words in groups if words]


def data_wavefronts(dynamic: Dynamic) -> int:
    """Of a global or local access."""
    width = dynamic.static.access_bytes
    if space_of(dynamic) == MemorySpace.LOCAL:
        return max(1, width // 4)
    return sum(_passes(dynamic, lanes_per_group(width), atomic=False))


def tag_wavefronts(lines: list[int], banks: int) -> list[int]:
    """In which wavefront each line is looked up."""
    met: Counter[int] = Counter()
    wavefronts = []
    for line in lines:
        folded = 0
        while line:
            folded, line = folded ^ line % 4, line // 4
        wavefronts.append(met[folded % banks])
        met[folded % banks] += 1
    return wavefronts


def _group_passes(first_words: list[int], words_each: int, atomic: bool) -> int:
    counted = first_words if atomic else sorted(set(first_words))
    load = [0] * BANKS
    for first in counted:
        for word in range(first, first + words_each):
            load[word % BANKS] += 1
    return max(load)


@dataclass
class Access:
    """What a warp's access does to one line: masks of sectors and bytes; passes: most lanes on one word."""

    line: int
    sectors: int = 0
    bytes: int = 0
    lanes_of_word: Counter[int] = field(default_factory=Counter)

    @property
    def passes(self) -> int:
        return max(self.lanes_of_word.values())


def global_accesses(dynamic: Dynamic) -> list[Access]:
    """In the order in which the lanes meet the lines."""
    accesses: dict[int, Access] = {}
    for lane, address in dynamic.step.accesses[0].lanes:
        for first, count in _pieces(dynamic, lane, address):
            line = first // LINE
            access = accesses.setdefault(line, Access(line))
            for byte in range(first % LINE, first % LINE + count):
                access.bytes |= 1 << byte
                access.sectors |= 1 << byte // SECTOR
            access.lanes_of_word[first // 4] += 1
    return list(accesses.values())


def _pieces(dynamic: Dynamic, lane: int, address: int) -> list[tuple[int, int]]:
    """(first byte, bytes) of what a lane touches. Local words of the 32 lanes lie side by side."""
    width = dynamic.static.access_bytes
    if space_of(dynamic) != MemorySpace.LOCAL:
        return [(address, width)]  # naturally aligned: never across sectors
    offset = address % WINDOW_BYTES
    words = range(offset // 4, offset // 4 + max(1, width // 4))
    base = LOCAL_BASE + (dynamic.warp.cta.first_slot + dynamic.warp.slot) * LOCAL_BYTES
    return [(base + word * LINE + lane * 4, min(width, 4)) for word in words]
