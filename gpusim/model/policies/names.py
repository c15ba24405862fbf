"""Names of the policies that come with gpusim: those of their files. Light, since configurations are checked with
it."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from gpusim.errors import GpusimError

KINDS = ("scheduler", "prefetcher", "replacement")
SUFFIX = ".py"
"""What the name of a user's own policy file ends with."""


@cache
def built_in(kind: str) -> tuple[str, ...]:
    """Names of the packaged policies of one of KINDS, sorted; a policy's number is its place here."""
    return tuple(sorted(path.stem for path in (Path(__file__).parent / kind).glob("[a-z]*.py")))


def source(kind: str, path: str) -> str:
    """Text of a user's policy file. Raises GpusimError where it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise GpusimError(
            f"{path}: cannot be read as a {kind} ({reason}); packaged: {', '.join(built_in(kind))}"
        ) from None


def digest(kind: str, path: str) -> str:
    """Hash of a user's policy file. Raises GpusimError where it cannot be read."""
    return hashlib.sha256(f"{kind}\n{source(kind, path)}".encode()).hexdigest()[:16]


def is_file(name: str) -> bool:
    """Whether a card's value names a file of the user's rather than a packaged policy."""
    return name.endswith(SUFFIX)
