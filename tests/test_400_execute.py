"""Execution: latencies in the timeline, the result queue, write ports, variable-latency units.

Latencies are those of arXiv 2503.20481 where it measured them (4, and 5 for half precision), else the sources named in
configs/ampere.yaml. A fixed-latency result leaves its unit `latency` cycles after `execute`; nothing checks it.
"""

from __future__ import annotations

import pytest
from microbench import Run, gaps, op, run

SETTLE = op("NOP", 11)
FIXED = "sm.sub_core.execution.fixed"

# ---- fixed latency

MEASURED = [("FADD R5, RZ, R7", 4), ("FFMA R5, R7, R8, R9", 4), ("IADD3 R5, R7, R8, R9", 4), ("HADD2 R5, R7, R8", 5)]
FROM_COMPILER = [("IMAD.WIDE R4, R7, R8, R10", 6), ("ISETP.NE.AND P0, PT, R7, R8, PT", 13), ("UMOV UR4, 0x1", 4)]


@pytest.mark.boundscheck
@pytest.mark.parametrize(("text", "latency"), MEASURED + FROM_COMPILER)
def test_stages_of_a_fixed_latency_instruction(text: str, latency: int) -> None:
    # Given an instruction alone in the pipeline
    row = run([SETTLE, op(text), *[SETTLE] * 3]).rows()[1]
    # Then Control, Allocate and three read cycles follow its issue, one after the other
    assert row["control"] == row["issue"] + 1
    assert row["allocate"] == row["issue"] + 2
    assert row["read"] == (-1 if text.startswith("UMOV") else row["issue"] + 3)
    assert row["execute"] == row["issue"] + 6
    # and its result is written after its latency
    expected = -1 if text.startswith("UMOV") else row["execute"] + latency
    assert row["write_back"] == expected


def test_an_instruction_without_a_result_writes_nothing() -> None:
    rows = run([SETTLE, op("BRA `(NEXT)", 5), "NEXT:", SETTLE]).rows()
    assert rows["write_back"].tolist() == [-1] * len(rows)


@pytest.mark.parametrize(
    ("name", "text"), [("fp32", "FFMA R5, R7, R8, R9"), ("half", "HADD2 R5, R7, R8"), ("int", "IADD3 R5, R7, R8, R9")]
)
@pytest.mark.parametrize("latency", [3, 4, 7])
def test_latency_is_the_configured_one(name: str, text: str, latency: int) -> None:
    row = run([SETTLE, op(text), *[SETTLE] * 3], f"{FIXED}.{name}.latency={latency}").rows()[1]
    assert row["write_back"] - row["execute"] == latency


@pytest.mark.parametrize("interval", [1, 2, 4])
def test_unit_accepts_one_instruction_per_interval(interval: int) -> None:
    lines = [SETTLE, *[op(f"IADD3 R{20 + k}, RZ, RZ, RZ") for k in range(4)]]
    assert run(lines, f"{FIXED}.int.initiation_interval={interval}").gaps()[1:4] == [interval] * 3


# ---- result queue (section 5.3)

FADDS = [op(f"FADD R{20 + k}, RZ, 1") for k in range(48)]


def entries(count: int) -> str:
    return f"sm.sub_core.execution.result_queue_entries={count}"


def test_sixteen_entries_sustain_one_result_a_cycle() -> None:
    assert set(run([SETTLE, *FADDS]).gaps()[1:48]) == {1}


def test_an_entry_is_held_for_ten_cycles_so_that_eight_issue_in_ten() -> None:
    # Given an entry reserved at issue, the result of which leaves ten cycles later
    issued = run([SETTLE, *FADDS], entries(8)).issues()[1:]
    # Then eight issue back to back, and the ninth when the first has left
    assert gaps(issued[:8]) == [1] * 7
    assert issued[8] - issued[0] == 10
    assert issued[40] - issued[0] == 50


@pytest.mark.parametrize(("count", "distance"), [(10, 1), (9, 2)])
def test_ten_entries_are_the_fewest_without_a_bubble(count: int, distance: int) -> None:
    assert max(run([SETTLE, *FADDS], entries(count)).gaps()[1:48]) == distance


def test_instructions_without_a_result_need_no_entry() -> None:
    lines = [SETTLE, *FADDS[:8], op("NOP"), op("NOP")]
    assert set(run(lines, entries(8)).gaps()[1:10]) == {1}


def test_a_full_result_queue_is_a_dispatch_stall() -> None:
    few, many = run([SETTLE, *FADDS], entries(8)), run([SETTLE, *FADDS])
    assert few.stalls["dispatch_stall"] > many.stalls["dispatch_stall"] == 0


