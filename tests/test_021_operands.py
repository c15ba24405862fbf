"""Operand text -> fields, and roles of whole instructions."""

from __future__ import annotations

import struct

import pytest

from gpusim.constants import MemorySpace
from gpusim.errors import GpusimError
from gpusim.sass.instructions import parse_instruction, split_text
from gpusim.sass.isa import load_isa
from gpusim.sass.operands import BINDLESS_BANK, Context, encode_number, parse_operand
from gpusim.sass.program import NO_SLOT, OPERAND_SELECTORS, PT, RZ, URZ, OperandKind

LABELS = {"LOOP": 0x40, ".L_x_1": 0x80}


def operand(text, immediate="int", wide=False):
    return parse_operand(text, Context(immediate, LABELS.__getitem__, lambda name: len(name), wide))


def instruction(text, architecture=86):
    return parse_instruction(text, load_isa(architecture), LABELS.__getitem__, lambda name: 0)


def fields(operand, expected):
    return {name: getattr(operand, name) for name in expected}


def bits(value):
    return struct.unpack("<I", struct.pack("<f", value))[0]


K = OperandKind
SELECT = OPERAND_SELECTORS.index
OPERANDS = [
    ("R4", {"kind": K.REGISTER, "register": 4, "negate": 0}),
    ("RZ", {"kind": K.REGISTER, "register": RZ}),
    ("-R4.reuse", {"register": 4, "negate": 1, "reuse": 1}),
    ("|R7|.reuse", {"register": 7, "absolute": 1, "reuse": 1, "negate": 0}),
    ("-|R7|", {"register": 7, "absolute": 1, "negate": 1}),
    ("~R9", {"register": 9, "invert": 1, "negate": 0}),
    ("R13.reuse.H0_H0", {"register": 13, "reuse": 1, "select": SELECT("H0_H0")}),
    ("-RZ.H0_H0", {"register": RZ, "negate": 1, "select": SELECT("H0_H0")}),
    ("R2.B1", {"register": 2, "select": SELECT("B1")}),
    ("R8.SIGN", {"register": 8, "select": SELECT("SIGN")}),
    ("UR4", {"kind": K.UNIFORM_REGISTER, "register": 4}),
    ("URZ", {"kind": K.UNIFORM_REGISTER, "register": URZ}),
    ("P3", {"kind": K.PREDICATE, "register": 3, "negate": 0}),
    ("!PT", {"kind": K.PREDICATE, "register": PT, "negate": 1}),
    ("!UP2", {"kind": K.UNIFORM_PREDICATE, "register": 2, "negate": 1}),
    ("PR", {"kind": K.PREDICATE, "register": 0, "width": 7}),
    ("B6", {"kind": K.BARRIER_REGISTER, "register": 6}),
    ("SB0", {"kind": K.DEPENDENCE_COUNTER, "register": 0}),
    ("{3,2}", {"kind": K.DEPENDENCE_COUNTER, "register": 255, "immediate": 0b1100}),
    ("0x20", {"kind": K.IMMEDIATE, "immediate": 0x20}),
    ("-0x1", {"kind": K.IMMEDIATE, "immediate": 0xFFFFFFFF, "negate": 0}),
    ("c[0x0][0x160]", {"kind": K.CONSTANT, "bank": 0, "immediate": 0x160, "register": RZ, "width": 0, "uniform": URZ}),
    ("-c[0x3][0x10]", {"kind": K.CONSTANT, "bank": 3, "immediate": 0x10, "negate": 1}),
    ("|c[0x3][0x10]|", {"kind": K.CONSTANT, "bank": 3, "absolute": 1}),
    ("c[0x2][R4+0x8]", {"kind": K.CONSTANT, "bank": 2, "register": 4, "width": 1, "immediate": 8}),
    ("c[0x3][UR5+-0x4]", {"kind": K.CONSTANT, "uniform": 5, "uniform_width": 1, "immediate": -4}),
    ("cx[UR4][0x10]", {"kind": K.CONSTANT, "bank": BINDLESS_BANK, "descriptor": 4, "immediate": 0x10}),
    ("[R4.64+0x10]", {"kind": K.MEMORY, "register": 4, "width": 2, "immediate": 16, "scale": 1, "uniform": URZ}),
    ("[R4.X4+UR5+0x20]", {"kind": K.MEMORY, "register": 4, "width": 1, "scale": 4, "uniform": 5, "immediate": 0x20}),
    ("desc[UR8][R2.64+-0x4]", {"kind": K.MEMORY, "descriptor": 8, "register": 2, "width": 2, "immediate": -4}),
    ("[UR4]", {"kind": K.MEMORY, "register": RZ, "width": 0, "uniform": 4, "uniform_width": 1}),
    ("[RZ]", {"kind": K.MEMORY, "register": RZ, "width": 0, "immediate": 0}),
    ("[0x400]", {"kind": K.MEMORY, "register": RZ, "immediate": 0x400}),
    ("[R8+URZ]", {"kind": K.MEMORY, "register": 8, "uniform": URZ, "uniform_width": 0}),
    ("`(LOOP)", {"kind": K.LABEL, "immediate": 0x40}),
    ("SR_TID.X", {"kind": K.SPECIAL_REGISTER, "immediate": 8}),
    ("SRZ", {"kind": K.SPECIAL_REGISTER, "immediate": 3}),
]


