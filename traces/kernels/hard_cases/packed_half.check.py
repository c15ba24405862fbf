import numpy as np

from gpusim.checking import assert_same

WRITES = ("y", "bounded", "chosen", "sums")
EXERCISES = ("HFMA2", "HADD2", "HMUL2", "HADD2.F32", "HSET2")
H = np.float16


def fma16(a, b, c):
    """Rounded once: in fp64 the product and, for numbers of these sizes, the sum are exact."""
    return (a.astype(np.float64) * b.astype(np.float64) + c.astype(np.float64)).astype(H)


def check(before, after, launches):
    _, rounds = launches[0].scalars
    value, result = before["x"], before["y"]
    assert_same("bounded", after["bounded"], np.clip(value, H(-0.25), H(0.5)))
    assert_same("chosen", after["chosen"], (value > result).astype(H) * value)
    scale, total = np.broadcast_to(np.array([0.75, -0.5], H), value.shape), value
    for _ in range(rounds):
        result = fma16(scale, value, result)
        total = total + result
        value = result / np.array([2, 4], H)
    assert_same("y", after["y"], result)
    assert_same("sums", after["sums"], total.astype(np.float32))
