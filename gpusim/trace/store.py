"""The native trace store: a folder with `trace.json` and one binary file per program and per launch.

`trace.json` names the format and its version, the provenance, each program's metadata, each launch's facts and
where in its file every column of every chunk lies (offset, bytes, dtype, count, CRC-32), or the table of pieces of a
CTA too long to be one chunk; its last key is a checksum of the rest (version 1 had none, and is read without). A
launch's file is memory mapped and a chunk or piece is decompressed when it is read, so a trace larger than memory runs,
and so does a CTA that is.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

import gpusim
from gpusim import sealed
from gpusim.constants import WARP_SIZE
from gpusim.errors import GpusimError
from gpusim.plainfile import read_bytes
from gpusim.sass.program import INSTRUCTION_DTYPE, OPERAND_DTYPE, Program
from gpusim.trace.blocks import REMEDY, BlockReader, BlockWriter, damaged
from gpusim.trace.chunks import read_chunk, write_chunk
from gpusim.trace.pieces import CutWriter, open_cut
from gpusim.trace.programs import program_problem
from gpusim.trace.trace import CtaChunk, CutCta, Launch, Trace

FORMAT = "gpusim-trace"
VERSION = 3
"""Since 3 a long CTA may be stored in pieces."""
UNSEALED_VERSION = 1
INDEX_NAME = "trace.json"
NAME_CHARACTERS = 40
"""Of a trace's name in that of its temporary folder, which must not be longer than a file system allows."""
SHOWN_PROBLEMS = 5
"""Of an index that is wrong in many places."""


def is_trace(path: Path) -> bool:
    """Whether the folder holds a trace of this format, of any version."""
    try:
        return json.loads((path / INDEX_NAME).read_text()).get("format") == FORMAT
    except (OSError, ValueError, AttributeError):
        return False


# ---------------------------------------------------------------------------------------------- writing


