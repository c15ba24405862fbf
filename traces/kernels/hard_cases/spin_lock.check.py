import numpy as np

from gpusim.checking import assert_same

WRITES = ("lock", "totals", "block_sums")
EXERCISES = ("ATOMS.CAS", "ATOMG.CAS", "NANOSLEEP", "MEMBAR")


def check(before, after, launches):
    (launch,) = launches
    values = before["values"].reshape(launch.grid[0], launch.block[0])
    assert_same("lock", after["lock"], before["lock"])
    sums = np.stack([values.sum(axis=1), np.full(len(values), launch.block[0])], axis=1).astype(np.int32)
    assert_same("block_sums", after["block_sums"], sums)
    first_lanes = values.reshape(-1, 32)[:, 0]
    assert_same("totals", after["totals"], np.array([first_lanes.sum(), first_lanes.size], np.int32))
