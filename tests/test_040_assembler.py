"""Hand-written SASS: listings of the paper, directives, errors with file, line and remedy."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sass_cases import DATA, needs_tools, programs

from gpusim.constants import NO_COUNTER
from gpusim.errors import GpusimError
from gpusim.sass import control_bits
from gpusim.sass.assembler import assemble
from gpusim.sass.control_bits import ControlBits
from gpusim.sass.program import OperandKind, Parameter

HEAD = ".arch sm_86\n.kernel k\n"
EXIT = "[B------:R-:W-:-:S05] EXIT ;\n"
PORTS = """
# arXiv 2503.20481, Listing 1: register file ports
.arch sm_86
.kernel ports
.grid 2 3
.block 32
.param n 4
.param scale 1.5      // float32
.param data uint64 0x10000
.shared 128
[B------:R-:W-:-:S01] CS2R.32 R20, SR_CLOCKLO ;
[B------:R-:W-:-:S01] NOP ;
[B------:R-:W-:-:S01] FFMA R11, R10, R12, R14 ;
LOOP:
[B------:R-:W-:-:S01] FFMA R13, R16, R19.reuse, R21 ;
[B01----:R0:W1:Y:S05] @!P0 BRA `(LOOP) ;
[B------:R-:W-:-:S05] EXIT ;
"""


def write(tmp_path, text):
    path = tmp_path / "hand.sass"
    path.write_text(text)
    return path


def test_listing_assembles_to_a_program_and_its_launch(tmp_path):
    (kernel,) = assemble(write(tmp_path, PORTS))
    program = kernel.program
    assert (program.name, program.architecture, len(program)) == ("ports", 86, 6)
    assert (kernel.grid, kernel.block) == ((2, 3, 1), (32, 1, 1))
    assert kernel.parameters == (("n", "int32", 4), ("scale", "float32", 1.5), ("data", "uint64", 0x10000))
    assert program.parameters == (Parameter(0, 4, "n"), Parameter(4, 4, "scale"), Parameter(8, 8, "data"))
    assert (program.parameter_base, program.shared_bytes, program.registers) == (0x160, 128, 22)
    assert program.text[2] == "FFMA R11, R10, R12, R14"
    assert program.special_registers == ("SR_CLOCKLO",)
    branch = program.instructions[4]
    assert (branch.target, branch.guard, branch.guard_negate) == (3, 0, 1)
    assert (branch.stall, branch.yields, branch.write_counter, branch.read_counter, branch.wait_mask) == (5, 1, 1, 0, 3)
    ffma = program.operands_of(3)
    assert (ffma.reuse.tolist(), ffma.slot.tolist()) == ([0, 0, 1, 0], [255, 0, 1, 2])
    assert program.instructions[0].write_counter == NO_COUNTER
    assert len(program.provenance["source_sha256"]) == 64


def test_several_kernels_share_the_architecture(tmp_path):
    kernels = assemble(write(tmp_path, HEAD + EXIT + ".kernel second\n.block 8 4\n" + EXIT))
    assert [k.program.name for k in kernels] == ["k", "second"]
    assert kernels[1].block == (8, 4, 1)


def test_registers_count_wide_operands_and_barriers_are_found(tmp_path):
    text = HEAD + "[B------:R-:W0:-:S02] LDG.E.128 R8, [R2.64] ;\n[B------:R-:W-:-:S02] BAR.SYNC 0x1 ;\n" + EXIT
    program = assemble(write(tmp_path, text))[0].program
    assert (program.registers, program.barriers) == (12, 2)
    assert program.operands_of(0)[1].kind == OperandKind.MEMORY
    text = HEAD + ".registers 40\n" + EXIT
    assert assemble(write(tmp_path, text))[0].program.registers == 40


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no kernel"),
        (".grid 1\n", ":1: no kernel yet"),
        (".kernel k\n", ":1: no architecture yet"),
        (".arch sm_61\n", ":1: .arch 'sm_61' is not supported"),
        (HEAD, ":2: kernel 'k' has no instruction"),
        (HEAD + ".gird 1\n", r":3: directive '.gird' is not known \(did you mean '.grid'"),
        (HEAD + ".block 2000\n", ":3: .block: 2000 in x: a block has 1 to 1024 there"),
        (HEAD + ".grid 0\n", ":3: .grid: 0 in x: a grid has 1 to 2147483647 there"),
        (HEAD + ".shared -4\n", "must not be negative"),
        (HEAD + ".param n int33 4\n", "did you mean 'int32'"),
        (HEAD + ".param n uint32 -1\n", "does not fit in uint32"),
        (HEAD + ".param x 1.5x\n", "'1.5x' is no number"),
        (HEAD + ".param n\n", "wants a name"),
        (HEAD + "EXIT ;\n", ":3: 'EXIT ;' lacks its control field"),
        (HEAD + "[B------:R-:W-:-:S99] EXIT ;\n", ":3: .*stall count 99"),
        (HEAD + "[B------:R-:W-:-:S01] FFMMA R1, R2, R3, R4 ;\n" + EXIT, r":3: opcode 'FFMMA'.*did you mean 'FFMA'"),
        (HEAD + "[B------:R-:W-:-:S01] VIADD R1, R2, 0x3 ;\n" + EXIT, "opcode 'VIADD' is not known for sm_86"),
        (HEAD + "[B------:R-:W-:-:S01] MOV R1, R300 ;\n" + EXIT, ":3: operand 'R300'"),
        (HEAD + "LOOP:\n[B------:R-:W-:-:S01] BRA `(LOPO) ;\n" + EXIT, r"label 'LOPO' is not defined.*'LOOP'"),
        (HEAD + "LOOP:\nLOOP:\n" + EXIT, ":4: label 'LOOP' is defined twice"),
        (HEAD + "[B------:R-:W-:-:S01] NOP ;\n", ":3: kernel 'k' runs off its end"),
        (HEAD + "[B------:R-:W-:-:S01] @P0 EXIT ;\n", "runs off its end"),
        (HEAD + ".registers 4\n[B------:R-:W-:-:S01] MOV R9, RZ ;\n" + EXIT, ".registers 4 must be between 10"),
        (HEAD + EXIT + ".kernel k\n" + EXIT, ":4: kernel 'k' is defined twice"),
    ],
)
def test_mistakes_are_named_by_line_with_remedy(tmp_path, text, message):
    with pytest.raises(GpusimError, match=message):
        assemble(write(tmp_path, text))


