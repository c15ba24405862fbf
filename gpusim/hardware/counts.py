"""Whether a functional run did what the card did: executed counts of every instruction against a profile's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gpusim.constants import INSTRUCTION_BYTES
from gpusim.sass.program import Program
from gpusim.sass.reports import ReportedLaunch

if TYPE_CHECKING:
    from gpusim.emulator.launch import LaunchFile
    from gpusim.sass.reports import Report


OUTSIDE = "behind the last instruction"
"""Text of an instruction that a profile counted and the kernel does not have."""


@dataclass(frozen=True)
class CountMismatch:
    """One instruction whose executions differ; `pc` is the byte offset in the kernel."""

    pc: int
    text: str
    reported: int
    executed: int


@dataclass(frozen=True)
class CountCheck:
    """One launch compared. `checked`: `per pc`, `total`, or empty where the profile carries no counts."""

    label: str
    kernel: str
    checked: str
    instructions: int
    reported: int | None
    executed: int
    mismatches: tuple[CountMismatch, ...]

    @property
    def ok(self) -> bool:
        return not self.mismatches and (self.reported is None or self.reported == self.executed)


def check_counts(launch: ReportedLaunch, program: Program, executed: np.ndarray) -> CountCheck:
    """Compare the executions of each instruction of `program`, (n,) counts of warps, with those of a profile."""
    total = int(executed.sum())
    if launch.executed is None:
        checked = "" if launch.executed_total is None else "total"
        return CountCheck(launch.label, launch.kernel, checked, len(program), launch.executed_total, total, ())
    mismatches = []
    for pc in sorted({*launch.executed, *(INSTRUCTION_BYTES * k for k in range(len(program)))}):
        index = pc // INSTRUCTION_BYTES
        inside = 0 <= index < len(program)
        reported, ours = launch.executed.get(pc, 0), int(executed[index]) if inside else 0
        if reported != ours:
            text = program.text[index] if inside else OUTSIDE
            mismatches.append(CountMismatch(pc, text, reported, ours))
    reported = sum(launch.executed.values())
    return CountCheck(launch.label, launch.kernel, "per pc", len(program), reported, total, tuple(mismatches))


def check_report(report: Report, launch_file: LaunchFile, executed: Sequence[np.ndarray]) -> list[CountCheck]:
    """Compare every launch of a launch file with the profile; `executed` as TraceSummary has it."""
    checks = []
    for described, counts in zip(launch_file.launches, executed, strict=True):
        launch = report.find(described.kernel, described.launch, str(launch_file.path))
        checks.append(check_counts(launch, report.program(launch), counts))
    return checks
