"""Every kernel of traces/kernels, compiled for sm_86 and sm_75, executed, and compared with NumPy."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import yaml
from kernel_checks import CHECKS, Expected, LaunchFacts, fma32

KERNELS = Path(__file__).resolve().parent.parent / "traces" / "kernels"


def round_to_float32(exact: Fraction) -> np.float32:
    """The fp32 number nearest to `exact`, ties to the even significand, by comparing neighbours."""
    guess = np.float32(float(exact))
    around = [np.nextafter(guess, np.float32(-np.inf)), guess, np.nextafter(guess, np.float32(np.inf))]
    return min(around, key=lambda x: (abs(Fraction(float(x)) - exact), int(x.view(np.uint32)) & 1))


def test_fma32_rounds_once() -> None:
    generator = np.random.default_rng(1)
    patterns = generator.integers(0, 1 << 23, (3, 2000), dtype=np.uint32)
    exponents = generator.integers(96, 158, (3, 2000), dtype=np.uint32)
    exponents[2] = np.clip(exponents[0] + exponents[1] - 127 + generator.integers(-30, 30, 2000), 1, 250)
    a, b, c = (patterns | exponents << 23 | generator.integers(0, 2, (3, 2000), dtype=np.uint32) << 31).view(np.float32)
    exact = [Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z)) for x, y, z in zip(a, b, c, strict=True)]
    assert np.array_equal(fma32(a, b, c), np.array([round_to_float32(value) for value in exact]))


@pytest.mark.parametrize("sign", [1, -1])
def test_fma32_where_rounding_twice_errs(sign: int) -> None:
    # 24929 * 673 = 2^24 + 1 lies half way between two fp32 numbers; fp64 drops the addend that decides.
    a, b, c = np.float32(24929 * sign), np.float32(673), np.float32(2.0**-40 * sign)
    assert np.float32(np.float64(a) * np.float64(b) + np.float64(c)) == sign * 2.0**24
    assert fma32(a, b, c) == sign * (2.0**24 + 2)


def test_fma32_of_infinities_and_zeros() -> None:
    big, inf = np.float32(3e38), np.float32(np.inf)
    assert fma32(big, big, -big) == inf
    assert fma32(inf, np.float32(1), np.float32(1)) == inf
    assert fma32(np.float32(2), np.float32(3), np.float32(-6)) == 0


def launch_facts(path: Path) -> tuple[LaunchFacts, ...]:
    """Sizes and scalars of a launch file, read without the package."""
    launches = yaml.safe_load(path.read_text())["launches"]

    def sizes(value: list[int]) -> tuple[int, int, int]:
        return tuple(value + [1] * (3 - len(value)))

    return tuple(
        LaunchFacts(
            sizes(launch["grid"]),
            sizes(launch["block"]),
            tuple(value for argument in launch["arguments"] for kind, value in argument.items() if kind != "buffer"),
        )
        for launch in launches
    )
