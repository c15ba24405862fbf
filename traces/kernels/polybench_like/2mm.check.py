import numpy as np

from gpusim.checking import assert_same, fma32, fused_product

WRITES = ("product", "d")
EXERCISES = ("LDS", "STS", "BAR", "FFMA")


def check(before, after, launches):
    product = before["product"]
    for launch, (left, right, out) in zip(launches, (("a", "b", "product"), ("product", "c", "d")), strict=True):
        *_, scale, keep = launch.scalars
        source = product if left == "product" else before[left]
        product = fma32(keep, before[out], np.float32(scale) * fused_product(source, before[right]))
        assert_same(out, after[out], product)
