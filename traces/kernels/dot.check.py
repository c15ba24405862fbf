import numpy as np

from gpusim.checking import SINGLE_ULP, assert_within

WRITES = ("result",)
EXERCISES = ("SHFL.DOWN", "RED.ADD.F32")


def check(before, after, launches):
    (n,) = launches[0].scalars
    products = before["a"][:n].astype(np.float64) * before["b"][:n].astype(np.float64)
    roundings = -(-n // launches[0].threads) + 5 + launches[0].threads // 32
    bound = roundings * SINGLE_ULP / 2 * np.abs(products).sum()
    reason = "the order of the atomic additions is not defined; one rounding per addition in a chain"
    assert_within("result", after["result"], np.array([products.sum()]), bound, reason)
