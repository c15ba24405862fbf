"""Params: the configuration and the running kernel's static instructions as records, read by compiled code.

Run-time values, not compile-time constants, so that a sweep never recompiles.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np

from gpusim.config.models import GpuConfig, InstructionHierarchy, MemoryUnit
from gpusim.model.hashing import parity_masks, split
from gpusim.model.state import SUB_CORES

MAX_SOURCES = 12  # 32-bit source registers of one instruction; HMMA.16816.F32 reads ten
SCHEDULERS = ("cggty", "gto", "lrr")
SECTOR_BYTES = 32

MACHINE = np.dtype(
    [
        (name, "i8")
        for name in (
            "sms warps ctas skip record_timeline window "
            # fetch
            "buffer_entries hit_to_issue branch_refill perfect_fetch l0_sets l0_ways line_instructions stream_lines "
            # issue
            "scheduler constant_miss_hold imad_port_block "
            "depbar_effect constant_sets constant_ways constant_bytes "
            "scoreboard max_consumers registers "
            # operands and execution
            "read_ports write_ports read_cycles tensor_read_cycles register_cache fp32_in_int_pipe result_entries "
            "sfu_queue fp64_queue misc_queue fp64_shared "
            # sub-core memory queue
            "queue_entries register_read grant_regular grant_uniform interval_regular interval_uniform "
            # instruction hierarchy
            "l1i_sets l1i_ways l0_to_l1 l1_to_l0 l1i_line_bytes "
            "launch_start launch_lines gpc_code_lines gpc_constant_lines gpc_latency "
            # memory shared unit
            "grant_interval pending_instructions table_entries shared_minimum shared_bytes "
            "l1_lines l1_sets l1_ways mshr_entries tag_lookups return_bytes miss_latency fill_latency "
            "ldc_sets ldc_ways ldc_bytes barrier_release membar_cta membar_gpu membar_system "
            # beyond the SM
            "cta_launch_latency request_latency reply_latency far_latency port_bytes "
            "gpcs gpc_sector_x16 writes_in_flight l2_slices slice_odd slice_bits l2_partitions "
            "l2_sets set_odd set_bits l2_ways l2_latency l2_sector_x16 "
            "l2_misses l2_merges atomic_interval l2_holds_code "
            # DRAM; times in its command clocks, of which `clocks` take `clock_cycles` cycles
            "dram_channels dram_latency clocks clock_cycles read_entries write_entries write_high write_low "
            "row_lines banks bank_groups burst rcd ras rp rc rrd cl wl ccd ccdl rtp wr wtr turnaround transfers "
            "plain_load_raw "
        ).split()
    ]
)
"""Scalars of the card, all int64; names follow gpusim.config.models."""

CODE = np.dtype(
    [
        ("line", "i8"),  # L0 instruction cache line that holds it
        ("kind", "i8"),  # Kind
        ("unit", "i8"),  # Unit
        ("latency", "i8"),  # fixed: issue to dependent issue
        ("interval", "i8"),  # cycles the unit's latch is busy
        ("passes", "i8"),  # through the tensor unit, each as long as the interval
        ("stall", "i8"),  # cycles to the warp's next issue, by stall count and yield
        ("raised", "i8"),  # added to WARP.counters in Control
        ("write_counter", "i8"),
        ("read_counter", "i8"),
        ("waits", "i8"),  # mask of the waited counters in WARP.counters
        ("depbar_counter", "i8"),  # DEPBAR.LE: counter and limit, -1 if none
        ("depbar_limit", "i8"),
        ("constant_line", "i8"),  # L0 FL line of a constant operand, -1 if none
        ("constant_set", "i8"),  # its set there
        ("constant_bank", "i8"),  # LDC: bank
        ("need", "i8", (2,)),  # distinct source registers per bank
        ("source_count", "i8"),
        ("source", "i8", (MAX_SOURCES,)),  # register + 256 * slot + 1024 * reuse, one per 32-bit register read
        ("caches", "i8"),  # 1: looks up and fills the register file cache
        ("reuses", "i8"),  # 1: some operand asks for reuse
        ("read_window", "i8"),
        ("has_result", "i8"),  # 1: fixed latency with a result: takes a result queue entry
        ("banks_written", "i8"),  # bit per register bank written
        ("long_owner", "i8"),  # 1: counters it raises belong to L1TEX
        ("addresses", "i8"),  # memory records per execution
        ("uniform_address", "i8"),
        ("access_bytes", "i8"),
        ("war", "i8"),
        ("raw", "i8"),
        ("space", "i8"),  # MemorySpace
        ("shared_kind", "i8"),  # kind and raw where the address is shared memory, of an LDS or LD
        ("shared_raw", "i8"),
        ("throttle", "i8"),  # Stall that others report while this instruction blocks the memory queue
        ("is_imad", "i8"),
        ("bypass_l1", "i8"),
        ("barrier", "i8"),  # BAR: number
        ("barrier_warps", "i8"),  # warps expected, 0: all of the CTA
        ("barrier_waits", "i8"),  # 0: BAR.ARV
        ("membar", "i8"),  # cycles of a memory barrier
    ]
)
"""One static instruction as the timing model sees it; built by `gpusim.model.setup.code`."""


class Params(NamedTuple):
    machine: np.recarray  # [1] MACHINE
    code: np.recarray  # [instructions] CODE
    operands: np.recarray  # [instructions] OPERANDS, or [1] where nobody looks
    distances: np.ndarray  # (rows, columns) int64, see gpusim.model.setup.dependence
    hashes: np.ndarray  # (2, MAX_BITS) int64: parity masks of L2's slices and sets


def l1_lines(unit: MemoryUnit, shared_per_sm: int) -> int:
    """128-byte lines left for L1D by the smallest shared-memory carve-out that holds `shared_per_sm` bytes."""
    options = [kb for kb in unit.shared_memory.options_kb if kb * 1024 >= shared_per_sm]
    carve_out = options[0] if options else unit.shared_memory.options_kb[-1]
    lines = (unit.l1_data.unified_kb - carve_out) * 8
    return max(lines - lines % unit.l1_data.sets, unit.l1_data.sets)


def build_machine(
    config: GpuConfig, shared_per_sm: int, window: int, skip: bool, timeline: bool, registers: int
) -> np.recarray:
    """The MACHINE record of a card for one kernel's shared-memory carve-out and the `registers` that it uses."""
    sm, core, shared = config.sm, config.sm.sub_core, config.sm.memory_unit
    lines = l1_lines(shared, shared_per_sm)
    values = dict(
        sms=config.sms, warps=sm.warps, ctas=sm.ctas, skip=skip, record_timeline=timeline, window=window,
        buffer_entries=core.fetch.buffer_entries, hit_to_issue=core.fetch.hit_to_issue,
        branch_refill=core.fetch.branch_refill, perfect_fetch=core.fetch.perfect,
        l0_sets=core.fetch.l0.sets, l0_ways=core.fetch.l0.ways, line_instructions=core.fetch.l0.line_bytes // 16,
        stream_lines=core.fetch.stream_buffer_lines,
        scheduler=SCHEDULERS.index(core.issue.scheduler), constant_miss_hold=core.issue.constant_miss_hold,
        imad_port_block=core.issue.imad_port_block,
        depbar_effect=core.issue.depbar_effect,
        constant_sets=core.constant_cache.sets, constant_ways=core.constant_cache.ways,
        constant_bytes=core.constant_cache.line_bytes,
        scoreboard=core.dependence.mode == "scoreboard", max_consumers=core.dependence.max_consumers,
        registers=registers,
        read_ports=core.register_file.read_ports, write_ports=core.register_file.write_ports,
        read_cycles=core.register_file.read_cycles, tensor_read_cycles=core.register_file.tensor_read_cycles,
        register_cache=core.register_file.cache, fp32_in_int_pipe=core.execution.fp32_in_int_pipe,
        result_entries=core.execution.result_queue_entries, sfu_queue=core.execution.sfu.queue_entries,
        fp64_queue=core.execution.fp64.queue_entries, misc_queue=core.execution.misc_queue.queue_entries,
        fp64_shared=core.execution.fp64_shared,
        queue_entries=core.memory_queue.entries, register_read=core.memory_queue.register_read,
        grant_regular=core.memory_queue.address_to_grant_regular,
        grant_uniform=core.memory_queue.address_to_grant_uniform,
        interval_regular=core.memory_queue.address_interval_regular,
        interval_uniform=core.memory_queue.address_interval_uniform,
        l1i_sets=sm.instruction_hierarchy.l1.sets, l1i_ways=sm.instruction_hierarchy.l1.ways,
        l0_to_l1=sm.instruction_hierarchy.l0_to_l1, l1_to_l0=sm.instruction_hierarchy.l1_to_l0,
        l1i_line_bytes=sm.instruction_hierarchy.l1.line_bytes, **launch_values(sm.instruction_hierarchy),
        grant_interval=shared.grant_interval, pending_instructions=shared.pending_instructions,
        table_entries=shared.pending_requests, shared_minimum=shared.shared_memory.minimum_cycles,
        shared_bytes=shared.shared_memory.data_bytes_per_cycle,
        l1_lines=lines, l1_sets=shared.l1_data.sets, l1_ways=lines // shared.l1_data.sets,
        mshr_entries=shared.l1_data.mshr_entries, tag_lookups=shared.l1_data.tag_lookups_per_cycle,
        return_bytes=shared.l1_data.return_bytes_per_cycle, miss_latency=shared.l1_data.miss_latency,
        fill_latency=shared.l1_data.fill_latency,
        ldc_sets=shared.constant_cache.sets, ldc_ways=shared.constant_cache.ways,
        ldc_bytes=shared.constant_cache.line_bytes,
        barrier_release=sm.barriers.release, membar_cta=sm.barriers.membar_cta, membar_gpu=sm.barriers.membar_gpu,
        membar_system=sm.barriers.membar_system,
        cta_launch_latency=config.cta_launch_latency, **memory_values(config),
        plain_load_raw=sm.memory_latency.global_load.regular.raw[0],
    )  # fmt: skip
    machine = np.zeros(1, MACHINE).view(np.recarray)
    for name in MACHINE.names:
        machine[name] = values.pop(name)
    assert not values, f"not in MACHINE: {sorted(values)}"
    return machine


