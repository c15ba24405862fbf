"""Executed warp instructions by pipe: a report's `sm__inst_executed_pipe_*` beside what the opcode tables give.

Reports have most of them as a share of the pipe's peak in active or elapsed cycles; with these cycles and the peak they
are counts again, whole numbers in every report seen. A functional run's counts by opcode and `isa/*.yaml` give the
model's, which no timing enters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gpusim.results.columns import PIPE_COUNTERS, PIPE_INSTRUCTIONS
from gpusim.sass.isa import Isa, load_isa
from gpusim.sass.program import OperandKind, Program
from gpusim.sass.reports import ReportedLaunch

UNKNOWN = frozenset({"cbu_pred_on_any", "fmaheavy"})
"""Counters that executed opcodes do not fix: one leaves out instructions whose predicate is off in all lanes, the other
has a share of FP32's that depends on what the pipes are doing."""

# Warp instructions per cycle and SM: the values with which the counts of the reports in validation/hardware/pipes.csv
# come out as whole numbers, and where their opcodes leave no doubt as those of the opcodes.
_PEAKS: Mapping[str, float] = {
    "adu": 1 / 2, "alu": 2, "cbu": 4, "cbu_pred_on_any": 1, "fp64_op_fp64": 1 / 16, "tensor_op_hmma": 2,
    "tensor_op_imma": 1, "tex": 1 / 2, "uniform": 2, "xu": 1 / 2,
}  # fmt: skip
_PEAKS_OF: Mapping[int, Mapping[str, float]] = {
    75: {"fma": 2, "lsu": 1 / 2},
    80: {"fma": 2, "lsu": 1},
    86: {"fma": 4, "lsu": 1 / 2},
    89: {"fma": 4, "lsu": 1 / 2},
    90: {"fma": 4, "lsu": 1},
}
_ISSUE_PEAK = 4
"""Warp instructions that an SM's four sub-cores issue in a cycle."""
_PERCENT = 100


@dataclass(frozen=True)
class PipeCount:
    """Executed warp instructions by one counter, `sm__inst_executed_pipe_<name>`; None where they are not known."""

    name: str
    card: float | None
    model: int | None


def instruction_mix(program: Program, executed: np.ndarray) -> Counter[str]:
    """Executed warp instructions by spelling, as `Isa.pipes` takes it; of those that were executed.

    executed: (n,) counts of the static instructions.
    """
    mix: Counter[str] = Counter()
    for index, count in enumerate(executed.tolist()):
        if count:
            read = [o for o in program.operands_of(index) if o.kind == OperandKind.SPECIAL_REGISTER]
            names = [program.special_registers[o.immediate] for o in read]
            mix[" ".join([program.opcode_of(index), *names])] += count
    return mix


def by_pipe(mix: Mapping[str, int], isa: Isa) -> Counter[str]:
    """Warp instructions by pipe counter, of executed ones by spelling; those that no opcode adds to are 0."""
    pipes: Counter[str] = Counter()
    for spelling, count in mix.items():
        pipes.update(dict.fromkeys(isa.pipes(spelling), count))
    return pipes


def reported_pipes(launch: ReportedLaunch, executed: int) -> dict[str, float | None]:
    """Warp instructions by the pipe counters that a report has, None where the counter's peak is not known.

    executed: all warp instructions, to tell from a share of elapsed cycles where the report does not say how many.
    """
    cycles = {"active": launch.number("sm__cycles_active.avg"), "elapsed": elapsed_cycles(launch, executed)}
    counts: dict[str, float | None] = {}
    for name in PIPE_COUNTERS:
        metric = PIPE_INSTRUCTIONS.format(name)
        shares = {kind: launch.number(f"{metric}.avg.pct_of_peak_sustained_{kind}") for kind in cycles}
        known = [(share, cycles[kind]) for kind, share in shares.items() if share is not None]
        if (total := launch.number(f"{metric}.sum")) is not None:
            counts[name] = total
        elif known:
            counts[name] = _from_share(launch, name, *known[0])
    return counts


def _from_share(launch: ReportedLaunch, name: str, share: float, cycles: float | None) -> float | None:
    """Warp instructions of a counter that is given in percent of its peak over `cycles`, a mean over the SMs."""
    architecture = 10 * launch.attribute("compute_capability_major") + launch.attribute("compute_capability_minor")
    peak = _PEAKS_OF.get(int(architecture), {}).get(name, _PEAKS.get(name))
    if share == 0:
        return 0.0
    if peak is None or cycles is None:
        return None
    return share / _PERCENT * peak * cycles * launch.attribute("multiprocessor_count")


def elapsed_cycles(launch: ReportedLaunch, executed: int) -> float | None:
    """Mean over the SMs; where the report does not have it, by the instructions' share of what could issue meanwhile.

    executed: all warp instructions. None where the report has neither.
    """
    share = launch.number("sm__inst_executed.avg.pct_of_peak_sustained_elapsed")
    told = launch.number("sm__cycles_elapsed.avg")
    if told is not None or not share:
        return told
    return executed / (share / _PERCENT * _ISSUE_PEAK * launch.attribute("multiprocessor_count"))


def compare_pipes(launch: ReportedLaunch, program: Program, executed: np.ndarray) -> tuple[PipeCount, ...]:
    """The pipe counters that a report has beside the model's; `executed` as `instruction_mix` takes it."""
    model = by_pipe(instruction_mix(program, executed), load_isa(program.architecture))
    card = reported_pipes(launch, launch.executed_total or int(executed.sum()))
    return tuple(PipeCount(name, count, None if name in UNKNOWN else model[name]) for name, count in card.items())
