import numpy as np

from gpusim.checking import assert_same

WRITES = ("rotated", "polynomials", "quotients")
EXERCISES = ("DADD", "DMUL", "DFMA", "DSETP", "MUFU.RCP64H", "MUFU.RSQ64H", "I2F.F64")


def check(before, after, launches):
    count, rounds = launches[0].scalars
    x, y = before["x"], before["y"]
    a, b = x, y
    for _ in range(rounds):
        a, b = 0.8 * a + -0.6 * b, 0.6 * a + 0.8 * b
    assert_same("rotated", after["rotated"], a + b)
    whole, total = np.arange(count) % 8, np.zeros(count, np.int64)
    for k in range(1, 12):
        total = total * whole + k
    assert_same("polynomials", after["polynomials"], total.astype(np.float64))
    quotients = x / y
    assert_same("quotients", after["quotients"], np.where(quotients > 0, np.sqrt(np.abs(quotients)), quotients))
