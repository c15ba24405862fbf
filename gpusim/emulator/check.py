"""Running a kernel's check file on what its launches did to the buffers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gpusim.checking import CheckFile, LaunchFacts
from gpusim.emulator.buffers import fill_buffer
from gpusim.emulator.launch import KernelLaunch, load_launch


def _facts(launch: KernelLaunch) -> LaunchFacts:
    scalars = tuple(getattr(a, a.dtype) for a in launch.arguments if a.buffer is None)
    grid, block = (tuple((*sizes, 1, 1)[:3]) for sizes in (launch.grid, launch.block))
    return LaunchFacts(launch.kernel, grid, block, scalars)


def run_check(check: CheckFile, launch: Path, after: Mapping[str, np.ndarray]) -> None:
    """Compare the final buffers (TraceSummary.buffers) of a run of launch file `launch`.

    Raises AssertionError saying what differs, GpusimError if the launch file or the check file is unusable.
    """
    launch_file = load_launch(launch)
    before = {name: fill_buffer(name, spec, launch_file.path.parent) for name, spec in launch_file.buffers.items()}
    check.run(before, after, tuple(_facts(one) for one in launch_file.launches))
