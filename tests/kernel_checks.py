"""Expected outputs of the kernels in traces/kernels, computed with NumPy from the initial buffers.

Nothing here uses the emulator. Integers and fp32 results whose order of operations the source fixes are
expected bit for bit; the others carry a tolerance and the reason for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

SINGLE_ULP = 2.0**-23
"""Spacing of fp32 numbers just above 1; half of it bounds the relative error of one rounding."""


@dataclass(frozen=True)
class LaunchFacts:
    """What a check needs of one launch: sizes as (x, y, z) and the scalar arguments in order."""

    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    scalars: tuple[float, ...]

    @property
    def threads(self) -> int:
        return int(np.prod(self.grid) * np.prod(self.block))


@dataclass(frozen=True)
class Expected:
    """Expected contents of one buffer. `tolerance` bounds |actual - values| per element; None means bit for bit."""

    values: np.ndarray
    tolerance: np.ndarray | float | None = None
    reason: str = ""


Buffers = Mapping[str, np.ndarray]
Check = Callable[[Buffers, tuple[LaunchFacts, ...]], dict[str, Expected]]


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


def vecadd(initial: Buffers, launches: tuple[LaunchFacts, ...]) -> dict[str, Expected]:
    (n,) = launches[0].scalars
    values = initial["c"].copy()
    values[:n] = initial["a"][:n] + initial["b"][:n]
    return {"c": Expected(values)}


def saxpy(initial: Buffers, launches: tuple[LaunchFacts, ...]) -> dict[str, Expected]:
    n, alpha = launches[0].scalars
    values = initial["y"].copy()
    values[:n] = fma32(np.float32(alpha), initial["x"][:n], values[:n])
    return {"y": Expected(values)}


def ffma(initial: Buffers, launches: tuple[LaunchFacts, ...]) -> dict[str, Expected]:
    chains, unroll = 16, 8  # CHAINS and UNROLL of ffma.cu
    (rounds,) = launches[0].scalars
    scale, shift = initial["factors"]
    x = initial["start"] + np.arange(chains, dtype=np.float32)[:, None]
    for _ in range(rounds * unroll):
        x = fma32(x, scale, shift)
    total = x[0]
    for chain in x[1:]:
        total = total + chain
    return {"out": Expected(total)}


def maxflops(initial: Buffers, launches: tuple[LaunchFacts, ...]) -> dict[str, Expected]:
    unroll = 16  # UNROLL of maxflops.cu
    y, z = initial["factors"][:, :, None]
    chains = len(y)
    first = initial["start"] * (np.float32(0.125) * np.arange(1, chains + 1, dtype=np.float32))[:, None]
    steps = {"sums": lambda x: fma32(x, y, z), "maps": lambda x: fma32(-y, x, z) * x}
    expected = {}
    for launch, (buffer, step) in zip(launches, steps.items(), strict=True):
        x = first
        for _ in range(launch.scalars[0] * unroll):
            x = step(x)
        expected[buffer] = Expected(_add_in_order(x))
    return expected


def bigcode(initial: Buffers, launches: tuple[LaunchFacts, ...]) -> dict[str, Expected]:
    phases, steps = 5, 256  # PHASES and STEPS of bigcode.cu

    def rotate(value: np.ndarray, by: int) -> np.ndarray:
        return value << np.uint32(by) | value >> np.uint32(32 - by)

    (launch,) = launches
    x, y, z, w = initial["in"].T.copy()
    phase = np.arange(launch.threads) // launch.block[0] % phases
    for step in [*range(steps)] * launch.scalars[0]:
        key = ((phase * steps + step + 1) * 2654435761 & 0xFFFFFFFF).astype(np.uint32)
        x = x + (y ^ key)
        w = rotate(w ^ x, 16)
        z = z + (w ^ key >> np.uint32(7))
        y = rotate(y ^ z, 11)
    return {"out": Expected(np.stack([x, y, z, w], axis=1))}


def _matrix_product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Each element as one chain of fused multiply-adds over ascending k, starting at zero."""
    total = np.zeros((a.shape[0], b.shape[1]), np.float32)
    for k in range(a.shape[1]):
        total = fma32(a[:, k, None], b[None, k, :], total)
    return total


