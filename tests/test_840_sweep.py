"""Sweeps: points, rows, order, speed-ups, the command; the comparison of the paper's alternatives and its area formula."""

from __future__ import annotations

import csv
import io
import math
import re

import numpy as np
import pytest

from gpusim.cli import main as cli
from gpusim.cli.sweep import SweepView
from gpusim.config import load_config
from gpusim.emulator.tracing import trace_kernel
from gpusim.errors import GpusimError
from gpusim.model.setup.simulate import RunOptions, simulate
from gpusim.runs.sweep import Point, Run, SweepProgress, geometric_means, grid_points, speed_ups, sweep
from gpusim.trace.store import open_trace
from gpusim.validation.ablations import MEAN, Alternative, Cell, Suite, Table, direction, load_suite, measure

CONFLICTING = "\n".join(f"[B------:R-:W-:-:S01] FFMA R{20 + 2 * i}, R2, R4, R6 ;" for i in range(24))
SASS = f"""\
.arch sm_86
.kernel conflicts
.grid 2
.block 64
{CONFLICTING}
[B------:R-:W-:-:S05] EXIT ;
"""
"""Three operands of one bank each, so a second read port is worth cycles."""
PORTS = "register_file.read_ports"


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    (folder / "conflicts.sass").write_text(SASS)
    trace_kernel(folder / "conflicts.sass", None, folder / "conflicts")
    return folder / "conflicts"


def run_of(trace: str, label: str, *cycles: int) -> Run:
    """A run; one without cycles has failed."""
    kernels = tuple({"cycles": count} for count in cycles)
    return Run(trace, Point(label, ()), kernels, error=None if cycles else "deadlock")


# ---- points


def test_the_last_axis_varies_fastest_and_values_are_yaml():
    points = grid_points(["a.b=1,2", "c=true,[0, 8]"])
    assert [point.overrides for point in points] == [
        ("a.b=1", "c=true"),
        ("a.b=1", "c=[0, 8]"),
        ("a.b=2", "c=true"),
        ("a.b=2", "c=[0, 8]"),
    ]
    assert points[1].label == "a.b=1 c=[0, 8]"


def test_a_mapping_gives_the_points_of_the_same_texts():
    mapping = {"a.b": np.arange(1, 3), "c": [True, [0, 8]], "d": (1e-05, "gto"), "e": ["true"]}
    assert grid_points(mapping) == grid_points(["a.b=1,2", "c=true,[0, 8]", "d=1.0e-05,gto", "e='true'"])
    assert grid_points(mapping)[0].settings == {"a.b": 1, "c": True, "d": 1e-05, "e": "true"}


def test_points_are_taken_as_they_are_and_no_axis_is_one_point():
    points = [Point("near", ("a=1",)), Point("far", ("a=2",))]
    assert grid_points(points) == points
    assert grid_points({}) == grid_points([]) == [Point("unchanged", ())]


@pytest.mark.parametrize(
    "axes",
    [["a"], ["a="], ["=1,2"], ["a=[1"], {"a": 5}, {"a": "gto"}, {"a": []}, {"a": [object()]}],
)
def test_a_wrong_axis_is_refused_by_name(axes):
    with pytest.raises(GpusimError, match=r"^(grid axis '=?a?|a: <object)"):
        grid_points(axes)


# ---- runs


def test_rows_are_those_of_single_runs_in_order(stored):
    runs = list(sweep({"first": stored, "second": stored}, "a6000", {PORTS: [1, 2]}, common=["sms=1"]))
    assert [(run.trace, run.point.label) for run in runs] == [
        (trace, f"{PORTS}={ports}") for trace in ("first", "second") for ports in (1, 2)
    ]
    for run in runs:
        config = load_config("a6000", ["sms=1", *run.point.overrides])
        (kernel,) = simulate(open_trace(stored), config, RunOptions()).kernels
        assert run.kernels == ({name: value for name, value in kernel.summary().items() if name != "seconds"},)
    assert runs[0].cycles > runs[1].cycles
    assert runs[:1] == [Run("first", runs[0].point, runs[2].kernels, ())]


def test_traces_and_cards_are_named_or_given_as_they_are(stored, tmp_path):
    named = sweep(stored, "a6000", [f"{PORTS}=1,2"], common={"sms": 1})
    given = sweep(open_trace(stored), load_config("a6000", ["sms=1"]), {PORTS: [1, 2]})
    kernel = sweep([stored.with_suffix(".sass")], load_config("a6000"), {PORTS: [1, 2]}, common=["sms=1"])
    assert named.traces == (str(stored),)
    assert given.traces == ("conflicts.sass",)
    for other in (given, kernel):
        assert [run.kernels for run in other] == [run.kernels for run in named]


def test_processes_change_nothing(stored):
    traces = {"stored": stored, "object": open_trace(stored)}
    assert list(sweep(traces, "a6000", {PORTS: [1, 2]}, jobs=2)) == list(sweep(traces, "a6000", {PORTS: [1, 2]}))