@pytest.mark.parametrize(("text", "expected"), OPERANDS, ids=[text for text, _ in OPERANDS])
def test_operand_text(text, expected):
    assert fields(operand(text), expected) == expected


def test_plain_register_in_a_wide_address_is_a_pair():
    expected = {"register": 2, "width": 2, "uniform": 4, "uniform_width": 2}
    assert fields(operand("[R2+UR4+0x8]", wide=True), expected) == expected
    expected = {"register": 2, "width": 1, "uniform_width": 2}
    assert fields(operand("[R2.U32+UR4]", wide=True), expected) == expected


@pytest.mark.parametrize(
    ("text", "encoding", "pattern"),
    [
        ("1", "f32", 0x3F800000),
        ("-1", "f32", 0xBF800000),
        ("0.69314718246459960938", "f32", 0x3F317218),
        ("1.175494350822287508e-38", "f32", 0x00800000),
        ("1.469367938527859385e-39", "f32", 0x00100000),
        ("+INF", "f32", 0x7F800000),
        ("-INF", "f32", 0xFF800000),
        ("+QNAN", "f32", 0x7FC00000),
        ("-QNAN", "f32", 0xFFC00000),
        ("1.5", "f64", 0x3FF80000),
        ("8.11296384146066816958e+31", "f64", 0x46900000),
        ("1.5", "f16", 0x3E00),
        ("1", "bf16", 0x3F80),
        ("10", "int", 10),
        ("0x3f800000", "f32", 0x3F800000),
    ],
)
def test_numbers(text, encoding, pattern):
    assert encode_number(text, encoding) == pattern


def test_two_halves_make_one_operand():
    operands = instruction("HFMA2.MMA R4, -RZ, RZ, 2.015625, 0").operands
    assert len(operands) == 4
    assert operands[3].immediate == 0x40080000


