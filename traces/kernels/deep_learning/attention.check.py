import numpy as np

from gpusim.checking import SINGLE_ULP, assert_within

WRITES = ("out",)
EXERCISES = ("MUFU.EX2", "LDS.128", "FFMA", "BSSY", "STG.128")


def check(before, after, launches):
    queries, keys, values = (before[name].astype(np.float64) for name in ("queries", "keys", "values"))
    count, scale = launches[0].scalars
    scores = queries @ keys.T * np.float32(scale)
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    # A score's chain of 32 products moves a weight by that many roundings of the products' sizes; the fast exponential
    # (2 ulp, argument scaled with |score - maximum| ulp) and its corrections add theirs; then one rounding per key.
    sizes = (np.abs(queries) @ np.abs(keys.T)).max(axis=1, keepdims=True) * scale
    relative = (2 * 34 * sizes + 4 * np.ptp(scores, axis=1)[:, None] + 2 * count + 32) * SINGLE_ULP
    assert_within(
        "out", after["out"], weights @ values, relative * (weights @ np.abs(values)), "see attention.check.py"
    )
