"""Executed counts of a functional run beside those of a profile, for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from gpusim.hardware.counts import CountCheck
from gpusim.report.layout import Sheet, paragraph

SHOWN = 40
"""Differing instructions listed per launch."""


def print_counts(console: Console, checks: Sequence[CountCheck]) -> None:
    """A line per launch, and a table of the instructions that differ."""
    for check in checks:
        style = "green" if check.ok else "red"
        paragraph(console, _verdict(check), style, name=f"{check.label}, {check.kernel}:")
        if check.mismatches:
            _sheet(check).print(console)
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


def _sheet(check: CountCheck) -> Sheet:
    sheet = Sheet("pc", "reported", "executed", "difference", "instruction", sides="rrrrl")
    for each in check.mismatches[:SHOWN]:
        difference = f"{each.executed - each.reported:+,}"
        sheet.add(f"{each.pc:04x}", f"{each.reported:,}", f"{each.executed:,}", difference, each.text)
    return sheet
