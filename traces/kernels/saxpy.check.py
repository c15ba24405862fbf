from gpusim.checking import assert_same, fma32

WRITES = ("y",)
EXERCISES = ("LDG.E", "FFMA", "STG.E")


def check(before, after, launches):
    n, alpha = launches[0].scalars
    expected = before["y"].copy()
    expected[:n] = fma32(alpha, before["x"][:n], expected[:n])
    assert_same("y", after["y"], expected)
