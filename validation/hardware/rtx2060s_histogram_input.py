"""Writes rtx2060s_histogram_input.npy for rtx2060s_histogram.yaml: 4096 rows of 3984 bin numbers, padded to 4096.

A random walk from 512 with the host program's step, (u - 1/2) (v - 1/2) 16, cut to 0 .. 1023; u, v from drand48 with
seed 0, whose two further draws a step are not used. A row begins from the first number of the row above.
"""

from pathlib import Path

import numba
import numpy as np

ROWS, WIDTH, PADDED, BINS = 4096, 3984, 4096, 1024
MULTIPLIER, INCREMENT, MASK = 0x5DEECE66D, 0xB, (1 << 48) - 1  # of drand48


@numba.njit
def walk(seed: int) -> np.ndarray:
    """(4096, 4096) uint32, columns from 3984 on zero."""
    out = np.zeros((ROWS, PADDED), np.uint32)
    multiplier, increment, mask = np.uint64(MULTIPLIER), np.uint64(INCREMENT), np.uint64(MASK)
    x = np.uint64((seed << 16) | 0x330E)
    scale = 1.4142135623730950488 * 1.4142135623730950488 * 4.0
    for row in range(ROWS):
        for column in range(WIDTH):
            value = 512
            if row or column:
                before = out[row, column - 1] if column else out[row - 1, 0]
                x = (multiplier * x + increment) & mask
                u = np.float64(x) / 281474976710656.0
                x = (multiplier * x + increment) & mask
                v = np.float64(x) / 281474976710656.0
                value = np.int64(before) + np.int64((u - 0.5) * (v - 0.5) * scale * 2)
                value = min(max(value, 0), BINS - 1)
                for _ in range(2):
                    x = (multiplier * x + increment) & mask
            out[row, column] = value
    return out


if __name__ == "__main__":
    np.save(Path(__file__).with_name("rtx2060s_histogram_input.npy"), walk(0))
