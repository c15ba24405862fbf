"""Issue: stall counter, yield, dependence counters, DEPBAR, the order of warps, constant operands, unit latches.

Measured numbers are those of arXiv 2503.20481; the section is named with each.
"""

from __future__ import annotations

import numpy as np
import pytest
from microbench import PERFECT, START_AT_ONCE, Run, gaps, kernel, micro_trace, op, run, simulate_small, trace

NOP = op("NOP")
READ_WARP = [op("S2R R0, SR_TID.X", 2, write=0)]


def add(register: int, **control: object) -> str:
    """An instruction without sources, on the full-rate FP32 unit."""
    return op(f"FADD R{register}, RZ, 1", **control)


# ---- stall counter and yield (section 4)


@pytest.mark.parametrize(("name", "elapsed"), [("listing2_stall1", 5), ("listing2_stall4", 8)])
def test_listing_2_elapsed_between_clock_reads(name: str, elapsed: int) -> None:
    clocks = simulate_small(micro_trace(name)).rows("CS2R.32")
    assert gaps(clocks["issue"].tolist()[-2:]) == [elapsed]
    assert gaps(clocks["control"].tolist()[-2:]) == [elapsed]


@pytest.mark.boundscheck
@pytest.mark.parametrize("stall", range(1, 12))
def test_next_issue_is_a_stall_count_later(stall: int) -> None:
    assert gaps(run([add(2, stall=stall), NOP]).issues()[:2]) == [stall]


def test_stall_zero_is_as_one() -> None:
    assert gaps(run([add(2, stall=0), NOP]).issues()[:2]) == [1]


@pytest.mark.parametrize("stall", range(12, 16))
def test_stall_above_11_without_yield_waits_one_or_two(stall: int) -> None:
    assert gaps(run([add(2, stall=stall), NOP]).issues()[:2])[0] in (1, 2)


@pytest.mark.parametrize("stall", range(2, 16))
def test_yield_does_not_change_a_stall_above_1(stall: int) -> None:
    assert gaps(run([add(2, stall=stall, yields=True), NOP]).issues()[:2]) == [stall]


def test_yield_alone_leaves_one_bubble() -> None:
    assert gaps(run([add(2, yields=True), NOP]).issues()[:2]) == [2]


def test_stall_zero_with_yield_waits_45() -> None:
    assert gaps(run([add(2, stall=0, yields=True), NOP]).issues()[:2]) == [45]


def test_yield_lets_another_warp_in() -> None:
    # Given two warps of one sub-core whose every instruction yields
    lines = [op("NOP", 8), *[op("NOP", yields=True)] * 6]
    # When both are ready
    table = run(lines, block=256).rows(warp=None)[4:12]
    # Then they alternate without a bubble
    assert gaps(table["issue"].tolist()) == [1] * 7
    assert len(set(zip(table["warp"][:-1].tolist(), table["warp"][1:].tolist()))) == 2


# ---- dependence counters (section 4)

MUFU_RAW = 17  # issue to dependent issue on an sm_86 card (DocumentSASS)


@pytest.mark.parametrize("stall", [2, 3, 8])
def test_consumer_waits_for_the_counter(stall: int) -> None:
    lines = [op("MUFU.RCP R4, R2", stall, write=0), op("FADD R5, R4, R4", wait="0")]
    assert gaps(run(lines).issues()[:2]) == [MUFU_RAW]


def test_counter_is_not_yet_visible_to_the_directly_following_instruction() -> None:
    # Given a producer whose stall count is 1, not the 2 that its counter needs
    lines = [op("MUFU.RCP R4, R2", 1, write=0), op("FADD R5, R4, R4", wait="0"), NOP]
    # Then the consumer does not see the counter, and an instruction two cycles after the producer would
    assert gaps(run(lines).issues()[:3]) == [1, 1]
    lines = [op("MUFU.RCP R4, R2", 1, write=0), NOP, op("FADD R5, R4, R4", wait="0")]
    assert gaps(run(lines).issues()[:3]) == [1, MUFU_RAW - 1]


def test_yield_of_the_producer_serves_as_a_stall_of_2() -> None:
    lines = [op("MUFU.RCP R4, R2", 1, write=0, yields=True), op("FADD R5, R4, R4", wait="0")]
    assert gaps(run(lines).issues()[:2]) == [MUFU_RAW]


