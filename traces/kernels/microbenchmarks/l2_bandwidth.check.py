import numpy as np

from gpusim.checking import assert_same

WRITES = ("out",)
EXERCISES = ("LDG.128",)
LOADS = 8  # as in l2_bandwidth.cu


def check(before, after, launches):
    (launch,) = launches
    count, rounds = launch.scalars
    quads = before["in"]
    mixed = (quads[:, 0] ^ quads[:, 1]) + (quads[:, 2] ^ quads[:, 3])
    index = np.arange(launch.threads) + np.arange(rounds * LOADS)[:, None] * launch.threads & count - 1
    assert_same("out", after["out"], mixed[index].sum(axis=0, dtype=np.uint32))
