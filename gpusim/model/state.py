"""State: everything that changes while a kernel is simulated, as one NamedTuple of record arrays.

Indices, never objects; `gpusim.model.rows` says which row is whose. Fields of fixed size are nested in their owner's
record, so that one SM's state lies together; arrays whose size a configuration decides stand alone. Times are SM
cycles; FOREVER means "not before some event".
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from gpusim.constants import WARP_SIZE
from gpusim.jit import JIT
from gpusim.model.types import Records

SUB_CORES = 4
BANKS = 2  # register file banks: register number modulo 2 (arXiv 2503.20481 section 5.3)
SLOTS = 4  # operand slots of the register file cache; three are used
SHARED_BANKS = 32  # of shared memory, 4 bytes wide
FOREVER = 1 << 60
MAX_BUFFER = 8  # instruction buffer entries; a power of two, as the horizons
MAX_COUNTER = 63  # a dependence counter has 6 bits (arXiv 2503.20481 section 7.5)
MAX_LOCAL_WARPS = 16  # warps of one sub-core
READ_HORIZON = 32  # cycles of the read port calendar
WRITE_HORIZON = 64  # cycles of the write port calendar
EVENTS = 512  # pending events of one sub-core
QUEUE = 17  # sub-core memory queue entries, and one that comes from Control
FP64_QUEUE = 17
PENDING_LINES = 32  # outstanding L0 instruction lines
STREAM_LINES = 32
PENDING_CONSTANTS = 16
LDC_WAITING = 64  # LDC instructions of one SM that wait for a line
STARTS = 16  # remembered start cycles of accepted memory instructions
L1_INSTRUCTION_REQUESTS = 512  # L0 to L1 instruction and constant requests of one SM
PENDING_TABLE = 192  # pending request table of the SM-shared unit
WAITERS = 8192  # instructions waiting for lines of one SM
COPY_GROUPS = 16  # groups of asynchronous copies of one warp: those that are not complete, and the open one
IN_FLIGHT = SUB_CORES * QUEUE + LDC_WAITING + PENDING_TABLE  # memory instructions of one SM
ECC_SECTORS = 64  # kept by a DRAM channel at most
STORE_LINES = 17  # stores held to be merged; one more than a card may ask for, to move up from
ACCESS_LINES = 128  # lines of one access: 32 lanes, four words each in local memory
LINE_BUCKETS = 2048  # hash table of L1D's lines
MESSAGES = 4096  # requests or replies of one SM between two windows
MASK_SHIFT = 32  # of the lanes in a word of a stream, above the static index
INDEX_MASK, LANES = (1 << MASK_SHIFT) - 1, (1 << 32) - 1
BARRIERS = 16  # named barriers of a CTA
MOST_CTAS = 32  # of an SM
UNITS = 8

POLICY_WORDS = 8  # of a sub-core's scheduler, and of its prefetcher


class Fault(IntEnum):
    """Values of GPU.fault: a table of fixed size overflowed, or a policy broke its rules. The run stops and tells
    it."""

    EVENTS = 1
    REQUESTS = 2
    REPLIES = 3
    L1_INSTRUCTIONS = 4
    WAITERS = 5
    NODES = 6
    SCHEDULER = 7
    REPLACEMENT = 8


FAULT_TEXTS = {
    Fault.EVENTS: "the model's table of pending events of a sub-core overflowed",
    Fault.REQUESTS: "the model's table of requests of an SM to L2 overflowed",
    Fault.REPLIES: "the model's table of replies to an SM overflowed",
    Fault.L1_INSTRUCTIONS: "the model's table of an SM's instruction and constant requests overflowed",
    Fault.WAITERS: "the model's table of instructions waiting for lines of an SM overflowed",
    Fault.NODES: "the model's table of requests behind the SMs overflowed",
    Fault.SCHEDULER: "the scheduler chose a warp that is not ready",
    Fault.REPLACEMENT: "the replacement policy chose a way that the cache does not have",
}


def compact(fields: Sequence[tuple]) -> np.dtype:
    """A record of fields that are as narrow as their values allow, so that more of them fit into a processor's caches.

    The wide ones come first, so that none crosses a line. Compiled code computes with 64 bits whatever the width. NumPy
    does not, so without the compiler all are 64 bits wide; the metadata then say what is `compact`.
    """
    narrow = np.dtype(sorted(fields, key=lambda field: field[1], reverse=True), align=True)
    if JIT:
        return narrow
    return np.dtype([(name, "i8", *shape) for name, _, *shape in fields], metadata={"compact": narrow})


WARP = compact(
    [
        ("active", "i2"),  # 1: resident
        ("cta", "i2"),  # CTA slot in the SM
        ("cta_id", "i8"),  # linear CTA id in the grid
        ("warp_in_cta", "i4"),
        ("position", "i8"),  # next instruction in the stream pool
        ("begin", "i8"),  # first instruction of its stream that is loaded
        ("end", "i8"),  # behind the last one that is
        ("more", "i2"),  # 1: the stream goes on behind `end`, see gpusim.model.setup.streams
        ("record", "i8"),  # next memory record in the pool
        ("index", "i4"),  # static index of the next instruction
        ("sequence", "i8"),  # instructions issued
        ("stall_until", "i8"),  # first cycle that the stall counter allows
        ("counters", "i8"),  # dependence counters SB0..SB5, 8 bits each
        ("long_owner", "i2"),  # bit per counter: its last producer was a global or local access, or a copy
        ("next_check", "i8"),  # first cycle at which its eligibility can change
        ("reason", "i2"),  # Stall since `reason_since`
        ("reason_since", "i8"),
        ("resident_since", "i8"),
        ("outstanding", "i4"),  # memory instructions not completed
        ("registers_due", "i4"),  # scoreboards: register reads and variable-latency results not completed
        ("at_barrier", "i2"),  # not 0: waits, see gpusim.model.barriers
        ("barrier", "i2"),  # its barrier number
        ("barrier_until", "i8"),
        ("membar_until", "i8"),
        ("writes_due", "i4"),  # of its slot: writes and reductions that L2 has not acknowledged
        ("hold_counter", "i2"),  # DEPBAR.LE: counter that the next instructions wait for, -1 if none
        ("hold_limit", "i2"),
        ("hold_from", "i8"),  # first cycle in which it holds them
        ("passes_left", "i2"),  # passes that its matrix instruction has not begun
        ("pass_ready", "i8"),  # first cycle the next of them can begin
        ("pass_index", "i4"),  # that instruction
        ("pass_row", "i8"),  # its row of the timeline
        ("pass_allocated", "i2"),  # 1: it has left Allocate
        ("fetch_index", "i4"),  # static index of the next instruction to fetch
        ("fetch_from", "i8"),  # first cycle it may fetch
        ("fetch_line", "i4"),  # line it waits for, -1 if none
        ("fetch_demand", "i4"),  # line that it demanded last, -1 if none
        ("fetch_way", "i4"),  # where its last line was found in L0
        ("refill", "i2"),  # 1: the buffer was flushed by a taken branch
        ("buffer_head", "i2"),
        ("buffer_count", "i2"),  # entries in the buffer or in flight
        ("buffer_ready", "i8", (MAX_BUFFER,)),  # first cycle each may issue
        # asynchronous copies: a ring of groups, closed by LDGDEPBAR; the one behind the last closed one is open
        ("group_head", "i2"),
        ("groups_closed", "i2"),
        ("groups_due", "i2"),  # closed groups whose counter may fall as soon as their copies are complete
        ("group_copies", "i2", (COPY_GROUPS,)),  # LDGSTS not completed
        ("group_queued", "i2", (COPY_GROUPS,)),  # and of them those that the memory unit has not accepted
        ("group_counter", "i2", (COPY_GROUPS,)),  # dependence counter that falls when the group is complete
    ]
)

SUB_CORE = np.dtype(
    [
        ("wake", "i8"),  # next cycle at which anything can happen
        ("active_mask", "i8"),  # bit per local warp
        ("warp_count", "i8"),
        ("order", "i8", (MAX_LOCAL_WARPS,)),  # local warps, youngest first
        ("greedy", "i8"),  # local warp issued last
        ("scheduler_words", "i8", (POLICY_WORDS,)),  # whatever a scheduler remembers
        ("constant_hold", "i8"),  # issue stops before this cycle for the greedy warp's constant miss
        ("port_block", "i8"),  # first cycle the issue port is open
        ("unit_free", "i8", (UNITS,)),  # first cycle each unit's input latch is free
        # Control stage
        ("control_valid", "i8"),
        ("control_done", "i8"),  # counters incremented
        ("control_warp", "i8"),
        ("control_index", "i8"),
        ("control_mask", "i8"),
        ("control_record", "i8"),
        ("control_row", "i8"),
        ("control_unit", "i8"),  # unit whose latch it took
        ("passes", "i8"),  # local warps, as bits, that have passes through the tensor unit left
        ("raise_warp", "i8"),  # dependence counters raised at the end of this cycle
        ("raise_value", "i8"),
        ("raise_index", "i8"),
        # Allocate stage
        ("allocate_valid", "i8"),
        ("allocate_warp", "i8"),
        ("allocate_index", "i8"),
        ("allocate_row", "i8"),
        ("allocate_unit", "i8"),
        ("unit_entry", "i8", (UNITS,)),  # first cycle each unit takes an instruction from Allocate
        # register file
        ("read_slots", "i8", (BANKS * READ_HORIZON,)),  # cycle * 16 + ports used
        ("write_slots", "i8", (BANKS * WRITE_HORIZON,)),
        ("cached", "i8", (BANKS * SLOTS,)),  # register file cache: see operands.tag, or -1
        ("cached_count", "i8"),
        # result queue
        ("result_reserved", "i8"),  # issued, not yet through Allocate
        ("result_base", "i8"),  # cycle of bit 0 of result_mask
        ("result_mask", "i8"),  # bit per future cycle in which a result leaves the queue
        # events
        ("event_count", "i8"),
        ("event_number", "i8"),  # pushed so far
        ("event_key", "i8", (EVENTS,)),  # cycle << 4 | kind
        ("event_order", "i8", (EVENTS,)),  # among equal keys: cycle due << 27 | number
        ("event_what", "i8", (EVENTS,)),  # timeline row << 32 | static index << 12 | warp << 8 | counter << 4 | banks
        # memory queue
        ("throttled", "i8"),  # local warps, as bits, that wait for room in a queue
        ("queue_head", "i8"),
        ("queue_count", "i8"),
        ("queue_addressed", "i8"),  # entries from the head whose address is computed
        ("address_free", "i8"),
        ("queue_access", "i8", (QUEUE,)),  # the instruction: its ACCESS
        ("queue_ready", "i8", (QUEUE,)),  # first register read, then first grant
        # fetch
        ("prefetcher_words", "i8", (POLICY_WORDS,)),  # whatever an instruction prefetcher remembers
        ("stream_head", "i8"),  # line of the oldest entry
        ("stream_count", "i8"),
        ("stream_asked", "i8"),  # lines asked for so far; the entries are the last of them, in a ring
        ("stream_next", "i8"),  # next line to prefetch
        ("stream_active", "i8"),
        ("stream_wanted", "i8"),  # 1: a warp waits for the head
        ("stream_ready", "i8", (STREAM_LINES,)),
        ("pending_lines", "i8"),
        ("pending_line", "i8", (PENDING_LINES,)),
        ("pending_ready", "i8", (PENDING_LINES,)),
        ("request_port", "i8"),  # first cycle in which it may use the SM's port to L1 again
        # L0 constant cache
        ("constants_pending", "i8"),
        ("constant_line", "i8", (PENDING_CONSTANTS,)),
        ("constant_ready", "i8", (PENDING_CONSTANTS,)),
        # variable-latency units
        ("variable_free", "i8", (4,)),
        ("fp64_head", "i8"),  # operations that wait for the SM's FP64 unit
        ("fp64_count", "i8"),
        ("fp64_warp", "i8", (FP64_QUEUE,)),
        ("fp64_index", "i8", (FP64_QUEUE,)),
        ("fp64_row", "i8", (FP64_QUEUE,)),
        ("fp64_ready", "i8", (FP64_QUEUE,)),
    ]
)

SM = np.dtype(
    [
        ("now", "i8"),  # next cycle to evaluate
        ("wake", "i8"),
        ("ctas_ended", "i8"),  # CTA slots, as bits, that became free in this cycle
        ("places_free", "i8"),  # those that did in this window, and of each MOST_CTAS * the first cycle without its CTA
        ("place_free", "i8", (MOST_CTAS,)),  # + its number, in this order
        ("release_due", "i8"),  # 1: its held stores are released if no CTA comes into a place that became free before
        ("live_ctas", "i8"),
        ("active_since", "i8"),  # first cycle of the present stretch with a CTA
        ("last_retire", "i8"),
        # memory shared unit
        ("next_grant", "i8"),
        ("grant_turn", "i8"),
        ("retry_at", "i8"),  # first cycle worth offering refused requests again, replies aside
        ("adu_free", "i8"),  # first cycle in which the ADU takes an instruction
        ("adu_turn", "i8"),  # sub-core that it asks first
        ("l1_free", "i8"),
        ("shared_free", "i8"),
        ("shared_visible", "i8"),  # completions of the shared-memory pipe are in order
        ("start_turn", "i8"),
        ("starts", "i8", (STARTS,)),  # start cycles of the last instructions accepted
        ("return_free", "i8"),
        ("fp64_free", "i8"),
        ("fp64_turn", "i8"),
        ("out_free", "i8"),
        ("access_free", "i8"),  # first free ACCESS of the SM
        ("table_used", "i8"),  # ACCESSes in the pending request table
        ("waiter_free", "i8"),
        ("waiter_access", "i8", (WAITERS,)),
        ("waiter_next", "i8", (WAITERS,)),
        ("lines_pending", "i8"),
        ("access_count", "i8"),  # result of the coalescer
        ("access_line", "i8", (ACCESS_LINES,)),
        ("access_sectors", "i8", (ACCESS_LINES,)),
        ("access_wavefront", "i8", (ACCESS_LINES,)),  # in which its tag is looked up
        ("access_low", "i8", (ACCESS_LINES,)),  # bytes of each line: bit per byte, lower and upper half
        ("access_high", "i8", (ACCESS_LINES,)),
        ("access_passes", "i8", (ACCESS_LINES,)),  # atomics: lanes on the word that most of them name
        ("scratch_word", "i8", (WARP_SIZE,)),
        ("scratch_bank", "i8", (SHARED_BANKS,)),
        # stores held to be merged, oldest first
        ("held_stores", "i8"),
        ("held_line", "i8", (STORE_LINES,)),
        ("held_sectors", "i8", (STORE_LINES,)),
        ("held_low", "i8", (STORE_LINES,)),  # bytes written, as access_low and access_high
        ("held_high", "i8", (STORE_LINES,)),
        ("held_token", "i8", (STORE_LINES,)),  # of the first writer
        ("held_until", "i8", (STORE_LINES,)),
        # L1 instruction and constant cache
        ("l1i_head", "i8"),
        ("l1i_count", "i8"),
        ("l1i_arrival", "i8", (L1_INSTRUCTION_REQUESTS,)),
        ("l1i_kind", "i8", (L1_INSTRUCTION_REQUESTS,)),
        ("l1i_target", "i8", (L1_INSTRUCTION_REQUESTS,)),
        ("l1i_line", "i8", (L1_INSTRUCTION_REQUESTS,)),
        ("request_free", "i8"),  # first cycle the port to this cache is free
        ("missing_count", "i8"),
        ("missing_kind", "i8", (L1_INSTRUCTION_REQUESTS,)),
        ("missing_target", "i8", (L1_INSTRUCTION_REQUESTS,)),
        ("missing_line", "i8", (L1_INSTRUCTION_REQUESTS,)),
        ("missing_ready", "i8", (L1_INSTRUCTION_REQUESTS,)),  # arrival from the GPC's cache, FOREVER from L2
        ("gpc_ready", "i8"),  # the earliest of them
        ("reply_free", "i8"),
        ("constants_pending", "i8"),  # LDC misses waiting
        ("constant_line", "i8", (LDC_WAITING,)),
        ("constant_access", "i8", (LDC_WAITING,)),  # the LDC: its ACCESS
        ("ldc_reply_head", "i8"),  # lines on their way to the VL constant cache
        ("ldc_replies", "i8"),
        ("ldc_reply_line", "i8", (LDC_WAITING,)),
        ("ldc_reply_ready", "i8", (LDC_WAITING,)),
        # messages to and from L2, each sorted by time
        ("out_head", "i8"),
        ("out_count", "i8"),
        ("in_head", "i8"),
        ("in_count", "i8"),
        ("reply_port", "i8"),  # first cycle the port from L2 is free
        ("replies_due", "i8"),  # replies asked for and not yet arrived
        ("writes_due", "i8"),  # writes and reductions that L2 has not acknowledged
    ]
)

ACCESS = compact(
    [
        ("warp", "i4"),  # row of its warp
        ("index", "i4"),  # static index
        ("timeline", "i8"),  # row of the timeline, -1 if none is kept
        ("mask", "i8"),  # lanes that executed
        ("record", "i8"),  # its memory record in the pool, -1 in a free one
        ("kind", "i2"),  # Kind and MemorySpace, those of its address where it is generic
        ("space", "i2"),
        ("group", "i2"),  # LDGSTS: its group
        ("left", "i4"),  # lines awaited
        ("return_cycles", "i4"),  # of L1D's data stage and its way to the registers
        ("next", "i4"),  # next free one
    ]
)
"""A memory instruction in flight, from Control to its end; while it awaits lines it is in the pending request table."""

MESSAGE_FIELDS = (
    ("time", "i8"),
    ("kind", "i2"),  # see interconnect
    ("line", "i8"),  # byte address / LINE_BYTES
    ("sectors", "i2"),
    ("token", "i8"),
    ("low", "i8"),  # WRITE: bytes written, bit per byte of the line's lower and upper half
    ("high", "i8"),
    ("clocks", "i4"),  # ATOMIC: of L2, for the operations on one word
    ("slice", "i4"),  # of a request: slice that looks it up
)
MESSAGE = compact(MESSAGE_FIELDS)

NODE = compact(
    [
        *MESSAGE_FIELDS,
        ("sm", "i4"),
        ("left", "i2"),  # sectors that a waiting request still lacks
        ("copy_at", "i4"),  # slice that passed a request on and keeps a copy of the line, -1 none
        ("previous", "i4"),  # neighbours in a list
        ("next", "i4"),
    ]
)
"""A request at L2, or a reply on its way to a GPC's port. `time` orders queues: cycle * SMs + SM of the arrival of a
request, 1/16 cycle * slices + slice of a reply."""

TAG = np.dtype(
    [
        ("line", "i8"),  # -1: empty
        ("stamp", "i8"),  # cycle in which it became the youngest of its set
        ("first", "i8"),  # place of its set's first way
        ("word", "i8"),  # in that: the word of the set's replacement policy
    ]
)
"""An entry of a small cache."""

LINE = compact(
    [
        ("line", "i8"),
        ("valid", "i1"),  # bit per 32-byte sector
        ("pending", "i1"),
        ("dirty", "i1"),  # L2: to be written to DRAM when replaced
        ("low", "i8"),  # L2: bytes written into invalid sectors, as in MESSAGE
        ("high", "i8"),
        ("merged", "i4"),  # L2: requests that wait
        ("hash_next", "i4"),
        ("older", "i4"),  # neighbours in the set's list by age
        ("newer", "i4"),
        ("waiters", "i4"),  # first waiting instruction (L2: request), -1 none
        ("last_waiter", "i4"),  # L2
    ]
)
"""An entry of a sectored cache with many ways (L1D, L2)."""

CACHE_SET = compact([("oldest", "i4"), ("newest", "i4"), ("filled", "i4"), ("word", "i8"), ("dirty", "i4")])
"""A set of such a cache: ends of its list by age, ways in use, the word of its replacement policy, L2: dirty lines."""

CTA = np.dtype(
    [
        ("active", "i8"),
        ("live", "i8"),  # warps not finished
        ("first_slot", "i8"),
        ("arrived", "i8", (BARRIERS,)),
        ("expected", "i8", (BARRIERS,)),  # warps, 0: all that live
    ]
)

GPU = np.dtype(
    [
        ("now", "i8"),  # all SMs have reached this cycle
        ("window_end", "i8"),
        ("resume", "i8"),  # 1: the window's SMs have run, but it waits for CTAs to be loaded
        ("filled", "i8"),  # 1: the first CTAs have been placed
        ("next_cta", "i8"),
        ("cta_total", "i8"),
        ("warps_per_cta", "i8"),
        ("ctas_per_sm", "i8"),
        ("chunk_first", "i8"),  # CTAs first .. first + count - 1 can be dispatched
        ("chunk_count", "i8"),
        ("chunk_table", "i8"),  # row of the first CTA's first warp in warp_starts
        ("stream_check", "i8"),  # first cycle in which a warp can come near the end of what is loaded of its stream
        ("timeline_rows", "i8"),
        ("l0_lines", "i8"),  # first lines of the program that the launch has yet to bring to every L0
        ("l1_instruction_lines", "i8"),  # and to every SM's L1 instruction cache
        ("fault", "i8"),  # Fault, 0 if none
        # memory behind the SMs
        ("first", "i8"),  # first cycle in which an SM can do anything
        ("serve_end", "i8"),  # groups of channels serve all cycles before this one
        ("pass_end", "i8"),  # replies that reach their GPC's port before this cycle pass it
        ("free_nodes", "i8"),  # entries of State.free_nodes
        ("nodes_used", "i8"),  # nodes that were ever used
    ]
)

SLICE = np.dtype(
    [
        ("free", "i8"),  # 1/16 cycles: its tags and data take the next request
        ("reply_free", "i8"),  # 1/16 cycles: its port to the SMs is free
        ("head", "i8"),  # requests in the order of arrival
        ("tail", "i8"),
        ("lacks", "i8"),  # why the first has been refused: see l2.lacking, 0 if it has not
        ("lacks_sectors", "i8"),  # and for how many sectors a DRAM queue must have room
        ("misses", "i8"),  # lines that await data
    ]
)

COPIES = np.dtype([("head", "i8"), ("tail", "i8")])
"""Requests on their way back to the slice that passed them on, in the order of arrival: cycle * slices + slice left."""

MOST_GROUPS = 8
"""Bank groups that a channel may have."""
ACTIVATIONS = 4
"""So many activations may fall into the window of tFAW."""

BANK = np.dtype(
    [
        ("row", "i8"),  # open row, -1 none
        ("column_ok", "i8", (2,)),  # first clocks of each command: reads, writes
        ("precharge_ok", "i8"),
        ("activate_ok", "i8"),  # of a refresh too
        ("hit", "i8", (2,)),  # by direction: the oldest transfer that wants the open row, -1 none
        ("head", "i8", (2,)),  # transfers by direction, oldest first
        ("tail", "i8", (2,)),
    ]
)

CHANNEL = np.dtype(
    [
        ("clock", "i8"),  # next DRAM clock in which a command can be given, FOREVER if none
        ("used", "i8", (2,)),  # sectors accepted and without a column command: reads, writes
        ("queued", "i8", (2,)),  # those of them that have arrived
        ("busy", "i8", (2,)),  # bit per bank that has transfers
        ("direction", "i8"),  # READ or WRITE_BACK
        ("number", "i8"),  # transfers arrived
        ("column_ok", "i8", (2,)),  # first clock of the next command by direction
        ("group_ok", "i8", (2 * MOST_GROUPS,)),  # of those of a bank group: see dram.of_group
        ("activate_ok", "i8"),
        ("activations", "i8", (ACTIVATIONS,)),  # clocks of the last ones
        ("activated", "i8"),  # how many there have been
        ("refreshes", "i8"),
        ("refresh_begin", "i8"),  # clocks around the last one of a bank in which no bank is activated
        ("refresh_end", "i8"),
        ("ecc_uses", "i8"),
        ("ecc_used", "i8", (ECC_SECTORS,)),  # of each ECC sector kept: number of its last use, 0 none
        ("ecc_group", "i8", (ECC_SECTORS,)),  # what it protects
        ("ecc_changed", "i8", (ECC_SECTORS,)),
        ("head", "i8", (2,)),  # transfers on their way, and those whose data are on their way to L2: see dram.ARRIVING
        ("tail", "i8", (2,)),
        ("free", "i8"),  # free TRANSFERs, -1 none
    ]
)

TRANSFER = compact(
    [
        ("time", "i8"),  # clock of arrival, then the cycle in which the data are at L2
        ("number", "i8"),  # age: order of arrival
        ("direction", "i2"),
        ("bank", "i2"),
        ("row", "i8"),
        ("left", "i4"),  # sectors without a column command
        ("slice", "i4"),
        ("place", "i4"),  # read: L2 line
        ("sectors", "i2"),
        ("next", "i4"),
    ]
)
"""Sectors of one line between a DRAM channel and L2."""

GROUP = np.dtype(
    [
        ("next", "i8"),  # next cycle in which it has work
        ("requests", "i8"),  # that it takes from State.merged ...
        ("first_request", "i8"),  # ... from this place on
        ("padding", "i8", (13,)),  # groups are served by different threads: a cache line or two for each
    ]
)
"""DRAM channels and the slices of L2 in front of them that can be served without any other (one channel, or as many as
L2 has partitions)."""

GPC = np.dtype(
    [
        ("free", "i8"),  # 1/16 cycles: its port for replies is free
        ("first", "i8"),  # first cycle in which an SM with a CTA takes one of the replies that it has passed
        ("last_acknowledge", "i8"),  # arrival of the last acknowledgement of a write at its SM
        ("returned", "i8"),  # nodes of the replies that it has passed, see State.returned
        ("padding", "i8", (12,)),
    ]
)
"""What the SMs of a GPC have in common."""

REPLY_QUEUE = np.dtype([("head", "i8"), ("tail", "i8")])
"""Replies of one kind from a group to a GPC, by time."""

COUNTERS = np.dtype(
    [
        (name, "i8")
        for name in (
            "warp_instructions thread_instructions resident_warp_cycles sm_active_cycles ctas_launched "
            "l0_instruction_hits l0_instruction_misses stream_buffer_hits instruction_prefetches "
            "l1_instruction_accesses l1_instruction_misses constant_hits constant_misses "
            "register_cache_hits register_reads register_port_stall_cycles write_port_conflicts "
            "shared_wavefronts shared_bank_conflicts l1_tag_wavefronts l1_data_wavefronts request_port_cycles "
            "l1_load_sectors l1_load_hits l1_load_hits_pending l1_store_sectors "
            "l2_read_sectors l2_read_hits l2_write_sectors dram_read_sectors dram_write_sectors dram_activates"
        ).split()
    ]
)
"""Event counts of one SM or channel, named as in gpusim.results.counters where a user sees them."""

TIMELINE = np.dtype(
    [
        ("sm", "i8"),
        ("sub_core", "i8"),
        ("warp", "i8"),
        ("sequence", "i8"),
        ("index", "i8"),
        ("issue", "i8"),
        ("control", "i8"),
        ("allocate", "i8"),
        ("read", "i8"),
        ("execute", "i8"),
        ("write_back", "i8"),
    ]
)


REGISTER = np.dtype(
    [
        ("writer", "i8"),  # static index + 1 of the instruction whose result is pending, 0 if none is
        ("row", "i8"),  # kind of that result: row of Params.distances
        ("since", "i8"),  # cycle from which the distances count, FOREVER while not known
        ("consumers", "i8"),  # issued and not read yet
        ("consumer", "i8"),  # static index of the last of them
    ]
)
"""Scoreboards: one register of one warp."""


class State(NamedTuple):
    """All mutable state. Sizes in brackets; see `gpusim.model.setup.build`."""

    gpu: Records  # [1]
    sms: Records  # [sms]
    sub_cores: Records  # [sms * 4]
    warps: Records  # [sms * warps]
    ctas: Records  # [sms * ctas]
    l0: Records  # [sms * 4 * sets * ways] TAG: instructions
    fl_constants: Records  # [sms * 4 * sets * ways] TAG: constant operands of a sub-core
    l1_instructions: Records  # [sms * sets * ways] TAG
    vl_constants: Records  # [sms * sets * ways] TAG: LDC
    accesses: Records  # [sms * IN_FLIGHT] ACCESS
    l1_lines: Records  # [sms * lines] LINE: L1D
    l1_sets: Records  # [sms * sets] CACHE_SET
    l1_hash: np.ndarray  # [sms * LINE_BUCKETS] int64
    requests: Records  # [sms * MESSAGES]
    replies: Records  # [sms * MESSAGES]
    l2_lines: Records  # [slices * sets * ways] LINE
    l2_sets: Records  # [slices * sets] CACHE_SET
    l2_hash: np.ndarray  # [slices * power of two] int64
    slices: Records  # [slices]
    slice_next: np.ndarray  # [slices] int64: next cycle in which each has work
    copies: Records  # [slices] COPIES
    copy_next: np.ndarray  # [slices] int64: cycle in which the first of its copies arrives
    nodes: Records  # [sms * MESSAGES]
    free_nodes: np.ndarray  # [sms * MESSAGES] int64: nodes that were used and are free
    returned: np.ndarray  # [gpcs * sms * MESSAGES] int64: nodes that each GPC's replies have left
    groups: Records  # [groups]
    gpcs: Records  # [gpcs]
    reply_queues: Records  # [gpcs * 2 * groups] REPLY_QUEUE: data, then acknowledgements
    reply_times: np.ndarray  # [gpcs * 2 * groups] int64: NODE.time of each queue's first, FOREVER if there is none
    channels: Records  # [channels]
    channel_next: np.ndarray  # [channels] int64: cycle of `clock`, or of the next fill
    banks: Records  # [channels * banks]
    transfers: Records  # [channels * transfers]
    merge: np.ndarray  # [window + 1] int64: where the requests of a cycle go in `by_time`
    by_time: np.ndarray  # [sms * MESSAGES] int64: places of the window's requests, by (cycle, SM)
    merged: np.ndarray  # [sms * MESSAGES, 2] int64: the same by group, with the node that each is given
    registers: Records  # [sms * warps * registers] REGISTER, or [1] without scoreboards
    stalls: np.ndarray  # [threads, instructions, reasons] int64
    counters: Records  # [sms + channels]: of each SM, and of each channel with the slices in front of it
    stream: np.ndarray  # pool, int64: lanes that executed << MASK_SHIFT | static index
    records: Records  # pool, MEMORY_RECORD_DTYPE
    addresses: np.ndarray  # pool, int64
    warp_starts: np.ndarray  # pool, int64 (n, 4): first instruction, end, first record, `more` per warp to dispatch
    timeline: Records  # rows in the order of issue; kept on one thread only
    teamwork: np.ndarray  # int64, see gpusim.model.threads
