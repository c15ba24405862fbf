"""Memory: Tables 1 and 2 of arXiv 2503.20481, shared-memory banks, coalescing, L1D and its misses."""

from __future__ import annotations

import pytest
from microbench import PAUSE, Run, op, run

SETTLE = op("NOP", 11)
POINTER = op("LDC.64 R2, c[0x0][0x160]", 2, write=5)  # of the buffer, in the pair R2, R3
WORD_OF_LANE = [
    op("S2R R0, SR_TID.X", 2, write=4),
    op("IMAD.SHL.U32 R6, R0, 0x4, RZ", 6, wait="45"),
    op("IADD3 R4, P0, R2, R6, RZ", 13, yields=True),
    op("IADD3.X R5, RZ, R3, RZ, P0, !PT", 13, yields=True),
]
SHARED = ".shared 16384"

# ---- Table 1: issue cycle of the n-th memory instruction, Ampere (section 5.4)

TABLE_1 = {
    1: [[2], [3], [4], [5], [6], [13], [17], [21]],
    2: [[2] * 2, [3] * 2, [4] * 2, [5] * 2, [6] * 2, [13, 15], [17, 19], [21, 23]],
    3: [[2] * 3, [3] * 3, [4] * 3, [5] * 3, [6] * 3, [13, 15, 17], [19, 21, 23], [25, 27, 29]],
    4: [[2] * 4, [3] * 4, [4] * 4, [5] * 4, [6] * 4, [13, 15, 17, 19], [21, 23, 25, 27], [29, 31, 33, 35]],
}
"""Per number of active sub-cores and n = 1..8: cycles of the sub-cores in ascending order."""
STEP = {1: 4, 2: 4, 3: 6, 4: 8}
"""Cycles from one to the next on the same sub-core beyond the eighth."""
ACCESSES = {
    "global load": "LDG.E R{}, [R2.64]",
    "global store": "STG.E [R2.64], R{}",
    "shared load": "LDS R{}, [R8]",
    "shared store": "STS [R8], R{}",
}
COUNT = 14


def memory_stream(access: str, sub_cores: int, *overrides: str, card: str = "a6000") -> list[list[int]]:
    """Issue cycles per sub-core of COUNT independent hits that begin in the same cycle, the first counted as 2."""
    warm = [POINTER, op("NOP", 2, wait="5"), op("LDG.E R10, [R2.64]", 2, write=0), op("NOP", 2, wait="0"), PAUSE]
    stream = [op(ACCESSES[access].format(20 + k)) for k in range(COUNT)]
    lines = [*warm, op("BAR.SYNC 0x0"), SETTLE, PAUSE, *stream, PAUSE, PAUSE, PAUSE]
    result = run(lines, *overrides, block=32 * sub_cores, card=card, directives=SHARED)
    mnemonic = access_mnemonic(access)
    cycles = [result.issues(mnemonic, sub_core=k)[-COUNT:] for k in range(sub_cores)]
    first = cycles[0][0] - 2
    return [[cycle - first for cycle in core] for core in cycles]


def access_mnemonic(access: str) -> str:
    return ACCESSES[access].split()[0]


@pytest.mark.parametrize("sub_cores", [1, 2, 3, 4])
@pytest.mark.parametrize("access", ACCESSES)
def test_table_1(access: str, sub_cores: int) -> None:
    cycles = memory_stream(access, sub_cores)
    for n, expected in enumerate(TABLE_1[sub_cores]):
        assert sorted(core[n] for core in cycles) == expected, f"n = {n + 1}"
    for core in cycles:
        assert [core[n] - core[n - 1] for n in range(8, COUNT)] == [STEP[sub_cores]] * (COUNT - 8)


def test_table_1_follows_the_length_of_the_queue() -> None:
    (cycles,) = memory_stream("shared load", 1, "sm.sub_core.memory_queue.entries=3")
    assert cycles[:6] == [2, 3, 4, 5, 13, 17]


# ---- Table 2: issue of an access to issue of a dependent instruction, hits (section 5.4)

