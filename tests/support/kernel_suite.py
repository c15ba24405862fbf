"""The kernels of traces/kernels: where they are, compiled once per architecture and test run."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from gpusim.checking import CheckFile, check_path, load_check
from gpusim.emulator.sources import OpenedSource, open_source

KERNELS = Path(__file__).resolve().parents[2] / "traces" / "kernels"
SOURCES = {path.stem: path for path in sorted(KERNELS.rglob("*.cu"))}


@cache
def check_of(name: str) -> CheckFile:
    return load_check(check_path(SOURCES[name]))


@cache
def opened(name: str, architecture: int) -> OpenedSource:
    """Skips the test where the kernel needs a newer architecture."""
    pytest.importorskip("elftools")
    needed = check_of(name).minimum_architecture
    if architecture < needed:
        pytest.skip(f"{name} needs sm_{needed}")
    return open_source(SOURCES[name], architecture)


def small_launch(name: str) -> Path:
    """The launch file of the size that tests execute."""
    return SOURCES[name].with_suffix(".small.yaml")
