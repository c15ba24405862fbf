import numpy as np

from gpusim.checking import assert_same

WRITES = ("out", "totals", "grand_total")
EXERCISES = ("SHFL.UP", "WARPSYNC", "BAR")


def check(before, after, launches):
    (n,) = launches[0].scalars
    expected = before["out"].copy()
    expected[:n] = np.cumsum(before["in"][:n], dtype=np.int32)  # wraps like the 32-bit adder
    assert_same("out", after["out"], expected)
    block_ends = np.minimum((np.arange(launches[0].grid[0]) + 1) * launches[0].block[0], n) - 1
    assert_same("totals", after["totals"], expected[block_ends])
    assert_same("grand_total", after["grand_total"], expected[n - 1 : n])
