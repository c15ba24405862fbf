import numpy as np

from gpusim.checking import assert_same, fused_product

WRITES = ("c",)
EXERCISES = ("LDG.CONSTANT", "FMUL", "FFMA")


def check(before, after, launches):
    *_, alpha, beta = launches[0].scalars
    expected = fused_product(np.float32(alpha) * before["a"], before["b"], np.float32(beta) * before["c"])
    assert_same("c", after["c"], expected)
