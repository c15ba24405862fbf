"""The journal of a sweep: a line of JSON per finished run, appended as runs end, so that a stopped sweep goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gpusim.errors import GpusimError
from gpusim.results.files import replacing

HEADER = {"format": "gpusim-sweep", "version": 1}

Outcome = tuple[tuple[dict[str, Any], ...], tuple[str, ...]]
"""A run's kernel summaries and its warnings."""


class Journal:
    """Outcomes by key; a key is a text that stands for everything an outcome depends on."""

    def __init__(self, path: Path | str, *, resume: bool) -> None:
        """Begin an empty file, or read what an earlier sweep left; a last line that was cut off is dropped.

        Raises GpusimError where the file cannot be written, or is no journal.
        """
        self.path = Path(path)
        self._outcomes: dict[str, Outcome] = {}
        if resume and self.path.exists():
            self._read()
        with replacing(self.path) as file:
            lines = [HEADER, *({"key": key, "kernels": k, "warnings": w} for key, (k, w) in self._outcomes.items())]
            file.writelines(json.dumps(line) + "\n" for line in lines)

    def _read(self) -> None:
        try:
            first, *lines = self.path.read_text().split("\n")
            if json.loads(first) != HEADER:
                raise ValueError(f"it begins with {first[:80]}")
            for line in lines[:-1]:  # behind the last newline: nothing, or a line cut off
                entry = json.loads(line)
                self._outcomes[entry["key"]] = tuple(entry["kernels"]), tuple(entry["warnings"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise GpusimError(f"{self.path}: not the journal of a sweep ({error}); name another --output") from error

    def __contains__(self, key: str) -> bool:
        return key in self._outcomes

    def __getitem__(self, key: str) -> Outcome:
        return self._outcomes[key]

    def __len__(self) -> int:
        return len(self._outcomes)

    def add(self, key: str, outcome: Outcome) -> None:
        """Append one run. Raises GpusimError where the file cannot be written."""
        self._outcomes[key] = outcome
        line = json.dumps({"key": key, "kernels": outcome[0], "warnings": outcome[1]})
        try:
            with self.path.open("a") as file:
                file.write(line + "\n")
        except OSError as error:
            raise GpusimError(f"{self.path}: cannot write here ({error.strerror}); name another place") from error
