"""Reports at any width: what does not fit is arranged anew, and no number and no name is cut."""

from __future__ import annotations

import io
import os
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from result_cases import make_kernel_result
from rich.cells import cell_len
from rich.console import Console
from trace_cases import make_program, make_trace

from gpusim.hardware.compare import Comparison, Figures
from gpusim.hardware.counts import CountCheck, CountMismatch
from gpusim.hardware.per_pc import compare_pcs
from gpusim.report.compare import print_comparison
from gpusim.report.counts import print_counts
from gpusim.report.layout import Sheet, flow
from gpusim.report.text import PLAIN_WIDTH, console_for, main_reasons, print_report
from gpusim.report.trace import print_trace_info
from gpusim.results.hazards import Hazard
from gpusim.results.result import Result
from gpusim.results.stalls import STALL_REASONS
from gpusim.trace.info import trace_info

WIDTHS = (120, 90, 80, 72, 60, 40)
TEMPLATE = "void gemm<128, float, std::array<int, 4>>(float const *, float *, unsigned long)"


def drawn(action, width: int, terminal: bool = True) -> str:
    stream = io.StringIO()
    action(Console(file=stream, width=width, force_terminal=terminal, color_system=None, highlight=False))
    return stream.getvalue()


def assert_whole(text: str, *wanted: str) -> None:
    """Every number and name stands in the text, and is not a part of a longer number."""
    for each in wanted:
        assert re.search(rf"(?<![\d,.]){re.escape(each)}(?![\d])", text), f"{each} is not in\n{text}"


def large_result(name: str = "sgemm") -> Result:
    """Two kernels with counts of up to fifteen digits."""
    kernel = make_kernel_result(name)
    rng = np.random.default_rng(7)
    stalls = rng.integers(0, 10**13, kernel.pc_stalls.shape)
    facts = {"cycles": 123_456_789_012, "warp_instructions": 98_765_432_109, "thread_instructions": 3_160_493_827_488}
    large = replace(kernel, **facts, pc_stalls=stalls, pc_issues=rng.integers(1, 10**11, len(kernel.pc)), seconds=99.5)
    code = (0x10, "LDG.E R104, [R2] ;", 0x30, "FADD R5, R104, R4 ;")
    hazard = Hazard("RAW", "R104", *code, 1_234_567, None, 3, "a wait for SB3")
    kernels = (replace(large, hazards=(hazard,)), make_kernel_result("other"))
    return Result("NVIDIA RTX A6000", kernels, 1234.5, {}, None, 71.25)


def numbers_of(result: Result) -> list[str]:
    """All that the report says of a result in digits."""
    found = []
    for kernel in result.kernels:
        found += [f"{kernel.cycles:,}", f"{kernel.warp_instructions:,}", f"{kernel.thread_instructions:,}"]
        found += [f"{kernel.ipc:.2f}", f"{100 * kernel.occupancy:.1f} %", f"{kernel.resident_warp_cycles:,}"]
        total = sum(kernel.stalls.values())
        for count in filter(None, kernel.stalls.values()):
            found += [f"{count:,}", f"{100 * count / total:.1f} %"]
        found += [f"{issues:,}" for issues in kernel.pc_issues.tolist()]
        found += [f"{100 * count / total:.1f} %" for count in kernel.pc_stalls.sum(axis=1).tolist() if count]
        found += [share.split()[1] for row in kernel.pc_stalls for share in main_reasons(row).split(", ") if share]
        found += [f"{hazard.occurrences:,}" for hazard in kernel.hazards or ()]
    totals = result.totals()
    found += [f"{totals[key]:,}" for key in ("cycles", "warp_instructions", "thread_instructions")]
    found += [f"{result.warp_instructions:,}", f"{result.cpu_seconds:.2f}", f"{result.compile_seconds:.1f}"]
    return [*found, f"{result.warp_instructions_per_cpu_second:,.0f}"]


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("width", WIDTHS)
def test_a_report_keeps_every_number_and_name(width, terminal):
    result, programs = large_result(), [make_program()] * 2
    text = drawn(lambda console: print_report(console, result, programs), width, terminal)
    assert_whole(text, *numbers_of(result), "sgemm", "other", "R104", "RAW")
    for word in (word for line in programs[0].text for word in line.split()):
        assert word in text
    assert "…" not in text
    if terminal:
        assert max(cell_len(line) for line in text.splitlines()) <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_a_long_name_is_one_piece(width):
    text = drawn(lambda console: print_report(console, large_result(TEMPLATE), [make_program()] * 2), width)
    assert f"{TEMPLATE}:" in text
    assert_whole(text, "123,456,789,012")
    cycles = next(k for k, line in enumerate(text.splitlines()) if "cycles 123,456,789,012" in line)
    assert any(TEMPLATE in line for line in text.splitlines()[:cycles])


