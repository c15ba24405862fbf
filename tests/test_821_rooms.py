"""The rooms of the house: what a package says lives there does, and imports go one way."""

from __future__ import annotations

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "gpusim"
ROOMS = sorted(path.parent for path in PACKAGE.rglob("__init__.py") if path.parent != PACKAGE)
KINDS = {PACKAGE / "model" / "policies" / kind for kind in ("scheduler", "prefetcher", "replacement")}
"""Their modules are the choices, found by name; what the packages say is the interface."""


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in PACKAGE.rglob("*.py")}


@pytest.mark.parametrize("room", [room for room in ROOMS if room not in KINDS], ids=name_of)
def test_a_package_says_what_lives_there(room: Path) -> None:
    told = ast.get_docstring(ast.parse((room / "__init__.py").read_text())) or ""
    words = set(re.findall(r"[a-z_0-9]+\*?", told))
    for path in room.glob("*.py"):
        if path.stem != "__init__":
            assert path.stem in words or path.stem.split("_")[0] + "*" in words, path.name
    assert len(told.splitlines()) >= 5


def imported(path: Path) -> set[str]:
    """Modules of gpusim that a module imports at its top; what only types need does not count."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gpusim"):
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else str(node.module) for name in inner}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("gpusim")}
    return found


def test_nothing_is_imported_in_a_circle() -> None:
    TopologicalSorter({name: imported(path) - {name} for name, path in MODULES.items()}).prepare()


LOWER = {
    "gpusim.model": ("gpusim.cli", "gpusim.report", "gpusim.runs", "gpusim.hazards", "gpusim.validation", "gpusim.emulator"),
    "gpusim.emulator": ("gpusim.cli", "gpusim.report", "gpusim.runs", "gpusim.model", "gpusim.hazards", "gpusim.validation"),
    "gpusim.sass": ("gpusim.cli", "gpusim.model", "gpusim.emulator", "gpusim.results", "gpusim.trace"),
    "gpusim.trace": ("gpusim.cli", "gpusim.model", "gpusim.emulator", "gpusim.results"),
    "gpusim.results": ("gpusim.cli", "gpusim.model", "gpusim.emulator", "gpusim.report", "gpusim.trace"),
    "gpusim.report": ("gpusim.cli", "gpusim.model", "gpusim.emulator"),
    "gpusim.config": ("gpusim.cli", "gpusim.emulator", "gpusim.results", "gpusim.trace"),
}  # fmt: skip
"""What does not reach back: the functional side knows no cycle, the timing side computes no value."""


@pytest.mark.parametrize("room", LOWER)
def test_imports_go_one_way(room: str) -> None:
    for name, path in MODULES.items():
        if name == room or name.startswith(room + "."):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom):
                    assert not (node.module or "").startswith(LOWER[room]), f"{name} imports {node.module}"
