import numpy as np

from gpusim.checking import assert_same

WRITES = ("out",)
EXERCISES = ("STL", "LDL")
VALUES = 80  # as in spills.cu


def check(before, after, launches):
    count, rounds = launches[0].scalars
    k = np.arange(VALUES)[:, None]
    values = before["in"][(np.arange(count) + 37 * k) % count]
    for step in range(rounds):
        for one in range(VALUES):
            values[one] = values[one] * np.uint32(5) + (values[(one + 31) % VALUES] ^ np.uint32(step))
    total = np.zeros(count, np.uint32)
    for value in values:
        total = total * np.uint32(3) + value
    expected = before["out"].copy()
    expected[:count] = total
    assert_same("out", after["out"], expected)
