"""Check files: what a kernel's buffers must hold after its launches, computed without the emulator.

`NAME.check.py` stands beside `NAME.cu` and is plain Python, executed only where it is asked for
(`gpusim trace NAME.cu --check`), never because of a launch file:

    from gpusim.checking import assert_same, fma32

    WRITES = ("y",)           # buffers the launches may change; all others must stay as they were
    EXERCISES = ("FFMA",)     # instructions the kernel is there for (optional; an opcode with modifiers it must carry)
    MINIMUM_ARCHITECTURE = 80 # optional, for kernels that older architectures cannot run

    def check(before, after, launches):
        n, alpha = launches[0].scalars
        assert_same("y", after["y"], fma32(alpha, before["x"], before["y"]))

`before` and `after` map buffer names to arrays in the dtype and shape of the launch file; `launches` are the launches
in order. Integers and fp32 results whose order of operations the source fixes are compared bit for bit, the others
within a bound that the check derives and states.
"""

from __future__ import annotations

import importlib.util
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gpusim.errors import GpusimError

SINGLE_ULP = 2.0**-23
"""Spacing of fp32 numbers just above 1; half of it bounds the relative error of one rounding."""
HALF_ULP = 2.0**-10
"""The same of fp16."""

Buffers = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class LaunchFacts:
    """One launch: kernel name, sizes as (x, y, z), and the arguments that are no buffers, in order."""

    kernel: str | None
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    scalars: tuple[float, ...]

    @property
    def threads(self) -> int:
        return int(np.prod(self.grid) * np.prod(self.block))


@dataclass(frozen=True)
class CheckFile:
    """A loaded check file; see the module for its fields."""

    path: Path
    check: Callable[[Buffers, Buffers, Sequence[LaunchFacts]], None]
    writes: tuple[str, ...]
    exercises: tuple[str, ...]
    minimum_architecture: int

    def run(self, before: Buffers, after: Buffers, launches: Sequence[LaunchFacts]) -> None:
        """Raises AssertionError saying what differs, GpusimError if the check file itself fails."""
        try:
            self.check(before, after, launches)
        except AssertionError:
            raise
        except Exception as error:
            raise _broken(self.path, error) from error
        for name in set(before) - set(self.writes):
            assert_same(f"{name} (not in WRITES)", after[name], before[name])


def check_path(source: Path | str) -> Path:
    """Where the check file of a kernel file stands."""
    return Path(source).with_suffix(".check.py")


def load_check(path: Path | str) -> CheckFile:
    """Execute a check file and return what it defines. Raises GpusimError naming file, line and what is missing."""
    path = Path(path)
    if not path.is_file():
        raise GpusimError(f"{path}: there is no such check file; write one with check(before, after, launches)")
    specification = importlib.util.spec_from_file_location(path.stem.replace(".", "_"), path)
    if specification is None or specification.loader is None:
        raise GpusimError(f"{path}: a check file is a Python file; its name should end in .py")
    module = importlib.util.module_from_spec(specification)
    try:
        specification.loader.exec_module(module)
    except Exception as error:
        raise _broken(path, error) from error
    missing = [name for name in ("check", "WRITES") if not hasattr(module, name)]
    if missing:
        raise GpusimError(f"{path}: a check file defines {' and '.join(missing)}")
    exercises = tuple(getattr(module, "EXERCISES", ()))
    return CheckFile(path, module.check, tuple(module.WRITES), exercises, getattr(module, "MINIMUM_ARCHITECTURE", 0))


def _broken(path: Path, error: Exception) -> GpusimError:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path]
    line = getattr(error, "lineno", None) or (lines[-1] if lines else 1)
    return GpusimError(f"{path}:{line}: the check file fails: {type(error).__name__}: {error}")


