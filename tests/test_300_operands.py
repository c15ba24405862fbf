"""Operands: read ports over the three-cycle window, the register file cache, variable-latency reads.

Measured numbers are those of arXiv 2503.20481; the section is named with each.
"""

from __future__ import annotations

import pytest
from microbench import gaps, micro_trace, op, run, simulate_small

NOP = op("NOP")
TWO_PORTS = "sm.sub_core.register_file.read_ports=2"
NO_CACHE = "sm.sub_core.register_file.cache=false"
SETTLE = op("NOP", 11)

# ---- read ports (sections 3 and 5.3)


@pytest.mark.boundscheck
@pytest.mark.parametrize(("second", "elapsed"), [("odd_odd", 5), ("even_odd", 6), ("even_even", 7)])
def test_listing_1_bubbles_by_bank(second: str, elapsed: int) -> None:
    clocks = simulate_small(micro_trace(f"listing1_{second}")).rows("CS2R.32")
    assert gaps(clocks["issue"].tolist()[-2:]) == [elapsed]
    assert gaps(clocks["control"].tolist()[-2:]) == [elapsed]


@pytest.mark.parametrize("second", ["odd_odd", "even_odd", "even_even"])
def test_listing_1_has_no_bubble_with_two_ports(second: str) -> None:
    clocks = simulate_small(micro_trace(f"listing1_{second}"), TWO_PORTS).rows("CS2R.32")
    assert gaps(clocks["issue"].tolist()[-2:]) == [5]


@pytest.mark.parametrize("sources", ["R16, R19, R20", "R16, R18, R20"])
def test_a_port_conflict_does_not_delay_the_clock_read_behind(sources: str) -> None:
    # Given Listing 1 without the NOP before the second clock read: a conflict is met behind Control, where the clock is
    # read, so it cannot be felt (section 5.1.1)
    def elapsed(second: str) -> list[int]:
        lines = [SETTLE, op("CS2R.32 R24, SR_CLOCKLO"), NOP, op("FFMA R11, R10, R12, R14"), op(f"FFMA R13, {second}")]
        return run([*lines, op("CS2R.32 R26, SR_CLOCKLO")]).gaps("CS2R.32")

    assert elapsed(sources) == elapsed("R16, R19, R21")


def steady(text: str, *overrides: str) -> int:
    """Cycles per instruction of a long stream of one instruction (Rd: another register each time)."""
    lines = [SETTLE, *[op(text.replace("Rd", f"R{40 + k}")) for k in range(24)]]
    distances = run(lines, *overrides).gaps()[13:23]
    assert len(set(distances)) == 1
    return distances[0]


@pytest.mark.parametrize(
    ("text", "cycles"),
    [
        ("FMUL Rd, R2, R3", 1),  # different banks
        ("FMUL Rd, R2, R4", 2),  # same bank: one bubble
        ("FMUL Rd, R3, R5", 2),
        ("FFMA Rd, R2, R4, R6", 3),  # three in one bank: two bubbles
        ("FFMA Rd, R3, R5, R7", 3),
        ("FFMA Rd, R2, R4, R7", 2),
        ("FFMA Rd, R2, R3, R2", 1),  # one register twice is read once
        ("FFMA Rd, R2, R2, R2", 1),
        ("FFMA Rd, RZ, R4, RZ", 1),  # RZ is not read
    ],
)
def test_stream_is_limited_by_one_port_per_bank(text: str, cycles: int) -> None:
    assert steady(text) == cycles


@pytest.mark.parametrize(
    ("text", "cycles"), [("FMUL Rd, R2, R4", 1), ("FFMA Rd, R2, R4, R7", 1), ("FFMA Rd, R2, R4, R6", 2)]
)
def test_a_second_port_removes_bubbles(text: str, cycles: int) -> None:
    # three reads of one bank take two ports 1.5 cycles: two and one alternate
    if cycles == 2:
        lines = [SETTLE, *[op(text.replace("Rd", f"R{40 + k}")) for k in range(24)]]
        issued = run(lines, TWO_PORTS).issues()
        assert issued[24] - issued[14] == 15
    else:
        assert steady(text, TWO_PORTS) == cycles


def test_conflicts_are_counted() -> None:
    lines = [SETTLE, op("FFMA R40, R2, R4, R6"), op("FFMA R41, R8, R10, R12"), SETTLE]
    assert run(lines).counters["register_port_stall_cycles"] == 2
    assert run(lines, TWO_PORTS).counters["register_port_stall_cycles"] == 0