@settings(max_examples=30, deadline=None)
@given(
    width=st.integers(20, 130),
    name=st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=70),
    cycles=st.integers(0, 10**18),
    stalls=st.lists(st.integers(0, 10**15), min_size=18, max_size=18),
)
def test_any_result_keeps_its_numbers_at_any_width(width, name, cycles, stalls):
    kernel = make_kernel_result()
    table = np.zeros_like(kernel.pc_stalls)
    table[1] = stalls
    result = Result("card", (replace(kernel, name=name, cycles=cycles, pc_stalls=table),), 1.0)
    text = drawn(lambda console: print_report(console, result, [make_program()]), width)
    assert_whole(text, f"{cycles:,}", *(f"{count:,}" for count in stalls if count))
    assert name in text
    shown = {reason for reason in STALL_REASONS if any(line.split()[:1] == [reason] for line in text.splitlines())}
    assert shown == {reason for reason, count in zip(STALL_REASONS, stalls) if count}


cells = st.text(st.characters(codec="ascii", exclude_categories=("C",)), max_size=30).map(str.strip)


@settings(max_examples=60, deadline=None)
@given(width=st.integers(10, 150), rows=st.lists(st.tuples(*[cells] * 5), min_size=1, max_size=6))
def test_a_sheet_keeps_every_cell_at_any_width(width, rows):
    sheet = Sheet("name", "first", "second", "", "last", sides="lrlrl")
    for row in rows:
        sheet.add(*row)
    text = drawn(sheet.print, width)
    for row in rows:
        assert [cell for cell in row if cell not in text] == []


@pytest.mark.parametrize("width", range(20, 120, 7))
def test_a_sheet_is_a_table_where_it_fits_and_blocks_else(width):
    sheet = Sheet("kernel", "grid", "cycles", "occupancy", title="title")
    sheet.add("sgemm", "64x64", "1,234,567", "12.5 %")
    sheet.add("second", "", "7", "")
    lines = [line.rstrip() for line in drawn(sheet.print, width).splitlines()]
    assert lines[0] == "title"
    if width >= len("kernel   grid     cycles  occupancy"):
        assert lines[1].split() == ["kernel", "grid", "cycles", "occupancy"]
        assert lines[3].split() == ["sgemm", "64x64", "1,234,567", "12.5", "%"]
    else:
        assert " ".join(" ".join(lines[1:]).split()) == (
            "sgemm: grid 64x64, cycles 1,234,567, occupancy 12.5 % second: cycles 7"
        )
        assert max(map(len, lines)) <= width


def test_pieces_are_never_broken():
    text = drawn(lambda console: flow(console, ["one two", "three", "", "four five"], indent=1, hanging=2), 14)
    assert text == " one two three\n   four five\n"


# ------------------------------------------------------------------------------------------ other reports


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("width", WIDTHS)
def test_what_a_trace_holds_keeps_every_number(width, terminal):
    info = trace_info(make_trace(chunks=2))
    launch = info.launches[0]
    text = drawn(lambda console: print_trace_info(console, "toy", info, 3), width, terminal)
    wanted = [f"{launch.warps:,}", f"{launch.warp_instructions:,}", f"{launch.thread_instructions:,}", launch.name]
    assert_whole(text, *wanted, f"{launch.shared_bytes:,}", f"{launch.static_instructions:,}", str(launch.registers))
    assert_whole(text, *(f"{count:,}" for count in list(launch.opcodes.values())[:3]), *list(launch.opcodes)[:3])


