"""Fill in pipes.csv and write instructions.csv from the reports that pipes.csv names.

    python validation/hardware/count_pipes.py FOLDER

A report lies at FOLDER/<repository>/<commit>/<path in it>, where `wget -x -nH
https://raw.githubusercontent.com/<repository>/<commit>/<path>` puts it. For another launch append a line to pipes.csv
with its first five columns. Executed instructions are the card's where the report has them, else the emulator's, which
needs a launch file named as the row.
"""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np

from gpusim.constants import INSTRUCTION_BYTES
from gpusim.emulator.tracing import open_files, trace_opened
from gpusim.hardware.pipes import elapsed_cycles, instruction_mix, reported_pipes
from gpusim.results.columns import PIPE_COUNTERS
from gpusim.sass.reports import Report, ReportedLaunch

HERE = Path(__file__).resolve().parent
NAMED = ("row", "repository", "commit", "report", "launch")
COLUMNS = (*NAMED, "card", "architecture", "executed_by", *PIPE_COUNTERS, "fmaheavy_cycles")


def main(folder: Path) -> None:
    """Read every report and write both files."""
    with (HERE / "pipes.csv").open(newline="") as file:
        named = [{name: row[name] for name in NAMED} for row in csv.DictReader(file)]
    rows, instructions = [], []
    for row in named:
        path = folder / row["repository"] / row["commit"] / row["report"]
        figures, mix = read_launch(path, row["row"].split(":")[0], int(row["launch"]))
        rows.append(row | figures)
        instructions += [{"row": row["row"], "opcode": opcode, "executed": mix[opcode]} for opcode in sorted(mix)]
    write("pipes.csv", COLUMNS, rows)
    write("instructions.csv", ("row", "opcode", "executed"), instructions)


def read_launch(path: Path, launch_file: str, index: int) -> tuple[dict[str, object], Counter[str]]:
    """The figures of one line of pipes.csv, and the executed warp instructions by opcode."""
    report = opened(path)
    launch = report.launch(index)
    program = report.program(launch)
    if launch.executed is None:
        executed = emulated(path, HERE / f"{launch_file}.yaml")[index]
    else:
        executed = np.array([launch.executed.get(INSTRUCTION_BYTES * k, 0) for k in range(len(program))])
    mix = instruction_mix(program, executed)
    figures = {name: number(count) for name, count in reported_pipes(launch, mix.total()).items()}
    by = "emulator" if launch.executed is None else "card"
    about = {"card": launch.attribute("display_name"), "architecture": program.architecture, "executed_by": by}
    return about | figures | {"fmaheavy_cycles": number(heavy_cycles(launch, mix.total()))}, mix


@cache
def opened(path: Path) -> Report:
    return Report(path)


@cache
def emulated(path: Path, launch_file: Path) -> dict[int, np.ndarray]:
    """Executions of each instruction by the launch's index in the report."""
    source, described = open_files(path, launch_file)
    executed = trace_opened(source, described, None).executed
    return {each.launch: counts for each, counts in zip(described.launches, executed, strict=True)}


def heavy_cycles(launch: ReportedLaunch, executed: int) -> float | None:
    """`sm__pipe_fmaheavy_cycles_active`, of which an IMAD takes one; its peak is 2 a cycle and SM."""
    share = launch.number("sm__pipe_fmaheavy_cycles_active.avg.pct_of_peak_sustained_elapsed")
    cycles = elapsed_cycles(launch, executed)
    if share is None or cycles is None:
        return None
    return share / 100 * 2 * cycles * launch.attribute("multiprocessor_count")


def number(count: float | None) -> str:
    """A count as text; what rounding of a share leaves is not written."""
    if count is None:
        return ""
    return f"{count:.0f}" if abs(count - round(count)) <= 1e-6 * max(count, 1) else f"{count:.3f}"


def write(name: str, columns: Iterable[str], rows: list[dict[str, object]]) -> None:
    with (HERE / name).open("w", newline="") as file:
        writer = csv.DictWriter(file, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
