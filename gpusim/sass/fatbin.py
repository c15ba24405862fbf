"""CUDA machine code inside other files: fat binaries, executables, libraries, Nsight Compute reports.

Machine code lies in them as whole ELF images of machine 190, which their magic number finds. Fat binaries may compress
images. Their layout, read off files that CUDA 13's `fatbinary` wrote: a container begins with the magic number
0xba55ed50, u16 version, u16 header size and u64 content size; an entry begins with u16 kind (2: ELF), u16 version, u32
header size and u64 stored size, and has u32 compressed size at byte 16 and u64 flags at byte 40.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gpusim.errors import GpusimError

EM_CUDA = 190
"""e_machine of NVIDIA's machine code."""
ELF_MAGIC = b"\x7fELF"
FATBIN_MAGIC = (0xBA55ED50).to_bytes(4, "little")
REPORT_SUFFIX = ".ncu-rep"
KERNEL_SUFFIXES = (".cu", ".cubin", ".sass", ".fatbin", REPORT_SUFFIX)
"""Kernel files that are known by their name; executables and libraries are known by their first bytes."""

_ELF_HEADER = 64
_LEAST_ENTRY_HEADER = 48
_KIND_ELF = 2
_COMPRESSED_LZ4, _COMPRESSED_ZSTD = 0x2000, 0x8000
_MOST_UNPACKED, _MOST_RATIO = 64 << 20, 64
"""Bytes that compressed images may unpack to, one by one and all together: so many, and so many times their own."""


@dataclass(frozen=True)
class Images:
    """The CUDA images of a file in order; `unreadable` more are compressed in a way that cannot be read here."""

    found: tuple[bytes, ...]
    unreadable: int = 0


def is_kernel_file(path: Path) -> bool:
    """Whether a file may hold kernels: by its suffix, or because it is an executable or a library (an ELF file)."""
    if path.suffix in KERNEL_SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            return file.read(len(ELF_MAGIC)) == ELF_MAGIC
    except OSError:
        return False


def find_images(data: bytes, origin: str) -> Images:
    """Every CUDA ELF image in `data`, plain or inside fat binaries.

    Raises GpusimError naming `origin` if the file ends within an image, or a compressed one is damaged or unpacks to
    more than machine code can.
    """
    images = [(start, data[start:end]) for start, end in _plain(data, origin)]
    unreadable, room = 0, _MOST_UNPACKED + _MOST_RATIO * len(data)
    for start, payload, flags in _compressed(data):
        if flags & _COMPRESSED_ZSTD:
            image = _unpack(payload, min(room, _MOST_UNPACKED + _MOST_RATIO * len(payload)), origin)
            room -= len(image)
            if _is_cuda(image[:_ELF_HEADER]):
                images.append((start, image))
        else:
            unreadable += 1
    return Images(tuple(image for _, image in sorted(images)), unreadable)


def _is_cuda(header: bytes) -> bool:
    """Whether these bytes begin an ELF image of machine code."""
    whole = len(header) == _ELF_HEADER and header.startswith(ELF_MAGIC)
    return whole and struct.unpack_from("<H", header, 18)[0] == EM_CUDA


def _plain(data: bytes, origin: str) -> Iterator[tuple[int, int]]:
    """Begin and end of each image that is stored as it is."""
    start = data.find(ELF_MAGIC)
    while start >= 0:
        step = len(ELF_MAGIC)
        header = data[start : start + _ELF_HEADER]
        if _is_cuda(header):
            programs, sections = struct.unpack_from("<QQ", header, 32)
            program_size, program_count, section_size, section_count = struct.unpack_from("<HHHH", header, 54)
            tables = programs + program_size * program_count, sections + section_size * section_count
            step = max(_ELF_HEADER, *tables)
            if start + step > len(data):
                raise GpusimError(
                    f"{origin}: truncated: a CUDA image ends at byte {start + step}, the file at {len(data)}"
                )
            yield start, start + step
        start = data.find(ELF_MAGIC, start + step)


def _compressed(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Place, payload and flags of each compressed ELF entry of each fat binary; a damaged one ends at what is wrong."""
    start = data.find(FATBIN_MAGIC)
    while start >= 0:
        header = data[start : start + 16]
        if len(header) < 16:
            return
        header_size, size = struct.unpack_from("<HQ", header, 6)
        at, end = start + max(header_size, len(header)), min(start + header_size + size, len(data))
        start += len(FATBIN_MAGIC)
        while at + _ELF_HEADER <= end:
            kind, _, entry_header, stored = struct.unpack_from("<HHIQ", data, at)
            used, flags = struct.unpack_from("<I", data, at + 16)[0], struct.unpack_from("<Q", data, at + 40)[0]
            begin = at + entry_header
            if entry_header < _LEAST_ENTRY_HEADER or begin + stored > len(data):
                break
            if kind == _KIND_ELF and flags & (_COMPRESSED_LZ4 | _COMPRESSED_ZSTD):
                yield begin, data[begin : begin + (used or stored)], flags
            start, at = begin, begin + stored
        start = data.find(FATBIN_MAGIC, start)


def _unpack(payload: bytes, most: int, origin: str) -> bytes:
    """A compressed image. What it says of its size is compared before memory is taken for it."""
    import zstandard

    try:
        size = zstandard.frame_content_size(payload)
        if size <= most:  # -1: it does not say
            image = zstandard.ZstdDecompressor().stream_reader(payload).read(most + 1)
            size = max(size, len(image))
    except zstandard.ZstdError as error:
        raise GpusimError(f"{origin}: a compressed CUDA image is damaged or cut off: {error}") from error
    if size > most:
        raise GpusimError(
            f"{origin}: a compressed CUDA image of {len(payload):,} bytes unpacks to more than {most:,}; that is no "
            "machine code"
        )
    if len(image) < size:
        raise GpusimError(f"{origin}: a compressed CUDA image is damaged or cut off: {len(image)} bytes of {size}")
    return image
