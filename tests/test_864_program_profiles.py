"""Profiles whose launches are taken from the program that was profiled."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_cases import call, refused
from profile_cases import LAUNCH, METRICS, SOURCE, FakeLaunch, blob, install
from sass_cases import needs_nvcc, needs_tools

from gpusim.hardware.compare import open_comparison
from gpusim.model.setup.simulate import RunOptions

pytestmark = [needs_nvcc, needs_tools]

HOST = """
__constant__ float factor[2];
extern "C" __global__ void scale(float *x) { x[threadIdx.x] *= factor[1]; }
int main() {
    float *a, *b, *c, two[2] = {1, 2};
    cudaMalloc(&a, 4000); cudaMalloc(&b, 4000); cudaMalloc(&c, 4000);
    cudaMemcpyToSymbol(factor, two, sizeof two);
    add<<<2, 256>>>(a, b, c, 500);     // another grid: not the profiled launch
    add<<<4, 256>>>(a, b, c, 1000);
    scale<<<1, 32>>>(c);
    add<<<4, 256>>>(a, b, c, 1);       // the same once more: fewer instructions
    return cudaDeviceSynchronize() ? 1 : 5;
}
"""
SCALE = (
    SOURCE
    + '__constant__ float factor[2];\nextern "C" __global__ void scale(float *x) { x[threadIdx.x] *= factor[1]; }\n'
)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.cu"
    path.write_text(SOURCE + HOST)
    return path


def profiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, launches: list[FakeLaunch], source: str = SCALE) -> Path:
    kernels, path = tmp_path / "kernels.cu", tmp_path / "add.ncu-rep"
    kernels.write_text(source)
    blob(path, kernels)
    install(monkeypatch, {path: launches})
    return path


def add(**more) -> FakeLaunch:
    return FakeLaunch("add", "add", (4, 1, 1), (256, 1, 1), metrics={**METRICS, **more})


def test_the_launches_of_a_report_are_those_of_the_program(program, tmp_path: Path, monkeypatch, capsys) -> None:
    scale = FakeLaunch("scale", "scale", (1, 1, 1), (32, 1, 1), metrics=dict(METRICS))
    never = FakeLaunch("scale", "scale", (7, 1, 1), (32, 1, 1), metrics=dict(METRICS))
    report = profiled(tmp_path, monkeypatch, [add(), scale, add(), never])
    written = tmp_path / "rows.json"
    code, _, told = call(capsys, "compare", report, "--json", written, "--program", "--", program)
    assert code == 0
    assert "launch 3: the program did not launch scale so" in told
    assert "the program ended with exit code 5" in told
    rows = json.loads(written.read_text())["kernels"]
    assert [row["kernel"] for row in rows] == ["add", "scale", "add"]
    executed = [row["warp_instructions_model"] for row in rows]
    assert executed[0] > executed[2] > executed[1]
    # the same machine code with the same arguments from a launch file: the same cycles
    launch = tmp_path / "add.yaml"
    launch.write_text(LAUNCH.replace("- arguments", "- launch: 0\n    arguments"))
    (row,) = open_comparison(report, launch).rows(RunOptions())
    assert row.simulated.cycles == rows[0]["cycles_model"]


def test_another_source_is_told_by_its_parameters(program, tmp_path: Path, monkeypatch, capsys) -> None:
    report = profiled(tmp_path, monkeypatch, [add()], SOURCE.replace("int n)", "int n, int more)"))
    message = refused(capsys, "compare", report, "--program", "--", program)
    assert "takes parameters of 8, 8, 8, 4, 4 bytes, in the program of 8, 8, 8, 4" in message


def test_a_program_that_makes_none_of_the_launches_is_told(program, tmp_path: Path, monkeypatch, capsys) -> None:
    report = profiled(tmp_path, monkeypatch, [FakeLaunch("add", "add", (9, 1, 1), (256, 1, 1), metrics=dict(METRICS))])
    assert "made none of its launches (add (9, 1, 1) (256, 1, 1)), but 4 others" in refused(
        capsys, "compare", report, "--program", "--", program
    )


@pytest.mark.parametrize("words", [["--program"], ["--", "x"], ["--program", "--launch", "x", "--", "x"]])
def test_a_report_its_program_and_nothing_else(words: list[str], capsys) -> None:
    assert "one report and its program" in refused(capsys, "compare", "r.ncu-rep", *words)
