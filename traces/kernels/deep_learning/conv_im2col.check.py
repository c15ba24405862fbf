import numpy as np

from gpusim.checking import assert_same, fused_product

WRITES = ("matrix", "out")
EXERCISES = ("LDS", "FFMA", "FMNMX", "BAR")


def check(before, after, launches):
    image = before["image"]
    channels, height, width = image.shape
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1)))
    views = [padded[:, y : y + height, x : x + width] for y in range(3) for x in range(3)]
    matrix = np.stack(views, axis=1).reshape(channels * 9, height * width)
    assert_same("matrix", after["matrix"], matrix)
    product = fused_product(before["filters"], matrix, before["bias"][:, None])
    assert_same("out", after["out"], np.maximum(product, np.float32(0)))
