"""The comparison as a table and as CSV."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gpusim.results.files import replacing
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
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for heading in ("row", "expected", "simulated", ""):
        table.add_column(heading, no_wrap=True)
    table.add_column("source")
    for result in results:
        name, _, expected, simulated, _, source, _ = cells(result)
        status = Text(result.status, _STYLES[result.status])
        short = (Text(shorten(expected)), Text(shorten(simulated)))
        table.add_row(Text(name), *short, status, Text(source.removeprefix(PAPER)))
    console.print(table)
    for result in results:
        if result.status == OFF:
            name, what, expected, simulated, _, _, note = cells(result)
            console.print(Text(f"\n{name}: {what}", "bold"))
            console.print(Text(f"  expected   {expected}\n  simulated  {simulated}" + (f"\n  {note}" if note else "")))
    console.print()
    console.print(summary_table(results))


def shorten(text: str) -> str:
    """A value that fits in the table; it is printed in full where it is off, and in the CSV."""
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"


def summary_table(results: list[RowResult]) -> Table:
    """Rows per file of data, and the total."""
    table = Table(box=None, pad_edge=False)
    table.add_column("group")
    for heading in ("rows", GOOD, OFF, PENDING):
        table.add_column(heading, justify="right")
    groups = {result.row.name.partition(".")[0]: None for result in results}
    for group in (*groups, None):
        chosen = [r for r in results if group is None or r.row.name.partition(".")[0] == group]
        count = Counter(result.status for result in chosen)
        table.add_row(group or "total", str(len(chosen)), *(str(count[s]) for s in (GOOD, OFF, PENDING)))
    return table


def write_csv(path: Path | str, results: list[RowResult]) -> None:
    """All rows with what they compare, sources and notes. Raises GpusimError where the file cannot be written."""
    with replacing(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(cells(result) for result in results)
