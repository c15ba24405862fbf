"""Random kernels and machines for comparisons of the timing model with itself: any control bits, valid or not.

The stall counts, waits and counters are drawn at random, so values are often stale; timing does not depend on values.
Addresses stay inside the buffer and inside shared memory, and every warp reaches every barrier.
"""

from __future__ import annotations

import random

from microbench import PERFECT, kernel, op

SHARED = ".shared 4096"
PROLOGUE = [
    op("S2R R0, SR_TID.X", 2, write=0),
    op("LDC.64 R2, c[0x0][0x160]", 2, write=5),
    op("S2R R1, SR_CTAID.X", 2, write=1),
    op("ISETP.EQ.AND P2, PT, R1, RZ, PT", 13, wait="1", yields=True),
    op("ISETP.GE.AND P3, PT, R0, 0x40, PT", 13, wait="0", yields=True),
]
GUARDS = ("", "", "", "@P2 ", "@!P3 ", "@P3 ")
KINDS = {
    "FFMA R{d}, R{a}{ra}, R{b}{rb}, R{c}": 30, "IADD3 R{d}, R{a}{ra}, R{b}, R{c}": 10, "IMAD R{d}, R{a}, R{b}{rb}, R{c}": 5,
    "HADD2 R{d}, R{a}, R{b}{rb}": 5, "FADD R{d}, R{a}, c[0x0][{constant}]": 5, "MUFU.RCP R{d}, R{a}": 6,
    "DADD R{pair}, R{pair}, R{pair}": 3, "LDG.E R{d}, [R4.64+{far}]": 7, "LDG.E.64 R{pair}, [R2.64+{far}]": 3,
    "STG.E [R4.64+{far}], R{a}": 5, "LDS R{d}, [{near}]": 5, "STS [R6], R{a}": 3, "SHFL.IDX PT, R{d}, R{a}, RZ, 0x1f": 2,
    "LDC R{d}, c[0x0][{constant}]": 2, "RED.E.ADD.STRONG.GPU [R4.64], R{a}": 2, "DEPBAR.LE SB{counter}, {limit}": 2,
    "S2UR UR4, SR_CTAID.X": 2, "BAR.SYNC 0x0": 2, "MEMBAR.SC.CTA": 1, "BRA": 2,
}  # fmt: skip
"""Instructions and how often each is drawn."""
UNGUARDED = ("BAR", "DEPBAR", "MEMBAR", "BRA", "SHFL")


def instruction(generator: random.Random) -> str:
    """One instruction with random registers, guard and control bits."""
    text = generator.choices(list(KINDS), list(KINDS.values()))[0]
    register = lambda: generator.randint(8, 40)  # noqa: E731
    reuse = lambda: generator.choice(["", "", ".reuse"])  # noqa: E731
    filled = text.format(
        d=register(), a=register(), b=register(), c=register(), ra=reuse(), rb=reuse(), pair=2 * generator.randint(4, 19),
        constant=hex(0x160 + 64 * generator.randint(0, 2)), far=hex(512 * generator.randint(0, 8)),
        near=hex(4 * generator.randint(0, 255)), counter=generator.randint(0, 4), limit=hex(generator.randint(0, 2)),
    )  # fmt: skip
    guard = "" if text.startswith(UNGUARDED) else generator.choice(GUARDS)
    variable = text.startswith(("MUFU", "DADD", "LDG", "LDS", "SHFL", "LDC", "S2UR"))
    read = text.startswith(("STG", "STS", "RED")) or (variable and generator.random() < 0.2)
    stall = 4 if text.startswith("DEPBAR") else generator.choice([0, 1, 1, 1, 2, 3, 4, 5, 9, 13])
    waited = generator.sample(range(5), generator.randint(1, 3)) if generator.random() < 0.3 else []
    return op(
        guard + filled,
        stall,
        wait="".join(map(str, waited)),
        write=generator.randint(0, 4) if variable else "-",
        read=generator.randint(0, 4) if read else "-",
        yields=generator.random() < (0.02 if stall == 0 else 0.15),
    )


def program(generator: random.Random) -> str:
    """A loop of 10 to 60 random instructions with forward branches over some of them."""
    stride = generator.choice([4, 8, 16])
    lines = [*PROLOGUE, op(f"IMAD R6, R0, {hex(stride)}, RZ", 6, wait="05")]
    lines += [op("IADD3 R4, P0, R2, R6, RZ", 13, yields=True), op("IADD3.X R5, RZ, R3, RZ, P0, !PT", 13, yields=True)]
    lines += [op("LOP3.LUT R6, R6, 0xffc, RZ, 0xc0, !PT", 6), op(f"MOV R7, {hex(generator.randint(1, 3))}", 4), "LOOP:"]
    for k in range(generator.randint(10, 60)):
        line = instruction(generator)
        if " BRA ;" in line:
            lines += [line.replace("BRA", f"BRA `(OVER{k})"), *[op("NOP")] * generator.randint(0, 9), f"OVER{k}:"]
        else:
            lines.append(line)
    lines += [
        op("IADD3 R7, R7, -0x1, RZ", 4),
        op("ISETP.NE.AND P1, PT, R7, RZ, PT", 13, yields=True),
        op("@P1 BRA `(LOOP)", 5),
    ]
    block, grid = 32 * generator.choice([1, 2, 4, 5, 8, 16]), generator.choice([1, 3, 7, 12])
    return kernel(lines, block, grid, directives=SHARED)


VARIANTS = {
    "sm.sub_core.fetch.stream_buffer_lines": (0, 1, 3, 16),
    "sm.sub_core.fetch.buffer_entries": (1, 2, 4, 8),
    "sm.sub_core.issue.scheduler": ("gto", "lrr"),
    "sm.sub_core.register_file.read_ports": (2,),
    "sm.sub_core.register_file.cache": ("false",),
    "sm.sub_core.execution.result_queue_entries": (2, 8),
    "sm.sub_core.memory_queue.entries": (1, 2, 8),
    "sm.memory_unit.pending_requests": (1, 4),
    "cta_launch_latency": (1, 100),
}


def machine(generator: random.Random) -> list[str]:
    """Overrides of a small card: one to three SMs, few CTAs on each, now and then another choice of the paper's."""
    overrides = [f"sms={generator.choice([1, 2, 3])}", f"sm.ctas={generator.choice([1, 2, 4, 16])}"]
    overrides += [f"{key}={generator.choice(values)}" for key, values in VARIANTS.items() if generator.random() < 0.2]
    return overrides + ([PERFECT] if generator.random() < 0.2 else [])
