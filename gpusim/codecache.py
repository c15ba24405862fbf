"""Where compiled code is kept from one run to the next, and whether what lies there may be trusted.

What is stored is machine code, and a run calls it. So only folders and files count that
belong to the user and that nobody else may write, and a file's checksum is compared before anything in it is read.
Whatever is wrong with the cache costs a compilation and one line on standard error, never the run:

- A root that others own or may write is left alone; the user's own cache folder, or a temporary one that ends with
  the process, stands in for it. The same holds for a root that cannot be made or read.
- A file that is damaged or not the user's is renamed to NAME.broken and compiled again.
- A folder in which nothing can be written is read only: what is compiled is not kept.

A wheel brings code, in a folder of the package that is as trusted as its modules. The user's own is looked for first.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from gpusim import objectcode

try:
    import fcntl
except ImportError:  # a system without it
    fcntl = None  # type: ignore[assignment]

VARIABLE = "GPUSIM_CACHE_DIR"
MAGIC = b"gpusim compiled code 2\n"
"""Begins each file; then come the SHA-256 of what follows, and a `gpusim.objectcode.Code`."""
DIGEST_BYTES = 32
SUFFIX = ".code"
LOCK = ".lock"
"""In a folder of compiled code: whoever compiles holds its lock. The system takes it back when a process ends."""
OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
_said: set[str] = set()


def say_once(kind: str, text: str) -> None:
    """One line on standard error; later ones of the same kind are dropped, so that a run tells each fault once."""
    if kind not in _said:
        _said.add(kind)
        print(f"gpusim: note: {text}", file=sys.stderr)


# ---------------------------------------------------------------------------------------------- folders


def default_root() -> Path | None:
    """The user's cache folder; None where there is no home."""
    base = os.environ.get("XDG_CACHE_HOME") or (os.environ.get("LOCALAPPDATA") if sys.platform == "win32" else None)
    try:
        return Path(base or Path.home() / ".cache") / "gpusim"
    except RuntimeError:
        return None


def chosen_root() -> Path | None:
    """Where compiled code should be kept: $GPUSIM_CACHE_DIR, else the user's cache folder."""
    override = os.environ.get(VARIABLE)
    return Path(override) if override else default_root()


def distrust(status: os.stat_result) -> str | None:
    """Why others may have written a file or folder, None where only the user can."""
    if not hasattr(os, "geteuid"):  # a system whose permissions say nothing
        return None
    if status.st_uid != os.geteuid():
        return f"belongs to another user (number {status.st_uid})"
    if status.st_mode & OTHERS_MAY_WRITE:
        return f"may be written by others (mode {stat.S_IMODE(status.st_mode):o})"
    return None


