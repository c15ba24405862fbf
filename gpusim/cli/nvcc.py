"""`gpusim nvcc`: the CUDA compiler with its folders set, and programs linked with the shared runtime."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

NAME = "nvcc"


def add_parser(commands: argparse._SubParsersAction) -> None:
    """For the list of commands only: what follows the name is nvcc's own, see `parsed`."""
    commands.add_parser(NAME, help="compile a CUDA program, with all options of nvcc; links the shared CUDA runtime")


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The command with its arguments, of which none is ours."""
    return argparse.Namespace(command=run, arguments=list(arguments))


def run(args: argparse.Namespace) -> int:
    """Call nvcc; returns its exit code."""
    from gpusim.programs.library import linking_options
    from gpusim.sass.nvcc import run_nvcc

    # where -lcuda is asked for, a library must be there to link with
    driver = linking_options() if "-lcuda" in args.arguments else []
    return run_nvcc([*args.arguments, *driver])