REGISTERS = {32: "", 64: ".64", 128: ".128"}
LOADS = [
    ("LDG.E{} R8, [R2.64]", (11, 11, 11), (32, 34, 38)),
    ("LDG.E{} R8, [UR4]", (9, 9, 9), (29, 31, 35)),
    ("LDS{} R8, [R6]", (9, 9, 9), (24, 24, 26)),
    ("LDS{} R8, [UR6]", (9, 9, 9), (23, 23, 25)),
    ("LDS{} R8, [0x10]", (9, 9, 9), (23, 23, 25)),
    ("LDC{} R8, c[0x0][0x160]", (10, None, None), (26, None, None)),
    ("LDC{} R8, c[0x0][R6+0x160]", (29, 29, None), (29, 29, None)),
    ("LDGSTS.E{} [R6], [R2.64]", (13, 13, 13), (39, 39, 39)),
]
STORES = [
    ("STG.E{} [R2.64], R8", (14, 16, 20)),
    ("STG.E{} [UR4], R8", (10, 12, 16)),
    ("STS{} [R6], R8", (12, 14, 18)),
    ("STS{} [UR6], R8", (10, 12, 16)),
]


def cases(table: list[tuple], column: int) -> list[tuple[str, int]]:
    return [
        (row[0].format(REGISTERS[width]), cycles)
        for row in table
        for width, cycles in zip(REGISTERS, row[column])
        if cycles is not None
    ]


def release(text: str, counter: str) -> Run:
    """One access twice, so that its data are in the caches, each followed by an instruction that waits for it."""
    head = [POINTER, op("ULDC.64 UR4, c[0x0][0x160]", 6, wait="5"), op("UMOV UR6, 0x0", 6)]
    access = [op(text, 2, **{counter: 0}), op("FADD R30, RZ, 1", 1, wait="0"), *[PAUSE] * 30]
    return run([*head, *access, *access], directives=SHARED)


@pytest.mark.parametrize(("text", "cycles"), cases(LOADS, 2))
def test_table_2_raw(text: str, cycles: int) -> None:
    result = release(text, "write")
    assert result.distance(text.split()[0], "FADD") == cycles


@pytest.mark.parametrize(("text", "cycles"), cases(LOADS, 1) + cases(STORES, 1))
def test_table_2_war(text: str, cycles: int) -> None:
    result = release(text, "read")
    assert result.distance(text.split()[0], "FADD") == cycles


# ---- shared memory banks


def shared_access(text: str, stride: int) -> Run:
    """One shared access of a warp, lanes `stride` bytes apart, and an instruction that waits for it."""
    head = [op("S2R R0, SR_TID.X", 2, write=4), op(f"IMAD R6, R0, {hex(stride)}, RZ", 6, wait="4")]
    return run([*head, SETTLE, op(text, 2, write=0), op("FADD R30, RZ, 1", wait="0"), PAUSE], directives=SHARED)


@pytest.mark.parametrize(("stride", "ways"), [(0, 1), (4, 1), (8, 2), (16, 4), (64, 16), (128, 32), (132, 1), (12, 1)])
def test_each_further_word_of_a_bank_is_a_pass_more(stride: int, ways: int) -> None:
    result = shared_access("LDS R8, [R6]", stride)
    assert result.distance("LDS", "FADD") == 24 + ways - 1
    assert result.counters["shared_wavefronts"] == ways
    assert result.counters["shared_bank_conflicts"] == ways - 1


@pytest.mark.parametrize(("text", "stride", "wavefronts"), [("LDS.64 R8, [R6]", 8, 2), ("LDS.128 R8, [R6]", 16, 4)])
def test_wide_accesses_go_by_halves_and_quarters_without_a_conflict(text: str, stride: int, wavefronts: int) -> None:
    result = shared_access(text, stride)
    assert result.counters["shared_wavefronts"] == wavefronts
    assert result.counters["shared_bank_conflicts"] == 0