def test_two_results_of_one_bank_are_written_one_after_the_other_and_delay_nobody() -> None:
    # Given HADD2 with latency 5 and, a cycle later, FFMA with latency 4: both are ready in one cycle
    lines = [SETTLE, op("HADD2 R6, R7, R8"), op("FFMA R8, R3, R3, R3", 4), op("FADD R10, R8, R6"), *[SETTLE] * 3]
    result = run(lines)
    half, single, consumer = result.rows()[1:4]
    # Then the result queue writes one per cycle, and the consumer, fed by the bypass, issues as its producer's stall says
    assert half["execute"] + 5 == single["execute"] + 4
    assert single["write_back"] == half["write_back"] + 1
    assert consumer["issue"] == single["issue"] + 4


# ---- loads against results at the write port (section 5.3)


def load_and_add(offset: int, destination: int, *overrides: str) -> Run:
    """An LDS to R4 (even), a FADD issued `offset` cycles later, and an instruction that waits for the LDS."""
    load = op("LDS R4, [R2]", offset, write=0, yields=True)
    lines = [SETTLE, load, op(f"FADD R{destination}, RZ, 1"), op("IADD3 R8, RZ, RZ, RZ", wait="0")]
    return run(lines, *overrides, directives=".shared 64")


@pytest.mark.parametrize(("offset", "raw"), [(12, 24), (13, 25), (14, 24)])
def test_a_load_that_meets_a_result_at_the_write_port_comes_a_cycle_later(offset: int, raw: int) -> None:
    # LDS writes 23 cycles after its issue, FADD 10
    result = load_and_add(offset, 6)
    assert result.distance("LDS", "IADD3") == raw
    assert result.counters["write_port_conflicts"] == raw - 24


def test_no_clash_in_different_banks() -> None:
    assert load_and_add(13, 7).distance("LDS", "IADD3") == 24


def test_a_second_write_port_removes_the_clash() -> None:
    assert load_and_add(13, 6, "sm.sub_core.register_file.write_ports=2").distance("LDS", "IADD3") == 24


def written(first: str, second: str, between: list[int], ports: int) -> list[int]:
    """Write-backs of two results after the issue of the first, by NOPs of these stall counts; a line of LDC is there."""
    nops = [op("NOP", stall) for stall in between[1:]]
    pair = [op(first, between[0], write=3), *nops, op(second, write=0), op("NOP", 2), op("NOP", wait="03")]
    lines = [op("LDC R10, c[0x0][0x160]", 2, write=4), op("NOP", wait="4"), SETTLE, *pair]
    result = run(lines, f"sm.sub_core.register_file.write_ports={ports}", directives=".shared 64")
    rows = [result.rows(text.split()[0])[-1] for text in (first, second)]
    return [int(row["write_back"] - rows[0]["issue"]) for row in rows]


@pytest.mark.parametrize("register", [8, 9])
@pytest.mark.parametrize(
    ("first", "second", "between", "cycle"),
    [
        ("LDC.64 R4, c[0x0][0x160]", "LDS R{}, [0x10]", [3], 25),
        ("DADD R4, R2, R6", "MUFU.RCP R{}, R2", [11, 11, 5], 43),
    ],
    ids=["loads", "variable units"],
)
def test_of_two_results_of_one_cycle_the_one_known_first_gets_the_port(first, second, between, cycle, register) -> None:
    # Given two units whose results come in one cycle, the second to a single bank and with the lower counter
    second = second.format(register)
    assert written(first, second, between, 2) == [cycle, cycle]
    # Then with one port the instruction that went to its unit first writes first
    assert written(first, second, between, 1) == [cycle, cycle + 1]


# ---- variable-latency units


@pytest.mark.parametrize(
    ("text", "raw"),
    [("MUFU.RCP R4, R2", 17), ("DADD R4, R2, R6", 44), ("B2R.RESULT R4", 5)],
)
def test_variable_latency_from_issue_to_dependent_issue(text: str, raw: int) -> None:
    assert run([SETTLE, op(text, 2, write=0), op("FADD R8, RZ, 1", wait="0")]).distance(text.split()[0], "FADD") == raw


def test_fp64_is_a_cycle_slower_on_turing() -> None:
    lines = [SETTLE, op("DADD R4, R2, R6", 2, write=0), op("FADD R8, RZ, 1", wait="0")]
    assert run(lines, card="rtx2080ti").distance("DADD", "FADD") == 45


@pytest.mark.parametrize(("text", "war"), [("MUFU.RCP R4, R2", 6), ("DADD R4, R2, R6", 16)])
def test_sources_of_a_variable_latency_instruction_are_released(text: str, war: int) -> None:
    assert run([SETTLE, op(text, 2, read=0), op("FADD R2, RZ, 1", wait="0")]).distance(text.split()[0], "FADD") == war


