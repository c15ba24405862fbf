"""Executed warp instructions by pipe: what cards counted against what the opcode tables make of the executed opcodes."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from microbench import kernel, op
from profile_cases import FakeLaunch, install
from rich.console import Console

from gpusim import resources
from gpusim.hardware.compare import Comparison, Figures
from gpusim.hardware.pipes import UNKNOWN, PipeCount, by_pipe, instruction_mix, reported_pipes
from gpusim.report.compare import markdown, print_comparison, record
from gpusim.results.columns import PIPE_COUNTERS
from gpusim.sass.assembler import assemble
from gpusim.sass.isa import TABLE_OF, Isa, Table, load_isa
from gpusim.sass.isa_file import read_table
from gpusim.sass.reports import Report

HARDWARE = Path(__file__).resolve().parent.parent / "validation" / "hardware"


def table(name: str) -> list[dict[str, str]]:
    with (HARDWARE / name).open(newline="") as file:
        return list(csv.DictReader(file))


MEASURED = {row["row"]: row for row in table("pipes.csv")}
MIXES: dict[str, Counter[str]] = {name: Counter() for name in MEASURED}
for each in table("instructions.csv"):
    MIXES[each["row"]][each["opcode"]] = int(each["executed"])

MEMBAR = "a MEMBAR.SC with its ERRBAR adds to the ADU's count between half and once, by what no opcode says"
HOPPER = "49 and 47 an SM more than LDC, BAR and S2UR, whatever the kernel's length: not known what"
RACE = "a warp adds to a bin that others add to, if it reads at most 254 in it: how many do differs from pass to pass"
EXCEPTIONS = {
    ("rtx3050ti_halfstep_velocity:1", "adu"): (146, MEMBAR),
    ("rtx3060_shared_memory:0", "adu"): (20, MEMBAR),
    ("rtx3060_shared_memory:1", "adu"): (20, MEMBAR),
    ("rtx3060_shared_memory:2", "adu"): (20, MEMBAR),
    ("h100_rms_norm_matrix:0", "adu"): (5577, HOPPER),
    ("h100_rms_norm_vector:0", "adu"): (5346, HOPPER),
    ("rtx2060s_histogram:0", "lsu"): (788, RACE),
}
"""Card less opcode tables, and why."""


def differences(name: str) -> dict[tuple[str, str], float]:
    """Card less opcode tables of one row by counter, of those that executed opcodes fix."""
    row = MEASURED[name]
    pipes = by_pipe(MIXES[name], load_isa(int(row["architecture"])))
    counters = [counter for counter in PIPE_COUNTERS if row[counter] and counter not in UNKNOWN]
    return {(name, counter): float(row[counter]) - pipes[counter] for counter in counters}


@pytest.mark.parametrize("name", MEASURED)
def test_every_pipe_comes_out_to_the_instruction(name: str) -> None:
    found = {key: difference for key, difference in differences(name).items() if difference}
    assert found == {key: difference for key, (difference, _) in EXCEPTIONS.items() if key[0] == name}


def test_the_launches_are_those_that_were_measured() -> None:
    keys = ("repository", "commit", "report", "launch")
    described = {tuple(row[key] for key in keys): row for row in table("measured.csv")}
    assert set(described) <= {tuple(row[key] for key in keys) for row in MEASURED.values()}
    for name, row in MEASURED.items():
        total = described.get(tuple(row[key] for key in keys), {}).get("warp_instructions")
        assert not total or int(total) == MIXES[name].total(), name
        assert row["executed_by"] == "card" or not total, name


def test_no_exception_is_of_a_launch_that_is_not_there() -> None:
    assert all(MEASURED[name][counter] for name, counter in EXCEPTIONS)


# ------------------------------------------------------------------------------------------ each statement is needed

TABLES = {architecture: read_table(resources.find("isa") / f"{name}.yaml") for architecture, name in TABLE_OF.items()}


def executed_spellings(architecture: int) -> set[str]:
    names = [name for name, row in MEASURED.items() if row["architecture"] == str(architecture)]
    return {opcode for name in names for opcode in MIXES[name]}


def rules() -> list[tuple[int, str]]:
    """Architecture and key of what tables say of executed spellings; IMAD's FMAheavy has a test of its own."""
    return [
        (architecture, key)
        for architecture, each in TABLES.items()
        for key, rule in each.pipe_rules.items()
        if "fmaheavy" not in rule.pipes and any(rule.covers(spelling) for spelling in executed_spellings(architecture))
    ]


def agrees(architecture: int, changed: Table) -> bool:
    """Whether the counts of this architecture's launches come out with a table as they do with the packaged one."""
    isa = Isa(architecture, changed)
    own = load_isa(architecture)
    names = [name for name, row in MEASURED.items() if row["architecture"] == str(architecture)]
    counters = {name: [key for _, key in differences(name)] for name in names}
    return all(
        by_pipe(MIXES[name], isa)[counter] == by_pipe(MIXES[name], own)[counter]
        for name in names
        for counter in counters[name]
    )


@pytest.mark.parametrize(("architecture", "key"), rules())
def test_without_a_spelling_of_its_own_the_counts_are_wrong(architecture: int, key: str) -> None:
    rest = {name: rule for name, rule in TABLES[architecture].pipe_rules.items() if name != key}
    assert agrees(architecture, TABLES[architecture])
    assert not agrees(architecture, replace(TABLES[architecture], pipe_rules=rest))


@pytest.mark.parametrize("unit", ["int", "fp32", "uniform", "branch", "sfu", "fp64", "memory", "adu"])
def test_a_unit_in_another_pipe_makes_the_counts_wrong(unit: str) -> None:
    units = TABLES[86].unit_pipes | {unit: ("tex",)}
    assert not agrees(86, replace(TABLES[86], unit_pipes=units))