# ---- register file cache (section 5.3.1)

FIRST = op("IADD3 R1, R2.reuse, R3, R4", 4)
THIRD = op("IADD3 R10, R2, R12, R13", 4)
EXAMPLES = {
    "the second hits and does not keep": ("FFMA R5, R2, R7, R8", 1, 1),
    "the second hits and keeps": ("FFMA R5, R2.reuse, R7, R8", 1, 2),
    "the second has the register in another slot": ("FFMA R5, R7, R2, R8", 0, 1),
    "the second evicts it with its own register": ("FFMA R5, R4, R7, R8", 0, 0),
}


@pytest.mark.parametrize("example", EXAMPLES)
def test_register_file_cache_examples(example: str) -> None:
    text, after_second, after_third = EXAMPLES[example]
    second = op(text, 4)
    for lines, hits in (([FIRST, second], after_second), ([FIRST, second, THIRD], after_third)):
        counters = run(lines).counters
        assert counters["register_cache_hits"] == hits
        assert counters["register_reads"] == 3 * len(lines) - hits


@pytest.mark.boundscheck
def test_without_the_cache_every_operand_is_read() -> None:
    counters = run([FIRST, op("FFMA R5, R2.reuse, R7, R8", 4), THIRD], NO_CACHE).counters
    assert counters["register_cache_hits"] == 0
    assert counters["register_reads"] == 9


def test_a_hit_takes_no_port() -> None:
    # Given three even sources, of which the second instruction finds two in the cache
    lines = [
        SETTLE,
        op("FFMA R41, R2.reuse, R4.reuse, R7", 4),
        op("FFMA R43, R2, R4, R6"),
        op("FFMA R45, R3, R8, R10"),
        SETTLE,
    ]
    with_cache, without = run(lines), run(lines, NO_CACHE)
    assert with_cache.counters["register_port_stall_cycles"] == 0
    assert without.counters["register_port_stall_cycles"] == 1


def test_the_other_bank_of_a_slot_keeps_its_entry() -> None:
    lines = [FIRST, op("IADD3 R5, R7, R9, R11", 4), THIRD]  # slot A, odd
    assert run(lines).counters["register_cache_hits"] == 1


def test_entries_belong_to_one_warp() -> None:
    # Given two warps of a sub-core that take turns
    lines = [op("BAR.SYNC 0x0"), op("FFMA R1, R2.reuse, R3, R4", yields=True), op("FFMA R5, R2, R7, R9", yields=True)]
    alone, together = run(lines), run(lines, block=256)
    assert alone.counters["register_cache_hits"] == 1
    # Then each one's read of the slot takes away the other's entry
    table = together.rows("FFMA", warp=None)
    assert table["warp"].tolist() in ([0, 1, 0, 1], [1, 0, 1, 0])
    assert together.counters["register_cache_hits"] == 0


def test_memory_instructions_do_not_touch_the_cache() -> None:
    lines = [FIRST, op("LDS R6, [R2]", 4, write=0), op("NOP", 11), op("NOP", 11, wait="0"), THIRD]
    assert run(lines, directives=".shared 64").counters["register_cache_hits"] == 1


# ---- 64-bit operands and the tensor window


def test_a_register_pair_reads_one_register_of_each_bank() -> None:
    lines = [SETTLE, op("DADD R20, R2, R4", 2, write=0), op("NOP", wait="0")]
    assert run(lines).counters["register_reads"] == 4


# ---- variable-latency reads yield to fixed-latency ones (section 5.1.1)


def load_among(text: str) -> tuple[int, list[int]]:
    """Issue to dependent issue of an LDS with address R2, and Allocate cycles of the eight `text` behind it."""
    stream = [op(text.replace("Rd", f"R{41 + 2 * k}")) for k in range(8)]
    lines = [SETTLE, op("LDS R10, [R2]", 1, write=0), *stream, op("NOP", wait="0")]
    result = run(lines, directives=".shared 64")
    start = result.issues("LDS")[0]
    return result.distance("LDS", "NOP"), (result.rows("FFMA")["allocate"] - start).tolist()


def test_a_load_is_not_delayed_by_reads_of_the_other_bank() -> None:
    assert load_among("FFMA Rd, R3, R5, R7")[0] == 24


def test_fixed_latency_reads_go_before_those_of_a_load() -> None:
    raw, allocated = load_among("FFMA Rd, R4, R6, R8")
    assert raw > 24
    assert allocated == load_among("FFMA Rd, R3, R5, R7")[1]
