"""Random .sass kernels with random control bits, and random small configurations.

A kernel terminates by construction: loops count down, other branches go forward, every counter that an instruction
raises falls again, and barriers stand only where all warps of a CTA come past. Addresses are real: register pairs and
shared-memory registers are set up from thread numbers, in bounds of the buffer and of shared memory. Control bits are
drawn without regard to the instruction, so values are often stale; timing does not depend on values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from microbench import architecture_of, kernel, op

DATA, FEW_DATA = range(8, 40), range(8, 16)
"""Registers that any instruction may write; those below and above hold loop counters and addresses."""
LANE, LOOP, INNER, SHUFFLED, WARP, CONSTANT_OFFSET = range(6)
ADDRESS_PAIRS = {40: 4, 42: 8, 44: 16, 46: 4, 48: 16}
"""First register of each global address pair -> its alignment."""
SHARED = {50: 4, 51: 8, 52: 16}
"""Register with a shared-memory address -> its alignment."""
GENERIC = {54: ("0x7e00", 1024), 56: ("0x7e80", 48)}
"""First register of each generic address pair of a window -> upper half of the window's address, bytes to use."""
SHARED_BYTES = 8192
DESCRIPTOR, UNIFORM_OFFSET = 8, 10
"""First uniform register of a pair that stands in addresses; both pairs are always zero."""
ALL = (
    "int", "fp32", "imad", "half", "sfu", "fp64", "predicate", "uniform", "misc", "constant", "global", "shared", "special",
    "ldc", "copy", "atomic", "tensor", "local", "generic", "branch", "loop", "barrier", "depbar", "membar", "exit",
)  # fmt: skip
"""Classes of instructions and of control flow that a kernel can be made of."""
AMPERE = ("copy",)
"""Classes that Turing lacks."""
BLOCKS, GRIDS = (32, 32, 64, 128, 160, 256), (1, 1, 1, 2, 3, 5)
"""Threads of a CTA and CTAs: as much as a plain simulator can do in a second."""


@dataclass(frozen=True)
class RandomProgram:
    seed: int
    card: str
    text: str
    overrides: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join([f"seed {self.seed}, {self.card}", *(f"--set {o}" for o in self.overrides), self.text])


def random_program(
    seed: int, classes: tuple[str, ...] = ALL, blocks: tuple[int, ...] = BLOCKS, grids: tuple[int, ...] = GRIDS
) -> RandomProgram:
    """The program of a seed, made of some of these classes, with one of these numbers of threads and of CTAs."""
    random = Random(seed)
    chosen = [c for c in classes if random.random() < 0.6]
    card = "rtx2080ti" if random.random() < 0.2 else "a6000"
    if card == "rtx2080ti":
        chosen = [c for c in chosen if c not in AMPERE]
    block, grid, architecture = random.choice(blocks), random.choice(grids), architecture_of(card)
    lines = _Body(random, chosen or ["int", "fp32"], block, architecture).lines
    directives = f".shared {SHARED_BYTES}\n.local 64"
    text = kernel(lines, block, grid, architecture, directives)
    return RandomProgram(seed, card, text, _overrides(random))


# ---- configurations


