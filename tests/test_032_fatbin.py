"""CUDA images inside other files: where they begin and end, compression, architectures, and kernels chosen of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zstandard
from sass_cases import LZ4, ZSTD, compiled, container, needs_tools

from gpusim.emulator.sources import open_source
from gpusim.errors import GpusimError
from gpusim.sass.cubin import CubinKernels, image_architecture, load_programs
from gpusim.sass.disassembly import disassemble
from gpusim.sass.fatbin import find_images, is_kernel_file

pytestmark = needs_tools
SOURCE = """
extern "C" __global__ void doubled(float *x) { x[threadIdx.x] *= 2.0f; }
extern "C" __global__ void halved(float *x) { x[threadIdx.x] *= 0.5f; }
"""
CALLS = """
extern "C" __global__ void plain(int *x) { x[threadIdx.x] = 3; }
extern "C" __global__ void talks(int *x) { if (x[0] > 5) printf("%d", x[0]); x[1] = 7; }
"""
TEMPLATE = """
template <int N, typename T> __global__ void fill(T *x) { x[threadIdx.x] = N; }
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "two.cu"
    path.write_text(SOURCE)
    return path


def test_images_are_found_whole_between_other_bytes(source: Path) -> None:
    first, second = compiled(source, 75).data, compiled(source, 86).data
    data = b"\x7fELF host code" + bytes(60) + first + b"\x7fELF" + second + b"tail"
    images = find_images(data, "blob").found
    assert [image_architecture(image) for image in images] == [75, 86]
    for image, cubin in zip(images, (first, second), strict=True):
        assert cubin.startswith(image)
        assert [p.name for p in load_programs(image)] == [p.name for p in load_programs(cubin)]


def test_compressed_entries_are_unpacked_in_place_of_order(source: Path) -> None:
    first, second = compiled(source, 75).data, compiled(source, 86).data
    packed = zstandard.ZstdCompressor().compress(second)
    data = b"host" + container([(first, 0), (packed, ZSTD), (b"lz4 stream", LZ4)]) + b"tail"
    images = find_images(data, "program")
    assert images.unreadable == 1
    assert images.found[1] == second
    assert first.startswith(images.found[0])
    with pytest.raises(GpusimError, match="damaged or cut off"):
        find_images(container([(packed[:-40], ZSTD)]), "program")


def test_an_executable_is_known_by_its_first_bytes_and_gives_the_kernels_asked_for(
    source: Path, tmp_path: Path
) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF" + bytes(80) + container([(compiled(source, a).data, 0) for a in (75, 86)]))
    assert is_kernel_file(program)
    assert not is_kernel_file(tmp_path / "absent")
    opened = open_source(program, 86, ["halved"])
    halved = opened.choose("halved", "launch")
    assert (halved.name, halved.architecture) == ("halved", 86)
    assert {p.name for p in open_source(program, 75).programs} == {"doubled", "halved"}
    with pytest.raises(GpusimError, match="holds machine code for sm_75, sm_86; choose one with --arch"):
        open_source(program, 80)
    with pytest.raises(GpusimError, match=r"no kernel 'halfed' \(did you mean 'halved'\?\)"):
        open_source(program, 86, ["halfed"]).choose("halfed", "launch")


def test_files_without_usable_images_say_what_they_hold(source: Path, tmp_path: Path) -> None:
    path = tmp_path / "program.fatbin"
    path.write_bytes(container([(b"lz4 stream", LZ4)]))
    with pytest.raises(GpusimError, match=r"no CUDA machine code .*LZ4-compressed: build with"):
        open_source(path)
    path.write_bytes(container([(compiled(source, 86).data, 0)])[:-200])
    with pytest.raises(GpusimError, match="truncated: a CUDA image ends at byte"):
        open_source(path)
    (tmp_path / "text.txt").write_text("hello")
    with pytest.raises(GpusimError, match="not a kernel file"):
        open_source(tmp_path / "text.txt")


