"""Launch files that give structs by value, bytes, and the program's own variables."""

from __future__ import annotations

from pathlib import Path

import pytest
from sass_cases import needs_tools

from gpusim.api import execute
from gpusim.emulator.conditions import Conditions
from gpusim.emulator.launch import Argument, load_launch
from gpusim.emulator.tracing import run_in_memory
from gpusim.errors import GpusimError

SOURCE = """
struct Inner { short k; double d; };
struct Box { char c; int w; float s; long long n; Inner inner; float *p; };
__constant__ float weights[4];
__device__ int offsets[40];
extern "C" __global__ void scaled(Box b, float *x) {
  int i = threadIdx.x;
  x[i] = b.s * (float)(b.w + (int)b.n) + b.c + b.inner.k + (float)b.inner.d + b.p[i];
}
extern "C" __global__ void batched(float **rows) { rows[blockIdx.x][threadIdx.x] += 1.0f; }
extern "C" __global__ void line(float *x) {
  x[threadIdx.x] = weights[0] + x[threadIdx.x] * weights[1] + offsets[threadIdx.x];
}
"""
BUFFERS = "buffers: {x: {dtype: float32, shape: [32], fill: constant, value: 2}, y: {dtype: float32, shape: [64], fill: arange}}\n"
BOX = "[{int8: 1}, {int32: 4}, {float32: 0.5}, {int64: 2}, {struct: [{int16: 7}, {float64: 0.25}]}, {buffer: y, offset: 32}]"
STRUCT = (
    f"{BUFFERS}launches: [{{kernel: scaled, grid: [1], block: [32], arguments: [{{struct: {BOX}}}, {{buffer: x}}]}}]\n"
)
LINE = f"{BUFFERS}launches: [{{kernel: line, grid: [1], block: [32], arguments: [{{buffer: x}}]}}]\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "k.cu"
    path.write_text(SOURCE)
    return path


def launched(source: Path, text: str) -> Path:
    path = source.with_suffix(".yaml")
    path.write_text(text)
    return path


@needs_tools
def test_a_struct_is_laid_out_as_the_compiler_does(source: Path) -> None:
    after = execute(source, launched(source, STRUCT))
    assert after["x"].tolist() == [0.5 * 6 + 1 + 7 + 0.25 + 32 + i for i in range(32)]


def test_a_struct_ends_at_a_multiple_of_its_alignment() -> None:
    argument = Argument.model_validate({"struct": [{"float64": 1.0}, {"struct": [{"int16": 3}, {"int8": 2}]}]})
    assert bytes(argument.packed(lambda _: 0)).hex() == "000000000000f03f" + "0300" + "0200" + "00000000"
    assert bytes(Argument.model_validate({"bytes": "01 ff"}).packed(lambda _: 0)) == b"\x01\xff"


@needs_tools
def test_variables_are_written_before_the_launches(source: Path) -> None:
    given = "variables: {weights: {float32: [3, 3]}, offsets: {int32: [0, 10, 20]}}\n"
    after = execute(source, launched(source, LINE + given))
    assert after["x"].tolist() == [9, 19, 29] + [9] * 29
    assert execute(source, launched(source, LINE))["x"].tolist() == [0] * 32


@needs_tools
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LINE + "variables: {weight: {int32: [1]}}", r"variables\.weight: .*no such variable \(did you mean 'weights'\?\)"),
        (LINE + "variables: {weights: {float64: [1, 2, 3]}}", r"variables\.weights: 24 bytes of values, the variable has 16"),
        (LINE + "variables: {weights: {int8: [300]}}", "300 does not fit int8"),
        (LINE + "variables: {weights: {int8: [1], int16: [1]}}", "values of one type"),
        (STRUCT.replace("buffer: y", "buffer: z"), "there is no buffer 'z'"),
        (STRUCT.replace(", {int64: 2}", ""), "has 48 bytes, 'struct .*' has 40"),
        (STRUCT.replace(f"struct: {BOX}", "bytes: 0102"), "has 48 bytes, 'bytes 0102' has 2"),
        (STRUCT.replace(f"struct: {BOX}", "bytes: 0x12"), "is not hexadecimal"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(source: Path, text: str, message: str) -> None:
    with pytest.raises(GpusimError, match=message):
        execute(source, launched(source, text))


BATCHED = """
buffers:
  x: {dtype: float32, shape: [64], fill: arange}
  rows: {dtype: uint64, shape: [2], fill: addresses, of: [{buffer: x, offset: 32}, {buffer: z}]}
  z: {dtype: float32, shape: [32]}
launches: [{kernel: batched, grid: [2], block: [32], arguments: [{buffer: rows}]}]
"""


@needs_tools
def test_a_buffer_holds_pointers(source: Path) -> None:
    after = execute(source, launched(source, BATCHED))
    assert after["x"].tolist() == [*range(32), *range(33, 65)]
    assert after["z"].tolist() == [1] * 32
    with pytest.raises(GpusimError, match="2 addresses for 3 elements"):
        load_launch(launched(source, BATCHED.replace("[2], fill: addr", "[3], fill: addr")))
    with pytest.raises(GpusimError, match=r"rows\.of.*offset 65 lies beyond buffer 'x'"):
        load_launch(launched(source, BATCHED.replace("offset: 32", "offset: 65")))
    with pytest.raises(GpusimError, match="an address is that of a buffer"):
        load_launch(launched(source, BATCHED.replace("{buffer: z}]", "{int32: 4}]")))


def test_launch_files_without_variables_have_none(source: Path) -> None:
    assert not load_launch(launched(source, LINE)).variables


def test_constants_that_nobody_wrote_are_told_once(tmp_path: Path) -> None:
    source, launch, told = tmp_path / "k.cu", tmp_path / "k.yaml", []
    source.write_text("""
__constant__ float weights[4];
__constant__ float ready[1] = {5};
extern "C" __global__ void line(float *x) { x[threadIdx.x] = weights[0] + ready[0] + x[threadIdx.x] * weights[1]; }
""")
    text = """
buffers: {x: {dtype: float32, shape: [32], fill: constant, value: 2}}
launches:
  - {grid: [1], block: [32], arguments: [{buffer: x}]}
  - {grid: [1], block: [32], arguments: [{buffer: x}]}
"""
    launch.write_text(text)
    run_in_memory(source, launch, conditions=Conditions(warn=told.append))
    assert told == [
        "kernel line reads __constant__ data that is zero, for nothing has written it: weights; give it in the launch "
        "file (variables:)"
    ]
    launch.write_text("variables: {weights: {float32: [0, 0, 0, 0]}}\n" + text)
    run_in_memory(source, launch, conditions=Conditions(warn=told.append))
    assert len(told) == 1
