"""Arrays as compressed blocks in a file: narrowed, differenced where that helps, byte-planed, zstd, checksummed.

A block is found by its entry in the index of `gpusim.trace.store`, so any one is read without the others.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import zstandard

from gpusim.errors import GpusimError

COMPRESSION_LEVEL = 9
"""zstd level. 5 and 6 miss repeating lane patterns: the bundled sgemm takes 0.45 MB with 6, 0.15 MB with 9."""

LIMITS = [(np.dtype(name), int(np.iinfo(name).min), int(np.iinfo(name).max)) for name in (
    "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8")]  # fmt: skip
"""Types that integers are stored as, narrow ones first, with what they hold."""

REMEDY = "copy it again from its source, or write it again with `gpusim trace`"


def damaged(path: Path, what: str) -> GpusimError:
    """The error of a trace file that cannot be trusted."""
    return GpusimError(f"{path}: damaged trace: {what}; {REMEDY}")


def narrowest(values: np.ndarray) -> np.dtype:
    """Smallest integer dtype that holds all values."""
    if not len(values):
        return np.dtype(np.uint8)
    low, high = int(values.min()), int(values.max())
    return next(d for d, least, most in LIMITS if least <= low and high <= most)


def planes(values: np.ndarray) -> bytes:
    """Bytes of all values, most alike together: every value's byte 0, then every value's byte 1, ..."""
    size = values.dtype.itemsize
    return np.ascontiguousarray(values.view(np.uint8).reshape(len(values), size).T).tobytes()


def from_planes(data: bytes, dtype: np.dtype, count: int) -> np.ndarray:
    split = np.frombuffer(data, np.uint8).reshape(dtype.itemsize, count)
    return np.array(split.T, order="C").reshape(-1).view(dtype)  # always a copy, so that it is writable


def differences(values: np.ndarray) -> np.ndarray:
    """First value, then each value minus the one before it, modulo 2**64. Inverse of `np.cumsum`."""
    found = values.copy()
    with np.errstate(over="ignore"):
        found[1:] -= values[:-1]
    return found


class BlockWriter:
    """Appends blocks to an open file. `write` returns the entry by which `BlockReader.read` finds the block."""

    def __init__(self, file: BinaryIO, level: int = COMPRESSION_LEVEL) -> None:
        self._file = file
        self._compressor = zstandard.ZstdCompressor(level=level)
        self.offset = 0

    def write(self, values: np.ndarray, *, delta: bool = False) -> dict[str, Any]:
        """Append one 1-D array of integers or of a structured dtype; delta stores differences of neighbours (int64)."""
        values = np.ascontiguousarray(values)
        entry: dict[str, Any] = {"dtype": _dtype_name(values.dtype), "count": len(values)}
        stored = values
        if values.dtype.fields is None:
            if delta:
                stored, entry["delta"] = differences(values.astype(np.int64, copy=False)), 1
            stored = stored.astype(narrowest(stored), copy=False)
            entry["stored"] = stored.dtype.str
        return entry | self.append(planes(stored))

    def append(self, content: bytes) -> dict[str, int]:
        """Append bytes; returns where they are, how many they became, and their checksum."""
        data = self._compressor.compress(content) if content else b""
        place = {"offset": self.offset, "bytes": len(data), "crc32": zlib.crc32(data)}
        self._file.write(data)
        self.offset += len(data)
        return place


class BlockReader:
    """Reads blocks from a memory map; touches only the bytes of the block asked for. Threads may share it."""

    def __init__(self, path: Path, data: memoryview) -> None:
        self._path = path
        self._data = data
        self._own = threading.local()  # a decompressor serves one thread at a time

    def read(self, entry: Mapping[str, Any], dtype: np.dtype | None = None) -> np.ndarray:
        """The array of one index entry, writable. dtype, if given, is what the array must be made of.

        Raises GpusimError where the block does not match its entry.
        """
        count, offset = entry["count"], entry["offset"]
        if dtype is None:
            dtype = np.dtype(entry["dtype"])
        elif entry["dtype"] != _dtype_name(dtype):
            raise damaged(self._path, f"a column has the fields of another version ({entry['dtype']})")
        if not count:
            return np.empty(0, dtype)
        stored = np.dtype(entry.get("stored", dtype))
        block = self._checked(offset, entry["bytes"], entry["crc32"])
        values = from_planes(self._unpacked(block, offset, count * stored.itemsize), stored, count)
        if entry.get("delta"):
            values = np.cumsum(values, dtype=np.int64)
        return values.astype(dtype, copy=False)

    def _decompressor(self) -> zstandard.ZstdDecompressor:
        if not hasattr(self._own, "decompressor"):
            self._own.decompressor = zstandard.ZstdDecompressor()
        made: zstandard.ZstdDecompressor = self._own.decompressor
        return made

    def content(self, offset: int, size: int, crc32: int, most: int) -> bytes:
        """What was appended there, of `most` bytes at most. Raises GpusimError where it is damaged or longer."""
        block = self._checked(offset, size, crc32)
        return self._unpacked(block, offset, min(zstandard.frame_content_size(block), most))

    def _checked(self, offset: int, size: int, crc32: int) -> memoryview:
        block = self._data[offset : offset + size]
        if len(block) != size or zlib.crc32(block) != crc32:
            raise damaged(self._path, f"checksum mismatch in bytes {offset}..{offset + size}")
        return block

    def _unpacked(self, block: memoryview, offset: int, size: int) -> bytes:
        """A block decompressed. What it says of its size is compared before any memory is taken for it."""
        try:
            held = zstandard.frame_content_size(block)
            raw = self._decompressor().decompress(block) if held == size else b""
        except (zstandard.ZstdError, MemoryError) as error:
            raise damaged(self._path, f"the block at byte {offset} cannot be decompressed ({error})") from error
        if len(raw) != size:
            raise damaged(self._path, f"the block at byte {offset} holds {held} bytes, not {size}")
        return raw


def _dtype_name(dtype: np.dtype) -> Any:
    """JSON-ready name of a dtype: `<u4`, or the list of fields of a structured one."""
    return dtype.str if dtype.fields is None else [[name, dtype[name].str] for name in dtype.names or ()]
