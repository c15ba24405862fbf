"""`gpusim validate paper`: the published values that hold, the command's exit codes and files, and its data's mistakes."""

from __future__ import annotations

import csv
import re

import pytest

from gpusim.cli.main import main
from gpusim.errors import GpusimError
from gpusim.validation import runner
from gpusim.validation.experiments import load_suite
from gpusim.validation.measures import MEASURES
from gpusim.validation.report import shown
from gpusim.validation.runner import holds, run_experiments, validate

OFF_A6000: set[str] = set()
OFF_TURING = {f"turing.window.{name}" for name in ("hhf.8x32x16", "hhf.32x8x16", "hhh.16x16x16")}
OFF_TURING |= {f"turing.cold_start.{name}" for name in ("one_bank.ffma", "one_bank.iadd3", "two_banks.ffma")}
OFF_TURING |= {"turing.read_ports.one_bank.window", "turing.load.shared_four"}
"""Rows that do not hold. One that comes to hold leaves the list."""


def run_csv(tmp_path, *arguments):
    """Exit code and the rows of the CSV by name."""
    path = tmp_path / "rows.csv"
    code = main(["validate", "paper", "--csv", str(path), *arguments])
    with path.open() as file:
        return code, {row["row"]: row for row in csv.DictReader(file)}


# ---- the published values


def test_every_row_of_the_a6000_holds_but_the_known(tmp_path):
    code, rows = run_csv(tmp_path)
    assert {name for name, row in rows.items() if row["status"] == "off"} == OFF_A6000
    assert code == (1 if OFF_A6000 else 0)
    assert {row["status"] for row in rows.values()} <= {"ok", "off"}
    groups = {name.split(".")[0] for name in rows}
    assert groups >= {
        "listings",
        "table1",
        "table2",
        "figure2",
        "figure4",
        "control_bits",
        "register_file",
        "front_end",
    }
    assert all(row["source"] and row["expected"] for row in rows.values())


def test_every_row_of_turing_holds_but_the_known(tmp_path):
    _, rows = run_csv(tmp_path, "--config", "rtx2080ti.yaml")
    assert {name for name, row in rows.items() if row["status"] != "ok"} == OFF_TURING
    assert rows["turing.fp32_rate"]["simulated"] == "/".join("2" * 8)


def test_tables_are_complete():
    rows = {row.name for row in load_suite(86).rows}
    cells = {f"table1.{access}_{space}.sub_cores{cores}.{n}"
             for access in ("load", "store") for space in ("global", "shared")
             for cores in range(1, 5) for n in (*(f"n{k}" for k in range(1, 9)), "after8")}  # fmt: skip
    assert {name for name in rows if name.startswith("table1.")} == cells
    assert len([name for name in rows if re.fullmatch(r"table2\..*\.war", name)]) == 30
    for dependence in ("raw", "waw"):
        assert len([name for name in rows if re.fullmatch(rf"table2\..*\.{dependence}", name)]) == 18


# ---- the command


def test_rows_are_printed_with_a_total(capsys):
    assert main(["validate", "paper", "--only", r"listing1\.x"]) == 0
    output = capsys.readouterr().out
    assert re.search(r"listings\.listing1\.x18\.y20 +7 +7 +ok +Listing 1", output)
    assert re.search(r"total +4 +4 +0 +0", output)


