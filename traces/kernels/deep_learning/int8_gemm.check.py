import numpy as np

from gpusim.checking import assert_same

WRITES = ("c",)
EXERCISES = ("IMMA.S8",)


def check(before, after, launches):
    assert_same("c", after["c"], before["a"].astype(np.int32) @ before["b"].T.astype(np.int32))
