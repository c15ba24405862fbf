"""Result: what a simulation measured, per kernel and per PC. Plain arrays, immutable, saved and loaded losslessly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from gpusim import sealed
from gpusim.display import counted, dimensions, html_table
from gpusim.errors import GpusimError
from gpusim.immutable import Picklable
from gpusim.plainfile import read_bytes
from gpusim.results.columns import KERNEL_FRAME, LAUNCH, NUMBERS, kernel_row, titles
from gpusim.results.counters import BY_NAME
from gpusim.results.files import OutputFile, replacing
from gpusim.results.hazards import Hazard
from gpusim.results.sampled import Sampled, overall
from gpusim.results.stalls import STALL_REASONS
from gpusim.results.timeline import TIMELINE_DTYPE

if TYPE_CHECKING:
    import pandas

    from gpusim.sass.program import Program

FORMAT = "gpusim-result"
VERSION = 2
UNSEALED_VERSION = 1
"""Its files carry no checksum and are still read."""
FOREIGN = "foreign_code"
"""Key of the provenance that says what machine code was simulated on a card that does not run it."""
UNLISTED = "unlisted_opcodes"
"""Key of the provenance that names the opcodes, sorted, that were timed as their likely class."""


@dataclass(frozen=True, eq=False)
class KernelResult(Picklable):
    """One simulated kernel launch.

    Attributes:
        name: kernel name. grid, block: (x, y, z).
        cycles: core clock cycles from the first CTA's launch to the end of the last.
        warp_instructions: issued, predicated-off ones included. thread_instructions: lanes that executed.
        counters: events by name; every name is in gpusim.results.counters.
        pc: (n,) int64 byte offsets of the static instructions.
        pc_issues: (n,) int64 issues per static instruction.
        pc_stalls: (n, reasons) int64 warp-cycles per static instruction and reason, columns as STALL_REASONS.
        resident_warp_cycles: sum over cycles of resident warps; equals the sum of pc_stalls and of stalls.
        occupancy: mean resident warps per active SM cycle over the SM's warp slots, 0..1.
        seconds: CPU seconds that simulating it took, without compiling.
        timeline: (warp_instructions,) TIMELINE_DTYPE, or None where none was recorded; not part of the JSON file.
        hazards: what the hazard checker found, None where it did not look.
        sampled: how it was sampled, None where every instruction was simulated. If it was, all figures but the warp
            instructions are estimates.
        program: the kernel's instructions, None in a result that was loaded; not part of the JSON file.
    """

    name: str
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    cycles: int
    warp_instructions: int
    thread_instructions: int
    counters: Mapping[str, int]
    pc: np.ndarray
    pc_issues: np.ndarray
    pc_stalls: np.ndarray
    resident_warp_cycles: int
    occupancy: float
    seconds: float
    timeline: np.ndarray | None = None
    hazards: tuple[Hazard, ...] | None = None
    sampled: Sampled | None = None
    program: Program | None = None

    def __post_init__(self) -> None:
        for name in ("pc", "pc_issues", "pc_stalls"):
            array = np.array(getattr(self, name), dtype=np.int64)
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        object.__setattr__(self, "counters", MappingProxyType(dict(self.counters)))
        if self.pc_issues.shape != self.pc.shape or self.pc_stalls.shape != (len(self.pc), len(STALL_REASONS)):
            raise ValueError(f"per-PC tables of {self.name} do not fit: {self.pc_issues.shape}, {self.pc_stalls.shape}")
        if unknown := [name for name in self.counters if name not in BY_NAME]:
            raise ValueError(f"counters {unknown} are not in the table of gpusim.results.counters")
        if self.timeline is not None and self.timeline.dtype != TIMELINE_DTYPE:
            raise ValueError("the timeline is not a table of TIMELINE_DTYPE")

    @property
    def ipc(self) -> float:
        """Warp instructions per cycle, all SMs together."""
        return self.warp_instructions / self.cycles if self.cycles else 0.0

    @property
    def stalls(self) -> dict[str, int]:
        """Warp-cycles by reason, all reasons, in the order of STALL_REASONS."""
        return dict(zip(STALL_REASONS, self.pc_stalls.sum(axis=0).tolist()))

    @property
    def warp_instructions_per_cpu_second(self) -> float:
        return self.warp_instructions / self.seconds if self.seconds > 0 else 0.0

    def __repr__(self) -> str:
        sizes = f"grid {dimensions(self.grid)}, block {dimensions(self.block)}"
        return f"<KernelResult {self.name}: {sizes}, {_cycles(self.cycles, self.sampled)}>"

    def _repr_html_(self) -> str:
        row = kernel_row(0, self.summary())
        shown = [column for column in KERNEL_FRAME if column not in LAUNCH and row.get(column.name)]
        rows = ((column.name, row[column.name], column.unit) for column in shown)
        return html_table(repr(self), ("figure", "value", "unit"), rows, titles(KERNEL_FRAME))

    def pc_frame(self, program: Program | None = None) -> pandas.DataFrame:
        """A row per static instruction: pc, opcode, text, issues, and warp-cycles by stall reason.

        program: needed for opcode and text where the result was loaded from a file; else the kernel's own is known.
        Units are in `attrs["units"]`. Raises GpusimError where the program is not the kernel's.
        """
        from gpusim.results import frames

        return frames.pc_frame(self, self.program if program is None else program)

    def timeline_frame(self, program: Program | None = None) -> pandas.DataFrame:
        """A row per issued warp instruction with the cycle of each stage, missing where it has no such stage.

        Units are in `attrs["units"]`. Raises GpusimError where no timeline was recorded.
        """
        from gpusim.results import frames

        return frames.timeline_frame(self, self.program if program is None else program)

    def summary(self) -> dict[str, Any]:
        """JSON-ready row without the per-PC tables."""
        row = {
            "name": self.name,
            "grid": list(self.grid),
            "block": list(self.block),
            "cycles": self.cycles,
            "warp_instructions": self.warp_instructions,
            "thread_instructions": self.thread_instructions,
            "ipc": self.ipc,
            "occupancy": self.occupancy,
            "resident_warp_cycles": self.resident_warp_cycles,
            "stalls": self.stalls,
            "counters": dict(self.counters),
            "seconds": self.seconds,
        }
        if self.sampled is not None:
            row["sampled"] = asdict(self.sampled)
        return row if self.hazards is None else row | {"hazards": [hazard.as_dict() for hazard in self.hazards]}

    def as_dict(self) -> dict[str, Any]:
        """`summary` and the per-PC tables (stalls as one row per PC)."""
        tables = {name: getattr(self, name).tolist() for name in ("pc", "pc_issues", "pc_stalls")}
        return self.summary() | tables

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> KernelResult:
        """Inverse of `as_dict`. Raises KeyError or ValueError where the data is not one."""
        plain = (
            "name",
            "cycles",
            "warp_instructions",
            "thread_instructions",
            "resident_warp_cycles",
            "occupancy",
            "seconds",
        )
        return cls(
            grid=tuple(data["grid"]),
            block=tuple(data["block"]),
            counters=data["counters"],
            pc=np.array(data["pc"], dtype=np.int64),
            pc_issues=np.array(data["pc_issues"], dtype=np.int64),
            pc_stalls=np.array(data["pc_stalls"], dtype=np.int64).reshape(-1, len(STALL_REASONS)),
            hazards=tuple(Hazard(**hazard) for hazard in data["hazards"]) if "hazards" in data else None,
            sampled=Sampled(**data["sampled"]) if "sampled" in data else None,
            **{key: data[key] for key in plain},
        )


def _cycles(count: int, sampled: Sampled | None) -> str:
    """How a repr says them: `12,345 cycles`, with their error where they are an estimate."""
    error = f" ± {sampled.error_estimate:.1f} % (sampled)" if sampled else ""
    return counted(count, "cycle") + error


@dataclass(frozen=True)
class Stop:
    """Where a simulation stopped before the trace's end.

    Attributes:
        reason: `interrupted`, `error`, or `running` in a file saved on the way.
        kernel, name: the first kernel without a result, counted from 0. kernels: launches of the trace.
        cycle: how far it had come, in core clock cycles.
    """

    reason: str
    kernel: int
    kernels: int
    name: str
    cycle: int


@dataclass(frozen=True, eq=False)
class Result(Picklable):
    """A simulated trace: one KernelResult per kernel, in launch order.

    Attributes:
        config: name of the configuration. provenance: trace, overrides, gpusim version, free-form strings.
        cpu_seconds: process CPU seconds of the whole simulation, all threads, reading the trace included.
        stopped: where the simulation stopped early, None for a whole result.
        compile_seconds: process CPU seconds that went into compiling the simulator itself, which a first run does;
            not part of cpu_seconds.
    """

    config: str
    kernels: tuple[KernelResult, ...]
    cpu_seconds: float
    provenance: Mapping[str, str] = field(default_factory=dict)
    stopped: Stop | None = None
    compile_seconds: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "provenance", MappingProxyType(dict(self.provenance)))

    def __repr__(self) -> str:
        cycles = sum(kernel.cycles for kernel in self.kernels)
        stop = self.stopped
        where = f", stopped ({stop.reason}) in kernel {stop.kernel + 1} of {stop.kernels}" if stop else ""
        total = _cycles(cycles, self.sampled)
        return f"<Result {self.config}: {counted(len(self.kernels), 'kernel')}, {total}{where}>"

    def _repr_html_(self) -> str:
        headings = [column.name for column in (*LAUNCH, *NUMBERS)]
        rows = (
            {**kernel_row(k, each.summary()), "grid": dimensions(each.grid), "block": dimensions(each.block)}
            for k, each in enumerate(self.kernels)
        )
        cells = ([row[name] for name in headings] for row in rows)
        return html_table(repr(self), headings, cells, titles(KERNEL_FRAME))

    def to_frame(self) -> pandas.DataFrame:
        """A row per launch: kernel, grid, block, cycles and the other figures, `stall_NAME`, counters.

        Units are in `attrs["units"]`.
        """
        from gpusim.results.frames import result_frame

        return result_frame(self.kernels)

    @property
    def warp_instructions(self) -> int:
        return sum(kernel.warp_instructions for kernel in self.kernels)

    @property
    def warp_instructions_per_cpu_second(self) -> float:
        return self.warp_instructions / self.cpu_seconds if self.cpu_seconds > 0 else 0.0

    @property
    def sampled(self) -> Sampled | None:
        """The mark of all kernels together, None where every instruction was simulated."""
        return overall(self.kernels)

    def totals(self) -> dict[str, Any]:
        """Sums over kernels, which run one after another; ipc is the mean over all cycles."""
        keys = ("cycles", "warp_instructions", "thread_instructions", "resident_warp_cycles")
        sums: dict[str, Any] = {key: sum(getattr(kernel, key) for kernel in self.kernels) for key in keys}
        sums["ipc"] = sums["warp_instructions"] / sums["cycles"] if sums["cycles"] else 0.0
        rows = [kernel.stalls for kernel in self.kernels]
        sums["stalls"] = {reason: sum(row[reason] for row in rows) for reason in STALL_REASONS}
        return sums

    def summary(self) -> dict[str, Any]:
        """The object that `gpusim run --json` prints."""
        row = {
            "config": self.config,
            "kernels": [kernel.summary() for kernel in self.kernels],
            "totals": self.totals(),
            "cpu_seconds": self.cpu_seconds,
            "compile_seconds": self.compile_seconds,
            "warp_instructions_per_cpu_second": self.warp_instructions_per_cpu_second,
            "provenance": dict(self.provenance),
        }
        if mark := self.sampled:
            row["sampled"] = asdict(mark)
        return row if self.stopped is None else row | {"stopped": asdict(self.stopped)}

    def save(self, path: OutputFile | Path | str) -> None:
        """Write everything but timelines as JSON with a checksum. Raises GpusimError where it cannot be written."""
        data = {"format": FORMAT, "version": VERSION} | self.summary()
        data["kernels"] = [kernel.as_dict() for kernel in self.kernels]
        with replacing(path) as file:
            file.write(sealed.seal(json.dumps(data, separators=(",", ":"))))

    @classmethod
    def load(cls, path: Path | str) -> Result:
        """Read what `save` wrote. Raises GpusimError where the file is missing, edited, or of another version."""
        from gpusim.results.saved import read_saved

        remedy = "`gpusim run --output` makes one"
        data = read_bytes(path, f"a saved result ({remedy})")
        try:
            return read_saved(sealed.parse(data, FORMAT, VERSION, UNSEALED_VERSION))
        except ValueError as error:
            raise GpusimError(f"{path}: not a saved result: {error}; {remedy}") from error
