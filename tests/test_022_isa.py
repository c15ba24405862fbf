"""Opcode tables: every field sourced, deltas between architectures, guesses marked as such, errors."""

from __future__ import annotations

from typing import get_args

import pytest

from gpusim import resources
from gpusim.errors import GpusimError
from gpusim.sass import isa
from gpusim.sass.isa import Destinations, Immediate, LatencyClass, Unit, load_isa

ARCHITECTURES = tuple(isa.TABLE_OF)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_opcode_has_its_facts_and_their_source(architecture):
    table = load_isa(architecture)
    assert len(table.opcodes) > 100
    for opcode in table.opcodes:
        info = table.lookup(opcode)
        assert info.known, opcode
        assert info.source, opcode
        assert info.unit in get_args(Unit), opcode
        assert info.latency_class in get_args(LatencyClass), opcode
        assert info.destinations in get_args(Destinations), opcode
        assert info.immediate in get_args(Immediate), opcode
        assert bool(info.access_bytes) == (info.space != 0), opcode


def test_variants_apply_by_ordered_modifiers():
    table = load_isa(86)
    assert table.lookup("IMAD").latency_class == "imad"
    assert table.lookup("IMAD.WIDE.U32.X").latency_class == "imad_wide"
    assert table.lookup("F2F.FTZ.F64.F32").widths == {"d": 2}
    assert table.lookup("F2F.FTZ.F32.F64").widths == {"a": 2}
    assert table.lookup("HMMA.1688.F32.TF32").widths["a"] == 4
    assert table.lookup("HMMA.1688.F32").widths["a"] == 2


def test_architectures_differ_where_the_hardware_does():
    assert load_isa(86).lookup("LDGSTS.E").known
    assert not load_isa(75).lookup("LDGSTS.E").known
    assert load_isa(90).lookup("VIADD").known
    assert not load_isa(86).lookup("VIADD").known
    assert load_isa(75).lookup("I2FP.F32.S32").known is False
    assert load_isa(89).lookup("FFMA") == load_isa(86).lookup("FFMA")
    assert (load_isa(86).parameter_base, load_isa(90).parameter_base) == (0x160, 0x210)
    assert load_isa(86).descriptor_bit("LDG") == 32
    assert load_isa(86).descriptor_bit("STG") == 64
    assert load_isa(75).descriptor_bit("LDG") is None
    assert load_isa(90).descriptor_bit("LDG") is None


@pytest.mark.parametrize(
    ("architecture", "spelling", "pipes"),
    [
        (75, "IADD3.X", ("alu",)), (86, "MEMBAR.SC.VC", ("lsu", "tex")), (86, "BRA.U", ()), (86, "S2R SR_CLOCKLO", ("adu",)),
        (75, "S2R SR_TID.Y", ("lsu",)), (75, "IMAD.WIDE", ("fma",)), (89, "IMAD.WIDE", ("fma", "fmaheavy")),
        (80, "RET.REL.NODEC", ("cbu",)), (86, "RET.REL.NODEC", ("cbu", "adu")), (80, "HFMA2.MMA", ("tensor_op_hmma",)),
        (80, "HFMA2", ("fp16",)), (90, "HFMA2", ("fma", "fma_type_fp16")), (86, "F2F.F64.F32", ("fp64_op_fp64",)),
        (86, "ULDC.64", ("uniform",)), (90, "ULDC.64", ()), (86, "LDGDEPBAR", ("lsu",)), (86, "TEX.SCR", ("tex",)),
        (86, "UFOO", ("uniform",)),
    ],
)  # fmt: skip
def test_pipes_are_those_of_the_unit_unless_the_table_says_otherwise(architecture, spelling, pipes):
    assert load_isa(architecture).pipes(spelling) == pipes


@pytest.mark.parametrize(
    ("opcode", "unit"),
    [("UFOO", "uniform"), ("LDFOO", "memory"), ("BRFOO", "branch"), ("DFOO", "fp64"), ("QFOO", "int")],
)
def test_unlisted_opcodes_are_guessed_and_marked(opcode, unit):
    info = load_isa(86).lookup(opcode)
    assert (info.unit, info.known) == (unit, False)


def test_unsupported_architecture_is_named():
    with pytest.raises(GpusimError, match="sm_61"):
        load_isa(61)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("grups: []", r"sm_86.yaml:1: grups: unknown key \(did you mean 'groups'"),
        ("groups: [{name: g, unit: itn, latency_class: int, source: s, opcodes: {A: {}}}]", "did you mean 'int'"),
        ("groups: [{name: g, unit: int, latency_class: int, opcodes: {A: {}}}]", r"groups\[0\].source: missing"),
        (
            "groups: [{name: g, unit: int, latency_class: int, source: s, opcodes: {A: {slot: [A]}}}]",
            r"opcodes.A.slot: unknown key \(did you mean 'slots'",
        ),
        ("groups: [{name: g, unit: int, latency_class: int, source: s, opcodes: {A: {slots: [D]}}}]", "slots"),
        (
            "groups: [{name: g, unit: int, latency_class: int, source: s, opcodes: {A: {widths: {z: 2}}}}]",
            "widths.z: unknown key",
        ),
        ("without: [NOPE]", "no opcode 'NOPE'"),
        (
            "groups: [{name: g, unit: int, latency_class: int, source: s, opcodes: {MOV: {}}}]\n"
            "pipes: {opcodes: {MVO.X: {pipes: [], source: s}}}",
            r"sm_86.yaml:2: pipes: no opcode 'MVO' \(did you mean 'MOV'",
        ),
        ("pipes: {units: {int: [aly]}}", r"pipes.units.int\[0\]: .*did you mean 'alu'"),
        ("base: sm_86.yaml", "sm_86.yaml:1: base: files inherit in a circle"),
        ("groups: [", "sm_86.yaml:.*not valid YAML"),
    ],
)
def test_malformed_tables_are_refused_by_place(tmp_path, monkeypatch, text, message):
    (tmp_path / "isa").mkdir()
    (tmp_path / "isa" / "sm_86.yaml").write_text(text)
    monkeypatch.setattr(resources, "find", lambda kind: tmp_path / kind)
    load_isa.cache_clear()
    try:
        with pytest.raises(GpusimError, match=message):
            load_isa(86)
    finally:
        load_isa.cache_clear()


def test_data_folders_are_found():
    for kind in resources.KINDS:
        assert resources.find(kind).is_dir()
