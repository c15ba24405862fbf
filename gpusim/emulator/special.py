"""Special registers that S2R, CS2R and S2UR read.

Clocks count the warp instructions executed so far in the launch: the functional side knows no cycle.
"""

from __future__ import annotations

import numpy as np

from gpusim.constants import SHARED_WINDOW
from gpusim.emulator.state import (
    BLOCK_X,
    BLOCK_Y,
    BLOCK_Z,
    CLOCK,
    CLOCK_READ,
    CTA,
    GRID_X,
    GRID_Y,
    GRID_Z,
    SHARED_BYTES,
    SM_COUNT,
    WARPS,
    Machine,
)
from gpusim.emulator.types import Geometry, Lane, Number, SpecialRegister, Warp
from gpusim.jit import njit

NAMES = {
    "SRZ": 0,
    "SR_TID.X": 1,
    "SR_TID.Y": 2,
    "SR_TID.Z": 3,
    "SR_CTAID.X": 4,
    "SR_CTAID.Y": 5,
    "SR_CTAID.Z": 6,
    "SR_NTID.X": 7,
    "SR_NTID.Y": 8,
    "SR_NTID.Z": 9,
    "SR_NCTAID.X": 10,
    "SR_NCTAID.Y": 11,
    "SR_NCTAID.Z": 12,
    "SR_LANEID": 13,
    "SR_EQMASK": 14,
    "SR_LTMASK": 15,
    "SR_LEMASK": 16,
    "SR_GTMASK": 17,
    "SR_GEMASK": 18,
    "SR_CLOCKLO": 19,
    "SR_CLOCKHI": 20,
    "SR_CLOCK": 19,
    "SR_GLOBALTIMERLO": 19,
    "SR_GLOBALTIMERHI": 20,
    "SR_VIRTID": 21,
    "SR_VIRTUALSMID": 21,
    "SR_CgaCtaId": 22,
    "SR_TID": 23,
    "SR_DYNSMEMSZ": 24,
    "SR_TOTALSMEMSZ": 24,
    "SR_SMEMSZ": 24,
    "SR_NWARPID": 25,
    "SR_NSMID": 26,
    "SR_WARPID": 27,
    "SR_SWINHI": 28,
}
"""Text name to the code that `read_special` takes."""


@njit
def thread_coordinate(g: Geometry, w: Warp, lane: Lane, axis: Number) -> Number:
    thread = w * 32 + lane
    if axis == 0:
        return thread % g[BLOCK_X]
    if axis == 1:
        return thread // g[BLOCK_X] % g[BLOCK_Y]
    return thread // (g[BLOCK_X] * g[BLOCK_Y]) % g[BLOCK_Z]


@njit
def cta_coordinate(m: Machine, axis: Number) -> Number:
    g, cta = m.geometry, m.control[CTA]
    if axis == 0:
        return cta % g[GRID_X]
    if axis == 1:
        return cta // g[GRID_X] % g[GRID_Y]
    return cta // (g[GRID_X] * g[GRID_Y]) % g[GRID_Z]


@njit
def warp_value(m: Machine, w: Warp, code: SpecialRegister) -> Number:
    """A special register that is the same in all lanes, as 64 bits."""
    g = m.geometry
    if 4 <= code <= 6:
        return cta_coordinate(m, code - 4)
    if 7 <= code <= 9:
        return g[BLOCK_X + code - 7]
    if 10 <= code <= 12:
        return g[GRID_X + code - 10]
    if code == 19 or code == 20:
        m.control[CLOCK_READ] = 1
        return m.control[CLOCK] if code == 19 else m.control[CLOCK] >> 32
    if code == 21:  # SR_VIRTID carries the SM number in bits 16 and up; CTAs go to SMs in turn
        return (m.control[CTA] % g[SM_COUNT]) << 16
    if code == 24:
        return g[SHARED_BYTES]
    if code == 25:
        return g[WARPS]
    if code == 26:
        return g[SM_COUNT]
    if code == 27:
        return np.int64(w)
    if code == 28:
        return np.int64(SHARED_WINDOW >> 32)
    return np.int64(0)


@njit
def lane_value(m: Machine, w: Warp, lane: Lane, code: SpecialRegister) -> Number:
    """A special register that differs between lanes."""
    g = m.geometry
    if code <= 3:
        return thread_coordinate(g, w, lane, code - 1)
    if code == 13:
        return np.int64(lane)
    if code == 14:
        return np.int64(1) << lane
    if code == 15:
        return (np.int64(1) << lane) - 1
    if code == 16:
        return (np.int64(2) << lane) - 1
    if code == 17:
        return np.int64(0xFFFFFFFF) & ~((np.int64(2) << lane) - 1)
    if code == 18:
        return np.int64(0xFFFFFFFF) & ~((np.int64(1) << lane) - 1)
    x, y = thread_coordinate(g, w, lane, 0), thread_coordinate(g, w, lane, 1)
    return x | (y << 16) | (thread_coordinate(g, w, lane, 2) << 26)


@njit
def read_special(m: Machine, w: Warp, code: SpecialRegister) -> None:
    """Value of special register `code` into result rows 0 and 1."""
    R = m.registers
    if 1 <= code <= 3 or 13 <= code <= 18 or code == 23:
        for lane in range(32):
            R[0, lane] = lane_value(m, w, lane, code)
            R[1, lane] = 0
        return
    value = warp_value(m, w, code)
    for lane in range(32):
        R[0, lane] = value
        R[1, lane] = value >> 32
