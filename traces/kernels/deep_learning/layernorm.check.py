import numpy as np

from gpusim.checking import HALF_ULP, assert_within

WRITES = ("out",)
EXERCISES = ("HADD2.F32", "MUFU.RSQ", "SHFL.BFLY", "LDG.64.CONSTANT", "BAR")


def check(before, after, launches):
    rows = before["in"].astype(np.float64)
    _, epsilon = launches[0].scalars
    variance = rows.var(axis=1, keepdims=True) + epsilon
    expected = (rows - rows.mean(axis=1, keepdims=True)) / np.sqrt(variance) * before["scale"] + before["shift"]
    # The result is rounded to fp16 (half a unit); the fp32 roundings before it are far below the other half.
    bound = HALF_ULP * (np.abs(expected) + np.abs(before["scale"]) * 2.0**-6 + 2.0**-14)
    assert_within("out", after["out"], expected, bound, "rounding to fp16 after fp32 arithmetic")
