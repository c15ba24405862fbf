"""Files that a user names are read as plain files only: a pipe would wait for ever, a device never end."""

from __future__ import annotations

import stat
from pathlib import Path

from gpusim.errors import GpusimError


def plain_size(path: Path | str, what: str = "the file") -> int:
    """Bytes of a plain file. Raises GpusimError where there is none, or it is a folder, a pipe or a device."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise GpusimError(f"{path}: cannot read {what}: {getattr(error, 'strerror', error)}") from None
    if stat.S_ISDIR(status.st_mode):
        raise GpusimError(f"{path}: is a folder where {what} is wanted; name a file")
    if not stat.S_ISREG(status.st_mode):
        raise GpusimError(f"{path}: is a pipe or a device where {what} is wanted; save it to a file and name that")
    return status.st_size


def read_bytes(path: Path | str, what: str = "the file", most: int | None = None) -> bytes:
    """Contents of a plain file. Raises GpusimError where it cannot be read, or has more than `most` bytes."""
    size = plain_size(path, what)
    if most is not None and size > most:
        raise GpusimError(f"{path}: {size:,} bytes are too many for {what}, which has at most {most:,}")
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise GpusimError(f"{path}: cannot read {what}: {error.strerror}") from None
