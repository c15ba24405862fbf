"""The terminal report: kernels, where the cycles went, and the instructions that lost them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gpusim.display import dimensions
from gpusim.report.layout import BAR_WIDTH, GAP, Sheet, bar_width, flow, natural_width, paragraph
from gpusim.report.plain import take_anything
from gpusim.results.result import FOREIGN, UNLISTED, KernelResult, Result
from gpusim.results.sampled import Sampled
from gpusim.results.stalls import STALL_REASONS, Stall
from gpusim.sass.control_bits import ControlBits
from gpusim.sass.program import Program

PLAIN_WIDTH = 80
"""Columns where the output is not a terminal and $COLUMNS does not say how many."""
HOTTEST = 10
"""Instructions listed per kernel."""
DETAILED = 3
"""Kernels whose details are shown, those with the most cycles; the table always has all."""
ABOUT = "~"
"""Before a figure that is an estimate."""
LEAST_REASONS = 22
"""Columns that the main reasons of an instruction need in a table."""


class _Console(Console):
    """A console that lets the command notice when its reader has left; rich would end the process as failed."""

    def on_broken_pipe(self) -> None:
        raise  # the BrokenPipeError, which is being handled


def console_for(stream: Any) -> Console:
    """A console on `stream`; without colours and of fixed width where that is no terminal. It takes any text."""
    take_anything(stream)
    columns = os.environ.get("COLUMNS", "")
    width = int(columns) if columns.isdecimal() and int(columns) else PLAIN_WIDTH
    return _Console(file=stream, width=None if stream.isatty() else width, highlight=False)


def print_so_far(console: Console, result: Result, kernel: KernelResult) -> None:
    """Print what was counted of the kernel in which a simulation was stopped, behind those that it finished."""
    console.print()
    paragraph(console, f"{kernel.name}, so far:", "bold")
    kernel_sheet(replace(result, kernels=(kernel,))).print(console)
    if kernel.program is not None:
        print_kernel(console, kernel, kernel.program)


def print_report(console: Console, result: Result, programs: Sequence[Program]) -> None:
    """Print the whole report; programs[i] is the Program of result.kernels[i]."""
    kernel_sheet(result).print(console)
    if mark := result.sampled:
        print_sampling(console, result, mark)
    if FOREIGN in result.provenance:
        paragraph(console, f"{result.provenance[FOREIGN]}: the cycles are those of no real card", "bold")
    if UNLISTED in result.provenance:
        paragraph(
            console, f"Timed as their likely class, not in the opcode table: {result.provenance[UNLISTED]}", "bold"
        )
    longest = sorted(range(len(result.kernels)), key=lambda i: -result.kernels[i].cycles)[:DETAILED]
    for number in sorted(longest):
        print_kernel(console, result.kernels[number], programs[number])
    if (hidden := len(result.kernels) - len(longest)) > 0:
        console.print()
        paragraph(console, f"{hidden} more kernels; details with --kernel REGEX")
    for kernel in result.kernels:
        if kernel.hazards is not None:
            print_hazards(console, kernel)
    console.print()
    rate = result.warp_instructions_per_cpu_second
    simulated = " (a part of them simulated)" if result.sampled else ""
    speed = (
        f"{result.warp_instructions:,} warp instructions{simulated} in {result.cpu_seconds:.2f} CPU s "
        f"({rate:,.0f} per CPU s)"
    )
    compiling = f"; compiling the simulator took {result.compile_seconds:.1f} CPU s more, once"
    paragraph(console, speed + (compiling if result.compile_seconds else ""))


def print_sampling(console: Console, result: Result, mark: Sampled) -> None:
    """That the figures are estimates, how much was simulated, and how far each launch's cycles may be off."""
    paragraph(
        console,
        f"Sampled: {100 * mark.share:.1f} % of the warp instructions were simulated. Figures marked {ABOUT}, and "
        "counters, stalls and issues of those kernels, are estimates. Error estimate of all cycles: "
        f"± {mark.error_estimate:.1f} % (95 % confidence; docs/sampling.md says where it cannot be trusted)",
        "bold",
    )
    for kernel in [kernel for kernel in result.kernels if kernel.sampled][:DETAILED]:
        one = kernel.sampled
        assert one is not None, "chosen so"
        how = f"{100 * one.share:.1f} % simulated" if one.like is None else f"estimated from launch {one.like + 1}"
        paragraph(console, f"{how}, cycles ± {one.error_estimate:.1f} %", indent=2, name=f"{kernel.name}:")


def kernel_sheet(result: Result) -> Sheet:
    """One row per kernel, and a total where there are several."""
    headings = "grid", "block", "cycles", "warp instr.", "thread instr.", "IPC", "occupancy"
    sheet = Sheet("kernel", *headings, title=f"gpusim, configuration {result.config}")
    for kernel in result.kernels:
        about = ABOUT if kernel.sampled else ""
        sheet.add(
            kernel.name,
            dimensions(kernel.grid),
            dimensions(kernel.block),
            f"{about}{kernel.cycles:,}",
            f"{kernel.warp_instructions:,}",
            f"{about}{kernel.thread_instructions:,}",
            f"{about}{kernel.ipc:.2f}",
            f"{about}{100 * kernel.occupancy:.1f} %",
        )
    if len(result.kernels) > 1:
        totals = result.totals()
        about = ABOUT if result.sampled else ""
        cycles, executed = f"{about}{totals['cycles']:,}", f"{about}{totals['thread_instructions']:,}"
        sheet.end_section()
        sheet.add(
            "total", "", "", cycles, f"{totals['warp_instructions']:,}", executed, f"{about}{totals['ipc']:.2f}", ""
        )
    return sheet