def gemm(initial: Buffers, launches: tuple[LaunchFacts, ...]) -> dict[str, Expected]:
    return {"c": Expected(_matrix_product(initial["a"], initial["b"]))}


def transpose(initial: Buffers, launches: tuple[LaunchFacts, ...]) -> dict[str, Expected]:
    values = np.ascontiguousarray(initial["in"].T)
    return {"out_unpadded": Expected(values), "out_padded": Expected(values)}


def stencil5(initial: Buffers, launches: tuple[LaunchFacts, ...]) -> dict[str, Expected]:
    _, _, centre, side = launches[0].scalars
    field = initial["in"]
    around = (field[:-2, 1:-1] + field[2:, 1:-1]) + (field[1:-1, :-2] + field[1:-1, 2:])
    values = field.copy()
    values[1:-1, 1:-1] = fma32(np.float32(side), around, np.float32(centre) * field[1:-1, 1:-1])
    return {"out": Expected(values)}


def _grid_stride(values: np.ndarray, threads: int) -> np.ndarray:
    """(passes, threads): element i + p * threads, zero beyond the end; what thread i reads in pass p."""
    passes = -(-len(values) // threads)
    padded = np.zeros(passes * threads, values.dtype)
    padded[: len(values)] = values
    return padded.reshape(passes, threads)


def _add_in_order(rows: np.ndarray) -> np.ndarray:
    """Rows added one after the other, in the precision of the array."""
    total = np.zeros(rows.shape[1:], rows.dtype)
    for row in rows:
        total = total + row
    return total


def _fold_halves(values: np.ndarray) -> np.ndarray:
    """Sum over the last axis (a power of two long) by adding its upper half to its lower half, step by step."""
    while values.shape[-1] > 1:
        half = values.shape[-1] // 2
        values = values[..., :half] + values[..., half:]
    return values[..., 0]


def reduction(initial: Buffers, launches: tuple[LaunchFacts, ...]) -> dict[str, Expected]:
    values, results = initial["in"], []
    for launch in launches:
        (n,) = launch.scalars
        per_thread = _add_in_order(_grid_stride(values[:n], launch.threads))
        values = _fold_halves(per_thread.reshape(launch.grid[0], launch.block[0]))
        results.append(values)
    partial = initial["partial"].copy()
    partial[: len(results[0])] = results[0]
    return {"partial": Expected(partial), "total": Expected(results[1])}


def warp_reduce(initial: Buffers, launches: tuple[LaunchFacts, ...]) -> dict[str, Expected]:
    values, keys = initial["values"].reshape(-1, 32), initial["keys"].reshape(-1, 32)
    return {
        "sums": Expected(_fold_halves(values)),
        "maxima": Expected(keys.max(axis=1)),
        "positive": Expected((values > 0).sum(axis=1).astype(np.int32)),
    }


def dot(initial: Buffers, launches: tuple[LaunchFacts, ...]) -> dict[str, Expected]:
    (n,) = launches[0].scalars
    products = initial["a"][:n].astype(np.float64) * initial["b"][:n].astype(np.float64)
    roundings = -(-n // launches[0].threads) + 5 + launches[0].threads // 32
    return {
        "result": Expected(
            np.array([products.sum()]),
            roundings * SINGLE_ULP / 2 * np.abs(products).sum(),
            "the order of the atomic additions is not defined; one rounding per addition in a chain",
        )
    }


def histogram(initial: Buffers, launches: tuple[LaunchFacts, ...]) -> dict[str, Expected]:
    (n,) = launches[0].scalars
    counts = np.bincount(np.ascontiguousarray(initial["words"][:n]).view(np.uint8), minlength=256)
    return {"bins": Expected(initial["bins"] + counts.astype(initial["bins"].dtype))}


def scan(initial: Buffers, launches: tuple[LaunchFacts, ...]) -> dict[str, Expected]:
    (n,) = launches[0].scalars
    values = initial["out"].copy()
    values[:n] = np.cumsum(initial["in"][:n], dtype=np.int32)  # wraps like the 32-bit adder
    return {"out": Expected(values)}


def softmax(initial: Buffers, launches: tuple[LaunchFacts, ...]) -> dict[str, Expected]:
    rows = initial["in"].astype(np.float64)
    powers = np.exp(rows - rows.max(axis=1, keepdims=True))
    values = powers / powers.sum(axis=1, keepdims=True)
    threads = launches[0].block[0]
    roundings = -(-rows.shape[1] // threads) + 5 + threads // 32  # longest chain of additions of the sum
    exponential = 2 * 2 + 2 * 17  # expf errs by 2 ulp; x - max is rounded once, times |x - max| <= 17
    assert np.ptp(rows, axis=1).max() <= 17
    return {
        "out": Expected(
            values,
            (roundings + exponential) * SINGLE_ULP * values,
            "approximate exponential (2 ulp) in numerator and sum, one rounding per addition and subtraction",
        )
    }


def nbody(initial: Buffers, launches: tuple[LaunchFacts, ...]) -> dict[str, Expected]:
    n, step = launches[0].scalars
    step = float(np.float32(step))
    positions, velocities = initial["positions"].astype(np.float64), initial["velocities"].astype(np.float64)
    apart = positions[None, :, :3] - positions[:, None, :3]
    pull = positions[None, :, 3] * ((apart**2).sum(axis=2) + float(np.float32(1.0e-3))) ** -1.5
    forces = apart * pull[:, :, None]
    velocity = velocities.copy()
    velocity[:, :3] += forces.sum(axis=1) * step
    moved = positions.copy()
    moved[:, :3] += velocity[:, :3] * step
    # Per term: 3 x 2 ulp of the reciprocal square root and about 10 roundings; then n roundings of the running sum.
    bound = np.zeros_like(velocity)
    bound[:, :3] = (16 + n) * SINGLE_ULP * np.abs(forces).sum(axis=1) * step + SINGLE_ULP * np.abs(velocity[:, :3])
    moved_bound = bound * step + SINGLE_ULP * np.abs(moved)
    reason = "approximate reciprocal square root (2 ulp), contraction chosen by the compiler, n rounded additions"
    return {"velocities": Expected(velocity, bound, reason), "moved": Expected(moved, moved_bound, reason)}


def collatz(initial: Buffers, launches: tuple[LaunchFacts, ...]) -> dict[str, Expected]:
    (n,) = launches[0].scalars
    value = initial["start"][:n].astype(np.uint64)
    top, count = value.copy(), np.zeros(n, np.uint32)
    while (active := value > 1).any():
        value = np.where(active, np.where(value & 1, 3 * value + 1, value >> 1), value)
        count += active
        top = np.maximum(top, value)
    assert top.max() < 1 << 32
    steps, highest = initial["steps"].copy(), initial["highest"].copy()
    steps[:n], highest[:n] = count, top
    return {"steps": Expected(steps), "highest": Expected(highest)}


def pointer_chase(initial: Buffers, launches: tuple[LaunchFacts, ...]) -> dict[str, Expected]:
    expected = {}
    for launch, (chain, last) in zip(launches, POINTER_CHASES[: len(launches)], strict=True):
        offset, next_offset = 0, initial[chain].reshape(-1)
        for _ in range(launch.scalars[0]):
            offset = int(next_offset[offset // 4])
        expected[last] = Expected(np.array([offset], np.uint32))
    return expected


POINTER_CHASES = (("near", "near_last"), ("middle", "middle_last"), ("far", "far_last"))
"""(chain, last) buffers of each launch of pointer_chase, in order."""


def strided(initial: Buffers, launches: tuple[LaunchFacts, ...]) -> dict[str, Expected]:
    expected = {}
    for launch in launches:
        n, stride, loads = launch.scalars
        thread = np.arange(launch.threads)
        index = (thread + np.arange(loads)[:, None] * launch.threads) * stride & (n - 1)
        expected[f"out{stride}"] = Expected(_add_in_order(initial["in"][index]))
    return expected


CHECKS: dict[str, Check] = {
    "vecadd": vecadd,
    "saxpy": saxpy,
    "ffma": ffma,
    "maxflops": maxflops,
    "bigcode": bigcode,
    "sgemm": gemm,
    "gemm_naive": gemm,
    "transpose": transpose,
    "stencil5": stencil5,
    "reduction": reduction,
    "warp_reduce": warp_reduce,
    "dot": dot,
    "histogram": histogram,
    "scan": scan,
    "softmax": softmax,
    "nbody": nbody,
    "collatz": collatz,
    "pointer_chase": pointer_chase,
    "strided": strided,
}
