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
from dataclasses import dataclass
from pathlib import Path

from gpusim.cli.doctor import SELF_RUN, SELF_RUN_CONFIG
from gpusim.cli.sources import find_trace
from gpusim.errors import GpusimError


@dataclass(frozen=True)
class StartUp:
    """Seconds of one fresh process."""

    cpu: float
    wall: float


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
        return _timed(command, environment), _timed(command, environment)


def _timed(command: list[str], environment: dict[str, str]) -> StartUp:
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    _checked(command, environment)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return StartUp(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall)


def measure(name: str, config: str, repeat: int) -> dict:
    """One bundled trace in a fresh process: figures of `_worker` and the trace's name."""
    command = [sys.executable, "-m", "gpusim.cli.measure", str(find_trace(name)), config, str(repeat)]
    return {"trace": name, "config": config} | json.loads(_checked(command, dict(os.environ)))


def _checked(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise GpusimError(f"{' '.join(command)} failed with exit code {done.returncode}:\n{done.stderr.strip()}")
    return done.stdout


def _worker(path: str, config_name: str, repeat: int) -> dict:
    """Simulate once to load compiled code, then `repeat` times; CPU seconds are the process's own."""
    from gpusim.config import load_config
    from gpusim.model.simulate import RunOptions, simulate
    from gpusim.trace.store import open_trace

    config, seconds = load_config(config_name), []
    for _ in range(repeat + 1):
        start = time.process_time()
        result = simulate(open_trace(path), config, RunOptions())
        seconds.append(time.process_time() - start)
    median = statistics.median(seconds[1:])
    return {
        "warp_instructions": result.warp_instructions,
        "cycles": result.totals()["cycles"],
        "cpu_seconds": median,
        "cpu_seconds_spread": [min(seconds[1:]), max(seconds[1:])],
        "warp_instructions_per_cpu_second": result.warp_instructions / median,
        "cycles_per_cpu_second": result.totals()["cycles"] / median,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


if __name__ == "__main__":
    print(json.dumps(_worker(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
