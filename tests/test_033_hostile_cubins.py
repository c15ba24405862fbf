"""Damaged cubins and fat binaries: each is read or refused by name, without a traceback and without filling the memory."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path
from random import Random

import pytest
import zstandard
from sass_cases import LZ4, ZSTD, compiled, container, needs_tools
from work import at_most

from gpusim.emulator.buffers import GlobalMemory
from gpusim.emulator.machine import check_launch, prepare
from gpusim.emulator.sources import open_source
from gpusim.errors import GpusimError
from gpusim.sass.cubin import CubinFile, load_programs, parse_attributes
from gpusim.sass.elf import read_elf
from gpusim.sass.fatbin import FATBIN_MAGIC, find_images

pytestmark = needs_tools
SOURCE = """
__constant__ float table[4] = {1, 2, 3, 4};
__device__ int counter = 3;
extern "C" __global__ void k(float *x, int n) {
    __shared__ float s[64];
    int i = threadIdx.x;
    s[i & 63] = table[i & 3] * x[i];
    __syncthreads();
    if (i < n) x[i] = s[(i + 1) & 63] + __sinf(x[i]) + atomicAdd(&counter, 1);
}
"""
SECTION_BYTES, TYPE, SIZE, INFO, ENTRY_BYTES = 64, 4, 32, 44, 56
"""Of an ELF section header: its size, and the offsets of some fields."""


@pytest.fixture(scope="module")
def cubin(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("cubin") / "k.cu"
    path.write_text(SOURCE)
    return compiled(path, 86).data


def section(data: bytes, name: str) -> tuple[int, int]:
    """Offsets of a section's header and of its contents."""
    sections = read_elf(data, "x").sections
    number = [each.name for each in sections].index(name)
    return struct.unpack_from("<Q", data, 40)[0] + SECTION_BYTES * number, sections[number].offset


def with_field(data: bytes, place: int, layout: str, value: int) -> bytes:
    changed = bytearray(data)
    struct.pack_into(layout, changed, place, value)
    return bytes(changed)


def attribute(data: bytes, name: str, number: int) -> int:
    """Offset of an attribute of a section."""
    offset = section(data, name)[1]
    for each in parse_attributes(CubinFile(data, "x").content(name), "x"):
        if each.number == number:
            return offset
        offset += 4 + len(each.payload)
    raise AssertionError(f"{name} has no attribute {number:#x}")


def usable(data: bytes) -> bool:
    """Whether a cubin is read and its kernels can be launched; False where it is refused. Anything else raises."""
    try:
        for program in load_programs(data):
            check_launch(program, (1, 1, 1), (32, 1, 1), 0, "x")
            prepare(program, (1, 1, 1), (32, 1, 1), 0, bytes(16), GlobalMemory())
    except GpusimError:
        return False
    return True


def test_no_mutated_cubin_does_harm(cubin):
    random, tables, read = Random(6), struct.unpack_from("<Q", cubin, 40)[0], 0
    for _ in range(40):
        changed = bytearray(cubin)
        first = random.choice((0, tables, tables))  # most of what can go wrong stands in the section headers
        for _ in range(random.choice((1, 1, 2, 4))):
            place, width = random.randrange(first, len(cubin)), random.choice((1, 1, 2, 4, 8))
            changed[place : place + width] = bytes([random.choice((0, 0xFF, 0x7F, random.randrange(256)))]) * width
        read += usable(bytes(changed[: len(cubin)]))
    assert 5 < read < 35


@pytest.mark.parametrize(
    ("name", "field", "layout", "value", "message"),
    [
        (".symtab", TYPE, "<I", 3, "this cubin holds no kernel"),
        (".symtab", SIZE, "<Q", 24 << 50, r"table \.symtab ends behind the file"),
        (".symtab", ENTRY_BYTES, "<Q", 1, r"ELF file"),
        (".rel.nv.constant4", SIZE, "<Q", 1 << 40, r"table \.rel\.nv\.constant4 ends behind the file"),
        (".text.k", SIZE, "<Q", 1 << 50, "nvdisasm failed|truncated"),
        (".nv.shared.k", SIZE, "<Q", 1 << 40, r"section \.nv\.shared\.k has 1099511627776 bytes, at most 101376"),
        (".nv.info.k", SIZE, "<Q", 41, "is cut off|nvdisasm failed"),
    ],
)
def test_a_damaged_section_header_is_refused(cubin, name, field, layout, value, message):
    with pytest.raises(GpusimError, match=message):
        load_programs(with_field(cubin, section(cubin, name)[0] + field, layout, value))


