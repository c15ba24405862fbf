"""CUDA source -> Program on every architecture: facts that must hold for whatever the compiler emits."""

from __future__ import annotations

import numpy as np
import pytest
from sass_cases import ARCHITECTURES, DATA, KERNELS, SOURCES, compiled, needs_tools, programs

from gpusim.constants import MemorySpace
from gpusim.errors import GpusimError
from gpusim.sass import control_bits
from gpusim.sass.instructions import parse_instruction
from gpusim.sass.isa import load_isa
from gpusim.sass.program import NO_SLOT, RZ, URZ, OperandKind, Program

pytestmark = needs_tools
FEATURES = DATA / "features.cu"
LABELLED = (OperandKind.LABEL, OperandKind.SPECIAL_REGISTER)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_source_decodes_with_listed_opcodes_only(architecture):
    table = load_isa(architecture)
    for path in SOURCES:
        for program in programs(path, architecture).values():
            assert program.architecture == architecture
            unknown = [opcode for opcode in program.opcodes if not table.lookup(opcode).known]
            assert not unknown, (path.name, program.name)


def test_every_bundled_kernel_decodes():
    paths = sorted(KERNELS.glob("*.cu"))
    assert paths
    for path in paths:
        for program in programs(path, 86).values():
            assert "EXIT" in program.opcodes, (path.name, program.name)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_reuse_bits_agree_with_the_suffixes_in_the_text(architecture):
    """The flags come from bits 122..124 by slot; the text marks the same operands."""
    table, agreements = load_isa(architecture), 0
    for path in SOURCES:
        for program in programs(path, architecture).values():
            for row, text in zip(program.instructions, program.text, strict=True):
                operands = parse_instruction(text, table, lambda name: 0, lambda name: 0).operands
                told = sum(operand.reuse << operand.slot for operand in operands if operand.reuse)
                assert told == control_bits.decode_reuse(int(row.encoding_high)), text
                agreements += told != 0
    assert agreements > 300


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_widths_fit_the_registers_that_the_compiler_allotted(architecture):
    """Pairs and quads start at even registers, and no operand reaches beyond the allotted registers."""
    for path in SOURCES:
        for program in programs(path, architecture).values():
            o = program.operands
            regular = np.isin(o.kind, (OperandKind.REGISTER, OperandKind.MEMORY)) & (o.register != RZ) & (o.width > 0)
            assert not (o.register[regular & (o.width > 1)] % 2).any(), program.name
            assert (o.register + o.width)[regular].max() <= program.registers, program.name
            pairs = (o.kind == OperandKind.MEMORY) & (o.uniform_width == 2)
            assert not (o.uniform[pairs] % 2).any(), program.name
            assert not (o.descriptor[(o.kind == OperandKind.MEMORY) & (o.descriptor != URZ)] % 2).any(), program.name


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_only_regular_source_registers_have_a_slot(architecture):
    for program in programs(FEATURES, architecture).values():
        o = program.operands
        slotted = o.slot != NO_SLOT
        assert not o.is_destination[slotted].any()
        assert np.isin(o.kind[slotted], (OperandKind.REGISTER, OperandKind.MEMORY)).all()
        assert not o.reuse[~slotted].any()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_float_immediates_in_the_text_equal_those_of_the_encoding(architecture):
    """Programs take them from the encoding; the text parser (used by the assembler) must find the same bits."""
    table, checked = load_isa(architecture), 0
    for path in SOURCES:
        for program in programs(path, architecture).values():
            for index, text in enumerate(program.text):
                if table.lookup(program.opcode_of(index)).immediate == "int" or "QNAN" in text:
                    continue
                parsed = parse_instruction(text, table, lambda name: 0, lambda name: 0).operands
                for mine, stored in zip(parsed, program.operands_of(index), strict=True):
                    if mine.kind == OperandKind.IMMEDIATE:
                        assert mine.immediate == stored.immediate, text
                        checked += 1
    assert checked > 100


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_launch_facts(architecture):
    mixed = programs(FEATURES, architecture)["mixed"]
    assert [(p.offset, p.size) for p in mixed.parameters] == [(0, 8), (8, 8), (16, 4), (24, 8), (32, 8), (40, 8)]
    assert mixed.parameter_base == (0x210 if architecture >= 90 else 0x160)
    assert mixed.shared_bytes >= 1024
    assert mixed.barriers == 1
    assert programs(FEATURES, architecture)["_Z5callsPfi"].local_bytes >= 1024
    assert mixed.provenance["source"] == "features.cu"
    assert mixed.provenance["compiler"].startswith("NVRTC")
    assert len(mixed.provenance["source_sha256"]) == 64


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_device_variables_and_their_addresses(architecture):
    mixed = programs(FEATURES, architecture)["mixed"]
    symbols = {symbol.name: symbol for symbol in mixed.globals.symbols}
    values = symbols["values"]
    assert np.frombuffer(mixed.globals.image, "<i4", 4, values.offset).tolist() == [1, 2, 3, 4]
    assert symbols["table"].size == 256
    assert symbols["table"].offset + 256 <= mixed.globals.size
    coefficients = symbols["coefficients"]
    assert coefficients.bank == 3
    assert np.frombuffer(mixed.constants[3], "<f4", 4, coefficients.offset).tolist() == [1, 2, 3, 4]
    addends = {relocation.addend for relocation in mixed.globals.relocations}
    assert {symbols[name].offset for name in ("table", "values", "counter")} <= addends
    assert all(r.bank == 4 and r.offset + r.size <= len(mixed.constants[4]) for r in mixed.globals.relocations)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_branch_targets_calls_and_jump_tables(architecture):
    calls = programs(FEATURES, architecture)["_Z5callsPfi"]
    kinds = np.array([opcode.split(".")[0] for opcode in calls.opcodes])[calls.instructions.opcode]
    assert (calls.instructions.target[np.isin(kinds, ("BRA", "BSSY"))] >= 0).all()
    assert (calls.instructions.target[np.isin(kinds, ("RET", "BRX"))] == -1).all()
    function = calls.instructions.target[kinds == "CALL"]
    assert (function > 0).all()
    assert (function < len(calls)).all()
    entries = np.frombuffer(calls.constants[2], "<u4")
    assert (kinds == "BRX").any()
    assert set(entries[entries < 16 * len(calls)] % 16) == {0}


