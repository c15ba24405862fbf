"""The card as records: the configuration's own tree of numbers, and the few values that follow from it for a launch.

Compiled code reads a key under its path, `P.card[0].sm.sub_core.fetch.l0.ways`; what no key says is in DERIVED.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import numpy as np
from annotated_types import MaxLen
from pydantic.fields import FieldInfo

from gpusim.config.models import GpuConfig, MemoryUnit, Section
from gpusim.constants import INSTRUCTION_BYTES, LINE_BYTES, SECTOR_BYTES
from gpusim.model.hashing import parity_masks, split
from gpusim.model.params import DERIVED
from gpusim.model.policies.policy_set import PolicySet
from gpusim.model.state import SUB_CORES
from gpusim.model.ticks import TICKS

# ---- the configuration as a record


def _shape(field: FieldInfo) -> tuple[int, ...] | None:
    """Shape of an integer field, () for a single one, None where a record cannot hold it: texts, lists without end."""
    kind = field.annotation
    if kind in (int, bool) or (get_origin(kind) is Literal and all(isinstance(each, int) for each in get_args(kind))):
        return ()
    if get_origin(kind) in (Union, UnionType) and any(_is_integer(each) for each in get_args(kind)):
        return ()  # a time, which is in clocks by then
    if get_origin(kind) is tuple and Ellipsis not in get_args(kind):
        return (len(get_args(kind)),)
    longest = next((item.max_length for item in field.metadata if isinstance(item, MaxLen)), None)
    return (longest,) if longest and _is_integer(get_args(kind)[0]) else None


def _is_integer(element: Any) -> bool:
    """Whether the element of a tuple is an integer, bounded or not."""
    return element is int or (get_origin(element) is Annotated and get_args(element)[0] is int)


@cache
def record_dtype(section: type[Section]) -> np.dtype:
    """A record with a field for each number in a section of the configuration, under its name; sections are nested."""
    fields: list[tuple[Any, ...]] = []
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            fields.append((name, record_dtype(field.annotation)))
        elif (shape := _shape(field)) is not None:
            fields.append((name, "i8", shape))
    return np.dtype(fields)


def _values(section: Section, dtype: np.dtype) -> tuple[Any, ...]:
    """What a section's record holds, in the order of its fields; shorter lists end in zeros."""
    return tuple(_value(getattr(section, name), dtype[name]) for name in dtype.names or ())


def _value(value: Any, dtype: np.dtype) -> Any:
    if isinstance(value, Section):
        return _values(value, dtype)
    return (*value, *(0,) * (dtype.shape[0] - len(value))) if isinstance(value, tuple) else int(value)


def build_card(config: GpuConfig) -> np.recarray:
    """[1] the configuration's numbers as Params.card has them, times of DRAM in command clocks."""
    dtype = record_dtype(GpuConfig)
    config = config.model_copy(update={"dram": config.dram_in_clocks})
    return np.array([_values(config, dtype)], dtype).view(np.recarray)


# ---- policies


def _replacements(config: GpuConfig) -> Iterator[tuple[str, str]]:
    """Field of DERIVED and policy of each cache."""
    sm = config.sm
    yield "l0_replacement", sm.sub_core.fetch.l0.replacement
    yield "fl_replacement", sm.sub_core.constant_cache.replacement
    yield "l1i_replacement", sm.instruction_hierarchy.l1.replacement
    yield "vl_replacement", sm.memory_unit.constant_cache.replacement
    yield "l1_replacement", sm.memory_unit.l1_data.replacement
    yield "l2_replacement", config.l2.replacement


# ---- what follows


def l1_lines(unit: MemoryUnit, shared_per_sm: int) -> int:
    """Lines left for L1D by the smallest shared-memory carve-out that holds `shared_per_sm` bytes."""
    options = [kb for kb in unit.shared_memory.options_kb if kb * 1024 >= shared_per_sm]
    carve_out = options[0] if options else unit.shared_memory.options_kb[-1]
    lines = (unit.l1_data.unified_kb - carve_out) * 1024 // LINE_BYTES
    return max(lines - lines % unit.l1_data.sets, unit.l1_data.sets)


