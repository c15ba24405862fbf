import numpy as np

from gpusim.checking import assert_same

WRITES = ("scores",)
EXERCISES = ("IMNMX", "LDS", "STS")


def check(before, after, launches):
    size, gap = launches[0].scalars
    similarity = before["similarity"]
    scores = np.zeros((size, size), np.int32)
    scores[0] = scores[:, 0] = -gap * np.arange(size)
    for diagonal in range(2, 2 * size - 1):
        y = np.arange(max(1, diagonal - size + 1), min(size, diagonal))
        x = diagonal - y
        skipped = np.maximum(scores[y - 1, x], scores[y, x - 1]) - gap
        scores[y, x] = np.maximum(scores[y - 1, x - 1] + similarity[y - 1, x - 1], skipped)
    assert_same("scores", after["scores"], scores)
