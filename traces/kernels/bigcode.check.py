import numpy as np

from gpusim.checking import assert_same

WRITES = ("out",)
EXERCISES = ("LOP3", "SHF.L")
PHASES, STEPS = 5, 256  # as in bigcode.cu


def rotate(value, by):
    return value << np.uint32(by) | value >> np.uint32(32 - by)


def check(before, after, launches):
    (launch,) = launches
    x, y, z, w = before["in"].T.copy()
    phase = np.arange(launch.threads) // launch.block[0] % PHASES
    for step in [*range(STEPS)] * launch.scalars[0]:
        key = ((phase * STEPS + step + 1) * 2654435761 & 0xFFFFFFFF).astype(np.uint32)
        x = x + (y ^ key)
        w = rotate(w ^ x, 16)
        z = z + (w ^ key >> np.uint32(7))
        y = rotate(y ^ z, 11)
    assert_same("out", after["out"], np.stack([x, y, z, w], axis=1))