def print_kernel(console: Console, kernel: KernelResult, program: Program) -> None:
    """Stall bars and hottest instructions of one kernel."""
    console.print()
    about = ABOUT if kernel.sampled else ""
    _heading(console, kernel.name, f"where {about}{kernel.resident_warp_cycles:,} resident warp-cycles went")
    print_stalls(console, kernel)
    _heading(console, kernel.name, "instructions that took the most warp-cycles")
    print_hottest(console, kernel, program)


def _heading(console: Console, name: str, text: str, style: str = "bold") -> None:
    paragraph(console, text, style, name=f"{name}:")


def print_hazards(console: Console, kernel: KernelResult) -> None:
    """What the hazard checker found in one kernel: two lines of code and a remedy per hazard."""
    console.print()
    if not kernel.hazards:
        _heading(console, kernel.name, "no hazards")
        return
    plural = "s" if len(kernel.hazards) > 1 else ""
    _heading(console, kernel.name, f"{len(kernel.hazards)} hazard{plural}", "bold red")
    for hazard in kernel.hazards:
        what = f"{hazard.kind} {hazard.register}, {hazard.occurrences:,} times: needs {hazard.remedy}"
        paragraph(console, what, indent=2, hanging=2)
        paragraph(console, f"{hazard.producer_pc:04x}  {hazard.producer}", indent=4, hanging=6)
        paragraph(console, f"{hazard.consumer_pc:04x}  {hazard.consumer}", indent=4, hanging=6)


def print_stalls(console: Console, kernel: KernelResult) -> None:
    """A line per reason that occurred, largest first: a bar where there is room, warp-cycles and their share."""
    stalls = sorted(((reason, count) for reason, count in kernel.stalls.items() if count), key=lambda pair: -pair[1])
    total = sum(count for _, count in stalls)
    green = STALL_REASONS[Stall.SELECTED]
    rows = [(reason, count, f"{100 * count / total:.1f} %") for reason, count in stalls]
    print_bars(console, rows, lambda reason: "green" if reason == green else "yellow")


def print_bars(console: Console, rows: Sequence[tuple[str, int, str]], style: Callable[[str], str]) -> None:
    """Lines of name, bar, count and share, the bars as long as the counts; where that is too wide, without bars.

    rows: largest first. style: that of a bar, by name.
    """
    columns = [[name for name, _, _ in rows], [f"{count:,}" for _, count, _ in rows], [share for *_, share in rows]]
    names, counts, shares = (max((cell_len(text) for text in column), default=0) for column in columns)
    width = bar_width(console, columns)
    largest = max((count for _, count, _ in rows), default=1)
    for name, count, share in rows:
        drawn = bar(count / largest, width) if width else ""
        pieces = [Text(name.ljust(names))]
        pieces += [Text(drawn + " " * (width - cell_len(drawn)), style(name))] if width else []
        pieces += [Text(f"{count:,}".rjust(counts)), Text(share.rjust(shares))]
        flow(console, pieces, gap=GAP, hanging=GAP)


def print_hottest(console: Console, kernel: KernelResult, program: Program, rows: int = HOTTEST) -> None:
    """The instructions with the most warp-cycles: PC, share, issues, control field, SASS, main reasons."""
    per_pc = kernel.pc_stalls.sum(axis=1)
    total = max(int(per_pc.sum()), 1)
    order = [index for index in np.argsort(-per_pc, kind="stable")[:rows].tolist() if per_pc[index]]
    found = [
        (
            f"{int(kernel.pc[index]):04x}",
            f"{100 * per_pc[index] / total:.1f} %",
            f"{int(kernel.pc_issues[index]):,}",
            control_field(program, index),
            program.text[index],
            main_reasons(kernel.pc_stalls[index]),
        )
        for index in order
    ]
    table = _hottest_table(found, no_wrap=False)
    narrowest = _hottest_table([(*row[:-1], "-" * LEAST_REASONS) for row in found], no_wrap=True)
    if natural_width(console, narrowest) <= console.width:
        console.print(table)
        return
    for pc, share, issues, control, text, reasons in found:
        flow(console, [pc, share, f"{issues} issues,", *reasons.replace(", ", ",|").split("|")], hanging=6)
        paragraph(console, f"{control} {text}", indent=6, hanging=2)


def _hottest_table(rows: Sequence[Sequence[str]], *, no_wrap: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    for heading in ("pc", "share", "issues"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("control", "instruction"):
        table.add_column(heading, no_wrap=True)
    table.add_column("main reasons", overflow="fold", no_wrap=no_wrap)
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def control_field(program: Program, index: int) -> str:
    """`[B01----:R0:W1:Y:S05]` of instruction `index`."""
    row = program.instructions[index]
    return str(
        ControlBits(
            stall=int(row.stall),
            yields=bool(row.yields),
            write_counter=int(row.write_counter),
            read_counter=int(row.read_counter),
            wait_mask=int(row.wait_mask),
        )
    )


def main_reasons(stalls: np.ndarray, count: int = 2) -> str:
    """The `count` largest reasons of one (reasons,) row with their share: `long_scoreboard 62 %, wait 10 %`."""
    total = int(stalls.sum())
    order = [i for i in np.argsort(-stalls, kind="stable")[:count].tolist() if stalls[i]]
    return ", ".join(f"{STALL_REASONS[i]} {100 * int(stalls[i]) / total:.0f} %" for i in order)


def bar(share: float, width: int = BAR_WIDTH) -> str:
    """A bar of `share` (0..1) of `width` columns, in steps of an eighth of a column; never empty."""
    eighths = max(round(share * width * 8), 1)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()
