"""CUDA programs through nvcc: files with host code, headers, options, template instances, and nvcc as a command."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from cli_cases import call
from sass_cases import needs_nvcc, needs_tools

from gpusim.api import execute, trace
from gpusim.cli.main import main
from gpusim.emulator.sources import open_source
from gpusim.errors import GpusimError
from gpusim.sass import nvcc, nvrtc, toolchain
from gpusim.sass.compilers import compile_source
from gpusim.sass.cubin import CubinKernels
from gpusim.sass.nvrtc import SourceError

PROGRAM = """
#include <cstdio>
#include <vector>
__constant__ float unused[4];
__global__ void add(const float *x, const float *y, float *z, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) z[i] = x[i] + y[i];
}
static __global__ void twice(float *x) { x[threadIdx.x] *= 2.0f; }
template <int N, typename T> __global__ void filled(T *x) { x[threadIdx.x] = N; }
int main() {
  std::vector<float> a(1000, 1.0f);
  float *x;
  cudaMalloc(&x, 4000);
  cudaMemcpy(x, a.data(), 4000, cudaMemcpyHostToDevice);
  add<<<4, 256>>>(x, x, x, 1000);
  twice<<<1, 32>>>(x);
  filled<3><<<1, 32>>>(x);
  std::printf("%d\\n", (int)cudaGetLastError());
}
"""
LAUNCH = """
buffers:
  x: {dtype: float32, shape: [1000], fill: arange}
  y: {dtype: float32, shape: [1000], fill: constant, value: 2}
  z: {dtype: float32, shape: [1000]}
launches:
  - {kernel: add, grid: [4], block: [256], arguments: [{buffer: x}, {buffer: y}, {buffer: z}, {int32: 1000}]}
  - {kernel: twice, grid: [1], block: [32], arguments: [{buffer: z}]}
"""
PLAIN = 'extern "C" __global__ void k(float *x) { x[threadIdx.x] += N; }\n'
ONE = """
buffers: {x: {dtype: float32, shape: [32]}}
launches: [{grid: [1], block: [32], arguments: [{buffer: x}]}]
"""
HEADERS = """
    algorithm assert.h chrono cmath cooperative_groups.h cooperative_groups/reduce.h cstdint cstdio cuda.h cuda/atomic
    cuda/barrier cuda/pipeline cuda/std/array cuda_fp16.h float.h iostream limits math.h mma.h stdint.h stdio.h stdlib.h
    string.h type_traits vector cub/cub.cuh thrust/device_vector.h
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    (tmp_path / "program.yaml").write_text(LAUNCH)
    return written(tmp_path / "program.cu", PROGRAM)


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@needs_nvcc
def test_a_program_is_taken_as_it_is(program: Path) -> None:
    after = execute(program, program.with_suffix(".yaml"))
    wanted = np.arange(1000) + 2.0
    wanted[:32] *= 2
    assert after["z"].tolist() == wanted.tolist()
    facts = trace(program, program.with_suffix(".yaml"), "sm_75").launches[0].program.provenance
    assert facts["compiler"] == f"nvcc {toolchain.nvcc_version()}"
    assert facts["compiler_options"] == "-arch=sm_75"


@needs_nvcc
def test_instances_are_compiled_beside_those_of_the_host_code(program: Path) -> None:
    opened = open_source(program, 86, ["filled<3, float>", "filled<7, short>"])
    assert len(opened.kernels) == 4
    names = [opened.choose(name, "launch").name for name in ("filled<3, float>", "filled<7, short>")]
    assert ["ILi3Ef" in names[0], "ILi7Es" in names[1]] == [True, True]
    with pytest.raises(SourceError, match=r"compilation for sm_86 failed \(nvcc\)\n(.|\n)*oops"):
        open_source(program, 86, ["filled<oops>"])


@needs_nvcc
def test_what_nvrtc_compiles_is_the_same_from_nvcc(tmp_path: Path) -> None:
    path = written(tmp_path / "k.cu", PLAIN)
    options = ("-DN=4", "-std=c++17")
    chosen, other = compile_source(path, 86, options), nvcc.compile_cuda(path, 86, options)
    assert chosen.compiler.startswith("NVRTC")
    codes = [CubinKernels(each.data, "k").file.content(".text.k") for each in (chosen, other)]
    assert codes[0] == codes[1]


@needs_nvcc
def test_headers_of_hosts_and_of_the_toolkit_are_there(tmp_path: Path) -> None:
    lines = "".join(f"#include <{header}>\n" for header in HEADERS.split())
    path = written(tmp_path / "k.cu", f"{lines}{PLAIN.replace('N', '1')}")
    assert CubinKernels(compile_source(path, 86).data, "k").names() == ("k",)


