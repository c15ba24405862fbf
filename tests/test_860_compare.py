"""Profiles beside the model: the derived card, the figures in Nsight Compute's definitions, and the files written."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from cli_cases import call, refused
from profile_cases import CARD, LAUNCH, METRICS, SOURCE, FakeLaunch, blob, install
from sass_cases import needs_tools

from gpusim.config import load_config
from gpusim.emulator import tracing
from gpusim.emulator.tracing import run_in_memory
from gpusim.hardware.card import derive_card
from gpusim.hardware.compare import Comparison, Figures, mean_absolute_error, reported_figures
from gpusim.report.compare import markdown
from gpusim.sass.reports import Report

OWN_LAUNCH = LAUNCH.replace("- arguments", "- grid: [4]\n    block: [256]\n    arguments")
OTHER = "report: {repository: a/b, commit: 41754e2, path: x/other.ncu-rep}\n"


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    source, launch = tmp_path / "add.cu", tmp_path / "add.yaml"
    source.write_text(SOURCE)
    launch.write_text(LAUNCH)
    path = tmp_path / "add.ncu-rep"
    path.write_bytes(b"")
    install(monkeypatch, {path: [FakeLaunch("add", "add", (4, 1, 1), (256, 1, 1), metrics=dict(METRICS))]})
    return path, launch


def test_a_card_is_derived_from_what_the_profile_says(profile, tmp_path: Path, capsys) -> None:
    launch = Report(profile[0]).launch(0)
    card = derive_card(launch)
    config, base = card.load(), load_config(card.base)
    assert base.architecture == config.architecture == 86
    assert (config.name, config.sms) == (CARD["display_name"], CARD["multiprocessor_count"])
    assert (config.clocks.core_mhz, config.clocks.memory_mhz) == (1200, 6500)
    assert config.l2.slices * config.l2.sets * config.l2.ways * config.l2.line_bytes == CARD["l2_cache_size"]
    peak = config.dram.channels * config.dram.bytes_per_transfer * config.clocks.memory_mhz
    assert peak == CARD["global_memory_bus_width"] / 8 * 2 * 6500
    assert config.dram.latency / 1200 == pytest.approx(base.dram.latency / base.clocks.core_mhz, rel=0.01)
    assert config.sm == base.sm
    assert config.clocks.l2_mhz == base.clocks.l2_mhz
    measured = {**launch.metrics, "lts__cycles_elapsed.avg.per_second": 1.1e9}
    assert derive_card(type(launch)(**{**vars(launch), "metrics": measured})).load().clocks.l2_mhz == 1100
    code, text, _ = call(capsys, "config", "from-report", profile[0])
    assert code == 0
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    assert load_config(file) == config
    assert "sms: 20  # device: multiprocessor_count" in text


def test_clocks_that_were_not_measured_are_those_of_the_device(profile) -> None:
    launch = Report(profile[0]).launch(0)
    bare = {k: v for k, v in launch.metrics.items() if "per_second" not in k}
    card = derive_card(type(launch)(**{**vars(launch), "metrics": bare})).load()
    assert (card.clocks.core_mhz, card.clocks.memory_mhz) == (1500, 7000)


@pytest.mark.parametrize(
    ("attribute", "value", "complaint"),
    [
        ("compute_capability_major", 5, "no packaged card of sm_56 to start from; known: "),
        ("multiprocessor_count", None, "lacks device__attribute_multiprocessor_count"),
        ("max_shared_memory_per_multiprocessor", 65536, "64 KB of shared memory per SM"),
    ],
)
def test_cards_that_cannot_be_derived(profile, monkeypatch, capsys, attribute, value, complaint) -> None:
    metrics = {f"device__attribute_{attribute}": value}
    install(monkeypatch, {profile[0]: [FakeLaunch("add", "add", metrics=metrics)]})
    assert complaint in refused(capsys, "config", "from-report", profile[0])


def test_reported_figures_are_those_of_nsight_compute(profile) -> None:
    figures = reported_figures(Report(profile[0]).launch(0))
    assert figures == Figures(3000, 400, 512, 20.0, None, {"selected": 1.0, "wait": 2.5})


@needs_tools
def test_compare_runs_the_profiled_machine_code_on_the_derived_card(profile, tmp_path: Path, capsys) -> None:
    path, launch = profile
    blob(path, tmp_path / "add.cu")
    files = {kind: tmp_path / f"out.{kind}" for kind in ("csv", "json", "md")}
    options = ("--csv", files["csv"], "--json", files["json"], "--markdown", files["md"])
    code, out, _ = call(capsys, "compare", path, "--launch", launch, *options)
    assert code == 0
    assert "mean absolute error of the cycles of 1 kernels" in out
    (row,) = csv.DictReader(files["csv"].open())
    data = json.loads(files["json"].read_text())
    (kernel,) = data["kernels"]
    assert row["kernel"] == kernel["kernel"] == "add"
    assert float(row["cycles_card"]) == 3000
    (tmp_path / "own.yaml").write_text(OWN_LAUNCH)
    executed = run_in_memory(tmp_path / "add.cu", tmp_path / "own.yaml")[1].warp_instructions
    assert kernel["warp_instructions_model"] == executed
    assert kernel["selected_model"] == 1.0
    assert kernel["active_cycles_model"] > 0
    warps = 4 * 256 // 32
    assert kernel["pipe_cbu_card"] == pytest.approx(0.001 * 4 * 400 * CARD["multiprocessor_count"]) == warps
    assert warps <= kernel["pipe_cbu_model"] <= 2 * warps  # EXIT, which some reach twice; no BRA
    assert kernel["pipe_alu_card"] is None
    assert data["mean_absolute_error_percent"] == pytest.approx(abs(kernel["error_percent"]))
    assert kernel["error_percent"] == pytest.approx(100 * (kernel["cycles_model"] - 3000) / 3000)
    assert "| add, add:0 | Test Card | 3,000 /" in files["md"].read_text()


@needs_tools
def test_measured_cycles_may_come_from_a_csv(profile, tmp_path: Path, capsys) -> None:
    (tmp_path / "own.yaml").write_text(OWN_LAUNCH)
    table = tmp_path / "cycles.csv"
    table.write_text("kernel,cycles,card,trace,launch\nadd,2500,a6000,add.cu,own.yaml\n")
    code, out, _ = call(capsys, "compare", table)
    assert code == 0
    assert "add, cycles.csv:2" in out
    for change, complaint in (
        (("2500", "many"), "cycles.csv:2: cycles is 'many'"),
        (("kernel,cycles", "kernel,cycle"), "lacks the column 'cycles'; has an unknown column 'cycle' (did you mean"),
        (("add,2500", "sub,2500"), "cycles.csv:2: there is no kernel 'sub'"),
        (("add,2500,a6000,add.cu,own.yaml\n", ""), "holds no row"),
    ):
        table.write_text("kernel,cycles,card,trace,launch\nadd,2500,a6000,add.cu,own.yaml\n".replace(*change))
        assert complaint in refused(capsys, "compare", table)


def test_reports_and_launch_files_must_pair(profile, tmp_path: Path, capsys) -> None:
    path, launch = profile
    assert "1 reports and 0 launch files" in refused(capsys, "compare", path)
    launch.write_text(LAUNCH.replace("- arguments", "- launch: 3\n    arguments") + OTHER)
    complaint = refused(capsys, "compare", path, "--launch", launch)
    assert "there is no launch 3" in complaint
    assert f"{launch} names another report, x/other.ncu-rep: give each report the file for it" in complaint


@needs_tools
@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("- arguments", "- kernel: twice\n    arguments"), "holds no kernel 'twice'"),
        (("{buffer: c}, ", ""), "kernel add takes 4 arguments (8 bytes, 8 bytes, 8 bytes, 4 bytes), the launch gives 3"),
        (("{int32: 1000}", "{int64: 1000}"), "argument 3 of kernel add has 4 bytes, 'int64 1000' has 8"),
        (("{int32: 1000}", "{int32: 5000}"), "is out of bounds"),
    ],
)  # fmt: skip
def test_launch_files_of_another_report_are_told_as_such(profile, tmp_path, capsys, change, complaint) -> None:
    path, launch = profile
    blob(path, tmp_path / "add.cu")
    text = LAUNCH.replace(*change)
    for command in ("trace", "compare"):
        launch.write_text(text + OTHER)
        told = refused(capsys, command, path, "--launch", launch)
        assert complaint in told
        assert told.count("names another report, x/other.ncu-rep") == 1
        launch.write_text(text + OTHER.replace("other", "add"))
        told = refused(capsys, command, path, "--launch", launch)
        assert complaint in told
        assert "another report" not in told


@needs_tools
def test_files_in_the_wrong_order_are_refused_before_anything_is_run(profile, tmp_path, monkeypatch, capsys) -> None:
    path, launch = profile
    blob(path, tmp_path / "add.cu")
    launch.write_text(LAUNCH + OTHER.replace("x/other", "add"))
    (tmp_path / "twice.cu").write_text('extern "C" __global__ void twice(float *x) { x[threadIdx.x] *= 2; }')
    second, for_second = blob(tmp_path / "twice.ncu-rep", tmp_path / "twice.cu"), tmp_path / "twice.yaml"
    buffers = "buffers: {x: {dtype: float32, shape: [32]}}\nlaunches: [{arguments: [{buffer: x}]}]\n"
    for_second.write_text(buffers + OTHER.replace("x/other", "twice"))
    twice, add = FakeLaunch("twice", "twice", metrics=dict(METRICS)), FakeLaunch("add", "add", metrics=dict(METRICS))
    install(monkeypatch, {path: [add], second: [twice]})
    monkeypatch.setattr(tracing, "execute", None)
    told = refused(capsys, "compare", path, second, "--launch", for_second, "--launch", launch)
    assert "kernel add takes 4 arguments" in told
    assert f"{for_second} names another report, twice.ncu-rep: give each report the file for it" in told


@needs_tools
def test_a_report_may_have_been_renamed(profile, tmp_path: Path, capsys) -> None:
    path, launch = profile
    blob(path, tmp_path / "add.cu")
    launch.write_text(LAUNCH + OTHER)
    for command in ("trace", "compare"):
        code, out, _ = call(capsys, command, path, "--launch", launch)
        assert code == 0
        assert "add" in out
        assert "other" not in out


def test_the_mean_error_counts_each_kernel_once_and_by_size() -> None:
    rows = [
        Comparison(f"r:{k}", "k", "card", Figures(1000.0), Figures(cycles), False, 0.0)
        for k, cycles in enumerate((900.0, 1300.0))
    ]
    assert mean_absolute_error(rows) == pytest.approx(20.0)
    assert [row.error for row in rows] == pytest.approx([-10.0, 30.0])
    assert "Mean absolute error of the cycles of 2 kernels: 20.00 %." in markdown(rows)


@needs_tools
def test_a_missing_file_of_a_buffer_is_told_before_anything_is_run(profile, tmp_path, monkeypatch, capsys) -> None:
    path, launch = profile
    blob(path, tmp_path / "add.cu")
    launch.write_text(LAUNCH.replace("fill: random, seed: 1", "fill: npy, file: gone.npy"))
    monkeypatch.setattr(tracing, "execute", None)
    assert "gone.npy: cannot read the contents of buffer" in refused(capsys, "compare", path, "--launch", launch)
