"""`gpusim`: parse, call, print. Nothing slow is imported before a command needs it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import gpusim
from gpusim.cli import bench, compare, config, doctor, run, sweep, trace, validate
from gpusim.errors import GpusimError

EXIT_BAD_INPUT = 2


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; a command's function is in `args.command`."""
    parser = argparse.ArgumentParser(
        prog="gpusim",
        description="Cycle-level simulation of the SMs of modern NVIDIA GPUs from real machine code, without a GPU.",
    )
    parser.add_argument("--version", action="version", version=f"gpusim {gpusim.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for module in (run, sweep, trace, compare, validate, config, doctor, bench):
        module.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: 0, 1 a check failed, 2 bad input or a deadlock, 130 interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:2] == ["trace", "info"]:  # a word in the place of a path
        arguments[:2] = [trace.INFO_COMMAND]
    args = build_parser().parse_args(arguments)
    try:
        return args.command(args)
    except GpusimError as error:
        print(f"gpusim: error: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        print("gpusim: interrupted", file=sys.stderr)
        return run.EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of our output left, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
