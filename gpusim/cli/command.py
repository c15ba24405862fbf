"""One command from its arguments to its exit code, whatever happens on the way."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TextIO

import gpusim
from gpusim.cli import bench, compare, config, doctor, exec, nvcc, run, sweep, trace, validate, warm
from gpusim.cli.exits import EXIT_BAD_INPUT, EXIT_INTERNAL, EXIT_INTERRUPTED, EXIT_TERMINATED
from gpusim.errors import GpusimError
from gpusim.report.plain import take_anything

FULL, FORBIDDEN = "; free space, or use another disk (TMPDIR for temporary files)", "; allow it or name another place"
REMEDIES = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EACCES: FORBIDDEN,
    errno.EPERM: FORBIDDEN,
    errno.EROFS: FORBIDDEN,
}
"""By error of the operating system."""


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; a command's function is in `args.command`."""
    parser = argparse.ArgumentParser(
        prog="gpusim",
        description="Cycle-level simulation of the SMs of modern NVIDIA GPUs from real machine code, without a GPU.",
    )
    parser.add_argument("--version", action="version", version=f"gpusim {gpusim.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for module in (run, exec, sweep, trace, compare, validate, nvcc, config, doctor, warm, bench):
        module.add_parser(commands)
    return parser


def run_command(argv: Sequence[str] | None) -> int:
    """Parse, run, and turn every way to end into an exit code and a message, never a traceback."""
    _prepare_streams()
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:2] == ["trace", "info"]:  # a word in the place of a path
        arguments[:2] = [trace.INFO_COMMAND]
    args = nvcc.parsed(arguments[1:]) if arguments[:1] == [nvcc.NAME] else _parsed(arguments)
    with _termination() as received:
        code = _guarded(args, arguments)
    return EXIT_TERMINATED if code == EXIT_INTERRUPTED and received else code


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Arguments as the command's parser reads them; what follows the `--` of a program is in `behind`."""
    end = len(arguments)
    if arguments[:1] in (["run"], ["exec"], ["compare"]) and "--" in arguments:
        end = arguments.index("--")
    args = build_parser().parse_args(arguments[:end])
    args.behind = list(arguments[end + 1 :])
    return args


def _guarded(args: argparse.Namespace, arguments: Sequence[str]) -> int:
    try:
        code = args.command(args)
        sys.stdout.flush()
        return code
    except GpusimError as error:
        message, code = f"error: {error}", EXIT_BAD_INPUT
    except KeyboardInterrupt as interrupt:
        message, code = str(interrupt) or "interrupted", EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of our output left, as `| head` does
        _drop_output()
        return 0
    except OSError as error:  # the disk, the network, a limit of the system
        place = error.filename or "standard output or a temporary file"
        remedy = REMEDIES.get(error.errno or 0, "")
        message, code = f"error: {place}: {error.strerror or error}{remedy}", EXIT_BAD_INPUT
    except MemoryError as error:
        reason = f" ({error})" if str(error) else ""
        remedy = "fewer launches (--launches), --threads or --jobs need less, a smaller card (--set sms=N) too"
        message, code = f"error: out of memory{reason}; {remedy}", EXIT_BAD_INPUT
    except Exception as error:
        from gpusim.cli.crash import interrupted, report

        if interrupted(error):
            message, code = "interrupted", EXIT_INTERRUPTED
        else:
            message, code = report(error, arguments), EXIT_INTERNAL
    _finish_output()
    print(f"gpusim: {message}", file=sys.stderr)
    return code


# ---------------------------------------------------------------------------------------------- standard streams


def _prepare_streams() -> None:
    """Let any text be printed, and drop what a closed stream is told."""
    for name in ("stdout", "stderr"):
        stream: TextIO | None = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - stays open
        else:
            take_anything(stream)


def _finish_output() -> None:
    """Print what is still in the buffer, before a message; where that fails, drop it."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        _drop_output()


def _drop_output() -> None:
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


# ---------------------------------------------------------------------------------------------- SIGTERM


class Terminated(KeyboardInterrupt):
    """SIGTERM: everything that keeps results and removes temporary folders at Ctrl-C does so here too."""


@contextmanager
def _termination() -> Iterator[list[int]]:
    """Raise Terminated at SIGTERM; gives a list that then holds the signal. Not where others handle or ignore it."""
    received: list[int] = []

    def terminate(number: int, _: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # cleaning up is not to be stopped by another
        received.append(number)
        raise Terminated("terminated")

    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield received
        return
    try:
        signal.signal(signal.SIGTERM, terminate)
    except ValueError:  # not the main thread
        yield received
        return
    try:
        yield received
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
