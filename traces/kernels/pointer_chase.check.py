import numpy as np

from gpusim.checking import assert_same

WRITES = ("near_last", "middle_last", "far_last")
EXERCISES = ("LDG.E",)


def check(before, after, launches):
    for launch, name in zip(launches, ("near", "middle", "far")):
        offset, next_offset = 0, before[name].reshape(-1)
        for _ in range(launch.scalars[0]):
            offset = int(next_offset[offset // 4])
        assert_same(f"{name}_last", after[f"{name}_last"], np.array([offset], np.uint32))
