"""Warp-state samples beside the model's warp-cycles, by instruction: distances by hand, the EXIT rule, what is written."""

from __future__ import annotations

import csv
import itertools
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cli_cases import call
from profile_cases import FakeLaunch, blob, install
from result_cases import make_kernel_result
from sass_cases import needs_tools
from trace_cases import make_program

import gpusim
from gpusim.hardware.compare import Comparison, Figures
from gpusim.hardware.counts import OUTSIDE
from gpusim.hardware.per_pc import compare_pcs, expected_total_variation, rank_correlation, total_variation
from gpusim.report.compare import markdown
from gpusim.results import columns
from gpusim.results.stalls import STALL_REASONS, Stall
from gpusim.sass.reports import Report

# ------------------------------------------------------------------------------------------ distances


def test_equal_distributions_have_distance_0_and_disjoint_ones_1() -> None:
    weights = np.array([[3, 0], [1, 4]])
    assert total_variation(weights, 7 * weights) == pytest.approx(0)
    assert total_variation(np.array([3, 0, 1]), np.array([0, 5, 0])) == pytest.approx(1)
    # Shares 0.5, 0.25, 0.25 and 0.25, 0.25, 0.5: a quarter has to move.
    assert total_variation(np.array([2, 1, 1]), np.array([10, 10, 20])) == pytest.approx(0.25)


def test_ranks_are_compared_and_equal_values_share_theirs() -> None:
    values = np.array([5, 1, 70, 3])
    assert rank_correlation(values, values**2) == pytest.approx(1)
    assert rank_correlation(values, -values) == pytest.approx(-1)
    # Ranks 1, 2.5, 2.5, 4 and 1, 2, 3, 4: deviations multiply to 4.5, squares sum to 4.5 and 5.
    assert rank_correlation(np.array([0, 6, 6, 9]), np.arange(4)) == pytest.approx(4.5 / math.sqrt(4.5 * 5))
    assert rank_correlation(values, np.ones(4)) is None


@pytest.mark.parametrize("samples", [1, 2, 5])
def test_the_distance_by_chance_is_the_mean_over_all_draws(samples: int) -> None:
    weights = np.array([[1, 2], [0, 5]])
    shares = weights.ravel() / 8
    mean = 0.0
    for draw in itertools.product(range(4), repeat=samples):
        counts = np.bincount(draw, minlength=4)
        mean += shares[list(draw)].prod() * np.abs(counts / samples - shares).sum() / 2
    assert expected_total_variation(weights, samples) == pytest.approx(mean)


def test_the_distance_by_chance_shrinks_with_the_samples() -> None:
    weights = np.arange(100)
    one, many = (expected_total_variation(weights, n) for n in (10_000, 1_000_000))
    assert one == pytest.approx(10 * many, rel=0.01)
    assert expected_total_variation(np.array([0, 9]), 3) == 0  # one place only


# ------------------------------------------------------------------------------------------ instructions

RESULT, PROGRAM = make_kernel_result(), make_program()  # FFMA, LDG, LDS, LDGSTS, EXIT
EXIT = 0x40


def samples_of(table: np.ndarray) -> dict[str, dict[int, int]]:
    """A table as KernelResult.pc_stalls, as a report would have it."""
    return {
        reason: {16 * k: int(n) for k, n in enumerate(table[:, number]) if n}
        for number, reason in enumerate(STALL_REASONS)
        if table[:, number].any()
    }


def test_samples_in_proportion_to_the_warp_cycles_agree() -> None:
    each = compare_pcs(samples_of(3 * RESULT.pc_stalls), RESULT, PROGRAM)
    assert each.card.tolist() == (3 * RESULT.pc_stalls).tolist()
    assert (each.pc.tolist(), each.text) == (RESULT.pc.tolist(), PROGRAM.text)
    assert each.issues.tolist() == RESULT.pc_issues.tolist()
    assert each.samples == 3 * RESULT.resident_warp_cycles
    assert (each.correlation, each.distance, each.reason_distance) == pytest.approx((1, 0, 0))


def test_a_permutation_of_the_instructions_is_found() -> None:
    stalls = np.zeros_like(RESULT.pc_stalls)
    stalls[:, Stall.WAIT] = 1, 2, 3, 4, 0
    model = replace(RESULT, pc_stalls=stalls, pc_issues=[1, 1, 1, 1, 0])
    each = compare_pcs({"wait": {0x00: 4, 0x10: 3, 0x20: 2, 0x30: 1}}, model, PROGRAM)
    assert each.correlation == pytest.approx(-1)  # the EXIT, which nobody reaches, does not count
    assert each.distance == each.reason_distance == pytest.approx((3 + 1 + 1 + 3) / 10 / 2)