def test_conflicts_keep_the_next_shared_access_waiting() -> None:
    head = [op("S2R R0, SR_TID.X", 2, write=4), op("IMAD R6, R0, 0x80, RZ", 6, wait="4"), SETTLE]
    lines = [*head, op("LDS R8, [R6]", write=0), op("LDS R9, [R7]", 2, write=1), op("FADD R30, RZ, 1", wait="1")]
    result = run(lines, directives=SHARED)
    first, second = result.rows("LDS")["execute"].tolist()
    assert second - first == 32


@pytest.mark.parametrize(("width", "bytes_per_cycle", "cycles"),
    [(".64", 256, 2), (".64", 128, 2), (".64", 64, 4), (".64", 32, 8), (".128", 128, 2), (".128", 64, 4), ("", 64, 2)])  # fmt: skip
def test_wide_shared_loads_take_as_long_as_their_data_whatever_their_lanes(width, bytes_per_cycle, cycles) -> None:
    # of 128 bits half as long, since a lone lane cannot differ from its neighbour
    lane = [op("S2R R0, SR_TID.X", 2, write=4), op("ISETP.EQ.AND P0, PT, R0, RZ, PT", 13, yields=True, wait="4")]
    loads = [op(f"@P0 LDS{width} R{8 + 4 * k}, [RZ]", write=k) for k in range(2)]
    key = f"shared_memory.data_bytes_per_cycle={bytes_per_cycle}"
    result = run([*lane, SETTLE, *loads, op("NOP", wait="01"), PAUSE], key, directives=SHARED)
    first, second = result.rows("LDS")["execute"].tolist()
    assert second - first == cycles


QUEUED = [
    ("LDG.E R{}, [R2.64]", "lg_throttle"),
    ("STG.E [R2.64], R{}", "lg_throttle"),
    ("LDS R{}, [R8]", "mio_throttle"),
    ("MUFU.RCP R{}, R8", "mio_throttle"),
    ("DADD R{}, R8, R10", "tex_throttle"),
]


@pytest.mark.parametrize(("text", "reason"), QUEUED)
def test_a_warp_waits_for_room_in_the_queue_that_its_instruction_goes_to(text: str, reason: str) -> None:
    lines = [POINTER, op("NOP", 2, wait="5"), PAUSE, *[op(text.format(20 + 2 * k)) for k in range(14)], PAUSE, PAUSE]
    stalls = run(lines, directives=SHARED).stalls
    assert stalls[reason] > 10
    assert sum(stalls[name] for name in ("lg_throttle", "mio_throttle", "tex_throttle")) == stalls[reason]
    assert stalls["dispatch_stall"] == 0


def test_a_full_queue_holds_back_nobody_else() -> None:
    # Given two warps of one sub-core: the first fills the memory queue, the second has arithmetic only
    first = [op("S2R R0, SR_TID.X", 2, write=4), op("ISETP.GE.AND P0, PT, R0, 0x80, PT", 13, wait="4", yields=True)]
    loads = [op(f"@!P0 LDG.E R{20 + k}, [R2.64]") for k in range(14)]
    adds = [op(f"FADD R{40 + k}, RZ, 1") for k in range(14)]
    lines = [
        POINTER,
        *first,
        op("@P0 BRA `(ADDS)", 5, wait="5"),
        *loads,
        op("EXIT", 5),
        "ADDS:",
        op("NOP", 15),
        *adds,
        PAUSE,
    ]
    result = run(lines, block=160)
    alone = result.gaps("FADD", warp=1)
    assert result.issues("LDG")[0] < result.issues("FADD", warp=1)[0] < result.issues("LDG")[-1]
    assert set(alone) == {1}


# Lane n reads at (n & first) * 16 + (n & second) * 8: lanes that agree, first, second, wavefronts
PAIRS = [("no", 0x1F, 0, 4), ("n ^ 1", 0, 0x1E, 2), ("n ^ 2", 1, 0x1C, 2), ("n ^ 4", 3, 0x18, 4), ("all", 0, 0, 2)]


