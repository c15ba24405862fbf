"""The table of counters: one row per event that the model counts, with its unit, meaning and Nsight Compute name.

A KernelResult holds one number per name; a name that is not in the table is refused. Nsight names are the metrics of
Nsight Compute whose definition matches ours; empty where it has none.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Counter:
    """One row: what is counted, in what unit, and what Nsight Compute calls it."""

    name: str
    unit: str
    meaning: str
    nsight: str = ""


COUNTERS: tuple[Counter, ...] = (
    Counter("sm_active_cycles", "cycle", "cycles with a resident warp, summed over SMs", "sm__cycles_active.sum"),
    Counter("launch_cycles", "cycle", "launch overhead before the first CTA, part of the kernel's cycles"),
    Counter("ctas_launched", "CTA", "CTAs that began", "sm__ctas_launched.sum"),
    Counter("l0_instruction_hits", "request", "instruction fetches that hit in L0 or the stream buffer"),
    Counter("l0_instruction_misses", "request", "instruction fetches that missed in both"),
    Counter("stream_buffer_hits", "request", "L0 hits that the stream buffer's head served"),
    Counter("instruction_prefetches", "request", "lines that stream buffers asked for"),
    Counter("l1_instruction_hits", "request", "L0 misses and prefetches that hit in the SM's instruction cache"),
    Counter("l1_instruction_misses", "request", "those that went on to L2"),
    Counter("constant_hits", "request", "constant operands found in the L0 constant cache"),
    Counter("constant_misses", "request", "constant operands not found there"),
    Counter("register_cache_hits", "operand", "source operands read from the register file cache"),
    Counter("register_reads", "operand", "source operands read from the register file banks"),
    Counter("register_port_stall_cycles", "cycle", "cycles an instruction waited in Allocate for read ports"),
    Counter("write_port_conflicts", "cycle", "cycles a load waited for a register write port"),
    Counter(
        "shared_bank_conflicts",
        "cycle",
        "extra shared-memory wavefronts because of bank conflicts",
        "l1tex__data_bank_conflicts_pipe_lsu_mem_shared.sum",
    ),
    Counter(
        "shared_wavefronts",
        "wavefront",
        "passes through the shared-memory banks",
        "l1tex__data_pipe_lsu_wavefronts_mem_shared.sum",
    ),
    Counter(
        "l1_tag_wavefronts",
        "wavefront",
        "cycles in which global and local accesses look up tags, one line in each bank",
        "l1tex__t_output_wavefronts.sum",
    ),
    Counter(
        "l1_data_wavefronts",
        "wavefront",
        "passes of global and local accesses through L1D's data banks",
    ),
    Counter(
        "request_port_cycles",
        "cycle",
        "cycles in which requests and written data leave an SM",
        "l1tex__m_l1tex2xbar_req_cycles_active.sum",
    ),
    Counter(
        "l1_load_sectors",
        "sector",
        "32-byte sectors that global and local loads asked L1D for",
        "l1tex__t_sectors_pipe_lsu_mem_global_op_ld.sum",
    ),
    Counter(
        "l1_load_hits",
        "sector",
        "those found in L1D or on their way there",
        "l1tex__t_sectors_pipe_lsu_mem_global_op_ld_lookup_hit.sum",
    ),
    Counter("l1_load_hits_pending", "sector", "of these, those on their way"),
    Counter(
        "l1_store_sectors",
        "sector",
        "32-byte sectors that global and local stores wrote through L1D",
        "l1tex__t_sectors_pipe_lsu_mem_global_op_st.sum",
    ),
    Counter("l2_read_sectors", "sector", "sectors that SMs read from L2", "lts__t_sectors_srcunit_tex_op_read.sum"),
    Counter(
        "l2_read_hits",
        "sector",
        "those found in L2 or on their way there",
        "lts__t_sectors_srcunit_tex_op_read_lookup_hit.sum",
    ),
    Counter("l2_write_sectors", "sector", "sectors that SMs wrote to L2", "lts__t_sectors_srcunit_tex_op_write.sum"),
    Counter("dram_read_sectors", "sector", "sectors read from DRAM", "dram__sectors_read.sum"),
    Counter("dram_write_sectors", "sector", "sectors written to DRAM", "dram__sectors_write.sum"),
    Counter("dram_activates", "row", "rows opened in DRAM banks"),
)

BY_NAME: dict[str, Counter] = {counter.name: counter for counter in COUNTERS}
