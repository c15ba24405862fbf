"""Executed counts of a functional run beside those of a profile, for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gpusim.hardware.counts import CountCheck

SHOWN = 40
"""Differing instructions listed per launch."""


def print_counts(console: Console, checks: Sequence[CountCheck]) -> None:
    """A line per launch, and a table of the instructions that differ."""
    for check in checks:
        console.print(Text(f"{check.label}, {check.kernel}: {_verdict(check)}", style="green" if check.ok else "red"))
        if check.mismatches:
            console.print(_table(check))
        if (hidden := len(check.mismatches) - SHOWN) > 0:
            console.print(f"and {hidden} more")


def _verdict(check: CountCheck) -> str:
    if not check.checked:
        return f"{check.executed:,} warp instructions; the report carries no executed counts to compare with"
    reported = f"{check.reported:,} reported, {check.executed:,} executed warp instructions"
    if check.checked == "total":
        return f"{reported}; the report has no counts per instruction"
    if check.ok:
        return f"{reported}; equal at each of {check.instructions} instructions"
    return f"{reported}; {len(check.mismatches)} of {check.instructions} instructions differ"


def _table(check: CountCheck) -> Table:
    table = Table(box=None, padding=(0, 1), header_style="dim")
    for heading in ("pc", "reported", "executed", "difference"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("instruction", overflow="fold")
    for each in check.mismatches[:SHOWN]:
        difference = f"{each.executed - each.reported:+,}"
        table.add_row(f"{each.pc:04x}", f"{each.reported:,}", f"{each.executed:,}", difference, Text(each.text))
    return table
