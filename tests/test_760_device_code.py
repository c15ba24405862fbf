"""Compiled device code that reaches the rarer instructions: slow paths, calls, switches, generic pointers, locks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gpusim.emulator.tracing import run_in_memory

pytest.importorskip("elftools")

ARCHITECTURES = [75, 80, 86, 90]
N = 1024

SOURCES = {
    "divide": ("float", "out[i] = a[i] / b[i];"),
    "root": ("float", "out[i] = sqrtf(fabsf(a[i]));"),
    "sine": ("float", "out[i] = sinf(a[i]);"),
    "power": ("float", "out[i] = __powf(fabsf(a[i]), 0.5f) + tanhf(b[i]) + expf(b[i]);"),
    "double_divide": ("double", "out[i] = a[i] / b[i];"),
    "double_root": ("double", "out[i] = sqrt(fabs(a[i]));"),
    "signed_divide": ("int", "out[i] = a[i] / b[i] + 3 * (a[i] % b[i]);"),
    "long_divide": ("long long", "out[i] = a[i] / b[i];"),
    "bits": ("unsigned", "out[i] = __popc(a[i]) + 100 * __clz(b[i]) + (__brev(a[i]) ^ __byte_perm(a[i], b[i], 0x5140));"),
    "local": (
        "int",
        "int v[16]; for (int k = 0; k < 16; k++) v[k] = a[(i + k) % n] * k;"
        " int s = 0; for (int k = 0; k < 5; k++) s = s * 3 + v[(b[i] >> (2 * k)) & 15]; out[i] = s;",
    ),
    "cases": (
        "int",
        "int r; switch (b[i] & 7) { case 0: r = a[i] * 7; break; case 1: r = a[i] ^ 5; break; case 2: r = a[i] / 3; break;"
        " case 3: r = __popc(a[i]); break; case 4: r = a[i] - b[i]; break; case 5: r = ~a[i]; break; case 6: r = 9;"
        " break; default: r = a[(b[i] & 255)]; } out[i] = r;",
    ),
    "pointers": (
        "int",
        "__shared__ int s[256]; s[threadIdx.x] = a[i]; __syncthreads(); int l[4] = {b[i], 1, 2, 3}; l[b[i] & 3] += 5;"
        " int* p = (b[i] & 1) ? s + (b[i] & 255) : (b[i] & 2) ? l + (b[i] >> 2 & 3) : a + (b[i] & 1023); out[i] = *p;",
    ),
}  # fmt: skip
TEMPLATE = 'extern "C" __global__ void {name}({type}* a, {type}* b, {type}* out, int n)\n{{\n    int i = blockIdx.x * blockDim.x + threadIdx.x;\n    if (i >= n) return;\n    {body}\n}}\n'


def run(folder: Path, name: str, a: np.ndarray, b: np.ndarray, architecture: int) -> np.ndarray:
    """Compile one of SOURCES, run it on a and b, return `out`."""
    kind, body = SOURCES[name]
    source = folder / f"{name}.cu"
    source.write_text(TEMPLATE.format(name=name, type=kind, body=body))
    np.save(folder / "a.npy", a)
    np.save(folder / "b.npy", b)
    buffer = f"dtype: {a.dtype}, shape: [{N}]"
    launch = folder / "launch.yaml"
    launch.write_text(
        f"buffers:\n  a: {{{buffer}, fill: npy, file: a.npy}}\n  b: {{{buffer}, fill: npy, file: b.npy}}\n"
        f"  out: {{{buffer}}}\nlaunches:\n  - grid: [4]\n    block: [256]\n"
        f"    arguments: [{{buffer: a}}, {{buffer: b}}, {{buffer: out}}, {{int32: {N}}}]\n"
    )
    return run_in_memory(source, launch, architecture)[1].buffers["out"]


def reals(seed: int, dtype: type, spread: int) -> np.ndarray:
    """Numbers over many binades, with zeros, infinities, NaN and subnormals among them."""
    generator = np.random.default_rng(seed)
    values = np.ldexp(generator.uniform(-1, 1, N), generator.integers(-spread, spread - 13, N)).astype(dtype)
    tiny = np.finfo(dtype).smallest_subnormal
    values[:8] = [0, -0.0, np.inf, -np.inf, np.nan, tiny, 3 * tiny, np.finfo(dtype).max]
    return generator.permutation(values)


def same(actual: np.ndarray, expected: np.ndarray) -> bool:
    return bool(np.array_equal(actual, expected, equal_nan=True))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("dtype", "spread", "prefix"), [(np.float32, 140, ""), (np.float64, 1000, "double_")])
def test_division_and_root_are_correctly_rounded(
    tmp_path: Path, architecture: int, dtype: type, spread: int, prefix: str
) -> None:
    a, b = reals(1, dtype, spread), reals(2, dtype, spread)
    name = "divide" if not prefix else "double_divide"
    with np.errstate(all="ignore"):
        assert same(run(tmp_path, name, a, b, architecture), a / b)
        assert same(run(tmp_path, f"{prefix}root", a, b, architecture), np.sqrt(np.abs(a)))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_elementary_functions_are_close(tmp_path: Path, architecture: int) -> None:
    generator = np.random.default_rng(3)
    a = generator.uniform(-1e6, 1e6, N).astype(np.float32)  # beyond 105615 the compiler reduces the argument exactly
    b = generator.uniform(-20, 20, N).astype(np.float32)
    sine = run(tmp_path, "sine", a, b, architecture)
    assert np.abs(sine - np.sin(a.astype(np.float64))).max() < 4e-7
    power = run(tmp_path, "power", a, b, architecture)
    a64, b64 = np.abs(a).astype(np.float64), b.astype(np.float64)
    expected = np.sqrt(a64) + np.tanh(b64) + np.exp(b64)
    assert (np.abs(power - expected) / np.abs(expected)).max() < 4e-6


def integers(seed: int, dtype: type) -> np.ndarray:
    limits = np.iinfo(dtype)
    generator = np.random.default_rng(seed)
    values = generator.integers(limits.min, limits.max, N, dtype=dtype, endpoint=True)
    return values >> generator.integers(0, limits.bits - 2, N, dtype=dtype)


def truncated(a: int, b: int) -> int:
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_integer_division(tmp_path: Path, architecture: int) -> None:
    for name, dtype in (("signed_divide", np.int32), ("long_divide", np.int64)):
        a, b = integers(4, dtype), integers(5, dtype)
        b[b == 0] = 7
        a[a == np.iinfo(dtype).min] = 0
        quotient = np.array([truncated(int(x), int(y)) for x, y in zip(a, b, strict=True)], dtype)
        with np.errstate(over="ignore"):
            expected = quotient if dtype == np.int64 else quotient + 3 * (a - quotient * b)
        assert np.array_equal(run(tmp_path, name, a, b, architecture), expected), name


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_bit_functions(tmp_path: Path, architecture: int) -> None:
    a, b = integers(6, np.uint32), integers(7, np.uint32)

    def expected(x: int, y: int) -> int:
        data = (y << 32 | x).to_bytes(8, "little")
        permuted = int.from_bytes(bytes(data[0x5140 >> 4 * k & 7] for k in range(4)), "little")
        return x.bit_count() + 100 * (32 - y.bit_length()) + (int(f"{x:032b}"[::-1], 2) ^ permuted) & 0xFFFFFFFF

    actual = run(tmp_path, "bits", a, b, architecture)
    assert actual.tolist() == [expected(int(x), int(y)) for x, y in zip(a, b, strict=True)]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_local_arrays(tmp_path: Path, architecture: int) -> None:
    a, b = integers(8, np.int32), integers(9, np.int32)
    expected = np.zeros(N, np.int32)
    index = np.arange(N)
    with np.errstate(over="ignore"):
        for k in range(5):
            pick = (b >> (2 * k)) & 15
            expected = expected * np.int32(3) + a[(index + pick) % N] * pick
    assert np.array_equal(run(tmp_path, "local", a, b, architecture), expected)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_indirect_switch(tmp_path: Path, architecture: int) -> None:
    a, b = integers(10, np.int32), integers(11, np.int32)

    def expected(x: int, y: int) -> int:
        return [x * 7, x ^ 5, truncated(x, 3), (x & 0xFFFFFFFF).bit_count(), x - y, ~x, 9, int(a[y & 255])][y & 7]

    actual = run(tmp_path, "cases", a, b, architecture).view(np.uint32)
    assert actual.tolist() == [expected(int(x), int(y)) & 0xFFFFFFFF for x, y in zip(a, b, strict=True)]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_generic_pointers(tmp_path: Path, architecture: int) -> None:
    a, b = integers(12, np.int32), integers(13, np.int32)

    def expected(i: int, y: int) -> int:
        local = [y, 1, 2, 3]
        local[y & 3] += 5
        shared = a[i // 256 * 256 :][:256]
        return int(shared[y & 255]) if y & 1 else local[y >> 2 & 3] if y & 2 else int(a[y & 1023])

    actual = run(tmp_path, "pointers", a, b, architecture).view(np.uint32)
    assert actual.tolist() == [expected(i, int(y)) & 0xFFFFFFFF for i, y in enumerate(b)]


TALKS = """
extern "C" __global__ void talks(int *x) {
    if (x[0] > 5) printf("%d", x[0]);
    x[1] = 7;
}
"""


@pytest.mark.parametrize("architecture", [75, 86])
def test_a_function_of_the_runtime_is_called_where_the_kernel_gets_to_it(
    tmp_path: Path, architecture: int, capsys: pytest.CaptureFixture[str]
) -> None:
    source, launch = tmp_path / "talks.cu", tmp_path / "talks.yaml"
    source.write_text(TALKS)
    text = """
buffers: {x: {dtype: int32, shape: [2], fill: constant, value: 5}}
launches: [{grid: [1], block: [1], arguments: [{buffer: x}]}]
"""
    launch.write_text(text)
    assert run_in_memory(source, launch, architecture)[1].buffers["x"].tolist() == [5, 7]
    launch.write_text(text.replace("value: 5", "value: 6"))
    assert capsys.readouterr().out == ""
    assert run_in_memory(source, launch, architecture)[1].buffers["x"].tolist() == [6, 7]
    assert capsys.readouterr().out == "6"
