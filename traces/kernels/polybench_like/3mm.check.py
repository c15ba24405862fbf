from gpusim.checking import assert_same, fused_product

WRITES = ("e", "f", "g")
EXERCISES = ("LDG.128.CONSTANT", "FFMA", "STG.128")


def check(before, after, launches):
    e = fused_product(before["a"], before["b"])
    f = fused_product(before["c"], before["d"])
    for name, expected in (("e", e), ("f", f), ("g", fused_product(e, f))):
        assert_same(name, after[name], expected)
