"""Where warps stood, instruction by instruction, on a card and in the model: for the terminal, as Markdown, as rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from rich.console import Console

from gpusim.display import markdown_table
from gpusim.hardware.compare import Comparison
from gpusim.hardware.per_pc import PcComparison
from gpusim.report.layout import Sheet, paragraph
from gpusim.results.stalls import STALL_REASONS

SHOWN = 10
"""Instructions per kernel, those at which card and model differ most."""
NO_SAMPLES = "no warp-state samples per instruction were measured (Nsight Compute's section SourceCounters has them)"
MEANING = (
    "Total variation distance (TVD) between the card's warp-state samples and the model's warp-cycles: over "
    "instructions, and with reasons over pairs of instruction and stall reason. By chance: the mean if as many samples "
    "were drawn from the model itself."
)

PC_FIGURES: tuple[tuple[str, str, Callable[[PcComparison], float | None], str], ...] = (
    ("samples", "samples", lambda f: f.samples, "{:,}"),
    ("pc_correlation", "rank correlation", lambda f: f.correlation, "{:.3f}"),
    ("pc_distance", "TVD", lambda f: f.distance, "{:.3f}"),
    ("pc_distance_chance", "by chance", lambda f: f.chance_distance, "{:.3f}"),
    ("pc_reason_distance", "TVD with reasons", lambda f: f.reason_distance, "{:.3f}"),
    ("pc_reason_distance_chance", "by chance", lambda f: f.chance_reason_distance, "{:.3f}"),
)
"""Name in files, heading, value and format of each figure."""
_HEADINGS = ("kernel", *(heading for _, heading, _, _ in PC_FIGURES))
_DIFFERENCES = ("pc", "instruction", "card %", "model %", "card's reason", "model's reason")


def _summary(row: Comparison, each: PcComparison) -> list[str]:
    values = ((get(each), shape) for _, _, get, shape in PC_FIGURES)
    return [row.label, *("-" if value is None else shape.format(value) for value, shape in values)]


def _differences(each: PcComparison) -> Iterator[tuple[str, ...]]:
    """Cells of the instructions at which the shares of card and model differ most."""
    card, model = each.card_shares, each.model_shares
    difference = np.abs(card.sum(axis=1) - model.sum(axis=1))
    for k in np.argsort(-difference, kind="stable")[:SHOWN]:
        shares = (f"{100 * side[k].sum():.2f}" for side in (card, model))
        yield (f"{each.pc[k]:04x}", each.text[k], *shares, *(_main_reason(side[k]) for side in (card, model)))


def _main_reason(shares: np.ndarray) -> str:
    return STALL_REASONS[shares.argmax()] if shares.any() else "-"


def print_pcs(console: Console, rows: Sequence[Comparison]) -> None:
    """The table of kernels with samples, the largest differences of each, and the kernels without samples."""
    sampled = [(row, row.per_pc) for row in rows if row.per_pc]
    if sampled:
        console.print()
        paragraph(console, MEANING)
        sheet = Sheet(*_HEADINGS)
        for row, each in sampled:
            sheet.add(*_summary(row, each))
        sheet.print(console)
    for row, each in sampled:
        console.print()
        paragraph(console, "the instructions that differ most", "bold", name=f"{row.label}:")
        sheet = Sheet(*_DIFFERENCES, sides="llrrll")
        for cells in _differences(each):
            sheet.add(*cells)
        sheet.print(console)
    console.print()
    for row in rows:
        if row.per_pc is None:
            paragraph(console, NO_SAMPLES, name=f"{row.label}:")


def pc_markdown(rows: Sequence[Comparison]) -> list[str]:
    """The same as lines of Markdown."""
    sampled = [(row, row.per_pc) for row in rows if row.per_pc]
    lines = [""]
    if sampled:
        lines += [MEANING, "", *markdown_table(_HEADINGS, [_summary(*pair) for pair in sampled], "l")]
    for row, each in sampled:
        lines += ["", f"{row.label}, the instructions that differ most:", ""]
        cells = ([pc, f"`{text}`", *others] for pc, text, *others in _differences(each))
        lines += markdown_table(_DIFFERENCES, cells, "llrrll")
    without = [f"- {row.label}: {NO_SAMPLES}" for row in rows if row.per_pc is None]
    return [*lines, "", *without] if without else lines


def pc_records(rows: Sequence[Comparison]) -> Iterator[dict[str, Any]]:
    """A row for files per instruction of each kernel with samples; shares in percent."""
    for row in rows:
        if row.per_pc is None:
            continue
        each, sides = row.per_pc, {"card": 100 * row.per_pc.card_shares, "model": 100 * row.per_pc.model_shares}
        for k, text in enumerate(each.text):
            out = {"kernel": row.kernel, "source": row.source, "pc": int(each.pc[k]), "text": text}
            out |= {"issues": int(each.issues[k]), "samples": int(each.card[k].sum())}
            out |= {"warp_cycles": int(each.model[k].sum())}
            out |= {f"{side}_percent": float(shares[k].sum()) for side, shares in sides.items()}
            for number, reason in enumerate(STALL_REASONS):
                out |= {f"{reason}_{side}": float(shares[k, number]) for side, shares in sides.items()}
            yield out
