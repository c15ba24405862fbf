import numpy as np

from gpusim.checking import assert_same, fold_halves

WRITES = ("sums", "maxima", "positive")
EXERCISES = ("SHFL.DOWN", "SHFL.BFLY", "VOTE.ANY", "POPC")


def check(before, after, launches):
    values, keys = before["values"].reshape(-1, 32), before["keys"].reshape(-1, 32)
    assert_same("sums", after["sums"], fold_halves(values))
    assert_same("maxima", after["maxima"], keys.max(axis=1))
    assert_same("positive", after["positive"], (values > 0).sum(axis=1).astype(np.int32))
