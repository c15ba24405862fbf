"""The machine state that compiled code works on, and the layout of its tables.

Register file: one array of 32-lane rows. Rows 0..3 receive results (0..7 those of DMMA, whose sources have no
modifiers), rows 4..11 hold sources after their modifiers, rows 12..19 are zero, then come literals (immediates and
constants, one row per word, the same in all lanes), then the registers of every warp. An operand is therefore always a
row number, whatever it was in the text, and an operation is a loop over lanes from rows to rows.
Uniform registers are rows with equal lanes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gpusim.sass.relocations import RUNTIME_FUNCTIONS

WARP = 32

SOURCE_ROW = 4
"""First scratch row of source k is SOURCE_ROW + 2 * k."""
ZERO_ROW = 12
LITERAL_ROW = 20

UNIFORM_REGISTERS = 64
BARRIER_REGISTERS = 16
PREDICATES = 16
"""Predicates per warp, each a 32-lane mask: 0..7 are P0..PT, 8..15 are UP0..UPT."""

# Modes of a source modifier; MODIFIER columns are mode, and, xor, extra.
PLAIN = 0
WORD = 1  # ((x & and) ^ xor) + extra
PAIR_HIGH = 2  # 64 bits, and/xor on the high word (sign of a double)
PAIR_NEGATE = 3  # 64-bit two's complement
PAIR_INVERT = 4  # 64-bit complement
FIELD = 5  # (x >> extra) & and
HALVES = 6  # packed halves chosen by `extra` (see rows.py), then & and, ^ xor

DECODED_DTYPE = np.dtype(
    [
        ("op", "i4"),  # operation, see opcodes.py
        ("guard", "i4"),  # predicate 0..15
        ("guard_negate", "i4"),
        ("uniform", "i4"),  # 1: executes once per warp, writes all lanes
        ("modified", "i4"),  # 1: some source has a modifier row
        ("destination", "i4"),  # row relative to the warp's registers
        ("destination_words", "i4"),  # 0 for RZ
        ("a", "i4"),  # source rows: relative to the warp if >= 0, else ~row
        ("b", "i4"),
        ("c", "i4"),
        ("d", "i4"),
        ("p", "i4"),  # predicate destinations, PT or UPT for none
        ("q", "i4"),
        ("in0", "i4"),  # predicate sources
        ("in1", "i4"),
        ("in2", "i4"),
        ("not0", "i4"),
        ("not1", "i4"),
        ("not2", "i4"),
        ("x", "i4"),  # operation-specific
        ("y", "i4"),
        ("z", "i4"),
        ("offset", "i8"),  # byte offset of an address
        ("scale", "i4"),  # factor on the address register
        ("wide", "i4"),  # bit 0: 64-bit address register; bit 1: 64-bit uniform register
        ("bytes", "i4"),  # bytes per lane of a memory access
        ("space", "i4"),  # MemorySpace of the trace records, NONE where the trace has none
        ("access", "i4"),  # MemorySpace in which the access happens
        ("target", "i4"),  # index of the branch target
    ],
    align=True,
)
"""One decoded instruction, bound to a launch."""

# Warp status.
READY = 0
AT_BARRIER = 1
FINISHED = 2

WARP_DTYPE = np.dtype(
    [
        ("alive", "u4"),  # lanes not exited
        ("waiting", "u4"),  # live lanes that wait at a convergence or CTA barrier
        ("status", "i4"),
        ("yields", "i4"),  # YIELDs executed since another subset of lanes ran
        ("next_lane", "i4"),  # a lane of the subset to go on with, -1 for the one with the lowest program counter
        ("barrier_result", "u4"),  # what BAR.RED left for B2R.RESULT
        ("begun", "i4"),  # 1: its first turn in the CTA, or behind a CTA barrier, is over
    ],
    align=True,
)

# Lane wait codes (lane_wait); 1 + n waits at convergence barrier Bn, 17 at WARPSYNC.
RUNNABLE = 0
WAIT_CTA = 64  # + barrier number

# Indices into `control`, the scalars that live across calls.
CTA = 0  # CTA being executed: order[POSITION]
CLOCK = 1  # warp instructions executed so far in the launch: the functional clock
INDEX_USED = 2
RECORDS_USED = 3
ADDRESSES_USED = 4
SEGMENTS_USED = 5
ERROR = 6
ERROR_PC = 7
ERROR_WARP = 8
ERROR_LANE = 9
ERROR_ADDRESS = 10
NEXT_WARP = 11  # warp to continue with
STARTED = 12  # 1 while a CTA is unfinished
BARRIERS_TOUCHED = 13  # bit per CTA barrier with an arrival since it was last looked at
PROGRESS = 14  # warps that ran since the last pass over the CTA began
CTA_CLOCK = 15  # clock when the CTA began
GROUPS = 16  # groups of lanes numbered so far
POSITION = 17  # CTAs finished in this launch
CHANGES = 18  # stores and atomics that changed memory, exits of lanes and released CTA barriers
CHANGES_SEEN = 19  # CHANGES when the CTA's state was last kept for comparison
STATE_HASH = 20  # hash of the kept state
PASSES = 21  # looks at the CTA's state since the last change
NEXT_KEPT = 22  # number of looks at which the state is kept again
CHANGE_CLOCK = 23  # clock at the end of the pass that saw the last change
CALL_LANES = 24  # lanes that called a function of the CUDA runtime; ERROR_PC tells which
LOOKED_CLOCK = 25  # clock when the CTA's state was last compared
SLICE_BEGIN = 26  # INDEX_USED when the running time slice began
YIELDED = 27  # 1: the running warp polls memory that nobody has changed, so its time slice ends
POLLING = 28  # warp instructions of this launch spent on polling
POLLED = 29  # time slices of this pass over the CTA's warps that ended with a poll
PASS_CHANGES = 30  # CHANGES when the pass began
IDLE_PASSES = 31  # passes, one after the other, in which the CTA's warps did nothing but poll
IDLE_LIMIT = 32  # such passes after which another CTA may have its turn
MISSED = 33  # lanes of the running instruction that read outside every buffer
MISSED_ADDRESS = 34  # where the last of them did
CLOCK_READ = 35  # 1: a warp has read the clock since the CTA's state was last looked at
CONTROL_WORDS = 36

POLL_PC, POLL_ADDRESS, POLL_COUNT, NEW_READS, READ_CLOCK, WARP_CLOCK = range(6)
"""Columns of `polls`: the last read that was a poll, and how many polls came one after the other; the warp's reads that
were no repetitions; its warp instructions when it read last, and before this time slice. Then come READS reads."""
FIRST_READ, READS = 6, 4
KNOWN_PC, KNOWN_ADDRESS, KNOWN_NEW_READS, KNOWN_CHANGES = range(4)
"""Columns of a read: NEW_READS and CHANGES when it was last done."""
READ_COLUMNS = 4
POLL_COLUMNS = FIRST_READ + READS * READ_COLUMNS

# Error codes.
OK = 0
LOG_FULL = 1
OUT_OF_BOUNDS = 2
MISALIGNED = 3
DEADLOCK = 4
BAD_TARGET = 5
LIMIT_REACHED = 6
NO_PROGRESS = 7
TRAPPED = 8
PAUSED = 9  # nothing is wrong: Python may look at signals and tell the progress
CALLED = 10  # nothing is wrong: lanes wait for a function of the CUDA runtime
IDLE = 11  # nothing is wrong: the CTA's warps only poll

RUNTIME_PC = -2
"""Program counter of the first function of the CUDA runtime; that of the k-th is RUNTIME_PC - k, by their addresses."""
LAST_RUNTIME_PC = RUNTIME_PC - len(RUNTIME_FUNCTIONS) + 1

# Indices into `geometry`, fixed per launch.
BLOCK_X, BLOCK_Y, BLOCK_Z, GRID_X, GRID_Y, GRID_Z = range(6)
THREADS = 6
WARPS = 7
FIRST_REGISTER_ROW = 8
ROWS_PER_WARP = 9
UNIFORM_ROW = 10  # relative to the warp
BARRIER_ROW = 11
SHARED_WORD = 12  # first word of shared memory in `memory`
SHARED_BYTES = 13
LOCAL_WORD = 14
LOCAL_BYTES = 15  # per thread
CONSTANT_WORD = 16  # first word of bank 0; bank k begins at geometry[CONSTANT_WORD + k]
CONSTANT_BANKS = 5
CONSTANT_BYTES = 21  # size of bank k at geometry[CONSTANT_BYTES + k]
SM_COUNT = 26
TIME_SLICE = 27
CTA_LIMIT = 28  # warp instructions after which a CTA counts as stuck
POLL_LIMIT = 29  # the same while all its warps only repeat reads of one address each and nothing changes
ZERO_WORD = 30  # first of four words that are zero: what lenient launches read outside every buffer; 0: they are not
GEOMETRY_WORDS = 31

GLOBAL_BASE = 0x7F0000000000
"""First address of global memory; a page-aligned, user-space-like 47-bit address as real allocations have."""
GRANULE = 512
"""Allocation granularity in bytes; every 512-byte granule belongs to one allocation or to none."""

TEXTURE_COLUMNS = 19
"""Of `textures`."""
SEGMENT_COLUMNS = 7
"""Of `segments`: warp in chunk, then start and end in index, records and addresses."""


class Machine(NamedTuple):
    """All arrays of one launch. Shapes: w warps of a CTA, n instructions, 32 lanes."""

    table: np.ndarray  # (n,) DECODED_DTYPE
    modifiers: np.ndarray  # (n, 4, 4) uint32: mode, and, xor, extra of sources a..d
    registers: np.ndarray  # (rows, 32) uint32
    predicates: np.ndarray  # (w, 16) uint32 lane masks
    lane_pc: np.ndarray  # (w, 32) int32: next instruction of lanes that are not running
    lane_group: np.ndarray  # (w, 32) int64: lanes with equal numbers and program counters run together
    lane_wait: np.ndarray  # (w, 32) int32
    warps: np.ndarray  # (w,) WARP_DTYPE
    memory: np.ndarray  # (words,) uint32: global, shared, local, constant
    granules: np.ndarray  # (granules,) int32: allocation + 1, 0 for none
    ends: np.ndarray  # (allocations + 1,) int64: end of allocation k - 1, relative to GLOBAL_BASE
    geometry: np.ndarray  # (GEOMETRY_WORDS,) int64
    control: np.ndarray  # (CONTROL_WORDS,) int64
    order: np.ndarray  # (CTAs,) int64: CTA that runs as k-th; empty: the k-th
    polls: np.ndarray  # (w, POLL_COLUMNS) int64: the last reads and which of them were repetitions
    barriers: np.ndarray  # (16, 6) int64: CTA barriers, columns in control.py
    address: np.ndarray  # (4, 32) int64: byte addresses, word indices, source words and bytes of LDGSTS
    missed: np.ndarray  # (n, 2) int64: lanes that read outside every buffer in a lenient launch, and the first address
    matrix: np.ndarray  # (2, 16, 128) float64: fragments of a matrix instruction, A by row and B by column
    log_index: np.ndarray  # (capacity,) uint32
    log_mask: np.ndarray  # (capacity,) uint32
    log_records: np.ndarray  # (capacity, 2) int64
    log_addresses: np.ndarray  # (capacity,) int64
    segments: np.ndarray  # (capacity, 7) int64
    textures: np.ndarray  # (textures, TEXTURE_COLUMNS) int64: columns in texture.py
