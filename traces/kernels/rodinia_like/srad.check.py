import numpy as np

from gpusim.checking import add_in_order, assert_same, fma32, fold_halves, grid_stride

WRITES = ("image", "variation", "gradients", "coefficient")
EXERCISES = ("LDG.128", "STG.128", "CALL", "BSSY")
THREADS = 256  # as in srad.cu
F = np.float32


def variation(image):
    rows = grid_stride(image.reshape(-1), THREADS)
    squares = np.zeros(THREADS, F)
    for row in rows:
        squares = fma32(row, row, squares)
    mean = fold_halves(add_in_order(rows)) / F(image.size)
    return (fold_halves(squares) / F(image.size) - mean * mean) / (mean * mean)


def coefficients(image, q0):
    around = np.pad(image, 1, mode="edge")
    north, south, west, east = around[:-2, 1:-1], around[2:, 1:-1], around[1:-1, :-2], around[1:-1, 2:]
    x, y, z, w = (side - image for side in (north, south, west, east))
    norm = fma32(x, x, fma32(y, y, fma32(z, z, w * w))) / (image * image)
    laplacian = (x + y + z + w) / image
    numerator = fma32(0.5, norm, F(-0.0625) * (laplacian * laplacian))
    base = fma32(0.25, laplacian, 1)
    value = F(1) / (F(1) + (numerator / (base * base) - q0) / (q0 * (F(1) + q0)))
    return np.stack([x, y, z, w], axis=-1), np.clip(value, F(0), F(1))


def check(before, after, launches):
    image = before["image"]
    for launch in launches[2::3]:
        q0 = variation(image)
        gradients, here = coefficients(image, q0)
        below = np.concatenate([here[1:], here[-1:]])
        right = np.concatenate([here[:, 1:], here[:, -1:]], axis=1)
        x, y, z, w = np.moveaxis(gradients, -1, 0)
        divergence = fma32(here, x, fma32(below, y, fma32(here, z, right * w)))
        image = fma32(F(0.25) * F(launch.scalars[-1]), divergence, image)
    named = (("variation", q0), ("gradients", gradients), ("coefficient", here), ("image", image))
    for name, expected in named:
        assert_same(name, after[name], expected)
