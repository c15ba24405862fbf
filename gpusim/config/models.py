"""Config: every number that the timing model reads, as frozen pydantic models.

Latencies are in SM clock cycles unless the name says otherwise. Numbers and their sources stand in configs/*.yaml;
this file holds names, meanings and bounds only. A latency called `raw` runs from the issue of the producer to the
earliest issue of a consumer, one called `war` to the earliest issue of an instruction that overwrites a source
(both as in Table 2 of arXiv 2503.20481).
"""

from __future__ import annotations

from math import ceil
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

from gpusim.display import html_facts
from gpusim.model.policies.names import SUFFIX, built_in, is_file

Cycles = Annotated[int, Field(ge=0, le=100_000)]
Count = Annotated[int, Field(ge=1, le=1 << 20)]
Size = Annotated[int, Field(ge=1, le=1 << 30)]
Nanoseconds = Annotated[float, Field(ge=0, le=1_000_000)]
Megahertz = Annotated[float, Field(ge=1, le=1_000_000)]
_Time = Annotated[
    str, Field(pattern=r"^[0-9]{1,6}(\.[0-9]{1,3})? ns$", description="a time such as 15.4 ns, in clocks rounded up")
]
DramTime = Annotated[int, Field(ge=1, le=1_000_000)] | _Time
"""Command clocks of DRAM, or a time."""
DramTimeOrNone = Annotated[int, Field(ge=0, le=1_000_000)] | _Time
ByWidth = tuple[Cycles, Cycles, Cycles]
"""A latency for accesses of 32, 64 and 128 bits per lane."""


LARGEST_TREE = 32
"""Ways of a set that tree pseudo-LRU serves: a node per way and more would not fit into the set's word."""


def _known(kind: str) -> AfterValidator:
    """Takes a policy's name, or the path of a user's own file (gpusim.model.policies)."""

    def known(name: str) -> str:
        if name not in built_in(kind) and not is_file(name):
            raise ValueError(f"no {kind} of this name")
        return name

    return AfterValidator(known)


def _named(kind: str) -> WithJsonSchema:
    """What such a key may hold, for editors and messages."""
    packaged = {"enum": list(built_in(kind))}
    own = {"type": "string", "pattern": rf"\{SUFFIX}$", "description": f"the path of a {SUFFIX} file with a {kind}"}
    return WithJsonSchema({"anyOf": [packaged, own], "x-policy": kind})


Scheduler = Annotated[str, _known("scheduler"), _named("scheduler")]
Prefetcher = Annotated[str, _known("prefetcher"), _named("prefetcher")]
Replacement = Annotated[str, _known("replacement"), _named("replacement")]
PolicyParameters = Annotated[tuple[Annotated[int, Field(ge=-(1 << 31), le=1 << 31)], ...], Field(max_length=8)]
"""Integers that a policy of a user's own reads; the rest up to eight are 0."""