def test_everything_is_checked_before_the_first_run(stored, monkeypatch, tmp_path):
    monkeypatch.setattr("gpusim.runs.sweep._simulate", lambda *_: pytest.fail("it ran"))
    for complaint, arguments, options in (
        ("read_port", (stored, "a6000", [Point("good", ()), Point("bad", ("read_port=1",))]), {}),
        ("same is given twice", (stored, "a6000", [Point("same", ()), Point("same", (f"{PORTS}=2",))]), {}),
        ("is given twice", ([stored, stored], "a6000", {PORTS: [1]}), {}),
        ("conflicts.sass is given twice", ([open_trace(stored)] * 2, "a6000", {PORTS: [1]}), {}),
        ("no such trace", ("ampere/sgemn", "a6000", {PORTS: [1]}), {}),
        ("needs a trace", ([], "a6000", {PORTS: [1]}), {}),
        ("jobs=0", (stored, "a6000", {PORTS: [1]}), {"jobs": 0}),
        ("output", (stored, "a6000", {PORTS: [1]}), {"resume": True}),
        ("cannot write here", (stored, "a6000", {PORTS: [1]}), {"output": tmp_path / "none" / "s.jsonl"}),
        ("no architecture 'sm_87'", (stored, "a6000", {PORTS: [1]}), {"arch": "sm_87"}),
    ):
        with pytest.raises(GpusimError, match=complaint):
            sweep(*arguments, **options)
    with pytest.raises(TypeError, match="a trace is named"):
        sweep(5, "a6000", {PORTS: [1]})


# ---- speed-ups and tables


def test_speed_up_is_over_the_first_point_of_the_trace():
    runs = [run_of("a", "x", 60, 40), run_of("a", "y", 50), run_of("b", "x", 30), run_of("b", "y", 240)]
    gains = speed_ups(runs)
    assert gains == {("a", "x"): 1, ("a", "y"): 2, ("b", "x"): 1, ("b", "y"): 1 / 8}
    assert geometric_means(gains, 2) == {"x": 1, "y": pytest.approx(1 / 2)}


def test_failed_runs_have_no_speed_up_and_no_mean_without_them():
    runs = [run_of("a", "x", 60), run_of("a", "y"), run_of("a", "z", 30), run_of("b", "x"), run_of("b", "z", 240)]
    assert runs[1].cycles is None
    gains = speed_ups(runs)
    assert gains == {("a", "x"): 1, ("a", "z"): 2}
    assert geometric_means(gains, 2) == {}


def test_frame_has_a_column_per_key_and_stall_reason(stored):
    runs = sweep({"a": stored}, "a6000", {PORTS: [1, 2]})
    table = runs.to_frame()
    assert list(table[PORTS]) == [1, 2]
    assert list(table.cycles) == [run.cycles for run in runs]
    assert list(table.trace) == ["a", "a"]
    assert list(table.kernel) == ["conflicts", "conflicts"]
    assert list(table.block) == [(64, 1, 1)] * 2
    assert table.error.isna().all()
    assert "seconds" not in table
    stalls = [name for name in table if name.startswith("stall_")]
    assert list(table[stalls].sum(axis=1)) == list(table.resident_warp_cycles)
    assert list(table.attrs["units"]) == list(table)


# ---- the command


def command(*more) -> list[str]:
    return [str(word) for word in ("sweep", "--config", "a6000", "--set-grid", f"{PORTS}=1,2", *more)]


def test_the_command_prints_and_writes_what_the_sweep_gives(stored, tmp_path, capsys):
    assert cli.main(command(stored, "--csv", tmp_path / "s")) == 0
    runs = list(sweep({"a": stored}, "a6000", [f"{PORTS}=1,2"]))
    with (tmp_path / "s").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["cycles"]) for row in rows] == [run.cycles for run in runs]
    printed = capsys.readouterr()
    assert f"{runs[1].cycles:,}" in printed.out
    assert f"{runs[0].cycles / runs[1].cycles:.3f}" in printed.out


def test_a_line_per_finished_run_tells_how_far_it_is(stored, capsys):
    assert cli.main(command(stored)) == 0
    first, second = capsys.readouterr().err.splitlines()
    assert re.fullmatch(rf"gpusim: run 1 of 2: .*conflicts at {PORTS}=1: [\d,]+ cycles, ETA \d+ s", first)
    assert re.fullmatch(rf"gpusim: run 2 of 2: .*conflicts at {PORTS}=2: [\d,]+ cycles", second)


def test_the_eta_counts_what_this_sweep_has_run(capsys, monkeypatch):
    clock = iter([0.0, 100.0, 110.0])
    monkeypatch.setattr("gpusim.cli.sweep.time.monotonic", lambda: next(clock))
    with SweepView("s.jsonl") as view:
        view(SweepProgress(None, 4, 10, taken_over=4))
        view(SweepProgress(run_of("a", "x", 60), 6, 10, taken_over=4))
    taken, line = capsys.readouterr().err.splitlines()
    assert taken == "gpusim: 4 runs taken over from s.jsonl"
    assert line == "gpusim: run 6 of 10: a at x: 60 cycles, ETA 20 s"


