"""Profiles as kernel files: the launch that is meant, its machine code, and executed counts compared at every PC."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
from cli_cases import call, refused
from profile_cases import FakeLaunch, blob, install
from sass_cases import compiled, needs_tools, programs

from gpusim.emulator.launch import load_launch
from gpusim.emulator.tracing import run_in_memory
from gpusim.errors import GpusimError
from gpusim.hardware.counts import check_counts
from gpusim.sass.reports import Report

pytestmark = needs_tools
SOURCE = """
extern "C" __global__ void add(const float *a, const float *b, float *c, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) c[i] = a[i] + b[i];
}
extern "C" __global__ void nothing() {}
"""
LAUNCH = """
buffers:
  a: {dtype: float32, shape: [1000], fill: random, seed: 1}
  b: {dtype: float32, shape: [1000], fill: random, seed: 2}
  c: {dtype: float32, shape: [1000]}
launches:
  - launch: 1
    arguments: [{buffer: a}, {buffer: b}, {buffer: c}, {int32: 1000}]
"""
GRID, BLOCK = 5, 256


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A profile of two launches whose counts are those of the kernel run from its source, and a launch file."""
    source, launch = tmp_path / "add.cu", tmp_path / "add.yaml"
    source.write_text(SOURCE)
    launch.write_text(LAUNCH)
    own = tmp_path / "own.yaml"
    own.write_text(LAUNCH.replace("launch: 1", f"kernel: add\n    grid: [{GRID}]\n    block: [{BLOCK}]"))
    executed = run_in_memory(source, own)[1].executed[0]
    counts = {16 * k: int(n) for k, n in enumerate(executed)} | {16 * len(executed): 0}
    path = blob(tmp_path / "two.ncu-rep", source)
    add = FakeLaunch("add", "add", (GRID, 1, 1), (BLOCK, 1, 1), counts)
    install(monkeypatch, {path: [FakeLaunch("nothing", "nothing"), add]})
    return path, launch


def test_counts_equal_at_every_pc(profile: tuple[Path, Path], capsys: pytest.CaptureFixture) -> None:
    code, out, _ = call(capsys, "trace", profile[0], "--launch", profile[1])
    assert code == 0
    assert "two.ncu-rep launch 1, add: " in out
    assert f"equal at each of {len(programs(profile[0].parent / 'add.cu', 86)['add'])} instructions" in out


def test_a_trace_of_a_profile_holds_what_the_profile_ran(profile, tmp_path, capsys) -> None:
    code, out, _ = call(capsys, "trace", profile[0], "--launch", profile[1], "-o", tmp_path / "trace")
    assert code == 0
    assert f"{GRID}" in out
    from gpusim.trace.store import open_trace

    launch = open_trace(tmp_path / "trace").launches[0]
    assert (launch.program.name, launch.grid, launch.block) == ("add", (GRID, 1, 1), (BLOCK, 1, 1))


def test_a_wrong_argument_shows_at_the_instructions_it_changes(profile, capsys) -> None:
    profile[1].write_text(profile[1].read_text().replace("{int32: 1000}", "{int32: 900}"))
    code, out, _ = call(capsys, "trace", profile[0], "--launch", profile[1])
    assert code == 1
    assert "instructions differ" in out
    assert "STG.E" in out


