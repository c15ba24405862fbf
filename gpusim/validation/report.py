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

COLUMNS = ("row", "what", "expected", "simulated", "status", "source", "note")
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


def print_results(console: Console, results: list[RowResult]) -> None:
    """Every row, the notes of those that are off, and the totals."""
    table = Table("row", "expected", "simulated", "", "source", box=None, pad_edge=False)
    for result in results:
        name, _, expected, simulated, status, source, _ = cells(result)
        table.add_row(Text(name), Text(expected), Text(simulated), Text(status, _STYLES[result.status]), Text(source))
    console.print(table)
    for result in results:
        if result.status != GOOD and result.row.note:
            console.print(Text(f"\n{result.row.name}: {result.row.note}"))
    console.print()
    console.print(summary_table(results))


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
