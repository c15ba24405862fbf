"""Commands run in the process of the tests, and a small kernel to run them on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from microbench import kernel, op, trace

from gpusim import resources
from gpusim.cli import main as cli
from gpusim.model.setup.simulate import KernelRun
from gpusim.trace.store import write_trace
from gpusim.trace.trace import Trace

HEAVY = ("numba", "numpy", "pandas", "matplotlib", "pydantic", "rich", "yaml", "zstandard")
"""Packages that take long to import: a command imports one when it needs it."""
SASS = """\
.arch sm_86
.kernel three_adds
.grid 2
.block 64
[B------:R-:W-:-:S04] MOV R2, 0x3f800000 ;
[B------:R-:W-:-:S04] FADD R3, R2, R2 ;
[B------:R-:W-:-:S04] FADD R4, R3, R2 ;
[B------:R-:W-:-:S04] FADD R5, R4, R2 ;
[B------:R-:W-:-:S05] EXIT ;
"""
WARP_INSTRUCTIONS = 5 * 2 * 2
ADDS = """\
.arch sm_86
.kernel adds
.grid 2
.block 32
[B------:R-:W-:-:S04] FADD R3, R2, R2 ;
[B------:R-:W-:-:S05] EXIT ;
"""
CARD = ("--config", "a6000", "--set", "sms=2")

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
needs_every_trace = pytest.mark.skipif(
    not (resources.find("traces") / "bundled.yaml").exists(), reason="an installed package has one trace of its own"
)
"""Skips where the package under test is not that of a checkout."""


def call(capsys, *arguments) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of one command, run in this process."""
    try:
        code = cli.main([str(argument) for argument in arguments])
    except SystemExit as stop:  # argparse
        code = stop.code
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def refused(capsys, *arguments) -> str:
    """The message of a command that must end with exit code 2, a message and no traceback."""
    code, out, err = call(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert "Traceback" not in err
    return err


def process(*arguments, **options) -> subprocess.CompletedProcess:
    """One command in a process of its own; its outputs are captured unless the options say otherwise."""
    command = [sys.executable, "-m", "gpusim.cli.main", *map(str, arguments)]
    settings = {"capture_output": True, "check": False} | options
    return subprocess.run(command, **settings)


def store_three(folder: Path) -> Path:
    """Three launches of a kernel, as a stored trace."""
    launch = trace(kernel([op("FADD R4, R4, R4", 4)] * 3)).launches[0]
    write_trace(Trace((launch,) * 3), folder / "three")
    return folder / "three"


def when_simulating(number: int, monkeypatch, action) -> None:
    """Do something when this kernel, numbered from 0, is about to be simulated."""
    run, numbers = KernelRun.simulate, iter(range(1000))

    def simulated(self):
        if next(numbers) == number:
            action()
        return run(self)

    monkeypatch.setattr(KernelRun, "simulate", simulated)
