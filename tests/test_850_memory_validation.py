"""`gpusim validate memory`: a few points of each curve, how rows are read off curves, files and mistakes."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest

from gpusim.cli.main import main
from gpusim.config import load_config
from gpusim.emulator.state import GLOBAL_BASE
from gpusim.errors import GpusimError
from gpusim.validation.memory import (
    SimulatedCurve,
    choose,
    knee,
    plateau,
    rows_of,
    simulate_curves,
    simulate_point,
)
from gpusim.validation.memory_data import load_curves
from gpusim.validation.memory_programs import KINDS, pointers
from gpusim.validation.memory_report import markdown, write_memory

SIZES, VALUES = [1.0, 2.0, 4.0, 8.0, 16.0], [10.0, 10.0, 10.0, 30.0, 30.0]


def curve(name):
    return choose(only=f"^{name}$")[0]


def error(name, size):
    """Relative error of one simulated point."""
    chosen = curve(name)
    point = next(point for point in chosen.data.points if point[0] == size)
    return simulate_point(chosen, point) / point[1] - 1


# ---- the curves


@pytest.mark.parametrize(
    ("name", "size", "tolerance"),
    [
        ("a40.latency", 65.8, 0.03),
        ("a40.latency", 256.9, 0.03),
        ("a100.latency", 95.5, 0.05),
        ("a100.latency", 240.6, 0.05),
        ("a40.reads", 64, 0.10),
        ("a40.reads", 384, 0.10),
    ],
)
def test_a_point_of_each_plateau_is_as_measured(name, size, tolerance):
    assert abs(error(name, size)) <= tolerance


def test_the_chase_leaves_l1_where_the_buffer_outgrows_it():
    """Lines of a cyclic order that do not fit are replaced before they come again: from hit to miss at 128 KB."""
    chosen = curve("a40.latency")
    fits, outgrown = (simulate_point(chosen, (size, 1.0)) for size in (127, 132))
    assert fits == simulate_point(chosen, (16, 1.0))
    assert outgrown == pytest.approx(simulate_point(chosen, (256, 1.0)), rel=0.01)


def test_a_slower_l2_shows_in_the_l2_plateau_only():
    chosen = curve("a40.latency")
    for size, more in ((16, 0), (256, 40)):
        plain = simulate_point(chosen, (size, 1.0))
        latency = load_config("a40").l2.latency
        assert simulate_point(chosen, (size, 1.0), [f"l2.latency={latency + 40}"]) == pytest.approx(plain + more, abs=1)


@pytest.mark.parametrize(("size", "measured"), [(260, 205.6), (450, 401.5), (1500, 521)])
def test_halves_of_l2_give_the_three_plateaus_of_an_a100(size, measured):
    """With L2 of a 64th (2 x 320 KB): hits near, hits far or DRAM of the near half, DRAM of both halves."""
    simulated = simulate_point(curve("a100.latency"), (size, 1.0), ["l2.sets=4"])
    assert simulated == pytest.approx(measured, rel=0.05)


# ---- programs


def test_pointers_visit_every_line_once():
    lines = 37
    buffer = pointers(lines)
    place, seen = 0, set()
    for _ in range(lines):
        seen.add(place)
        place = int(buffer[place, 0] - GLOBAL_BASE) // 128
    assert place == 0
    assert seen == set(range(lines))
    assert np.count_nonzero(buffer) == lines


def test_launches_of_a_point_differ_in_length_only():
    for name, size in (("a40.latency", 2.0), ("a40.reads", 64), ("a40.stream", "triad")):
        chosen = curve(name)
        point = next(point for point in chosen.data.points if point[0] == size)
        work = KINDS[chosen.file.kind](chosen, point, load_config("a40"))
        short, long = work.arguments
        assert short[:-1] == long[:-1]
        assert next(iter(short[-1].values())) < next(iter(long[-1].values()))
        assert work.value(1000) > 0


# ---- rows


def test_plateau_is_the_mean_within_the_limits():
    assert plateau(SIZES, VALUES, (2, 4)) == 10
    assert plateau(SIZES, VALUES, (4, 8)) == 20


def test_knee_is_half_way_on_a_logarithmic_axis():
    assert knee(SIZES, VALUES, (1, 2), (8, 16)) == pytest.approx((4 * 8) ** 0.5)
    assert knee(SIZES, [10.0, 10.0, 25.0, 30.0, 30.0], (1, 2), (8, 16)) == pytest.approx(2 * 2 ** (2 / 3))


def test_a_curve_without_a_knee_is_off():
    chosen = curve("a40.latency")
    flat = SimulatedCurve(chosen, tuple(100.0 for _ in chosen.data.points))
    rows = {row.name: row for row in rows_of(flat)}
    assert rows["a40.latency.l1_knee"].simulated is None
    assert not rows["a40.latency.l1_knee"].good
    assert rows["a40.latency.l1"].error == pytest.approx(100 / rows["a40.latency.l1"].expected - 1)


def test_the_measured_curve_itself_is_right_everywhere():
    for chosen in load_curves():
        measured = SimulatedCurve(chosen, tuple(point[1] for point in chosen.data.points))
        rows = rows_of(measured)
        assert rows
        assert all(row.good and row.error == 0 for row in rows)


def test_knees_of_the_measurements_lie_near_the_capacities():
    rows = {}
    for chosen in load_curves():
        rows |= {row.name: row for row in rows_of(SimulatedCurve(chosen, tuple(p[1] for p in chosen.data.points)))}
    assert rows["a40.latency.l1"].expected == pytest.approx(33.3, abs=0.1)
    assert rows["a40.latency.l1_knee"].expected == pytest.approx(128, rel=0.1)
    assert rows["a40.latency.l2_knee"].expected == pytest.approx(6 * 1024, rel=0.1)
    assert rows["a100.latency.near_knee"].expected == pytest.approx(20 * 1024, rel=0.1)
    assert rows["a100.latency.l2_knee"].expected == pytest.approx(40 * 1024, rel=0.1)


# ---- the command


def some_points(name, count):
    chosen = curve(name)
    data = chosen.data.model_copy(update={"points": chosen.data.points[:count], "rows": ()})
    return replace(chosen, data=data)


def test_values_reach_their_curves_in_order():
    curves = [some_points("a40.latency", 2), some_points("a100.latency", 1)]
    totals = []

    def shown(values, total):
        totals.append(total)
        return values

    results = simulate_curves(curves, [], shown)
    assert totals == [3]
    assert [len(result.simulated) for result in results] == [2, 1]
    assert results[1].simulated[0] == simulate_point(curves[1], curves[1].data.points[0])


def test_files_hold_rows_points_and_a_plot(tmp_path):
    results = [SimulatedCurve(c, tuple(point[1] * 1.5 for point in c.data.points)) for c in load_curves()]
    write_memory(tmp_path / "new", results)
    with (tmp_path / "new" / "memory.csv").open() as file:
        rows = {row["row"]: row for row in csv.DictReader(file)}
    assert rows["a40.latency.dram"]["error"] == "+50.0 %"
    assert rows["a40.latency.dram"]["status"] == "off"
    assert rows["a40.latency.l2_knee"]["error"] == "+0.0 %"
    assert rows["a40.latency@2.0"]["simulated"] == "49.5"
    assert all(row["source"].startswith("github RRZE-HPC/gpu-benches") for row in rows.values())
    text = (tmp_path / "new" / "memory.md").read_text()
    assert text == markdown(results)
    assert "| a40.stream.read | read kernel | 680 | 1020 | +50.0 % | 10 % | GB/s | off |" in text
    assert (tmp_path / "new" / "memory.png").read_bytes()[:4] == b"\x89PNG"


def test_command_prints_rows_and_exits_1_if_one_is_off(tmp_path, capsys, monkeypatch):
    chosen = some_points_with_row()
    monkeypatch.setattr("gpusim.validation.memory.load_curves", lambda: [chosen])
    assert main(["validate", "memory", "--config", "a40"]) == 0
    assert "1 rows: 1 ok, 0 off" in capsys.readouterr().out
    slow = ["--set", "global_load.regular.raw=[50, 50, 50]"]
    assert main(["validate", "memory", *slow, "--output", str(tmp_path)]) == 1
    assert "1 rows: 0 ok, 1 off" in capsys.readouterr().out
    assert (tmp_path / "memory.md").exists()


def some_points_with_row():
    chosen = curve("a40.latency")
    data = chosen.data.model_copy(update={"points": chosen.data.points[1:2], "rows": chosen.data.rows[:1]})
    return replace(chosen, data=data)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--config", "a6000"], "no curve was measured on 'a6000'; there are curves of a40, a100"),
        (["--only", "l3"], "no curve matches 'l3'; there are a40.reads"),
        (["--only", "("], "not a regular expression"),
        (["--only", "a40.latency", "--set", "l3.size=1"], "l3"),
    ],
)
def test_wrong_arguments_are_named(arguments, words, capsys):
    assert main(["validate", "memory", *arguments]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("kind: chase", "kind: walk"), "kind"),
        (("knee: [l1, l2]", "knee: [l1, l9]"), "a knee lies between two plateaus"),
        (("plateau: [2, 104]", "plateau: [3, 4]"), "no point lies on the plateau"),
        (("tolerance: 0.03", "tolerance: 3"), "tolerance"),
        (("id: a100.latency", "id: a40.latency"), "two curves of one name"),
    ],
)
def test_mistakes_in_the_data_name_the_place(tmp_path, change, words):
    from gpusim.resources import find

    text = (find("validation/memory") / "latency.yaml").read_text()
    assert change[0] in text
    (tmp_path / "latency.yaml").write_text(text.replace(*change))
    with pytest.raises(GpusimError, match=words) as raised:
        load_curves(tmp_path)
    assert str(tmp_path) in str(raised.value)


def test_a_point_that_does_not_fit_its_program_is_refused():
    with pytest.raises(GpusimError, match=r"a40\.reads: 65 KB: not a multiple of 64 KB"):
        simulate_point(curve("a40.reads"), (65, 1.0, 1))
    with pytest.raises(GpusimError, match=r"a40\.stream: no program 'copy'; there are init, read, scale, triad"):
        simulate_point(curve("a40.stream"), ("copy", 1.0, 1000, 2000))


# ---- all of it

OFF: set[str] = set()
"""Rows that do not hold. One that comes to hold leaves the list."""


@pytest.mark.slow
def test_every_row_holds_but_the_known(tmp_path):
    assert main(["validate", "memory", "--output", str(tmp_path)]) == (1 if OFF else 0)
    with (tmp_path / "memory.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["row"] for row in rows if row["status"] == "off"} == OFF