@pytest.mark.parametrize(("agree", "first", "second", "wavefronts"), PAIRS)
def test_loads_of_128_bits_take_half_as_long_where_lanes_agree_in_pairs(agree, first, second, wavefronts) -> None:
    address = [
        op("S2R R0, SR_TID.X", 2, write=4),
        op(f"LOP3.LUT R6, R0, {first:#x}, RZ, 0xc0, !PT", 6, wait="4"),
        op(f"LOP3.LUT R7, R0, {second:#x}, RZ, 0xc0, !PT", 6),
        op("SHF.L.U32 R7, R7, 0x3, RZ", 6),
        op("IMAD R6, R6, 0x10, R7", 6),
    ]
    loads = [op(f"LDS.128 R{8 + 4 * k}, [R6]", write=k) for k in range(2)]
    # a quarter of the bytes a cycle, or the address unit's four cycles for each would hide it
    slow = "shared_memory.data_bytes_per_cycle=32"
    result = run([*address, SETTLE, *loads, op("NOP", wait="01"), PAUSE], slow, directives=SHARED)
    one, other = result.rows("LDS")["execute"].tolist()
    assert other - one == 4 * wavefronts
    assert result.counters["shared_wavefronts"] == 2 * wavefronts


# ---- L1D: tag banks and data banks


def strided(stride: int, *loads: str) -> list[str]:
    """R4, R5: the buffer's address and `stride` bytes for each lane; then loads that hit, and the same once more."""
    address = [
        POINTER,
        op("S2R R0, SR_TID.X", 2, write=4),
        op(f"IMAD R6, R0, {stride:#x}, RZ", 6, wait="45"),
        op("IADD3 R4, P0, R2, R6, RZ", 13, yields=True),
        op("IADD3.X R5, RZ, R3, RZ, P0, !PT", 13, yields=True),
    ]
    return [*address, *loads, *[PAUSE] * 40, *loads, op("NOP", 2, wait="01"), PAUSE]


def between(stride: int, width: str = "", *overrides: str, card: str = "a6000") -> int:
    """Cycles of L1D's stages between two loads that hit."""
    loads = [op(f"LDG.E{width} R{8 + 4 * k}, [R4.64]", write=k) for k in range(2)]
    first, second = run(strided(stride, *loads), *overrides, card=card).rows("LDG")["execute"][-2:].tolist()
    return second - first


# A line a lane: by the hash 8 lines in each of 4 tag banks. Words of one bank of 32 take turns. The address unit takes 4.
@pytest.mark.parametrize(
    ("stride", "width", "cycles"),
    [(4, "", 4), (128, "", 32), (132, "", 8), (260, "", 8), (32, "", 8), (16, "", 4), (8, ".64", 4), (16, ".128", 8)],
)
def test_a_load_takes_as_long_as_its_slowest_stage(stride: int, width: str, cycles: int) -> None:
    assert between(stride, width) == cycles


def test_data_wavefronts_take_two_cycles_each_on_turing() -> None:
    assert [between(stride, card="rtx2070") for stride in (4, 8, 16, 128)] == [4, 4, 8, 64]


@pytest.mark.parametrize(("banks", "cycles"), [(1, 32), (2, 16), (4, 8)])
def test_lines_of_different_tag_banks_are_looked_up_at_once(banks: int, cycles: int) -> None:
    assert between(132, "", f"sm.memory_unit.l1_data.tag_banks={banks}") == cycles


def test_wavefronts_are_counted() -> None:
    counters = run(strided(128, op("LDG.E R8, [R4.64]", write=0), op("NOP", wait="0"))).counters
    assert counters["l1_tag_wavefronts"] == 2 * 8
    assert counters["l1_data_wavefronts"] == 2 * 32


