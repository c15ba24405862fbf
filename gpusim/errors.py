"""The one exception family that users see as a message and exit code 2, never as a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import IntEnum


class GpusimError(Exception):
    """Bad input: the message names the file, the place and the remedy."""


class CudaError(IntEnum):
    """Numbers of cudaError_t (driver_types.h) that a program gets for a kernel that fails."""

    ILLEGAL_ADDRESS = 700
    LAUNCH_TIMEOUT = 702
    ASSERT = 710
    MISALIGNED_ADDRESS = 716
    INVALID_PC = 718
    LAUNCH_FAILURE = 719
    COOPERATIVE_LAUNCH_TOO_LARGE = 720


class LaunchFault(GpusimError):
    """A kernel that fails while it runs; `cuda_error` is what a CUDA program would be told."""

    def __init__(self, message: str, cuda_error: CudaError) -> None:
        super().__init__(message)
        self.cuda_error = cuda_error


def nearest(word: str, known: Iterable[str], likeness: float = 0.6) -> str:
    """` (did you mean 'x'?)` for the known word closest to `word`, or an empty string where none is as like, 0 to 1."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=likeness)
    return f" (did you mean '{found[0]}'?)" if found else ""
