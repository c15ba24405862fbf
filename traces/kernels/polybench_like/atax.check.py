import numpy as np

from gpusim.checking import assert_same, fma32, fold_halves, fused_product

WRITES = ("product", "y")
EXERCISES = ("SHFL.DOWN", "FFMA", "LDG.CONSTANT")


def check(before, after, launches):
    a, x = before["a"], before["x"]
    padding = -a.shape[1] % 32
    a_padded, x_padded = np.pad(a, ((0, 0), (0, padding))), np.pad(x, (0, padding))
    lanes = np.zeros((len(a), 32), np.float32)
    for k in range(0, len(x_padded), 32):
        lanes = fma32(a_padded[:, k : k + 32], x_padded[k : k + 32], lanes)
    product = fold_halves(lanes)
    assert_same("product", after["product"], product)
    assert_same("y", after["y"], fused_product(a.T, product[:, None])[:, 0])
