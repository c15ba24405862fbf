"""Measured and simulated kernels side by side: for the terminal, as Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from gpusim.display import counted, html_table, markdown_table
from gpusim.hardware.compare import Comparison, Figures, mean_absolute_error
from gpusim.report.layout import Sheet, paragraph
from gpusim.report.per_pc import PC_FIGURES, pc_markdown, pc_records, print_pcs
from gpusim.report.pipes import pipe_fields, pipe_markdown, print_pipes
from gpusim.results.columns import COMPARISON_FRAME, PC_COMPARISON_FRAME
from gpusim.results.files import OutputFile, replacing
from gpusim.results.stalls import STALL_REASONS

if TYPE_CHECKING:
    import pandas

STALLS_SHOWN = 8
"""Reasons per kernel, those that are largest on either side."""
FEW = 0.005
"""Warp-cycles per instruction below which a reason is left out."""

_FIGURES: tuple[tuple[str, str, Callable[[Figures], float | None], str], ...] = (
    ("cycles", "cycles", lambda f: f.cycles, "{:,.0f}"),
    ("active_cycles", "active cycles", lambda f: f.active_cycles, "{:,.0f}"),
    ("warp_instructions", "warp instr.", lambda f: f.warp_instructions, "{:,.0f}"),
    ("l1_hits", "L1 hits %", lambda f: f.l1_hits, "{:.1f}"),
    ("l2_hits", "L2 hits %", lambda f: f.l2_hits, "{:.1f}"),
)
"""Name in files, heading, value and format of each figure."""


def headings() -> list[str]:
    """Of the table with a row per kernel; figures stand as `card / model`."""
    names = [heading for _, heading, _, _ in _FIGURES]
    return ["kernel", "card", names[0], "error %", *names[1:]]


def cells(row: Comparison) -> list[str]:
    """Text of one row, under `headings`."""
    pairs = [
        f"{_shown(get(row.hardware), shape)} / {_shown(get(row.simulated), shape)}" for _, _, get, shape in _FIGURES
    ]
    note = " (executed counts differ)" if row.counts_differ else ""
    card = row.card.removeprefix("NVIDIA ").removeprefix("GeForce ")
    return [row.label + note, card, pairs[0], f"{row.error:+.1f}", *pairs[1:]]


def _shown(value: float | None, shape: str) -> str:
    return "-" if value is None else shape.format(value)


def print_comparison(console: Console, rows: Sequence[Comparison], per_pc: bool = False) -> None:
    """The table of kernels, stall reasons and pipes of each, the mean error; `per_pc`: that by instruction."""
    sheet = Sheet(*headings(), sides="ll", title="card / model")
    for row in rows:
        sheet.add(*cells(row))
    sheet.print(console)
    for row in rows:
        if row.hardware.stalls:
            console.print()
            paragraph(console, "warp-cycles per issued instruction", "bold", name=f"{row.label}:")
            _stall_sheet(row).print(console)
        if row.pipes:
            print_pipes(console, row)
    console.print()
    mean = mean_absolute_error(rows)
    paragraph(console, f"mean absolute error of the cycles of {len(rows)} kernels: {mean:.2f} %")
    if per_pc:
        print_pcs(console, rows)


def main_reasons(row: Comparison) -> list[str]:
    """The largest reasons of either side, those that are largest on the card first."""
    measured, model = row.hardware.stalls, row.simulated.stalls
    largest = sorted(STALL_REASONS, key=lambda r: -max(measured.get(r, 0.0), model.get(r, 0.0)))[:STALLS_SHOWN]
    shown = [r for r in largest if max(measured.get(r, 0.0), model.get(r, 0.0)) >= FEW]
    return sorted(shown, key=lambda r: -measured.get(r, 0.0))


def _stall_sheet(row: Comparison) -> Sheet:
    sheet = Sheet("reason", "card", "model", "difference")
    for reason in main_reasons(row):
        measured, model = row.hardware.stalls.get(reason), row.simulated.stalls.get(reason, 0.0)
        known = "-" if measured is None else f"{measured:.3f}"
        sheet.add(reason, known, f"{model:.3f}", "" if measured is None else f"{model - measured:+.3f}")
    return sheet


def markdown(rows: Sequence[Comparison], per_pc: bool = False) -> str:
    """The same as Markdown tables: the kernels, and their main stall reasons and pipes as `card / model`."""
    lines = markdown_table(headings(), [cells(row) for row in rows], "ll")
    error = mean_absolute_error(rows)
    lines += ["", f"Mean absolute error of the cycles of {len(rows)} kernels: {error:.2f} %.", ""]
    reasons = [reason for reason in STALL_REASONS if any(reason in main_reasons(r) for r in rows if r.hardware.stalls)]
    stalls = [[row.label, *(_ratio_pair(row, reason) for reason in reasons)] for row in rows if row.hardware.stalls]
    if stalls:
        lines += ["Warp-cycles per issued instruction by stall reason, card / model:", ""]
        lines += markdown_table(["kernel", *reasons], stalls, "l")
    lines += pipe_markdown(rows)
    if per_pc:
        lines += pc_markdown(rows)
    return "\n".join(lines) + "\n"


def _ratio_pair(row: Comparison, reason: str) -> str:
    measured = row.hardware.stalls.get(reason)
    known = "-" if measured is None else f"{measured:.2f}"
    return f"{known} / {row.simulated.stalls.get(reason, 0.0):.2f}"


def record(row: Comparison) -> dict[str, Any]:
    """A row for files: plain numbers, None where a figure is not known."""
    out: dict[str, Any] = {"kernel": row.kernel, "source": row.source, "card": row.card}
    for name, _, get, _ in _FIGURES:
        out |= {f"{name}_card": get(row.hardware), f"{name}_model": get(row.simulated)}
    out |= {"error_percent": row.error, "counts_differ": row.counts_differ, "cpu_seconds": row.cpu_seconds}
    out |= {name: row.per_pc and get(row.per_pc) for name, _, get, _ in PC_FIGURES}
    out |= pipe_fields(row)
    for reason in STALL_REASONS:
        out |= {f"{reason}_card": row.hardware.stalls.get(reason), f"{reason}_model": row.simulated.stalls.get(reason)}
    return out


@dataclass(frozen=True)
class Comparisons:
    """Compared kernels in order."""

    rows: tuple[Comparison, ...]

    def __iter__(self) -> Iterator[Comparison]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def mean_absolute_error(self) -> float:
        """Mean of the absolute errors of the cycles, percent (MAPE)."""
        return mean_absolute_error(self.rows)

    def to_frame(self) -> pandas.DataFrame:
        """A row per kernel: figures, pipes' instructions and stall ratios, measured (`_card`) and simulated (`_model`).

        Units are in `attrs["units"]`.
        """
        from gpusim.results.frames import frame_of

        return frame_of(map(record, self.rows), COMPARISON_FRAME)

    def pc_frame(self) -> pandas.DataFrame:
        """A row per instruction of each kernel whose report has warp-state samples, which stand beside warp-cycles.

        Units are in `attrs["units"]`.
        """
        from gpusim.results.frames import frame_of

        return frame_of(pc_records(self.rows), PC_COMPARISON_FRAME)

    def __repr__(self) -> str:
        error = f", mean absolute error of the cycles {self.mean_absolute_error:.2f} %" if self.rows else ""
        return f"<Comparisons: {counted(len(self), 'kernel')}{error}>"

    def _repr_html_(self) -> str:
        return html_table(repr(self), headings(), map(cells, self.rows))


def write_csv(output: OutputFile | Path | str, rows: Sequence[Comparison]) -> None:
    """A row per kernel. Raises GpusimError where the file cannot be written."""
    records = [record(row) for row in rows]
    _write_records(output, list(records[0]), records)


def write_pc_csv(output: OutputFile | Path | str, rows: Sequence[Comparison]) -> None:
    """A row per instruction of each kernel with samples. Raises GpusimError where the file cannot be written."""
    _write_records(output, [column.name for column in PC_COMPARISON_FRAME], pc_records(rows))


def _write_records(output: OutputFile | Path | str, names: Sequence[str], records: Iterable[dict[str, Any]]) -> None:
    with replacing(output) as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: _cell(value) for key, value in each.items()} for each in records)


def write_json(output: OutputFile | Path | str, rows: Sequence[Comparison]) -> None:
    """The same as JSON, with the mean error. Raises GpusimError where the file cannot be written."""
    error = mean_absolute_error(rows)
    with replacing(output) as file:
        json.dump({"kernels": [record(row) for row in rows], "mean_absolute_error_percent": error}, file, indent=1)
        file.write("\n")


def write_markdown(output: OutputFile | Path | str, rows: Sequence[Comparison], per_pc: bool = False) -> None:
    """The tables of `markdown`. Raises GpusimError where the file cannot be written."""
    with replacing(output) as file:
        file.write(markdown(rows, per_pc))


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) and not value.is_integer() else value
