"""The alternatives' tables as CSV and Markdown, their plots, and the means on the console."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from gpusim import __version__
from gpusim.results.files import output_folder, replacing
from gpusim.results.stalls import STALL_REASONS
from gpusim.validation.ablations import MEAN, NEUTRAL, Cell, Suite, Table

if TYPE_CHECKING:
    from rich.console import Console

COMMAND = "gpusim validate ablations"
COLUMNS = ("kernel", "point", "cycles", "speed_up", "paper_speed_up", "direction_agrees", "area_percent")
AGREEMENT = {True: "yes", False: "no", None: ""}


def write_all(folder: Path | str, suite: Suite, tables: dict[str, list[Cell]]) -> None:
    """NAME.csv, NAME.md and NAME.png of every table. Raises GpusimError where the folder cannot be written."""
    folder = output_folder(folder)
    for table in suite.tables:
        cells = tables[table.name]
        write_csv(folder / f"{table.name}.csv", cells)
        with replacing(folder / f"{table.name}.md") as file:
            file.write(markdown(suite, table, cells))
        plot(folder / f"{table.name}.png", table, cells, suite.traces)


def write_csv(path: Path, cells: list[Cell]) -> None:
    """A row per kernel and point, and per mean; stall reasons as shares of the resident warp-cycles."""
    with replacing(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*COLUMNS, *(f"stall_{reason}" for reason in STALL_REASONS)])
        for cell in cells:
            figures = (cell.cycles, f"{cell.speed_up:.4f}", cell.paper, AGREEMENT[cell.agrees], _percent(cell.area))
            writer.writerow([cell.trace, cell.point, *figures, *_shares(cell)])


def _shares(cell: Cell) -> list[str]:
    if cell.stalls is None:
        return [""] * len(STALL_REASONS)
    total = sum(cell.stalls.values())
    return [f"{cell.stalls[reason] / total:.4f}" for reason in STALL_REASONS]


def _percent(area: float | None) -> str:
    return "" if area is None else f"{area:.2f}"


def markdown(suite: Suite, table: Table, cells: list[Cell]) -> str:
    """A row per point: area, the paper's mean beside ours, whether the direction is the same, every kernel's speed-up.

    A second table holds the cycles.
    """
    at = {(cell.point, cell.trace): cell for cell in cells}
    points = [alternative.point.label for alternative in table.alternatives]
    area = ["area, % of RF"] if table.area else []
    lines = [f"# {table.title}", "", *_preamble(suite, table), "## Speed-ups over the first row", ""]
    lines += _row(["", *area, "paper", "geometric mean", "same direction", *suite.traces])
    lines += _row(["---", *("--:" for _ in range(len(area) + 3 + len(suite.traces)))])
    for label in points:
        mean = at[label, MEAN]
        head = [label, *([_percent(mean.area) or "–"] if area else []), f"{mean.paper:g}", f"{mean.speed_up:.3f}"]
        lines += _row([*head, AGREEMENT[mean.agrees], *(_speed_up(at[label, trace]) for trace in suite.traces)])
    lines += [
        "",
        "In brackets: the paper's figure for its benchmark of that kind, and whether the direction is the same.",
        "",
        "## Cycles",
        "",
    ]
    lines += _row(["", *suite.traces]) + _row(["---", *("--:" for _ in suite.traces)])
    lines += [line for label in points for line in _row([label, *(f"{at[label, t].cycles:,}" for t in suite.traces)])]
    return "\n".join(lines) + "\n"


def _preamble(suite: Suite, table: Table) -> list[str]:
    return [
        f"arXiv 2503.20481, {table.source}, on this project's kernels. Written by `{COMMAND}` of gpusim {__version__}:",
        f"card {suite.config}, overrides {', '.join(f'`{text}`' for text in suite.common)}. The direction is the same "
        f"where both are faster, both slower, or both within {NEUTRAL * 100:g} % of the first row.",
        "",
    ]


def _row(cells: list[str]) -> list[str]:
    return ["| " + " | ".join(cells) + " |"]


def _speed_up(cell: Cell) -> str:
    paper = "" if cell.agrees is None else f" ({cell.paper:g}: {AGREEMENT[cell.agrees]})"
    return f"{cell.speed_up:.3f}{paper}"


def plot(path: Path, table: Table, cells: list[Cell], traces: tuple[str, ...]) -> None:
    """Speed-up over the points: a thin line per kernel, the mean, and the paper's mean. A small PNG."""
    from matplotlib.figure import Figure

    labels = [alternative.point.label for alternative in table.alternatives]
    series = {name: [c.speed_up for c in cells if c.trace == name] for name in (*traces, MEAN)}
    figure = Figure(figsize=(7.5, 4), layout="constrained")
    axes = figure.subplots()
    for name in traces:
        axes.plot(labels, series[name], linewidth=0.9, alpha=0.75, label=name)
    axes.plot(labels, series[MEAN], color="black", linewidth=2.2, marker="o", label=MEAN)
    papers = [alternative.paper for alternative in table.alternatives]
    axes.plot(
        labels,
        papers,
        color="black",
        linewidth=1.5,
        linestyle="--",
        marker="s",
        mfc="white",
        label=f"paper, {table.source}",
    )
    axes.set_ylabel("speed-up over the first point")
    axes.set_title(table.title, fontsize=10)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize=8)
    with replacing(path, binary=True) as file:
        figure.savefig(file, format="png", dpi=80, metadata={"Software": None})


def print_means(console: Console, suite: Suite, tables: dict[str, list[Cell]]) -> None:
    """Our mean beside the paper's for every point."""
    from gpusim.report.layout import Sheet

    for table in suite.tables:
        sheet = Sheet("point", "paper", "geometric mean", "same direction", title=table.title)
        for cell in tables[table.name]:
            if cell.trace == MEAN:
                sheet.add(cell.point, f"{cell.paper:g}", f"{cell.speed_up:.3f}", AGREEMENT[cell.agrees])
        sheet.print(console)
