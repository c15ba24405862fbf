import numpy as np

from gpusim.checking import assert_same, fma32, fold_halves

WRITES = ("y",)
EXERCISES = ("LDS.64", "STS.64", "BAR")


def check(before, after, launches):
    n, alpha, beta = launches[0].scalars
    threads = launches[0].block[0]
    sums = []
    for name in ("a", "b"):
        matrix = np.pad(before[name], ((0, 0), (0, -n % threads)))
        x = np.pad(before["x"], (0, -n % threads))
        lanes = np.zeros((n, threads), np.float32)
        for k in range(0, matrix.shape[1], threads):
            lanes = fma32(matrix[:, k : k + threads], x[k : k + threads], lanes)
        sums.append(fold_halves(lanes))
    assert_same("y", after["y"], fma32(alpha, sums[0], np.float32(beta) * sums[1]))
