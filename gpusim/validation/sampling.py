"""Sampled runs beside whole ones: how far the estimates are off, and how much of the work they take."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field
from rich.console import Console

from gpusim import __version__, resources, yamlfile
from gpusim.compatibility import code_for
from gpusim.config import load_config
from gpusim.display import markdown_table
from gpusim.errors import GpusimError
from gpusim.inputs import load_source
from gpusim.report.layout import Sheet, paragraph
from gpusim.results.files import replacing
from gpusim.results.result import Result
from gpusim.schema import Strict, load

SUITE = "bench/sampling.yaml"
"""In the folder of traces; a wheel does not carry it."""
MEAN_LIMIT, WORST_LIMIT, SHARE_LIMIT = 2.0, 8.0, 10.0
"""Percent that the long kernels are held to: mean and worst error of the cycles, and mean share of the work."""


class Case(Strict):
    """A kernel of traces/kernels with its launch file, and the card."""

    kernel: str
    launch: str
    config: str


class SuiteData(Strict):
    """SUITE: kernels of one launch of many waves, of one of fewer, and of many short launches."""

    long: Annotated[tuple[Case, ...], Field(min_length=1)]
    few: tuple[Case, ...]
    many: tuple[Case, ...]


@dataclass(frozen=True)
class Row:
    """One kernel simulated whole and sampled.

    Attributes:
        part: of SUITE. launches, warp_instructions: of the whole run.
        cycles, sampled_cycles: of all launches together. error, estimate: percent, what the estimate is off by and what
            it says of itself. share: percent of the warp instructions that were simulated.
        stall_error: percent of all warp-cycles, the largest difference of a stall reason. seconds, sampled_seconds:
            CPU.
    """

    part: str
    kernel: str
    config: str
    launches: int
    warp_instructions: int
    cycles: int
    sampled_cycles: int
    error: float
    estimate: float
    share: float
    stall_error: float
    seconds: float
    sampled_seconds: float


def load_suite(only: str | None = None) -> list[tuple[str, Case]]:
    """Part and case of the kernels whose name matches the regular expression. Raises GpusimError where there are
    none, as in a wheel."""
    path = resources.find("traces") / SUITE
    if not path.is_file():
        raise GpusimError("the kernels that sampling is measured on are only in the repository; run it in a checkout")
    data = load(SuiteData, yamlfile.read(path))
    parts = {"long": data.long, "few": data.few, "many": data.many}
    cases = [(part, case) for part, listed in parts.items() for case in listed]
    try:
        chosen = [(part, case) for part, case in cases if re.search(only or "", case.kernel)]
    except re.error as error:
        raise GpusimError(f"--only {only}: not a regular expression: {error}") from error
    if not chosen:
        raise GpusimError(f"--only {only}: matches none of {', '.join(case.kernel for _, case in cases)}")
    return chosen


def measure(cases: Sequence[tuple[str, Case]], percent: float, threads: int = 1) -> Iterator[Row]:
    """Simulate each case whole and sampled until the error estimate is within `percent`."""
    from gpusim.model.setup.simulate import RunOptions, simulate

    folder = resources.find("traces") / "kernels"
    for part, case in cases:
        source = folder / f"{case.kernel}.cu"
        config = load_config(case.config)
        trace = load_source(source, source.parent / case.launch, code_for(config))
        whole = simulate(trace, config, RunOptions(threads=threads))
        yield row_of(part, case, whole, simulate(trace, config, RunOptions(threads=threads, sample=percent)))


def row_of(part: str, case: Case, whole: Result, sampled: Result) -> Row:
    """Compare the two results of a case."""
    before, after, mark = whole.totals(), sampled.totals(), sampled.sampled
    total = max(sum(before["stalls"].values()), 1)
    stall = max(abs(after["stalls"][reason] - count) for reason, count in before["stalls"].items())
    return Row(
        part,
        Path(case.kernel).name,
        case.config,
        len(whole.kernels),
        whole.warp_instructions,
        before["cycles"],
        after["cycles"],
        100 * (after["cycles"] / before["cycles"] - 1),
        mark.error_estimate if mark else 0.0,
        100 * mark.share if mark else 100.0,
        100 * stall / total,
        sum(kernel.seconds for kernel in whole.kernels),
        sum(kernel.seconds for kernel in sampled.kernels),
    )


# ---- report


@dataclass(frozen=True)
class Summary:
    """Of the long kernels: mean and worst absolute error of the cycles, mean share of the work; percent."""

    mean: float
    worst: float
    share: float

    @property
    def good(self) -> bool:
        """Whether all of it is within the limits."""
        return self.mean <= MEAN_LIMIT and self.worst <= WORST_LIMIT and self.share <= SHARE_LIMIT

    def __str__(self) -> str:
        return (
            f"Long kernels: mean error of the cycles {self.mean:.2f} % (limit {MEAN_LIMIT:g}), worst {self.worst:.2f} "
            f"% (limit {WORST_LIMIT:g}), at {self.share:.1f} % of the work (limit {SHARE_LIMIT:g})."
        )


def summary(rows: Sequence[Row]) -> Summary | None:
    """None where no long kernel was run."""
    long = [row for row in rows if row.part == "long"]
    if not long:
        return None
    errors = [abs(row.error) for row in long]
    return Summary(sum(errors) / len(long), max(errors), sum(row.share for row in long) / len(long))


HEADINGS = (
    "kernel", "card", "launches", "warp instr.", "cycles", "sampled", "error %", "estimate ± %", "simulated %",
    "worst stall %", "CPU s", "sampled CPU s",
)  # fmt: skip


def cells(row: Row) -> list[str]:
    """Texts of a row under HEADINGS."""
    figures = f"{row.error:+.2f}", f"{row.estimate:.2f}", f"{row.share:.1f}", f"{row.stall_error:.1f}"
    counts = (f"{count:,}" for count in (row.launches, row.warp_instructions, row.cycles, row.sampled_cycles))
    return [row.kernel, row.config, *counts, *figures, f"{row.seconds:.1f}", f"{row.sampled_seconds:.1f}"]


def print_sampling(console: Console, rows: Sequence[Row]) -> None:
    """The table and its summary."""
    sheet = Sheet(*HEADINGS, sides="ll", title="whole and sampled runs")
    for row in rows:
        sheet.add(*cells(row))
    sheet.print(console)
    if found := summary(rows):
        paragraph(console, str(found))


def write_sampling(folder: Path | str, rows: Sequence[Row], percent: float) -> None:
    """sampling.md and sampling.csv. Raises GpusimError where they cannot be written."""
    with replacing(Path(folder) / "sampling.csv") as file:
        writer = csv.DictWriter(file, list(asdict(rows[0])), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    lines = [
        "# Sampled runs beside whole ones",
        "",
        f"Written by `gpusim validate sampling` of gpusim {__version__}; sampled until the error estimate of the "
        f"cycles is within {percent:g} %. [docs/sampling.md](../../docs/sampling.md) explains the columns.",
        "",
        *markdown_table(HEADINGS, [cells(row) for row in rows], "ll"),
        "",
    ]
    if found := summary(rows):
        lines += [str(found), ""]
    with replacing(Path(folder) / "sampling.md") as file:
        file.write("\n".join(lines))
