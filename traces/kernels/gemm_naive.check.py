from gpusim.checking import assert_same, fused_product

WRITES = ("c",)
EXERCISES = ("LDG.CONSTANT", "FFMA")


def check(before, after, launches):
    assert_same("c", after["c"], fused_product(before["a"], before["b"]))
