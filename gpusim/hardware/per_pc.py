"""Where a kernel's warps stood, instruction by instruction: a card's warp-state samples beside the model's warp-cycles.

At a fixed interval the sampler of an SM takes one resident warp and notes the instruction at which it stands and its
stall reason (Nsight Compute, Profiling Guide, Warp Sampling; CUPTI, PC Sampling API). The model counts every resident
warp in every cycle, so its warp-cycles are, but for a factor, the samples to expect: only the two distributions can be
compared. As a sample stands for an SM and not for a warp, cycles with few resident warps weigh more on the card.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, lgamma, log, log1p
from typing import TYPE_CHECKING

import numpy as np

from gpusim.constants import INSTRUCTION_BYTES
from gpusim.hardware.counts import OUTSIDE
from gpusim.results.stalls import STALL_REASONS, Stall

if TYPE_CHECKING:
    from gpusim.results.result import KernelResult
    from gpusim.sass.program import Program

REASONS: Mapping[str, Stall] = {reason.name.lower(): reason for reason in Stall} | {
    "no_instructions": Stall.NO_INSTRUCTION
}
"""Stall reasons by their names in Nsight Compute's samples; one that is not here is MISC."""


@dataclass(frozen=True, eq=False)
class PcComparison:
    """One kernel on a card and in the model, by instruction.

    Attributes:
        pc: (n,) int64 byte offsets in the kernel, ascending. text: n assembly lines.
        issues: (n,) int64 warp instructions that issued in the model.
        card: (n, reasons) int64 samples, columns as STALL_REASONS.
        model: (n, reasons) int64 warp-cycles, columns as STALL_REASONS.
    """

    pc: np.ndarray
    text: tuple[str, ...]
    issues: np.ndarray
    card: np.ndarray
    model: np.ndarray

    @property
    def samples(self) -> int:
        """Of the card, all instructions and reasons together."""
        return int(self.card.sum())

    @property
    def card_shares(self) -> np.ndarray:
        """(n, reasons) float64 of all samples, 0..1."""
        return self.card / self.card.sum()

    @property
    def model_shares(self) -> np.ndarray:
        """(n, reasons) float64 of all warp-cycles, 0..1."""
        return self.model / self.model.sum()

    @property
    def correlation(self) -> float | None:
        """Spearman's rank correlation of samples and warp-cycles over the instructions that ran."""
        card, model = self.card.sum(axis=1), self.model.sum(axis=1)
        # Instructions that nobody reaches are 0 on both sides: they would agree however wrong the others are.
        ran = (self.issues > 0) | (card > 0) | (model > 0)
        return rank_correlation(card[ran], model[ran])

    @property
    def distance(self) -> float:
        """Total variation distance of the distributions over instructions, 0..1."""
        return total_variation(self.card.sum(axis=1), self.model.sum(axis=1))

    @property
    def chance_distance(self) -> float:
        """`distance` to expect of so many samples although the card did exactly what the model does."""
        return expected_total_variation(self.model.sum(axis=1), self.samples)

    @property
    def reason_distance(self) -> float:
        """Total variation distance of the distributions over pairs of instruction and reason, 0..1."""
        return total_variation(self.card, self.model)

    @property
    def chance_reason_distance(self) -> float:
        """`reason_distance` to expect of so many samples although the card did exactly what the model does."""
        return expected_total_variation(self.model, self.samples)


def compare_pcs(samples: Mapping[str, Mapping[int, int]], result: KernelResult, program: Program) -> PcComparison:
    """Samples by Nsight Compute's reason and byte offset, at least one, beside the result of the same kernel."""
    found = _as_counted(samples, result, program)
    pc = np.union1d(result.pc, found[:, 0])
    lines = dict(zip(result.pc.tolist(), program.text))
    text = tuple(lines.get(offset, OUTSIDE) for offset in pc.tolist())
    issues, card = np.zeros(len(pc), np.int64), np.zeros((len(pc), len(STALL_REASONS)), np.int64)
    model, place = np.zeros_like(card), np.searchsorted(pc, result.pc)
    issues[place], model[place] = result.pc_issues, result.pc_stalls
    np.add.at(card, (np.searchsorted(pc, found[:, 0]), found[:, 1]), found[:, 2])
    return PcComparison(pc, text, issues, card, model)


def _as_counted(samples: Mapping[str, Mapping[int, int]], result: KernelResult, program: Program) -> np.ndarray:
    """(m, 3) int64: byte offset, reason and number of samples, at the instruction where the model counts them.

    A warp whose EXIT has issued stands behind it on the card and at it in the model. Behind an EXIT stand only such
    warps if nothing ever issues there, and else at least those that drain.
    """
    opcodes = program.instructions.opcode.tolist()
    exits = {pc for pc, opcode in zip(result.pc.tolist(), opcodes) if program.opcodes[opcode].split(".")[0] == "EXIT"}
    issued = set(result.pc[result.pc_issues > 0].tolist())
    rows = []
    for name, counts in samples.items():
        reason = REASONS.get(name, Stall.MISC)
        for offset, count in counts.items():
            before = offset - INSTRUCTION_BYTES
            left = before in exits and (reason == Stall.DRAIN or offset not in issued)
            rows.append((before if left else offset, reason, count))
    return np.array(rows, np.int64)


# ---- distances


def total_variation(one: np.ndarray, other: np.ndarray) -> float:
    """Half the sum of the absolute differences of two distributions, given as weights of one shape, at least one not 0.

    It is the share of one that would have to move to make it the other: 0 where they are equal, 1 where disjoint.
    """
    return float(np.abs(one / one.sum() - other / other.sum()).sum() / 2)


def expected_total_variation(weights: np.ndarray, samples: int) -> float:
    """Mean total variation distance between a distribution and `samples` independent draws from it.

    Half the sum of the mean absolute deviations of binomial counts over their number. De Moivre's closed form of one,
    with n draws of probability p, is 2 n p (1 - p) P[Binomial(n - 1, p) = floor(n p)] (Diaconis and Zabell, Closed Form
    Summation for Classical Distributions, Statistical Science 6(3), 1991).
    """
    probabilities = (weights / weights.sum()).ravel()
    inner = probabilities[(probabilities > 0) & (probabilities < 1)].tolist()
    # Rounding may make n p as large as n.
    return sum(p * (1 - p) * _binomial(samples - 1, min(int(samples * p), samples - 1), p) for p in inner)


def _binomial(n: int, k: int, p: float) -> float:
    """Probability of k successes in n tries; p within 0 and 1."""
    ways = lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
    return exp(ways + k * log(p) + (n - k) * log1p(-p))


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float | None:
    """Spearman's rho of two (n,) arrays, equal values sharing the mean of their ranks (pandas.DataFrame.corr).

    None where all values of one of them are equal, for then there is no order.
    """
    import pandas

    rho = pandas.DataFrame({"one": one, "other": other}).corr("spearman").to_numpy()[0, 1]
    return None if np.isnan(rho) else float(rho)
