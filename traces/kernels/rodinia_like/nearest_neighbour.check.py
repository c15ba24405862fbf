import numpy as np

from gpusim.checking import assert_same, fma32

WRITES = ("distances", "nearest")
EXERCISES = ("RED.MIN.64", "SHFL.BFLY", "MUFU.RSQ")


def check(before, after, launches):
    count, x, y = launches[0].scalars
    dx, dy = (before["records"][:count] - np.array([x, y], np.float32)).T
    distances = np.sqrt(fma32(dx, dx, dy * dy))
    assert_same("distances", after["distances"], distances)
    keys = distances.view(np.uint32).astype(np.uint64) << np.uint64(32) | np.arange(count, dtype=np.uint64)
    assert_same("nearest", after["nearest"], keys.min(keepdims=True))