class Section(BaseModel):
    """Base of all sections: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Delay(Section):
    """A time of which a part counts SM cycles and a part passes at any clock."""

    cycles: Cycles
    ns: Nanoseconds

    def at(self, core_mhz: float) -> int:
        """SM cycles at a core clock in MHz."""
        return round(self.cycles + self.ns * core_mhz / 1000)


class KernelDelay(Delay):
    cycles_per_sm: Annotated[float, Field(ge=0, le=1000)] = Field(description="longer on a card with more SMs")


class Clocks(Section):
    core_mhz: Megahertz = Field(description="SM and interconnect clock")
    l2_mhz: Megahertz | None = Field(description="L2 clock, null: that of the cores")
    memory_mhz: Megahertz = Field(description="DRAM data clock")


class Cache(Section):
    """Geometry of a set-associative cache, whose ways are searched one by one, and how it gives up lines."""

    sets: Count
    ways: Annotated[int, Field(ge=1, le=4096)]
    line_bytes: Annotated[int, Field(ge=32, le=256)]
    replacement: Replacement

    @model_validator(mode="after")
    def _tree_fits(self) -> Cache:
        _check_tree(self.replacement, self.ways)
        return self


def _check_tree(replacement: str, ways: int) -> None:
    if replacement == "plru" and (ways & (ways - 1) or ways > LARGEST_TREE):
        raise ValueError(f"plru needs ways that are a power of two, at most {LARGEST_TREE}, not {ways}")


class InstructionFetch(Section):
    buffer_entries: Annotated[int, Field(ge=1, le=8)] = Field(description="instruction buffer entries per warp")
    hit_to_issue: Cycles = Field(description="from an L0 hit to the earliest issue")
    branch_refill: Cycles = Field(description="from the issue of a taken branch to the fetch of its target")
    l0: Cache
    prefetcher: Prefetcher = Field(description="which lines are asked for before they are demanded")
    stream_buffer_lines: Annotated[int, Field(ge=0, le=32)] = Field(description="stream_buffer: lines, 0: no prefetching")
    prefetch_degree: Annotated[int, Field(ge=0, le=64)] = Field(description="next_line: lines asked for ahead")
    prefetcher_parameters: PolicyParameters = Field(description="integers for a prefetcher of one's own")


class Issue(Section):
    scheduler: Scheduler = Field(description="which of the ready warps issues")
    scheduler_parameters: PolicyParameters = Field(description="integers for a scheduler of one's own")
    constant_miss_hold: Cycles = Field(description="issue stops this long for the greedy warp's constant miss")
    yield_without_stall: Cycles = Field(description="next issue after stall 0 with yield (quirk of the hardware)")
    long_stall_limit: Cycles = Field(description="stall counts above this without yield are not honoured")
    long_stall_wait: Cycles = Field(description="what such an instruction waits instead")
    depbar_effect: Cycles = Field(description="from the issue of DEPBAR.LE to the first issue that it holds back")
    exit_resolution: Cycles = Field(description="from where a warp's last stall count ends to where it may leave")
    imad_port_block: Cycles = Field(description="extra cycles the issue port is blocked after an IMAD")


class Forwarding(Section):
    """An exception to a producer's latency: what its result takes to reach some consumers.

    Names are latency classes of the opcode tables or opcodes; `HMMA.1688` stands for every spelling that contains its
    modifiers in that order, `any` for everything.
    """

    producer: str
    consumers: tuple[str, ...]
    latency: Annotated[int, Field(ge=1, le=48)] = Field(description="issue to dependent issue")


class Dependence(Section):
    """When an instruction may use a register that an earlier one still works on."""

    mode: Literal["control_bits", "scoreboard"] = Field(description="what holds an instruction back at issue")
    max_consumers: Annotated[int, Field(ge=0, le=63)] = Field(
        description="scoreboard: readers per register, 0: no limit"
    )
    memory_operand: Cycles = Field(description="longer for memory instructions, which the bypass does not reach")
    predicate_operand: Annotated[int, Field(ge=1, le=48)] = Field(
        description="predicate to a data operand, not a guard"
    )
    forwarding: tuple[Forwarding, ...] = Field(description="exceptions, the first that fits counts")


class RegisterFile(Section):
    read_ports: Annotated[int, Field(ge=1, le=15)] = Field(description="1024-bit read ports per bank; 15: ideal")
    write_ports: Annotated[int, Field(ge=1, le=15)] = Field(description="1024-bit write ports per bank")
    read_cycles: Annotated[int, Field(ge=1, le=8)] = Field(description="cycles of the read window")
    tensor_read_cycles: Annotated[int, Field(ge=1, le=12)] = Field(description="read window with a 4-register operand")
    cache: bool = Field(description="register file cache")


class ClassTiming(Section):
    """A fixed-latency class."""

    latency: Annotated[int, Field(ge=1, le=48)] = Field(description="raw latency, issue to dependent issue")
    initiation_interval: Annotated[int, Field(ge=1, le=32)] = Field(description="cycles the unit's input latch is busy")


class FixedClasses(Section):
    int: ClassTiming
    fp32: ClassTiming
    imad: ClassTiming
    imad_wide: ClassTiming
    half: ClassTiming
    predicate: ClassTiming
    uniform: ClassTiming
    branch: ClassTiming
    exit: ClassTiming
    misc: ClassTiming


class TensorTiming(Section):
    """Matrix instructions: interval = M*N*K / rate with M, N, K from the mnemonic; latency = interval + pipeline."""

    fma_per_cycle_16: Count = Field(description="multiply-adds of 16-bit operands per cycle and sub-core")
    fma_per_cycle_8: Count = Field(description="of 8-bit operands")
    fma_per_cycle_4: Count = Field(description="of 4-bit operands")
    fma_per_cycle_1: Count = Field(description="of 1-bit operands")
    fma_per_cycle_fp32_accumulate: Count = Field(description="of 16-bit operands with F32 accumulators, issue interval")
    fp32_accumulate_passes: Annotated[int, Field(ge=1, le=4)] = Field(
        description="through the unit of such an instruction, each waiting for the result of the one before"
    )
    pipeline: Cycles = Field(description="latency beyond the interval of the multiplication")


class VariableTiming(Section):
    """A variable-latency unit outside the memory pipeline."""

    raw: Cycles
    war: Cycles
    initiation_interval: Annotated[int, Field(ge=1, le=64)]
    queue_entries: Annotated[int, Field(ge=1, le=16)]


class Execution(Section):
    fp32_in_int_pipe: bool = Field(description="FP32 other than IMAD may use the INT pipe when FP32 is busy")
    result_queue_entries: Annotated[int, Field(ge=1, le=48)]
    fixed: FixedClasses
    tensor: TensorTiming
    sfu: VariableTiming
    fp64: VariableTiming
    misc_queue: VariableTiming
    fp64_shared: bool = Field(description="one FP64 unit for the SM; false: one per sub-core")


class LoadTiming(Section):
    war: ByWidth
    raw: ByWidth


class AddressTiming(Section):
    """An access by the kind of its address: regular registers, or uniform registers and immediates only."""

    regular: LoadTiming
    uniform: LoadTiming


class FlatTiming(Section):
    war: Cycles
    raw: Cycles


class MemoryLatency(Section):
    """Unloaded latencies of hits, Table 2 of the paper."""

    global_load: AddressTiming
    global_store: AddressTiming
    shared_load: AddressTiming
    shared_store: AddressTiming
    constant_load: AddressTiming
    global_to_shared: LoadTiming
    texture: FlatTiming = Field(description="reads through textures and surfaces")
    shared_atomic: FlatTiming
    shuffle: FlatTiming
    special_register: FlatTiming
    to_uniform: FlatTiming


class MemoryQueue(Section):
    """The sub-core's memory unit."""

    entries: Annotated[int, Field(ge=1, le=16)] = Field(description="instructions besides the one in the Control latch")
    register_read: Cycles = Field(description="from issue to the register read of an unqueued instruction")
    address_to_grant_regular: Cycles = Field(description="from that read to the request to the SM-shared unit")
    address_to_grant_uniform: Cycles
    address_interval_regular: Annotated[int, Field(ge=1, le=16)] = Field(
        description="address unit busy per instruction"
    )
    address_interval_uniform: Annotated[int, Field(ge=1, le=16)]


