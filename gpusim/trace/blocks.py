"""Arrays as compressed blocks in a file: narrowed, differenced where that helps, byte-planed, zstd, checksummed.

A block is found by its entry in the index of `gpusim.trace.store`, so any one is read without the others.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import zstandard

from gpusim.errors import GpusimError

COMPRESSION_LEVEL = 9
"""zstd level. 5 and 6 miss repeating lane patterns: the bundled sgemm takes 0.45 MB with 6, 0.15 MB with 9."""

REMEDY = "copy it again from its source, or write it again with `gpusim trace`"


def damaged(path: Path, what: str) -> GpusimError:
    """The error of a trace file that cannot be trusted."""
    return GpusimError(f"{path}: damaged trace: {what}; {REMEDY}")


def _narrowest(values: np.ndarray) -> np.dtype:
    """Smallest integer dtype that holds all values."""
    if not len(values):
        return np.dtype(np.uint8)
    low, high = int(values.min()), int(values.max())
    candidates = ("u1", "u2", "u4", "u8") if low >= 0 else ("i1", "i2", "i4", "i8")
    return next(d for d in map(np.dtype, candidates) if np.iinfo(d).min <= low and high <= np.iinfo(d).max)


def _planes(values: np.ndarray) -> bytes:
    """Bytes of all values, most alike together: every value's byte 0, then every value's byte 1, ..."""
    size = values.dtype.itemsize
    return np.ascontiguousarray(values.view(np.uint8).reshape(len(values), size).T).tobytes()


def _from_planes(data: bytes, dtype: np.dtype, count: int) -> np.ndarray:
    planes = np.frombuffer(data, np.uint8).reshape(dtype.itemsize, count)
    return np.array(planes.T, order="C").reshape(-1).view(dtype)  # always a copy, so that it is writable


def differences(values: np.ndarray) -> np.ndarray:
    """First value, then each value minus the one before it, modulo 2**64. Inverse of `np.cumsum`."""
    with np.errstate(over="ignore"):
        return np.diff(values, prepend=np.int64(0))


class BlockWriter:
    """Appends blocks to an open file. `write` returns the entry by which `BlockReader.read` finds the block."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._compressor = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL)
        self.offset = 0

    def write(self, values: np.ndarray, *, delta: bool = False) -> dict[str, Any]:
        """Append one 1-D array of integers or of a structured dtype; delta stores differences of neighbours (int64)."""
        values = np.ascontiguousarray(values)
        entry: dict[str, Any] = {"dtype": _dtype_name(values.dtype), "count": len(values)}
        stored = values
        if values.dtype.fields is None:
            if delta:
                stored, entry["delta"] = differences(values.astype(np.int64, copy=False)), 1
            stored = stored.astype(_narrowest(stored), copy=False)
            entry["stored"] = stored.dtype.str
        data = self._compressor.compress(_planes(stored)) if len(values) else b""
        entry |= {"offset": self.offset, "bytes": len(data), "crc32": zlib.crc32(data)}
        self._file.write(data)
        self.offset += len(data)
        return entry


class BlockReader:
    """Reads blocks from a memory map; touches only the bytes of the block asked for."""

    def __init__(self, path: Path, data: memoryview) -> None:
        self._path = path
        self._data = data

    def read(self, entry: Mapping[str, Any], dtype: np.dtype | None = None) -> np.ndarray:
        """The array of one index entry, writable. dtype, if given, is what the array must be made of.

        Raises GpusimError where the block does not match its entry.
        """
        count, offset, size = entry["count"], entry["offset"], entry["bytes"]
        if dtype is None:
            dtype = np.dtype(entry["dtype"])
        elif entry["dtype"] != _dtype_name(dtype):
            raise damaged(self._path, f"a column has the fields of another version ({entry['dtype']})")
        if not count:
            return np.empty(0, dtype)
        block = self._data[offset : offset + size]
        if len(block) != size or zlib.crc32(block) != entry["crc32"]:
            raise damaged(self._path, f"checksum mismatch in bytes {offset}..{offset + size}")
        stored = np.dtype(entry.get("stored", dtype))
        values = _from_planes(self._unpacked(block, offset, count * stored.itemsize), stored, count)
        if entry.get("delta"):
            values = np.cumsum(values, dtype=np.int64)
        return values.astype(dtype, copy=False)

    def _unpacked(self, block: memoryview, offset: int, size: int) -> bytes:
        """A block decompressed. What it says of its size is compared before any memory is taken for it."""
        try:
            held = zstandard.frame_content_size(block)
            raw = zstandard.ZstdDecompressor().decompress(block) if held == size else b""
        except (zstandard.ZstdError, MemoryError) as error:
            raise damaged(self._path, f"the block at byte {offset} cannot be decompressed ({error})") from error
        if len(raw) != size:
            raise damaged(self._path, f"the block at byte {offset} holds {held} bytes, not {size}")
        return raw


def _dtype_name(dtype: np.dtype) -> Any:
    """JSON-ready name of a dtype: `<u4`, or the list of fields of a structured one."""
    return dtype.str if dtype.fields is None else [[name, dtype[name].str] for name in dtype.names or ()]
