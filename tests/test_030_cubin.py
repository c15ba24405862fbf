"""cubin files that must be refused, each by name; attributes; listings that are not understood."""

from __future__ import annotations

import struct

import pytest
from sass_cases import DATA, compiled, needs_tools

from gpusim.cli.doctor import print_toolchain
from gpusim.errors import GpusimError
from gpusim.sass.disassembly import parse_listing

pytest.importorskip("elftools", reason="pyelftools is not installed")
from gpusim.sass import toolchain
from gpusim.sass.cubin import CubinFile, load_programs, parse_attributes


def elf_header(machine=190, flags=0x005604):
    """A 64-bit little-endian ELF header without sections."""
    identity = b"\x7fELF" + bytes([2, 1, 1, 65, 8]) + bytes(7)
    return identity + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0, 0, 0, flags, 64, 0, 0, 64, 0, 0)


def test_architecture_is_read_from_either_layout_of_the_flags():
    assert CubinFile(elf_header(flags=0x0A005604), "x").architecture == 86
    assert CubinFile(elf_header(flags=0x06004B04), "x").architecture == 75
    assert CubinFile(elf_header(flags=0x00560556), "x").architecture == 86


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not an ELF file"),
        (b"MZ" + bytes(100), "not an ELF file"),
        (elf_header()[:40], "truncated"),
        (elf_header(machine=62), "not CUDA"),
        (elf_header(flags=0x00003D04), "sm_61 is not supported"),
        (elf_header(flags=0x00007804), "sm_120 is not supported"),
    ],
    ids=["empty", "not-elf", "cut-header", "host-code", "pascal", "blackwell"],
)
def test_what_is_no_supported_cubin_is_refused(data, message):
    with pytest.raises(GpusimError, match=message):
        CubinFile(data, "broken.cubin")


def test_missing_file_is_named(tmp_path):
    with pytest.raises(GpusimError, match=r"nowhere\.cubin"):
        load_programs(tmp_path / "nowhere.cubin")


@needs_tools
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.999])
def test_truncated_cubin_is_refused(tmp_path, keep):
    data = compiled(DATA / "features.cu", 86).data
    path = tmp_path / "cut.cubin"
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(GpusimError, match=r"cut\.cubin"):
        load_programs(path)


def test_attribute_lists():
    data = struct.pack("<BBH", 4, 0x2F, 8) + struct.pack("<II", 7, 40) + struct.pack("<BBH", 3, 0x1B, 255)
    first, second = parse_attributes(data, "x")
    assert (first.number, struct.unpack("<II", first.payload)) == (0x2F, (7, 40))
    assert (second.number, second.value, second.payload) == (0x1B, 255, b"")
    with pytest.raises(GpusimError, match="cut off"):
        list(parse_attributes(data[:9], "x"))


LISTING = """
\t.section\t.text.k,"ax",@progbits
k:
.text.k:
.L_x_0:
        /*0000*/              @P0 BRA `(.L_x_0) ;      /* 0xfffffff000000947 */
                                                       /* 0x000fea000383ffff */
        /*0010*/                   BRX R2 -0x140  (*"BRANCH_TARGETS .L_x_0"*);  /* 0xfffffec002007949 */
                                                       /* 0x000fea000383ffff */
        /*0020*/                   EXIT ;              /* 0x000000000000794d */
                                                       /* 0x000fea0003800000 */
.L_x_1:
        /*0030*/                   BRA `(.L_x_1);      /* 0xfffffff000007947 */
                                                       /* 0x000fc0000383ffff */
        /*0040*/                   NOP;                /* 0x0000000000007918 */
                                                       /* 0x000fc00000000000 */
"""


def test_listing_is_paired_with_encodings_and_loses_its_padding():
    function = parse_listing(LISTING, "x")["k"]
    assert [line.text for line in function.lines] == [
        "@P0 BRA `(.L_x_0)",
        "BRX R2 -0x140",
        "EXIT",
        "BRA `(.L_x_1)",
        "NOP",
    ]
    assert (function.lines[1].pc, function.lines[1].low, function.lines[1].high) == (
        0x10, 0xFFFFFEC002007949, 0x000FEA000383FFFF,
    )  # fmt: skip
    assert function.labels[".L_x_1"] == 0x30
    assert [line.text for line in function.without_padding()][-1] == "EXIT"


def test_endless_loop_of_the_program_is_no_padding():
    function = parse_listing(LISTING.replace("   EXIT ;", "   NOP ;"), "x")["k"]
    assert function.without_padding()[-1].text == "BRA `(.L_x_1)"


def test_unknown_form_of_listing_is_refused():
    with pytest.raises(GpusimError, match="not understood"):
        parse_listing(LISTING.replace("0xfffffff000000947", "0xfff"), "x")
    with pytest.raises(GpusimError, match="second half"):
        parse_listing(LISTING.replace("/* 0x000fea000383ffff */", "", 1), "x")


def test_missing_tools_are_told_with_the_remedy(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(toolchain, "_wheel_folders", lambda: iter(()))
    monkeypatch.setattr(toolchain, "_toolkit_folders", lambda: iter(()))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(toolchain.NVDISASM_VARIABLE, raising=False)
    monkeypatch.delenv(toolchain.NVRTC_VARIABLE, raising=False)
    for find in (toolchain.find_nvdisasm, toolchain.find_nvrtc):
        with pytest.raises(GpusimError, match=r"pip install 'gpusim\[sass\]'"):
            find()
    print_toolchain()
    assert "nvdisasm  missing" in capsys.readouterr().out
    monkeypatch.setenv(toolchain.NVDISASM_VARIABLE, str(tmp_path / "none"))
    with pytest.raises(GpusimError, match=toolchain.NVDISASM_VARIABLE):
        toolchain.find_nvdisasm()


SYMBOL, VALUE_AT, BIND_AT, GLOBAL = 24, 8, 4, 1


def symbols_of(data: bytes) -> tuple[CubinFile, int]:
    """An opened cubin, and where its table of symbols stands."""
    cubin = CubinFile(data, "x")
    return cubin, cubin.sections[".symtab"].offset


def codes(data: bytes) -> list[tuple[str, bytes]]:
    return [(program.name, program.instructions.tobytes()) for program in load_programs(data)]


@needs_tools
def test_symbols_may_hold_the_addresses_that_a_card_gave_them():
    # Given an image as a profiler takes it from a card: symbols of code and of its sections have run-time addresses
    data = compiled(DATA / "features.cu", 86).data
    cubin, table = symbols_of(data)
    moved = bytearray(data)
    for index, symbol in enumerate(cubin.symbols):
        if cubin.section_of(symbol.section).startswith(".text."):
            at = table + index * SYMBOL + VALUE_AT
            struct.pack_into("<Q", moved, at, 0x7F48_0000_0000 + 0x10000 * symbol.section + symbol.value)
    assert moved != data
    assert codes(bytes(moved)) == codes(data)
    assert cubin.with_offsets() == data


@needs_tools
def test_kernels_that_are_local_to_their_file_are_found():
    data = compiled(DATA / "features.cu", 86).data
    cubin, table = symbols_of(data)
    local = bytearray(data)
    for index, _ in cubin.kernels():
        at = table + index * SYMBOL + BIND_AT
        assert local[at] >> 4 == GLOBAL
        local[at] &= 0x0F
    assert CubinFile(bytes(local), "x").symbols[cubin.kernels()[0][0]].bind == "STB_LOCAL"
    assert codes(bytes(local)) == codes(data)
