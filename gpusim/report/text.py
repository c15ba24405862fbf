"""The terminal report: kernels, where the cycles went, and the instructions that lost them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gpusim.results.result import FOREIGN, KernelResult, Result
from gpusim.results.stalls import STALL_REASONS, Stall
from gpusim.sass.control_bits import ControlBits
from gpusim.sass.program import Program

PLAIN_WIDTH = 120
"""Columns where the output is not a terminal."""
BAR_WIDTH = 40
HOTTEST = 10
"""Instructions listed per kernel."""
DETAILED = 3
"""Kernels whose details are shown, those with the most cycles; the table always has all."""


def console_for(stream: Any) -> Console:
    """A console on `stream`; without colours and of fixed width where that is no terminal."""
    terminal = stream.isatty()
    return Console(file=stream, width=None if terminal else PLAIN_WIDTH, highlight=False, soft_wrap=not terminal)


def print_report(console: Console, result: Result, programs: Sequence[Program]) -> None:
    """Print the whole report; programs[i] is the Program of result.kernels[i]."""
    console.print(kernel_table(result))
    if FOREIGN in result.provenance:
        console.print(Text(f"{result.provenance[FOREIGN]}: the cycles are those of no real card", style="bold"))
    longest = sorted(range(len(result.kernels)), key=lambda i: -result.kernels[i].cycles)[:DETAILED]
    for number in sorted(longest):
        print_kernel(console, result.kernels[number], programs[number])
    if (hidden := len(result.kernels) - len(longest)) > 0:
        console.print(f"\n{hidden} more kernels; details with --kernel REGEX")
    for kernel in result.kernels:
        if kernel.hazards is not None:
            print_hazards(console, kernel)
    rate = result.warp_instructions_per_cpu_second
    console.print(
        f"\n{result.warp_instructions:,} warp instructions in {result.cpu_seconds:.2f} CPU s ({rate:,.0f} per CPU s)"
    )


def kernel_table(result: Result) -> Table:
    """One row per kernel, and a total where there are several."""
    table = Table(title=f"gpusim, configuration {result.config}", title_justify="left", title_style="bold")
    table.add_column("kernel", overflow="fold")
    for heading in ("grid", "block", "cycles", "warp instr.", "thread instr.", "IPC", "occupancy"):
        table.add_column(heading, justify="right", no_wrap=True)
    for kernel in result.kernels:
        table.add_row(
            Text(kernel.name),
            dimensions(kernel.grid),
            dimensions(kernel.block),
            f"{kernel.cycles:,}",
            f"{kernel.warp_instructions:,}",
            f"{kernel.thread_instructions:,}",
            f"{kernel.ipc:.2f}",
            f"{100 * kernel.occupancy:.1f} %",
        )
    if len(result.kernels) > 1:
        totals = result.totals()
        sums = [f"{totals[key]:,}" for key in ("cycles", "warp_instructions", "thread_instructions")]
        table.add_section()
        table.add_row("total", "", "", *sums, f"{totals['ipc']:.2f}", "")
    return table


def print_kernel(console: Console, kernel: KernelResult, program: Program) -> None:
    """Stall bars and hottest instructions of one kernel."""
    console.print()
    console.print(Text(f"{kernel.name}: where {kernel.resident_warp_cycles:,} resident warp-cycles went", style="bold"))
    console.print(stall_table(kernel))
    console.print(Text(f"{kernel.name}: instructions that took the most warp-cycles", style="bold"))
    console.print(hottest_table(kernel, program))


def print_hazards(console: Console, kernel: KernelResult) -> None:
    """What the hazard checker found in one kernel: two lines of code and a remedy per hazard."""
    console.print()
    if not kernel.hazards:
        console.print(Text(f"{kernel.name}: no hazards", style="bold"))
        return
    plural = "s" if len(kernel.hazards) > 1 else ""
    console.print(Text(f"{kernel.name}: {len(kernel.hazards)} hazard{plural}", style="bold red"))
    for hazard in kernel.hazards:
        console.print(Text(f"  {hazard.kind} {hazard.register}, {hazard.occurrences:,} times: needs {hazard.remedy}"))
        console.print(Text(f"    {hazard.producer_pc:04x}  {hazard.producer}"))
        console.print(Text(f"    {hazard.consumer_pc:04x}  {hazard.consumer}"))


def stall_table(kernel: KernelResult) -> Table:
    """A bar per reason that occurred, largest first, with warp-cycles and their share."""
    table = Table(box=None, show_header=False, padding=(0, 1))
    table.add_column("reason", no_wrap=True)
    table.add_column("bar", no_wrap=True, width=BAR_WIDTH)
    table.add_column("warp-cycles", justify="right", no_wrap=True)
    table.add_column("share", justify="right", no_wrap=True)
    stalls = [(reason, count) for reason, count in kernel.stalls.items() if count]
    total = sum(count for _, count in stalls)
    largest = max((count for _, count in stalls), default=1)
    for reason, count in sorted(stalls, key=lambda pair: -pair[1]):
        style = "green" if reason == STALL_REASONS[Stall.SELECTED] else "yellow"
        table.add_row(reason, Text(bar(count / largest), style=style), f"{count:,}", f"{100 * count / total:5.1f} %")
    return table


def hottest_table(kernel: KernelResult, program: Program, rows: int = HOTTEST) -> Table:
    """The instructions with the most warp-cycles: PC, share, issues, control field, SASS, main reasons."""
    table = Table(box=None, padding=(0, 1), header_style="dim")
    for heading, justify in (("pc", "right"), ("share", "right"), ("issues", "right")):
        table.add_column(heading, justify=justify, no_wrap=True)
    table.add_column("control", no_wrap=True)
    table.add_column("instruction", overflow="fold", ratio=3)
    table.add_column("main reasons", overflow="fold", ratio=2)
    per_pc = kernel.pc_stalls.sum(axis=1)
    total = max(int(per_pc.sum()), 1)
    for index in np.argsort(-per_pc, kind="stable")[:rows].tolist():
        if not per_pc[index]:
            break
        table.add_row(
            f"{int(kernel.pc[index]):04x}",
            f"{100 * per_pc[index] / total:.1f} %",
            f"{int(kernel.pc_issues[index]):,}",
            Text(control_field(program, index)),
            Text(program.text[index]),
            main_reasons(kernel.pc_stalls[index]),
        )
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


def dimensions(size: tuple[int, int, int]) -> str:
    """`(64, 2, 1)` as `64x2`."""
    shown = size if size[2] > 1 else size[:2] if size[1] > 1 else size[:1]
    return "x".join(str(n) for n in shown)
