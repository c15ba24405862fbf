"""The columns of all tables: name, unit, meaning, and what Nsight Compute calls the same.

Frames take their units from here, notebooks their tooltips, and docs/python.md its tables (a test compares them).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from gpusim.results.counters import COUNTERS
from gpusim.results.stalls import STALL_MEANINGS
from gpusim.sass.isa import Pipe

STALL_RATIO = "smsp__average_warps_issue_stalled_{}_per_issue_active.ratio"
"""Nsight Compute's name of a stall reason's warp-cycles per issued instruction."""
PC_SAMPLES = "smsp__pcsamp_sample_count"
"""Nsight Compute's name of the number of warp-state samples."""
PIPE_INSTRUCTIONS = "sm__inst_executed_pipe_{}"
"""Nsight Compute's name of a pipe's counter of executed warp instructions."""
PIPE_COUNTERS: tuple[str, ...] = tuple(sorted((*get_args(Pipe), "cbu_pred_on_any")))
"""Such counters; the last is of those CBU instructions whose predicate is on in some lane."""


@dataclass(frozen=True)
class Column:
    """One column. unit: empty for names and plain numbers. nsight: empty where Nsight Compute has no such metric."""

    name: str
    unit: str
    meaning: str
    nsight: str = ""

    @property
    def title(self) -> str:
        """Meaning, unit and Nsight name in one line, for who points at the column."""
        unit = f" [{self.unit}]" if self.unit else ""
        return f"{self.meaning}{unit}" + (f"; Nsight Compute: {self.nsight}" if self.nsight else "")


STALLS: tuple[Column, ...] = tuple(
    Column(f"stall_{reason.name.lower()}", "warp-cycle", meaning, STALL_RATIO.format(reason.name.lower()))
    for reason, meaning in STALL_MEANINGS.items()
)
"""Warp-cycles by reason; divided by the warp instructions they are the ratios of Nsight Compute."""

LAUNCH: tuple[Column, ...] = (
    Column("launch", "", "number of the launch in its trace, from 0"),
    Column("kernel", "", "kernel name"),
    Column("grid", "CTA", "CTAs in x, y, z"),
    Column("block", "thread", "threads of a CTA in x, y, z"),
)
"""Which launch a row is of."""

NUMBERS: tuple[Column, ...] = (
    Column(
        "cycles", "cycle", "core clock cycles from the first CTA's launch to the last's end", "gpc__cycles_elapsed.max"
    ),
    Column("warp_instructions", "warp instruction", "issued, predicated-off ones included", "smsp__inst_executed.sum"),
    Column(
        "thread_instructions", "thread instruction", "lanes that executed", "smsp__thread_inst_executed_pred_on.sum"
    ),
    Column("ipc", "warp instruction/cycle", "warp instructions per cycle, all SMs together"),
    Column("occupancy", "", "mean resident warps per active SM cycle over the SM's warp slots, 0 to 1"),
    Column("resident_warp_cycles", "warp-cycle", "sum over cycles of resident warps; equals the sum of all stalls"),
    Column("seconds", "s", "CPU seconds that simulating the launch took"),
)

KERNEL_FRAME: tuple[Column, ...] = (
    *LAUNCH,
    *NUMBERS,
    *STALLS,
    *(Column(counter.name, counter.unit, counter.meaning, counter.nsight) for counter in COUNTERS),
)
"""Of a row per launch: Result.to_frame, and Sweep.to_frame beside its own."""

SAMPLING_FRAME: tuple[Column, ...] = (
    Column("sampled_share", "", "of the warp instructions that were simulated, 0 to 1; missing where all were"),
    Column("error_estimate", "%", "half of the 95 % confidence interval of the cycles; the row is an estimate"),
)
"""Behind KERNEL_FRAME where a launch was sampled."""

SWEEP_FRAME: tuple[Column, ...] = (
    Column("trace", "", "what the sweep calls the trace"),
    Column("point", "", "the configuration: what is set at this point; a column for each key follows"),
)
ERROR_COLUMN = Column(
    "error", "", "why the run failed, which then has one row without figures; missing where it did not"
)

INSTRUCTION_FRAME: tuple[Column, ...] = (
    Column("pc", "byte", "offset of the instruction in its kernel"),
    Column("opcode", "", "with all modifiers"),
    Column("text", "", "assembly"),
    Column("issues", "warp instruction", "how often it issued", "inst_executed"),
    *STALLS,
)
"""Of a row per static instruction: KernelResult.pc_frame."""

TIMELINE_FRAME: tuple[Column, ...] = (
    Column("sm", "", "number of the SM"),
    Column("sub_core", "", "number of the sub-core in its SM"),
    Column("warp", "", "warp slot in the sub-core"),
    Column("sequence", "", "the how-manieth instruction of its warp, from 0"),
    Column("pc", "byte", "offset of the instruction in its kernel"),
    Column("opcode", "", "with all modifiers"),
    *(
        Column(stage, "cycle", f"when the instruction {what}; missing where it has no such stage")
        for stage, what in (
            ("issue", "issued, counted from the first CTA"),
            ("control", "was in Control"),
            ("allocate", "got its register read ports"),
            ("read", "read its registers"),
            ("execute", "entered its unit"),
            ("write_back", "wrote its result"),
        )
    ),
)
"""Of a row per issued warp instruction: KernelResult.timeline_frame."""

