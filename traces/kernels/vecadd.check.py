from gpusim.checking import assert_same

WRITES = ("c",)
EXERCISES = ("LDG.E", "FADD", "STG.E")


def check(before, after, launches):
    (n,) = launches[0].scalars
    expected = before["c"].copy()
    expected[:n] = before["a"][:n] + before["b"][:n]
    assert_same("c", after["c"], expected)
