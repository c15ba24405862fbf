import numpy as np

from gpusim.checking import add_in_order, assert_same, fma32

WRITES = ("sums", "maps")
EXERCISES = ("FFMA", "FMUL")
UNROLL = 16  # as in maxflops.cu


def check(before, after, launches):
    y, z = before["factors"][:, :, None]
    chains = len(y)
    first = before["start"] * (np.float32(0.125) * np.arange(1, chains + 1, dtype=np.float32))[:, None]
    steps = {"sums": lambda x: fma32(x, y, z), "maps": lambda x: fma32(-y, x, z) * x}
    for launch, (buffer, step) in zip(launches, steps.items(), strict=True):
        x = first
        for _ in range(launch.scalars[0] * UNROLL):
            x = step(x)
        assert_same(buffer, after[buffer], add_in_order(x))
