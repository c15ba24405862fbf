import numpy as np

from gpusim.checking import add_in_order, assert_same, fma32

WRITES = ("out",)
EXERCISES = ("FFMA",)
CHAINS, UNROLL = 16, 8  # as in ffma.cu


def check(before, after, launches):
    (rounds,) = launches[0].scalars
    scale, shift = before["factors"]
    x = before["start"] + np.arange(CHAINS, dtype=np.float32)[:, None]
    for _ in range(rounds * UNROLL):
        x = fma32(x, scale, shift)
    assert_same("out", after["out"], add_in_order(x))
