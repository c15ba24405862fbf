"""Measurements behind `gpusim bench`: every figure comes from a fresh process."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gpusim import resources, yamlfile
from gpusim.cli.doctor import SELF_RUN, SELF_RUN_CONFIG
from gpusim.errors import GpusimError
from gpusim.inputs import ARCHITECTURES, find_trace, load_source
from gpusim.schema import Strict, load

if TYPE_CHECKING:
    from gpusim.trace.trace import Trace

SUITE = "bench/bench.yaml"
"""The kernels measured by default, in the folder of traces; a wheel does not carry it."""


@dataclass(frozen=True)
class Benchmark:
    """One row of the benchmark.

    Attributes:
        name, what: how tables call and explain it. source: trace or .sass file (its launch file beside it).
        config: card. launch: number of the one launch to simulate, None for all.
        threads: compare the wall time of one and two threads.
    """

    name: str
    source: str
    config: str
    what: str = ""
    launch: int | None = None
    threads: bool = False


@dataclass(frozen=True)
class StartUp:
    """Seconds of one fresh process."""

    cpu: float
    wall: float


class KernelData(Strict):
    """One kernel of SUITE, as Benchmark says; `trace`: its source, in the folder of traces."""

    name: str
    trace: str
    what: str = ""
    launch: int | None = None
    threads: bool = False


class SuiteData(Strict):
    config: str
    kernels: tuple[KernelData, ...]


def suite() -> list[Benchmark]:
    """The kernels of SUITE. Raises GpusimError where there is none, as in a wheel."""
    root = resources.find("traces")
    if not (root / SUITE).is_file():
        raise GpusimError(f"the benchmark's kernels are only in the repository; name a trace, as {SELF_TRACE}")
    data = load(SuiteData, yamlfile.read(root / SUITE))
    return [
        Benchmark(source=str(root / entry.trace), config=data.config, **entry.model_dump(exclude={"trace"}))
        for entry in data.kernels
    ]


SELF_TRACE = "ampere/sgemm"
"""The trace that a wheel carries."""


def start_up() -> tuple[StartUp, StartUp]:
    """Seconds of `gpusim run` on a trace of four instructions, so that hardly anything but starting up is measured.

    Each in a fresh process; the first with an empty cache folder, the second with the one that the first filled.
    """
    from gpusim.emulator.tracing import trace_kernel

    with tempfile.TemporaryDirectory(prefix="gpusim-bench-") as folder:
        source, trace = Path(folder) / "start.sass", Path(folder) / "trace"
        source.write_text(SELF_RUN)
        trace_kernel(source, None, trace)
        command = [sys.executable, "-m", "gpusim.cli.main", "run", "--config", SELF_RUN_CONFIG, str(trace), "--json"]
        environment = os.environ | {"GPUSIM_CACHE_DIR": str(Path(folder) / "cache")}
        return timed(command, environment), timed(command, environment)


def timed(command: list[str], environment: dict[str, str]) -> StartUp:
    """Seconds of a command. Raises GpusimError where it fails."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    _checked(command, environment)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return StartUp(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall)


def measure(row: Benchmark, repeat: int) -> dict:
    """One kernel in a fresh process: figures of `_worker` and the row's own."""
    row = replace(row, source=str(find_trace(row.source)))
    command = [sys.executable, "-m", "gpusim.cli.bench_worker", json.dumps(asdict(row)), str(repeat)]
    return asdict(row) | json.loads(_checked(command, dict(os.environ)))


def _checked(command: list[str], environment: dict[str, str]) -> str:
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    except OSError as error:
        raise GpusimError(f"{command[0]}: cannot be run ({error.strerror or error})") from error
    if done.returncode:
        raise GpusimError(f"{' '.join(command)} failed with exit code {done.returncode}:\n{done.stderr.strip()}")
    return done.stdout


def opener(row: Benchmark) -> Callable[[], Trace]:
    """What gives the trace: a stored one is opened, and so read, anew each time; a .sass file is executed once."""
    path = Path(row.source)
    if path.is_dir():
        return lambda: _chosen(load_source(row.source, None, ARCHITECTURES["sm_86"]), row)
    launch = path.with_suffix(".yaml")
    trace = _chosen(load_source(row.source, str(launch) if launch.exists() else None, ARCHITECTURES["sm_86"]), row)
    return lambda: trace


def _chosen(trace: Trace, row: Benchmark) -> Trace:
    return trace if row.launch is None else replace(trace, launches=(trace.launches[row.launch],))


def _worker(row: Benchmark, repeat: int) -> dict:
    """Simulate once to load compiled code, then `repeat` times; CPU seconds are the process's own."""
    from gpusim.config import load_config
    from gpusim.model.setup.simulate import RunOptions, simulate

    config, seconds, opened = load_config(row.config), [], opener(row)
    for _ in range(repeat + 1):
        start = time.process_time()
        result = simulate(opened(), config, RunOptions())
        seconds.append(time.process_time() - start)
    median = statistics.median(seconds[1:])
    figures = {
        "warp_instructions": result.warp_instructions,
        "cycles": result.totals()["cycles"],
        "cpu_seconds": median,
        "cpu_seconds_spread": [min(seconds[1:]), max(seconds[1:])],
        "warp_instructions_per_cpu_second": result.warp_instructions / median,
        "cycles_per_cpu_second": result.totals()["cycles"] / median,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    if row.threads:

        def wall(threads: int) -> float:
            start = time.perf_counter()
            simulate(opened(), config, RunOptions(threads=threads))
            return time.perf_counter() - start

        ratios = sorted(wall(1) / wall(2) for _ in range(repeat))  # side by side: both meet the same neighbours
        figures["two_thread_speed_up"] = statistics.median(ratios)
        figures["two_thread_speed_up_spread"] = [ratios[0], ratios[-1]]
    return figures


if __name__ == "__main__":
    print(json.dumps(_worker(Benchmark(**json.loads(sys.argv[1])), int(sys.argv[2]))))
