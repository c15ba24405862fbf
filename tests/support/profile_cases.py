"""Profiles for tests: a stand-in for the ncu-report package over dictionaries, and files with images that NVRTC made."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sass_cases import compiled

CARD = {
    "display_name": "NVIDIA Test Card", "compute_capability_major": 8, "compute_capability_minor": 6,
    "multiprocessor_count": 20, "max_warps_per_multiprocessor": 48, "max_blocks_per_multiprocessor": 16,
    "max_registers_per_multiprocessor": 65536, "max_shared_memory_per_multiprocessor": 102400,
    "l2_cache_size": 2097152, "l2s_count": 16, "global_memory_bus_width": 128, "clock_rate": 1500000,
    "memory_clock_rate": 7000000,
}  # fmt: skip
"""Attributes of a small Ampere card."""
FIRST_PC = 0x7F0000001000
SOURCE = """
extern "C" __global__ void add(const float *a, const float *b, float *c, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) c[i] = a[i] + b[i];
}
"""
LAUNCH = """
buffers:
  a: {dtype: float32, shape: [1000], fill: random, seed: 1}
  b: {dtype: float32, shape: [1000], fill: random, seed: 2}
  c: {dtype: float32, shape: [1000]}
launches:
  - arguments: [{buffer: a}, {buffer: b}, {buffer: c}, {int32: 1000}]
"""
METRICS = {
    "gpc__cycles_elapsed.max": 3000.0,
    "sm__cycles_active.avg": 400.0,
    "smsp__inst_executed.sum": 512.0,
    "l1tex__t_sectors_pipe_lsu_mem_global_op_ld.sum": 250.0,
    "l1tex__t_sectors_pipe_lsu_mem_global_op_ld_lookup_hit.sum": 50.0,
    "lts__t_sectors_srcunit_tex_op_read.sum": 0.0,
    "lts__t_sectors_srcunit_tex_op_read_lookup_hit.sum": 0.0,
    "gpc__cycles_elapsed.avg.per_second": 1.2e9,
    "dram__cycles_elapsed.avg.per_second": 6.5e9,
    "smsp__average_warps_issue_stalled_wait_per_issue_active.ratio": 2.5,
    "smsp__average_warps_issue_stalled_selected_per_issue_active.ratio": 1.0,
    "sm__inst_executed_pipe_cbu.avg.pct_of_peak_sustained_active": 0.1,
}


class FakeMetric:
    """IMetric of ncu-report: a value, and instances keyed by PC."""

    def __init__(self, value: Any, instances: Mapping[int, int] | None = None) -> None:
        self._value, self._instances = value, list((instances or {}).items())

    def has_value(self) -> bool:
        return self._value is not None

    def value(self) -> Any:
        return self._value

    def num_instances(self) -> int:
        return len(self._instances)

    def as_uint64(self, index: int) -> int:
        return self._instances[index][1]

    def correlation_ids(self) -> FakeMetric:
        return FakeMetric(None, {k: pc for k, (pc, _) in enumerate(self._instances)})


@dataclass
class FakeLaunch:
    """What a profile tells of a launch.

    `executed` by byte offset, None for a profile without such counts; `samples` by stall reason and byte offset.
    """

    kernel: str
    mangled: str
    grid: tuple[int, int, int] = (1, 1, 1)
    block: tuple[int, int, int] = (32, 1, 1)
    executed: dict[int, int] | None = None
    metrics: dict[str, Any] = field(default_factory=dict)
    samples: dict[str, dict[int, int]] = field(default_factory=dict)

    def all_metrics(self) -> dict[str, FakeMetric]:
        found = {f"device__attribute_{name}": FakeMetric(value) for name, value in CARD.items()}
        for what, sizes in (("grid", self.grid), ("block", self.block)):
            found |= {f"launch__{what}_dim_{axis}": FakeMetric(float(n)) for axis, n in zip("xyz", sizes)}
        found["launch__shared_mem_per_block_dynamic"] = FakeMetric(0.0)
        found["launch__function_pcs"] = FakeMetric(float(FIRST_PC), {0: FIRST_PC})
        if self.executed is not None:
            found["inst_executed"] = _by_pc(self.executed)
        for reason, counts in self.samples.items():
            found[f"smsp__pcsamp_warps_issue_stalled_{reason}"] = _by_pc(counts)
            found[f"smsp__pcsamp_warps_issue_stalled_{reason}_not_issued"] = _by_pc(dict.fromkeys(counts, 0))
        return found | {name: FakeMetric(value) for name, value in self.metrics.items()}


def _by_pc(counts: Mapping[int, int]) -> FakeMetric:
    """Counts by byte offset as instances, of which one is unused."""
    return FakeMetric(sum(counts.values()), {FIRST_PC + offset: count for offset, count in counts.items()} | {0: 0})


class FakeAction:
    """IAction of ncu-report."""

    NameBase_FUNCTION, NameBase_DEMANGLED, NameBase_MANGLED = 0, 1, 2

    def __init__(self, launch: FakeLaunch) -> None:
        self._launch, self._metrics = launch, launch.all_metrics()

    def name(self, base: int = 0) -> str:
        return self._launch.mangled if base == self.NameBase_MANGLED else self._launch.kernel

    def metric_names(self) -> list[str]:
        return list(self._metrics)

    def metric_by_name(self, name: str) -> FakeMetric | None:
        return self._metrics.get(name)


class FakeRange:
    def __init__(self, actions: list[FakeAction]) -> None:
        self._actions = actions

    def num_actions(self) -> int:
        return len(self._actions)

    def action_by_idx(self, index: int) -> FakeAction:
        return self._actions[index]


class FakeContext:
    def __init__(self, ranges: list[FakeRange]) -> None:
        self._ranges = ranges

    def num_ranges(self) -> int | None:
        return len(self._ranges) or None

    def range_by_idx(self, index: int) -> FakeRange:
        return self._ranges[index]


def install(monkeypatch: pytest.MonkeyPatch, launches: Mapping[Path, list[FakeLaunch]]) -> None:
    """Make `import ncu_report` give a package that knows these files."""
    module = ModuleType("ncu_report")
    known = {str(path): each for path, each in launches.items()}

    def load_report(path: str) -> FakeContext:
        each = known.get(path)
        return FakeContext([FakeRange([FakeAction(one) for one in each])] if each else [])

    module.load_report = load_report
    monkeypatch.setitem(sys.modules, "ncu_report", module)


def blob(path: Path, source: Path, architecture: int = 86) -> Path:
    """A file that embeds the cubin of a .cu file between other bytes, as reports and executables do."""
    path.write_bytes(b"NVR\0 noise \x7fELF\x02" + compiled(source, architecture).data + b"more noise")
    return path
