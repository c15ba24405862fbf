import numpy as np

from gpusim.checking import assert_same

WRITES = ("out",)
EXERCISES = ("LDL", "STL", "BSSY", "BSYNC", "BRA")


def check(before, after, launches):
    assert_same("out", after["out"], np.sort(before["in"], axis=0))