def refusal(folder: Path) -> str | None:
    """Why a folder cannot hold compiled code, None where it can; a missing one is made, for the user alone."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
        os.listdir(folder)
    except FileExistsError:
        return "is no folder"
    except OSError as error:
        return f"cannot be used ({error.strerror})"
    return distrust(status)


REMEDY = f"name a folder that only you may write (chmod go-w) with {VARIABLE}"


@cache
def usable_root() -> Path | None:
    """The folder for this run, and a note where it is not the one that should be; None where there is none at all."""
    wanted = chosen_root()
    refused = refusal(wanted) if wanted else "no home to put it in"
    if wanted and refused is None:
        return wanted
    own, root = default_root(), None
    if own and own != wanted and refusal(own) is None:
        root, instead = own, f"{own} is used instead"
        os.environ[VARIABLE] = str(own)  # child processes find it without a word
    elif root := _temporary_root():
        instead = "this run keeps its code in a temporary folder, and the next compiles again"
    else:
        instead = "this run keeps no code, and the next compiles again"
    say_once("root", f"cache of compiled code {wanted or ''}: {refused}, so {instead}; {REMEDY}")
    return root


def _temporary_root() -> Path | None:
    """A private folder until the process ends; child processes find it too, and so compile nothing twice."""
    try:
        folder = tempfile.mkdtemp(prefix="gpusim-cache-")
    except OSError:
        return None
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:  # a forked child leaves it to its parent
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    os.environ[VARIABLE] = folder
    return Path(folder)


def part_folder(part: str, version: str, kept: int) -> Path | None:
    """Folder ROOT/part/version, made if missing; of the part's other versions only the newest `kept` stay.

    None, with a note, where there can be no such folder.
    """
    root = usable_root()
    if root is None:
        return None
    folder = root / part / version
    if not folder.exists():
        _prune(folder.parent, kept)
    for each in (folder.parent, folder):
        if reason := refusal(each):
            say_once("part", f"cache of compiled code {each}: {reason}, so nothing is kept in it; remove it")
            return None
    return folder


def _prune(folder: Path, kept: int) -> None:
    with suppress(OSError):  # what cannot be listed or removed stays
        old = sorted((f for f in folder.iterdir() if f.is_dir()), key=lambda f: f.stat().st_mtime, reverse=True)
        for each in old[kept:]:
            shutil.rmtree(each, ignore_errors=True)


def diagnosis() -> tuple[bool, str]:
    """Whether the folder that should hold compiled code can, and what to say about it."""
    wanted = chosen_root()
    if wanted is None:
        return False, f"no home folder; name a folder with {VARIABLE}"
    if reason := refusal(wanted):
        return False, f"{wanted}: NOT USED: {reason}; {REMEDY}"
    sizes = [path.lstat().st_size for path in wanted.rglob("*") if path.is_file() and path.name != LOCK]
    text = f"{wanted}: {len(sizes)} files, {sum(sizes) / 1e6:.1f} MB"
    if broken := [path for path in wanted.rglob("*") if path.name.endswith(".broken")]:
        text += f", {len(broken)} of them broken and set aside"
    try:
        tempfile.TemporaryFile(dir=wanted).close()
    except OSError as error:
        return False, f"{text}: NOT WRITABLE ({error.strerror}); {REMEDY}"
    return True, text


# ---------------------------------------------------------------------------------------------- files


class DamagedError(Exception):
    """A file that is not what was stored, or that others may have stored."""


class KeptCode:
    """The places of one version of an entry: for arguments of some kinds. Code of this machine's processor is in the
    user's folder; the package may bring code of SHIPPED_PROCESSOR."""

    def __init__(self, name: str, kinds: Any, folder: Path | None, shipped: Path | None) -> None:
        """`folder`: the user's, `shipped`: the package's, where there is one."""
        self._folder = folder
        self._name, self._kinds = name.replace("<", "").replace(">", ""), kinds
        self._shipped = shipped / self._file(objectcode.SHIPPED_PROCESSOR) if shipped else None

    def _file(self, processor: tuple[str, str]) -> str:
        return f"{self._name}.{hashlib.sha256(repr((self._kinds, processor)).encode()).hexdigest()[:16]}{SUFFIX}"

    @property
    def path(self) -> Path | None:
        """The user's file, whether there is one or not."""
        return self._folder / self._file(objectcode.processor()) if self._folder else None

    def load(self) -> objectcode.Loaded | None:
        """The version, None where there is none that can be used."""
        return _loaded(self.path) or self._load_shipped()

    def _load_shipped(self) -> objectcode.Loaded | None:
        if self._shipped and self._shipped.exists() and objectcode.runs_shipped():
            try:
                return objectcode.Loaded(objectcode.Code.from_bytes(_read(self._shipped, trusted=True)))
            except Exception as error:  # whatever became of the installed file
                say_once("shipped", f"compiled code {self._shipped}: {error}; it is compiled again")
        return None

    def save(self, code: objectcode.Code) -> None:
        """Store the version for later runs."""
        path = self.path
        if path is None:
            return
        try:
            _write(path, code.to_bytes())
        except OSError as error:
            reason = f"cannot be written ({error.strerror})"
            say_once("write", f"cache of compiled code {path.parent}: {reason}; the next run compiles again; {REMEDY}")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """While it is held, no other process compiles code of this part. Where no file can be locked nobody waits."""
        with ExitStack() as stack:
            if fcntl and self._folder:
                with suppress(OSError):
                    file = stack.enter_context((self._folder / LOCK).open("wb"))
                    try:
                        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    except BlockingIOError:
                        print("gpusim: another process compiles this part; waiting for its code", file=sys.stderr)
                        fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _loaded(path: Path | None) -> objectcode.Loaded | None:
    """The code in a file of the user's; what cannot be used is set aside."""
    if path is None:
        return None
    try:
        return objectcode.Loaded(objectcode.Code.from_bytes(_read(path)))
    except FileNotFoundError:
        return None
    except Exception as error:  # whatever a foreign file makes of the reader
        _set_aside(path, str(error) if isinstance(error, (DamagedError, OSError)) else repr(error))
        return None


def _read(path: Path, trusted: bool = False) -> bytes:
    """What a file holds. Raises DamagedError before any of it is used, OSError where it cannot be read."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # a FIFO would be waited for
    with os.fdopen(os.open(path, flags), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise DamagedError("is no file")
        if not trusted and (reason := distrust(status)):
            raise DamagedError(reason)
        data = file.read()
    digest, body = data[len(MAGIC) : len(MAGIC) + DIGEST_BYTES], data[len(MAGIC) + DIGEST_BYTES :]
    if not data.startswith(MAGIC) or hashlib.sha256(body).digest() != digest:
        raise DamagedError("is truncated or was changed")
    return body


def _write(path: Path, body: bytes) -> None:
    """Make a file, whole or not at all, for the user alone."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.partial-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(MAGIC + hashlib.sha256(body).digest() + body)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _set_aside(path: Path, reason: str) -> None:
    with suppress(OSError):
        os.replace(path, path.with_name(path.name + ".broken"))
    say_once("broken", f"compiled code {path}: {reason}; it is set aside as {path.name}.broken and compiled again")
