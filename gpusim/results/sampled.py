"""The mark of an estimate: how much of a launch was simulated, and how far its cycles may be off."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpusim.results.result import KernelResult


@dataclass(frozen=True)
class Sampled:
    """How a launch was sampled. All figures of such a launch but its warp instructions are estimates.

    Attributes:
        share: of its warp instructions that were simulated, 0 to 1.
        error_estimate: half of the 95 % confidence interval of its cycles, percent.
        waves: of CTAs whose rate was measured.
        like: the launch, counted from 0, whose result stands for this one, which was not simulated; None where it was.
    """

    share: float
    error_estimate: float
    waves: int
    like: int | None = None


def overall(kernels: Iterable[KernelResult]) -> Sampled | None:
    """The mark of several launches together, None where none is sampled.

    The error is that of launches that all err alike, which is the most that their own allow.
    """
    every = list(kernels)
    marks = [kernel.sampled or Sampled(1.0, 0.0, 0) for kernel in every]
    if not any(kernel.sampled for kernel in every):
        return None
    instructions = max(sum(kernel.warp_instructions for kernel in every), 1)
    cycles = max(sum(kernel.cycles for kernel in every), 1)
    return Sampled(
        sum(mark.share * kernel.warp_instructions for mark, kernel in zip(marks, every)) / instructions,
        sum(mark.error_estimate * kernel.cycles for mark, kernel in zip(marks, every)) / cycles,
        sum(mark.waves for mark in marks),
    )
