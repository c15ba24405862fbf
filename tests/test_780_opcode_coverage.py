"""The table of opcode forms is up to date, and nothing is refused but what is out of scope."""

from __future__ import annotations

import pytest
from opcode_coverage import ARCHITECTURES, OUT_OF_SCOPE, TABLE, load, refusal, table

UNKNOWN = ("ARRIVES.LDGSTSBAR.64.ARVCNT",)
"""Forms whose meaning is not known well enough: an arrival in Hopper's format of barriers."""


def in_scope(form: str) -> bool:
    return form.split(".")[0] not in OUT_OF_SCOPE


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_form_in_scope_executes(architecture: int) -> None:
    examples = load(architecture)
    assert len(examples) > 700
    refused = {form: why for form, e in examples.items() if in_scope(form) and (why := refusal(e.text, architecture))}
    assert set(refused) <= set(UNKNOWN), refused


def test_layers_and_cubes_of_textures_are_refused_by_name() -> None:
    assert "texture shape CUBE" in refusal("TEX.SCR.LL RZ, R2, R2, R4, 0x0, 0x58, CUBE, 0x3", 86)


def test_the_table_is_up_to_date() -> None:
    assert TABLE.read_text() == table(), "run: python tests/support/opcode_coverage.py"
