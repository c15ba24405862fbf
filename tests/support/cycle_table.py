"""Cycles of the bundled traces on every card that runs their code: validation/results/cycles.csv, and how to renew it.

    python tests/support/cycle_table.py

A change of the table is a change of results: it belongs beside a line in CHANGELOG.md that says from what it follows.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from gpusim.compatibility import code_for
from gpusim.config import list_configs, load_config
from gpusim.model.setup.simulate import RunOptions, simulate
from gpusim.trace.store import open_trace

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "validation" / "results" / "cycles.csv"
MAJOR = {"ampere": 8, "turing": 7}
"""Of the compute capabilities of cards that run a family's traces here; an A100 runs those of sm_86 too."""


class Row(NamedTuple):
    """One launch, numbered from 0, on one card."""

    trace: str
    launch: int
    kernel: str
    card: str
    cycles: int


def traces() -> list[str]:
    """Names of the bundled traces, as `ampere/sgemm`."""
    root = ROOT / "traces"
    return sorted(path.parent.relative_to(root).as_posix() for path in root.glob("*/*/trace.json"))


def cards(trace: str) -> list[str]:
    """Names of the cards that a bundled trace is simulated on."""
    return _cards(trace.split("/", maxsplit=1)[0])


@cache
def _cards(family: str) -> list[str]:
    return [name for name in list_configs() if code_for(load_config(name)) // 10 == MAJOR[family]]


def simulated(trace: str, card: str) -> Iterator[Row]:
    """The rows of one trace on one card."""
    options = RunOptions(any_architecture=True)
    result = simulate(open_trace(ROOT / "traces" / trace), load_config(card), options)
    for number, kernel in enumerate(result.kernels):
        yield Row(trace, number, kernel.name, card, kernel.cycles)


def stored() -> list[Row]:
    """The rows of the table."""
    with TABLE.open(newline="") as file:
        return [
            Row(r["trace"], int(r["launch"]), r["kernel"], r["card"], int(r["cycles"])) for r in csv.DictReader(file)
        ]


def renew() -> None:
    """Simulate everything and write the table."""
    rows: list[Row] = []
    for trace in traces():
        for card in cards(trace):
            rows += simulated(trace, card)
            print(f"{trace} on {card}", file=sys.stderr)
    with TABLE.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Row._fields)
        writer.writerows(rows)


if __name__ == "__main__":
    renew()
