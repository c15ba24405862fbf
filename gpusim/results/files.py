"""Output files appear complete or not at all: written under a temporary name, then renamed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from gpusim.errors import GpusimError


@contextmanager
def replacing(path: Path | str) -> Iterator[TextIO]:
    """Open a text file that takes the name `path` when the block ends without an error.

    Raises GpusimError where the folder is missing or may not be written.
    """
    path = Path(path)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.partial-", dir=path.parent)
    except OSError as error:
        raise GpusimError(f"{path}: cannot write here ({error.strerror}); name another place") from error
    try:
        with os.fdopen(handle, "w", newline="") as file:
            yield file
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)  # mkstemp makes files private
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
