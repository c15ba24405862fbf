"""Random single instructions of every group against an independent statement of what they do (tests/support/semantics)."""

from __future__ import annotations

from pathlib import Path

import pytest
from semantics.groups import GROUPS
from semantics.run import check_group

LANES = 32


@pytest.mark.parametrize("group", GROUPS)
def test_500_cases(tmp_path: Path, group: str) -> None:
    draws, architecture = GROUPS[group]
    check_group(tmp_path, draws, -(-500 // LANES), architecture, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
def test_10000_cases(tmp_path: Path, group: str) -> None:
    draws, architecture = GROUPS[group]
    check_group(tmp_path, draws, -(-10000 // LANES), architecture, seed=2)
