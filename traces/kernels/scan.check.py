import numpy as np

from gpusim.checking import assert_same

WRITES = ("out", "totals", "grand_total")
EXERCISES = ("SHFL.UP", "WARPSYNC", "BAR")


def check(before, after, launches):
    (n,) = launches[0].scalars
    expected = before["out"].copy()
    expected[:n] = np.cumsum(before["in"][:n], dtype=np.int32)  # wraps like the 32-bit adder
    assert_same("out", after["out"], expected)
    assert_same("grand_total", after["grand_total"], expected[n - 1 : n])