def launch_values(hierarchy: InstructionHierarchy) -> dict[str, int]:
    """The part of MACHINE that describes what a launch brings near the SMs."""
    launch, line_bytes = hierarchy.launch, hierarchy.l1.line_bytes
    return dict(
        launch_start=launch.start, launch_lines=launch.lines, gpc_latency=launch.gpc_latency,
        gpc_code_lines=launch.code_bytes // line_bytes, gpc_constant_lines=launch.constant_bytes // line_bytes,
    )  # fmt: skip


def memory_values(config: GpuConfig) -> dict[str, int]:
    """The part of MACHINE that describes what lies behind the SMs."""
    network, l2, dram, timing = config.interconnect, config.l2, config.dram, config.dram.timing
    slice_odd, slice_bits = split(l2.slices)
    set_odd, set_bits = split(l2.sets)
    ratio = core_per_command_clock(config)
    return dict(
        request_latency=network.request_latency, reply_latency=network.reply_latency, far_latency=network.far_latency,
        port_bytes=network.bytes_per_cycle, gpcs=network.gpcs, gpc_sector_x16=sector_x16(network.gpc_bytes_per_cycle),
        writes_in_flight=network.writes_in_flight,
        l2_slices=l2.slices, slice_odd=slice_odd, slice_bits=slice_bits, l2_partitions=l2.partitions,
        l2_sets=l2.sets, set_odd=set_odd, set_bits=set_bits, l2_ways=l2.ways, l2_latency=l2_latency(config),
        l2_sector_x16=sector_x16(l2.bytes_per_cycle * l2_mhz(config) / config.clocks.core_mhz),
        l2_misses=l2.mshr_entries, l2_merges=l2.mshr_merges, atomic_interval=l2.atomic_interval,
        l2_holds_code=l2.holds_code,
        dram_channels=dram.channels, dram_latency=dram.latency, clocks=ratio.denominator, clock_cycles=ratio.numerator,
        read_entries=dram.queue_entries, write_entries=dram.write_queue.entries,
        write_high=dram.write_queue.high, write_low=dram.write_queue.low,
        row_lines=dram.row_bytes // l2.line_bytes, banks=dram.banks, bank_groups=dram.bank_groups,
        burst=-(-SECTOR_BYTES // (dram.bytes_per_transfer * dram.data_clocks_per_command_clock)),
        # the last: those whose commands are given and whose data have not reached L2
        transfers=dram.queue_entries + dram.write_queue.entries + timing.cl + 16,
        **timing.model_dump(),
    )  # fmt: skip


def hash_masks(config: GpuConfig) -> np.ndarray:
    """Params.hashes of a card."""
    return np.stack([parity_masks(split(count)[1]) for count in (config.l2.slices, config.l2.sets)])


def sector_x16(bytes_per_cycle: float) -> int:
    """Sixteenths of a cycle that a sector takes."""
    return max(1, round(16 * SECTOR_BYTES / bytes_per_cycle))


def l2_mhz(config: GpuConfig) -> float:
    return config.clocks.l2_mhz or config.clocks.core_mhz


def l2_latency(config: GpuConfig) -> int:
    """L2's latency in SM cycles."""
    return max(1, round(config.l2.latency * config.clocks.core_mhz / l2_mhz(config)))


def core_per_command_clock(config: GpuConfig) -> Fraction:
    """SM cycles per DRAM command clock, as a ratio of small integers."""
    command_mhz = config.clocks.memory_mhz / config.dram.data_clocks_per_command_clock
    return Fraction(config.clocks.core_mhz / command_mhz).limit_denominator(10_000)


def shortest_round_trip(config: GpuConfig) -> int:
    """Cycles from a request's departure to its earliest reply: the longest window that keeps results exact."""
    return config.interconnect.request_latency + l2_latency(config) + config.interconnect.reply_latency


def occupancy(config: GpuConfig, warps_per_cta: int, registers: int, shared_bytes: int) -> tuple[int, str]:
    """CTAs that fit on one SM and the resource that limits them. Zero where a single CTA does not fit."""
    sm = config.sm
    unit = sm.register_allocation
    registers_per_warp = -(-registers * 32 // unit) * unit
    memory = sm.memory_unit.shared_memory
    allocated = shared_bytes + memory.reserved_bytes
    allocated = -(-allocated // memory.allocation_bytes) * memory.allocation_bytes
    limits = {
        "CTA slots": sm.ctas,
        "warps": sm.warps // warps_per_cta,
        # registers are allocated per sub-core: each holds a quarter of the file and of the warps
        "registers": SUB_CORES * (sm.registers // SUB_CORES // max(registers_per_warp, 1)) // warps_per_cta,
        "shared memory": memory.options_kb[-1] * 1024 // allocated if allocated else sm.ctas,
    }
    reason = min(limits, key=lambda name: limits[name])
    return limits[reason], reason
