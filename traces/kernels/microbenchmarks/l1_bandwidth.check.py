import numpy as np

from gpusim.checking import assert_same

WRITES = ("word_sums", "quad_sums")
EXERCISES = ("LDG.E", "LDG.128")
LOADS = 8  # as in l1_bandwidth.cu


def check(before, after, launches):
    quads = before["in"].reshape(-1, 4)
    mixed = (quads[:, 0] ^ quads[:, 1]) + (quads[:, 2] ^ quads[:, 3])
    for launch, name, values in zip(launches, WRITES, (before["in"], mixed), strict=True):
        count, rounds = launch.scalars
        size = launch.block[0]
        index = np.arange(size) + np.arange(rounds * LOADS)[:, None] * size & count - 1
        sums = values[index].sum(axis=0, dtype=np.uint32)
        assert_same(name, after[name], np.tile(sums, launch.grid[0]))