@needs_tools
@pytest.mark.parametrize("architecture", ["sm_75", "sm_80", "sm_86", "sm_89", "sm_90"])
def test_options_reach_the_compiler(tmp_path: Path, architecture: str) -> None:
    (tmp_path / "include").mkdir()
    written(tmp_path / "include" / "n.h", "#define N (M + __cplusplus / 100)\n")
    path, launch = written(tmp_path / "k.cu", f'#include "n.h"\n{PLAIN}'), written(tmp_path / "k.yaml", ONE)
    options = (f"-I{tmp_path / 'include'}", "-DM=3", "-std=c++14")
    (traced,) = trace(path, launch, architecture, compile_options=options).launches
    assert traced.program.architecture == int(architecture[3:])
    assert "-DM=3 -std=c++14" in traced.program.provenance["compiler_options"]
    assert execute(path, launch, architecture, compile_options=options)["x"].tolist() == [3.0 + 2014] * 32


@needs_tools
def test_options_of_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "include").mkdir()
    written(tmp_path / "include" / "n.h", "#define N (M + L)\n")
    path, launch = written(tmp_path / "k.cu", f'#include "n.h"\n{PLAIN}'), written(tmp_path / "k.yaml", ONE)
    np.save(tmp_path / "x.npy", np.full(32, 5, np.float32))
    launch.write_text(f"{ONE}expected: [{{buffer: x, file: x.npy}}]\n")
    options = ["-I", str(tmp_path / "include"), "-DM=3", "-D", "L=2", "-std=c++17"]
    assert main(["trace", str(path), "--launch", str(launch), *options]) == 0
    assert (
        main(
            ["run", str(path), "--launch", str(launch), "--config", "a6000", "--arch", "sm_89", "--any-arch", *options]
        )
        == 0
    )
    assert "check failed" not in capsys.readouterr().err
    assert main(["trace", str(path), "--launch", str(launch), *options[:-3], "-DL=3"]) == 1


@needs_tools
def test_what_only_nvcc_compiles_names_the_extra(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "_find_executable", lambda name, variable: None)
    with pytest.raises(
        SourceError, match=r"cannot open source(.|\n)*host code and its headers need nvcc: .*gpusim\[cuda\]"
    ):
        compile_source(program, 86)
    with pytest.raises(GpusimError, match=r"nvcc not found; install it with: pip install 'gpusim\[cuda\]'"):
        nvcc.run_nvcc(["--version"])


@needs_nvcc
def test_a_missing_host_compiler_is_named(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    monkeypatch.setenv(toolchain.NVCC_VARIABLE, str(toolchain.find_nvcc()))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match=r"NVRTC|cannot open source(.|\n)*no g\+\+ on the PATH"):
        compile_source(program, 86)
    assert main(["nvcc", "-c", str(program)]) == 2
    assert "there is no g++ on the PATH" in capfd.readouterr().err


@needs_nvcc
def test_nvcc_links_the_shared_runtime(program: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert call(capfd, "nvcc", "-arch=sm_86", program, "-o", tmp_path / "program") == (0, "", "")
    assert linked(tmp_path / "program") == {"NEEDED": True, "RUNPATH": True}
    call(capfd, "nvcc", "-arch=sm_86", "-cudart=static", program, "-o", tmp_path / "program")
    assert linked(tmp_path / "program") == {"NEEDED": False, "RUNPATH": False}
    opened = open_source(tmp_path / "program", 86, ["add"])
    assert opened.choose("add", "launch").architecture == 86
    assert len(opened.kernels) == 3


def linked(path: Path) -> Mapping[str, bool]:
    """Whether a program needs the shared runtime, and knows where it lies."""
    from elftools.elf.elffile import ELFFile

    with path.open("rb") as file:
        tags = list(ELFFile(file).get_section_by_name(".dynamic").iter_tags())
    needed = [tag.needed for tag in tags if tag.entry.d_tag == "DT_NEEDED"]
    folders = [tag.runpath for tag in tags if tag.entry.d_tag == "DT_RUNPATH"]
    runtime = any(name.startswith("libcudart.so") for name in needed)
    return {"NEEDED": runtime, "RUNPATH": any(list(Path(folder).glob("libcudart.so*")) for folder in folders)}


@needs_nvcc
def test_nvcc_gets_its_arguments_and_gives_its_exit_code(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capfd, "nvcc", "--version")
    assert (code, toolchain.nvcc_version() in out) == (0, True)
    path = written(tmp_path / "wrong.cu", "int main() { return 1 }\n")
    plain = subprocess.run([toolchain.find_nvcc(), str(path)], capture_output=True, text=True, check=False)
    assert plain.returncode != 0
    assert call(capfd, "nvcc", path) == (plain.returncode, plain.stdout, plain.stderr)


@needs_tools
def test_nvrtc_is_asked_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvcc, "compile_cuda", None)
    path = written(tmp_path / "k.cu", PLAIN)
    assert compile_source(path, 86, ("-DN=2",)).data == nvrtc.compile_cuda(path, 86, ("-DN=2",)).data