class SubCore(Section):
    fetch: InstructionFetch
    issue: Issue
    dependence: Dependence
    register_file: RegisterFile
    execution: Execution
    memory_queue: MemoryQueue
    constant_cache: Cache = Field(description="L0 FL: constants of fixed-latency instructions, looked up at issue")


class SharedMemory(Section):
    banks: Literal[32]
    minimum_cycles: Annotated[int, Field(ge=1, le=16)] = Field(
        description="data cycles of a conflict-free 32-bit access"
    )
    data_bytes_per_cycle: Annotated[int, Field(ge=1, le=512)] = Field(
        description="data path between shared memory and the registers"
    )
    allocation_bytes: Size = Field(description="granularity of a CTA's allocation")
    reserved_bytes: Annotated[int, Field(ge=0)] = Field(description="kept by the driver, per CTA")
    options_kb: Annotated[tuple[Annotated[int, Field(ge=0, le=1 << 20)], ...], Field(min_length=1)] = Field(
        description="carve-outs of the unified memory, ascending"
    )


class L1Data(Section):
    unified_kb: Count = Field(description="L1D and shared memory together")
    sets: Count
    mshr_entries: Annotated[int, Field(ge=1, le=1024)]
    tag_banks: Literal[1, 2, 4] = Field(description="lines of different banks are looked up in one cycle")
    data_interval: Annotated[int, Field(ge=1, le=8)] = Field(
        description="cycles of the data stage for the words that 32 banks of 4 bytes give at once"
    )
    store_lines: Annotated[int, Field(ge=0, le=16)] = Field(description="lines of stores held to be merged, 0: none")
    store_hold: Annotated[int, Field(ge=1, le=1000)] = Field(description="cycles that one is held at most")
    return_bytes_per_cycle: Annotated[int, Field(ge=1, le=512)] = Field(
        description="data path from L1D to the registers"
    )
    miss_latency: Cycles = Field(description="from the tag lookup to the request at the interconnect")
    fill_latency: Cycles = Field(description="from the arrival of the last sector to the earliest dependent issue")
    replacement: Replacement

    @model_validator(mode="after")
    def _no_tree(self) -> L1Data:
        if self.replacement == "plru":
            raise ValueError("plru needs a power of two of ways, and how many L1D has depends on the kernel")
        return self


