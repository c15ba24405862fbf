from gpusim.checking import assert_same, fma32

WRITES = ("ex", "ey", "hz")
EXERCISES = ("LDG", "FADD", "FFMA", "STG")


def check(before, after, launches):
    ex, ey, hz = (before[name].copy() for name in WRITES)
    for launch in launches:
        if launch.kernel == "update_ey":
            ey[1:] = fma32(-0.5, hz[1:] - hz[:-1], ey[1:])
            ey[0] = before["signal"][launch.scalars[-1]]
        elif launch.kernel == "update_ex":
            ex[:, 1:] = fma32(-0.5, hz[:, 1:] - hz[:, :-1], ex[:, 1:])
        else:
            curl = (ex[:-1, 1:] - ex[:-1, :-1]) + (ey[1:, :-1] - ey[:-1, :-1])
            hz[:-1, :-1] = fma32(-0.7, curl, hz[:-1, :-1])
    for name, expected in (("ex", ex), ("ey", ey), ("hz", hz)):
        assert_same(name, after[name], expected)
