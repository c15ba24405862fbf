"""Executed warp instructions by pipe, on a card and in the model: for the terminal, as Markdown, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from gpusim.display import markdown_table
from gpusim.hardware.compare import Comparison
from gpusim.report.layout import Sheet, paragraph
from gpusim.results.columns import PIPE_COUNTERS, PIPE_INSTRUCTIONS

_ANY_PIPE = PIPE_INSTRUCTIONS.format("*")


def print_pipes(console: Console, row: Comparison) -> None:
    """A row for each pipe counter that the report has."""
    console.print()
    paragraph(console, f"executed warp instructions by pipe ({_ANY_PIPE})", "bold", name=f"{row.label}:")
    sheet = Sheet("pipe", "card", "model", "difference")
    for each in row.pipes:
        known = each.card is not None and each.model is not None
        difference = f"{(each.model or 0) - (each.card or 0):+,.0f}" if known else ""
        sheet.add(each.name, _count(each.card), _count(each.model), difference)
    sheet.print(console)


def _count(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def pipe_markdown(rows: Sequence[Comparison]) -> list[str]:
    """The same as lines of Markdown, `card / model`; a column for each counter that counts anything in any kernel."""
    counted = {each.name for row in rows for each in row.pipes if each.card or each.model}
    names = [name for name in PIPE_COUNTERS if name in counted]
    if not names:
        return []
    lines = []
    for row in rows:
        texts = {each.name: f"{_count(each.card)} / {_count(each.model)}" for each in row.pipes}
        if texts:
            lines.append([row.label, *(texts.get(name, "-") for name in names)])
    title = f"Executed warp instructions by pipe (`{_ANY_PIPE}`), card / model:"
    return ["", title, "", *markdown_table(["kernel", *names], lines, "l")]


def pipe_fields(row: Comparison) -> dict[str, Any]:
    """Columns of a row for files: every counter, None where the report or the model does not have it."""
    found = {each.name: each for each in row.pipes}
    fields: dict[str, Any] = {}
    for name in PIPE_COUNTERS:
        each = found.get(name)
        fields |= {f"pipe_{name}_card": each and each.card, f"pipe_{name}_model": each and each.model}
    return fields