_SIDES = {"card": "measured", "model": "simulated"}
COMPARISON_FRAME: tuple[Column, ...] = (
    Column("kernel", "", "kernel name"),
    Column("source", "", "report and launch, or file and line of the measurement"),
    Column("card", "", "name of the configuration"),
    *(
        Column(f"{name}_{side}", unit, f"{meaning}, {word}", nsight)
        for name, unit, meaning, nsight in (
            ("cycles", "cycle", "from launch to end", "gpc__cycles_elapsed.max"),
            ("active_cycles", "cycle", "with a resident warp, mean over the SMs", "sm__cycles_active.avg"),
            ("warp_instructions", "warp instruction", "executed", "smsp__inst_executed.sum"),
            ("l1_hits", "%", "of the sectors that global loads look up in L1", ""),
            ("l2_hits", "%", "of the sectors that SMs read from L2", ""),
        )
        for side, word in _SIDES.items()
    ),
    Column("error_percent", "%", "(simulated - measured) / measured of the cycles"),
    Column("counts_differ", "", "whether an instruction executed more or less often than the report says"),
    Column("cpu_seconds", "s", "CPU seconds that the simulation took"),
    Column("samples", "sample", "warp-state samples, measured; missing where there are none", PC_SAMPLES),
    Column("pc_correlation", "", "Spearman's rank correlation of samples and warp-cycles by instruction, -1 to 1"),
    Column("pc_distance", "", "total variation distance of samples and warp-cycles by instruction, 0 to 1"),
    Column("pc_distance_chance", "", "mean of pc_distance if as many samples were drawn from the model"),
    Column("pc_reason_distance", "", "total variation distance by instruction and stall reason, 0 to 1"),
    Column("pc_reason_distance_chance", "", "mean of pc_reason_distance if as many samples were drawn from the model"),
    *(
        Column(f"pipe_{name}_{side}", "warp instruction", f"executed, {word}", PIPE_INSTRUCTIONS.format(name))
        for name in PIPE_COUNTERS
        for side, word in _SIDES.items()
    ),
    *(
        Column(f"{reason.name.lower()}_{side}", "warp-cycle/warp instruction", f"{meaning}, {word}", stall.nsight)
        for (reason, meaning), stall in zip(STALL_MEANINGS.items(), STALLS)
        for side, word in _SIDES.items()
    ),
)
"""Of a row per compared kernel: what gpusim.compare gives."""

PC_COMPARISON_FRAME: tuple[Column, ...] = (
    *COMPARISON_FRAME[:2],
    Column("pc", "byte", "offset of the instruction in its kernel"),
    Column("text", "", "assembly"),
    Column("issues", "warp instruction", "how often it issued, simulated", "inst_executed"),
    Column("samples", "sample", "of warps that stood at it, measured", PC_SAMPLES),
    Column("warp_cycles", "warp-cycle", "of warps that stood at it, simulated"),
    Column("card_percent", "%", "of the kernel's samples"),
    Column("model_percent", "%", "of the kernel's warp-cycles"),
    *(
        Column(f"{reason.name.lower()}_{side}", "%", f"of the kernel's {what}: {meaning}", nsight)
        for reason, meaning in STALL_MEANINGS.items()
        for side, what, nsight in (
            ("card", "samples", f"smsp__pcsamp_warps_issue_stalled_{reason.name.lower()}"),
            ("model", "warp-cycles", ""),
        )
    ),
)
"""Of a row per instruction of a compared kernel with samples: Comparisons.pc_frame, `gpusim compare --per-pc`."""


def titles(columns: Sequence[Column]) -> dict[str, str]:
    """What a reader sees who points at a column, by its name."""
    return {column.name: column.title for column in columns}


def markdown(columns: Sequence[Column]) -> Iterator[str]:
    """Lines of a Markdown table."""
    yield "| column | unit | meaning | Nsight Compute |"
    yield "|---|---|---|---|"
    for column in columns:
        metric = f"`{column.nsight}`" if column.nsight else ""
        yield f"| `{column.name}` | {column.unit} | {column.meaning} | {metric} |"


def kernel_row(launch: int, summary: Mapping) -> dict[str, object]:
    """A row of KERNEL_FRAME from KernelResult.summary, as it is or read back from JSON."""
    row: dict[str, object] = {"launch": launch, "kernel": summary["name"]}
    row |= {name: tuple(summary[name]) for name in ("grid", "block")}
    row |= {column.name: summary[column.name] for column in NUMBERS if column.name in summary}
    row |= {f"stall_{reason}": cycles for reason, cycles in summary["stalls"].items()}
    if mark := summary.get("sampled"):
        row |= {"sampled_share": mark["share"], "error_estimate": mark["error_estimate"]}
    return row | summary["counters"]
