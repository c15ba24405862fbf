"""Commands run in the process of the tests, and a small kernel to run them on."""

from __future__ import annotations

import pytest

from gpusim import resources
from gpusim.cli import main as cli

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
