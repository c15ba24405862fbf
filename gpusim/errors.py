"""The one exception family that users see as a message and exit code 2, never as a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class GpusimError(Exception):
    """Bad input: the message names the file, the place and the remedy."""


def nearest(word: str, known: Iterable[str], likeness: float = 0.6) -> str:
    """` (did you mean 'x'?)` for the known word closest to `word`, or an empty string where none is as like, 0 to 1."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=likeness)
    return f" (did you mean '{found[0]}'?)" if found else ""