class LaunchPrefetch(Section):
    """What a launch brings near an SM before the warps of its first CTAs start."""

    start: Cycles = Field(description="from an SM's first CTA to the start of its warps")
    lines: Annotated[int, Field(ge=0, le=64)] = Field(description="of the program, in L0 and the stream buffer")
    code_bytes: Annotated[int, Field(ge=0, le=1 << 30)] = Field(description="of the program, in the GPC's cache")
    constant_bytes: Annotated[int, Field(ge=0, le=1 << 30)] = Field(description="of constant bank 0, in the GPC's cache")
    gpc_latency: Annotated[int, Field(ge=1, le=4096)] = Field(
        description="from an L1 miss to the arrival of a line of the GPC's cache"
    )
    gpc_miss_latency: Cycles = Field(description="more than the way to L2, for a line that the GPC's cache has not")


class InstructionHierarchy(Section):
    """L1 instruction cache, unified with the L1.5 constant cache."""

    l1: Cache
    constant_line_bytes: Annotated[int, Field(ge=32, le=4096)] = Field(description="of constants, in place of l1.line_bytes")
    l0_to_l1: Cycles
    l1_to_l0: Cycles
    launch: LaunchPrefetch


class MemoryUnit(Section):
    """The SM-shared memory unit."""

    grant_interval: Annotated[int, Field(ge=1, le=16)] = Field(description="cycles between accepted instructions")
    adu_interval: Annotated[int, Field(ge=1, le=16)] = Field(description="cycles between instructions of the ADU")
    pending_instructions: Annotated[int, Field(ge=1, le=16)] = Field(description="accepted but not yet in a data path")
    pending_requests: Annotated[int, Field(ge=1, le=192)] = Field(description="pending request table entries")
    l1_data: L1Data
    shared_memory: SharedMemory
    constant_cache: Cache = Field(description="L0 VL: LDC")


class Barriers(Section):
    release: Annotated[int, Field(ge=1, le=1000)] = Field(
        description="from the last arrival to the earliest issue behind the barrier"
    )
    membar_cta: Cycles
    membar_gpu: Cycles
    membar_system: Cycles


class Sm(Section):
    warps: Annotated[int, Field(ge=4, le=64, multiple_of=4)]
    ctas: Annotated[int, Field(ge=1, le=32)]
    registers: Size
    register_allocation: Count = Field(description="registers a warp's allocation is rounded to")
    sub_core: SubCore
    instruction_hierarchy: InstructionHierarchy
    memory_unit: MemoryUnit
    memory_latency: MemoryLatency
    barriers: Barriers


class Interconnect(Section):
    """Crossbar between SMs and L2 slices. SM n belongs to GPC n mod gpcs."""

    request_latency: Annotated[int, Field(ge=1, le=100_000)] = Field(description="SM to L2 slice")
    reply_latency: Cycles = Field(description="L2 slice to SM")
    far_latency: Cycles = Field(description="both ways together, more to the slices of the other partitions")
    bytes_per_cycle: Count = Field(description="replies to an SM")
    request_bytes_per_cycle: Count = Field(description="what an SM writes, and a cycle more for a line in part")
    gpcs: Annotated[int, Field(ge=1, le=64)] = Field(description="groups of SMs that share a reply port")
    gpc_bytes_per_cycle: Count = Field(description="replies to the SMs of a GPC")
    writes_in_flight: Annotated[int, Field(ge=1, le=512)] = Field(
        description="writes and reductions of an SM that L2 has not acknowledged before it accepts no more"
    )