def test_on_a_terminal_there_is_a_bar(monkeypatch):
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stderr", terminal)
    with SweepView() as view:
        view(SweepProgress(None, 0, 2, taken_over=0))
        view(SweepProgress(run_of("a[b]", "x", 60), 1, 2, taken_over=0))
    assert "a[b] at x: 60 cycles" in terminal.getvalue()
    assert "1/2" in terminal.getvalue()


def test_the_command_refuses_a_trace_named_twice(stored, capsys):
    assert cli.main(command(stored, stored)) == 2
    assert "twice" in capsys.readouterr().err


# ---- the paper's alternatives


@pytest.mark.parametrize(("consumers", "printed"), [(1, 1.52), (3, 2.28), (7, 3.04), (63, 5.32)])
def test_area_of_scoreboards_is_the_papers(consumers, printed):
    bits = load_suite().storage.scoreboard_bits(consumers) * 48
    assert round(100 * bits / (256 * 1024 * 8), 2) == printed


def test_area_of_control_bits_is_the_papers():
    storage = load_suite().storage
    assert round(100 * storage.control_bits() * 48 / (256 * 1024 * 8), 2) == 0.09
    assert storage.scoreboard_bits(63) * 48 == 111_552
    assert round(100 * storage.control_bits() * 64 / (256 * 1024 * 8), 2) in (0.12, 0.13)  # 0.125
    assert round(100 * storage.scoreboard_bits(63) * 64 / (256 * 1024 * 8), 2) == 7.09


@pytest.mark.parametrize(("speed_up", "expected"), [(1.02, 1), (0.98, -1), (1.004, 0), (0.996, 0), (1.006, 1)])
def test_direction(speed_up, expected):
    assert direction(speed_up) == expected


def test_agreement_needs_a_figure_of_the_paper():
    def agrees(paper: float | None, ours: float) -> bool | None:
        return Cell("t", "k", "p", False, 1, ours, paper, None, None).agrees

    assert agrees(None, 1.2) is None
    assert agrees(1.4, 1.2)
    assert not agrees(1.4, 0.8)
    assert not agrees(1.0, 1.2)
    assert Cell("t", "k", "p", True, 1, 1.0, 1.0, None, None).agrees is None


@pytest.fixture(scope="module")
def suite(stored):
    """One table of two points on the small trace, with the packaged area formula."""
    points = [("one port", (f"{PORTS}=1",), {}), ("two ports", (f"{PORTS}=2",), {"conflicts": 1.5})]
    alternatives = tuple(Alternative(Point(label, keys), 1.0, paper) for label, keys, paper in points)
    table = Table("ports", "Ports", "Table 0", alternatives, area=False)
    return Suite("a6000", ("sms=1",), ("conflicts",), load_suite().storage, (table,))


def test_measured_cells_hold_kernel_and_mean(suite, stored):
    cells = measure(suite, {"conflicts": stored})["ports"]
    assert [(cell.trace, cell.point) for cell in cells] == [
        (trace, point) for point in ("one port", "two ports") for trace in ("conflicts", MEAN)
    ]
    kernel, mean = cells[2:]
    assert kernel.speed_up == cells[0].cycles / kernel.cycles > 1
    assert math.isclose(mean.speed_up, kernel.speed_up)
    assert (kernel.paper, kernel.agrees) == (1.5, True)
    assert (mean.paper, mean.agrees) == (1.0, False)
    assert sum(kernel.stalls.values()) > 0


def test_a_missing_trace_is_named(suite):
    with pytest.raises(GpusimError, match="conflicts"):
        measure(suite, {})


def test_tables_and_plots_are_written(suite, stored, tmp_path):
    from gpusim.validation.ablation_report import write_all

    tables = measure(suite, {"conflicts": stored})
    write_all(tmp_path / "results", suite, tables)
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == ["ports.csv", "ports.md", "ports.png"]
    with (tmp_path / "results" / "ports.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["kernel"] for row in rows] == ["conflicts", MEAN] * 2
    assert [row["direction_agrees"] for row in rows] == ["", "", "yes", "no"]
    shares = [float(value) for name, value in rows[0].items() if name.startswith("stall_")]
    assert sum(shares) == pytest.approx(1, abs=2e-3)
    found = re.search(r"\| two ports \| 1 \| ([\d.]+) \| no \|", (tmp_path / "results/ports.md").read_text())
    assert float(found[1]) == pytest.approx(float(rows[3]["speed_up"]), abs=6e-4)  # both are rounded


def test_every_packaged_point_is_a_valid_configuration():
    suite = load_suite()
    assert [table.name for table in suite.tables] == ["instruction_prefetch", "register_file", "dependence"]
    for table in suite.tables:
        assert table.alternatives[0].paper == 1
        for alternative in table.alternatives:
            load_config(suite.config, [*suite.common, *alternative.point.overrides])
