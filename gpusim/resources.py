"""Data folders that travel with the package: opcode tables, card configurations, bundled traces."""

from __future__ import annotations

from pathlib import Path

from gpusim.errors import GpusimError

KINDS = ("isa", "configs", "runtime", "traces", "validation/paper", "validation/alternatives", "validation/memory")


def find(kind: str) -> Path:
    """Folder of data of one kind (a name of KINDS).

    A wheel carries the folder inside the package; in a checkout it lies beside the package.
    Raises GpusimError if it is in neither place (a broken installation).
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind of data folder {kind!r}; known: {', '.join(KINDS)}")
    package = Path(__file__).resolve().parent
    packaged = kind.replace("validation/", "validation/data/")  # beside the code of the same name
    for folder in (package / packaged, package.parent / kind):
        if folder.is_dir():
            return folder
    raise GpusimError(
        f"data folder '{kind}' is missing beside {package}; reinstall gpusim (pip install --force-reinstall gpusim)"
    )