def test_descriptor_of_global_accesses_is_the_register_that_holds_it():
    """sm_86 names it in the encoding only: the pair that `ULDC.64` loads from c[0x0][0x118]."""
    program = programs(FEATURES, 86)["conversions"]
    loads = [i for i, text in enumerate(program.text) if "c[0x0][0x118]" in text]
    holder = program.operands_of(loads[0])[0].register
    accesses = program.instructions.space == MemorySpace.GLOBAL
    starts = program.instructions.operand_start[accesses]
    owned = np.concatenate([program.operands[s : s + 3] for s in starts])
    assert set(owned[owned["kind"] == OperandKind.MEMORY]["descriptor"]) == {holder}


def test_unlisted_opcodes_are_named_in_the_provenance(monkeypatch):
    from gpusim.sass import cubin

    monkeypatch.setattr(cubin, "load_isa", lambda architecture: load_isa(75))
    conversions = next(p for p in cubin.load_programs(compiled(FEATURES, 86).data) if p.name == "conversions")
    assert conversions.provenance["unlisted_opcodes"] == "HMNMX2"
    assert "unlisted_opcodes" not in programs(FEATURES, 86)["conversions"].provenance


def test_code_that_is_not_linked_is_refused(tmp_path):
    from gpusim.sass.cubin import load_programs
    from gpusim.sass.nvrtc import compile_cuda

    path = tmp_path / "apart.cu"
    path.write_text("extern __device__ int f(int);\n__global__ void k(int *p) { p[0] = f(p[1]); }\n")
    with pytest.raises(GpusimError, match="rdc"):
        load_programs(compile_cuda(path, 86, ("-rdc=true",)).data)


def test_tail_padding_is_dropped():
    for program in programs(FEATURES, 86).values():
        assert program.text[-1].startswith(("EXIT", "RET", "BRA"))
        assert program.text[-1] != "NOP"


def test_program_round_trips_through_its_metadata():
    program = programs(FEATURES, 86)["mixed"]
    copy = Program.from_metadata(program.metadata(), program.instructions, program.operands)
    assert copy.metadata() == program.metadata()


def test_compile_error_carries_file_and_line(tmp_path):
    path = tmp_path / "wrong.cu"
    path.write_text("__global__ void k() {\n  int x = undefined_name;\n}\n")
    from gpusim.sass.nvrtc import compile_cuda

    with pytest.raises(GpusimError, match=r"wrong.cu\(2\): error"):
        compile_cuda(path, 86)
    with pytest.raises(GpusimError, match="sm_61"):
        compile_cuda(path, 61)
    with pytest.raises(GpusimError, match=r"absent\.cu"):
        compile_cuda(tmp_path / "absent.cu", 86)
