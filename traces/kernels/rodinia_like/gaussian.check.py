import numpy as np

from gpusim.checking import assert_same, fma32

WRITES = ("a", "b", "factors")
EXERCISES = ("MUFU.RCP", "FCHK", "CALL", "FFMA")


def check(before, after, launches):
    a, b, factors = (before[name].copy() for name in WRITES)
    n, by = launches[0].scalars
    a[np.arange(n), np.arange(n)] += np.float32(by)
    for column in range(n - 1):
        below = slice(column + 1, n)
        factors[below] = a[below, column] / a[column, column]
        a[below, column:] = fma32(-factors[below, None], a[column, column:], a[below, column:])
        b[below] = fma32(-factors[below], b[column], b[below])
    for name, expected in (("a", a), ("b", b), ("factors", factors)):
        assert_same(name, after[name], expected)
