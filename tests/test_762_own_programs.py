"""The programs of traces/programs: each checks its own results, with one launch simulated."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sass_cases import needs_nvcc

import gpusim
from gpusim.sass.nvcc import run_nvcc

FOLDER = Path(__file__).resolve().parents[1] / "traces" / "programs"
PROGRAMS = sorted(path.stem for path in FOLDER.glob("*.cu"))


class Run(NamedTuple):
    """What came of a program: its exit code, what it printed, and the facts that gpusim exec tells."""

    code: int
    printed: str
    facts: dict[str, Any]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory):
    """Programs by name, each built and run once, with its first launch simulated."""
    folder = tmp_path_factory.mktemp("programs")

    @cache
    def done(name: str) -> Run:
        program = folder / name
        assert run_nvcc(["-arch=sm_86", str(FOLDER / f"{name}.cu"), "-o", str(program)]) == 0
        card = ["--config", "a6000", "--set", "sms=4", "--launches", "1", "--json"]
        command = [sys.executable, "-m", "gpusim", "exec", *card, "--", str(program)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        # beside JSON on standard output, what the program prints goes to standard error
        return Run(ended.returncode, ended.stderr, json.loads(ended.stdout))

    return done


@needs_nvcc
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_passes_its_own_check_and_a_launch_is_simulated(run, name: str):
    code, printed, facts = run(name)
    assert (code, "PASSED" in printed.splitlines()) == (0, True), printed
    assert len(facts["kernels"]) == 1
    assert 0 < facts["kernels"][0]["warp_instructions"] <= facts["program"]["warp_instructions"] < 3_000_000
    assert facts["kernels"][0]["cycles"] > 0


@needs_nvcc
def test_the_rate_that_a_program_prints_is_that_of_the_simulated_time(run):
    _, printed, facts = run("matmul_tiled")
    n, mhz = 96, gpusim.load_config("a6000").clocks.core_mhz
    nanoseconds = facts["kernels"][0]["cycles"] * 1000 / mhz
    (told,) = re.findall(r"^([\d.]+) GFLOP/s$", printed, re.MULTILINE)
    assert float(told) == pytest.approx(2 * n**3 / nanoseconds, rel=1e-4)


@needs_nvcc
def test_what_kernels_print_comes_out_before_the_verdict(run):
    lines = run("device_output").printed.splitlines()
    rows = [f"block {block}: row of 0.256 kB, 64 threads" for block in range(4)]
    assert sorted(line for line in lines if line.startswith("block ")) == rows
    assert lines.index("PASSED") > max(map(lines.index, rows))


def test_every_program_is_listed():
    listed = re.findall(r"^\| `(\w+)` \|.*\| \d+ \| \d+ \|$", (FOLDER / "README.md").read_text(), re.MULTILINE)
    assert sorted(listed) == PROGRAMS
