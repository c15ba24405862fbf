import numpy as np

from gpusim.checking import assert_same

WRITES = ("last",)
EXERCISES = ("LDS",)


def check(before, after, launches):
    _, steps = launches[0].scalars
    offset = 0
    for _ in range(steps):
        offset = int(before["chain"][offset // 4])
    assert_same("last", after["last"], np.array([offset], np.uint32))
