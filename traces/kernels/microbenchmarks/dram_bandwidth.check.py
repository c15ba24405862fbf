import numpy as np

from gpusim.checking import add_in_order, assert_same, grid_stride

WRITES = ("copied", "sums", "written")
EXERCISES = ("LDG.128", "STG.128")


def check(before, after, launches):
    quads = before["in"]
    assert_same("copied", after["copied"], quads)
    mixed = (quads[:, 0] ^ quads[:, 1]) + (quads[:, 2] ^ quads[:, 3])
    assert_same("sums", after["sums"], add_in_order(grid_stride(mixed, launches[1].threads)))
    i = np.arange(len(quads), dtype=np.uint32)
    assert_same("written", after["written"], np.stack([i, ~i, i + np.uint32(1), i << np.uint32(8)], axis=1))