def check_target(path: Path | str, *, overwrite: bool) -> Path:
    """The folder behind all links that a trace may take. Raises GpusimError where it is taken or cannot be made."""
    target = Path(os.path.realpath(path))
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        if not is_trace(target):
            raise GpusimError(f"{path}: exists and is not a gpusim trace; name another folder")
        if not overwrite:
            raise GpusimError(f"{path}: holds a trace already; name another folder or ask to overwrite it")
    parent = next(folder for folder in target.parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise GpusimError(f"{path}: cannot write a trace here (no folder can be made in {parent}); name another folder")
    return target


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Errors of the file system in here name the trace. Raises GpusimError for them."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise GpusimError(f"{path}: cannot write the trace ({reason}); free space or name another folder") from error


class LaunchSink:
    """Takes one launch's chunks in CTA order, long CTAs in parts, and appends them to its file."""

    def __init__(self, writer: BlockWriter, program: Program, warps_per_cta: int, path: Path) -> None:
        self._writer = writer
        self._path = path
        self._program = program
        self._warps_per_cta = warps_per_cta
        self.entries: list[dict[str, Any]] = []
        self.next_cta = 0
        self._cut: CutWriter | None = None

    def add(self, chunk: CtaChunk) -> None:
        """Append one chunk, or a part of a long CTA.

        Raises ValueError where it does not follow the last one or contradicts itself, GpusimError where it cannot be
        written.
        """
        if chunk.first_cta != self.next_cta:
            raise ValueError(f"chunk begins at CTA {chunk.first_cta}, the next one is {self.next_cta}")
        with writing(self._path):
            if chunk.goes_on or self._cut:
                self._add_part(chunk)
            else:
                self.entries.append(write_chunk(self._writer, self._program, self._warps_per_cta, chunk))
        self.next_cta += 0 if self._cut else chunk.cta_count

    @property
    def in_parts(self) -> bool:
        """Whether the CTA of the last part goes on."""
        return self._cut is not None

    def _add_part(self, part: CtaChunk) -> None:
        self._cut = self._cut or CutWriter(self._writer, self._program, self._warps_per_cta, part.first_cta)
        self._cut.add(part)
        if not part.goes_on:
            self.entries.append(self._cut.entry())
            self._cut = None


class TraceWriter:
    """Streams a trace to disk. The folder appears under its name when the `with` block ends without an error.

    Args:
        path: folder to make; its parent is made where missing.
        provenance: where the trace comes from; `gpusim_version` is added.
        overwrite: replace an existing trace of this format. Anything else is never replaced.
    Raises:
        GpusimError: the path is taken, or cannot be written.
    """

    def __init__(
        self, path: Path | str, provenance: Mapping[str, str] | None = None, *, overwrite: bool = False
    ) -> None:
        self.path = Path(path)
        self._target = check_target(path, overwrite=overwrite)
        self._overwrite = overwrite
        self._provenance = {**(provenance or {}), "gpusim_version": gpusim.__version__}
        self._programs: list[dict[str, Any]] = []
        self._known: list[Program] = []
        self._launches: list[dict[str, Any]] = []
        with writing(self.path):
            self._target.parent.mkdir(parents=True, exist_ok=True)
            prefix = f".{self._target.name[:NAME_CHARACTERS]}.partial-"
            self._folder = Path(tempfile.mkdtemp(prefix=prefix, dir=self._target.parent))
            self._folder.chmod(0o755)

    def __enter__(self) -> TraceWriter:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self.discard()
            return
        try:
            self.close()
        except BaseException:
            self.discard()
            raise

    @contextmanager
    def launch(
        self,
        program: Program,
        grid: Sequence[int],
        block: Sequence[int],
        shared_bytes: int,
        provenance: Mapping[str, str] | None = None,
    ) -> Iterator[LaunchSink]:
        """One launch: `with writer.launch(...) as sink: sink.add(chunk)`. Raises ValueError unless all CTAs came."""
        ctas, threads = math.prod(grid), math.prod(block)
        name = f"launch-{len(self._launches):04d}.bin"
        with self._new_file(name) as file:
            writer = BlockWriter(file)
            sink = LaunchSink(writer, program, -(-threads // WARP_SIZE), self.path)
            yield sink
        if sink.next_cta != ctas:
            raise ValueError(f"launch of {program.name}: {sink.next_cta} of {ctas} CTAs were added")
        self._launches.append(
            {
                "file": name,
                "bytes": writer.offset,
                "program": self._program_number(program),
                "grid": [int(n) for n in grid],
                "block": [int(n) for n in block],
                "shared_bytes": int(shared_bytes),
                "provenance": dict(provenance or {}),
                "chunks": sink.entries,
            }
        )

    def close(self) -> None:
        """Write the index and give the folder its name. Raises GpusimError where that is not possible."""
        index = {
            "format": FORMAT,
            "version": VERSION,
            "provenance": self._provenance,
            "programs": self._programs,
            "launches": self._launches,
        }
        with writing(self.path):
            (self._folder / INDEX_NAME).write_text(sealed.seal(json.dumps(index, indent=1)))
            self._target = check_target(self.path, overwrite=self._overwrite)
            self._take_place()

    def _take_place(self) -> None:
        if not is_trace(self._target):
            self._folder.rename(self._target)
            return
        old = self._folder.with_name(self._folder.name + "-old")
        try:
            self._target.rename(old)
            self._folder.rename(self._target)
        except BaseException:
            if old.exists() and not self._target.exists():
                old.rename(self._target)
            raise
        shutil.rmtree(old, ignore_errors=True)

    def discard(self) -> None:
        """Drop what was written."""
        shutil.rmtree(self._folder, ignore_errors=True)

    @contextmanager
    def _new_file(self, name: str) -> Iterator[BinaryIO]:
        """A file in the folder. Raises GpusimError where it cannot be made, or not written to its end."""
        with writing(self.path):
            file = (self._folder / name).open("wb")
        try:
            yield file
        except BaseException:
            with suppress(OSError):
                file.close()
            raise
        with writing(self.path):
            file.close()

    def _program_number(self, program: Program) -> int:
        """Number of the program in the index, written on its first launch."""
        for number, known in enumerate(self._known):
            if known is program or _same(known, program):
                return number
        name = f"program-{len(self._known):04d}.bin"
        with self._new_file(name) as file, writing(self.path):
            writer = BlockWriter(file)
            entry: dict[str, Any] = {
                "file": name,
                "metadata": program.metadata(),
                "instructions": writer.write(program.instructions),
                "operands": writer.write(program.operands),
            }
            entry["bytes"] = writer.offset
        self._programs.append(entry)
        self._known.append(program)
        return len(self._known) - 1


def _same(a: Program, b: Program) -> bool:
    return (
        a.metadata() == b.metadata()
        and np.array_equal(a.instructions, b.instructions)
        and np.array_equal(a.operands, b.operands)
    )


def write_trace(trace: Trace, path: Path | str, *, overwrite: bool = False) -> None:
    """Store a whole Trace, chunk by chunk. Raises as `TraceWriter`."""
    with TraceWriter(path, trace.provenance, overwrite=overwrite) as writer:
        for launch in trace.launches:
            facts = (launch.program, launch.grid, launch.block, launch.shared_bytes, launch.provenance)
            with writer.launch(*facts) as sink:
                for part in launch.parts():
                    sink.add(part)


# ---------------------------------------------------------------------------------------------- reading


@dataclass(frozen=True)
class StoredChunks:
    """A ChunkSource that decompresses from a memory-mapped launch file on each `read`; `load` maps it."""

    path: Path
    program: Program
    warps_per_cta: int
    entries: Sequence[Mapping[str, Any]]
    load: Callable[[], memoryview]

    @property
    def cta_counts(self) -> np.ndarray:
        return np.array([entry["cta_count"] for entry in self.entries], dtype=np.int64)

    @property
    def instruction_counts(self) -> np.ndarray:
        return np.array([entry["warp_instructions"] for entry in self.entries], dtype=np.int64)

    def read(self, chunk: int) -> CtaChunk:
        """Chunk number `chunk`. Raises GpusimError where the file is damaged."""
        if cut := self.cut(chunk):
            return cut.whole()
        with self._fitting(chunk):
            return read_chunk(self._reader, self.program, self.warps_per_cta, self.entries[chunk])

    def cut(self, chunk: int) -> CutCta | None:
        """The pieces of chunk number `chunk`, where it is stored so. Raises GpusimError where the file is damaged."""
        entry = self.entries[chunk]
        if not entry.get("pieces"):
            return None
        with self._fitting(chunk):
            cut = open_cut(self._reader, self.program, self.warps_per_cta, entry)
        return replace(cut, read=partial(self._read_piece, chunk, cut.read))

    def _read_piece(self, chunk: int, read: Callable[[int], CtaChunk], number: int) -> CtaChunk:
        with self._fitting(chunk):
            return read(number)

    @contextmanager
    def _fitting(self, chunk: int) -> Iterator[None]:
        try:
            yield
        except ValueError as error:
            raise damaged(self.path, f"chunk {chunk} does not fit its index ({error})") from error

    @cached_property
    def _reader(self) -> BlockReader:
        return BlockReader(self.path, self.load())


def open_trace(path: Path | str) -> Trace:
    """Open a stored trace; chunks are decompressed when read.

    Raises:
        GpusimError: the folder or a file is missing, damaged, truncated, or of another format version.
    """
    folder = Path(path)
    index = _read_index(folder)
    programs = [_read_program(folder, entry) for entry in index["programs"]]
    launches = tuple(_open_launch(folder, entry, programs) for entry in index["launches"])
    return Trace(launches, dict(index["provenance"]))


def _read_index(folder: Path) -> dict[str, Any]:
    path = folder / INDEX_NAME
    if not folder.exists():
        raise GpusimError(f"{folder}: no such trace; `gpusim trace` makes one")
    if not path.is_file():
        raise GpusimError(f"{folder}: not a gpusim trace, it has no {INDEX_NAME}; name the folder that holds it")
    try:
        index = sealed.parse(read_bytes(path, "the index of a trace"), FORMAT, VERSION, UNSEALED_VERSION)
    except ValueError as error:
        raise GpusimError(f"{path}: not the index of a trace: {error}; {REMEDY}") from error
    _check_index(path, index)
    return index


def _check_index(path: Path, index: dict[str, Any]) -> None:
    from gpusim.schema import check
    from gpusim.trace.index import Index

    _, problems = check(Index, index)
    if problems:
        more = f", and {len(problems) - SHOWN_PROBLEMS} problems more" if len(problems) > SHOWN_PROBLEMS else ""
        raise damaged(path, "; ".join(map(str, problems[:SHOWN_PROBLEMS])) + more)


def _read_program(folder: Path, entry: Mapping[str, Any]) -> Program:
    path = _checked_file(folder, entry)
    reader = BlockReader(path, map_file(path))
    tables = reader.read(entry["instructions"], INSTRUCTION_DTYPE), reader.read(entry["operands"], OPERAND_DTYPE)
    program = Program.from_metadata(entry["metadata"], *tables)
    if problem := program_problem(program):
        raise damaged(path, problem)
    return program


def _open_launch(folder: Path, entry: Mapping[str, Any], programs: Sequence[Program]) -> Launch:
    program = programs[entry["program"]]
    grid, block = tuple(entry["grid"]), tuple(entry["block"])
    warps = -(-math.prod(block) // WARP_SIZE)
    path = _checked_file(folder, entry)
    source = StoredChunks(path, program, warps, tuple(entry["chunks"]), partial(map_file, path))
    return Launch(program, grid, block, entry["shared_bytes"], source, dict(entry["provenance"]))


def _checked_file(folder: Path, entry: Mapping[str, Any]) -> Path:
    path = folder / (Path(entry["file"]).name or "unnamed")
    if not path.is_file():
        raise GpusimError(f"{path}: missing file of the trace; {REMEDY}")
    if (size := path.stat().st_size) != entry["bytes"]:
        raise damaged(path, f"{size} bytes where the index says {entry['bytes']} (truncated copy?)")
    return path


def map_file(path: Path) -> memoryview:
    """The file's bytes, mapped: only what is touched is read."""
    with path.open("rb") as file:
        if not path.stat().st_size:
            return memoryview(b"")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