def completions(texts: list[str], block: int = 32) -> list[int]:
    """Cycles from the first issue to when each instruction's own counter is zero, on the last sub-core of the CTA."""
    produce = [op(text, 1, write=k) for k, text in enumerate(texts)]
    wait = [op(f"FADD R{30 + k}, RZ, 1", wait=str(k)) for k in range(len(texts))]
    result = run([op("BAR.SYNC 0x0"), SETTLE, *produce, op("NOP"), *wait], block=block)
    core = block // 32 - 1
    start = result.issues(texts[0].split()[0], sub_core=core)[0]
    return [cycle - start for cycle in result.issues("FADD", sub_core=core)]


def test_special_functions_complete_in_order_eight_cycles_apart() -> None:
    assert completions([f"MUFU.RCP R{4 + k}, R2" for k in range(3)]) == [17, 25, 33]


def test_special_function_units_are_one_per_sub_core() -> None:
    assert completions(["MUFU.RCP R4, R2"], block=128) == [17]


def test_the_fp64_unit_is_shared_by_the_sub_cores() -> None:
    # Given one DADD on each of four sub-cores in the same cycle, 16 cycles of the unit each
    assert completions(["DADD R4, R2, R6"], block=128) == [44 + 3 * 16]


def test_variable_latency_instructions_check_no_unit_at_issue() -> None:
    # Given a queue of three before a unit that takes 8 cycles for each: back pressure comes through Control
    lines = [SETTLE, *[op(f"MUFU.RCP R{20 + k}, R2") for k in range(8)]]
    distances = run(lines).gaps()[1:8]
    assert distances[:4] == [1] * 4
    assert distances[-1] == 8


@pytest.mark.parametrize("queue", [1, 5])
def test_a_longer_queue_lets_more_issue_back_to_back(queue: int) -> None:
    lines = [SETTLE, *[op(f"MUFU.RCP R{20 + k}, R2") for k in range(queue + 4)]]
    distances = run(lines, f"sm.sub_core.execution.sfu.queue_entries={queue}").gaps()[1:]
    assert distances[: queue + 1] == [1] * (queue + 1)
    assert distances[queue + 2] == 8


# ---- matrix instructions of several passes (clock windows of a Turing GeForce card, gpgpu-sim/tensorcore-microbenchmarks)

PASS, PASS_LATENCY = 8, 14  # cycles of a pass, and from its start to the next one's


def matrix(accumulator: int, **control: object) -> str:
    return op(f"HMMA.1688.F32 R{accumulator}, R12, R10, R{accumulator}", 1, **control)


def matrix_run(*overrides: str, block: int = 32, count: int = 4) -> Run:
    chains = [matrix(20 + 4 * n, write=n) for n in range(count)]
    return run([SETTLE, *chains, op("NOP", wait="0123")], *overrides, block=block, card="rtx2080ti")


def test_a_lone_warp_waits_for_the_last_pass_of_its_matrix_instruction() -> None:
    assert matrix_run().gaps("HMMA") == [PASS_LATENCY, PASS + PASS_LATENCY, PASS + PASS_LATENCY]


def test_passes_of_two_warps_fill_the_unit() -> None:
    issued = sorted(matrix_run(block=256).rows("HMMA", warp=None)["issue"].tolist())
    assert gaps(issued)[3:] == [2 * PASS] * 4


def test_one_pass_waits_for_nothing() -> None:
    assert matrix_run("sm.sub_core.execution.tensor.fp32_accumulate_passes=1").gaps("HMMA") == [PASS] * 3


@pytest.mark.parametrize(("passes", "latency"), [(1, PASS_LATENCY), (2, 2 * PASS_LATENCY), (3, 3 * PASS_LATENCY)])
def test_the_counter_falls_with_the_last_pass(passes: int, latency: int) -> None:
    lines = [SETTLE, op("HMMA.1688.F32 R20, R12, R10, R20", 2, write=0), op("FADD R4, R20, RZ", wait="0")]
    found = run(lines, f"sm.sub_core.execution.tensor.fp32_accumulate_passes={passes}", card="rtx2080ti")
    assert found.distance("HMMA", "FADD") == latency
    row = found.rows("HMMA")[0]
    assert row["write_back"] == row["execute"] + latency


def test_an_f16_instruction_waits_behind_passes_of_its_warp() -> None:
    lines = [SETTLE, matrix(20, write=0), op("HMMA.1688.F16 R24, R12, R10, R24", 2, write=1), op("NOP", wait="01")]
    # the unit is the second pass's for 8 cycles from 14 on
    assert run(lines, card="rtx2080ti").distance("HMMA.1688.F32", "HMMA.1688.F16") == PASS_LATENCY + PASS
