"""Sweeps: rows, order, processes, speed-ups; the comparison of the paper's alternatives and its area formula."""

from __future__ import annotations

import csv
import math
import re

import pytest

import gpusim.runs.sweep
from gpusim.cli import main as cli
from gpusim.config import load_config
from gpusim.emulator.tracing import trace_kernel
from gpusim.errors import GpusimError
from gpusim.model.setup.simulate import RunOptions, simulate
from gpusim.runs.journal import Journal
from gpusim.runs.sweep import Point, Run, frame, geometric_means, grid, speed_ups, sweep
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
    return Run(trace, Point(label, ()), tuple({"cycles": count} for count in cycles), ())


def test_the_last_axis_varies_fastest_and_values_are_yaml():
    points = grid(["a.b=1,2", "c=true,[0, 8]"])
    assert [point.overrides for point in points] == [
        ("a.b=1", "c=true"),
        ("a.b=1", "c=[0, 8]"),
        ("a.b=2", "c=true"),
        ("a.b=2", "c=[0, 8]"),
    ]
    assert points[1].label == "a.b=1 c=[0, 8]"


@pytest.mark.parametrize("axis", ["a", "a=", "=1,2", "a=[1"])
def test_a_wrong_axis_is_refused_by_name(axis):
    with pytest.raises(GpusimError, match="--set-grid"):
        grid([axis])


def test_rows_are_those_of_single_runs_in_order(stored):
    runs = list(sweep("a6000", {"first": stored, "second": stored}, grid([f"{PORTS}=1,2"]), common=["sms=1"]))
    assert [(run.trace, run.point.label) for run in runs] == [
        (trace, f"{PORTS}={ports}") for trace in ("first", "second") for ports in (1, 2)
    ]
    for run in runs:
        config = load_config("a6000", ["sms=1", *run.point.overrides])
        (kernel,) = simulate(open_trace(stored), config, RunOptions()).kernels
        assert run.kernels == ({name: value for name, value in kernel.summary().items() if name != "seconds"},)
    assert runs[0].cycles > runs[1].cycles
    assert runs[:1] == [Run("first", runs[0].point, runs[2].kernels, ())]


def test_processes_change_nothing(stored):
    traces, points = {"a": stored, "b": stored}, grid([f"{PORTS}=1,2"])
    assert list(sweep("a6000", traces, points, jobs=2)) == list(sweep("a6000", traces, points))


def test_everything_is_checked_before_the_first_run(stored):
    with pytest.raises(GpusimError, match="read_port"):
        next(sweep("a6000", {"a": stored}, [Point("good", ()), Point("bad", ("read_port=1",))]))
    with pytest.raises(GpusimError, match="repeated: same"):
        next(sweep("a6000", {"a": stored}, [Point("same", ()), Point("same", (f"{PORTS}=2",))]))


def test_speed_up_is_over_the_first_point_of_the_trace():
    runs = [run_of("a", "x", 60, 40), run_of("a", "y", 50), run_of("b", "x", 30), run_of("b", "y", 240)]
    gains = speed_ups(runs)
    assert gains == {("a", "x"): 1, ("a", "y"): 2, ("b", "x"): 1, ("b", "y"): 1 / 8}
    assert geometric_means(gains) == {"x": 1, "y": pytest.approx(1 / 2)}


def test_frame_has_a_column_per_key_and_stall_reason(stored):
    runs = list(sweep("a6000", {"a": stored}, grid([f"{PORTS}=1,2"])))
    table = frame(runs)
    assert list(table[PORTS]) == [1, 2]
    assert list(table.cycles) == [run.cycles for run in runs]
    assert list(table.trace) == ["a", "a"]
    assert list(table.kernel) == ["conflicts", "conflicts"]
    stalls = [name for name in table if name.startswith("stall_")]
    assert list(table[stalls].sum(axis=1)) == list(table.resident_warp_cycles)


def test_the_command_prints_and_writes_what_the_sweep_gives(stored, tmp_path, capsys):
    arguments = ["sweep", "--config", "a6000", str(stored), "--set-grid", f"{PORTS}=1,2", "--csv", str(tmp_path / "s")]
    assert cli.main(arguments) == 0
    runs = list(sweep("a6000", {"a": stored}, grid([f"{PORTS}=1,2"])))
    with (tmp_path / "s").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["cycles"]) for row in rows] == [run.cycles for run in runs]
    printed = capsys.readouterr().out
    assert f"{runs[1].cycles:,}" in printed
    assert f"{runs[0].cycles / runs[1].cycles:.3f}" in printed


def test_the_command_refuses_a_trace_named_twice(stored, capsys):
    arguments = ["sweep", "--config", "a6000", str(stored), str(stored), "--set-grid", f"{PORTS}=1,2"]
    assert cli.main(arguments) == 2
    assert "twice" in capsys.readouterr().err


# ---- sweeps that were stopped


def test_a_journal_spares_what_is_done(stored, tmp_path, monkeypatch):
    points, file = grid([f"{PORTS}=1,2"]), tmp_path / "sweep.jsonl"
    whole = list(sweep("a6000", {"a": stored}, points, common=["sms=1"]))
    steps = sweep("a6000", {"a": stored}, points, common=["sms=1"], journal=Journal(file, resume=False))
    assert next(steps) == whole[0]
    steps.close()
    file.write_text(file.read_text() + '{"key": "cut o')
    done, simulated = [], gpusim.runs.sweep._simulate

    def counted(task):
        done.append(task)
        return simulated(task)

    monkeypatch.setattr("gpusim.runs.sweep._simulate", counted)
    for missing in (1, 0):
        journal = Journal(file, resume=True)
        assert len(journal) == 2 - missing
        assert list(sweep("a6000", {"a": stored}, points, common=["sms=1"], journal=journal)) == whole
        assert len(done) == 1
    other = list(sweep("a6000", {"a": stored}, points, common=["sms=2"], journal=Journal(file, resume=True)))
    assert len(done) == 3
    assert other[0].kernels != whole[0].kernels


def test_the_command_resumes_and_refuses_another_file(stored, tmp_path, capsys):
    arguments = ["sweep", "--config", "a6000", str(stored), "--set-grid", f"{PORTS}=1,2", "--output"]
    file = tmp_path / "sweep.jsonl"
    assert cli.main([*arguments, str(file)]) == 0
    first = capsys.readouterr().out
    assert cli.main([*arguments, str(file), "--resume"]) == 0
    again = capsys.readouterr()
    assert (again.out, again.err) == (first, f"gpusim: 2 runs taken over from {file}\n")
    (tmp_path / "other").write_text("{}\n")
    assert cli.main([*arguments, str(tmp_path / "other"), "--resume"]) == 2
    assert "not the journal of a sweep" in capsys.readouterr().err
    assert cli.main([*arguments[:-1], "--resume"]) == 2


def test_an_interrupted_sweep_says_what_it_kept(stored, tmp_path, capsys, monkeypatch):
    simulated, numbers = gpusim.runs.sweep._simulate, iter(range(10))

    def interrupted(task):
        if next(numbers) == 1:
            raise KeyboardInterrupt
        return simulated(task)

    monkeypatch.setattr("gpusim.runs.sweep._simulate", interrupted)
    arguments = ["sweep", "--config", "a6000", str(stored), "--set-grid", f"{PORTS}=1,2"]
    assert cli.main([*arguments, "--output", str(tmp_path / "s.jsonl")]) == 130
    err = capsys.readouterr().err
    assert "interrupted after 1 of 2 runs, kept in" in err
    assert len(Journal(tmp_path / "s.jsonl", resume=True)) == 1


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
