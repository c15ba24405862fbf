"""A launch made ready to run: constant banks, machine arrays, and what to say when it fails."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gpusim import limits
from gpusim.constants import LOCAL_WINDOW, SHARED_WINDOW, WARP_SIZE, MemorySpace
from gpusim.emulator import state
from gpusim.emulator.buffers import DeviceMemory
from gpusim.emulator.decode import Decoded, decode
from gpusim.emulator.state import TEXTURE_COLUMNS, Machine
from gpusim.errors import CudaError, GpusimError, LaunchFault
from gpusim.limits import ctas_per_sm
from gpusim.memory_limit import require_memory
from gpusim.sass.program import OperandKind, Program
from gpusim.sass.relocations import RUNTIME_FUNCTIONS

BLOCK_OFFSET, GRID_OFFSET, SHARED_WINDOW_OFFSET, LOCAL_WINDOW_OFFSET, STACK_OFFSET = 0x0, 0xC, 0x18, 0x20, 0x28
"""Places of launch facts in constant bank 0, as compiled code for sm_75 to sm_90 reads them."""
GRID_WORKSPACE_OFFSET, _GRID_WORKSPACE_OFFSET_90 = 0x8C, 0x44
"""Where code for sm_75 to sm_89, and for sm_90, reads the address of the workspace of grid barriers (%envreg1 and 2),
the high word first; 0 in launches that are not cooperative."""
SHARED_RESERVED = {90: 1024}
"""Bytes at the start of the shared window that the system keeps; kernels for sm_90 add them to their addresses."""
TIME_SLICE_INSTRUCTIONS = 4096
"""Warp instructions after which the next warp of the CTA runs."""
CTA_INSTRUCTION_LIMIT = 1 << 26
"""Warp instructions after which a CTA is taken to have no end, unless a run is told otherwise: some 20 s."""
MOST_WARPS = 1 << 36
"""Of a launch. Each executes an instruction at least: at ten million a second more would take two hours."""
POLL_INSTRUCTION_LIMIT = 1 << 24
"""The same while every warp only repeats one read and nothing changes; a loop that counts its turns never repeats."""
NOT_COOPERATIVE = (
    "it uses a grid barrier, for which the launch must be cooperative (`cooperative: true` in the launch file)"
)
SM_COUNT = 84
"""SMs that SR_VIRTID numbers CTAs over, and that hold CTAs which take turns; timing is not affected."""
LOG_INSTRUCTIONS, LOG_RECORDS, LOG_ADDRESSES, LOG_SEGMENTS = 1 << 19, 1 << 17, 1 << 18, 1 << 15
"""First capacities of the log; it grows when they do not suffice."""


@dataclass
class Prepared:
    """One launch, ready to run. resident, cooperative: as for `prepare`."""

    program: Program
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    shared_bytes: int
    machine: Machine
    decoded: Decoded
    resident: int
    cooperative: bool


def constant_banks(
    program: Program,
    grid: Sequence[int],
    block: Sequence[int],
    arguments: bytes,
    globals_address: int,
    written: Mapping[int, bytes] | None = None,
    workspace: int = 0,
) -> Mapping[int, bytes]:
    """Contents of the constant banks of a launch.

    arguments: as laid out from Program.parameter_base. written: banks that the program brings as a host has changed
    them, addresses included; the others are as the program says. workspace: address that grid barriers work on, 0 for
    none.
    """
    bank = bytearray(program.parameter_base + max(len(arguments), 4))
    for offset, sizes in ((BLOCK_OFFSET, block), (GRID_OFFSET, grid)):
        for k, size in enumerate(sizes):
            bank[offset + 4 * k : offset + 4 * k + 4] = int(size).to_bytes(4, "little")
    bank[SHARED_WINDOW_OFFSET : SHARED_WINDOW_OFFSET + 8] = SHARED_WINDOW.to_bytes(8, "little")
    bank[LOCAL_WINDOW_OFFSET : LOCAL_WINDOW_OFFSET + 8] = LOCAL_WINDOW.to_bytes(8, "little")
    bank[STACK_OFFSET : STACK_OFFSET + 4] = local_bytes(program).to_bytes(4, "little")
    at = grid_workspace_offset(program)
    bank[at : at + 8] = (workspace >> 32 | workspace << 32 & (1 << 64) - 1).to_bytes(8, "little")
    bank[program.parameter_base : program.parameter_base + len(arguments)] = arguments
    banks = {0: bytes(bank), **(written or {})}
    for number, image in program.constants.items():
        if number in banks:
            continue
        patched = bytearray(image)
        for relocation in program.globals.relocations:
            if relocation.bank == number:
                value = (globals_address + relocation.addend) & ((1 << 8 * relocation.size) - 1)
                patched[relocation.offset : relocation.offset + relocation.size] = value.to_bytes(
                    relocation.size, "little"
                )
        banks[number] = bytes(patched)
    return banks


def grid_workspace_offset(program: Program) -> int:
    """Place in constant bank 0 of the address of the workspace of grid barriers."""
    return _GRID_WORKSPACE_OFFSET_90 if program.architecture >= 90 else GRID_WORKSPACE_OFFSET


def _reads_grid_workspace(program: Program) -> bool:
    operands = program.operands[program.operands.kind == OperandKind.CONSTANT]
    at = grid_workspace_offset(program)
    return bool(((operands.bank == 0) & (operands.immediate >= at) & (operands.immediate < at + 8)).any())


def local_bytes(program: Program) -> int:
    """Local memory per thread, rounded so that every thread's begins aligned for the widest access."""
    return -(-program.local_bytes // 16) * 16


def _words(data: bytes) -> np.ndarray:
    return np.frombuffer(data + bytes(-len(data) % 16), np.uint32)


_ZEROS = 4
"""Words behind the constant banks that are zero."""


def _tail(
    banks: Mapping[int, bytes], warps: int, shared: int, local: int, start: int, g: np.ndarray
) -> tuple[int, np.ndarray]:
    """What follows global memory, from word `start`, with its places noted in the geometry.

    Words of shared and local memory, which the start of every CTA clears, and behind them the constant banks and zeros.
    """
    cleared = (shared + warps * 32 * local) // 4
    g[state.SHARED_WORD], g[state.SHARED_BYTES] = start, shared
    g[state.LOCAL_WORD], g[state.LOCAL_BYTES] = start + shared // 4, local
    at, parts = start + cleared, []
    for bank in range(state.CONSTANT_BANKS):
        data = banks.get(bank, b"")
        g[state.CONSTANT_WORD + bank], g[state.CONSTANT_BYTES + bank] = at, len(data)
        parts.append(_words(data))
        at += len(parts[-1])
    return cleared, np.concatenate([*parts, np.zeros(_ZEROS, np.uint32)])


def check_launch(program: Program, grid: Sequence[int], block: Sequence[int], dynamic_shared: int, origin: str) -> None:
    """Raises GpusimError, which names `origin`, for a launch that CUDA refuses or that would never end here."""
    shared, most = program.shared_bytes + dynamic_shared, limits.SHARED_BYTES[program.architecture]
    if shared > most:
        raise GpusimError(
            f"{origin}: kernel {program.name} would have {shared} bytes of shared memory per CTA "
            f"({program.shared_bytes} of its own and {dynamic_shared} dynamic); sm_{program.architecture} has {most}"
        )
    if program.local_bytes > limits.LOCAL_BYTES:
        raise GpusimError(
            f"{origin}: kernel {program.name} wants {program.local_bytes} bytes of local memory per thread; "
            f"the most is {limits.LOCAL_BYTES}"
        )
    warps = math.prod(grid) * warps_of(block)
    if warps > MOST_WARPS:
        raise GpusimError(
            f"{origin}: kernel {program.name}: a grid of {warps:,} warps executes that many instructions at least, "
            f"which takes {warps / 1e7 / 3600:,.0f} hours at ten million a second; at most {MOST_WARPS:,} are run"
        )
    local = warps_of(block) * WARP_SIZE * program.local_bytes
    require_memory(3 * local, f"{origin}: kernel {program.name}: the local memory of a CTA takes", "use less of it")


ALLOCATE = frozenset({"malloc", "__cuda_syscall_aligned_malloc"})
"""Functions of the CUDA runtime that take from the heap."""


def external_functions(program: Program) -> list[str]:
    """Functions of the CUDA runtime that the program's file calls."""
    return program.provenance.get("external_functions", "").split()


def warps_of(block: Sequence[int]) -> int:
    """Warps of a CTA."""
    return -(-math.prod(block) // WARP_SIZE)


def prepare(
    program: Program,
    grid: tuple[int, int, int],
    block: tuple[int, int, int],
    dynamic_shared: int,
    arguments: bytes,
    memory: DeviceMemory,
    globals_address: int = 0,
    cta_limit: int | None = None,
    written: Mapping[int, bytes] | None = None,
    known: Decoded | None = None,
    textures: np.ndarray | None = None,
    cooperative: bool = False,
    resident: int | None = None,
    lenient: bool = False,
) -> Prepared:
    """Decode the program for this launch and build the machine.

    cta_limit: warp instructions after which a CTA is taken to have no end (default: CTA_INSTRUCTION_LIMIT).
    written: as for `constant_banks`. known: of an earlier launch of this program, which spares decoding it again.
    textures: (n, TEXTURE_COLUMNS) int64, texture.py: what handles 1 to n mean.
    cooperative: the launch may use grid barriers. resident: CTAs that the card holds at once, which take turns where
    they wait for each other (default: a card of SM_COUNT SMs). lenient: reads of global memory outside every buffer
    give zero (Machine.missed) and are no errors.
    Raises GpusimError for unknown instructions, and LaunchFault for a cooperative launch that is too large.
    """
    shared = program.shared_bytes + dynamic_shared
    fits = resident or SM_COUNT * ctas_per_sm(program.architecture, math.prod(block), program.registers, shared)
    if cooperative and math.prod(grid) > fits:
        raise LaunchFault(
            f"kernel {program.name}: a cooperative launch of {math.prod(grid):,} CTAs; a card holds {fits:,} of them "
            "at once: make the grid smaller",
            CudaError.COOPERATIVE_LAUNCH_TOO_LARGE,
        )
    workspace = memory.grid_workspace() if cooperative else 0
    banks = constant_banks(program, grid, block, arguments, globals_address, written, workspace)
    decoded = (known.bound(banks) if known else None) or decode(program, banks)
    if not ALLOCATE.isdisjoint(external_functions(program)):
        memory.heap()  # takes its place in memory before the launch begins
    start = memory.settle()
    threads, warps = math.prod(block), warps_of(block)
    reserved = SHARED_RESERVED.get(program.architecture, 0)
    g = np.zeros(state.GEOMETRY_WORDS, np.int64)
    g[state.BLOCK_X : state.BLOCK_X + 3], g[state.GRID_X : state.GRID_X + 3] = block, grid
    g[state.THREADS], g[state.WARPS] = threads, warps
    first = state.LITERAL_ROW + len(decoded.literals)
    per_warp = decoded.registers + state.UNIFORM_REGISTERS + state.BARRIER_REGISTERS + 1
    g[state.FIRST_REGISTER_ROW], g[state.ROWS_PER_WARP] = first, per_warp
    g[state.UNIFORM_ROW] = decoded.registers
    g[state.BARRIER_ROW] = decoded.registers + state.UNIFORM_REGISTERS
    g[state.SM_COUNT], g[state.TIME_SLICE] = SM_COUNT, TIME_SLICE_INSTRUCTIONS
    g[state.CTA_LIMIT], g[state.POLL_LIMIT] = cta_limit or CTA_INSTRUCTION_LIMIT, POLL_INSTRUCTION_LIMIT
    tail = _tail(banks, warps, -(-(shared + reserved) // 16) * 16, local_bytes(program), start, g)
    if lenient:
        cleared, words = tail
        g[state.ZERO_WORD] = start + cleared + len(words) - _ZEROS
    registers = np.zeros((first + warps * per_warp, 32), np.uint32)
    registers[state.LITERAL_ROW : first] = decoded.literals[:, None]
    granules, ends = memory.tables()
    machine = Machine(
        table=decoded.table,
        modifiers=decoded.modifiers,
        registers=registers,
        predicates=np.zeros((warps, state.PREDICATES), np.uint32),
        lane_pc=np.zeros((warps, 32), np.int32),
        lane_group=np.zeros((warps, 32), np.int64),
        lane_wait=np.zeros((warps, 32), np.int32),
        warps=np.zeros(warps, state.WARP_DTYPE),
        memory=memory.followed_by(*tail),
        granules=granules,
        ends=ends,
        geometry=g,
        control=np.zeros(state.CONTROL_WORDS, np.int64),
        order=np.zeros(0, np.int64),
        polls=np.zeros((warps, state.POLL_COLUMNS), np.int64),
        barriers=np.zeros((16, 6), np.int64),
        address=np.zeros((4, 32), np.int64),
        missed=np.zeros((len(program), 2), np.int64),
        matrix=np.zeros((2, 16, 128)),
        log_index=np.zeros(LOG_INSTRUCTIONS, np.uint32),
        log_mask=np.zeros(LOG_INSTRUCTIONS, np.uint32),
        log_records=np.zeros((LOG_RECORDS, 2), np.int64),
        log_addresses=np.zeros(LOG_ADDRESSES, np.int64),
        segments=np.zeros((LOG_SEGMENTS, state.SEGMENT_COLUMNS), np.int64),
        textures=np.zeros((0, TEXTURE_COLUMNS), np.int64) if textures is None else textures,
    )
    return Prepared(program, grid, block, shared, machine, decoded, max(fits, 1), cooperative)


def _grown(array: np.ndarray, full: bool) -> np.ndarray:
    if not full:
        return array
    larger = np.zeros((2 * len(array), *array.shape[1:]), array.dtype)  # zeros that nobody touches take no memory
    larger[: len(array)] = array
    return larger


def grow_log(prepared: Prepared) -> None:
    """Give the machine a larger log, where it is nearly full. Raises GpusimError where that is too much memory."""
    machine = prepared.machine
    c = machine.control
    index_full = c[state.INDEX_USED] >= len(machine.log_index)
    logs = {
        "log_index": index_full,
        "log_mask": index_full,
        "log_records": c[state.RECORDS_USED] + 2 > len(machine.log_records),
        "log_addresses": c[state.ADDRESSES_USED] + 64 > len(machine.log_addresses),
        "segments": c[state.SEGMENTS_USED] >= len(machine.segments),
    }
    grown = sum(getattr(machine, name).nbytes * (2 if full else 1) for name, full in logs.items())
    what = f"kernel {prepared.program.name}: the log of what it executes takes"
    require_memory(2 * grown, what, "let a CTA do less")
    prepared.machine = machine._replace(**{name: _grown(getattr(machine, name), full) for name, full in logs.items()})


def place(prepared: Prepared, pc: int) -> str:
    """Kernel, instruction, CTA and warp of what went wrong at an instruction."""
    program, c = prepared.program, prepared.machine.control
    cta, (gx, gy, _) = int(c[state.CTA]), prepared.grid
    at = f"CTA ({cta % gx}, {cta // gx % gy}, {cta // (gx * gy)}), warp {int(c[state.ERROR_WARP])}"
    text = program.text[pc] if 0 <= pc < len(program) else "past the last instruction"
    return f"kernel {program.name}, pc {16 * pc:#06x} ({text}), {at}"


def _deadlock(prepared: Prepared) -> str:
    """Every live warp's lanes and where they wait."""
    m, program = prepared.machine, prepared.program
    lines = []
    for w, warp in enumerate(m.warps):
        lanes = [lane for lane in range(32) if int(warp["alive"]) >> lane & 1]
        for pc in sorted({int(m.lane_pc[w, lane]) for lane in lanes}):
            mask = sum(1 << lane for lane in lanes if m.lane_pc[w, lane] == pc)
            before = program.text[pc - 1] if 0 < pc <= len(program) else ""
            lines.append(f"  warp {w}: lanes {mask:#010x} wait before pc {16 * pc:#06x}, after {before}")
    cta = int(m.control[state.CTA])
    return f"kernel {program.name}, CTA {cta}: deadlock, all warps wait:\n" + "\n".join(lines)


def _no_progress(prepared: Prepared, memory: DeviceMemory, waiting: int) -> str:
    """Which warp waits for what, in a CTA of which nothing more will come."""
    from gpusim.emulator.livelock import ENOUGH_POLLS

    m = prepared.machine
    unfinished = np.flatnonzero(m.warps["status"] != state.FINISHED)
    warp = int(unfinished[np.argmax(m.polls[unfinished, state.POLL_COUNT])])
    m.control[state.ERROR_WARP] = warp
    pc, address, count = (int(value) for value in m.polls[warp][: state.POLL_COUNT + 1])
    if count < ENOUGH_POLLS:
        lanes = [lane for lane in range(32) if int(m.warps[warp]["alive"]) >> lane & 1]
        pc = int(m.lane_pc[warp, lanes[0]])
        return f"{place(prepared, pc)}: endless loop: the CTA's warps repeat themselves and change nothing"
    if int(m.table[pc]["access"]) == MemorySpace.SHARED:
        return (
            f"{place(prepared, pc)}: endless loop: it reads address {address:#x} of shared memory again and again, and "
            "no warp of its CTA changes it"
        )
    return (
        f"{place(prepared, pc)}: no progress: it reads address {address:#x} again and again "
        f"({memory.nearest(address)}) while nothing changes memory. It seems to wait for another CTA: "
        f"{waiting:,} of {math.prod(prepared.grid):,} have begun and wait; a card holds {prepared.resident:,} at once"
    )


FAULTS = {
    state.DEADLOCK: CudaError.LAUNCH_TIMEOUT,
    state.NO_PROGRESS: CudaError.LAUNCH_TIMEOUT,
    state.LIMIT_REACHED: CudaError.LAUNCH_TIMEOUT,
    state.BAD_TARGET: CudaError.INVALID_PC,
    state.TRAPPED: CudaError.LAUNCH_FAILURE,
    state.MISALIGNED: CudaError.MISALIGNED_ADDRESS,
    state.OUT_OF_BOUNDS: CudaError.ILLEGAL_ADDRESS,
}
"""What a CUDA program is told of an error code; a card that never gets on is stopped by its watchdog."""


def explain(prepared: Prepared, code: int, memory: DeviceMemory, waiting: int = 1) -> LaunchFault:
    """The error that stopped a launch, in words. waiting: CTAs that have begun and not ended."""
    return LaunchFault(_in_words(prepared, code, memory, waiting), FAULTS[code])


def _in_words(prepared: Prepared, code: int, memory: DeviceMemory, waiting: int) -> str:
    c = prepared.machine.control
    pc = int(c[state.ERROR_PC])
    if code == state.DEADLOCK:
        return _deadlock(prepared)
    if code == state.NO_PROGRESS:
        return _no_progress(prepared, memory, waiting)
    if code == state.LIMIT_REACHED:
        limit = int(prepared.machine.geometry[state.CTA_LIMIT])
        done = int(c[state.CLOCK] - c[state.CTA_CLOCK])
        return (
            f"kernel {prepared.program.name}: CTA {int(c[state.CTA])} has run {done:,} warp instructions without an "
            f"end, more than {limit:,}: an endless loop, or a wait for another CTA; "
            f"if it is meant to be that long, raise the limit: --cta-limit {2 * limit}"
        )
    if code == state.BAD_TARGET:
        unknown = [name for name in external_functions(prepared.program) if name not in RUNTIME_FUNCTIONS]
        hint = f"; it may call {' '.join(unknown)}, which only a CUDA runtime provides" if unknown else ""
        return f"{place(prepared, pc)}: jumps to where there is no instruction{hint}"
    if code == state.TRAPPED:
        lacks = not prepared.cooperative and _reads_grid_workspace(prepared.program)
        hint = f"; {NOT_COOPERATIVE}" if lacks else ""
        return f"{place(prepared, pc)}: the kernel stops itself (trap){hint}"
    address, row = int(c[state.ERROR_ADDRESS]), prepared.machine.table[pc]
    verb = f"{int(row['bytes'])}-byte access to address {address:#x}"
    lane = f"lane {int(c[state.ERROR_LANE])}"
    if code == state.MISALIGNED:
        return f"{place(prepared, pc)}, {lane}: {verb} is not aligned to its size"
    where = {
        2: f"shared memory of the CTA has {int(prepared.machine.geometry[state.SHARED_BYTES])} bytes",
        3: f"local memory of a thread has {int(prepared.machine.geometry[state.LOCAL_BYTES])} bytes",
        4: "the constant bank ends before it",
    }.get(int(row["access"]), memory.nearest(address))
    from gpusim.emulator.memory import LDGSTS, LOAD

    reads = row["op"] in (LOAD, LDGSTS) and row["access"] in (MemorySpace.GLOBAL, MemorySpace.GENERIC)
    hint = "; with --lenient such a read gives zero" if reads and not prepared.machine.geometry[state.ZERO_WORD] else ""
    return f"{place(prepared, pc)}, {lane}: {verb} is out of bounds: {where}{hint}"


def missed_reads(prepared: Prepared, memory: DeviceMemory) -> list[str]:
    """What a lenient launch has read outside every buffer, instruction by instruction, in words."""
    told = []
    for pc in np.flatnonzero(prepared.machine.missed[:, 0]):
        lanes, address = (int(number) for number in prepared.machine.missed[pc])
        where = f"kernel {prepared.program.name}, pc {16 * pc:#06x} ({prepared.program.text[pc]})"
        told.append(
            f"{where}: reads of {lanes:,} lanes are out of bounds and gave zero, the first at address {address:#x}: "
            f"{memory.nearest(address)}"
        )
    return told
