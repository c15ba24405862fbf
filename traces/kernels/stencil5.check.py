import numpy as np

from gpusim.checking import assert_same, fma32

WRITES = ("out",)
EXERCISES = ("LDG", "FFMA", "FMUL")


def check(before, after, launches):
    _, _, centre, side = launches[0].scalars
    field = before["in"]
    around = (field[:-2, 1:-1] + field[2:, 1:-1]) + (field[1:-1, :-2] + field[1:-1, 2:])
    expected = field.copy()
    expected[1:-1, 1:-1] = fma32(side, around, np.float32(centre) * field[1:-1, 1:-1])
    assert_same("out", after["out"], expected)