@pytest.mark.parametrize(
    ("name", "number", "at", "layout", "value", "message"),
    [
        (".nv.info", 0x11, 8, "<I", 3 << 30, "kernel 'k' has 3221225472 local bytes, at most 524288"),
        (".nv.info", 0x12, 8, "<I", 3 << 30, "kernel 'k' has 3221225472 local bytes, at most 524288"),
        (".nv.info", 0x2F, 8, "<I", 300, "kernel 'k' has 300 registers, at most 255"),
        (".nv.info.k", 0x0A, 2, "<H", 4, r"\.nv\.info\.k: attribute 0xa has 4 bytes of 8"),
        (".nv.info.k", 0x17, 10, "<H", 65535, r"\.nv\.info\.k: parameters end at byte \d+ of a bank of 65536"),
    ],
)
def test_a_damaged_launch_fact_is_refused(cubin, name, number, at, layout, value, message):
    with pytest.raises(GpusimError, match=message):
        load_programs(with_field(cubin, attribute(cubin, name, number) + at, layout, value))


def test_a_relocation_and_a_variable_must_lie_in_their_sections(cubin):
    _, entries = section(cubin, ".rel.nv.constant4")
    for place, value, message in ((0, 1 << 40, "behind section"), (12, 9999, "names symbol 9999")):
        with pytest.raises(GpusimError, match=message):
            from gpusim.sass.relocations import read_globals

            layout = "<Q" if place == 0 else "<I"
            read_globals(CubinFile(with_field(cubin, entries + place, layout, value), "x"))
    header, symbols = section(cubin, ".symtab")
    numbers = [symbol.name for symbol in read_elf(cubin, "x").symbols]
    changed = with_field(cubin, symbols + 24 * numbers.index("table") + 16, "<Q", 1 << 40)
    with pytest.raises(GpusimError, match="variable 'table' ends behind section"):
        read_globals(CubinFile(changed, "x"))
    assert header


# ---- fat binaries


def measured(data: bytes, message: str) -> None:
    """The images are refused with this message, quickly and in little memory."""
    tracemalloc.start()
    with at_most(calls=2_000_000), pytest.raises(GpusimError, match=message):
        find_images(data, "program")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 300e6


def test_what_unpacks_to_far_more_than_machine_code_is_refused():
    one = zstandard.ZstdCompressor().compress(bytes(1 << 30))
    assert len(one) < 40_000
    measured(container([(one, ZSTD)]), r"program: a compressed CUDA image of \d+,\d+ bytes unpacks to more than 6\d,")
    silent = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(1 << 28))
    measured(container([(silent, ZSTD)]), "unpacks to more than")


def test_many_images_that_each_unpack_to_less_are_bounded_together():
    each = zstandard.ZstdCompressor().compress(bytes(60 << 20))
    measured(container([(each, ZSTD)] * 8), "unpacks to more than")


def test_images_that_are_no_machine_code_are_left_out(cubin):
    pack = zstandard.ZstdCompressor().compress
    host = cubin[:18] + struct.pack("<H", 62) + cubin[20:]
    small = [(pack(payload), ZSTD) for payload in (b"", b"\x7fELF", cubin[:51], b"x" * 500, host)]
    assert find_images(container([*small, (pack(cubin), ZSTD)]), "program").found == (cubin,)


def test_an_image_without_tables_does_not_hold_the_search_up(cubin):
    empty = cubin[:32] + bytes(32)
    assert [len(image) for image in find_images(empty * 3 + cubin, "program").found][:3] == [64, 64, 64]


def test_damaged_containers_end_where_they_are_wrong(cubin):
    good = container([(zstandard.ZstdCompressor().compress(cubin), ZSTD)])
    for broken in (
        FATBIN_MAGIC,
        FATBIN_MAGIC + struct.pack("<HHQ", 1, 16, 1 << 62),
        FATBIN_MAGIC + struct.pack("<HHQ", 1, 0, 1 << 62) + bytes(64),
        container([(b"x" * 100, LZ4)])[:-50],
    ):
        assert find_images(broken + good, "program").found == (cubin,)
    with at_most(calls=2_000_000):
        find_images((FATBIN_MAGIC + struct.pack("<HHQ", 1, 16, 1 << 62) + bytes(16)) * 100_000, "program")


def test_no_mutated_fat_binary_does_harm(cubin, tmp_path: Path):
    data = b"\x7fELF host" + bytes(60) + container([(zstandard.ZstdCompressor().compress(cubin), ZSTD), (cubin, 0)])
    random, path = Random(8), tmp_path / "program"
    for _ in range(25):
        changed = bytearray(data)
        place = random.randrange(len(data) if random.random() < 0.3 else 200)
        changed[place] = random.randrange(256)
        path.write_bytes(bytes(changed))
        try:
            open_source(path, 86, ["k"])
        except GpusimError:
            continue