def test_data_that_come_back_keep_the_pipe_from_hits() -> None:
    # a load that misses looks its tag up in one cycle, and passes the data stage when its line has come
    body = [
        POINTER,
        op("NOP", 2, wait="5"),
        op("LDG.E.128 R8, [R2.64]", write=0),
        op("LDG.E R12, [R2.64+0x400]", write=1),
    ]
    first, second = run([*body, op("NOP", 2, wait="01"), PAUSE]).rows("LDG")["execute"].tolist()
    assert second - first == 4  # the address unit's; the eight of 32 lanes by 16 bytes come later


# ---- coalescing: 32-byte sectors


def data_sectors(result: Run, name: str) -> int:
    """An L2 counter less the lines of 4 sectors that constants have read."""
    return result.counters[name] - 4 * result.counters["l1_instruction_misses"]


def global_access(text: str, *address: str, block: int = 32) -> Run:
    return run([POINTER, *WORD_OF_LANE, *address, op(text, 2, write=0), op("NOP", wait="0"), PAUSE], block=block)


def scaled(stride: int, offset: int = 0) -> list[str]:
    """R4, R5 := buffer + offset + stride * lane."""
    return [
        op(f"IMAD R6, R0, {hex(stride)}, RZ", 6),
        op(f"IADD3 R6, R6, {hex(offset)}, RZ", 6),
        op("IADD3 R4, P0, R2, R6, RZ", 13, yields=True),
        op("IADD3.X R5, RZ, R3, RZ, P0, !PT", 13, yields=True),
    ]


@pytest.mark.boundscheck
@pytest.mark.parametrize(
    ("text", "stride", "offset", "sectors"),
    [
        ("LDG.E R8, [R4.64]", 0, 0, 1),
        ("LDG.E R8, [R4.64]", 4, 0, 4),
        ("LDG.E R8, [R4.64]", 4, 4, 5),
        ("LDG.E R8, [R4.64]", 4, 32, 4),
        ("LDG.E R8, [R4.64]", 8, 0, 8),
        ("LDG.E R8, [R4.64]", 32, 0, 32),
        ("LDG.E R8, [R4.64]", 128, 0, 32),
        ("LDG.E.64 R8, [R4.64]", 8, 0, 8),
        ("LDG.E.128 R8, [R4.64]", 16, 0, 16),
        ("LDG.E.U8 R8, [R4.64]", 1, 0, 1),
        ("LDG.E.U8 R8, [R4.64]", 1, 31, 2),
    ],
)
def test_sectors_of_a_load(text: str, stride: int, offset: int, sectors: int) -> None:
    result = global_access(text, *scaled(stride, offset))
    assert result.counters["l1_load_sectors"] == sectors
    assert result.counters["l1_load_hits"] == 0
    assert data_sectors(result, "l2_read_sectors") == sectors


@pytest.mark.parametrize(("stride", "sectors"), [(0, 1), (4, 4), (8, 8), (128, 32)])
def test_sectors_of_a_store(stride: int, sectors: int) -> None:
    lines = [
        POINTER,
        *WORD_OF_LANE,
        *scaled(stride),
        op("STG.E [R4.64], R0", 2, read=0),
        op("NOP", wait="0"),
        *[PAUSE] * 20,
    ]
    result = run(lines)
    assert result.counters["l1_store_sectors"] == sectors
    assert result.counters["l2_write_sectors"] == sectors
    assert data_sectors(result, "l2_read_sectors") == result.counters["l1_load_sectors"] == 0


# ---- L1D: hits, misses, merging


def loads(*texts: str, between: int) -> Run:
    """Loads with `between` pauses of 45 cycles after each, R4 pointing at the lane's word."""
    body = [line for text in texts for line in (op(text, 2, write=0), *[PAUSE] * between)]
    return run([POINTER, *WORD_OF_LANE, *body, op("NOP", wait="0"), PAUSE])


def test_a_line_that_has_arrived_hits() -> None:
    result = loads("LDG.E R8, [R4.64]", "LDG.E R9, [R4.64]", between=30)
    assert result.counters["l1_load_sectors"] == 8
    assert result.counters["l1_load_hits"] == 4
    assert data_sectors(result, "l2_read_sectors") == result.counters["dram_read_sectors"] == 4


