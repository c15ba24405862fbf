"""The table of opcode forms is up to date, and nothing is refused but what is out of scope."""

from __future__ import annotations

import pytest
from opcode_coverage import ARCHITECTURES, OUT_OF_SCOPE, TABLE, load, refusal, table

UNKNOWN = {
    "LDC.U16": "an unknown constant bank", "ULDC": "an unknown constant bank", "CS2R.32": "performance counters",
    "S2R": "SR_VIRTCFG", "ARRIVES.LDGSTSBAR.64.ARVCNT": "Hopper's format of barriers",
}  # fmt: skip
"""Forms of which an example is refused because of an operand, or whose meaning is not known."""


def in_scope(form: str) -> bool:
    return form.split(".")[0] not in OUT_OF_SCOPE


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_form_in_scope_executes(architecture: int) -> None:
    examples = load(architecture)
    assert len(examples) > 700
    refused = {
        form: why for form, e in examples.items() if in_scope(form) and (why := refusal(e.text, architecture))
    }
    assert set(refused) <= set(UNKNOWN), {form: why for form, why in refused.items() if form not in UNKNOWN}


def test_textures_are_refused_by_name() -> None:
    assert "opcode TEX" in refusal("TEX.SCR.LL RZ, R2, R2, R4, 0x0, 2D, 0x3", 86)


def test_the_table_is_up_to_date() -> None:
    assert TABLE.read_text() == table(), "run: python tests/opcode_coverage.py"
