"""Comparing what launches did to the buffers with a launch file's expected ones, and running a check file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from gpusim.checking import CheckFile, LaunchFacts, assert_same, assert_within
from gpusim.emulator.buffers import fill_buffer, load_npy
from gpusim.emulator.launch import KernelLaunch, LaunchFile, load_launch
from gpusim.errors import GpusimError


def _facts(launch: KernelLaunch) -> LaunchFacts:
    scalars = tuple(getattr(a, a.dtype) for a in launch.arguments if a.buffer is None)
    return LaunchFacts(launch.kernel, _extent(launch.grid), _extent(launch.block), scalars)


def _extent(sizes: Sequence[int] | None) -> tuple[int, int, int]:
    assert sizes is not None, "only launches of a report have no sizes, and run_check refuses these"
    x, y, z, *_ = *sizes, 1, 1
    return x, y, z


def compare_expected(launch_file: LaunchFile, after: Mapping[str, np.ndarray]) -> list[str]:
    """What differs between the final buffers and the expected ones of the launch file, in words.

    Raises GpusimError for an .npy file that is missing or of another type or shape.
    """
    problems = []
    for each in launch_file.expected:
        actual = after[each.buffer]
        wanted = load_npy(each.buffer, launch_file.path.parent / each.file, actual.dtype, actual.shape)
        try:
            if each.relative or each.absolute:
                bound = each.absolute + each.relative * np.abs(wanted.astype(np.float64))
                assert_within(each.buffer, actual, wanted, bound, f"absolute {each.absolute}, relative {each.relative}")
            else:
                assert_same(each.buffer, actual, wanted)
        except AssertionError as difference:
            problems.append(f"{launch_file.path}: {each.file}: {difference}")
    return problems


def run_check(check: CheckFile, launch: Path | LaunchFile, after: Mapping[str, np.ndarray]) -> None:
    """Compare the final buffers (TraceSummary.buffers) of a run of launch file `launch`.

    Raises AssertionError saying what differs, GpusimError if the launch file or the check file is unusable.
    """
    launch_file = launch if isinstance(launch, LaunchFile) else load_launch(launch)
    if any(one.grid is None for one in launch_file.launches):
        raise GpusimError(f"{launch_file.path}: check files are for kernels; a report is compared with its own counts")
    before = {name: fill_buffer(name, spec, launch_file.path.parent) for name, spec in launch_file.buffers.items()}
    check.run(before, after, tuple(_facts(one) for one in launch_file.launches))