@pytest.mark.parametrize(
    ("row", "override", "simulated"),
    [
        ("listings.listing1.x18.y20", "register_file.read_ports=2", "5"),
        ("table2.ldg32.regular.raw", "memory_latency.global_load.regular.raw=[33, 34, 38]", "33"),
        ("control_bits.yield.stall00", "issue.yield_without_stall=46", "46"),
        ("front_end.constant.delay", "instruction_hierarchy.l0_to_l1=38", "78"),
        ("front_end.constant.two_warps.switch", "issue.constant_miss_hold=3", "4"),
        ("front_end.fp32_rate", "execution.fp32_in_int_pipe=false", "/".join("2" * 8)),
        ("table1.load_global.sub_cores1.n6", "memory_queue.entries=3", "17"),
        ("listings.listing2.bypass", "execution.fixed.fp32.latency=6", "6"),
        ("listings.listing3.variable", "dependence.memory_operand=2", "6"),
        ("register_file.results.one_bank.half_delay", "execution.fixed.half.latency=9", "9"),
        ("listings.listing2.bypass", "execution.fixed.fp32.latency=16", ""),  # more than a stall count can be
    ],
)
def test_an_override_puts_a_row_off(tmp_path, capsys, row, override, simulated):
    code, rows = run_csv(tmp_path, "--only", f"^{re.escape(row)}$", "--set", override)
    assert code == 1
    assert rows[row]["status"] == "off"
    assert rows[row]["simulated"] == simulated
    assert f"{row}: {rows[row]['what']}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("row", "override", "simulated"),
    [
        ("tensor_rate.f32", "execution.tensor.fma_per_cycle_fp32_accumulate=96", "/".join("20" for _ in range(8))),
        ("tensor_rate.f16", "execution.tensor.fma_per_cycle_16=64", "/".join("16" for _ in range(8))),
        ("load.l1", "memory_latency.global_load.regular.raw=[31, 32, 36]", "33"),
        ("load.shared", "memory_latency.shared_load.uniform.raw=[20, 21, 23]", "22"),
        ("load.shared64_twice", "shared_memory.data_bytes_per_cycle=128", "25"),
        ("load.beyond.l2", "l1_data.fill_latency=8", "238"),
    ],
)
def test_an_override_puts_a_row_of_turing_off(tmp_path, row, override, simulated):
    only = ("--only", f"^turing.{re.escape(row)}$")
    _, rows = run_csv(tmp_path, "--config", "rtx2080ti", *only)
    assert rows[f"turing.{row}"]["status"] == "ok"
    _, rows = run_csv(tmp_path, "--config", "rtx2080ti", *only, "--set", override)
    assert (rows[f"turing.{row}"]["status"], rows[f"turing.{row}"]["simulated"]) == ("off", simulated)


