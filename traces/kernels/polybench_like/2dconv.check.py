import numpy as np

from gpusim.checking import assert_same, fma32

WRITES = ("out",)
EXERCISES = ("LDG.CONSTANT", "FFMA")
WEIGHTS = ((0.25, -0.375, 0.5), (-0.125, 0.75, 0.1), (0.3, -0.2, 0.6))  # as in 2dconv.cu


def check(before, after, launches):
    field = before["in"]
    height, width = field.shape
    total = np.zeros((height - 2, width - 2), np.float32)
    for dy, row in enumerate(WEIGHTS):
        for dx, weight in enumerate(row):
            total = fma32(weight, field[dy : dy + height - 2, dx : dx + width - 2], total)
    expected = before["out"].copy()
    expected[1:-1, 1:-1] = total
    assert_same("out", after["out"], expected)