def test_other_reasons_at_the_same_instructions_differ_by_reason_only() -> None:
    stalls = np.zeros_like(RESULT.pc_stalls)
    stalls[:, Stall.WAIT] = 2, 0, 0, 0, 6
    each = compare_pcs({"wait": {0: 1}, "imc_miss": {EXIT: 3}}, replace(RESULT, pc_stalls=stalls), PROGRAM)
    assert each.distance == pytest.approx(0)
    assert each.reason_distance == pytest.approx(0.75)
    # Binomials of 4 draws: 0.25 * 0.75 * P[B(3, 1/4) = 1] and the same for 3/4 with P[B(3, 3/4) = 3].
    chance = 3 / 16 * (27 / 64) * 2
    assert each.chance_distance == each.chance_reason_distance == pytest.approx(chance)


def test_reasons_are_named_as_in_reports_and_unknown_ones_are_misc() -> None:
    samples = {"no_instructions": {0: 2}, "gmma": {0: 3}, "misc": {0: 4}}
    card = compare_pcs(samples, RESULT, PROGRAM).card
    assert card[0, Stall.NO_INSTRUCTION] == 2
    assert card[0, Stall.MISC] == 7
    assert card.sum() == 9


def test_warps_that_left_count_at_their_exit() -> None:
    samples = {"drain": {EXIT + 16: 5}, "wait": {EXIT + 16: 2, EXIT: 1}, "imc_miss": {EXIT + 48: 1}}
    each = compare_pcs(samples, RESULT, PROGRAM)
    assert each.pc.tolist() == [*RESULT.pc.tolist(), EXIT + 48]
    assert each.text[-1] == OUTSIDE
    assert each.card[4, Stall.DRAIN] == 5
    assert each.card[4, Stall.WAIT] == 3
    assert each.card[5, Stall.IMC_MISS] == 1
    early = replace(PROGRAM, opcodes=("EXIT", *PROGRAM.opcodes[1:]))  # other warps issue what stands behind this one
    each = compare_pcs({"drain": {16: 5}, "wait": {16: 2}}, RESULT, early)
    assert (each.card[0, Stall.DRAIN], each.card[1, Stall.WAIT]) == (5, 2)


# ------------------------------------------------------------------------------------------ reports

SOURCE = """
extern "C" __global__ void add(const float *a, const float *b, float *c, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) c[i] = a[i] + b[i];
}
"""
LAUNCHES = """
buffers:
  a: {dtype: float32, shape: [1000], fill: random, seed: 1}
  b: {dtype: float32, shape: [1000], fill: random, seed: 2}
  c: {dtype: float32, shape: [1000]}
launches:
  - {launch: 0, arguments: [{buffer: a}, {buffer: b}, {buffer: c}, {int32: 1000}]}
  - {launch: 1, arguments: [{buffer: a}, {buffer: b}, {buffer: c}, {int32: 1000}]}
"""


def profiled(path: Path, monkeypatch: pytest.MonkeyPatch, samples: dict[str, dict[int, int]]) -> None:
    """A report of a launch with these samples, and of one without any."""
    metrics = {"gpc__cycles_elapsed.max": 3000.0}
    launch = FakeLaunch("add", "add", (4, 1, 1), (256, 1, 1), metrics=metrics)
    install(monkeypatch, {path: [replace(launch, samples=samples), replace(launch, samples={"wait": {}})]})


@pytest.fixture
def report(tmp_path: Path) -> tuple[Path, Path]:
    """A report, whose contents `profiled` gives, and its launch file."""
    path, launches = tmp_path / "add.ncu-rep", tmp_path / "add.yaml"
    (tmp_path / "add.cu").write_text(SOURCE)
    launches.write_text(LAUNCHES)
    return blob(path, tmp_path / "add.cu"), launches


def test_samples_are_read_by_reason_and_offset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "add.ncu-rep"
    path.write_bytes(b"")
    profiled(path, monkeypatch, {"no_instructions": {0: 3, 0x20: 1}, "wait": {0x10: 2}, "drain": {0: 0}})
    assert Report(path).launch(0).samples == {"no_instructions": {0: 3, 0x20: 1}, "wait": {0x10: 2}}
    assert Report(path).launch(1).samples == {}


