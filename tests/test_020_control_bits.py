"""Control field: bit positions, text form, refusals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpusim.errors import GpusimError
from gpusim.sass import control_bits
from gpusim.sass.control_bits import ControlBits

FIELDS = st.builds(
    ControlBits,
    stall=st.integers(0, 15),
    yields=st.booleans(),
    write_counter=st.sampled_from((0, 1, 2, 3, 4, 5, 7)),
    read_counter=st.sampled_from((0, 1, 2, 3, 4, 5, 7)),
    wait_mask=st.integers(0, 63),
)


@given(FIELDS)
def test_text_form_round_trips(control):
    assert control_bits.parse(str(control)) == control


@given(FIELDS, st.integers(0, (1 << 41) - 1), st.integers(0, 7))
def test_encoding_round_trips_whatever_the_other_bits_are(control, lower, reuse):
    high = control.encode() | lower | reuse << 58
    assert control_bits.decode(high) == control
    assert control_bits.decode_reuse(high) == reuse


@pytest.mark.parametrize(
    ("high", "text", "reuse"),
    [
        (0x000FE400078E00FF, "[B------:R-:W-:-:S02]", 0),  # IMAD.MOV.U32 R1, RZ, RZ, c[0x0][0x28]
        (0x000E220000002100, "[B------:R-:W0:-:S01]", 0),  # S2R R9, SR_TID.X
        (0x001FCC00078E0004, "[B0-----:R-:W-:Y:S06]", 0),  # IMAD.WIDE.U32, waits for the S2R
        (0x0041E80000000400, "[B--2---:R0:W-:-:S04]", 0),  # STS.U16 [R9], R4
        (0x044FF000000018FF, "[B--2---:R-:W-:-:S08]", 1),  # HMMA.16816.F32 R16, R8.reuse, R12, RZ
    ],
)
def test_compiler_output_decodes_as_its_listing_says(high, text, reuse):
    assert str(control_bits.decode(high)) == text
    assert control_bits.decode_reuse(high) == reuse


@pytest.mark.parametrize(
    "text", ["", "[B------:R-:W-:-:S1x]", "[B---6--:R-:W-:-:S01]", "[B------:R6:W-:-:S01]", "[B------:R-:W-:-:S16]"]
)
def test_malformed_fields_are_refused_with_an_example(text):
    with pytest.raises(GpusimError, match="control field"):
        control_bits.parse(text)


def test_counters_may_stand_at_any_place_of_the_wait_mask():
    assert control_bits.parse("[B01----:R0:W1:Y:S05]") == ControlBits(5, True, 1, 0, 0b11)
    assert control_bits.parse("[B----01:R0:W1:Y:S05]").wait_mask == 0b11
