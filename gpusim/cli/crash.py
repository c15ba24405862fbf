"""A fault of gpusim itself: what is printed about it, and the file with everything that a report needs."""

from __future__ import annotations

import os
import platform
import shlex
import tempfile
import traceback
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

import gpusim

PACKAGES = ("numba", "llvmlite", "numpy", "pydantic", "rich")


def interrupted(error: BaseException | None) -> bool:
    """Whether it was Ctrl-C that made this error: one that arrives within an import is often told as another."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def report(error: Exception, arguments: Sequence[str]) -> str:
    """Two lines: what failed, and where version, command and traceback were saved (or these, where they could not)."""
    what = traceback.format_exception_only(error)[-1].strip().splitlines()[0]
    head = f"internal error: {what}"
    text = facts(arguments) + "\n" + "".join(traceback.format_exception(error))
    try:
        handle, name = tempfile.mkstemp(prefix="gpusim-error-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError:
        return f"{head}\n{text}gpusim: this is a fault of gpusim. Please report it with the lines above"
    return (
        f"{head}\ngpusim: this is a fault of gpusim. Please report it with the file {name}, which holds the version, "
        "the command and the traceback, and with the input if it may be shown"
    )


def facts(arguments: Sequence[str]) -> str:
    """Versions and the command, a line each."""
    lines = [f"gpusim {gpusim.__version__}, Python {platform.python_version()}, {platform.platform()}"]
    lines.append(", ".join(f"{name} {_installed(name)}" for name in PACKAGES))
    lines.append(f"command: {shlex.join(['gpusim', *arguments])}")
    return "\n".join(lines) + "\n"


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"