ROLES = [  # text, per operand (destination, slot, width)
    ("IADD3 R4, P0, P1, R2, R3.reuse, RZ", [(1, None, 1), (1, None, 1), (1, None, 1), (0, 0, 1), (0, 1, 1), (0, 2, 1)]),
    ("IADD3.X R4, R2, R3, RZ, P0, !PT", [(1, None, 1), (0, 0, 1), (0, 1, 1), (0, 2, 1), (0, None, 1), (0, None, 1)]),
    ("IMAD.WIDE.U32 R4, R9, R5, R6", [(1, None, 2), (0, 0, 1), (0, 1, 1), (0, 2, 2)]),
    ("IMAD.HI.U32 R4, R9, R5, R6", [(1, None, 1), (0, 0, 1), (0, 1, 1), (0, 2, 2)]),
    ("FADD R4, R5, R6", [(1, None, 1), (0, 0, 1), (0, 2, 1)]),
    ("FFMA R4, R5, c[0x0][0x160], R6", [(1, None, 1), (0, 0, 1), (0, None, 0), (0, 2, 1)]),
    ("MOV R4, R5", [(1, None, 1), (0, 1, 1)]),
    ("LOP3.LUT P0, R4, R5, 0xf, RZ, 0xc0, !PT",
     [(1, None, 1), (1, None, 1), (0, 0, 1), (0, None, 0), (0, 2, 1), (0, None, 0), (0, None, 1)]),
    ("ISETP.GE.AND P0, PT, R6, 0x5, P1", [(1, None, 1), (1, None, 1), (0, 0, 1), (0, None, 0), (0, None, 1)]),
    ("DFMA R4, R6, R8, -R10", [(1, None, 2), (0, 0, 2), (0, 1, 2), (0, 2, 2)]),
    ("DSETP.GT.AND P0, PT, R20, R30, PT", [(1, None, 1), (1, None, 1), (0, 0, 2), (0, 2, 2), (0, None, 1)]),
    ("F2F.F64.F32 R4, R6", [(1, None, 2), (0, 1, 1)]),
    ("F2F.F32.F64 R4, R6", [(1, None, 1), (0, 1, 2)]),
    ("I2F.F64.S64 R4, R6", [(1, None, 2), (0, 1, 2)]),
    ("F2I.U64.TRUNC R4, R6", [(1, None, 2), (0, 1, 1)]),
    ("F2I.F64.TRUNC R4, R6", [(1, None, 1), (0, 1, 2)]),
    ("MUFU.RCP64H R4, R7", [(1, None, 1), (0, 1, 1)]),
    ("CS2R R4, SRZ", [(1, None, 2), (0, None, 0)]),
    ("CS2R.32 R4, SR_CLOCKLO", [(1, None, 1), (0, None, 0)]),
    ("HMMA.16816.F32 R4, R8.reuse, R12, RZ", [(1, None, 4), (0, 0, 4), (0, 1, 2), (0, 2, 4)]),
    ("HMMA.1688.F16 R4, R8, R12, R14", [(1, None, 2), (0, 0, 2), (0, 1, 1), (0, 2, 2)]),
    ("HMMA.1688.F32.TF32 R4, R8, R12, R16", [(1, None, 4), (0, 0, 4), (0, 1, 2), (0, 2, 4)]),
    ("IMMA.16832.S8.S8.SAT R4, R8.ROW, R12.COL, R16", [(1, None, 4), (0, 0, 4), (0, 1, 2), (0, 2, 4)]),
    ("DMMA.884 R4, R8, R10, R12", [(1, None, 4), (0, 0, 2), (0, 1, 2), (0, 2, 4)]),
    ("SHFL.BFLY PT, R4, R5, 0x1, 0x1f", [(1, None, 1), (1, None, 1), (0, 0, 1), (0, None, 0), (0, None, 0)]),
    ("VOTE.ANY R4, PT, P0", [(1, None, 1), (1, None, 1), (0, None, 1)]),
    ("VOTE.ANY P0, P1", [(1, None, 1), (0, None, 1)]),
    ("R2UR UR4, R3", [(1, None, 1), (0, 0, 1)]),
    ("P2R R4, PR, RZ, 0x7f", [(1, None, 1), (0, None, 7), (0, 0, 1), (0, None, 0)]),
    ("ULDC.64 UR4, c[0x0][0x118]", [(1, None, 2), (0, None, 0)]),
    ("STG.E.128 [R4.64], R8", [(0, 0, 2), (0, 1, 4)]),
    ("ATOMG.E.CAS.64.STRONG.GPU PT, R18, [R8+0x10], R4, R6",
     [(1, None, 1), (1, None, 2), (0, 0, 2), (0, 1, 2), (0, 2, 2)]),
    ("ATOMS.ADD RZ, [R4.X4], R5", [(1, None, 1), (0, 0, 1), (0, 1, 1)]),
    ("RED.E.ADD.F64.RN.STRONG.GPU [R4.64], R8", [(0, 0, 2), (0, 1, 2)]),
    ("LDSM.16.M88.4 R8, [R0]", [(1, None, 4), (0, 0, 1)]),
    ("LDGSTS.E.BYPASS.128 [R7], [R2.64]", [(0, 0, 1), (0, 1, 2)]),
    ("BSSY B0, `(LOOP)", [(1, None, 1), (0, None, 0)]),
    ("BSYNC B0", [(0, None, 1)]),
    ("BREAK P0, B2", [(0, None, 1), (0, None, 1)]),
    ("BRX R2 -0x140", [(0, 0, 2), (0, None, 0)]),
    ("DEPBAR.LE SB0, 0x1, {3,2}", [(0, None, 1), (0, None, 0), (0, None, 0)]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), ROLES, ids=[text for text, _ in ROLES])
