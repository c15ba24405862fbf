"""Nsight Compute reports (.ncu-rep): which kernels ran, in what geometry, from which machine code, and the counters.

A report embeds the ELF images that ran, launch facts (`launch__*`), attributes of the device
(`device__attribute_*`), counters, and per-instruction arrays, whose instances are keyed by absolute PC; the
kernel's first PC is `launch__function_pcs`. The arguments of a kernel are not in it. Read through NVIDIA's
`ncu-report` package (extra `[ncu]`), which needs no GPU.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpusim.errors import GpusimError, nearest

if TYPE_CHECKING:
    from gpusim.sass.program import Program

REMEDY = "install it with: pip install 'gpusim[ncu]'"
EXECUTED = "inst_executed"
"""Warp-level executions per instruction, predicated-off ones included."""
EXECUTED_TOTAL = "smsp__inst_executed.sum"
FUNCTION_PC = "launch__function_pcs"
SAMPLES = "smsp__pcsamp_warps_issue_stalled_"
"""Before a stall reason: how often a sampled warp stood at an instruction for it, also while another warp issued."""
NOT_ISSUED = "_not_issued"
"""Ends the names of those of the samples above that fell into cycles in which no warp issued."""

Sizes = tuple[int, int, int]


@dataclass(frozen=True)
class ReportedLaunch:
    """One profiled kernel launch.

    Attributes:
        kernel: mangled name. function: the name in the source. grid, block: (x, y, z). dynamic_shared: bytes per CTA.
        metrics: every metric's value by name, as the report gives it (cycles, percent, bytes, text).
        executed: warp-level executions by byte offset in the kernel, of the instructions that were executed; None
            where the report carries no such counts.
        samples: warp-state samples by stall reason, as Nsight Compute names it, and byte offset in the kernel of the
            instruction at which the sampled warp stood; empty where the report carries none.
    """

    report: Path
    index: int
    kernel: str
    function: str
    grid: Sizes
    block: Sizes
    dynamic_shared: int
    metrics: Mapping[str, Any]
    executed: Mapping[int, int] | None
    samples: Mapping[str, Mapping[int, int]]

    @property
    def label(self) -> str:
        """`vec_add.ncu-rep launch 0`."""
        return f"{self.report.name} launch {self.index}"

    @property
    def executed_total(self) -> int | None:
        """Warp instructions executed by the whole launch, None where the report does not say."""
        value = self.metrics.get(EXECUTED_TOTAL, self.metrics.get(EXECUTED))
        return None if value is None else round(value)

    def number(self, *names: str) -> float | None:
        """Value of the first of these metrics that the report carries, None if it carries none."""
        return next((float(self.metrics[name]) for name in names if self.metrics.get(name) is not None), None)

    def attribute(self, name: str) -> Any:
        """A `device__attribute_*` value. Raises GpusimError where the report lacks it."""
        value = self.metrics.get(f"device__attribute_{name}")
        if value is None:
            raise GpusimError(f"{self.label}: the report lacks device__attribute_{name}; profile with `--set full`")
        return value


class Report:
    """An opened report.

    Raises GpusimError where the file is missing, is no report or holds no kernel, or ncu-report is not installed.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._actions = _actions(self.path)
        self._launches: dict[int, ReportedLaunch] = {}
        self._programs: dict[str, Program] = {}

    def __len__(self) -> int:
        return len(self._actions)

    @cached_property
    def _data(self) -> bytes:
        return self.path.read_bytes()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self._data).hexdigest()

    def kernels(self) -> list[str]:
        """Mangled kernel name of each launch."""
        return [action.name(action.NameBase_MANGLED) for action in self._actions]

    def launch(self, index: int) -> ReportedLaunch:
        """The launch of that index, counted over the whole report. Raises GpusimError where it is not there."""
        if not 0 <= index < len(self):
            raise GpusimError(f"{self.path}: there is no launch {index}; it holds {len(self)}: {self._listing()}")
        if index not in self._launches:
            self._launches[index] = _read_launch(self.path, index, self._actions[index])
        return self._launches[index]

    def find(self, kernel: str | None, index: int | None, origin: str) -> ReportedLaunch:
        """The launch that a launch file means: by index, by the kernel's name or a part of it, or the only one.

        Raises GpusimError naming `origin`, with the nearest kernel name or the list of launches.
        """
        if index is not None:
            launch = self.launch(index)
            if kernel is not None and kernel not in launch.kernel:
                raise GpusimError(f"{origin}: launch {index} of {self.path} is of {launch.kernel}, not '{kernel}'")
            return launch
        mangled, names = self.kernels(), self._names()
        exact = [k for k in range(len(self)) if kernel in (None, mangled[k], names[k])]
        found = exact or [k for k in range(len(self)) if kernel is not None and kernel in mangled[k]]
        if len(found) == 1:
            return self.launch(found[0])
        if not found:
            raise GpusimError(
                f"{origin}: {self.path} holds no kernel '{kernel}'{nearest(kernel or '', names)}; "
                f"it holds {self._listing()}"
            )
        raise GpusimError(f"{origin}: say which with `launch: INDEX`; {self.path} holds {self._listing()}")

    def program(self, launch: ReportedLaunch) -> Program:
        """The machine code that a launch ran. Raises GpusimError where the report does not embed it."""
        if launch.kernel not in self._programs:
            self._programs[launch.kernel] = self._load(launch)
        return self._programs[launch.kernel]

    def _load(self, launch: ReportedLaunch) -> Program:
        from gpusim.sass.cubin import CubinKernels
        from gpusim.sass.fatbin import find_images

        section = f".text.{launch.kernel}\0".encode()
        images = {image for image in find_images(self._data, str(self.path)).found if section in image}
        if len(images) != 1:
            reason = "no image of" if not images else f"{len(images)} different images of"
            raise GpusimError(
                f"{self.path}: the report embeds {reason} kernel {launch.kernel}; profile it again with `--set full`, "
                "or trace the kernel from its .cu or .cubin file"
            )
        source = self.path.name
        return CubinKernels(images.pop(), source, {"source": source}).program(launch.kernel)

    def _names(self) -> list[str]:
        return [action.name(action.NameBase_FUNCTION) for action in self._actions]

    def _listing(self) -> str:
        return ", ".join(f"{k}: {name}" for k, name in enumerate(self._names()))