@needs_tools
def test_the_command_shows_and_writes_what_differs(report, tmp_path: Path, monkeypatch, capsys) -> None:
    path, launches = report
    profiled(path, monkeypatch, {"wait": {0: 1}})
    sampled, without = gpusim.compare(path, launches)
    assert without.per_pc is None
    profiled(path, monkeypatch, samples_of(sampled.per_pc.model))  # a card that does what the model does
    files = {option: tmp_path / f"out{option}" for option in ("--per-pc", "--json", "--markdown", "--csv")}
    code, out, _ = call(capsys, "compare", path, "--launch", launches, *itertools.chain(*files.items()))
    assert code == 0
    assert "add, add:1: no warp-state samples per instruction were measured" in out
    assert "the instructions that differ most" in out
    first, second = json.loads(files["--json"].read_text())["kernels"]
    assert first["samples"] == sampled.per_pc.model.sum()
    assert [first[name] for name in ("pc_correlation", "pc_distance", "pc_reason_distance")] == pytest.approx([1, 0, 0])
    assert 0 < first["pc_distance_chance"] < first["pc_reason_distance_chance"] < 0.1
    assert second["samples"] is second["pc_distance"] is None
    rows = list(csv.DictReader(files["--per-pc"].open()))
    assert list(rows[0]) == [column.name for column in columns.PC_COMPARISON_FRAME]
    assert [(int(row["pc"]), row["text"]) for row in rows] == list(zip(sampled.per_pc.pc, sampled.per_pc.text))
    assert {row["source"] for row in rows} == {"add.ncu-rep launch 0"}
    assert sum(int(row["samples"]) for row in rows) == first["samples"]
    for name in ("card_percent", "model_percent"):
        assert sum(float(row[name]) for row in rows) == pytest.approx(100, abs=0.01)
    text = files["--markdown"].read_text()
    assert f"| add, add:0 | {first['samples']:,} | 1.000 | 0.000 |" in text
    assert "- add, add:1: no warp-state samples" in text


@needs_tools
def test_nothing_is_said_of_instructions_unless_asked_for(report, tmp_path: Path, monkeypatch, capsys) -> None:
    path, launches = report
    profiled(path, monkeypatch, {"wait": {0: 1}})
    code, out, _ = call(capsys, "compare", path, "--launch", launches, "--markdown", tmp_path / "out.md")
    assert code == 0
    assert "samples" not in out + (tmp_path / "out.md").read_text()


def test_the_table_of_differences_is_that_of_the_largest_ones() -> None:
    stalls = np.zeros_like(RESULT.pc_stalls)
    stalls[:, Stall.WAIT] = 50, 30, 15, 5, 0
    program = replace(PROGRAM, text=("FADD R1, |R2|, R3", *PROGRAM.text[1:]))
    each = compare_pcs({"wait": {0: 1}, "imc_miss": {0x10: 3}}, replace(RESULT, pc_stalls=stalls), program)
    figures = Figures(1000.0)
    page = markdown([Comparison("r.ncu-rep launch 0", "toy", "card", figures, figures, False, 0.0, each)], per_pc=True)
    lines = page.splitlines()
    start = lines.index("toy, r:0, the instructions that differ most:") + 4
    assert lines[start : start + 5] == [
        "| 0010 | `LDG.E R0 ;` | 75.00 | 30.00 | imc_miss | wait |",
        "| 0000 | `FADD R1, \\|R2\\|, R3` | 25.00 | 50.00 | wait | wait |",
        "| 0020 | `LDS.128 R0 ;` | 0.00 | 15.00 | - | wait |",
        "| 0030 | `LDGSTS.E R0 ;` | 0.00 | 5.00 | - | wait |",
        "| 0040 | `EXIT R0 ;` | 0.00 | 0.00 | - | - |",
    ]


def test_a_frame_has_a_row_per_instruction() -> None:
    from gpusim.report.compare import Comparisons

    each = compare_pcs({"wait": {0: 3, 0x10: 1}}, RESULT, PROGRAM)
    figures = Figures(1000.0)
    rows = [
        Comparison(f"r:{k}", "toy", "card", figures, figures, False, 0.0, known) for k, known in enumerate((each, None))
    ]
    frame = Comparisons(tuple(rows)).pc_frame()
    assert list(frame) == [column.name for column in columns.PC_COMPARISON_FRAME]
    assert frame.source.tolist() == ["r:0"] * 5
    assert frame.wait_card.tolist() == [75, 25, 0, 0, 0]
    assert frame.attrs["units"]["wait_model"] == "%"
    assert frame.long_scoreboard_model[1] == pytest.approx(100 * 700 / RESULT.resident_warp_cycles)
    assert frame.warp_cycles.tolist() == RESULT.pc_stalls.sum(axis=1).tolist()
    assert Comparisons(()).pc_frame().empty
