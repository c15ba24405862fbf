"""The reports: right numbers in the right order, plain where the output is no terminal."""

from __future__ import annotations

import io

import numpy as np
import pytest
from result_cases import make_kernel_result, make_result
from trace_cases import make_program, make_trace

from gpusim.report.text import BAR_WIDTH, bar, console_for, control_field, main_reasons, print_report
from gpusim.report.trace import print_trace_info
from gpusim.results.result import Result
from gpusim.results.stalls import STALL_REASONS
from gpusim.trace.info import trace_info


def text_of(action) -> str:
    stream = io.StringIO()
    action(console_for(stream))
    return stream.getvalue()


def test_report_lists_reasons_by_size_and_hottest_instruction_first():
    out = text_of(lambda console: print_report(console, make_result(), [make_program()] * 2))
    lines = out.splitlines()
    reasons = [line.split()[0] for line in lines if line.split() and line.split()[0] in STALL_REASONS]
    assert reasons[:4] == ["long_scoreboard", "drain", "selected", "wait"]
    hottest = next(i for i, line in enumerate(lines) if "most warp-cycles" in line) + 2
    assert lines[hottest].split()[0] == "0010"
    assert "LDG.E R0 ;" in lines[hottest]
    assert "long_scoreboard 96 %" in lines[hottest]
    assert "87.5 %" in out
    assert "68 warp instructions in 0.50 CPU s (136 per CPU s)" in out


def test_report_without_a_terminal_has_no_escape_codes():
    out = text_of(lambda console: print_report(console, make_result(), [make_program()] * 2))
    assert "\x1b" not in out


def test_kernel_names_with_brackets_are_not_markup():
    kernel = make_kernel_result("scale<float>[bold](int)")
    out = text_of(lambda console: print_report(console, Result("c", (kernel,), 1.0), [make_program()]))
    assert "scale<float>[bold](int)" in out


def test_many_kernels_show_details_of_the_longest_only():
    kernels = tuple(make_kernel_result(f"k{n}", cycles=100 + n) for n in range(6))
    out = text_of(lambda console: print_report(console, Result("c", kernels, 1.0), [make_program()] * 6))
    assert "k5: where" in out
    assert "k0: where" not in out
    assert "3 more kernels" in out


def test_a_kernel_without_instructions_reports():
    empty = make_kernel_result()
    zero = type(empty)(**{**empty.__dict__, "pc_stalls": empty.pc_stalls * 0, "cycles": 0, "resident_warp_cycles": 0})
    out = text_of(lambda console: print_report(console, Result("c", (zero,), 0.0), [make_program()]))
    assert "0.00" in out


@pytest.mark.parametrize(("share", "width"), [(1.0, BAR_WIDTH), (0.5, BAR_WIDTH // 2), (0.0, 1), (1e-9, 1)])
def test_bar_length(share, width):
    assert len(bar(share)) == width


def test_main_reasons_and_control_field():
    stalls = np.zeros(len(STALL_REASONS), np.int64)
    stalls[2], stalls[3] = 1, 3
    assert main_reasons(stalls) == "long_scoreboard 75 %, wait 25 %"
    assert control_field(make_program(), 0) == "[B------:R-:W-:-:S01]"


def test_trace_info_counts_what_the_chunks_hold(tmp_path):
    trace = make_trace(chunks=2)
    info = trace_info(trace)
    chunks = list(trace.launches[0].chunks())
    launch = info.launches[0]
    assert launch.warp_instructions == sum(len(chunk.index) for chunk in chunks)
    assert launch.thread_instructions == sum(int(m).bit_count() for chunk in chunks for m in chunk.mask)
    assert launch.memory_records == sum(len(chunk.records) for chunk in chunks)
    assert launch.opcodes["LDG.E"] == sum(int((chunk.index == 1).sum()) for chunk in chunks)
    assert sum(launch.opcodes.values()) == launch.warp_instructions
    out = text_of(lambda console: print_trace_info(console, "toy", info, 3))
    assert f"{launch.warp_instructions:,}" in out
    assert "2 more" in out
