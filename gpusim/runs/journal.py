"""The journal of a sweep: a line of JSON per finished run, appended as runs end, so that a stopped sweep goes on.

The first line is HEADER; every other one is an Outcome with its key and a checksum of the line before it. Of several
lines with one key the last counts. Outcomes are read back when they are asked for, so that they take no memory.
"""

from __future__ import annotations

import json
import re
import zlib
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from gpusim.errors import GpusimError
from gpusim.results.files import replacing

HEADER = {"format": "gpusim-sweep", "version": 2}
_CHECK = re.compile(rb', "crc32": (\d+)\}\n?$')


class Outcome(NamedTuple):
    """What a run ended with: kernel summaries without their seconds, warnings, and why it failed (None: it did not)."""

    kernels: tuple[dict[str, Any], ...]
    warnings: tuple[str, ...]
    error: str | None = None


class Outcomes(Protocol):
    """Outcomes by key; a key is a text that stands for everything an outcome depends on."""

    failed: set[str]
    """Keys of the outcomes that are errors."""

    def __contains__(self, key: object) -> bool: ...

    def __getitem__(self, key: str) -> Outcome: ...

    def add(self, key: str, outcome: Outcome) -> None: ...


class Memory(dict[str, Outcome]):
    """Outcomes of a sweep that is kept nowhere else."""

    def __init__(self) -> None:
        super().__init__()
        self.failed: set[str] = set()

    def add(self, key: str, outcome: Outcome) -> None:
        self[key] = outcome
        if outcome.error is not None:
            self.failed.add(key)


class Journal:
    """Outcomes in a file."""

    def __init__(self, path: Path | str, *, resume: bool) -> None:
        """Begin a file, or read what an earlier sweep left; failures and a last line that was cut off do not count.

        Raises GpusimError where the file cannot be written, is no journal, or holds runs that are not to be resumed.
        """
        self.path = Path(path).absolute()
        self._places: dict[str, int] = {}
        self.failed: set[str] = set()
        if self.path.exists():
            self._read()
        for key in self.failed:  # they are run again
            del self._places[key]
        self.failed.clear()
        if self._places and not resume:
            raise GpusimError(
                f"{path}: holds {len(self)} runs of an earlier sweep; resume it (--resume), or remove the file"
            )
        if not self._places:
            with replacing(self.path) as file:
                file.write(json.dumps(HEADER) + "\n")

    def _read(self) -> None:
        """Note where each outcome is, and cut off what an interrupted write left."""
        try:
            if not self.path.is_file():
                raise ValueError("it is no plain file")
            with self.path.open("r+b") as file:
                first = file.readline()
                if first.strip() and json.loads(first) != HEADER:
                    raise ValueError(f"it begins with {first[:80].decode(errors='replace').strip()}")
                end = file.tell()
                for number, line in enumerate(file, 2):
                    if not line.endswith(b"\n"):
                        file.truncate(end)
                        break
                    self._note(_parse(line, number), end)
                    end += len(line)
        except OSError as error:
            raise GpusimError(f"{self.path}: cannot be read and written ({error.strerror}); name another") from error
        except ValueError as error:
            raise GpusimError(f"{self.path}: not the journal of a sweep ({error}); name another --output") from error

    def _note(self, entry: dict[str, Any], place: int) -> None:
        key = entry["key"]
        self._places[key] = place
        if entry["error"] is None:
            self.failed.discard(key)
        else:
            self.failed.add(key)

    def __contains__(self, key: object) -> bool:
        return key in self._places

    def __getitem__(self, key: str) -> Outcome:
        """Read one outcome. Raises GpusimError where the file has changed since the sweep."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._places[key])
                entry = _parse(file.readline(), 0)
            if entry["key"] != key:
                raise ValueError
        except (OSError, ValueError) as error:
            raise GpusimError(f"{self.path}: has changed since this sweep read it; run the sweep again") from error
        return Outcome(tuple(entry["kernels"]), tuple(entry["warnings"]), entry["error"])

    def __len__(self) -> int:
        return len(self._places)

    def add(self, key: str, outcome: Outcome) -> None:
        """Append one run. Raises GpusimError where the file cannot be written."""
        line = _line({"key": key, **outcome._asdict()})
        try:
            with self.path.open("r+b") as file:
                place = file.seek(0, 2)
                file.write(line)
        except OSError as error:
            raise GpusimError(f"{self.path}: cannot write here ({error.strerror}); name another place") from error
        self._note({"key": key, "error": outcome.error}, place)


def _line(entry: dict[str, Any]) -> bytes:
    body = json.dumps(entry).encode()
    return body[:-1] + b', "crc32": %d}\n' % zlib.crc32(body)


def _parse(line: bytes, number: int) -> dict[str, Any]:
    """One entry. Raises ValueError where the line is damaged."""
    check = _CHECK.search(line)
    body = line[: check.start()] + b"}" if check else b""
    if not check or zlib.crc32(body) != int(check[1]):
        raise ValueError(f"line {number} is damaged; remove that line to simulate its run again")
    return json.loads(body)
