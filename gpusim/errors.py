"""The one exception family that users see as a message and exit code 2, never as a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class GpusimError(Exception):
    """Bad input: the message names the file, the place and the remedy."""


def nearest(word: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)` for the known word closest to `word`, or an empty string."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean '{found[0]}'?)" if found else ""
