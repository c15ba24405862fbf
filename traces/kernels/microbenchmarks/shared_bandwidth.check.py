import numpy as np

from gpusim.checking import assert_same

WRITES = ("words", "pairs", "quads", "stride2", "stride4", "stride8", "stride32")
EXERCISES = ("LDS", "LDS.64", "LDS.128")
LOADS = 8  # as in shared_bandwidth.cu


def check(before, after, launches):
    source = before["in"]
    pairs, quads = source.reshape(-1, 2), source.reshape(-1, 4)
    vectors = (source, pairs[:, 0] ^ pairs[:, 1], (quads[:, 0] ^ quads[:, 1]) + (quads[:, 2] ^ quads[:, 3]))
    for launch, name, values in zip(launches, WRITES, (*vectors, *[source] * 4), strict=True):
        rounds, *stride = launch.scalars
        thread, load = np.arange(launch.block[0]), np.arange(rounds * LOADS)[:, None]
        index = thread * stride[0] + load if stride else thread + load * launch.block[0]
        sums = values[index & len(values) - 1].sum(axis=0, dtype=np.uint32)
        assert_same(name, after[name], np.tile(sums, launch.grid[0]))