def test_a_line_on_its_way_is_not_asked_for_again() -> None:
    result = loads("LDG.E R8, [R4.64]", "LDG.E R9, [R4.64]", between=0)
    assert result.counters["l1_load_sectors"] == 8
    assert result.counters["l1_load_hits"] == result.counters["l1_load_hits_pending"] == 4
    assert data_sectors(result, "l2_read_sectors") == 4
    # both loads are served by one reply, two cycles apart on the 64-byte return path
    first, second = result.rows("LDG")["write_back"].tolist()
    assert second - first == 2


def test_other_sectors_of_a_line_miss() -> None:
    # Given a first load of one sector only
    result = loads("LDG.E R8, [R2.64]", "LDG.E R9, [R4.64]", between=30)
    assert result.counters["l1_load_sectors"] == 1 + 4
    assert result.counters["l1_load_hits"] == 1
    assert data_sectors(result, "l2_read_sectors") == 4


def test_a_store_writes_through_and_allocates_nothing() -> None:
    store = [op("STG.E [R4.64], R0", 2, read=0), *[PAUSE] * 30]
    result = run([POINTER, *WORD_OF_LANE, *store, op("LDG.E R8, [R4.64]", 2, write=0), op("NOP", wait="0"), PAUSE])
    assert result.counters["l1_load_hits"] == 0
    assert data_sectors(result, "l2_read_sectors") == data_sectors(result, "l2_read_hits") == 4


def test_strong_loads_go_around_l1() -> None:
    result = loads("LDG.E R8, [R4.64]", "LDG.E.STRONG.GPU R9, [R4.64]", between=30)
    assert result.counters["l1_load_hits"] == 0
    assert data_sectors(result, "l2_read_sectors") == 8
    assert data_sectors(result, "l2_read_hits") == 4


def test_counts_add_up() -> None:
    result = loads(*[f"LDG.E R8, [R4.64+{hex(offset)}]" for offset in (0, 128, 0, 64, 256, 192)], between=30)
    # the third, the fourth and the sixth find all their sectors, the last two in two lines each
    assert result.counters["l1_load_sectors"] == 24
    assert result.counters["l1_load_hits"] == 12
    assert data_sectors(result, "l2_read_sectors") == 12
    assert data_sectors(result, "l2_read_hits") == 0
    assert result.counters["dram_read_sectors"] == 12


def test_l2_hit_and_dram_latencies_are_those_of_the_sources() -> None:
    # Given a cold load, and a strong one of the same line, which finds it in L2 (A40: 250 cycles to L2)
    # DRAM: 252 cycles to the queue and back, and 60 clocks of 0.9 cycles to open a row, read and move a sector
    result = loads("LDG.E R8, [R2.64]", "LDG.E.STRONG.GPU R9, [R2.64]", between=30)
    rows = result.rows("LDG")
    assert rows["write_back"][1] + 1 - rows["issue"][1] == pytest.approx(250, abs=3)
    assert rows["write_back"][0] + 1 - rows["issue"][0] == pytest.approx(250 + 252 + 60 * 0.9, abs=3)


# ---- predicated-off, constants, atomics


def test_a_load_without_lanes_touches_no_cache() -> None:
    lines = [op("ISETP.NE.AND P2, PT, RZ, RZ, PT", 13, yields=True)]
    result = run([POINTER, *WORD_OF_LANE, *lines, op("@P2 LDG.E R8, [R4.64]", 2, write=0), op("NOP", wait="0")])
    assert result.counters["l1_load_sectors"] == 0


def test_an_ldc_miss_costs_79_cycles_when_the_line_is_in_l1() -> None:
    # Given a constant line that an FP32 operand has brought into the SM's first-level cache, not into the LDC cache
    lines = [
        op("FADD R4, RZ, c[0x0][0x160]", 11),
        *[PAUSE] * 20,
        op("LDC R5, c[0x0][0x160]", 2, write=0),
        op("NOP", wait="0"),
    ]
    result = run([*lines, PAUSE])
    assert result.issues("NOP")[-2] - result.issues("LDC")[0] == 26 + 79


