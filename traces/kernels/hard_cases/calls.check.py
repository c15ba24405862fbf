import numpy as np

from gpusim.checking import assert_same

WRITES = ("out",)
EXERCISES = ("CALL", "RET", "BSSY", "BSYNC")
U = np.uint32


def mix(value, key):
    value = (value ^ value >> U(15)) * U(0x2C1B3C6D)
    return value ^ value >> U(12) ^ key


def rounds(value, count):
    for k in range(count):
        value = mix(value, U(k)) + value
    return value


def either(value, depth):
    left = rounds(value, depth & 3)
    right = np.where(value & U(1), rounds(left ^ value, 1 + (depth & 1)), U(0))
    return left + U(3) * right


def check(before, after, launches):
    count, repeats = launches[0].scalars
    value, i = before["in"][:count], np.arange(count, dtype=U)
    for k in range(repeats):
        value = either(value, k)
        value = np.where(value & U(2), mix(value, i), value)
    expected = before["out"].copy()
    expected[:count] = value
    assert_same("out", after["out"], expected)
