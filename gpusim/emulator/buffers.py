"""Global memory of a run: named buffers at deterministic 64-bit addresses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol

import numpy as np

from gpusim.emulator.heap import HEAP_BYTES, DeviceHeap
from gpusim.emulator.state import GLOBAL_BASE, GRANULE
from gpusim.errors import GpusimError
from gpusim.plainfile import plain_size

PIECE = 1 << 20
"""Elements that are drawn at once."""
GUARD = 4096
"""Unallocated bytes between two buffers, so that an access past an end is caught, not served by the neighbour."""


GRID_WORKSPACE_BYTES = 8
"""Compiled code for sm_75 to sm_90 counts the CTAs that reach a grid barrier in the word at 4."""


class DeviceMemory(Protocol):
    """Global memory as launches need it: words from GLOBAL_BASE upwards, and which of them are allocated."""

    def settle(self) -> int:
        """Make all of it ready for a launch; returns its size in words."""
        ...

    def followed_by(self, cleared: int, words: np.ndarray) -> np.ndarray:
        """Global memory, `cleared` words of any contents, and `words`, as one uint32 array."""
        ...

    def take_back(self, words: np.ndarray) -> None:
        """Keep what a launch left in the array that `followed_by` gave it."""
        ...

    def tables(self) -> tuple[np.ndarray, np.ndarray]:
        """Allocation + 1 of each granule, and the end of each allocation (Machine.granules, Machine.ends)."""
        ...

    def nearest(self, address: int) -> str:
        """Where an address lies, in words: inside or how far from which buffer."""
        ...

    def heap(self) -> DeviceHeap:
        """What device code allocates from. It takes its place at the first call, which comes before `settle`."""
        ...

    def grid_workspace(self) -> int:
        """Address of GRID_WORKSPACE_BYTES that cooperative launches count arrivals in; zero at the first call."""
        ...


class GlobalMemory:
    """Named buffers laid out from GLOBAL_BASE upwards, each 512-byte aligned with a gap behind it."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._starts: list[int] = []
        self._sizes: list[int] = []
        self._dtypes: list[np.dtype] = []
        self._shapes: list[tuple[int, ...]] = []
        self._used = 0
        self._pending: list[np.ndarray] = []
        self._heap: DeviceHeap | None = None
        self._workspace: int | None = None
        self.image = np.zeros(0, np.uint32)

    def add(self, name: str, contents: np.ndarray) -> int:
        """Place a buffer; returns its address."""
        contents = np.ascontiguousarray(contents)
        start = self._used
        self._names.append(name)
        self._starts.append(start)
        self._sizes.append(contents.nbytes)
        self._dtypes.append(contents.dtype)
        self._shapes.append(contents.shape)
        self._pending.append(contents)
        self._used = start + -(-contents.nbytes // GRANULE) * GRANULE + GUARD
        return GLOBAL_BASE + start

    def settle(self) -> int:
        """Copy buffers added since the last call into the image; returns its size in words."""
        if not self._pending:
            return len(self.image)
        image = np.zeros(self._used // 4, np.uint32)
        image[: len(self.image)] = self.image
        data = image.view(np.uint8)
        for contents, start in zip(self._pending, self._starts[-len(self._pending) :], strict=True):
            data[start : start + contents.nbytes] = contents.reshape(-1).view(np.uint8)
        self.image, self._pending = image, []
        return len(image)

    def followed_by(self, cleared: int, words: np.ndarray) -> np.ndarray:
        """The image, `cleared` zeros and `words`, as one new array."""
        return np.concatenate([self.image, np.zeros(cleared, np.uint32), words])

    def take_back(self, words: np.ndarray) -> None:
        """Keep what a launch left in the array that `followed_by` gave it."""
        self.image[:] = words[: len(self.image)]

    def heap(self) -> DeviceHeap:
        """What device code allocates from, a buffer that is made at the first call."""
        if self._heap is None:
            self._heap = DeviceHeap(self.add("heap of device code", np.zeros(HEAP_BYTES, np.uint8)))
        return self._heap

    def grid_workspace(self) -> int:
        """Address of what cooperative launches count arrivals in, a buffer that is made at the first call."""
        if self._workspace is None:
            self._workspace = self.add("workspace of grid barriers", np.zeros(GRID_WORKSPACE_BYTES, np.uint8))
        return self._workspace

    def address(self, name: str) -> int:
        return GLOBAL_BASE + self._starts[self._names.index(name)]

    def contents(self) -> Mapping[str, np.ndarray]:
        """Every buffer as it is now, by name, in its dtype and shape."""
        data = self.image.view(np.uint8)
        return {
            name: data[start : start + size].view(dtype).reshape(shape).copy()
            for name, start, size, dtype, shape in zip(
                self._names, self._starts, self._sizes, self._dtypes, self._shapes, strict=True
            )
        }

    def tables(self) -> tuple[np.ndarray, np.ndarray]:
        """Allocation + 1 of each granule, and the end of each allocation (Machine.granules, Machine.ends)."""
        granules = np.zeros(self._used // GRANULE + 1, np.int32)
        for number, (start, size) in enumerate(zip(self._starts, self._sizes, strict=True), 1):
            granules[start // GRANULE : -(-(start + size) // GRANULE)] = number
        ends = [0] + [start + size for start, size in zip(self._starts, self._sizes, strict=True)]
        return granules, np.array(ends, np.int64)

    def nearest(self, address: int) -> str:
        """Where an address lies, in words: inside or how far from which buffer."""
        if not self._names:
            return "the launch has no buffers"
        place = address - GLOBAL_BASE
        gaps = [max(start - place, place - (start + size) + 1, 0) for start, size in zip(self._starts, self._sizes)]
        k = int(np.argmin(gaps))
        low, high = GLOBAL_BASE + self._starts[k], GLOBAL_BASE + self._starts[k] + self._sizes[k]
        if not gaps[k]:
            return f"inside buffer '{self._names[k]}' ({low:#x} to {high:#x})"
        side = "past the end of" if address >= high else "before"
        distance = address - high if address >= high else low - address
        size = self._sizes[k]
        return f"{distance} bytes {side} the nearest buffer '{self._names[k]}' ({low:#x} to {high:#x}, {size} bytes)"


def fill_buffer(name: str, spec: Any, folder: Path) -> np.ndarray:
    """Initial contents of a buffer of a launch file (launch.Buffer, which has checked that all of it fits).

    Raises GpusimError for an unusable .npy file.
    """
    dtype, shape, count = np.dtype(spec.dtype), tuple(spec.shape), spec.count
    if spec.fill in ("zeros", "addresses"):  # addresses are known when all buffers have their places
        return np.zeros(shape, dtype)
    if spec.fill == "constant":
        return np.full(shape, spec.value, dtype)
    if spec.fill == "arange":
        return _arange(spec.start, spec.step, count, dtype).reshape(shape)
    if spec.fill == "npy":
        return load_npy(name, folder / spec.file, dtype, shape)
    if spec.fill == "mersenne":
        return _mersenne(spec.seed, spec.low, spec.high, count).reshape(shape)
    generator = np.random.default_rng(spec.seed)
    if spec.fill == "random":
        if dtype.kind == "f":
            return _uniform(generator, spec.low, spec.high, count, dtype).reshape(shape)
        return generator.integers(int(spec.low), int(spec.high), shape, dtype=dtype)
    order = generator.permutation(count)
    if spec.fill == "cycle":  # element k names the one after it
        order[order.copy()] = np.roll(order, -1)
    if dtype.kind == "f":
        return (order * float(spec.scale)).astype(dtype).reshape(shape)
    return (order.astype(dtype) * dtype.type(spec.scale)).reshape(shape)


def _arange(start: float, step: float, count: int, dtype: np.dtype) -> np.ndarray:
    if dtype.kind == "f":
        return (start + step * np.arange(count)).astype(dtype)
    # modulo 2**64, since a uint64 has no common type with a negative step
    numbers = np.arange(count, dtype=np.uint64) * np.uint64(int(step) % (1 << 64)) + np.uint64(int(start) % (1 << 64))
    return numbers.astype(dtype)


def _uniform(generator: np.random.Generator, low: float, high: float, count: int, dtype: np.dtype) -> np.ndarray:
    """The draws of one call, made in pieces: each is a float64 at first."""
    numbers = np.empty(count, dtype)
    for start in range(0, count, PIECE):
        piece = numbers[start : start + PIECE]
        piece[:] = generator.uniform(low, high, len(piece))
    return numbers


def _mersenne(seed: int, low: float, high: float, count: int) -> np.ndarray:
    """`count` float32 numbers as libstdc++ makes them: a 32-bit draw divided by 2^32, below 1, scaled, each in fp32."""
    draws = np.random.RandomState(seed).randint(0, 1 << 32, count, dtype=np.uint32)  # seeded as std::mt19937(seed)
    unit = draws.astype(np.float32)
    unit /= np.float32(2.0**32)
    np.minimum(unit, np.nextafter(np.float32(1), np.float32(0)), out=unit)
    unit *= np.float32(high) - np.float32(low)
    unit += np.float32(low)
    return unit


def load_npy(name: str, path: Path, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    """An .npy file that belongs to a buffer. Raises GpusimError where it is unreadable or does not fit the buffer."""
    start, order = check_npy(name, path, dtype, shape)
    return np.fromfile(path, dtype, math.prod(shape), offset=start).reshape(shape, order=order)


def check_npy(name: str, path: Path, dtype: np.dtype, shape: tuple[int, ...]) -> tuple[int, Literal["C", "F"]]:
    """Where the contents of a buffer's .npy file begin, in bytes, and their order; the contents are not read.

    Raises GpusimError where the file is unreadable or does not fit the buffer.
    """
    size = plain_size(path, f"the contents of buffer '{name}'")
    try:
        with path.open("rb") as file:
            found, fortran, stored = _npy_header(file)
            start = file.tell()
    except Exception as error:  # numpy evaluates the header as Python text, and raises what that raises
        raise GpusimError(f"buffer '{name}': {path} is no .npy file of numbers: {error}") from None
    if stored != dtype or found != shape:
        raise GpusimError(
            f"buffer '{name}': {path} holds {stored} {list(found)}, the launch file says {dtype} {list(shape)}"
        )
    count = math.prod(shape)
    if (held := size - start) != count * dtype.itemsize:
        raise GpusimError(f"buffer '{name}': {path}: {held} bytes of {count * dtype.itemsize}: cut off or damaged")
    return start, "F" if fortran else "C"


def _npy_header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether the first index varies fastest, and dtype."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    return np.lib.format.read_array_header_2_0(file)