def assert_same(name: str, actual: np.ndarray, expected: np.ndarray) -> None:
    """Raises AssertionError unless shape, dtype and every bit agree."""
    expected = np.asarray(expected)
    assert actual.dtype == expected.dtype, f"{name}: {actual.dtype}, expected {expected.dtype}"
    assert actual.size == expected.size, f"{name}: {actual.shape}, expected {expected.shape}"
    unsigned = np.dtype(f"u{actual.dtype.itemsize}")
    left, right = (np.ascontiguousarray(x).reshape(-1).view(unsigned) for x in (actual, expected))
    differ = np.flatnonzero(left != right)
    if len(differ):
        k = int(differ[0])
        place = tuple(int(i) for i in np.unravel_index(k, actual.shape))
        raise AssertionError(
            f"{name}: {len(differ)} of {actual.size} elements differ, the first at {place}: "
            f"{actual.flat[k]}, expected {expected.flat[k]}"
        )


def assert_within(name: str, actual: np.ndarray, expected: np.ndarray, bound: np.ndarray | float, reason: str) -> None:
    """Raises AssertionError unless |actual - expected| <= bound everywhere; `reason` says where the bound is from."""
    assert actual.size == np.size(expected), f"{name}: {actual.shape}, expected {np.shape(expected)}"
    expected = np.asarray(expected, np.float64).reshape(actual.shape)
    bound = np.broadcast_to(bound, expected.shape)
    error = np.abs(actual.astype(np.float64) - expected)
    bad = ~(error <= bound)
    if bad.any():
        k = int(np.argmax(np.where(bad, np.nan_to_num(error - bound, nan=np.inf), -np.inf)))
        place = tuple(int(i) for i in np.unravel_index(k, actual.shape))
        raise AssertionError(
            f"{name}: {bad.sum()} of {actual.size} elements are off, the worst at {place}: {actual.flat[k]}, "
            f"expected {expected.flat[k]} within {bound.flat[k]} ({reason})"
        )


def fma32(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """a * b + c rounded once to fp32 (round to nearest even), element by element, as the FFMA instruction does.

    The product of two fp32 numbers is exact in fp64; its sum with c is rounded to odd, so that the
    second rounding, to fp32, cannot err (Boldo and Melquiond, "Emulation of FMA and correctly rounded
    sums: proved algorithms using rounding to odd", 2008). Finite and infinite inputs; NaN gives NaN.
    """
    product = np.asarray(a, np.float32).astype(np.float64) * np.asarray(b, np.float32).astype(np.float64)
    addend = np.asarray(c, np.float32).astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        total = product + addend
        virtual = total - product
        error = (product - (total - virtual)) + (addend - virtual)  # exact (Knuth's two-sum)
        bits = np.atleast_1d(total).view(np.int64)
        inexact = np.isfinite(error) & (error != 0) & (bits & 1 == 0)
        towards = np.where((error > 0) == (total > 0), 1, -1)
        odd = (bits + np.where(inexact, towards, 0)).view(np.float64)
        return odd.astype(np.float32).reshape(total.shape)


def fused_product(a: np.ndarray, b: np.ndarray, start: np.ndarray | float = 0.0) -> np.ndarray:
    """start + a @ b in fp32, each element as one chain of fused multiply-adds over ascending k."""
    total = np.broadcast_to(np.float32(start), (a.shape[0], b.shape[1])).copy()
    for k in range(a.shape[1]):
        total = fma32(a[:, k, None], b[None, k, :], total)
    return total


def add_in_order(rows: np.ndarray) -> np.ndarray:
    """Rows added one after the other, beginning with zero, in the precision of the array."""
    total = np.zeros(rows.shape[1:], rows.dtype)
    for row in rows:
        total = total + row
    return total


def fold_halves(values: np.ndarray) -> np.ndarray:
    """Sum over the last axis (a power of two long) by adding its upper half to its lower half, step by step."""
    while values.shape[-1] > 1:
        half = values.shape[-1] // 2
        values = values[..., :half] + values[..., half:]
    return values[..., 0]


def grid_stride(values: np.ndarray, threads: int) -> np.ndarray:
    """(passes, threads): element i + p * threads, zero beyond the end; what thread i reads in pass p."""
    passes = -(-len(values) // threads)
    padded = np.zeros(passes * threads, values.dtype)
    padded[: len(values)] = values
    return padded.reshape(passes, threads)