def test_other_counters_do_not_hold_a_consumer() -> None:
    lines = [op("MUFU.RCP R4, R2", 2, write=0), op("FADD R5, R6, R6", wait="12345")]
    assert gaps(run(lines).issues()[:2]) == [2]


@pytest.mark.parametrize("counter", range(6))
def test_every_counter_can_be_waited_for(counter: int) -> None:
    lines = [op("MUFU.RCP R4, R2", 2, write=counter), op("FADD R5, R4, R4", wait=str(counter))]
    assert gaps(run(lines).issues()[:2]) == [MUFU_RAW]


def test_a_counter_may_have_several_producers() -> None:
    # Given two producers of one counter, the SFU accepting one instruction in 8 cycles
    lines = [op("MUFU.RCP R4, R2", 1, write=0), op("MUFU.RCP R5, R2", 2, write=0), op("FADD R6, R4, R5", wait="0")]
    # Then the consumer waits for the later one
    first, second, consumer = run(lines).issues()[:3]
    assert second - first == 1
    assert consumer - first == MUFU_RAW + 8


# Three loads from shared memory on one counter: sources read 4 cycles apart, results visible 24, 28 and 32 after the
# first issue (sections 5.4, Tables 1 and 2).
THREE_LOADS = [op("NOP", 4), *[op(f"LDS R{4 + 2 * k}, [R2]", 1, write=0) for k in range(3)], op("NOP", 4)]


def after_depbar(text: str, *between: str) -> Run:
    """The three loads, DEPBAR with its stall count of 4, and an instruction behind it."""
    loads = [*THREE_LOADS[:-1], *between, THREE_LOADS[-1]]
    return run([*loads, op(text, 4), op("FADD R30, RZ, 1")], directives=".shared 1024")


@pytest.mark.parametrize(("limit", "after"), [(0, 32), (1, 28), (2, 24)])
def test_depbar_waits_until_its_counter_is_at_most_the_limit(limit: int, after: int) -> None:
    result = after_depbar(f"DEPBAR.LE SB0, {hex(limit)}")
    assert result.issues("FADD")[0] - result.issues("LDS")[0] == after


def test_depbar_with_a_limit_that_holds_already_does_not_wait() -> None:
    assert after_depbar("DEPBAR.LE SB0, 0x3").distance("DEPBAR", "FADD") == 4


def test_depbar_waits_until_its_listed_counters_are_zero() -> None:
    # Given a later load on another counter, which completes 36 cycles after the first issue (whether DEPBAR itself
    # waits or what follows it is not measured)
    result = after_depbar("DEPBAR.LE SB0, 0x2, {3}", op("LDS R10, [R2]", write=3))
    assert result.issues("FADD")[0] - result.issues("LDS")[0] >= 36


@pytest.mark.parametrize(("stall", "held"), [(1, False), (3, False), (4, True), (5, True)])
def test_depbar_needs_a_stall_count_of_4_to_hold_the_next_instruction(stall: int, held: bool) -> None:
    result = run([*THREE_LOADS, op("DEPBAR.LE SB0, 0x0", stall), op("FADD R30, RZ, 1")], directives=".shared 1024")
    assert (result.distance("DEPBAR", "FADD") == stall) is not held


# Figure 2: three global loads of one warp. SB0 is raised by the second and third (their sources), SB3 by the first and
# second, SB4 by the third (their data).
FIGURE_2 = [
    op("LDG.E R5, [R12.64]", 1, write=3),
    op("LDG.E R7, [R12.64]", 1, read=0, write=3),
    op("LDG.E R15, [R12.64+0x80]", 2, read=0, write=4),
    op("IADD3 R18, R18, R18, R18", 1),
    op("DEPBAR.LE SB0, 0x1", 4),
    op("IADD3 R21, R3, R3, R3", 1),
    op("IADD3 R6, R1, R7, R5", 1, wait="03"),
]


def figure_2() -> np.ndarray:
    """Timeline rows of the seven instructions in their second pass (data in L1), the first issue counted as cycle 1."""
    pointer = [op("LDC.64 R12, c[0x0][0x160]", 2, write=5), op("NOP", 4, wait="5")]
    table = run([*pointer, *FIGURE_2, *[op("NOP", 0, yields=True)] * 30, *FIGURE_2]).rows()[-8:-1].copy()
    start = table["issue"][0] - 1
    for stage in ("issue", "control", "read", "write_back"):
        table[stage] -= start
    return table


