"""Dependence by scoreboards: what holds an instruction back, the limit on consumers, and equal results.

arXiv 2503.20481 section 7.5 and Table 7. In this mode the control bits of every program here are ignored.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from microbench import SMALL, Run, gaps, kernel, op, run, trace

from gpusim.config.loading import load_config
from gpusim.hazards.check import check_hazards
from gpusim.model.setup.simulate import RunOptions, simulate
from gpusim.trace.store import open_trace

SCOREBOARD = "sm.sub_core.dependence.mode=scoreboard"
UNLIMITED = "sm.sub_core.dependence.max_consumers=0"
BUNDLED = Path(__file__).resolve().parent.parent / "traces"
ADDRESS = [op("MOV R6, c[0x0][0x160]", 1), op("MOV R7, c[0x0][0x164]", 11)]
SHARED = ".shared 1024"


def scored(lines: list[str], *overrides: str, **header: object) -> Run:
    return run(lines, SCOREBOARD, *overrides, **header)


# ---- a pending write: read or written again only when it is there


@pytest.mark.boundscheck
@pytest.mark.parametrize("stall", [1, 4, 9])
def test_a_dependent_issues_after_the_latency_whatever_the_stall_count(stall: int) -> None:
    assert gaps(scored([op("FADD R2, RZ, 1", stall), op("FADD R4, R2, 1")]).issues()[:2]) == [4]


def test_independent_instructions_issue_every_cycle_whatever_stall_and_yield() -> None:
    lines = [op(f"FADD R{2 + k}, RZ, 1", 9, yields=True) for k in range(4)]
    assert gaps(scored(lines).issues()[:4]) == [1, 1, 1]


@pytest.mark.parametrize(("key", "latency"), [("fp32.latency", 4), ("fp32.latency", 7)])
def test_latency_of_the_class_decides(key: str, latency: int) -> None:
    lines = [op("FADD R2, RZ, 1"), op("FADD R4, R2, 1")]
    assert gaps(scored(lines, f"{key}={latency}").issues()[:2]) == [latency]


@pytest.mark.parametrize(("stall", "wait"), [(1, ""), (2, "0")])
def test_a_variable_latency_result_is_waited_for_without_its_counter(stall: int, wait: str) -> None:
    lines = [op("MUFU.RCP R4, R2", stall, write=0), op("FADD R5, R4, R4", wait=wait)]
    assert gaps(scored(lines).issues()[:2]) == [17]


def test_wait_masks_and_depbar_are_ignored() -> None:
    lines = [op("MUFU.RCP R4, R2", 2, write=0), op("FADD R5, R3, R3", wait="0"), op("DEPBAR.LE SB0, 0x0", 4)]
    assert gaps(scored([*lines, op("FADD R8, R3, R3")]).issues()[:4]) == [1, 1, 1]


def test_an_address_waits_one_longer_than_a_fixed_latency_operand() -> None:
    # Listing 3: 4 to an FFMA, 5 to an LDG
    lines = [*ADDRESS, op("IADD3 R8, RZ, RZ, RZ"), op("STG.E [R6.64], R8")]
    result = scored(lines)
    assert result.distance("IADD3", "STG") == 5


@pytest.mark.parametrize(
    ("consumer", "distance"),
    [
        ("@P0 FADD R3, RZ, 1", 13),
        ("SEL R3, R2, R4, P0", 4),
        ("FSEL R3, R2, R4, P0", 4),
        ("HSETP2.GT.AND P1, PT, R2, R4, P0", 4),
        ("VOTE.ANY R3, PT, P0", 13),
        ("VOTEU.ANY UR4, UPT, P0", 13),
        ("BAR.RED.POPC 0x0, P0", 13),
        ("DSETP.GT.AND P1, PT, R2, R4, P0", 13),
        ("LDGSTS.E [RZ], [R6.64], P0", 13),
    ],
)
def test_a_predicate_is_later_for_a_guard_than_as_an_operand_of_an_alu(consumer: str, distance: int) -> None:
    result = scored([*ADDRESS, op("ISETP.NE.AND P0, PT, RZ, RZ, PT"), op(consumer)], directives=SHARED)
    assert gaps(result.issues()[2:4]) == [distance]


def test_a_destination_waits_for_the_pending_write() -> None:
    lines = [op("MUFU.RCP R4, R2", write=0), op("FADD R4, RZ, 1")]
    assert gaps(scored(lines).issues()[:2]) == [17]


def test_a_uniform_register_is_tracked() -> None:
    lines = [op("UIADD3 UR4, URZ, 0x1, URZ"), op("IADD3 R2, RZ, UR4, RZ")]
    assert gaps(scored(lines).issues()[:2]) == [4]


def test_an_instruction_held_in_allocate_delays_its_result() -> None:
    # Given two FFMAs with three sources in one bank each: the second waits 2 cycles for the read ports
    lines = [op("NOP", 11), op("FFMA R11, R20, R22, R24"), op("FFMA R13, R26, R28, R30"), op("FADD R15, R13, 1")]
    first, second, dependent = scored(lines).issues()[1:4]
    assert (second - first, dependent - second) == (1, 4 + 2)


# ---- readers: a register is overwritten when all have read it (WAR), and counts only so many


def store_then_write(width: str, *overrides: str) -> int:
    result = scored([*ADDRESS, op(f"STG.E{width} [R6.64], R8"), op("FADD R8, RZ, 1")], *overrides)
    return result.distance("STG", "FADD")


@pytest.mark.parametrize(("width", "cycles"), [("", 14), (".64", 16), (".128", 20)])
def test_a_source_of_a_store_is_overwritten_when_table_2_allows(width: str, cycles: int) -> None:
    assert store_then_write(width) == cycles


def test_a_fixed_latency_reader_holds_the_writer_until_its_operands_are_read() -> None:
    # Control, Allocate, and the window of 3 cycles
    lines = [op("NOP", 11), op("FADD R2, R4, 1"), op("FADD R4, RZ, 1")]
    assert gaps(scored(lines).issues()[1:3]) == [6]


def consumers(limit: int, block: int = 32) -> list[int]:
    """Issue distances of five instructions that read one register."""
    lines = [op("NOP", 11), *[op(f"FADD R{10 + k}, R4, 1") for k in range(5)]]
    return scored(lines, f"sm.sub_core.dependence.max_consumers={limit}").gaps()[1:5]


@pytest.mark.boundscheck
@pytest.mark.parametrize(
    ("limit", "expected"), [(1, [6, 6, 6, 6]), (3, [1, 1, 4, 1]), (7, [1] * 4), (63, [1] * 4), (0, [1] * 4)]
)
def test_a_register_has_at_most_so_many_consumers(limit: int, expected: list[int]) -> None:
    assert consumers(limit) == expected


def test_one_instruction_counts_once_per_register() -> None:
    lines = [op("FFMA R5, R4, R4, R4"), op("FFMA R6, R4, R4, R4")]
    assert gaps(scored(lines, "sm.sub_core.dependence.max_consumers=1").issues()[:2]) == [6]


def test_predicates_and_uniform_registers_have_no_consumer_count() -> None:
    # They are read at issue: the writer follows at once
    lines = [op("NOP", 11), op("SEL R3, R2, R4, P0"), op("ISETP.EQ.AND P0, PT, RZ, RZ, PT")]
    assert gaps(scored(lines, UNLIMITED).issues()[1:3]) == [2]  # the INT unit takes one in two cycles
    lines = [op("NOP", 11), op("IADD3 R2, RZ, UR4, RZ"), op("UIADD3 UR4, URZ, 0x1, URZ")]
    assert gaps(scored(lines, UNLIMITED).issues()[1:3]) == [1]


@pytest.mark.parametrize(
    ("last", "cycles"), [("NOP", 0), ("MUFU.RCP R4, R2", 14), ("MUFU.RCP RZ, R2", 14), ("ERRBAR", 2)]
)
def test_a_warp_stays_until_its_units_of_variable_latency_are_done(last: str, cycles: int) -> None:
    idle, found = (
        # EXIT takes no time to be resolved, or it would hide this
        scored([op("NOP", 11), op(line)], "sm.sub_core.issue.exit_resolution=0").result.cycles
        for line in ("NOP", last)
    )
    assert found - idle == cycles


# ---- stall reasons: by the producer


@pytest.mark.parametrize(
    ("producer", "reason"),
    [("LDG.E R4, [R6.64]", "long_scoreboard"), ("LDS R4, [RZ]", "short_scoreboard"), ("FADD R4, RZ, 1", "wait")],
)
def test_stall_reason_names_the_kind_of_producer(producer: str, reason: str) -> None:
    result = scored([*ADDRESS, op(producer), op("FADD R5, R4, 1")], directives=SHARED)
    issued = result.issues()
    per_pc = dict(zip(result.result.stalls, result.result.pc_stalls[3]))
    assert per_pc[reason] == issued[3] - issued[2] - 1


# ---- whole kernels: the same however they are simulated, free of hazards, slower with fewer consumers


def numbers(result) -> list[tuple]:
    return [(k.cycles, dict(k.counters), k.pc_stalls.tolist(), k.resident_warp_cycles) for k in result.kernels]


@pytest.mark.parametrize("name", ["ampere/reduction", "ampere/histogram", "turing/transpose"])
def test_result_depends_on_no_option(name: str) -> None:
    card = "a6000" if name.startswith("ampere") else "rtx2080ti"
    config = load_config(card, ["sms=4", SCOREBOARD, "sm.sub_core.dependence.max_consumers=3"])
    measured = open_trace(BUNDLED / name)
    plain = RunOptions()
    expected = numbers(simulate(measured, config, plain))
    for options in (replace(plain, threads=2), replace(plain, window=7)):
        assert numbers(simulate(measured, config, options)) == expected
    if name == "ampere/reduction":
        assert numbers(simulate(measured, config, replace(plain, skip=False))) == expected


def test_scoreboards_replace_missing_control_bits() -> None:
    # Given a chain of instructions without any dependence information
    lines = [op("LDS R4, [RZ]"), op("FADD R5, R4, 1"), op("MUFU.RCP R8, R5"), op("STS [RZ], R8")]
    # Then each waits for the one before
    assert scored(lines, directives=SHARED).gaps()[:3] == [23, 4, 17]


def test_control_bits_are_checked_in_this_mode_too() -> None:
    measured = trace(kernel([op("FADD R2, RZ, 1", 3), op("FADD R4, R2, 1")]))
    by_mode = [check_hazards(measured, load_config("a6000", mode)) for mode in ((), (SCOREBOARD,))]
    assert by_mode[0] == by_mode[1] != [()]


def test_more_consumers_are_not_slower() -> None:
    measured = open_trace(BUNDLED / "ampere/ffma")
    cycles = []
    for limit in (1, 3, 63, 0):
        config = load_config("a6000", [*SMALL, SCOREBOARD, f"sm.sub_core.dependence.max_consumers={limit}"])
        cycles.append(simulate(measured, config).kernels[0].cycles)
    assert cycles == sorted(cycles, reverse=True)
    assert cycles[0] > cycles[-1]


def test_every_resident_warp_cycle_has_a_reason() -> None:
    config = load_config("a6000", ["sms=4", SCOREBOARD])
    kernel_result = simulate(open_trace(BUNDLED / "ampere/reduction"), config).kernels[0]
    assert np.sum(kernel_result.pc_stalls) == kernel_result.resident_warp_cycles