def test_register_file_cache_off_misses_every_operand(tmp_path):
    code, rows = run_csv(tmp_path, "--only", "listing4", "--set", "register_file.cache=false")
    assert code == 1
    assert {row["simulated"] for row in rows.values()} == {"0"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "no such row"], "no row of sm_86 matches 'no such row'"),
        (["--only", "("], "not a regular expression"),
        (["--config", "a6001"], "a6001"),
        (["--set", "read_portz=2"], "read_portz"),
        (["--only", "listing1", "--csv", "/no/such/folder/rows.csv"], "cannot write here"),
    ],
)
def test_bad_input_exits_2(capsys, arguments, message):
    assert main(["validate", "paper", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_rows_that_need_an_absent_part_are_pending(monkeypatch):
    monkeypatch.setattr(runner, "PARTS", frozenset())
    results = validate("a6000", "listing3")
    assert {(result.row.needs, result.status, result.simulated) for result in results} == {("hazards", "pending", None)}


# ---- comparing and showing


@pytest.mark.parametrize(
    ("expected", "simulated", "verdict"),
    [
        (5, 5, True), (5, 6, False), ([2, 3], [2, 3], True), ([2, 3], [3, 2], False),
        ({"at_least": 2}, 2, True), ({"at_least": 2}, 1, False), ({"at_most": 63}, 63, True), ({"at_most": 63}, 64, False),
        ({"one_of": [1, 2]}, 2, True), ({"one_of": [1, 2]}, 3, False), ("4:1 5:2", "4:1 5:2", True), ("4:1", "5:1", False),
    ],
)  # fmt: skip
def test_values_compare(expected, simulated, verdict):
    assert holds(expected, simulated) is verdict


@pytest.mark.parametrize(
    ("value", "text"),
    [(79, "79"), ([13, 15], "13/15"), ({"at_least": 2}, "≥ 2"), ({"one_of": [1, 2]}, "one of 1/2"), (None, ""),
     ([[3, 0, 16], [2, 16, 48]], "W3 0–16 · W2 16–48")],
)  # fmt: skip
def test_values_are_shown_as_in_the_paper(value, text):
    assert shown(value) == text


# ---- the data

FRAME = 'bare: {passes: 1, text: "$body\\n[B------:R-:W-:-:S05] EXIT ;"}\n'
DATA = """
source: somewhere
architectures: [86]
overrides: [sms=1]
experiments:
  - id: e.$name
    what: case $name
    cases: [[{name: one, stall: "03", distance: 3}, {name: two, stall: "05", distance: 5}]]
    frame: bare
    program: |
      .param data uint64 0
      [B------:R-:W-:-:S11] NOP ;
      %repeat 3
      [B------:R-:W-:-:S$stall] FADD R$i, RZ, 1 ;   # @add
      %end
    rows:
      - {id: gaps, measure: {gaps: {mark: add}}, expected: [$distance, $distance]}
rows:
  - {id: between, over: "own\\\\.e\\\\..*", reduce: differences, measure: {distance: {first: add, last: add}}, expected: [4]}
"""


def suite(tmp_path, data=DATA, frame=FRAME):
    (tmp_path / "frames.yaml").write_text(frame)
    (tmp_path / "own.yaml").write_text(data)
    return load_suite(86, tmp_path)


def test_cases_and_repeats_expand(tmp_path):
    loaded = suite(tmp_path)
    assert list(loaded.experiments) == ["own.e.one", "own.e.two"]
    experiment = loaded.experiments["own.e.two"]
    assert experiment.marks == {"add": (1, 2, 3)}
    assert "S05] FADD R2, RZ, 1" in experiment.text
    assert [(row.name, row.expected) for row in loaded.rows] == [
        ("own.e.one.gaps", [3, 3]), ("own.e.two.gaps", [5, 5]), ("own.between", [4])]  # fmt: skip
    assert loaded.rows[2].programs == ("own.e.one", "own.e.two")


def test_own_data_are_measured(tmp_path):
    loaded = suite(tmp_path)
    measured = run_experiments(list(loaded.experiments.values()), "a6000", [])
    gaps = MEASURES["gaps"]
    assert [gaps(measured[name], "add") for name in loaded.experiments] == [[3, 3], [5, 5]]
    with pytest.raises(GpusimError, match="nothing is marked @sub"):
        gaps(measured["own.e.one"], "sub")


def test_the_experiment_of_a_wrong_program_is_named(tmp_path):
    loaded = suite(tmp_path, DATA.replace("FADD R$i", "FADD R25$stall"))
    with pytest.raises(GpusimError, match=r"experiment own\.e\.one: .*register R2503 does not exist"):
        run_experiments(list(loaded.experiments.values()), "a6000", [])


def test_data_of_another_architecture_are_left_out(tmp_path):
    assert suite(tmp_path, DATA.replace("[86]", "[75]")).rows == ()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("frame: bare", "frame: warm", "no frame 'warm'"),
        ("source: somewhere\n", "", "own.yaml:2: source: missing (allowed: text)"),
        ("measure: {gaps", "misure: {gaps", "misure: unknown key (did you mean 'measure'?)"),
        ("S$stall", "S$stahl", "stahl"),
        ("id: e.$name", "id: e", "two programs have the name own.e"),
        ("id: between", "id: e.one.gaps", "rows of the same name: own.e.one.gaps"),
        ('over: "own', 'over: "other', "own.between: no program"),
        ("reduce: differences", "reduce: max, minus: own.x", "no program 'own.x'"),
    ],
)
def test_mistakes_in_the_data_are_named(tmp_path, old, new, message):
    assert old in DATA
    with pytest.raises(GpusimError, match=re.escape(message)):
        suite(tmp_path, DATA.replace(old, new))


def test_every_measure_in_the_data_exists():
    rows = [row for architecture in (75, 86) for row in load_suite(architecture).rows]
    assert {row.measure for row in rows} <= set(MEASURES)
