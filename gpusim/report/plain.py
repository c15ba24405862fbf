"""Text for streams whose encoding lacks a character: drawn with those of ASCII, or spelt out, never an error."""

from __future__ import annotations

import codecs
from contextlib import suppress
from typing import Any

NAME = "gpusim-plain"
"""Of the error handler of codecs."""
IN_ASCII = {
    **dict.fromkeys("█▉▊▋▌", "#"),
    **dict.fromkeys("▍▎▏", "-"),
    "–": "-",
    "…": "...",
    "·": "|",
    "≥": ">=",
    "≤": "<=",
    "×": "x",
}
"""What the reports draw, and the signs of their texts."""


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    drawn = (IN_ASCII.get(each) or each.encode("ascii", "backslashreplace").decode("ascii") for each in missing)
    return "".join(drawn), error.end


codecs.register_error(NAME, _replace)


def take_anything(stream: Any) -> None:
    """Let a text stream take any text; one that is no file of this process takes it already."""
    with suppress(AttributeError, OSError, ValueError):  # another kind of stream, broken or closed
        stream.reconfigure(errors=NAME)