# ------------------------------------------------------------------------------------------ FMAheavy and FMAlite


@pytest.mark.parametrize("name", [name for name, row in MEASURED.items() if row["fmaheavy_cycles"]])
def test_integers_run_in_the_heavy_fma_pipe_and_fp32_in_the_lite_one_first(name: str) -> None:
    isa, mix = load_isa(int(MEASURED[name]["architecture"])), MIXES[name]
    heavy = {opcode for opcode in mix if "fmaheavy" in isa.pipes(opcode)}
    # IMAD.WIDE and IMAD.HI hold it twice as long
    integer = sum(mix[opcode] * (1 + (isa.lookup(opcode).latency_class == "imad_wide")) for opcode in heavy)
    either = by_pipe(mix, isa)["fma"] - sum(mix[opcode] for opcode in heavy)
    beyond = float(MEASURED[name]["fmaheavy_cycles"]) - integer
    assert 0 <= beyond <= either / 2
    if name == "rtx3050ti_halfstep_velocity:1":  # few warps: the lite pipe is never busy
        assert (either, beyond) == (1024, 0)


# ------------------------------------------------------------------------------------------ reports


def reported(monkeypatch: pytest.MonkeyPatch, path: Path, **metrics: float) -> dict[str, float | None]:
    """Of a launch of 4,000 warp instructions on the test card (sm_86, 20 SMs); a metric's dots are two underscores."""
    path.write_bytes(b"")
    named = {f"sm__{name.replace('__', '.')}": value for name, value in metrics.items()}
    install(monkeypatch, {path: [FakeLaunch("k", "k", metrics=named)]})
    return reported_pipes(Report(path).launch(0), 4000)


ACTIVE = "inst_executed_pipe_{}__avg__pct_of_peak_sustained_active"
ELAPSED = "inst_executed_pipe_{}__avg__pct_of_peak_sustained_elapsed"


@pytest.mark.parametrize(
    ("metrics", "counts"),
    [
        ({ACTIVE.format("alu"): 25.0, "cycles_active__avg": 100.0}, {"alu": 0.25 * 2 * 100 * 20}),
        ({ELAPSED.format("lsu"): 50.0, "cycles_elapsed__avg": 40.0}, {"lsu": 0.5 * 0.5 * 40 * 20}),
        # 4,000 of 4 a cycle and SM in 10 %: 500 cycles
        ({ELAPSED.format("lsu"): 20.0, "inst_executed__avg__pct_of_peak_sustained_elapsed": 10.0}, {"lsu": 1000}),
        ({ELAPSED.format("lsu"): 20.0}, {"lsu": None}),
        ({ACTIVE.format("fp16"): 20.0, "cycles_active__avg": 100.0}, {"fp16": None}),
        ({ACTIVE.format("fp16"): 0.0, ACTIVE.format("xu"): 0.0}, {"fp16": 0, "xu": 0}),
        ({"inst_executed_pipe_fp64__sum": 7.0, ACTIVE.format("fp64"): 1.0}, {"fp64": 7}),
        ({ACTIVE.format("of_a_later_card"): 1.0}, {}),
    ],
)
def test_shares_of_a_peak_become_counts(monkeypatch, tmp_path: Path, metrics, counts) -> None:
    found = reported(monkeypatch, tmp_path / "r.ncu-rep", **metrics)
    assert found == {name: None if count is None else pytest.approx(count) for name, count in counts.items()}


# ------------------------------------------------------------------------------------------ output

FIGURES = Figures(1000.0)
PIPES = (PipeCount("adu", 640.0, 620), PipeCount("cbu_pred_on_any", 64.0, None), PipeCount("ipa", 0.0, 0))
ROWS = [
    Comparison("r.ncu-rep launch 0", "k", "card", FIGURES, FIGURES, False, 0.0, pipes=PIPES),
    Comparison("r.ncu-rep launch 1", "k", "card", FIGURES, FIGURES, False, 0.0),
]


def test_every_counter_of_the_report_has_a_row() -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    print_comparison(console, ROWS)
    lines = [line.split() for line in console.export_text().splitlines()]
    start = lines.index(["pipe", "card", "model", "difference"]) + 2
    assert lines[start : start + 3] == [
        ["adu", "640", "620", "-20"],
        ["cbu_pred_on_any", "64", "-"],
        ["ipa", "0", "0", "+0"],
    ]


def test_markdown_and_files_have_them_too() -> None:
    lines = markdown(ROWS).splitlines()
    start = lines.index("| kernel | adu | cbu_pred_on_any |")
    assert lines[start + 2 :] == ["| k, r:0 | 640 / 620 | 64 / - |"]
    one, other = map(record, ROWS)
    assert (one["pipe_adu_card"], one["pipe_adu_model"], one["pipe_cbu_pred_on_any_model"]) == (640, 620, None)
    assert {other[f"pipe_{name}_{side}"] for name in PIPE_COUNTERS for side in ("card", "model")} == {None}


def test_the_special_register_is_part_of_the_spelling(tmp_path: Path) -> None:
    path = tmp_path / "k.sass"
    path.write_text(kernel([op("S2R R0, SR_TID.X"), op("S2R R1, SR_CTAID.X"), op("IADD3 R2, R0, R1, RZ")]))
    mix = instruction_mix(assemble(path)[0].program, np.array([3, 2, 0, 3]))
    assert mix == {"S2R SR_TID.X": 3, "S2R SR_CTAID.X": 2, "EXIT": 3}
    assert by_pipe(mix, load_isa(86)) == {"lsu": 3, "adu": 2, "cbu": 3}
