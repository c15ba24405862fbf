"""The measured and simulated memory curves as a table on the console, Markdown, CSV and plots."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gpusim import __version__
from gpusim.results.files import output_folder, replacing
from gpusim.validation.memory import MemoryRow, SimulatedCurve, rows_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.console import Console

COMMAND = "gpusim validate memory"
COLUMNS = ("row", "card", "what", "unit", "expected", "simulated", "error", "tolerance", "status", "source")
POINT = "point of the curve"


def number(value: float | None) -> str:
    """Four digits, more for larger numbers; nothing for a value that is missing."""
    return "" if value is None else f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"


def percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:+.1f} %"


def cells(row: MemoryRow) -> tuple[str, ...]:
    """One row's texts in the order of COLUMNS."""
    figures = (number(row.expected), number(row.simulated), percent(row.error), f"{100 * row.tolerance:g} %")
    return row.name, row.card, row.what, row.unit, *figures, "ok" if row.good else "off", row.source


def all_rows(results: Sequence[SimulatedCurve]) -> list[MemoryRow]:
    return [row for result in results for row in rows_of(result)]


def print_memory(console: Console, results: Sequence[SimulatedCurve]) -> None:
    """Every row with its error, the sources, and the total."""
    from rich.text import Text

    from gpusim.report.layout import Sheet, paragraph

    rows = all_rows(results)
    headings = "row", "what", "expected", "simulated", "error", "tolerance", "unit", ""
    sheet = Sheet(*headings, sides="llrrrrll", title="memory hierarchy: measured and gpusim")
    for row in rows:
        name, _, what, unit, expected, simulated, error, tolerance, status, _ = cells(row)
        style = "green" if row.good else "bold red"
        sheet.add(name, what, expected, simulated, error, tolerance, unit, Text(status, style))
    sheet.print(console)
    console.print()
    console.print("sources")
    for result in results:
        paragraph(console, result.curve.data.source, name=f"{result.curve.data.id}:", indent=2, hanging=2)
    good = sum(row.good for row in rows)
    console.print()
    paragraph(console, f"{len(rows)} rows: {good} ok, {len(rows) - good} off")


def write_memory(folder: Path | str, results: Sequence[SimulatedCurve]) -> None:
    """memory.csv, memory.md and memory.png. Raises GpusimError where the folder cannot be written."""
    folder = output_folder(folder)
    write_csv(folder / "memory.csv", results)
    with replacing(folder / "memory.md") as file:
        file.write(markdown(results))
    plot(folder / "memory.png", results)


def write_csv(path: Path | str, results: Sequence[SimulatedCurve]) -> None:
    """The rows, then every point of the curves, which have no tolerance."""
    with replacing(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(cells(row) for row in all_rows(results))
        for result in results:
            data = result.curve.data
            for size, measured, simulated in zip(result.sizes, result.measured, result.simulated):
                figures = (number(measured), number(simulated), percent(simulated / measured - 1))
                label = f"{data.id}@{size}"
                writer.writerow([label, data.card, POINT, result.curve.file.unit, *figures, "", "", data.source])


def markdown(results: Sequence[SimulatedCurve]) -> str:
    """The table of rows, and a table of points per curve."""
    rows = all_rows(results)
    good = sum(row.good for row in rows)
    lines = [
        "# The memory hierarchy: measured curves and the model",
        "",
        f"Written by `{COMMAND}` of gpusim {__version__}: {len(rows)} rows, {good} ok, {len(rows) - good} off.",
        "What runs for a curve is described in [`validation/memory`](../memory). [Plot](memory.png), all numbers:",
        "[memory.csv](memory.csv).",
        "",
        *_table(["row", "what", "expected", "simulated", "error", "tolerance", "unit", "", "source"], "llrrrrlll"),
    ]
    for row in rows:
        name, _, what, unit, expected, simulated, error, tolerance, status, source = cells(row)
        lines.append(_line([name, what, expected, simulated, error, tolerance, unit, status, source]))
    for result in results:
        unit = result.curve.file.unit
        lines += ["", f"## {result.curve.data.id}, {unit}", ""]
        lines += _table(["" if isinstance(result.sizes[0], str) else "KB", "measured", "simulated", "error"], "lrrr")
        for size, measured, value in zip(result.sizes, result.measured, result.simulated):
            label = size if isinstance(size, str) else f"{size:g}"
            lines.append(_line([label, number(measured), number(value), percent(value / measured - 1)]))
    return "\n".join(lines) + "\n"


def _table(headings: list[str], sides: str) -> list[str]:
    return [_line(headings), _line(["--:" if side == "r" else "---" for side in sides])]


def _line(texts: list[str]) -> str:
    return "| " + " | ".join(texts) + " |"


def plot(path: Path, results: Sequence[SimulatedCurve]) -> None:
    """A panel per curve over sizes, measured and simulated, and one with bars per curve over programs. A small PNG."""
    from matplotlib.figure import Figure

    columns = 2
    lines = -(-len(results) // columns)
    figure = Figure(figsize=(5.2 * columns, 3 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).flatten()
    for axes, result in zip(panels, results):
        _draw(axes, result)
    for axes in panels[len(results) :]:
        axes.set_visible(False)
    with replacing(path, binary=True) as file:
        figure.savefig(file, format="png", dpi=80, metadata={"Software": None})


def _draw(axes: Axes, result: SimulatedCurve) -> None:
    labels = result.sizes
    if isinstance(labels[0], str):
        places = range(len(labels))
        axes.bar([p - 0.2 for p in places], result.measured, 0.4, label="measured", color="0.6")
        axes.bar([p + 0.2 for p in places], result.simulated, 0.4, label="gpusim", color="tab:blue")
        axes.set_xticks(list(places), [str(label) for label in labels])
    else:
        axes.plot(labels, result.measured, color="0.5", marker="s", mfc="white", label="measured")
        axes.plot(labels, result.simulated, color="tab:blue", marker=".", label="gpusim")
        axes.set_xscale("log")
        axes.set_xlabel("buffer, KB")
    axes.set_ylim(bottom=0)
    axes.set_ylabel(result.curve.file.unit)
    axes.set_title(result.curve.data.id, fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="lower right")
