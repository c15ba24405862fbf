"""Params: the card, what follows from it for a launch, and the kernel's static instructions, read by compiled code.

Run-time values, not compile-time constants, so that a sweep never recompiles.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gpusim.model.state import BANKS, compact
from gpusim.model.types import Records

MAX_SOURCES = 12  # 32-bit source registers of one instruction; HMMA.16816.F32 reads ten

DERIVED = np.dtype(
    [
        # how to simulate
        ("skip", "i8"),  # 1: jump over idle cycles
        ("record_timeline", "i8"),
        ("window", "i8"),  # cycles that an SM runs ahead of the others
        # choices, as numbers: of the policies in Params.policies
        ("scheduler", "i8"),
        ("prefetcher", "i8"),
        ("l0_replacement", "i8"),  # sm.sub_core.fetch.l0.replacement
        ("fl_replacement", "i8"),  # sm.sub_core.constant_cache.replacement
        ("l1i_replacement", "i8"),  # sm.instruction_hierarchy.l1.replacement
        ("vl_replacement", "i8"),  # sm.memory_unit.constant_cache.replacement
        ("l1_replacement", "i8"),  # sm.memory_unit.l1_data.replacement
        ("l2_replacement", "i8"),  # l2.replacement
        ("scoreboard", "i8"),  # 1: dependence.mode is scoreboard
        # of this kernel
        ("registers", "i8"),  # that scoreboards keep track of
        ("l1_ways", "i8"),  # of L1D: what the kernel's shared memory leaves
        # of the card
        ("cta_launch_latency", "i8"),  # cta_launch_latency in SM cycles
        ("line_instructions", "i8"),  # instructions of an L0 line
        ("slice_odd", "i8"),  # l2.slices = odd * 2^bits
        ("slice_bits", "i8"),
        ("set_odd", "i8"),  # l2.sets = odd * 2^bits
        ("set_bits", "i8"),
        ("l2_latency", "i8"),  # l2.latency in SM cycles
        ("l2_clock_ticks", "i8"),  # ticks of a clock of L2
        ("l2_sector_ticks", "i8"),  # ticks that a sector takes at a slice's port
        ("gpc_sector_ticks", "i8"),  # and at a GPC's
        ("clocks", "i8"),  # command clocks of DRAM, which take ...
        ("clock_cycles", "i8"),  # ... so many SM cycles
        ("row_lines", "i8"),  # lines of a DRAM row
        ("burst", "i8"),  # command clocks that a sector's data take
        ("refresh_step", "i8"),  # command clocks from a channel's refresh to the next
        ("inline_ecc", "i8"),  # 1: dram.ecc is inline
        ("transfers", "i8"),  # TRANSFERs of a channel
        ("groups", "i8"),  # of channels that can be served apart, see gpusim.model.memory_system
        ("group_channels", "i8"),
        ("l2_buckets", "i8"),  # of a slice in State.l2_hash, a power of two
    ]
)
"""What compiled code needs and no key of a card says; see gpusim.model.setup.card."""

CODE = compact(
    [
        ("line", "i4"),  # L0 instruction cache line that holds it
        ("kind", "i2"),  # Kind
        ("unit", "i2"),  # Unit
        ("latency", "i4"),  # fixed: issue to dependent issue
        ("interval", "i4"),  # cycles the unit's latch is busy
        ("passes", "i2"),  # through the tensor unit, each as long as the interval
        ("stall", "i2"),  # cycles to the warp's next issue, by stall count and yield
        ("raised", "i8"),  # added to WARP.counters in Control
        ("write_counter", "i2"),
        ("read_counter", "i2"),
        ("waits", "i8"),  # mask of the waited counters in WARP.counters
        ("depbar_counter", "i2"),  # DEPBAR.LE: counter and limit, -1 if none
        ("depbar_limit", "i2"),
        ("constant_line", "i8"),  # L0 FL line of a constant operand, -1 if none
        ("constant_set", "i4"),  # its set there
        ("constant_bank", "i2"),  # LDC: bank
        ("need", "i2", (BANKS,)),  # distinct source registers per bank
        ("source_count", "i2"),  # 32-bit registers read, and of each:
        ("source_register", "i2", (MAX_SOURCES,)),
        ("source_entry", "i2", (MAX_SOURCES,)),  # its entry of the register file cache, by bank and operand slot
        ("source_reuse", "i2", (MAX_SOURCES,)),  # 1: to be kept there
        ("caches", "i2"),  # 1: looks up and fills the register file cache
        ("reuses", "i2"),  # 1: some operand asks for reuse
        ("read_window", "i2"),
        ("has_result", "i2"),  # 1: fixed latency with a result: takes a result queue entry
        ("banks_written", "i2"),  # bit per register bank written
        ("long_owner", "i2"),  # 1: counters it raises belong to L1TEX
        ("addresses", "i2"),  # memory records per execution
        ("uniform_address", "i2"),
        ("access_bytes", "i4"),
        ("war", "i2"),
        ("raw", "i2"),
        ("space", "i2"),  # MemorySpace
        ("shared_kind", "i2"),  # kind and raw where the address is shared memory, of an LDS or LD
        ("shared_raw", "i2"),
        ("throttle", "i2"),  # Stall of a warp whose instruction finds its queue full
        ("is_imad", "i2"),
        ("bypass_l1", "i2"),
        ("atomic_interval", "i4"),  # L2 clocks from one operation on an address to the next
        ("packet_per_lane", "i2"),  # 1: each of an atomic's operations on an address is a packet of its own
        ("barrier", "i2"),  # BAR: number
        ("barrier_warps", "i2"),  # warps expected, 0: all of the CTA
        ("barrier_waits", "i2"),  # 0: BAR.ARV
        ("membar", "i4"),  # cycles of a memory barrier
    ]
)
"""One static instruction as the timing model sees it; built by `gpusim.model.setup.code`."""

MAX_READS, MAX_WRITES = 24, 8
"""Registers of one instruction; an LDGSTS reads ten, LDG.E.128 writes four."""
COPIES, CLOSES = 1, 2
"""Values of OPERANDS.copies."""
MEMORY_QUEUE, TENSOR_UNIT = 4, 5
"""In-order units of OPERANDS.queue and .order beside those of variable latency (gpusim.model.setup.dependence)."""

OPERANDS = np.dtype(
    [
        ("read_count", "i8"),  # registers read, each once per column, and of each:
        ("read_register", "i8", (MAX_READS,)),  # its number
        ("read_column", "i8", (MAX_READS,)),  # column of Params.distances
        ("read_late", "i8", (MAX_READS,)),  # 1: behind the issue, as all regular ones (section 5.1.1); 0: at issue
        ("read_guard", "i8", (MAX_READS,)),  # 1: the guard
        ("late_reads", "i8"),  # how many are read late
        ("write_count", "i8"),  # registers written, and of each:
        ("write_register", "i8", (MAX_WRITES,)),
        ("write_row", "i8", (MAX_WRITES,)),  # row of Params.distances
        ("write_uniform", "i8", (MAX_WRITES,)),  # 1: all lanes share it
        ("variable", "i8"),  # 1: a completion event ends it
        ("queue", "i8"),  # units whose instructions read their registers in order share a number; 0: none
        ("order", "i8"),  # those that also write in order
        ("copies", "i8"),  # COPIES for LDGSTS, CLOSES for LDGDEPBAR, which ends a group of them
        ("barrier", "i8"),  # 1: BAR, behind which the memory queue has read its registers
        ("stall", "i8"),  # the control bits: cycles to the next issue
        ("waits", "i8"),  # bit per counter
        ("write_counter", "i8"),
        ("read_counter", "i8"),
        ("depbar_counter", "i8"),  # DEPBAR.LE: counter, -1 if none, limit, and cycles until it holds what follows
        ("depbar_limit", "i8"),
        ("depbar_effect", "i8"),
    ]
)
"""The registers of one static instruction, and how its control bits protect them; see gpusim.model.setup.dependence."""


class Params(NamedTuple):
    """All that a kernel's simulation reads and never changes."""

    card: Records  # [1] every number of the configuration at its own path, as card[0].sm.sub_core.fetch.l0.ways
    derived: Records  # [1] DERIVED
    code: Records  # [instructions] CODE
    operands: Records  # [instructions] OPERANDS, or [1] where nobody looks
    distances: np.ndarray  # (rows, columns) int64, see gpusim.model.setup.dependence
    hashes: np.ndarray  # (2, MAX_BITS) int64: parity masks of L2's slices and sets
    policies: Records  # [1] the mark of the PolicySet to choose from (gpusim.model.policies.policy_set)
