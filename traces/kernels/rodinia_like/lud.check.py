import numpy as np

from gpusim.checking import SINGLE_ULP, assert_within

WRITES = ("a",)
EXERCISES = ("BAR", "LDS", "FFMA", "CALL")


def check(before, after, launches):
    n, by = launches[0].scalars
    original = before["a"].astype(np.float64)
    original[np.arange(n), np.arange(n)] += by
    result = after["a"].astype(np.float64)
    lower, upper = np.tril(result, -1) + np.eye(n), np.triu(result)
    # Backward error of elimination (Higham, Accuracy and Stability of Numerical Algorithms, theorem 9.3).
    bound = n * SINGLE_ULP * (np.abs(lower) @ np.abs(upper))
    assert_within("L U", lower @ upper, original, bound, "one rounding per step of an elimination of order n")
