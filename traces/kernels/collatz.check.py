import numpy as np

from gpusim.checking import assert_same

WRITES = ("steps", "highest")
EXERCISES = ("BSSY", "BSYNC", "SHF")


def check(before, after, launches):
    (n,) = launches[0].scalars
    value = before["start"][:n].astype(np.uint64)
    top, count = value.copy(), np.zeros(n, np.uint32)
    while (active := value > 1).any():
        value = np.where(active, np.where(value & 1, 3 * value + 1, value >> 1), value)
        count += active
        top = np.maximum(top, value)
    assert top.max() < 1 << 32
    steps, highest = before["steps"].copy(), before["highest"].copy()
    steps[:n], highest[:n] = count, top
    assert_same("steps", after["steps"], steps)
    assert_same("highest", after["highest"], highest)
