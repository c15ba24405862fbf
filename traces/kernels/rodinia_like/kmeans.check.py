import numpy as np

from gpusim.checking import assert_same, fma32

WRITES = ("members", "centres", "sums", "sizes")
EXERCISES = ("F2I.S64", "RED.ADD.64", "I2F.F64.S64", "F2F.F32.F64", "MUFU.RCP64H")


def check(before, after, launches):
    points, centres = before["points"], before["centres"].copy()
    fixed = np.rint(points.astype(np.float64) * 65536)
    for _ in launches[::3]:
        distances = np.zeros((len(centres), points.shape[1]), np.float32)
        for coordinate, centre in zip(points, centres.T):
            apart = coordinate - centre[:, None]
            distances = fma32(apart, apart, distances)
        members = distances.argmin(axis=0).astype(np.int32)
        sizes = np.bincount(members, minlength=len(centres))
        for c in np.flatnonzero(sizes):
            centres[c] = (fixed[:, members == c].sum(axis=1) / (sizes[c] * 65536.0)).astype(np.float32)
    assert_same("members", after["members"], members)
    assert_same("centres", after["centres"], centres)
    assert_same("sums", after["sums"], before["sums"])
    assert_same("sizes", after["sizes"], before["sizes"])
