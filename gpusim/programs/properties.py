"""What a program is told of the card: its name, its memory, and the device attributes by number.

The numbers are those of cudaDeviceAttr (CUDA Runtime API reference; CUdevice_attribute of the driver API has the same).
What the simulated card decides comes from its configuration, what CUDA allows on every card from `gpusim.limits`, and
what this runtime can do stands here. Everything else is 0.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from gpusim import limits
from gpusim.constants import WARP_SIZE

if TYPE_CHECKING:
    from gpusim.config.models import GpuConfig

MEMORY_BYTES = 16 << 30
"""Of device memory, whatever the card: configurations do not say. Only what is written takes memory here."""
TEXTURE_ALIGNMENT, SURFACE_ALIGNMENT, TEXTURE_PITCH_ALIGNMENT = 512, 512, 32
"""Bytes, as every card of compute capability 7.5 to 9.0 tells them."""
TEXTURE_1D, TEXTURE_2D, TEXTURE_3D = 131072, (131072, 65536), (16384, 16384, 16384)
SURFACE_1D, SURFACE_2D, SURFACE_3D = 32768, (131072, 65536), (16384, 16384, 16384)
"""Largest extents (CUDA C++ Programming Guide, technical specifications)."""
SHARED_PER_CTA = 48 << 10
"""Bytes without opting in to more, on every card."""
COPY_ENGINES = 2
FP32_PER_FP64 = {75: 32, 80: 2, 86: 64, 89: 64, 90: 2, 120: 64}
"""Throughput ratios (CUDA C++ Programming Guide, arithmetic instructions)."""


def device_attributes(card: GpuConfig) -> dict[int, int]:
    """Device attributes that are not 0, by number."""
    major, minor = divmod(card.architecture, 10)
    memory, l2 = card.sm.memory_unit.shared_memory, card.l2
    most_shared = limits.SHARED_BYTES.get(card.architecture, memory.options_kb[-1] * 1024 - memory.reserved_bytes)
    of_card = {
        8: SHARED_PER_CTA,
        13: round(card.clocks.core_mhz * 1000),
        16: card.sms,
        32: int(card.dram.ecc != "none"),
        # a DDR data clock moves two bits per wire and tick, as cudaDevAttrMemoryClockRate counts
        36: round(card.clocks.memory_mhz * 1000 / 2),
        37: card.dram.channels * card.dram.bytes_per_transfer * 8,
        38: l2.slices * l2.sets * l2.ways * l2.line_bytes,
        39: card.sm.warps * WARP_SIZE,
        75: major,
        76: minor,
        81: memory.options_kb[-1] * 1024,
        82: card.sm.registers,
        87: FP32_PER_FP64[card.architecture],
        97: most_shared,
        106: card.sm.ctas,
        111: memory.reserved_bytes,
    }
    of_cuda = {
        1: limits.THREADS,
        **dict(zip((2, 3, 4, 5, 6, 7), (*limits.BLOCK, *limits.GRID))),
        9: limits.CONSTANT_BYTES,
        10: WARP_SIZE,
        11: (1 << 31) - 1,
        12: card.sm.registers,
        14: TEXTURE_ALIGNMENT,
        30: SURFACE_ALIGNMENT,
        51: TEXTURE_PITCH_ALIGNMENT,
        **dict(zip((21, 22, 23, 24, 25, 26), (TEXTURE_1D, *TEXTURE_2D, *TEXTURE_3D))),
        **dict(zip((55, 56, 57, 58, 59, 60), (SURFACE_1D, *SURFACE_2D, *SURFACE_3D))),
    }
    of_runtime = {
        15: 1,  # copies overlap kernels
        19: 1,  # host memory can be mapped
        31: 1,  # concurrent kernels
        33: 1,  # PCI bus number
        40: COPY_ENGINES,
        41: 1,  # unified addressing
        78: 1,  # stream priorities
        79: 1,  # global and
        80: 1,  # local loads are cached in L1
        83: 1,  # managed memory
        89: 1,  # which the host may use at any time
        90: 1,
        91: 0,  # registered memory has an address of its own on the device
        95: 1,  # cooperative launches
        99: 1,  # host memory can be registered
        115: 1,  # memory pools
    }
    return {**of_card, **of_cuda, **of_runtime}


def device_uuid(card: GpuConfig) -> bytes:
    """16 bytes that stand for the card."""
    return hashlib.sha256(card.name.encode()).digest()[:16]