_CORE, _SHARED = "sm.sub_core", "sm.memory_unit"
OVERRIDES: dict[str, tuple[object, ...]] = {
    f"{_CORE}.fetch.buffer_entries": (1, 2, 3, 4, 8),
    f"{_CORE}.fetch.stream_buffer_lines": (0, 1, 2, 3, 8, 16),
    f"{_CORE}.fetch.prefetcher": ("stream_buffer", "stream_buffer", "next_line", "none", "perfect"),
    f"{_CORE}.fetch.prefetch_degree": (1, 2, 3, 8),
    f"{_CORE}.fetch.hit_to_issue": (1, 2, 3),
    f"{_CORE}.fetch.branch_refill": (1, 2, 4),
    f"{_CORE}.fetch.l0": ("{sets: 1, ways: 1, line_bytes: 128}", "{sets: 2, ways: 2, line_bytes: 128}"),
    f"{_CORE}.issue.scheduler": ("cggty", "gto", "lrr", "oldest"),
    f"{_CORE}.issue.constant_miss_hold": (0, 1, 4, 9),
    f"{_CORE}.issue.imad_port_block": (0, 1, 2),
    f"{_CORE}.register_file.read_ports": (1, 2),
    f"{_CORE}.register_file.write_ports": (1, 2),
    f"{_CORE}.register_file.cache": ("true", "false"),
    f"{_CORE}.execution.fp32_in_int_pipe": ("true", "false"),
    f"{_CORE}.execution.result_queue_entries": (2, 4, 8, 16),
    f"{_CORE}.execution.tensor.fp32_accumulate_passes": (1, 2, 3),
    f"{_CORE}.execution.tensor.pipeline": (1, 8, 50),
    f"{_CORE}.execution.fixed.int.latency": (1, 4, 20),
    f"{_CORE}.execution.fixed.predicate.latency": (2, 13, 40),
    f"{_CORE}.execution.fp64_shared": ("true", "false"),
    f"{_CORE}.execution.sfu.queue_entries": (1, 3),
    f"{_CORE}.execution.fp64.initiation_interval": (2, 16),
    f"{_CORE}.memory_queue.entries": (1, 2, 4, 8),
    f"{_CORE}.constant_cache": ("{sets: 1, ways: 1, line_bytes: 64}", "{sets: 2, ways: 1, line_bytes: 64}"),
    "sm.instruction_hierarchy.l1": ("{sets: 1, ways: 2, line_bytes: 128}", "{sets: 4, ways: 1, line_bytes: 128}"),
    "sm.instruction_hierarchy.constant_line_bytes": (64, 128, 256),
    "sm.instruction_hierarchy.l0_to_l1": (5, 39),
    "sm.instruction_hierarchy.launch.start": (0, 148),
    "sm.instruction_hierarchy.launch.lines": (0, 2, 4, 11),
    "sm.instruction_hierarchy.launch.code_bytes": (0, 640, 130816),
    "sm.instruction_hierarchy.launch.gpc_latency": (1, 30),
    "sm.instruction_hierarchy.launch.gpc_miss_latency": (0, 1, 141),
    "sm.instruction_hierarchy.l1_to_l0": (5, 39),
    f"{_SHARED}.grant_interval": (1, 2, 3),
    f"{_SHARED}.adu_interval": (1, 2, 5),
    "sm.memory_latency.to_uniform": ("{war: 10, raw: 9}", "{war: 12, raw: 38}"),
    f"{_SHARED}.pending_instructions": (1, 4),
    f"{_SHARED}.pending_requests": (1, 2, 4, 128),
    f"{_SHARED}.l1_data.unified_kb": (104, 108, 128),
    f"{_SHARED}.l1_data.tag_banks": (1, 2, 4),
    f"{_SHARED}.l1_data.data_interval": (1, 2),
    f"{_SHARED}.l1_data.store_lines": (0, 1, 4, 16),
    f"{_SHARED}.l1_data.store_hold": (1, 20, 90),
    f"{_SHARED}.shared_memory.minimum_cycles": (1, 2, 4),
    f"{_SHARED}.shared_memory.data_bytes_per_cycle": (32, 64, 128),
    f"{_SHARED}.constant_cache": ("{sets: 1, ways: 1, line_bytes: 64}", "{sets: 2, ways: 1, line_bytes: 64}"),
    "sm.barriers.release": (1, 3, 14),
    "sm.barriers.membar_gpu": (30, 186),
    "sm.ctas": (1, 2, 4, 16),
    "cta_launch_latency": ("{cycles: 0, ns: 0}", "{cycles: 7, ns: 0}", "{cycles: 40, ns: 33.3}"),
    "l2.sets": (1, 2, 64),
    "l2.ways": (1, 2, 16),
    "l2.dirty_ways": (1, 2, 16),
    "l2.latency": (20, 110),
    "l2.bytes_per_cycle": (16, 32, 64),
    "interconnect.bytes_per_cycle": (32, 64),
    "interconnect.request_bytes_per_cycle": (24, 32, 64),
    "dram.latency": (0, 60, 306),
    "dram.ecc": ("none", "inline", "beside"),
    "dram.ecc_sectors": (1, 2, 24),
    "dram.refresh": (
        "{per_bank: false, interval: 2500, rfc: 300, rrefd: 0}",
        "{per_bank: true, interval: 2500, rfc: 300, rrefd: 60}",
        "{per_bank: true, interval: 9000, rfc: 0, rrefd: 1}",
    ),
    **{
        f"dram.timing.{key}": (1, 7, 60)
        for key in (
            *("rcd", "rcdw", "ras", "rp", "rc", "rrd", "rrdl", "faw", "cl", "wl"),
            *("ccd", "ccdl", "rtp", "wr", "wtr", "wtrl", "turnaround"),
        )
    },
    "sms": (1, 2, 3),
    "clocks.l2_mhz": (700, 2500),
    "clocks.memory_mhz": (900, 3333),
    "interconnect.reply_latency": (0, 54),
    "interconnect.far_latency": (9, 100),
    "interconnect.gpcs": (1, 2, 3),
    "interconnect.gpc_bytes_per_cycle": (8, 64),
    "interconnect.writes_in_flight": (1, 4),
    "l2.slices": (1, 3, 6),
    "l2.partitions": (2, 3),
    "l2.mshr_entries": (1, 3),
    "l2.mshr_merges": (1, 3),
    "l2.atomic_interval": (0, 9),
    "l2.wide_atomic_interval": (0, 3, 20),
    "l2.holds_code": ("true", "false"),
    "dram.channels": (1, 3),
    "dram.queue_entries": (4, 10),
    "dram.write_queue": ("{entries: 4, high: 3, low: 1}", "{entries: 20, high: 12, low: 5}"),
    "dram.row_bytes": (128, 512),
    "dram.banks": (4, 8),
    "dram.bank_groups": (1, 2),
    **{
        f"{cache}.replacement": ("fifo", "random", "plru")
        for cache in (
            f"{_CORE}.fetch.l0",
            f"{_CORE}.constant_cache",
            "sm.instruction_hierarchy.l1",
            f"{_SHARED}.constant_cache",
            "l2",
        )
    },
    f"{_SHARED}.l1_data.replacement": ("fifo", "random"),
}
"""Values that make anything the bottleneck; each key keeps the card's own value in most programs."""
SCOREBOARDS: dict[str, tuple[object, ...]] = {
    f"{_CORE}.dependence.max_consumers": (0, 1, 3, 63),
    f"{_CORE}.dependence.memory_operand": (0, 1, 6),
    f"{_CORE}.dependence.predicate_operand": (1, 4, 20),
    f"{_CORE}.dependence.forwarding": (
        "[]",
        "[{producer: int, consumers: [fp32, IMAD], latency: 9}, {producer: any, consumers: [any], latency: 3}]",
        "[{producer: IADD3, consumers: [memory_global, LDS], latency: 1}, {producer: IADD3.X, consumers: [any], latency: 7},"
        " {producer: HMMA.F32, consumers: [tensor], latency: 40}, {producer: uniform, consumers: [any], latency: 48}]",
    ),
}
"""What a program with scoreboards may change as well."""


