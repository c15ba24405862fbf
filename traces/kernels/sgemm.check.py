from gpusim.checking import assert_same, fused_product

WRITES = ("c",)
EXERCISES = ("LDS.128", "STS.128", "LDG.128", "STG.128", "BAR", "FFMA")


def check(before, after, launches):
    assert_same("c", after["c"], fused_product(before["a"], before["b"]))
