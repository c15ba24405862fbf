import numpy as np

from gpusim.checking import assert_same, fused_product

WRITES = ("c",)
EXERCISES = ("FMUL", "FFMA", "EXIT")


def check(before, after, launches):
    *_, alpha, beta = launches[0].scalars
    a, c = before["a"], before["c"]
    whole = fused_product(np.float32(alpha) * a, a.T, np.float32(beta) * c)
    assert_same("c", after["c"], np.where(np.tri(len(c), dtype=bool), whole, c))
