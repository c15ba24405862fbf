"""A run's result file, kept while it runs: finished kernels survive Ctrl-C or a kill, and a later run goes on.

The file is a saved Result with the fingerprint of what it depends on in its provenance; it is partial while it has
`stopped`. Kernels start from the same state (caches cold), so going on gives what an uninterrupted run gives.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gpusim.errors import GpusimError
from gpusim.results.files import OutputFile
from gpusim.results.result import Result

if TYPE_CHECKING:
    from gpusim.config.models import GpuConfig

SAVE_SECONDS = 30.0
"""Between two saves while kernels go on."""
PREFIX = "fingerprint_"


def check_resumable(config: GpuConfig) -> None:
    """Raises GpusimError for a card whose kernels find the data of those before, which a saved result does not hold."""
    if getattr(config.l2, "kept_between_kernels", False):
        raise GpusimError(
            "--resume: with l2.kept_between_kernels a kernel depends on the L2 that those before it leave, which no "
            "result holds; run without --resume, or with --set l2.kept_between_kernels=false"
        )


class Checkpoint:
    """The file of one run."""

    def __init__(self, output: OutputFile | Path | str, fingerprint: Mapping[str, str]) -> None:
        """Raises GpusimError where the file cannot be written."""
        self._output = output if isinstance(output, OutputFile) else OutputFile(output)
        self.path = self._output.path
        self._facts = {PREFIX + name: value for name, value in fingerprint.items()}
        self._saved = time.monotonic()

    def load(self) -> Result | None:
        """The result so far, None where there is no file yet.

        Raises GpusimError where the file is none, or was made from another trace, configuration, version or options.
        """
        if not self._output.replaced:
            raise GpusimError(f"{self.path}: cannot be read back, so --resume finds no kernels there; name a file")
        if not self.path.exists():
            return None
        result = Result.load(self.path)
        for key, value in self._facts.items():
            if (found := result.provenance.get(key, "not recorded")) != value:
                raise GpusimError(
                    f"{self.path}: was made with another {key.removeprefix(PREFIX)} "
                    f"({found or 'none'}, now {value or 'none'}), so its kernels cannot be taken over; "
                    "run without --resume, or with another --output"
                )
        provenance = {name: text for name, text in result.provenance.items() if name not in self._facts}
        return replace(result, provenance=provenance)

    def save(self, result: Result) -> None:
        """Write the result, whole or partial. Raises GpusimError where the file cannot be written."""
        replace(result, provenance={**result.provenance, **self._facts}).save(self._output)

    def kernel_done(self, partial: Result) -> None:
        """Save now and then, where that replaces what was saved before; as RunOptions.kernel_done."""
        if self._output.replaced and time.monotonic() - self._saved >= SAVE_SECONDS:
            self._saved = time.monotonic()
            self.save(partial)
