"""Running launches and turning what they did into a Trace, in memory or on disk."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

import gpusim
from gpusim.compiling import Stopwatch
from gpusim.emulator import state
from gpusim.emulator.buffers import DeviceMemory, GlobalMemory, check_npy, fill_buffer
from gpusim.emulator.conditions import DEFAULTS, Conditions, Write, to_stdout
from gpusim.emulator.device_calls import DeviceCalls
from gpusim.emulator.launch import Argument, KernelLaunch, LaunchFile, load_launch, unwritten, with_variables
from gpusim.emulator.machine import Prepared, check_launch, explain, grow_log, missed_reads, prepare
from gpusim.emulator.sources import OpenedSource, open_source
from gpusim.emulator.turns import Turns
from gpusim.errors import GpusimError
from gpusim.jit import JIT
from gpusim.memory_limit import in_words, require_memory
from gpusim.sass.assembler import AssembledKernel
from gpusim.sass.fatbin import REPORT_SUFFIX
from gpusim.sass.program import Parameter, Program
from gpusim.trace.spool import Spool
from gpusim.trace.trace import MEMORY_RECORD_DTYPE, CtaChunk, Trace

TOLD_POLLING = 0.01
"""Share of a launch's warp instructions from which on polling is told."""
CHUNK_INSTRUCTIONS = 1 << 18
"""Warp instructions after which a chunk is closed at the next end of a CTA."""
LONG_WARP, LONG_CTA = 1 << 12, 1 << 14
"""Warp instructions of a CTA, per warp and at least, after which its streams are cut."""
SECONDS_PER_PIECE, FIRST_PIECE = 0.4, 1 << 16
"""Wall seconds of compiled code between two looks at Ctrl-C and the progress, and warp instructions at first."""


class Sink(Protocol):
    """Takes one launch's chunks in CTA order, long CTAs in parts."""

    def add(self, chunk: CtaChunk) -> None: ...


SinkFactory = Callable[
    [Program, tuple[int, int, int], tuple[int, int, int], int, Mapping[str, str]], AbstractContextManager[Sink]
]
"""Called per launch with program, grid, block, shared bytes and provenance, as store.TraceWriter.launch."""


@dataclass(frozen=True)
class TraceStep:
    """How far tracing is: within a launch, numbered from 0, and over all. The rate is per CPU second."""

    kernel: str
    launch: int
    launches: int
    ctas_done: int
    ctas: int
    warp_instructions: int
    rate: float


Progress = Callable[[TraceStep], None]


@dataclass(frozen=True)
class TraceSummary:
    """What tracing did: totals over all launches.

    `cpu_seconds` leaves compiling out. `executed` holds for each launch the (instructions,) executions of each static
    instruction, counted by warps and with those that a predicate turned off, and `polling` how many of a launch's warp
    instructions polled memory; `buffers` are the final contents by name.
    """

    launches: int
    warp_instructions: int
    cpu_seconds: float
    executed: tuple[np.ndarray, ...]
    polling: tuple[int, ...]
    buffers: Mapping[str, np.ndarray]


# ---- one launch


def _chunk(machine: state.Machine, first_cta: int, cta_count: int, warps: int, wide_index: bool) -> CtaChunk:
    """What the log has of these CTAs, rearranged by warp. A launch's log holds its CTAs in order if their order is."""
    from gpusim.emulator.trace_log import rearrange

    used = machine.segments[: machine.control[state.SEGMENTS_USED]]
    slot = ((used[:, 0] >> 16) - first_cta) * warps + (used[:, 0] & 0xFFFF)
    order = np.argsort(slot, kind="stable")
    order = order[(slot[order] >= 0) & (slot[order] < cta_count * warps)]
    slot, used = slot[order], used[order]
    lengths = used[:, 2::2] - used[:, 1::2]
    instructions, memory_records, explicit = (int(total) for total in lengths.sum(axis=0))
    index = np.empty(instructions, np.uint32 if wide_index else np.uint16)
    mask = np.empty(instructions, np.uint32)
    records = np.empty((memory_records, 2), np.int64)
    addresses = np.empty(explicit, np.int64)
    rearrange(machine, order, index, mask, records, addresses)
    counts = np.zeros((2, cta_count * warps + 1), np.int64)
    np.add.at(counts[0], slot + 1, lengths[:, 0])
    np.add.at(counts[1], slot + 1, lengths[:, 1])
    starts = np.cumsum(counts, axis=1)
    rows = records.view(MEMORY_RECORD_DTYPE).reshape(-1)
    return CtaChunk(first_cta, cta_count, starts[0], index, mask, starts[1], rows, addresses)


