import numpy as np

from gpusim.checking import SINGLE_ULP, assert_within

WRITES = ("c",)
EXERCISES = ("HMMA.F32", "LDSM", "STS.128", "BAR")


def check(before, after, launches):
    a, b = (before[name].astype(np.float64) for name in ("a", "b"))
    # Products are exact in fp32; every partial sum of the chain may lose one unit of the running sum.
    bound = a.shape[1] * SINGLE_ULP * (np.abs(a) @ np.abs(b))
    assert_within("c", after["c"], a @ b, bound, "one rounding of an fp32 sum per product, in any order")
