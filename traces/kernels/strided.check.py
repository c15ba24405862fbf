import numpy as np

from gpusim.checking import add_in_order, assert_same

WRITES = ("out1", "out2", "out4", "out8", "out32")
EXERCISES = ("LDG.E",)


def check(before, after, launches):
    for launch in launches:
        n, stride, loads = launch.scalars
        thread = np.arange(launch.threads)
        index = (thread + np.arange(loads)[:, None] * launch.threads) * stride & (n - 1)
        assert_same(f"out{stride}", after[f"out{stride}"], add_in_order(before["in"][index]))