class L2(Section):
    slices: Annotated[int, Field(ge=1, le=1024)]
    partitions: Annotated[int, Field(ge=1, le=8)] = Field(description="GPC and slice n belong to n mod partitions, which keep copies of each other's lines")
    sets: Annotated[int, Field(ge=1, le=65536)] = Field(description="per slice")
    ways: Count
    line_bytes: Literal[128]
    replacement: Replacement
    latency: Annotated[int, Field(ge=1, le=100_000)] = Field(description="lookup to data, L2 clocks")
    bytes_per_cycle: Count = Field(description="per slice and direction, L2 clocks")
    mshr_entries: Count = Field(description="lines of a slice that await data")
    mshr_merges: Count = Field(description="requests that wait for one of them")
    atomic_interval: Cycles = Field(description="L2 clocks between atomic operations of an access on one address")
    wide_atomic_interval: Cycles = Field(description="of those on floating-point numbers or 64 bits")
    dirty_ways: Count = Field(description="lines of a set that wait to be written to DRAM; beyond, the oldest is")
    holds_code: bool = Field(description="a kernel's instructions and constants are in L2 when it starts")
    kept_between_kernels: bool = Field(description="a kernel finds the data of the one before")

    @model_validator(mode="after")
    def _tree_fits(self) -> L2:
        _check_tree(self.replacement, self.ways)
        return self


class WriteQueue(Section):
    """Writes of a DRAM channel wait and are done in bursts; 32-byte sectors."""

    entries: Annotated[int, Field(ge=4, le=1024)]
    high: Annotated[int, Field(ge=1, le=1024)] = Field(description="writes go first from this many on")
    low: Annotated[int, Field(ge=0, le=1024)] = Field(description="until as few are left, if reads wait")

    @model_validator(mode="after")
    def _marks_are_ordered(self) -> WriteQueue:
        if not self.low < self.high <= self.entries:
            raise ValueError("low must be below high, and high not above entries")
        return self


class DramTimes(Section):
    """Least distances between commands of a channel, in command clocks or as times."""

    def in_clocks(self, mhz: float) -> Self:
        """The same in clocks of `mhz`; a time takes all clocks that it falls into, at least one."""
        values: dict[str, object] = dict(self)
        return self.model_copy(update={key: _clocks(value, mhz) for key, value in values.items()})


def _clocks(value: object, mhz: float) -> object:
    if not isinstance(value, str):
        return value
    clocks = float(value.removesuffix(" ns")) * mhz / 1000
    return max(1, ceil(round(clocks, 6)))


class DramTiming(DramTimes):
    """Under their customary names, without the t (tRCD, ...); those with an l: within one bank group."""

    rcd: DramTime = Field(description="activation to read command")
    rcdw: DramTime = Field(description="activation to write command")
    ras: DramTime = Field(description="activation to precharge")
    rp: DramTime = Field(description="precharge to activation")
    rc: DramTime = Field(description="activation to activation of the same bank")
    rrd: DramTime = Field(description="activation to activation of another bank")
    rrdl: DramTime = Field(description="activation to activation of another bank of the same bank group")
    faw: DramTime = Field(description="activation to the fourth one behind it")
    cl: DramTime = Field(description="read command to data")
    wl: DramTime = Field(description="write command to data")
    ccd: DramTime = Field(description="column command to the next in its direction")
    ccdl: DramTime = Field(description="column command to the next in its direction of the same bank group")
    rtp: DramTime = Field(description="read to precharge of its bank")
    wr: DramTime = Field(description="end of written data to precharge")
    wtr: DramTime = Field(description="end of written data to read command")
    wtrl: DramTime = Field(description="end of written data to read command of the same bank group")
    turnaround: DramTimeOrNone = Field(description="end of read data to written data")


class Refresh(DramTimes):
    """Refreshes close rows: those of all banks every `interval`, or of one bank after the other, each every `interval`."""

    per_bank: bool = Field(description="one bank after the other, while the others work")
    interval: DramTime = Field(description="from a bank's refresh to its next (tREFI)")
    rfc: DramTimeOrNone = Field(description="refresh to activation of the same bank (tRFC, tRFCpb)")
    rrefd: DramTimeOrNone = Field(description="per_bank: refresh to activation of another bank")