def test_what_one_kernel_cannot_have_does_not_hinder_the_others(tmp_path: Path) -> None:
    path = tmp_path / "calls.cu"
    path.write_text(CALLS)
    data = compiled(path, 86).data
    plain = load_programs(data, only=["plain"])
    assert [p.name for p in plain] == ["plain"]
    talks = load_programs(data, only=["talks"])[0]
    assert talks.provenance["external_functions"] == "vprintf"


def test_template_instances_are_named_as_in_the_source(tmp_path: Path) -> None:
    path = tmp_path / "fill.cu"
    path.write_text(TEMPLATE)
    opened = open_source(path, 86, ["fill<3, float>", "fill<4, short>"])
    names = [opened.choose(name, "launch").name for name in ("fill<3, float>", "fill<4, short>")]
    assert len(opened.programs) == 2
    assert ["ILi3Ef" in names[0], "ILi4Es" in names[1]] == [True, True]
    with pytest.raises(GpusimError, match="compilation for sm_86 failed"):
        open_source(path, 86, ["fill<oops>"])


def test_only_the_kernels_that_are_asked_for_are_decoded(source: Path, tmp_path: Path, monkeypatch) -> None:
    asked: list[object] = []

    def told(image, origin, symbols=None):
        asked.append(symbols)
        return disassemble(image, origin, symbols)

    monkeypatch.setattr("gpusim.sass.disassembly.disassemble", told)
    path = tmp_path / "two.cubin"
    path.write_bytes(compiled(source, 86).data)
    kernels = CubinKernels(path.read_bytes(), "two")
    number = {name: index for index, name in kernels.file.kernels()}
    opened = open_source(path, 86, ["halved"])
    assert asked == [[number["halved"]]]
    assert opened.choose("halved", "launch").name == "halved"
    assert asked == [[number["halved"]]]
    assert {program.name for program in opened.programs} == {"doubled", "halved"}
    assert asked == [[number["halved"]], [number["doubled"]]]
    with pytest.raises(GpusimError, match=r"name the kernel, there are several: (halved, doubled|doubled, halved)"):
        opened.choose(None, "launch")


VARIABLES = """
__constant__ float weights[4] = {1, 2, 3, 4};
__constant__ int shift;
__device__ int counter = 3;
__device__ double sums[5];
extern "C" __global__ void k(float *x, int n) {
    __shared__ float s[64];
    s[threadIdx.x] = weights[n] + shift;
    __syncthreads();
    x[threadIdx.x] = s[63 - threadIdx.x] + atomicAdd(&counter, 1) + sums[n];
}
"""


def test_what_a_launch_needs_to_know_is_told_without_machine_code(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "k.cu"
    path.write_text(VARIABLES)
    kernels = CubinKernels(compiled(path, 86).data, "k", {"source": "k.cu"})
    whole = kernels.program("k")
    kernels = CubinKernels(compiled(path, 86).data, "k")
    monkeypatch.setattr("gpusim.sass.disassembly.disassemble", None)
    assert kernels.names() == ("k",)
    assert [(p.offset, p.size) for p in kernels.parameters("k")] == [(0, 8), (8, 4)]
    facts = kernels.launch_facts("k")
    assert facts["shared_bytes"] == 256
    assert all(getattr(whole, name) == value for name, value in facts.items())
    assert kernels.globals == whole.globals
    found = {symbol.name: symbol for symbol in kernels.globals.symbols}
    assert {name: (s.bank, s.size) for name, s in found.items()} == {
        "weights": (3, 16), "shift": (3, 4), "counter": (-1, 4), "sums": (-1, 40),
    }  # fmt: skip
    weights = found["weights"]
    assert np.frombuffer(kernels.constant_data(), "<f4", 4, weights.offset).tolist() == [1, 2, 3, 4]
    with pytest.raises(GpusimError, match=r"k: there is no kernel 'kk' \(did you mean 'k'\?\)"):
        kernels.launch_facts("kk")