def _empty_log(machine: state.Machine) -> None:
    for counter in (state.INDEX_USED, state.RECORDS_USED, state.ADDRESSES_USED, state.SEGMENTS_USED):
        machine.control[counter] = 0


class _Cutter:
    """Says when the log of a launch is to be taken, and takes it: whole CTAs as a chunk, of a long one a part.

    Clocks at which that happens depend on what is executed only, so a trace is always cut at the same places.
    """

    def __init__(self, prepared: Prepared, ascending: bool) -> None:
        """`ascending`: CTAs run in the order of their numbers; otherwise all of them are taken at once."""
        self.warps = int(prepared.machine.geometry[state.WARPS])
        self.wide = len(prepared.program) > 1 << 16
        self.long = max(LONG_WARP * self.warps, LONG_CTA) if ascending else sys.maxsize
        self.first = 0  # CTA that the next chunk begins with
        self.cutting = False  # a part of that has been taken
        self.due = self.long  # clock at which to look whether a CTA is long

    def look(self, machine: state.Machine, code: int) -> Iterator[CtaChunk]:
        """After a call that was paused, or has filled the log at the end of a CTA: what is to be taken now."""
        c = machine.control
        done, running = int(c[state.POSITION]), bool(c[state.STARTED])
        if code == state.PAUSED:
            begun = not self.cutting or done > self.first  # since the log was taken
            self.due = max(self.due, int(c[state.CTA_CLOCK]) + self.long) if begun else self.due
            if c[state.CLOCK] < self.due:
                return
        if self.cutting or running:
            yield from self._take_cut(machine, done, running)
        else:
            yield _chunk(machine, self.first, done - self.first, self.warps, self.wide)
        _empty_log(machine)
        self.first, self.cutting = done, running
        self.due = int(c[state.CLOCK]) + self.long

    def turned(self, machine: state.Machine) -> None:
        """Another CTA has its turn: the log is taken when all that have begun have ended."""

    def _take_cut(self, machine: state.Machine, done: int, running: bool) -> Iterator[CtaChunk]:
        """The log where the CTA at its beginning, or the one at its end, is a long one."""
        first = self.first
        if self.cutting:
            yield self._part(machine, first, goes_on=running and done == first)
            first += 1
        if done > first:
            yield _chunk(machine, first, done - first, self.warps, self.wide)
        if running and done >= first:
            yield self._part(machine, done, goes_on=True)

    def _part(self, machine: state.Machine, cta: int, goes_on: bool) -> CtaChunk:
        return replace(_chunk(machine, cta, 1, self.warps, self.wide), goes_on=goes_on)


class _Dropper(_Cutter):
    """Empties the log of a launch that nobody reads."""

    def __init__(self, prepared: Prepared) -> None:
        super().__init__(prepared, ascending=True)
        self.due = sys.maxsize

    def look(self, machine: state.Machine, code: int) -> Iterator[CtaChunk]:
        self.first = int(machine.control[state.POSITION])
        _empty_log(machine)
        return iter(())

    def turned(self, machine: state.Machine) -> None:
        _empty_log(machine)


