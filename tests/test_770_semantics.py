"""Random single instructions of every group against an independent statement of what they do (tests/semantics)."""

from __future__ import annotations

from pathlib import Path

import pytest
from semantics import (
    converts,
    doubles,
    floats,
    halves,
    integers,
    memories,
    predicates,
    tensors,
    uniforms,
    warps,
)
from semantics.run import check_group

GROUPS = {
    "integer": (integers.DRAWS, 86), "integer sm_90": (integers.DRAWS_90, 90), "float": (floats.DRAWS, 86),
    "double": (doubles.DRAWS, 86), "half": (halves.DRAWS, 86), "half sm_90": (halves.DRAWS, 90),
    "convert": (converts.DRAWS, 86), "predicate": (predicates.DRAWS, 86), "warp": (warps.DRAWS, 86),
    "warp sm_90": (warps.DRAWS_90, 90), "uniform": (uniforms.DRAWS, 86), "memory": (memories.DRAWS, 86),
    "memory sm_90": (memories.DRAWS_90, 90), "tensor": (tensors.DRAWS, 86), "tensor sm_75": (tensors.DRAWS_75, 75), "tensor sm_90": (tensors.DRAWS_90, 90),
}  # fmt: skip
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
