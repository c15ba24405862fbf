"""The groups of instructions that tests draw from: what is drawn, and the architecture that it is for."""

from __future__ import annotations

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

GROUPS = {
    "integer": (integers.DRAWS, 86), "integer sm_90": (integers.DRAWS_90, 90), "float": (floats.DRAWS, 86),
    "double": (doubles.DRAWS, 86), "half": (halves.DRAWS, 86), "half sm_90": (halves.DRAWS, 90),
    "convert": (converts.DRAWS, 86), "predicate": (predicates.DRAWS, 86), "warp": (warps.DRAWS, 86),
    "warp sm_90": (warps.DRAWS_90, 90), "uniform": (uniforms.DRAWS, 86), "memory": (memories.DRAWS, 86),
    "memory sm_90": (memories.DRAWS_90, 90), "tensor": (tensors.DRAWS, 86), "tensor sm_75": (tensors.DRAWS_75, 75), "tensor sm_90": (tensors.DRAWS_90, 90),
}  # fmt: skip