LONG_REFRESH = "dram.refresh={per_bank: true, interval: 4000, rfc: 77, rrefd: 9}"
"""Leaves time to work whatever the clock and the timing."""


def _overrides(random: Random) -> tuple[str, ...]:
    drawn = [LONG_REFRESH, *_draw(random, OVERRIDES, 0.35)]
    if random.random() < 0.35:
        drawn += [f"{_CORE}.dependence.mode=scoreboard", *_draw(random, SCOREBOARDS, 0.7)]
    return tuple(drawn)


def _draw(random: Random, choices: dict[str, tuple[object, ...]], share: float) -> list[str]:
    return [f"{key}={random.choice(values)}" for key, values in choices.items() if random.random() < share]


# ---- programs


@dataclass
class _Body:
    random: Random
    classes: list[str]
    threads: int  # of a CTA
    architecture: int
    lines: list[str] = field(default_factory=list)
    labels: int = 0

    def __post_init__(self) -> None:
        self.data = self.random.choice([DATA, DATA, FEW_DATA])
        self._prologue()
        self.block(self.random.choice([10, 20, 40, 80]), uniform=True, depth=0)

    def emit(self, text: str, guard: bool = True) -> None:
        """One instruction with random control bits and, if allowed, sometimes a guard."""
        random = self.random
        if guard and random.random() < 0.15:
            uniform = text.startswith("U") and random.random() < 0.5
            guard = f"UP{random.randrange(2)}" if uniform else f"P{random.randrange(1, 4)}"
            text = f"@{random.choice(['', '!'])}{guard} {text}"
        stall = random.choice([1, 1, 1, 1, 2, 2, 3, 4, 5, 6, 0, 9, 11, 12, 13, 15])
        yields = random.random() < (0.15 if stall else 0.03)
        wait = "".join(str(c) for c in range(6) if random.random() < 0.06)
        read, write = (random.randrange(6) if random.random() < 0.2 else "-" for _ in range(2))
        self.lines.append(op(text, stall, wait=wait, read=read, write=write, yields=yields))

    def plain(self, text: str) -> None:
        """One instruction whose guard would break the rules of the module."""
        self.emit(text, guard=False)

    # ---- structure

    def _prologue(self) -> None:
        """Numbers of the thread, addresses and predicates."""
        random = self.random
        self.plain(f"S2R R{LANE}, SR_TID.X")
        self.plain(f"SHF.R.U32.HI R{WARP}, RZ, 0x5, R{LANE}")
        self.plain(f"IMAD R{SHUFFLED}, R{LANE}, {random.choice([1, 3, 5, 7, 11]):#x}, RZ")
        self.plain(f"LOP3.LUT R{SHUFFLED}, R{SHUFFLED}, {random.choice([0x1F, 0x3F, 0x7F, 0x7]):#x}, RZ, 0xc0, !PT")
        self.plain(f"LOP3.LUT R{LANE}, R{LANE}, 0x1f, RZ, 0xc0, !PT")
        shift = random.choice([2, 4]) if self.threads <= 256 else 2  # inside the parameters
        self.plain(f"SHF.L.U32 R{CONSTANT_OFFSET}, R{WARP}, {shift:#x}, RZ")
        for pair in ADDRESS_PAIRS:
            self.set_address(pair)
        for register, alignment in SHARED.items():
            stride = random.choice([alignment, alignment, 0, 16, 32, 128])
            index = random.choice([LANE, LANE, SHUFFLED]) if stride < 32 else LANE
            self.plain(f"IMAD R{register}, R{index}, {stride:#x}, RZ")
        for pair, (window, _) in GENERIC.items():
            self.plain(
                f"IMAD R{pair}, R{random.choice([LANE, SHUFFLED])}, {random.choice([0, 4, 16]) if pair == 54 else 0:#x}, RZ"
            )
            self.plain(f"MOV R{pair + 1}, {window}")
        for register in range(DESCRIPTOR, UNIFORM_OFFSET + 2):
            self.plain(f"UMOV UR{register}, URZ")
        for p in range(1, 4):
            self.plain(f"ISETP.LT.U32.AND P{p}, PT, R{LANE}, {random.choice([0, 1, 7, 16, 31, 32]):#x}, PT")

    def set_address(self, pair: int) -> None:
        """Pair = buffer + number of the lane (or a shuffled one) x stride."""
        random, alignment = self.random, ADDRESS_PAIRS[pair]
        stride = random.choice(
            [alignment, random.choice([s for s in (0, 4, 8, 16, 64, 128, 512) if s % alignment == 0])]
        )
        index = random.choice([LANE, LANE, SHUFFLED])
        self.plain(f"IMAD.WIDE.U32 R{pair}, R{index}, {stride:#x}, c[0x0][0x160]")

    def block(self, budget: int, uniform: bool, depth: int) -> None:
        """About `budget` instructions; uniform: all warps of the CTA come past with all lanes."""
        while budget > 0:
            kind = self.random.choice(self.classes)
            if kind in ("branch", "loop"):
                budget -= getattr(self, kind)(uniform, depth) if depth < 2 else 1
            else:
                budget -= 1
                if kind != "barrier":
                    getattr(self, f"_{kind}")()
                elif uniform:
                    threads = f"{self.threads:#x}"
                    forms = ["SYNC 0x0", "SYNC 0x0", "SYNC 0x1", f"RED.POPC 0x0, P{self.random.randrange(1, 4)}"]
                    if "exit" not in self.classes:  # a count of threads that have left is never reached
                        forms += [f"SYNC 0x2, {threads}", f"ARV 0x3, {threads}"]
                    self.plain(f"BAR.{self.random.choice(forms)}")

    def branch(self, uniform: bool, depth: int) -> int:
        """A forward branch taken by some lanes or warps, with or without a point where they meet."""
        random = self.random
        self.labels += 1
        label, size = f"AFTER{self.labels}", random.randrange(1, 12)
        if random.random() < 0.7:
            left, right = random.choice([LANE, WARP]), random.choice([0, 1, 2, 9, 31])
            self.plain(f"ISETP.LT.U32.AND P4, PT, R{left}, {right:#x}, PT")
        meet = uniform or random.random() < 0.6
        if meet:
            self.plain(f"BSSY B{depth}, `({label})")
        also = f"P{random.randrange(1, 5)}, " if random.random() < 0.2 else ""
        self.plain(f"@{random.choice(['', '!'])}P{random.randrange(1, 5)} BRA {also}`({label})")
        self.block(size, uniform=False, depth=depth + 1)
        self.lines.append(f"{label}:")
        if meet:
            self.plain(f"BSYNC B{depth}")
        return size + 3

    def loop(self, uniform: bool, depth: int) -> int:
        """A loop that counts down, with one count for all lanes of a warp, sometimes another in each warp."""
        random = self.random
        self.labels += 1
        counter, label, size = (LOOP, INNER)[depth], f"LOOP{self.labels}", random.randrange(1, 10)
        same = random.random() < 0.6
        self.plain(f"MOV R{counter}, {random.randrange(1, 4):#x}" if same else f"IADD3 R{counter}, R{WARP}, 0x1, RZ")
        self.lines.append(f"{label}:")
        self.block(size, uniform=uniform and same, depth=depth + 1)
        self.plain(f"IADD3 R{counter}, R{counter}, -0x1, RZ")
        self.plain(f"ISETP.NE.AND P{5 + depth}, PT, R{counter}, RZ, PT")
        self.plain(f"@P{5 + depth} BRA `({label})")
        return 2 * size + 4

    # ---- operands

    def register(self, words: int) -> str:
        """A data register, aligned to its width."""
        number = self.random.randrange(self.data.start, self.data.stop - words + 1)
        return f"R{number - number % words}"

    def destination(self, words: int) -> str:
        return "RZ" if self.random.random() < 0.03 else self.register(words)

    def source(self, words: int) -> str:
        if self.random.random() < 0.05:
            return "RZ"
        return self.register(words) + (".reuse" if self.random.random() < 0.3 else "")

    def fill(self, *forms: str) -> None:
        """Emit one of the forms. D, S: a register written, read (D2, S4: a wide one; S2.ROW: with a suffix);
        C: a constant operand; P: a predicate."""
        words = []
        for word in self.random.choice(forms).split():
            name, comma = word.rstrip(","), "," * word.endswith(",")
            if name[0] in "DS" and name[1:] in ("", "2", "4"):
                name = (self.destination if name[0] == "D" else self.source)(int(name[1:] or 1))
            elif name[0] == "S" and name.endswith((".ROW", ".COL")):
                shape, suffix = name[1:].split(".")
                name = f"{self.register(int(shape or 1))}.{suffix}"
            elif name == "C":
                offset = self.random.choice((0x0, *[self.random.randrange(0x160, 0x220, 8)] * 3))
                name = f"c[0x0][{offset:#x}]"
            elif name == "P":
                name = f"P{self.random.choice((1, 1, 2, 2, 3, 3, 'T'))}"
            words.append(name + comma)
        self.emit(" ".join(words))

    def width(self) -> tuple[str, int, str]:
        """Suffix of a width, its bytes, and the number of its registers as `fill` writes it."""
        return self.random.choice([("", 4, ""), ("", 4, ""), (".64", 8, "2"), (".128", 16, "4"), (".U8", 1, "")])

    def global_address(self, width: int) -> str:
        pair = self.random.choice([p for p, alignment in ADDRESS_PAIRS.items() if alignment % width == 0])
        descriptor = f"desc[UR{DESCRIPTOR}]" if self.random.random() < 0.15 else ""
        offset = self.random.choice([0, 0, 16, 64, 128, 256, 1024, 4096, 16384])
        return f"{descriptor}[R{pair}.64+{self.uniform_offset()}{offset:#x}]"

    def uniform_offset(self) -> str:
        return f"UR{UNIFORM_OFFSET}+" if self.random.random() < 0.15 else ""

    def shared_address(self, width: int) -> str:
        offset = self.random.choice([0, 0, 16, 256, 1024])
        if self.random.random() < 0.2:
            return f"[{self.uniform_offset()}{offset:#x}]"
        register = self.random.choice([r for r, a in SHARED.items() if a % width == 0])
        return f"[R{register}+{self.uniform_offset()}{offset:#x}]"

    # ---- classes of instructions

    def _int(self) -> None:
        self.fill(
            "IADD3 D, S, S, S", "LOP3.LUT D, S, S, S, 0x96, !PT", "SHF.L.U32 D, S, 0x3, S", "MOV D, S",
            "SEL D, S, S, P", "IMNMX D, S, S, P", "PRMT D, S, 0x3210, S", "LEA D, S, S, 0x2", "FMNMX D, S, S, P",
            "FSEL D, S, S, P", "IADD3 D, S, 0x7, RZ", "CS2R.32 D, SR_CLOCKLO",
            "IADD3 D, P, S, S, RZ", "IADD3.X D, S, S, RZ, P, !PT", "IADD3.X D, P, S, S, RZ, P, !PT",
        )  # fmt: skip

    def _fp32(self) -> None:
        self.fill("FADD D, S, S", "FMUL D, S, S", "FFMA D, S, S, S", "FADD D, S, 1", "FFMA D, S, 2, S")

    def _imad(self) -> None:
        self.fill("IMAD D, S, S, S", "IMAD.WIDE D2, S, S, S2", "IMAD.MOV.U32 D, RZ, RZ, S", "IMAD.IADD D, S, 0x1, S")

    def _half(self) -> None:
        self.fill("HADD2 D, S, S", "HMUL2 D, S, S", "HFMA2 D, S, S, S", "HSETP2.GT.AND P, PT, S, S, P")

    def _sfu(self) -> None:
        self.fill("MUFU.RCP D, S", "MUFU.EX2 D, S", "I2F D, S", "F2I.TRUNC.NTZ D, S", "POPC D, S", "FCHK P, S, S")

    def _fp64(self) -> None:
        self.fill("DADD D2, S2, S2", "DMUL D2, S2, S2", "DFMA D2, S2, S2, S2", "DSETP.GT.AND P, PT, S2, S2, P")

    def _predicate(self) -> None:
        self.fill(
            "ISETP.GE.AND P, PT, S, S, PT", "FSETP.GT.AND P, PT, S, S, P", "PLOP3.LUT P, PT, P, P, UP1, 0x80, 0x0",
            "ISETP.NE.AND P, PT, S, 0x5, PT", f"ISETP.GT.U32.AND P, PT, R{LANE}, 0x8, P",
            "P2R D, PR, S, 0x7f", "R2P PR, S, 0xe", "VOTE.ANY P, P",
        )  # fmt: skip

    def _uniform(self) -> None:
        self.fill(
            "UMOV UR4, 0x1", "UIADD3 UR5, UR4, 0x2, URZ", "ULOP3.LUT UR6, UR4, UR5, URZ, 0x3c, !UPT", "R2UR UR4, S",
            "IADD3 D, S, UR5, RZ", "S2UR UR7, SR_CTAID.X", "ULDC UR4, c[0x0][0x170]",
            "ULDC.64 UR4, c[0x0][0x170]", "UIMAD.WIDE UR4, UR6, UR7, UR4", "UIADD3 UR4, UP0, UR5, UR6, URZ",
            "UIADD3.X UR5, URZ, UR6, URZ, UP0, !UPT", "UISETP.NE.AND UP1, UPT, UR4, 0x1, UPT", "USEL UR6, UR4, UR5, UP1",
            "UPLOP3.LUT UP0, UPT, UP1, UP0, UPT, 0x80, 0x0", "VOTEU.ANY UR6, UPT, P", "SEL D, S, S, UP0",
            f"UMOV UR{DESCRIPTOR}, URZ", f"UIADD3 UR{UNIFORM_OFFSET + 1}, URZ, URZ, URZ", f"S2UR UR{DESCRIPTOR + 1}, SR_CTAID.Y",
        )  # fmt: skip

    def _misc(self) -> None:
        self.fill("NOP", "VOTE.ANY D, PT, P", "VOTE.ALL D, P, P", "B2R.RESULT D", "NOP")

    def _constant(self) -> None:
        self.fill("FFMA D, S, C, S", "FADD D, S, C", "IADD3 D, S, C, S", "IMAD D, S, C, S", "MOV D, C", "MUFU.RCP D, C")

    def _global(self) -> None:
        suffix, width, words = self.width()
        scope, address = self.random.choice(["", "", "", ".STRONG.GPU"]), self.global_address(width)
        self.fill(
            f"LDG.E{suffix}{scope} D{words}, {address}", f"LDG.E{suffix} D{words}, {address}",
            f"STG.E{suffix} {address}, S{words}",
        )  # fmt: skip
        if self.random.random() < 0.1:
            self.set_address(self.random.choice(list(ADDRESS_PAIRS)))

    def _local(self) -> None:
        offset = self.random.randrange(0, 48, 16)
        suffix, _, words = self.width()
        self.fill(f"LDL{suffix} D{words}, [{offset:#x}]", f"STL{suffix} [{offset:#x}], S{words}")

    def _generic(self) -> None:
        """Half of them in a window, the others in global memory."""
        pair, (_, size) = self.random.choice(list(GENERIC.items()))
        suffix, width, words = self.width()
        offset = self.random.randrange(0, size, 16)
        address = f"[R{pair}.64+{offset:#x}]" if self.random.random() < 0.5 else self.global_address(width)
        if pair == 54 and width > 4:  # its lanes are only words apart
            address = self.global_address(width)
        forms = [f"LD.E{suffix} D{words}, {address}", f"ST.E{suffix} {address}, S{words}"]
        if width == 4:
            forms.append(f"ATOM.E.ADD.STRONG.GPU PT, D, {address}, S")
        self.fill(*forms)

    def _shared(self) -> None:
        suffix, width, words = self.width()
        address = self.shared_address(width)
        self.fill(f"LDS{suffix} D{words}, {address}", f"STS{suffix} {address}, S{words}")

    def _special(self) -> None:
        self.fill(
            "S2R D, SR_TID.X", "S2R D, SR_CTAID.X", "SHFL.IDX PT, D, S, 0x1, 0x1f", "SHFL.BFLY PT, D, S, 0x2, 0x1f",
            "SHFL.UP P, D, S, S, RZ", "MATCH.ANY D, S",
        )  # fmt: skip

    def _ldc(self) -> None:
        self.fill(
            f"LDC D, c[0x0][R{CONSTANT_OFFSET}+{self.uniform_offset()}0x160]", "LDC D, c[0x0][0x170]", "LDC.64 D2, c[0x0][0x1a0]",
        )  # fmt: skip

    def _copy(self) -> None:
        suffix, width = self.random.choice([("", 4), (".64", 8), (".BYPASS.128", 16)])
        register = next(r for r, a in SHARED.items() if a == width)
        if self.random.random() < 0.7:
            predicate = f", P{self.random.randrange(1, 4)}" if self.random.random() < 0.2 else ""
            self.emit(f"LDGSTS.E{suffix} [R{register}], {self.global_address(width)}{predicate}")
        elif self.random.random() < 0.3:
            self.plain("LDGDEPBAR")
        else:
            self.lines.append(op("LDGDEPBAR", self.random.choice([1, 2, 4]), write=self.random.randrange(6)))

    def _atomic(self) -> None:
        self.fill(
            f"ATOMS.ADD D, {self.shared_address(4)}, S", f"ATOMG.E.ADD.STRONG.GPU PT, D, {self.global_address(4)}, S",
            f"RED.E.ADD.STRONG.GPU {self.global_address(4)}, S",
        )  # fmt: skip

    def _tensor(self) -> None:
        forms = ["HMMA.1688.F16 D2, S2, S, S2", "IMMA.8816.S8.S8 D2, S.ROW, S.COL, S2", "HMMA.1688.F32 D4, S2, S, S4"]
        if self.architecture >= 80:
            forms += ["HMMA.16816.F32 D4, S4, S2, S4", "HMMA.16816.F16 D2, S4, S2, S2"]
            forms += ["IMMA.16816.S8.S8 D4, S2.ROW, S.COL, S4"]
        self.fill(*forms)
        self.fill("HMMA.1688.F32 D4, S2, S, S4")

    def _exit(self) -> None:
        """Some warps, or some lanes of all, are done; rarely, or little would be left to compare."""
        if self.random.random() < 0.3:
            left, right = self.random.choice([(WARP, 3), (WARP, 1), (LANE, 9), (LANE, 30)])
            self.plain(f"ISETP.GE.U32.AND P4, PT, R{left}, {right:#x}, PT")
            self.plain("@P4 EXIT")

    def _depbar(self) -> None:
        counter, limit = self.random.randrange(6), self.random.randrange(3)
        self.plain(f"DEPBAR.LE SB{counter}, {limit:#x}{self.random.choice(['', ', {3}', ', {4,1}'])}")

    def _membar(self) -> None:
        self.plain(self.random.choice(["MEMBAR.SC.CTA", "MEMBAR.SC.GPU", "ERRBAR"]))