def test_the_bundled_trace_fits_in_80_columns(capsys):
    from gpusim.cli.main import main

    assert main(["trace", "info", "ampere/sgemm"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(cell_len, lines[1:])) <= 80  # the first names the folder


@pytest.mark.parametrize("width", WIDTHS)
def test_a_comparison_keeps_every_number(width):
    stalls = {"long_scoreboard": 123.456, "wait": 7.125}
    card = Figures(123_456_789.0, 98_765_432.0, 87_654_321.0, 12.5, 99.75, stalls)
    model = Figures(223_456_789.0, 88_765_432.0, 77_654_321.0, 22.5, 89.75, {"long_scoreboard": 3.5, "barrier": 0.625})
    row = Comparison("add.ncu-rep launch 0", TEMPLATE, "NVIDIA GeForce RTX 3080 Laptop GPU", card, model, True, 1.0)
    text = drawn(lambda console: print_comparison(console, [row]), width)
    assert TEMPLATE in text
    assert "RTX 3080 Laptop GPU" in text
    wanted = ["123,456,789 / 223,456,789", "98,765,432 / 88,765,432", "87,654,321 / 77,654,321", "12.5 / 22.5"]
    assert_whole(text, *wanted, "+81.0", "123.456", "3.500", "-119.956", "7.125", "0.625", "81.00 %")


@pytest.mark.parametrize("width", WIDTHS)
def test_a_comparison_by_instruction_keeps_every_number(width):
    kernel = make_kernel_result()
    stalls = kernel.pc_stalls * 10**9
    samples = {"imc_miss": {0x10: 123_456}, "long_scoreboard": {0x20: 23_456, 0x30: 10_000}}
    each = compare_pcs(samples, replace(kernel, pc_stalls=stalls), make_program())
    known, unknown = (
        Comparison("add.ncu-rep launch 0", name, "card", Figures(1.0), Figures(1.0), False, 1.0, per_pc)
        for name, per_pc in ((TEMPLATE, each), ("other", None))
    )
    text = drawn(lambda console: print_comparison(console, [known, unknown], per_pc=True), width)
    assert TEMPLATE in text
    figures = (each.correlation, each.distance, each.chance_distance, each.reason_distance, each.chance_reason_distance)
    assert_whole(
        text, "156,912", *(f"{value:.3f}" for value in figures), *make_program().text, "78.68", "14.95", "6.37"
    )
    assert text.count("imc_miss") == 1
    assert "other, add:0: no warp-state samples" in " ".join(text.split())


@pytest.mark.parametrize("width", WIDTHS)
def test_executed_counts_keep_every_number(width):
    mismatches = (CountMismatch(0x1230, "FFMA R111, R64.reuse, R68, R40", 4_194_304, 4_194_305),)
    check = CountCheck("launch 3", TEMPLATE, "per pc", 810, 98_765_432, 98_765_433, mismatches)
    text = drawn(lambda console: print_counts(console, [check]), width)
    assert_whole(
        text, "98,765,432", "98,765,433", "1230", "4,194,304", "4,194,305", "+1", "FFMA R111, R64.reuse, R68, R40"
    )


@pytest.mark.parametrize("columns", ["40", "100", "0", "wide", "", None])
def test_output_to_no_terminal_is_as_wide_as_columns_says(monkeypatch, columns):
    if columns is None:
        monkeypatch.delenv("COLUMNS", raising=False)
    else:
        monkeypatch.setenv("COLUMNS", columns)
    assert console_for(io.StringIO()).width == (int(columns) if columns in ("40", "100") else PLAIN_WIDTH)


# ------------------------------------------------------------------------------------------ encodings


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437", "utf-8"])
@pytest.mark.parametrize("width", [120, 60, 40])
def test_any_encoding_takes_a_report(encoding, width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    result = large_result("größe_≥")
    print_report(console_for(stream), result, [make_program()] * 2)
    stream.flush()
    text = stream.buffer.getvalue().decode(encoding)
    assert_whole(text, *numbers_of(result))
    if encoding == "ascii":
        assert "gr\\xf6\\xdfe_>=" in text
        assert "#####" in text
    if encoding == "utf-8":
        assert "█████" in text


def test_bars_in_ascii_are_as_long_as_others(monkeypatch):
    texts = {}
    for encoding in ("ascii", "utf-8"):
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        print_report(console_for(stream), large_result(), [make_program()] * 2)
        stream.flush()
        texts[encoding] = stream.buffer.getvalue().decode(encoding).splitlines()
    bars = [line for line in texts["utf-8"] if "█" in line]
    assert len(bars) > 18
    plain = [line for line in texts["ascii"] if "#" in line]
    assert [len(line) for line in plain] == [len(line) for line in bars]


def test_the_width_of_a_terminal_is_that_of_the_terminal():
    import pty

    master, slave = pty.openpty()
    os.set_blocking(master, False)
    with os.fdopen(slave, "w") as stream:
        assert console_for(stream).is_terminal
    os.close(master)
