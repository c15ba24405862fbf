"""The log of one launch while it runs: what was executed, in execution order, and its rearrangement by warp."""

from __future__ import annotations

import numpy as np

from gpusim.constants import EXPLICIT
from gpusim.emulator.state import ADDRESSES_USED, INDEX_USED, RECORDS_USED, Machine
from gpusim.emulator.types import Mask
from gpusim.jit import kernel, njit

MARGIN_RECORDS = 2
MARGIN_ADDRESSES = 64


@njit
def has_room(m: Machine) -> bool:
    """Whether the log takes one more instruction of any kind."""
    c = m.control
    return (
        c[INDEX_USED] < m.log_index.size
        and c[RECORDS_USED] + MARGIN_RECORDS <= m.log_records.shape[0]
        and c[ADDRESSES_USED] + MARGIN_ADDRESSES <= m.log_addresses.size
    )


@njit
def record(m: Machine, mask: Mask) -> None:
    """Append the addresses m.address[0] of the lanes in mask, as base and stride where one fits."""
    at = m.control[RECORDS_USED]
    m.control[RECORDS_USED] = at + 1
    first, second = -1, -1
    for lane in range(32):
        if (mask >> lane) & 1:
            if first < 0:
                first = lane
            elif second < 0:
                second = lane
                break
    if first < 0:
        m.log_records[at, 0] = 0
        m.log_records[at, 1] = 0
        return
    start = m.address[0, first]
    stride = np.int64(0)
    if second >= 0:
        difference = m.address[0, second] - start
        stride = difference // (second - first)
    base = start - stride * first
    fits = True
    for lane in range(32):
        fits &= (mask >> lane) & 1 == 0 or m.address[0, lane] == base + stride * lane
    if fits:
        m.log_records[at, 0] = base
        m.log_records[at, 1] = stride
        return
    used = m.control[ADDRESSES_USED]
    m.log_records[at, 0] = used
    m.log_records[at, 1] = EXPLICIT
    for lane in range(32):
        if (mask >> lane) & 1:
            m.log_addresses[used] = m.address[0, lane]
            used += 1
    m.control[ADDRESSES_USED] = used


@kernel
def rearrange(
    m: Machine, order: np.ndarray, index: np.ndarray, mask: np.ndarray, records: np.ndarray, addresses: np.ndarray
) -> None:
    """Copy the segments in `order` one after the other into the output arrays, rebasing explicit addresses."""
    at_index, at_record, at_address = 0, 0, 0
    for k in range(order.size):
        segment = m.segments[order[k]]
        for j in range(segment[1], segment[2]):
            index[at_index] = m.log_index[j]
            mask[at_index] = m.log_mask[j]
            at_index += 1
        shift = at_address - segment[5]
        for j in range(segment[3], segment[4]):
            explicit = m.log_records[j, 1] == EXPLICIT
            records[at_record, 0] = m.log_records[j, 0] + (shift if explicit else 0)
            records[at_record, 1] = m.log_records[j, 1]
            at_record += 1
        for j in range(segment[5], segment[6]):
            addresses[at_address] = m.log_addresses[j]
            at_address += 1
