"""What a file of a Result holds, as models: whatever it says is checked before anything is done with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, get_type_hints

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from gpusim.results.counters import BY_NAME
from gpusim.results.hazards import Hazard
from gpusim.results.result import KernelResult, Result, Stop
from gpusim.results.sampled import Sampled
from gpusim.results.stalls import STALL_REASONS
from gpusim.schema import Strict, check

Count = Annotated[int, Field(ge=0, lt=1 << 63)]
Extent = Annotated[list[Annotated[int, Field(ge=1, lt=1 << 31)]], Field(min_length=3, max_length=3)]
Share = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _mapping_of(record: type) -> Any:
    """The mapping that a plain dataclass is saved as."""
    made: Any = TypedDict  # mypy reads no fields that are computed
    model = made(record.__name__, get_type_hints(record))
    model.__pydantic_config__ = ConfigDict(extra="forbid")
    return model


class SavedKernel(Strict):
    """One KernelResult, as its `as_dict`."""

    name: str
    grid: Extent
    block: Extent
    cycles: Count
    warp_instructions: Count
    thread_instructions: Count
    ipc: Share
    occupancy: Share
    resident_warp_cycles: Count
    stalls: dict[str, Count]
    counters: dict[str, Count]
    seconds: Share
    hazards: list[_mapping_of(Hazard)] | None = None  # type: ignore[valid-type]
    sampled: _mapping_of(Sampled) | None = None  # type: ignore[valid-type]
    pc: list[Count]
    pc_issues: list[Count]
    pc_stalls: list[list[Count]]

    def problem(self) -> str | None:
        """What of it contradicts itself, None where nothing does."""
        if len(self.pc_issues) != len(self.pc) or len(self.pc_stalls) != len(self.pc):
            return "its tables have different numbers of instructions"
        if any(len(row) != len(STALL_REASONS) for row in self.pc_stalls):
            return f"its stall table has not the {len(STALL_REASONS)} reasons"
        if sum(self.pc_issues) != self.warp_instructions:
            return "the issues of its instructions do not add up to its warp instructions"
        if sum(map(sum, self.pc_stalls)) != self.resident_warp_cycles:
            return "the stalls of its instructions do not add up to its resident warp-cycles"
        unknown = [name for name in self.counters if name not in BY_NAME]
        return f"its counters {', '.join(unknown)} are not known" if unknown else None


class SavedResult(Strict):
    """The whole file."""

    format: str
    version: int
    config: str
    kernels: list[SavedKernel]
    totals: dict[str, Any]
    cpu_seconds: Share
    compile_seconds: Share = 0.0
    """Files of before have none."""
    warp_instructions_per_cpu_second: Share
    provenance: dict[str, str]
    sampled: _mapping_of(Sampled) | None = None  # type: ignore[valid-type]
    stopped: _mapping_of(Stop) | None = None  # type: ignore[valid-type]
    checksum: str = ""


def read_saved(data: Mapping[str, Any]) -> Result:
    """The Result of a parsed file. Raises ValueError saying what in it cannot be."""
    saved, problems = check(SavedResult, data, lists=True)
    if saved is None:
        raise ValueError("; ".join(map(str, problems[:5])))
    for number, kernel in enumerate(saved.kernels):
        if problem := kernel.problem():
            raise ValueError(f"kernel {number + 1}: {problem}")
    kernels = tuple(KernelResult.from_dict(kernel) for kernel in data["kernels"])
    stopped = Stop(**data["stopped"]) if "stopped" in data else None
    return Result(
        saved.config, kernels, saved.cpu_seconds, data["provenance"], stopped, compile_seconds=saved.compile_seconds
    )