def test_counts_behind_the_program_and_totals_count_too(profile) -> None:
    report = Report(profile[0])
    launch = report.launch(1)
    program = report.program(launch)
    executed = np.array([launch.executed[16 * k] for k in range(len(program))])
    assert check_counts(launch, program, executed).ok
    behind = {**launch.executed, 16 * len(program): 4}
    changed = type(launch)(**{**vars(launch), "executed": behind})
    (mismatch,) = check_counts(changed, program, executed).mismatches
    assert (mismatch.pc, mismatch.reported, mismatch.executed) == (16 * len(program), 4, 0)
    total = type(launch)(**{**vars(launch), "executed": None, "metrics": {"smsp__inst_executed.sum": 7.0}})
    assert check_counts(total, program, executed).checked == "total"
    assert not check_counts(total, program, executed).ok
    silent = type(launch)(**{**vars(launch), "executed": None, "metrics": {}})
    assert (check_counts(silent, program, executed).checked, check_counts(silent, program, executed).ok) == ("", True)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("launch: 1", "launch: 2"), "there is no launch 2; it holds 2: 0: nothing, 1: add"),
        (("launch: 1", "kernel: ad"), "kernel ad"),
        (("launch: 1", "kernel: adds"), "holds no kernel 'adds' (did you mean 'add'?)"),
        (("launch: 1", "launch: 0\n    kernel: add"), "launch 0 of"),
        (("launch: 1", "launch: 1\n    grid: [5]"), "leave out grid: the profile gives them"),
        (("{int32: 1000}", "{int32: 1000}, {int32: 1}"), "takes 4 arguments"),
        (("- launch: 1", "- dynamic_shared: 4"), "leave out dynamic_shared"),
        (("- launch: 1\n    arguments", "- arguments"), "say which with `launch: INDEX`"),
    ],
)
def test_launch_files_that_do_not_fit(profile, capsys, change, complaint) -> None:
    profile[1].write_text(profile[1].read_text().replace(*change))
    if complaint == "kernel ad":  # a part of a name is enough
        assert call(capsys, "trace", profile[0], "--launch", profile[1])[0] == 0
        return
    assert complaint in refused(capsys, "trace", profile[0], "--launch", profile[1])


def test_profiles_that_cannot_be_used(profile, tmp_path, monkeypatch, capsys) -> None:
    path, launch = profile
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert "truncated: a CUDA image ends" in refused(capsys, "trace", path, "--launch", launch)
    path.write_bytes(b"no image at all")
    assert "embeds no image of kernel add" in refused(capsys, "trace", path, "--launch", launch)
    empty = tmp_path / "empty.ncu-rep"
    empty.write_bytes(b"")
    assert "not an Nsight Compute report, truncated" in refused(capsys, "trace", empty, "--launch", launch)
    assert "no such file" in refused(capsys, "trace", tmp_path / "absent.ncu-rep", "--launch", launch)
    bare = FakeLaunch("add", "add", metrics={"launch__grid_dim_x": None})
    install(monkeypatch, {path: [bare, bare]})
    assert "lacks 'launch__grid_dim_x'" in refused(capsys, "trace", path, "--launch", launch)
    assert "a launch file is needed" in refused(capsys, "trace", path, "-o", tmp_path / "x")
    monkeypatch.setitem(sys.modules, "ncu_report", None)
    assert "pip install 'gpusim[ncu]'" in refused(capsys, "trace", path, "--launch", launch)


def test_equal_copies_of_an_image_are_one_different_ones_are_refused(profile) -> None:
    path = profile[0]
    cubin = compiled(path.parent / "add.cu", 86).data
    path.write_bytes(path.read_bytes() + cubin)
    assert Report(path).program(Report(path).launch(1)).name == "add"
    path.write_bytes(path.read_bytes() + compiled(path.parent / "add.cu", 75).data)
    with pytest.raises(GpusimError, match="2 different images of kernel add"):
        Report(path).program(Report(path).launch(1))


HARDWARE = Path(__file__).resolve().parent.parent / "validation" / "hardware"


def test_every_described_profile_is_in_the_table_of_measurements() -> None:
    described = set()
    for path in HARDWARE.glob("*.yaml"):
        file = load_launch(path, profiled=True)
        assert file.report is not None
        described |= {(path.name, file.report.path, one.launch) for one in file.launches}
    with (HARDWARE / "measured.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert described == {(row["launch_file"], row["report"], int(row["launch"])) for row in rows}
    for row in rows:
        assert float(row["cycles"]) >= float(row["active_cycles"]) > 0
        clock = float(row["cycles"]) / float(row["duration_ns"]) * 1e3
        assert clock == pytest.approx(float(row["core_mhz"]), rel=0.03)
