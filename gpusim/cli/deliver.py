"""The end of a command: its outputs are written and its report is printed, each although another fails."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable

from gpusim.errors import GpusimError


def deliver(show: Callable[[], None], writes: Iterable[Callable[[], object]]) -> bool:
    """Call every one of `writes`, then `show`; returns whether all of it could be written.

    What cannot be written is told on standard error, a line each. Raises what else went wrong, when all was tried.
    """
    failed: list[Exception] = []
    for write in writes:
        try:
            write()
        except Exception as error:
            failed.append(error)
    try:
        show()
    finally:
        for problem in failed:
            if not isinstance(problem, GpusimError):
                raise problem
            print(f"gpusim: error: {problem}", file=sys.stderr)
    return not failed