def test_atomics_are_done_at_l2() -> None:
    lines = [
        POINTER,
        *WORD_OF_LANE,
        op("RED.E.ADD.STRONG.GPU [R4.64], R0", 2, read=0),
        op("NOP", wait="0"),
        *[PAUSE] * 20,
    ]
    counters = run(lines).counters
    assert counters["l1_load_sectors"] == 0
    assert counters["l2_read_sectors"] + counters["l2_write_sectors"] > 0


# ---- generic addresses: timed by the space that they lie in

WINDOWS = {"shared": "0x7e00", "local": "0x7e80"}


def generic(text: str, window: str, stride: int = 4) -> Run:
    """An access twice at [R10.64], whose lanes are `stride` bytes apart in a window, each time with a dependent FADD."""
    head = [POINTER, *WORD_OF_LANE, op(f"IMAD R10, R0, {stride:#x}, RZ", 6), op(f"MOV R11, {WINDOWS[window]}", 6)]
    access = [op(text, 2, write=0), op("FADD R30, RZ, 1", 1, wait="0"), *[PAUSE] * 30]
    return run([*head, *access, *access], directives=SHARED + "\n.local 64")


@pytest.mark.parametrize("suffix", ["", ".64", ".128"])
@pytest.mark.parametrize("stride", [16, 32, 128])
def test_a_generic_load_from_shared_memory_is_an_lds(suffix: str, stride: int) -> None:
    found, expected = (generic(f"{load}{suffix} R12, {address}", "shared", stride)
                       for load, address in (("LD.E", "[R10.64]"), ("LDS", "[R10]")))  # fmt: skip
    assert found.distance("LD", "FADD") == expected.distance("LDS", "FADD")
    for name in ("shared_wavefronts", "shared_bank_conflicts"):
        assert found.counters[name] == expected.counters[name]
    assert found.counters["l1_load_sectors"] == 0


def test_a_generic_store_to_shared_memory_is_an_sts() -> None:
    found, expected = generic("ST.E [R10.64], R0", "shared", 8), generic("STS [R10], R0", "shared", 8)
    assert found.counters["shared_wavefronts"] == expected.counters["shared_wavefronts"] == 2 * 2
    assert found.counters["l1_store_sectors"] == 0
    assert found.distance("ST", "FADD") <= expected.distance("STS", "FADD") + 2


def test_a_generic_atomic_in_shared_memory_takes_a_pass_per_lane() -> None:
    found = generic("ATOM.E.ADD.STRONG.GPU PT, R12, [R10.64], R0", "shared", 0)
    assert found.counters["shared_wavefronts"] == 2 * 32
    assert found.distance("ATOM", "FADD") == generic("ATOMS.ADD R12, [R10], R0", "shared", 0).distance("ATOMS", "FADD")
    assert found.counters["l2_read_sectors"] == generic("NOP", "shared").counters["l2_read_sectors"]


@pytest.mark.parametrize("offset", [0, 16])
def test_a_generic_access_to_local_memory_is_an_ldl(offset: int) -> None:
    found, expected = (generic(text, "local", 0)
                       for text in (f"LD.E R12, [R10.64+{offset:#x}]", f"LDL R12, [R10+{offset:#x}]"))  # fmt: skip
    assert found.distance("LD", "FADD") == expected.distance("LDL", "FADD")
    assert found.counters["l1_load_sectors"] == expected.counters["l1_load_sectors"] == 2 * 4


def test_a_generic_access_to_global_memory_is_an_ldg() -> None:
    found, expected = (generic(f"{load} R12, [R4.64]", "shared") for load in ("LD.E", "LDG.E"))
    assert found.distance("LD", "FADD") == expected.distance("LDG", "FADD") == 32
    assert found.counters["l1_load_sectors"] == expected.counters["l1_load_sectors"]