def test_roles_slots_and_widths(text, expected):
    operands = instruction(text).operands
    seen = [(o.is_destination, None if o.slot == NO_SLOT else o.slot, o.width) for o in operands]
    assert seen == expected
    assert [o.position for o in operands] == list(range(len(operands)))


@pytest.mark.parametrize(
    ("text", "space", "size"),
    [
        ("LDG.E R4, [R2.64]", MemorySpace.GLOBAL, 4),
        ("LDG.E.U8.CONSTANT R4, [R2.64]", MemorySpace.GLOBAL, 1),
        ("LDG.E.S16 R4, [R2.64]", MemorySpace.GLOBAL, 2),
        ("LDG.E.128.CONSTANT R4, [R2.64]", MemorySpace.GLOBAL, 16),
        ("STS.64 [R2], R4", MemorySpace.SHARED, 8),
        ("LDSM.16.M88.2 R8, [R0]", MemorySpace.SHARED, 8),
        ("STL.64 [R1+0x8], R4", MemorySpace.LOCAL, 8),
        ("LD.E.64 R4, [R2.64]", MemorySpace.GENERIC, 8),
        ("LDC.64 R4, c[0x0][R2+0x160]", MemorySpace.CONSTANT, 8),
        ("ATOMG.E.ADD.F64.RN.STRONG.GPU PT, R4, [R2.64], R6", MemorySpace.GLOBAL, 8),
        ("LDGSTS.E.BYPASS.128 [R7], [R2.64]", MemorySpace.GLOBAL_TO_SHARED, 16),
        ("ULDC.64 UR4, c[0x0][0x118]", MemorySpace.NONE, 0),
        ("IADD3 R1, R2, R3, R4", MemorySpace.NONE, 0),
    ],
)
def test_memory_space_and_bytes_per_lane(text, space, size):
    info = instruction(text).info
    assert (info.space, info.access_bytes) == (space, size)


def test_branch_keeps_its_second_predicate_and_its_target():
    branch = instruction("@!P0 BRA P1, `(LOOP)")
    assert (branch.guard, branch.guard_negate, branch.target) == (0, True, 0x40)
    assert fields(branch.operands[0], {"kind": K.PREDICATE, "register": 1, "is_destination": 0}) == {
        "kind": K.PREDICATE, "register": 1, "is_destination": 0,
    }  # fmt: skip


def test_uniform_guard():
    guarded = instruction("@!UPT UIADD3 URZ, URZ, URZ, URZ")
    assert (guarded.guard, guarded.guard_negate, guarded.guard_uniform) == (PT, True, True)


def test_register_targets_have_no_static_target():
    assert instruction("RET.REL.NODEC R20 `(LOOP)").target is None
    assert instruction("CALL.REL.NOINC `(LOOP)").target == 0x40
    assert instruction("WARPSYNC.COLLECTIVE R4, `(LOOP)").target == 0x40


def test_annotations_and_commas_inside_brackets_do_not_split():
    assert split_text('BRX R2 -0x140 (*"BRANCH_TARGETS .L_x_1,.L_x_2"*)')[2] == ["R2", "-0x140"]
    assert split_text("DEPBAR.LE SB0, 0x0, {3,2} ;")[2] == ["SB0", "0x0", "{3,2}"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("R300", "does not exist"),
        ("P8", "does not exist"),
        ("UR63", "does not exist"),
        ("Q4", "is no register"),
        ("R4.H7", "suffix .H7"),
        ("[R4.X3]", "suffix .X3"),
        ("[R4-R5]", "neither a register nor an offset"),
        ("[R4+foo]", "neither a register nor an offset"),
        ("0x1ffffffff", "does not fit"),
        ("1.5", "no integer"),
    ],
)
def test_operands_that_make_no_sense_are_refused(text, message):
    with pytest.raises(GpusimError, match=message):
        operand(text)


def test_wide_operand_must_end_within_the_register_file():
    with pytest.raises(GpusimError, match="covers 4 registers from 252"):
        instruction("LDG.E.128 R252, [R2.64]")
