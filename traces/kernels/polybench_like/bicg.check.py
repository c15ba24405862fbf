from gpusim.checking import assert_same, fused_product

WRITES = ("q", "s")
EXERCISES = ("FFMA", "LDG.CONSTANT")


def check(before, after, launches):
    assert_same("q", after["q"], fused_product(before["a"], before["p"][:, None])[:, 0])
    assert_same("s", after["s"], fused_product(before["a"].T, before["r"][:, None])[:, 0])
