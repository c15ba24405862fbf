"""What a trace holds: the figures behind `gpusim trace info`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gpusim.trace.trace import Launch, Trace


@dataclass(frozen=True)
class LaunchInfo:
    """Figures of one launch.

    Attributes:
        opcodes: executed warp instructions per opcode spelling, most frequent first; predicated-off ones count.
    """

    name: str
    architecture: int
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    registers: int
    shared_bytes: int
    static_instructions: int
    warps: int
    warp_instructions: int
    thread_instructions: int
    memory_records: int
    explicit_addresses: int
    opcodes: dict[str, int]


@dataclass(frozen=True)
class TraceInfo:
    """Figures of a whole trace; `bytes` is what its folder takes on disk, 0 for a trace in memory."""

    launches: tuple[LaunchInfo, ...]
    provenance: dict[str, str]
    bytes: int

    @property
    def warp_instructions(self) -> int:
        return sum(launch.warp_instructions for launch in self.launches)

    @property
    def thread_instructions(self) -> int:
        return sum(launch.thread_instructions for launch in self.launches)

    @property
    def bytes_per_instruction(self) -> float:
        """Bytes on disk per warp instruction, everything included."""
        return self.bytes / max(self.warp_instructions, 1)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready values, totals included."""
        return asdict(self) | {
            "warp_instructions": self.warp_instructions,
            "thread_instructions": self.thread_instructions,
            "bytes_per_instruction": round(self.bytes_per_instruction, 3),
        }


def folder_bytes(path: Path) -> int:
    """Sizes of all files in a trace folder."""
    return sum(file.stat().st_size for file in path.iterdir() if file.is_file())


def trace_info(trace: Trace, path: Path | None = None) -> TraceInfo:
    """Read every chunk once and count. Raises GpusimError where the trace is damaged."""
    size = folder_bytes(path) if path is not None else 0
    return TraceInfo(tuple(launch_info(launch) for launch in trace.launches), dict(trace.provenance), size)


def launch_info(launch: Launch) -> LaunchInfo:
    """Count one launch's instructions; one chunk is in memory at a time."""
    program = launch.program
    executed = np.zeros(len(program), np.int64)
    threads = records = addresses = 0
    for chunk in launch.parts():
        executed += np.bincount(chunk.index, minlength=len(program))
        threads += int(np.bitwise_count(chunk.mask).sum(dtype=np.int64))
        records += len(chunk.records)
        addresses += len(chunk.addresses)
    per_opcode = np.zeros(len(program.opcodes), np.int64)
    np.add.at(per_opcode, program.instructions.opcode, executed)
    return LaunchInfo(
        name=program.name,
        architecture=program.architecture,
        grid=launch.grid,
        block=launch.block,
        registers=program.registers,
        shared_bytes=launch.shared_bytes,
        static_instructions=len(program),
        warps=launch.cta_count * launch.warps_per_cta,
        warp_instructions=int(executed.sum()),
        thread_instructions=threads,
        memory_records=records,
        explicit_addresses=addresses,
        opcodes=_most_frequent(zip(program.opcodes, per_opcode.tolist())),
    )


def _most_frequent(counts: Iterable[tuple[str, int]]) -> dict[str, int]:
    return dict(sorted(((name, count) for name, count in counts if count), key=lambda pair: -pair[1]))