def test_figure_2_issue_and_control() -> None:
    table = figure_2()
    # The figure's last entry, 36, is one less than Table 2 says: RAW 32 of the second load (issued in 2), whose registers
    # are read 4 cycles after its turn; DEPBAR lets go in 15 or, by Table 2's WAR of 11, in 16.
    assert table["issue"][:5].tolist() == [1, 2, 3, 5, 6]
    assert table["control"][:5].tolist() == [2, 3, 4, 6, 7]
    assert table["issue"][5:].tolist() == [16, 37]


def test_figure_2_register_reads_of_the_loads() -> None:
    assert figure_2()["read"][:3].tolist() == [7, 11, 15]


# ---- which warp issues (section 5.1.2)


def schedule(table: np.ndarray) -> list[tuple[int, int, int]]:
    """(warp, first cycle, end) of every uninterrupted stretch of one warp, from the first issue on."""
    stretches: list[list[int]] = []
    start = int(table["issue"][0])
    for warp, issue in zip(table["warp"].tolist(), (table["issue"] - start).tolist()):
        if stretches and stretches[-1][0] == warp and stretches[-1][2] == issue:
            stretches[-1][2] = issue + 1
        else:
            stretches.append([warp, issue, issue + 1])
    return [tuple(stretch) for stretch in stretches]


def measured_section(name: str, sub_core: int, *overrides: str) -> list[tuple[int, int, int]]:
    """Schedule of the 32 measured instructions of each warp in their second pass."""
    table = simulate_small(micro_trace(name), *overrides).rows(sub_core=sub_core, warp=None)
    code = micro_trace(name).launches[0].program
    first = next(i for i in range(len(code)) if code.opcode_of(i) == "FADD")
    inside = (table["pc"] >= 16 * first) & (table["pc"] < 16 * (first + 32))
    table = table[inside]
    second = [table[table["warp"] == warp][32:] for warp in range(4)]
    begin = min(part["issue"][0] for part in second)
    return schedule(table[table["issue"] >= begin])


@pytest.mark.parametrize("sub_core", range(4))
def test_figure_4b_order_after_a_stall_of_4(sub_core: int) -> None:
    # The figure's 102 is one later than Listing 2 allows: W0's second instruction issues in cycle 97, the next in 101.
    expected = [(3, 0, 2), (2, 2, 4), (1, 4, 6), (3, 6, 36), (2, 36, 66), (1, 66, 96), (0, 96, 98), (0, 101, 131)]
    assert measured_section("figure4_b", sub_core) == expected


@pytest.mark.parametrize("sub_core", range(4))
def test_figure_4c_order_after_a_yield(sub_core: int) -> None:
    expected = [(3, 0, 2), (2, 2, 4), (3, 4, 34), (2, 34, 64), (1, 64, 66), (0, 66, 68), (1, 68, 98), (0, 98, 128)]
    assert measured_section("figure4_c", sub_core) == expected


@pytest.mark.parametrize("sub_core", range(4))
def test_figure_4a_order_with_an_instruction_line_on_its_way(sub_core: int) -> None:
    table = simulate_small(micro_trace("figure4_a")).rows(sub_core=sub_core, warp=None)
    measured = table[table["pc"] >= 16 * 16]
    assert schedule(measured) == [(3, 0, 16), (2, 16, 48), (3, 48, 64), (1, 64, 96), (0, 96, 128)]


# ---- constant operands (sections 5.1.1 and 5.4)

LINE_IN_LDC_CACHE = [op("LDC R4, c[0x0][0x160]", 2, write=0), op("NOP", 11, wait="0")]


def test_constant_miss_costs_79_cycles_when_the_line_is_in_the_ldc_cache() -> None:
    lines = [*LINE_IN_LDC_CACHE, op("FADD R5, RZ, c[0x0][0x160]", 1), op("FADD R6, RZ, c[0x0][0x164]", 1)]
    nop, miss, hit = run(lines).issues()[1:4]
    assert miss - nop - 11 == 79
    assert hit - miss == 1


