"""Reads outside every buffer that a user lets pass: they give zero, and each instruction is told once."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

import gpusim
from gpusim.cli.main import main
from gpusim.emulator.conditions import Conditions
from gpusim.emulator.tracing import TraceSummary, run_in_memory
from gpusim.errors import LaunchFault

NORTH = """
extern "C" __global__ void north(float *x) {
    int i = threadIdx.x;
    volatile float *v = x;
    float above = v[i - 32];
    x[i + 32] = i + above;
}
"""


def files(folder: Path, code: str) -> tuple[Path, Path]:
    source, launch = folder / "north.cu", folder / "north.yaml"
    source.write_text(code)
    launch.write_text(
        "buffers:\n  x: {dtype: float32, shape: [64], fill: constant, value: 7}\n"
        "launches:\n  - {grid: [2], block: [32], arguments: [{buffer: x}]}\n"
    )
    return source, launch


def lenient(folder: Path, code: str, architecture: int = 86) -> tuple[list[str], TraceSummary]:
    told: list[str] = []
    _, summary = run_in_memory(
        *files(folder, code), architecture, conditions=Conditions(lenient=True, warn=told.append)
    )
    return told, summary


@pytest.mark.parametrize("architecture", [75, 86, 90])
def test_reads_outside_give_zero_and_are_told_once(tmp_path: Path, architecture: int) -> None:
    (told,), summary = lenient(tmp_path, NORTH, architecture)
    assert "kernel north, pc 0x" in told
    assert "(LDG.E" in told
    assert "reads of 64 lanes are out of bounds and gave zero, the first at address 0x7effffff" in told
    assert "before the nearest buffer 'x'" in told
    assert summary.buffers["x"].tolist() == [7] * 32 + list(range(32))


def test_without_it_the_message_says_that_there_is_a_way(tmp_path: Path) -> None:
    with pytest.raises(LaunchFault, match=r"out of bounds: .*; with --lenient such a read gives zero$"):
        run_in_memory(*files(tmp_path, NORTH))


@pytest.mark.parametrize(
    "access",
    [
        "x[1000] = 1;",
        "atomicAdd(x + 1000, 1.0f);",
        "x[threadIdx.x] = atomicAdd(x + 1000, 1.0f);",
        "__shared__ float s[32]; s[threadIdx.x] = 1; __syncthreads(); x[0] = ((volatile float*)s)[threadIdx.x + 32];",
        "x[0] = *(volatile float*)((long long)x << 20);",
    ],
)
def test_all_else_stays_an_error(tmp_path: Path, access: str) -> None:
    with pytest.raises(LaunchFault, match="is out of bounds"):
        lenient(tmp_path, f'extern "C" __global__ void f(float* x) {{ {access} }}')


def test_every_kind_of_read_may_miss(tmp_path: Path) -> None:
    code = """
    extern "C" __global__ void f(float* x) {
        __shared__ float s[32];
        s[threadIdx.x] = 5;
        __syncthreads();
        volatile float4* wide = (volatile float4*)x + 1000;
        volatile unsigned char* narrow = (volatile unsigned char*)x + 100001;
        float* generic = threadIdx.x < 16 ? s : x + 5000;
        asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::
                     "r"((unsigned)__cvta_generic_to_shared(s + (threadIdx.x ^ 1))), "l"(x + 32 + 4000 * (threadIdx.x & 1)));
        asm volatile("cp.async.wait_all;");
        __syncthreads();
        x[threadIdx.x] = wide->y + *narrow + ((volatile float*)generic)[threadIdx.x] + 1;
    }
    """
    told, summary = lenient(tmp_path, code)
    assert len(told) == 4
    x = summary.buffers["x"]
    assert x[16:32].tolist() == [1] * 16
    assert x[1:16:2].tolist() == [8] * 8  # their neighbours copied what is there
    assert x[0:16:2].tolist() == [1] * 8


def test_commands_and_python_take_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, launch = files(tmp_path, NORTH)
    arguments = [str(source), "--launch", str(launch)]
    assert main(["trace", *arguments, "-o", str(tmp_path / "trace")]) == 2
    capsys.readouterr()
    assert main(["trace", *arguments, "-o", str(tmp_path / "trace"), "--lenient"]) == 0
    assert capsys.readouterr().err.count("gave zero") == 1
    with pytest.warns(UserWarning, match="gave zero"):
        buffers = gpusim.execute(source, launch, lenient=True)
    assert isinstance(buffers, dict)
    assert buffers["x"][40] == 8
    with pytest.warns(UserWarning, match="gave zero"):
        gpusim.trace(source, launch, lenient=True)
    with warnings.catch_warnings(), pytest.raises(LaunchFault):
        gpusim.trace(source, launch)
    with pytest.raises(TypeError, match="lenient is for kernel files"):
        gpusim.execute([str(source)], lenient=True)
