"""The comparison as a table and as CSV."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from gpusim.report.layout import Sheet, paragraph
from gpusim.results.files import OutputFile, replacing
from gpusim.validation.runner import GOOD, OFF, PENDING, RowResult

PAPER = "arXiv 2503.20481 "
"""Not repeated in the printed table: the source of a row unless another is named."""
COLUMNS = ("row", "what", "expected", "simulated", "status", "source", "note")
SHOWN_CHARACTERS = 24
_STYLES = {GOOD: "green", OFF: "bold red", PENDING: "yellow"}
_WORDS = {"at_least": "≥ {}", "at_most": "≤ {}", "one_of": "one of {}"}


def shown(value: Any) -> str:
    """A value as the tables of the paper write it: lists with slashes, bounds with their sign."""
    if value is None:
        return ""
    if isinstance(value, dict):
        return " and ".join(_WORDS[kind].format(shown(limit)) for kind, limit in value.items())
    if isinstance(value, list):
        if value and isinstance(value[0], list):
            return " · ".join(f"W{warp} {first}–{end}" for warp, first, end in value)
        return "/".join(map(str, value))
    return str(value)


def cells(result: RowResult) -> tuple[str, ...]:
    """One row's texts in the order of COLUMNS."""
    row = result.row
    waiting = f"pending: needs {row.needs}" if result.status == PENDING else result.status
    return row.name, row.what, shown(row.expected), shown(result.simulated), waiting, row.source, row.note


def print_results(console: Console, results: list[RowResult], card: str) -> None:
    """Every row, those that are off in full with their notes, and the totals. `card` is named in the title."""
    title = f"{PAPER.strip()} and gpusim, configuration {card}"
    sheet = Sheet("row", "expected", "simulated", "", "source", sides="lllll", title=title)
    for result in results:
        name, _, expected, simulated, _, source, _ = cells(result)
        status = Text(result.status, _STYLES[result.status])
        sheet.add(name, shorten(expected), shorten(simulated), status, source.removeprefix(PAPER))
    sheet.print(console)
    for result in results:
        if result.status == OFF:
            name, what, expected, simulated, _, _, note = cells(result)
            console.print()
            paragraph(console, f"{name}: {what}", "bold")
            for text in (f"expected   {expected}", f"simulated  {simulated}", *([note] if note else [])):
                paragraph(console, text, indent=2, hanging=2)
    console.print()
    summary_sheet(results).print(console)


def shorten(text: str) -> str:
    """A value that fits in the table; it is printed in full where it is off, and in the CSV."""
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"


def summary_sheet(results: list[RowResult]) -> Sheet:
    """Rows per file of data, and the total."""
    sheet = Sheet("group", "rows", GOOD, OFF, PENDING)
    groups = {result.row.name.partition(".")[0]: None for result in results}
    for group in (*groups, None):
        chosen = [r for r in results if group is None or r.row.name.partition(".")[0] == group]
        count = Counter(result.status for result in chosen)
        sheet.add(group or "total", str(len(chosen)), *(str(count[s]) for s in (GOOD, OFF, PENDING)))
    return sheet


def write_csv(path: OutputFile | Path | str, results: list[RowResult]) -> None:
    """All rows with what they compare, sources and notes. Raises GpusimError where the file cannot be written."""
    with replacing(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(cells(result) for result in results)
