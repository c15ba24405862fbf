from gpusim.checking import assert_same

WRITES = ("out_unpadded", "out_padded")
EXERCISES = ("LDS", "STS", "BAR")


def check(before, after, launches):
    for name in WRITES:
        assert_same(name, after[name], before["in"].T)