def _actions(path: Path) -> list[Any]:
    """Every profiled kernel of a report, in order."""
    try:
        import ncu_report
    except ImportError as error:
        raise GpusimError(f"{path}: reading Nsight Compute reports needs ncu-report; {REMEDY}") from error
    if not path.is_file():
        raise GpusimError(f"{path}: no such file")
    try:
        context = ncu_report.load_report(str(path))
        ranges = [context.range_by_idx(k) for k in range(context.num_ranges() or 0)]
        actions = [each.action_by_idx(k) for each in ranges for k in range(each.num_actions())]
    except Exception as error:  # the library raises what it likes
        raise GpusimError(f"{path}: ncu-report cannot read this report: {error}") from error
    if not actions:
        raise GpusimError(f"{path}: not an Nsight Compute report, truncated, or without any kernel")
    for action in actions:
        action.context = context  # the library frees its data with the context
    return actions


def _read_launch(path: Path, index: int, action: Any) -> ReportedLaunch:
    metrics = {}
    for name in action.metric_names():
        metric = action.metric_by_name(name)
        if metric is not None and metric.has_value():
            metrics[name] = metric.value()
    try:
        grid, block = _sizes(metrics, "grid"), _sizes(metrics, "block")
        shared = int(metrics["launch__shared_mem_per_block_dynamic"])
    except KeyError as error:
        raise GpusimError(
            f"{path}: launch {index} lacks {error}: truncated, or profiled without the LaunchStats section; "
            "profile with `--set full`"
        ) from None
    return ReportedLaunch(
        report=path,
        index=index,
        kernel=action.name(action.NameBase_MANGLED),
        function=action.name(action.NameBase_FUNCTION),
        grid=grid,
        block=block,
        dynamic_shared=shared,
        metrics=metrics,
        executed=_by_offset(action, EXECUTED),
        samples=_samples(action),
    )


def _sizes(metrics: Mapping[str, Any], what: str) -> Sizes:
    """Those of a `grid` or a `block`. Raises KeyError where the report lacks one."""
    x, y, z = (int(metrics[f"launch__{what}_dim_{axis}"]) for axis in "xyz")
    return x, y, z


def _samples(action: Any) -> dict[str, dict[int, int]]:
    """Samples by stall reason and byte offset, of the reasons that were seen."""
    names = [name for name in action.metric_names() if name.startswith(SAMPLES) and not name.endswith(NOT_ISSUED)]
    counts = {name.removeprefix(SAMPLES): _by_offset(action, name) or {} for name in names}
    return {reason: each for reason, each in counts.items() if any(each.values())}


def _by_offset(action: Any, name: str) -> dict[int, int] | None:
    """A metric's counts by byte offset from the kernel's first instruction, None where it has none."""
    metric, start = action.metric_by_name(name), action.metric_by_name(FUNCTION_PC)
    if metric is None or start is None or not metric.num_instances() or not start.num_instances():
        return None
    first, pcs = start.as_uint64(0), metric.correlation_ids()
    counts = {}
    for k in range(metric.num_instances()):
        if pc := pcs.as_uint64(k):  # unused instances have address 0
            counts[pc - first] = metric.as_uint64(k)
    return counts
