import numpy as np

from gpusim.checking import SINGLE_ULP, assert_within

WRITES = ("out",)
EXERCISES = ("MUFU.EX2", "SHFL.BFLY", "FMNMX", "FCHK", "CALL")


def check(before, after, launches):
    rows = before["in"].astype(np.float64)
    powers = np.exp(rows - rows.max(axis=1, keepdims=True))
    expected = powers / powers.sum(axis=1, keepdims=True)
    threads = launches[0].block[0]
    roundings = -(-rows.shape[1] // threads) + 5 + threads // 32  # longest chain of additions of the sum
    exponential = 2 * 2 + 2 * 17  # expf errs by 2 ulp; x - max is rounded once, times |x - max| <= 17
    assert np.ptp(rows, axis=1).max() <= 17
    reason = "approximate exponential (2 ulp) in numerator and sum, one rounding per addition and subtraction"
    assert_within("out", after["out"], expected, (roundings + exponential) * SINGLE_ULP * expected, reason)