def test_branch_out_of_the_kernel_is_refused(tmp_path):
    text = HEAD + "[B------:R-:W-:-:S01] BRA `(END) ;\n" + EXIT + "END:\n"
    with pytest.raises(GpusimError, match="outside the kernel"):
        assemble(write(tmp_path, text))


def test_missing_file_is_named(tmp_path):
    with pytest.raises(GpusimError, match=r"absent\.sass"):
        assemble(tmp_path / "absent.sass")


FIELDS = st.builds(
    ControlBits,
    stall=st.integers(0, 15),
    yields=st.booleans(),
    write_counter=st.sampled_from((0, 5, 7)),
    read_counter=st.sampled_from((0, 5, 7)),
    wait_mask=st.integers(0, 63),
)


@settings(max_examples=50)
@given(controls=st.lists(FIELDS, min_size=1, max_size=8))
def test_control_fields_reach_the_program(tmp_path_factory, controls):
    lines = "".join(f"{control} NOP ;\n" for control in controls)
    program = assemble(write(tmp_path_factory.mktemp("fields"), HEAD + lines + EXIT))[0].program
    for row, control in zip(program.instructions, controls, strict=False):
        seen = (row.stall, row.yields, row.write_counter, row.read_counter, row.wait_mask)
        assert seen == (control.stall, control.yields, control.write_counter, control.read_counter, control.wait_mask)


@needs_tools
@pytest.mark.parametrize("architecture", [75, 86, 90])
def test_compiler_output_reassembles_to_the_same_tables(tmp_path, architecture):
    """Text and control fields of compiled kernels carry everything but descriptors that the text does not tell."""
    for program in programs(DATA / "reuse.cu", architecture).values():
        lines = [f".arch sm_{architecture}", f".kernel {program.name}"]
        texts = list(zip(program.instructions, program.text, strict=True))
        labels = {row.target: re.search(r"`\((.+)\)", text)[1] for row, text in texts if row.target >= 0}
        for index, (row, text) in enumerate(texts):
            lines += [f"{labels[index]}:"] if index in labels else []
            lines.append(f"{control_bits.decode(int(row.encoding_high))} {text} ;")
        copy = assemble(write(tmp_path, "\n".join(lines)))[0].program
        fields = [n for n in copy.instructions.dtype.names if not n.startswith("encoding")]
        assert (copy.instructions[fields] == program.instructions[fields]).all()
        fields = [n for n in copy.operands.dtype.names if n != "descriptor"]
        assert (copy.operands[fields] == program.operands[fields]).all()
        assert (copy.opcodes, copy.text) == (program.opcodes, program.text)
