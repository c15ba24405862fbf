"""How kernels are executed: what holds for all launches of a file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

Write = Callable[[str], None]
"""Takes what kernels print."""


def to_stdout(text: str) -> None:
    """Where printed text goes unless a caller says otherwise."""
    sys.stdout.write(text)


def to_stderr(text: str) -> None:
    """Where it goes if standard output is for something else."""
    sys.stderr.write(text)


def note(text: str) -> None:
    """What a caller hears beside errors, unless it says otherwise."""
    print(f"gpusim: note: {text}", file=sys.stderr)


@dataclass(frozen=True)
class Conditions:
    """How kernels are executed.

    Attributes:
        cta_limit: warp instructions after which a CTA is taken to have no end, None for the default.
        cta_seed: CTAs of every launch run in an order shuffled with it, to show that it does not matter; all of a
            launch then make one chunk. None: ascending.
        lenient: reads of global memory outside every buffer give zero, with a warning for each instruction; writes and
            atomics remain errors.
        write: takes what kernels print.
        warn: takes what is to be said of a launch that did not fail.
    """

    cta_limit: int | None = None
    cta_seed: int | None = None
    lenient: bool = False
    write: Write = to_stdout
    warn: Callable[[str], None] = note


DEFAULTS = Conditions()