class Dram(Section):
    standard: str | None = Field(
        default=None, description="file of configs/dram, or one's own, whose values are taken where this stands"
    )
    channels: Annotated[int, Field(ge=1, le=512)]
    latency: Cycles = Field(description="L2 miss to the channel's queue and back, without the DRAM's own timing")
    bytes_per_transfer: Count = Field(description="of a channel per data clock; a sector of 32 bytes is one burst")
    data_clocks_per_command_clock: Count
    queue_entries: Annotated[int, Field(ge=4, le=1024)] = Field(description="sectors to read per channel")
    write_queue: WriteQueue
    row_bytes: Annotated[int, Field(ge=128, le=65536, multiple_of=128)] = Field(description="row buffer of a bank")
    banks: Annotated[int, Field(ge=1, le=32)] = Field(description="per channel")
    bank_groups: Annotated[int, Field(ge=1, le=8)]
    timing: DramTiming
    refresh: Refresh
    ecc: Literal["none", "inline", "beside"] = Field(
        description="inline: in the memory itself, at the cost of its bandwidth; beside: bits of its own"
    )
    ecc_sectors: Annotated[int, Field(ge=1, le=64)] = Field(description="inline: ECC sectors that a channel keeps")

    @model_validator(mode="after")
    def _groups_are_equal(self) -> Dram:
        if self.banks % self.bank_groups:
            raise ValueError(f"{self.banks} banks do not make {self.bank_groups} equal groups")
        return self


class GpuConfig(Section):
    """One card."""

    name: str
    architecture: Literal[75, 80, 86, 89, 90, 120]
    isa: Literal["sm_75", "sm_80", "sm_86", "sm_90"] = Field(description="opcode table")
    experimental: bool = False
    sms: Annotated[int, Field(ge=1, le=256)]
    kernel_launch_latency: KernelDelay = Field(description="added to every kernel: elapsed less active cycles")
    cta_launch_latency: Delay = Field(description="from the end of a CTA to the start of the next in its place")
    clocks: Clocks
    sm: Sm
    interconnect: Interconnect
    l2: L2
    dram: Dram

    @property
    def kernel_launch_cycles(self) -> int:
        """SM cycles by which a kernel is longer than its work."""
        launch = self.kernel_launch_latency
        return launch.at(self.clocks.core_mhz) + round(launch.cycles_per_sm * self.sms)

    @property
    def command_mhz(self) -> float:
        """Clock of DRAM commands."""
        return self.clocks.memory_mhz / self.dram.data_clocks_per_command_clock

    @property
    def dram_in_clocks(self) -> Dram:
        """The DRAM with all its times in command clocks."""
        dram, mhz = self.dram, self.command_mhz
        return dram.model_copy(update={"timing": dram.timing.in_clocks(mhz), "refresh": dram.refresh.in_clocks(mhz)})

    @model_validator(mode="after")
    def _refresh_leaves_time(self) -> GpuConfig:
        dram = self.dram_in_clocks
        timing = {key: int(clocks) for key, clocks in dram.timing}
        refresh = {key: int(clocks) for key, clocks in dram.refresh}
        activations = self.dram.banks * max(timing["rrd"], timing["rrdl"], timing["faw"])
        least = refresh["rfc"] + activations + sum(timing.values())
        if refresh["interval"] <= least:
            raise ValueError(
                f"dram.refresh.interval: of {refresh['interval']} command clocks, no time to work is left beside"
                f" {least} of rfc and timing"
            )
        return self

    @property
    def l2_bytes(self) -> int:
        """Capacity of all L2 slices."""
        return self.l2.slices * self.l2.sets * self.l2.ways * self.l2.line_bytes

    @property
    def dram_gigabytes_per_second(self) -> float:
        """Peak bandwidth of all DRAM channels."""
        return self.dram.channels * self.dram.bytes_per_transfer * self.clocks.memory_mhz / 1000

    def to_yaml(self) -> str:
        """Every value as YAML text, which loads to an equal configuration; `gpusim.config.expand` adds the sources."""
        import yaml

        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, default_flow_style=None, width=120)

    def __repr__(self) -> str:
        return f"<GpuConfig {self.name}: sm_{self.architecture}, {self.sms} SMs, {self.clocks.core_mhz:g} MHz>"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        facts = {
            "SMs": self.sms,
            "core clock, MHz": self.clocks.core_mhz,
            "memory clock, MHz": self.clocks.memory_mhz,
            "warps per SM": self.sm.warps,
            "registers per SM": self.sm.registers,
            "L1 and shared memory per SM, KB": self.sm.memory_unit.l1_data.unified_kb,
            "L2, MB": self.l2_bytes / 2**20,
            "DRAM, GB/s": self.dram_gigabytes_per_second,
            "scheduler": self.sm.sub_core.issue.scheduler,
            "dependences by": self.sm.sub_core.dependence.mode,
        }
        return html_facts(repr(self), facts)
