"""The prebuilt traces belong to the sources beside them and are whole. Needs neither compiler nor emulator."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
import yaml

from gpusim.trace.store import open_trace

TRACES = Path(__file__).resolve().parent.parent / "traces"
MANIFEST = yaml.safe_load((TRACES / "bundled.yaml").read_text())
BUNDLED = [(folder, kernel) for folder in MANIFEST["architectures"] for kernel in MANIFEST["kernels"]]
SIZE_LIMIT = 6_000_000
"""Bytes that all prebuilt traces together may take in the repository."""


@pytest.mark.parametrize(("folder", "kernel"), BUNDLED)
def test_trace_was_made_from_the_present_source(folder: str, kernel: str) -> None:
    trace = open_trace(TRACES / folder / kernel)
    source = (TRACES / "kernels" / f"{kernel}.cu").read_bytes()
    assert trace.provenance["source_sha256"] == hashlib.sha256(source).hexdigest(), "run `make traces`"
    described = yaml.safe_load((TRACES / "kernels" / f"{kernel}.yaml").read_text())["launches"]
    assert len(trace.launches) == len(described)
    for launch, description in zip(trace.launches, described):
        assert launch.program.name == description["kernel"]
        assert launch.program.architecture == MANIFEST["architectures"][folder]
        assert launch.grid == tuple((description["grid"] + [1, 1])[:3])
        assert launch.block == tuple((description["block"] + [1, 1])[:3])
        values = [str(next(iter(argument.values()))) for argument in description["arguments"]]
        assert [text.split()[-1] for text in launch.provenance["arguments"].split(", ")] == values


@pytest.mark.parametrize(("folder", "kernel"), BUNDLED)
def test_every_warp_is_there_and_exits(folder: str, kernel: str) -> None:
    total = 0
    for launch in open_trace(TRACES / folder / kernel).launches:
        ctas = 0
        for chunk in launch.chunks():
            last = chunk.index[chunk.instruction_start[1:] - 1]
            assert {launch.program.opcode_of(i) for i in set(last.tolist())} == {"EXIT"}
            assert len(last) == chunk.cta_count * launch.warps_per_cta
            ctas += chunk.cta_count
            total += chunk.warp_instructions
        assert ctas == launch.cta_count
    readme = (TRACES / "README.md").read_text()
    (listed,) = re.findall(rf"^\| `{folder}/{kernel}` \| sm_\d+ \| \d+ \| ([\d,]+) ", readme, flags=re.MULTILINE)
    assert int(listed.replace(",", "")) == total


def test_traces_stay_small() -> None:
    sizes = [file.stat().st_size for folder, kernel in BUNDLED for file in (TRACES / folder / kernel).iterdir()]
    assert sum(sizes) < SIZE_LIMIT
