import numpy as np

from gpusim.checking import assert_same, fma32

WRITES = ("out",)
EXERCISES = ("LDG.CONSTANT", "FFMA")
# As in 3dconv.cu.
WEIGHTS = np.array([
    0.5, -0.25, 0.125, 0.1, -0.2, 0.3, -0.4, 0.6, 0.7, -0.8, 0.9, 0.05, 0.15, 1.0,
    -0.35, 0.45, -0.55, 0.65, 0.75, -0.85, 0.95, -0.02, 0.04, 0.06, -0.08, 0.12, 0.14,
]).reshape(3, 3, 3)  # fmt: skip


def check(before, after, launches):
    volume = before["in"]
    depth, height, width = (size - 2 for size in volume.shape)
    total = np.zeros((depth, height, width), np.float32)
    for (z, y, x), weight in np.ndenumerate(WEIGHTS):
        total = fma32(weight, volume[z : z + depth, y : y + height, x : x + width], total)
    expected = before["out"].copy()
    expected[1:-1, 1:-1, 1:-1] = total
    assert_same("out", after["out"], expected)
