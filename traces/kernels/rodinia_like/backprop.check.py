import numpy as np

from gpusim.checking import SINGLE_ULP, add_in_order, assert_same, assert_within, fma32, fold_halves

WRITES = ("partial", "hidden", "errors", "weights", "changes")
EXERCISES = ("MUFU.EX2", "MUFU.RCP", "BAR", "LDS", "FFMA")


def check(before, after, launches):
    inputs, weights = before["inputs"], before["weights"]
    products = (inputs[:, None] * weights).reshape(-1, 16, 16)
    partial = fold_halves(products.transpose(0, 2, 1))
    assert_same("partial", after["partial"], partial)

    sums = add_in_order(np.concatenate([before["bias"][None], partial])).astype(np.float64)
    hidden = 1 / (1 + np.exp(-sums))
    # expf errs by 2 ulp, its argument was scaled by 1/ln 2 (|sum| ulp); addition and division round once each.
    bound = (4 + np.abs(sums)) * SINGLE_ULP * hidden
    assert_within("hidden", after["hidden"], hidden, bound, "approximate exponential, one addition, one division")
    errors = hidden * (1 - hidden) * before["to_output"] * np.float32(launches[1].scalars[1])
    bound = (8 + np.abs(sums)) * SINGLE_ULP * np.abs(before["to_output"])  # of hidden (at most 1) and three products
    assert_within("errors", after["errors"], errors, bound, "as hidden, and three rounded products")

    rate, momentum = (np.float32(value) for value in launches[2].scalars)
    change = fma32(rate * after["errors"], inputs[:, None], momentum * before["changes"])
    assert_same("changes", after["changes"], change)
    assert_same("weights", after["weights"], weights + change)