@pytest.mark.parametrize("offset", ["0x140", "0x160", "0x17c"])
def test_constant_of_the_same_line_hits(offset: str) -> None:
    lines = [op("FADD R5, RZ, c[0x0][0x160]", 11), op(f"FADD R6, RZ, c[0x0][{offset}]", 1)]
    assert gaps(run(lines).issues()[:2]) == [11]


@pytest.mark.parametrize(("offset", "wait"), [("0x180", 79), ("0x1fc", 79), ("0x200", 298 + 141), ("0x0", 109)])
def test_constant_of_another_line_misses_up_to_its_256_bytes(offset: str, wait: int) -> None:
    # Given an operand that has brought its 256 bytes to the first-level cache, then one of another line of L0
    lines = [op("FADD R5, RZ, c[0x0][0x160]", 11), op(f"FADD R6, RZ, c[0x0][{offset}]", 1)]
    result = run(lines).result
    waits = result.pc_stalls[:2, list(result.stalls).index("imc_miss")]
    assert waits.tolist() == [298 + 141, wait]


@pytest.mark.parametrize("hold", [4, 0, 7])
def test_constant_miss_of_the_greedy_warp_stops_all_issue_for_4_cycles(hold: int) -> None:
    # Given two warps of a sub-core, the younger of which meets a miss while the older is ready
    lines = [*LINE_IN_LDC_CACHE, op("BAR.SYNC 0x0", 5), op("NOP", 1), op("FADD R5, RZ, c[0x0][0x160]", 1)]
    result = run(lines, f"sm.sub_core.issue.constant_miss_hold={hold}", block=256)
    # Then the older issues its next instruction after the hold, not in the cycle after the younger's last
    table = result.rows("NOP", warp=None)[-2:]
    assert table["warp"].tolist() in ([1, 0], [0, 1])
    assert gaps(table["issue"].tolist()) == [1 + hold]
    assert result.stalls["imc_miss"] > 79


# ---- unit latches (sections 5.1.1 and 5.3, Ampere whitepaper)


def steady(text: str, card: str = "a6000") -> list[int]:
    """Issue distances of six independent instructions."""
    lines = [op("NOP", 11), *[op(text.replace("Rd", f"R{20 + k}")) for k in range(6)]]
    return gaps(run(lines, card=card).issues()[1:7])


def test_integer_unit_is_half_a_warp_wide() -> None:
    assert steady("IADD3 Rd, RZ, RZ, RZ") == [2] * 5


@pytest.mark.boundscheck
def test_fp32_issues_every_cycle_on_ampere() -> None:
    assert steady("FFMA Rd, RZ, RZ, RZ") == [1] * 5


def test_fp32_issues_every_second_cycle_on_turing() -> None:
    assert steady("FFMA Rd, RZ, RZ, RZ", "rtx2080ti") == [2] * 5


def test_integer_multiply_add_uses_only_the_fp32_pipe() -> None:
    assert steady("IMAD Rd, RZ, RZ, RZ") == [2] * 5


def test_two_clock_reads_do_not_issue_back_to_back() -> None:
    assert steady("CS2R.32 Rd, SR_CLOCKLO") == [2] * 5


def test_fp32_and_integer_share_a_cycle_pair() -> None:
    lines = [op("NOP", 11)]
    for k in range(3):
        lines += [op(f"IADD3 R{20 + 2 * k}, RZ, RZ, RZ"), op(f"FADD R{21 + 2 * k}, RZ, RZ")]
    assert gaps(run(lines).issues()[1:7]) == [1] * 5


@pytest.mark.parametrize("block", [0, 1, 3])
def test_integer_multiply_add_blocks_the_issue_port(block: int) -> None:
    lines = [op("NOP", 11), op("IMAD R20, RZ, RZ, RZ"), NOP]
    assert gaps(run(lines, f"sm.sub_core.issue.imad_port_block={block}").issues()[1:3]) == [1 + block]


def test_branch_refills_the_buffer_in_5_cycles() -> None:
    # 5 is the stall count that the compiler puts on a BRA
    lines = [op("NOP", 11), op("BRA `(NEXT)", 1), NOP, NOP, "NEXT:", NOP]
    result = run(lines)
    assert result.issues("NOP")[-1] - result.issues("BRA")[0] == 5


def test_timeline_issue_is_perfect_from_the_third_cycle_on() -> None:
    result = simulate_small(trace(kernel([NOP])), PERFECT, START_AT_ONCE)
    assert result.issues()[0] == 3
