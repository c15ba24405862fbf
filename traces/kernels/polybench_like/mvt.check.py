from gpusim.checking import assert_same, fused_product

WRITES = ("x1", "x2")
EXERCISES = ("STS", "LDS", "FFMA")


def check(before, after, launches):
    a = before["a"]
    for name, matrix, factor in (("x1", a, "y1"), ("x2", a.T, "y2")):
        expected = fused_product(matrix, before[factor][:, None], before[name][:, None])
        assert_same(name, after[name], expected[:, 0])