def run(
    prepared: Prepared,
    memory: DeviceMemory,
    chunk_instructions: int | None = None,
    cta_seed: int | None = None,
    tell: Callable[[int, int], None] | None = None,
    keep: bool = True,
    write: Write = to_stdout,
) -> Iterator[CtaChunk]:
    """Execute a launch, CTA after CTA, those that wait for each other in turns; yields its chunks, long CTAs in parts.

    The results are left in `memory`.

    Args:
        chunk_instructions: as CHUNK_INSTRUCTIONS, which is the default.
        cta_seed: run the CTAs in an order shuffled with this seed; all of them then make one chunk. Default: ascending.
        tell: is given the CTAs that are done and the warp instructions so far now and then, also while a CTA runs.
        keep: False where nobody wants the chunks, only the results; then none are made.
        write: takes what the kernel prints.

    Raises GpusimError without the compiler (NUMBA_DISABLE_JIT=1), and LaunchFault for an access out of bounds or
    misaligned, a deadlock, a CTA that waits for another one or has no end, a failed assertion, a trap, or a jump to
    nowhere.
    """
    from gpusim.emulator.interpreter import run_ctas

    if not JIT:
        raise GpusimError(
            "kernels are executed by compiled code only: its registers are words that wrap around. Store the trace "
            "first (`gpusim trace -o DIR`), then simulate that with NUMBA_DISABLE_JIT=1"
        )
    machine, ctas = prepared.machine, math.prod(prepared.grid)
    piece, chunk_instructions = FIRST_PIECE, chunk_instructions or CHUNK_INSTRUCTIONS
    if cta_seed is not None:
        order = np.random.default_rng(cta_seed).permutation(ctas)
        machine = prepared.machine = machine._replace(order=order)
        chunk_instructions = sys.maxsize
    cutter = _Cutter(prepared, cta_seed is None) if keep else _Dropper(prepared)
    calls, turns = DeviceCalls(prepared, memory, write), Turns(prepared, ctas)
    with np.errstate(all="ignore"):
        while cutter.first < ctas:
            clock, began = int(machine.control[state.CLOCK]), time.perf_counter()
            enough, due = (sys.maxsize, sys.maxsize) if turns.active else (chunk_instructions, cutter.due)
            code = run_ctas(machine, turns.end, enough, min(clock + piece, due))
            if code == state.PAUSED:
                piece = max(piece * 2 if time.perf_counter() - began < SECONDS_PER_PIECE / 2 else piece // 2, 1)
            if code == state.LOG_FULL:
                grow_log(prepared)
                machine = prepared.machine
            elif code == state.CALLED:
                calls.answer()
            elif code in (state.IDLE, state.NO_PROGRESS):
                if not turns.give_way(code) and code == state.NO_PROGRESS:
                    raise explain(prepared, code, memory, turns.waiting)
                cutter.turned(machine)
            elif code not in (state.PAUSED, state.OK):
                raise explain(prepared, code, memory)
            elif not turns.active or (code == state.OK and not turns.next()):
                yield from cutter.look(machine, code)
            if tell:
                tell(turns.done, int(machine.control[state.CLOCK]))
    memory.take_back(machine.memory)


# ---- arguments

_LARGEST_MEMBER = 8


def _argument_bytes(argument: Argument, memory: GlobalMemory, launch_file: LaunchFile) -> bytes:
    return bytes(argument.packed(lambda pointer: _address(pointer, memory, launch_file)))


def _address(pointer: Argument, memory: GlobalMemory, launch_file: LaunchFile) -> int:
    """Where a pointer into a buffer points."""
    name = str(pointer.buffer)
    return memory.address(name) + np.dtype(launch_file.buffers[name].dtype).itemsize * (pointer.offset or 0)


def _pack(program: Program, arguments: Sequence[tuple[str, bytes]], origin: str) -> bytes:
    """Arguments at the kernel's parameter offsets; where there are more, the members of structs in their order.

    Raises GpusimError where count or sizes differ.
    """
    parameters = program.parameters
    if len(arguments) > len(parameters) and (members := _members(parameters, arguments)) is not None:
        return members
    if len(arguments) != len(parameters):
        raise GpusimError(
            f"{origin}: kernel {program.name} takes {len(parameters)} arguments "
            f"({', '.join(f'{p.size} bytes' for p in parameters) or 'none'}), the launch gives {len(arguments)}"
        )
    end = max((p.offset + p.size for p in parameters), default=0)
    packed = bytearray(end)
    for k, (parameter, (text, data)) in enumerate(zip(parameters, arguments, strict=True)):
        if len(data) != parameter.size:
            raise GpusimError(
                f"{origin}: argument {k} of kernel {program.name} has {parameter.size} bytes, '{text}' has {len(data)}"
            )
        packed[parameter.offset : parameter.offset + parameter.size] = data
    return bytes(packed)


def _members(parameters: Sequence[Parameter], arguments: Sequence[tuple[str, bytes]]) -> bytes | None:
    """Arguments that fill the parameters one after the other, each at a multiple of its size; None if they do not."""
    packed = bytearray(max((p.offset + p.size for p in parameters), default=0))
    rest = [data for _, data in arguments]
    for parameter in parameters:
        used = 0
        while rest and used < parameter.size:
            size = len(rest[0])
            used = -(-used // size) * size
            if used + size > parameter.size:
                return None
            packed[parameter.offset + used : parameter.offset + used + size] = rest.pop(0)
            used += size
        if parameter.size - used >= _LARGEST_MEMBER:  # less may be what a struct ends in
            return None
    return None if rest else bytes(packed)


def _three(sizes: Sequence[int] | None) -> tuple[int, int, int]:
    x, y, z, *_ = (*(sizes or ()), 1, 1, 1)
    return x, y, z


# ---- whole files

BUFFER_COPIES, FILL_BYTES = 4, 16
"""Of every buffer at once at most: as filled, the image, the running launch's memory, the final contents. And bytes per
element that making one takes."""


@dataclass(frozen=True)
class _Job:
    """One launch before it is prepared."""

    program: Program
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    dynamic_shared: int
    packed: bytes
    arguments: str
    cooperative: bool = False


def _jobs(source: OpenedSource, launch_file: LaunchFile | None, memory: GlobalMemory) -> list[_Job]:
    """Launches in order, with buffers placed in memory and arguments packed."""
    if launch_file is None:
        if source.assembled is None:
            raise GpusimError(
                f"{source.path}: a launch file is needed (--launch FILE); only .sass files carry their own"
            )
        return [_assembled_job(kernel, str(source.path)) for kernel in source.assembled]
    check_arguments(source, launch_file)
    specs = launch_file.buffers.values()
    total = sum(spec.bytes for spec in specs)
    drawn = max((FILL_BYTES * spec.count for spec in specs if spec.fill != "zeros"), default=0)
    what = f"{launch_file.path}: buffers of {in_words(total)} take, with the copies that running on them makes,"
    require_memory(BUFFER_COPIES * total + drawn, what, "make them smaller")
    filled = {name: fill_buffer(name, spec, launch_file.path.parent) for name, spec in launch_file.buffers.items()}
    for name, contents in filled.items():
        memory.add(name, contents)
    for name, spec in launch_file.buffers.items():
        if spec.fill == "addresses":  # memory takes the contents over at the first launch
            filled[name].reshape(-1)[:] = [_address(each, memory, launch_file) for each in spec.of]
    pairs = zip(launch_file.launches, launch_file.places)
    return [_described_job(source, launch, place, launch_file, memory) for launch, place in pairs]


def _assembled_job(kernel: AssembledKernel, origin: str) -> _Job:
    values = [(f"{name} {value}", np.array(value, dtype).tobytes()) for name, dtype, value in kernel.parameters]
    arguments = ", ".join(text for text, _ in values)
    check_launch(kernel.program, kernel.grid, kernel.block, 0, origin)
    return _Job(kernel.program, kernel.grid, kernel.block, 0, _pack(kernel.program, values, origin), arguments)


_Geometry = tuple[tuple[int, int, int], tuple[int, int, int], int]
"""Grid, block and dynamic shared bytes."""


def _chosen(source: OpenedSource, launch: KernelLaunch, origin: str) -> tuple[Program, _Geometry]:
    """The kernel that a launch is of, and its geometry. Raises GpusimError where there is no such kernel."""
    if source.report is not None:
        profiled = source.report.find(launch.kernel, launch.launch, origin)
        return source.report.program(profiled), (profiled.grid, profiled.block, profiled.dynamic_shared)
    program = source.choose(launch.kernel, origin)
    return program, (_three(launch.grid), _three(launch.block), launch.dynamic_shared)


def check_arguments(source: OpenedSource, launch_file: LaunchFile) -> None:
    """Raises GpusimError where a launch does not fit its kernel or a file its buffer; nothing is filled or run."""
    for launch, origin in zip(launch_file.launches, launch_file.places):
        program, geometry = _chosen(source, launch, origin)
        check_launch(program, *geometry, origin)
        _pack(program, [(str(a), bytes(a.packed(lambda _: 0))) for a in launch.arguments], origin)
    for name, spec in launch_file.buffers.items():
        if spec.fill == "npy":
            check_npy(name, launch_file.path.parent / spec.file, np.dtype(spec.dtype), tuple(spec.shape))


def _described_job(
    source: OpenedSource, launch: KernelLaunch, origin: str, launch_file: LaunchFile, memory: GlobalMemory
) -> _Job:
    program, geometry = _chosen(source, launch, origin)
    program = with_variables(program, launch_file)
    values = [(str(a), _argument_bytes(a, memory, launch_file)) for a in launch.arguments]
    arguments = ", ".join(text for text, _ in values)
    return _Job(program, *geometry, _pack(program, values, origin), arguments, launch.cooperative)


def _place_globals(jobs: list[_Job], memory: GlobalMemory) -> dict[int, int]:
    """Addresses of the __device__ variables, shared by kernels of one file; by position of the job."""
    placed: list[tuple[object, int]] = []
    addresses = {}
    for k, job in enumerate(jobs):
        data = job.program.globals
        if not data.size:
            continue
        known = [address for other, address in placed if other == data]
        if not known:
            image = np.frombuffer(data.image + bytes(data.size - len(data.image)), np.uint8)
            known = [memory.add("__device__ variables", image)]
            placed.append((data, known[0]))
        addresses[k] = known[0]
    return addresses


def execute(
    source: OpenedSource,
    launch_file: LaunchFile | None,
    sinks: SinkFactory,
    progress: Progress | None = None,
    conditions: Conditions = DEFAULTS,
) -> TraceSummary:
    """Run all launches in order on shared buffers, giving their chunks to the sinks.

    Raises GpusimError for a launch that does not fit its kernel, and as `run`.
    """
    with launch_file.meant_for(source.path) if launch_file else nullcontext():
        return _execute(source, launch_file, sinks, progress, conditions)


def _execute(
    source: OpenedSource,
    launch_file: LaunchFile | None,
    sinks: SinkFactory,
    progress: Progress | None,
    conditions: Conditions,
) -> TraceSummary:
    memory = GlobalMemory()
    jobs = _jobs(source, launch_file, memory)
    globals_at = _place_globals(jobs, memory)
    clock, total = Stopwatch(), 0
    counts: list[np.ndarray] = []
    polling: list[int] = []
    for program in {job.program.name: job.program for job in jobs}.values():
        if names := unwritten(program, launch_file):
            conditions.warn(
                f"kernel {program.name} reads __constant__ data that is zero, for nothing has written it: "
                f"{', '.join(names)}; give it in the launch file (variables:)"
            )
    for k, job in enumerate(jobs):
        prepared = prepare(
            job.program, job.grid, job.block, job.dynamic_shared, job.packed, memory, globals_at.get(k, 0),
            conditions.cta_limit, cooperative=job.cooperative, lenient=conditions.lenient,
        )  # fmt: skip
        facts = {**job.program.provenance, "arguments": job.arguments}
        executed = np.zeros(len(job.program), np.int64)
        tell = _teller(progress, job, (k, len(jobs)), clock, total) if progress else None
        with sinks(job.program, job.grid, job.block, prepared.shared_bytes, facts) as sink:
            for chunk in run(prepared, memory, cta_seed=conditions.cta_seed, tell=tell, write=conditions.write):
                sink.add(chunk)
                executed += np.bincount(chunk.index, minlength=len(executed))
                total += chunk.warp_instructions
        counts.append(executed)
        polling.append(int(prepared.machine.control[state.POLLING]))
        for told in remarks(prepared, memory, int(executed.sum())):
            conditions.warn(told)
    return TraceSummary(len(jobs), total, clock.cpu_seconds, tuple(counts), tuple(polling), memory.contents())


def remarks(prepared: Prepared, memory: DeviceMemory, executed: int) -> Iterator[str]:
    """What a user should hear of a launch that has ended: reads outside every buffer, and much polling.

    executed: warp instructions.
    """
    yield from missed_reads(prepared, memory)
    polling = int(prepared.machine.control[state.POLLING])
    if polling >= max(TOLD_POLLING * executed, 1):
        yield (
            f"kernel {prepared.program.name}: {polling:,} of {executed:,} warp instructions poll memory until another "
            "warp changes it; on a card their number is a matter of time, which is not known when a kernel is executed"
        )


def _teller(
    progress: Progress, job: _Job, place: tuple[int, int], clock: Stopwatch, before: int
) -> Callable[[int, int], None]:
    """What a launch tells its CTAs and warp instructions. place: which launch of how many; before: instructions."""
    name, ctas = job.program.name, math.prod(job.grid)

    def tell(ctas_done: int, executed: int) -> None:
        done = before + executed
        progress(TraceStep(name, *place, ctas_done, ctas, done, done / max(clock.cpu_seconds, 1e-9)))

    return tell


def _provenance(source: OpenedSource, launch: LaunchFile | None) -> dict[str, str]:
    facts = {"source": source.path.name, "source_sha256": source.sha256, "gpusim_version": gpusim.__version__}
    return facts | ({"launch_file": launch.path.name} if launch else {})


class _Nowhere:
    """A sink that drops everything: for runs of which only the results count."""

    def add(self, chunk: CtaChunk) -> None:
        pass


@contextmanager
def _drop(*_: object) -> Iterator[_Nowhere]:
    yield _Nowhere()


def open_files(
    source: Path | str, launch: Path | str | None, architecture: int = 86, compile_options: Sequence[str] = ()
) -> tuple[OpenedSource, LaunchFile | None]:
    """A kernel file and its launch file, opened together; compile_options as for `open_source`.

    Raises GpusimError for whatever is wrong with them.
    """
    launch_file = load_launch(launch, profiled=Path(source).suffix == REPORT_SUFFIX) if launch else None
    kernels = [each.kernel for each in launch_file.launches if each.kernel] if launch_file else []
    return open_source(source, architecture, kernels, compile_options), launch_file


def run_in_memory(
    source: Path | str,
    launch: Path | str | None,
    architecture: int = 86,
    progress: Progress | None = None,
    conditions: Conditions = DEFAULTS,
) -> tuple[Trace, TraceSummary]:
    """Execute a kernel file; returns its Trace and the summary with the final buffers. Raises GpusimError."""
    return run_opened(*open_files(source, launch, architecture), progress, conditions)


def run_opened(
    source: OpenedSource,
    launch_file: LaunchFile | None,
    progress: Progress | None = None,
    conditions: Conditions = DEFAULTS,
) -> tuple[Trace, TraceSummary]:
    """`run_in_memory` for opened files, so that several launch files share one compilation."""
    spool = Spool()
    summary = execute(source, launch_file, spool.launch, progress, conditions)
    return Trace(tuple(spool.launches), _provenance(source, launch_file)), summary


def trace_in_memory(
    source: Path | str,
    launch: Path | str | None = None,
    architecture: int = 86,
    progress: Progress | None = None,
    compile_options: Sequence[str] = (),
    conditions: Conditions = DEFAULTS,
) -> Trace:
    """The Trace of a kernel file, not stored; compile_options as for `open_source`. Raises GpusimError."""
    return run_opened(*open_files(source, launch, architecture, compile_options), progress, conditions)[0]


def trace_kernel(
    source: Path | str,
    launch: Path | str | None,
    output: Path | str | None,
    architecture: int = 86,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
    conditions: Conditions = DEFAULTS,
    compile_options: Sequence[str] = (),
) -> TraceSummary:
    """Execute a kernel file and write its trace to the folder `output`, chunk by chunk.

    Args:
        source: what `open_source` reads; a .cu file is compiled for `architecture`.
        launch: launch file; may be None for .sass, which then runs as its directives say.
        output: folder to make; None keeps no trace.
        compile_options: as for `open_source`.
    Raises:
        GpusimError: anything wrong with the input; then no folder is left behind.
    """
    opened = open_files(source, launch, architecture, compile_options)
    return trace_opened(*opened, output, overwrite=overwrite, progress=progress, conditions=conditions)


def trace_opened(
    source: OpenedSource,
    launch_file: LaunchFile | None,
    output: Path | str | None,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
    conditions: Conditions = DEFAULTS,
) -> TraceSummary:
    """`trace_kernel` for opened files."""
    if output is None:
        return execute(source, launch_file, _drop, progress, conditions)
    from gpusim.trace.store import TraceWriter

    with TraceWriter(output, _provenance(source, launch_file), overwrite=overwrite) as writer:
        return execute(source, launch_file, writer.launch, progress, conditions)
