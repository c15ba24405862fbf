import numpy as np

from gpusim.checking import assert_same

WRITES = ("bins",)
EXERCISES = ("ATOMS", "RED.ADD")


def check(before, after, launches):
    (n,) = launches[0].scalars
    counts = np.bincount(np.ascontiguousarray(before["words"][:n]).view(np.uint8), minlength=256)
    assert_same("bins", after["bins"], before["bins"] + counts.astype(before["bins"].dtype))