def build_derived(
    config: GpuConfig,
    policies: PolicySet,
    shared_per_sm: int,
    window: int,
    skip: bool,
    timeline: bool,
    registers: int,
) -> np.recarray:
    """[1] DERIVED for a kernel whose CTAs take `shared_per_sm` bytes of an SM's shared memory and that uses
    `registers`."""
    issue, fetch, l1_data = config.sm.sub_core.issue, config.sm.sub_core.fetch, config.sm.memory_unit.l1_data
    slice_odd, slice_bits = split(config.l2.slices)
    set_odd, set_bits = split(config.l2.sets)
    ratio = core_per_command_clock(config)
    dram = config.dram_in_clocks
    values = dict(
        skip=skip, record_timeline=timeline, window=window,
        scheduler=policies.number("scheduler", issue.scheduler),
        prefetcher=policies.number("prefetcher", fetch.prefetcher),
        **{field: policies.number("replacement", name) for field, name in _replacements(config)},
        scoreboard=config.sm.sub_core.dependence.mode == "scoreboard", registers=registers,
        l1_ways=l1_lines(config.sm.memory_unit, shared_per_sm) // l1_data.sets,
        cta_launch_latency=config.cta_launch_latency.at(config.clocks.core_mhz),
        line_instructions=fetch.l0.line_bytes // INSTRUCTION_BYTES,
        slice_odd=slice_odd, slice_bits=slice_bits, set_odd=set_odd, set_bits=set_bits,
        l2_latency=l2_latency(config),
        l2_clock_ticks=max(1, round(TICKS * config.clocks.core_mhz / l2_mhz(config))),
        l2_sector_ticks=sector_ticks(config.l2.bytes_per_cycle * l2_mhz(config) / config.clocks.core_mhz),
        gpc_sector_ticks=sector_ticks(config.interconnect.gpc_bytes_per_cycle),
        clocks=ratio.denominator, clock_cycles=ratio.numerator,
        row_lines=dram.row_bytes // LINE_BYTES,
        burst=-(-SECTOR_BYTES // (dram.bytes_per_transfer * dram.data_clocks_per_command_clock)),
        refresh_step=int(dram.refresh.interval) // (dram.banks if dram.refresh.per_bank else 1),
        inline_ecc=dram.ecc == "inline",
        # the last: those whose commands are given and whose data have not reached L2
        transfers=dram.queue_entries + dram.write_queue.entries + int(dram.timing.cl) + 16,
        groups=dram.channels // group_channels(config), group_channels=group_channels(config),
        l2_buckets=power_of_two(2 * config.l2.sets * config.l2.ways),
    )  # fmt: skip
    assert values.keys() == set(DERIVED.names or ()), "DERIVED and its values have different names"
    return np.array([tuple(values[name] for name in DERIVED.names or ())], DERIVED).view(np.recarray)


def group_channels(config: GpuConfig) -> int:
    """Channels of a group that can be served without any other: slices of one line's partitions pass requests on."""
    channels, partitions = config.dram_in_clocks.channels, config.l2.partitions
    return partitions if channels % partitions == 0 else channels


def power_of_two(at_least: int) -> int:
    return 1 << max(at_least - 1, 1).bit_length()


def hash_masks(config: GpuConfig) -> np.ndarray:
    """Params.hashes of a card."""
    return np.stack([parity_masks(split(count)[1]) for count in (config.l2.slices, config.l2.sets)])


def sector_ticks(bytes_per_cycle: float) -> int:
    """Ticks that a sector takes."""
    return max(1, round(TICKS * SECTOR_BYTES / bytes_per_cycle))


def l2_mhz(config: GpuConfig) -> float:
    return config.clocks.l2_mhz or config.clocks.core_mhz


def l2_latency(config: GpuConfig) -> int:
    """L2's latency in SM cycles."""
    return max(1, round(config.l2.latency * config.clocks.core_mhz / l2_mhz(config)))


def core_per_command_clock(config: GpuConfig) -> Fraction:
    """SM cycles per DRAM command clock, as a ratio of small integers."""
    return Fraction(config.clocks.core_mhz / config.command_mhz).limit_denominator(10_000)


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
