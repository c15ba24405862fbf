"""How objects show themselves: one line at a prompt, a small table in a notebook. Light: everything imports it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

ROWS_SHOWN = 60
"""Rows of a table in a notebook; how many more there are is told."""


def counted(number: int, noun: str) -> str:
    """`1 kernel`, `2,000 kernels`; the plural is regular."""
    return f"{number:,} {noun}{'' if number == 1 else 'es' if noun.endswith('ch') else 's'}"


def dimensions(size: Sequence[int]) -> str:
    """`(64, 2, 1)` as `64x2`."""
    shown = size if size[2] > 1 else size[:2] if size[1] > 1 else size[:1]
    return "x".join(str(n) for n in shown)


def html_table(
    caption: str, headings: Sequence[str], rows: Iterable[Sequence[object]], titles: Mapping[str, str] | None = None
) -> str:
    """An HTML table of plain text, at most ROWS_SHOWN rows of it; everything is escaped.

    titles: what a reader sees who points at a cell with that text, or at the heading.
    """
    titles = titles or {}
    kept: list[str] = []
    more = 0
    for row in rows:
        if len(kept) < ROWS_SHOWN:
            kept.append("<tr>" + "".join(_cell("td", value, titles) for value in row) + "</tr>")
        else:
            more += 1
    head = f"<tr>{''.join(_cell('th', heading, titles) for heading in headings)}</tr>" if headings else ""
    tail = f'<tr><td colspan="{len(headings) or 2}">and {counted(more, "row")} more</td></tr>' if more else ""
    return f"<table><caption>{escape(caption)}</caption>{head}{''.join(kept)}{tail}</table>"


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]], sides: str) -> list[str]:
    """Lines of a Markdown table. `sides`: l or r, how the columns are aligned; those beyond it to the right."""
    rule = ["---" if side == "l" else "--:" for side in sides.ljust(len(headings), "r")]
    escaped = ([cell.replace("|", "\\|") for cell in row] for row in rows)  # assembly has absolute values, |R2|
    return [f"| {' | '.join(cells)} |" for cells in (headings, rule, *escaped)]


def html_facts(caption: str, facts: Mapping[str, object], titles: Mapping[str, str] | None = None) -> str:
    """A table of names and values without headings."""
    return html_table(caption, (), facts.items(), titles)


def _cell(tag: str, value: object, titles: Mapping[str, str]) -> str:
    text = f"{value:,}" if isinstance(value, int) else f"{value:,.4g}" if isinstance(value, float) else str(value)
    title = f' title="{escape(titles[text])}"' if text in titles else ""
    return f"<{tag}{title}>{escape(text)}</{tag}>"
