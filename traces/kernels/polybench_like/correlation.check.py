import numpy as np

from gpusim.checking import add_in_order, assert_same, fma32, fused_product

WRITES = ("data", "means", "deviations", "correlations")
EXERCISES = ("MUFU.RSQ", "MUFU.RCP", "FCHK", "CALL", "FFMA")


def check(before, after, launches):
    data = before["data"]
    rows = np.float32(len(data))
    means = add_in_order(data) / rows
    squares = np.zeros_like(means)
    for row in data:
        squares = fma32(row - means, row - means, squares)
    deviations = np.sqrt(squares / rows)
    deviations = np.where(deviations <= np.float32(0.005), np.float32(1), deviations)
    normal = (data - means) / (np.sqrt(rows) * deviations)
    products = fused_product(normal.T, normal)
    upper = np.triu(products, 1)
    expected = upper + upper.T + np.eye(len(products), dtype=np.float32)
    named = (("means", means), ("deviations", deviations), ("data", normal), ("correlations", expected))
    for name, values in named:
        assert_same(name, after[name], values)
