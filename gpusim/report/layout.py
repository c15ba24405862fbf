"""Layouts for any width of the terminal. What does not fit is arranged anew: no number and no name is cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

GAP = 2
"""Columns between two cells."""
LEAST_BAR, BAR_WIDTH = 6, 40
ANY_WIDTH = 1 << 16


class Sheet:
    """Rows under headings: a table where all of it fits, else a block of `heading value` per row."""

    def __init__(self, *headings: str, sides: str = "l", title: str = "") -> None:
        """`sides`: l or r, how the columns are aligned; those beyond it to the right. A remark has no heading."""
        self._headings = headings
        self._sides = sides.ljust(len(headings), "r")
        self._title = title
        self._rows: list[tuple[Text, ...]] = []
        self._sections: set[int] = set()

    def add(self, *cells: Text | str) -> None:
        """Append a row; empty cells are not shown in a block."""
        self._rows.append(tuple(cell if isinstance(cell, Text) else Text(cell) for cell in cells))

    def end_section(self) -> None:
        """Rule off the rows so far."""
        self._sections.add(len(self._rows) - 1)

    def print(self, console: Console) -> None:
        """Print the title and the rows."""
        if self._title:
            paragraph(console, self._title, "bold")
        table = self._table()
        if natural_width(console, table) <= console.width:
            console.print(table)
            return
        for row in self._rows:
            self._print_block(console, row)

    def _table(self) -> Table:
        table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True, padding=(0, 1))
        for heading, side in zip(self._headings, self._sides):
            table.add_column(heading, justify="left" if side == "l" else "right", no_wrap=True)
        for number, row in enumerate(self._rows):
            table.add_row(*row, end_section=number in self._sections)
        return table

    def _print_block(self, console: Console, row: Sequence[Text]) -> None:
        facts = [
            Text.assemble(f"{heading} ", cell) if heading else cell
            for heading, cell in zip(self._headings[1:], row[1:])
            if cell.plain
        ]
        name = Text.assemble(row[0], ":") if row[0].plain else Text()
        flow(console, [name, *(Text.assemble(fact, ",") for fact in facts[:-1]), *facts[-1:]], hanging=GAP)


def natural_width(console: Console, table: Table) -> int:
    """Columns of a table in which nothing is wrapped or cut."""
    return Measurement.get(console, console.options.update_width(ANY_WIDTH), table).maximum


def flow(console: Console, pieces: Iterable[Text | str], *, indent: int = 0, hanging: int = 0, gap: int = 1) -> None:
    """Print pieces one after another, going on in a new line between two of them and never within one.

    indent: columns before the first line; hanging: more of them before the others; gap: columns between two pieces.
    """
    line, before = Text(" " * indent), 0
    for piece in pieces:
        text = piece if isinstance(piece, Text) else Text(piece)
        if not text.plain:
            continue
        if before and cell_len(line.plain) + gap + cell_len(text.plain) > console.width:
            _print_line(console, line)
            line, before = Text(" " * (indent + hanging)), 0
        if before:
            line.append(" " * gap)
        line.append_text(text)
        before += 1
    _print_line(console, line)


def paragraph(
    console: Console, text: str, style: str = "", *, name: str = "", indent: int = 0, hanging: int = 0
) -> None:
    """Print running text, broken between words on a terminal; elsewhere a line stays one, to be searched for.

    name: what comes first and is never broken.
    """
    if console.is_terminal:
        words = filter(None, (name, *text.split(" ")))
        flow(console, [Text(word, style) for word in words], indent=indent, hanging=hanging)
    else:
        line = " ".join(filter(None, (name, text)))
        _print_line(console, Text(" " * indent).append(line, style))


def _print_line(console: Console, line: Text) -> None:
    console.print(line, soft_wrap=True)


def bar_width(console: Console, others: Sequence[Iterable[str]]) -> int:
    """Columns for bars beside columns of other texts, 0 where there is no room for them."""
    taken = sum(max((cell_len(text) for text in column), default=0) + GAP for column in others)
    room = min(BAR_WIDTH, console.width - taken)
    return room if room >= LEAST_BAR else 0
