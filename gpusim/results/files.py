"""Output files: checked before long work begins, written at its end, and complete or not there at all.

A regular file is written under a temporary name that then takes its place, with the mode and owner of the file that
was there; through a symlink it is the link's target that changes. A device, a FIFO, a pipe and `/dev/stdout` or
`/dev/fd/N` are written as they are: they are never replaced.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from gpusim.errors import GpusimError

NAME_CHARACTERS = 40
"""Of an output's name in that of its temporary file, which must not be longer than a file system allows."""
BINARY: dict[str, Any] = {"mode": "wb"}
TEXT: dict[str, Any] = {"mode": "w", "encoding": "utf-8", "errors": "surrogateescape", "newline": ""}
MOST_LINKS = 40
"""Symlinks that are followed, as many as Linux does."""


@dataclass(frozen=True)
class _Place:
    """What a path stands for: a descriptor of this process, a file to be replaced, or one to be written through."""

    target: Path
    descriptor: int | None = None
    replaced: bool = False


class OutputFile:
    """A file that a command will write. Making one finds out whether that is possible, and changes nothing.

    Raises GpusimError, in the constructor and in `open`, for a folder, a missing folder, a place without permission,
    a write-protected file and a block device.
    """

    def __init__(self, path: Path | str, option: str = "") -> None:
        """`option` is the one that named the file; messages begin with it."""
        self.path = Path(path)
        self._label = f"{option} {path}".strip()
        if str(path).endswith(os.sep):
            raise self._refused("a name that ends so is a folder's", "name a file")
        self._place = self._find()
        if self._place.replaced:
            self._probe()

    @property
    def replaced(self) -> bool:
        """Whether this is a regular file, which can be written again and read back."""
        return self._place.replaced

    @property
    def target(self) -> Path:
        """The file behind all links."""
        return self._place.target

    @contextmanager
    def open(self, *, binary: bool = False) -> Iterator[IO[Any]]:
        """A stream for the contents, UTF-8 without translated line ends unless binary.

        A regular file has its new contents when the block ends without an error, and else those it had before.
        Raises GpusimError where writing fails.
        """
        self._place = self._find()  # what stands here may be another now
        kind = BINARY if binary else TEXT
        try:
            if self._place.replaced:
                with _replacement(self._place.target, kind) as file:
                    yield file
            else:
                with os.fdopen(self._open_as_it_is(), **kind) as file:
                    yield file
        except OSError as error:
            reason = error.strerror or str(error)
            raise self._refused(reason, "free space or name another place", "cannot be written") from error

    def _find(self) -> _Place:
        descriptor = _descriptor(self.path)
        if descriptor is not None:
            return self._found_descriptor(descriptor)
        target = Path(os.path.realpath(self.path))
        try:
            status = target.stat()
        except FileNotFoundError:
            return _Place(target, replaced=True)
        except OSError as error:
            raise self._refused(error.strerror or str(error)) from error
        if stat.S_ISDIR(status.st_mode):
            raise self._refused("it is a folder", "name a file in it")
        if stat.S_ISBLK(status.st_mode) or stat.S_ISSOCK(status.st_mode):
            raise self._refused("it is a disk or a socket")
        regular = stat.S_ISREG(status.st_mode)
        if not os.access(target, os.W_OK) or (regular and not status.st_mode & 0o222):
            raise self._refused("it is write-protected", "allow it (chmod u+w) or name another place")
        return _Place(target, replaced=regular)

    def _found_descriptor(self, number: int) -> _Place:
        import fcntl

        try:
            access = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE
        except OSError as error:
            raise self._refused(f"descriptor {number} is not open") from error
        if access == os.O_RDONLY:
            raise self._refused(f"descriptor {number} is open for reading only")
        return _Place(self.path, descriptor=number)

    def _probe(self) -> None:
        """Make and remove a file beside the target."""
        try:
            handle, name = _temporary(self.target)
            os.close(handle)
            os.unlink(name)
        except FileNotFoundError as error:
            raise self._refused(f"there is no folder {self.target.parent}", "make it or name another place") from error
        except OSError as error:
            raise self._refused(error.strerror or str(error)) from error

    def _open_as_it_is(self) -> int:
        """A descriptor for writing; a FIFO is waited for until somebody reads it."""
        if self._place.descriptor is None:
            return os.open(self._place.target, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):  # what was printed before comes before
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
        return os.dup(self._place.descriptor)

    def _refused(self, reason: str, remedy: str = "name another place", what: str = "cannot write here") -> GpusimError:
        return GpusimError(f"{self._label}: {what} ({reason}); {remedy}")


def output_files(options: Mapping[str, str | None]) -> dict[str, OutputFile]:
    """An OutputFile for each option, such as `--csv`, that was given; every one is checked.

    Raises GpusimError where a file cannot be written, or two options name the same one.
    """
    files: dict[str, OutputFile] = {}
    for option, path in options.items():
        if path is None:
            continue
        file = OutputFile(path, option)
        for other, known in files.items():
            if file.replaced and known.replaced and file.target == known.target:
                raise GpusimError(f"{option} {path}: {other} writes this file; name another")
        files[option] = file
    return files


def output_folder(path: Path | str, option: str = "") -> Path:
    """A folder for several outputs, made if missing. Raises GpusimError where nothing can be written in it."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        label = f"{option} {path}".strip()
        raise GpusimError(f"{label}: cannot write in this folder ({error.strerror}); name another folder") from error
    return folder


@contextmanager
def replacing(output: OutputFile | Path | str, *, binary: bool = False) -> Iterator[IO[Any]]:
    """`OutputFile.open` for whoever has only a path. Raises GpusimError where it cannot be written."""
    file = output if isinstance(output, OutputFile) else OutputFile(output)
    with file.open(binary=binary) as stream:
        yield stream


# ---------------------------------------------------------------------------------------------- replacing a file


def _temporary(target: Path) -> tuple[int, str]:
    return tempfile.mkstemp(prefix=f".{target.name[:NAME_CHARACTERS]}.partial-", dir=target.parent)


@contextmanager
def _replacement(target: Path, kind: Mapping[str, Any]) -> Iterator[IO[Any]]:
    handle, name = _temporary(target)
    try:
        with os.fdopen(handle, **kind) as file:
            yield file
            file.flush()
            os.fsync(handle)  # some file systems find out only now that they are full
        _take_place(name, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def _take_place(name: str, target: Path) -> None:
    """Let the file `name` become the target, as whom and for whom the target was there before."""
    try:
        before = target.stat()
    except FileNotFoundError:
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)  # temporary files are private
        os.replace(name, target)
        return
    if before.st_nlink == 1 and _given_to(name, before):
        shutil.copystat(target, name)
        os.utime(name)
        try:
            os.replace(name, target)
            return
        except OSError as error:
            if error.errno != errno.EBUSY:  # a file that is itself a mount point
                raise
    shutil.copyfile(name, target)  # a new file would lose the other names, or the owner
    os.unlink(name)


def _given_to(name: str, before: os.stat_result) -> bool:
    try:
        os.chown(name, before.st_uid, before.st_gid)
    except OSError:
        return False
    return True


def _descriptor(path: Path) -> int | None:
    """N where the path, or what it links to, is `/dev/fd/N` of this process (`/dev/stdout` is)."""
    for _ in range(MOST_LINKS):
        folder = os.path.realpath(path.parent)
        own = folder == "/dev/fd" or re.fullmatch(rf"/proc/{os.getpid()}(/task/\d+)?/fd", folder)
        if own and path.name.isdecimal():
            return int(path.name)
        try:
            path = Path(folder, os.readlink(path))
        except OSError:
            return None
    return None
