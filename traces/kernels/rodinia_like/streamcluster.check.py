import numpy as np

from gpusim.checking import SINGLE_ULP, assert_same, assert_within, fma32

WRITES = ("moves", "savings", "total_gain")
EXERCISES = ("RED.ADD.F32", "FFMA", "LDS")


def check(before, after, launches):
    *_, candidate = launches[0].scalars
    distance = np.zeros_like(before["weights"])
    for coordinate in before["points"]:
        apart = coordinate - coordinate[candidate]
        distance = fma32(apart, apart, distance)
    saved = before["costs"] - distance * before["weights"]
    moving = saved > 0
    assert_same("moves", after["moves"], moving.astype(np.int32))
    savings = np.bincount(before["centres"][moving], saved[moving].astype(np.float64), len(before["savings"]))
    reason = "one rounding per atomic addition, in any order"
    additions = int(moving.sum())
    assert_within("savings", after["savings"], savings, additions * SINGLE_ULP * (savings + 1), reason)
    total = np.array([savings.sum()])
    assert_within("total_gain", after["total_gain"], total, additions * SINGLE_ULP * total, reason)
