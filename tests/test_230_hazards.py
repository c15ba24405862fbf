"""The hazard checker: silent on what compilers made, and exact about every planted fault.

A fault is one control field of a correct program changed: a stall count one too small, a wait or a counter left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from kernel_suite import SOURCES, opened, small_launch
from microbench import PERFECT, architecture_of, kernel, op, trace

import gpusim
from gpusim.cli.main import main
from gpusim.config.loading import load_config
from gpusim.config.models import GpuConfig
from gpusim.constants import NO_COUNTER
from gpusim.emulator.tracing import trace_in_memory
from gpusim.hazards.check import check_hazards
from gpusim.results.hazards import Hazard
from gpusim.results.result import KernelResult, Result
from gpusim.sass.program import Program
from gpusim.trace.store import open_trace
from gpusim.trace.trace import Trace

TRACES = Path(__file__).resolve().parent.parent / "traces"
ADDRESS = [op("MOV R6, c[0x0][0x160]", 1), op("MOV R7, c[0x0][0x164]", 11)]
SHARED = ".shared 1024"
DONE = op("NOP", 11, wait="012345")


def hazards(lines: list[str], *overrides: str, card: str = "a6000", **header: object) -> tuple[Hazard, ...]:
    text = kernel(lines, architecture=architecture_of(card), **header)
    return found_in(trace(text), load_config(card, overrides))


def found_in(measured: Trace, config: GpuConfig) -> tuple[Hazard, ...]:
    """Hazards of a trace's only launch."""
    (found,) = check_hazards(measured, config)
    return found


def only(found: tuple[Hazard, ...]) -> Hazard:
    assert len(found) == 1, found
    return found[0]


# ---- fixed latency: N is enough, N - 1 is one hazard that says N

PAIRS = [
    ("FADD R2, RZ, 1", "FADD R4, R2, 1", "R2", 4, "a6000"),
    ("FADD R2, RZ, 1", "MUFU.RCP R4, R2", "R2", 4, "a6000"),
    ("IADD3 R2, RZ, RZ, RZ", "IMAD R4, R2, R2, RZ", "R2", 4, "a6000"),
    ("IADD3 R8, RZ, RZ, RZ", "LDS R4, [R8]", "R8", 5, "a6000"),  # Listing 3
    ("IADD3 R8, RZ, RZ, RZ", "STS [RZ], R8", "R8", 5, "a6000"),
    ("IADD3 R8, RZ, RZ, RZ", "LDC R4, c[0x0][R8+0x160]", "R8", 4, "a6000"),
    ("IMAD.WIDE R8, RZ, RZ, RZ", "IMAD.WIDE R10, R3, R3, R8", "R8,R9", 6, "a6000"),
    ("IMAD.WIDE R8, RZ, RZ, RZ", "IADD3 R10, R8, RZ, RZ", "R8", 4, "a6000"),
    ("IMAD.WIDE R8, RZ, RZ, RZ", "LDS R10, [R8]", "R8", 5, "a6000"),
    ("ISETP.EQ.AND P0, PT, RZ, RZ, PT", "@P0 FADD R4, RZ, 1", "P0", 13, "a6000"),
    ("ISETP.EQ.AND P0, PT, RZ, RZ, PT", "@!P0 FADD R4, RZ, 1", "P0", 13, "a6000"),
    ("ISETP.EQ.AND P0, PT, RZ, RZ, PT", "@P0 FADD R4, RZ, 1", "P0", 12, "rtx2080ti"),
    ("ISETP.EQ.AND P0, PT, RZ, RZ, PT", "SEL R4, R2, R3, P0", "P0", 4, "a6000"),
    ("ISETP.EQ.AND P0, PT, RZ, RZ, PT", "PLOP3.LUT P1, PT, P0, PT, PT, 0x80, 0x0", "P0", 4, "a6000"),
    ("LOP3.LUT P0, RZ, R2, R3, RZ, 0xc0, !PT", "@P0 FADD R4, RZ, 1", "P0", 13, "a6000"),
    ("IADD3 R2, P0, R3, R4, RZ", "IADD3.X R5, R3, R4, RZ, P0, !PT", "P0", 4, "a6000"),
    ("HADD2 R2, R3, R3", "HADD2 R4, R2, R2", "R2", 4, "a6000"),
    ("HADD2 R2, R3, R3", "FADD R4, R2, 1", "R2", 5, "a6000"),
    ("HADD2 R2, R3, R3", "HADD2 R4, R2, R2", "R2", 6, "rtx2080ti"),
    ("ULDC UR4, c[0x0][0x160]", "IADD3 R4, RZ, UR4, RZ", "UR4", 2, "a6000"),
    ("UIADD3 UR4, URZ, 0x1, URZ", "IADD3 R4, RZ, UR4, RZ", "UR4", 4, "a6000"),
    ("UIADD3 UR4, URZ, 0x4, URZ", "LDS R4, [UR4]", "UR4", 4, "a6000"),
    ("UISETP.EQ.AND UP0, UPT, URZ, URZ, UPT", "USEL UR5, UR4, URZ, UP0", "UP0", 4, "a6000"),
]


def pair(producer: str, consumer: str, stall: int, card: str) -> tuple[Hazard, ...]:
    counter = {"write": 0} if consumer.split()[0].startswith(("LD", "MUFU")) else {}
    lines = [op(producer, stall, yields=stall > 11), op(consumer, 2, **counter), DONE]
    return hazards(["[B------:R-:W-:-:S11] ULDC UR9, c[0x0][0x160] ;", *lines], card=card, directives=SHARED)


@pytest.mark.boundscheck
@pytest.mark.parametrize(("producer", "consumer", "registers", "enough", "card"), PAIRS)
def test_a_stall_one_too_small_is_found(producer: str, consumer: str, registers: str, enough: int, card: str) -> None:
    assert pair(producer, consumer, enough, card) == ()
    found = pair(producer, consumer, enough - 1, card)
    assert [hazard.register for hazard in found] == registers.split(",")
    for hazard in found:
        assert (hazard.kind, hazard.producer_pc, hazard.consumer_pc) == ("RAW", 16, 32)
        assert (hazard.stall, hazard.counter, hazard.occurrences) == (enough, None, 1)
        assert hazard.producer.startswith(producer.split()[0])
        assert hazard.consumer.startswith(consumer.split()[0] if consumer[0] != "@" else "@")


@pytest.mark.parametrize(
    ("override", "enough"),
    [
        ("fp32.latency=7", 7),
        ("dependence.forwarding=[{producer: FADD, consumers: [fp32], latency: 3}]", 3),
        ("dependence.forwarding=[{producer: fp32, consumers: [FADD], latency: 6}]", 6),
    ],
)
def test_what_is_enough_follows_the_configuration(override: str, enough: int) -> None:
    lines = [op("FADD R2, RZ, 1", enough - 1), op("FADD R4, R2, 1", 5)]
    assert only(hazards(lines, override)).stall == enough


def test_instructions_between_count() -> None:
    # Given a producer, two instructions and the consumer 3 cycles later
    lines = [op("FADD R2, RZ, 1"), op("NOP"), op("NOP"), op("FADD R4, R2, 1")]
    hazard = only(hazards(lines))
    assert (hazard.producer_pc, hazard.consumer_pc, hazard.stall) == (0, 48, 2)
    assert "1 more between" in hazard.remedy


def test_a_long_stall_without_yield_is_not_honoured() -> None:
    lines = [op("ISETP.EQ.AND P0, PT, RZ, RZ, PT", 13), op("@P0 FADD R4, RZ, 1")]
    hazard = only(hazards(lines))
    assert (hazard.stall, "with yield" in hazard.remedy) == (13, True)


def test_bank_conflicts_do_not_lengthen_what_is_enough() -> None:
    # The required stall count does not change with port conflicts (section 5.3)
    lines = [op("NOP", 11), op("FFMA R11, R20, R22, R24"), op("FFMA R13, R26, R28, R30", 4), op("FADD R15, R13, 1")]
    assert hazards(lines) == ()


# ---- variable latency: a wait left out, a counter left out, a counter not yet visible

VARIABLE = ["LDG.E R4, [R6.64]", "LDS R4, [RZ]", "LDC R4, c[0x0][0x160]", "MUFU.RCP R4, R2", "S2R R4, SR_TID.X",
            "SHFL.IDX PT, R4, R2, RZ, 0x1f", "POPC R4, R2"]  # fmt: skip


@pytest.mark.parametrize("producer", VARIABLE)
@pytest.mark.parametrize("counter", [0, 5])
def test_a_wait_left_out_is_found(producer: str, counter: int) -> None:
    def program(wait: str) -> list[str]:
        return [*ADDRESS, op(producer, 2, write=counter), op("FADD R8, R4, 1", 2, wait=wait), DONE]

    assert hazards(program(str(counter)), directives=SHARED) == ()
    hazard = only(hazards(program(""), directives=SHARED))
    assert (hazard.kind, hazard.register, hazard.producer_pc, hazard.consumer_pc) == ("RAW", "R4", 32, 48)
    assert (hazard.stall, hazard.counter, hazard.remedy) == (None, counter, f"a wait for SB{counter}")


@pytest.mark.parametrize("producer", VARIABLE)
def test_a_write_counter_left_out_is_found(producer: str) -> None:
    lines = [*ADDRESS, op(producer, 2), op("FADD R8, R4, 1", 2, wait="0"), DONE]
    hazard = only(hazards(lines, directives=SHARED))
    assert (hazard.stall, hazard.counter) == (None, None)
    assert "write counter" in hazard.remedy


def test_a_counter_that_is_not_yet_visible_is_found() -> None:
    lines = [op("MUFU.RCP R4, R2", 1, write=0), op("FADD R8, R4, 1", 2, wait="0"), DONE]
    hazard = only(hazards(lines))
    assert (hazard.stall, hazard.counter) == (2, 0)


def test_a_depbar_that_lets_too_many_pass_is_found() -> None:
    def program(limit: int) -> list[str]:
        loads = [op(f"LDS R{4 + 2 * k}, [R2]", 2, write=0) for k in range(3)]
        return [*loads, op(f"DEPBAR.LE SB0, {limit:#x}", 4), op("FADD R12, R6, 1", 2), DONE]

    assert hazards(program(1), directives=SHARED) == ()
    hazard = only(hazards(program(2), directives=SHARED))
    assert (hazard.register, hazard.counter) == ("R6", 0)


def test_the_second_of_two_producers_of_a_counter_is_waited_for_too() -> None:
    lines = [op("MUFU.RCP R4, R2", 1, write=0), op("MUFU.RCP R5, R2", 2, write=0), op("FADD R6, R4, R5", wait="0")]
    assert hazards([*lines, DONE]) == ()


def test_units_complete_in_order_and_compilers_rely_on_it() -> None:
    # Given a result without a counter, and a later one of the same unit that is waited for
    for first, second in (("LDS R4, [RZ]", "LDS R5, [RZ]"), ("MUFU.RCP R4, R2", "POPC R5, R2")):
        lines = [op(first, 1), op(second, 2, write=0), op("FADD R6, R4, R5", wait="0"), DONE]
        assert hazards(lines, directives=SHARED) == ()
    # but not where the units differ
    lines = [op("LDS R4, [RZ]", 1), op("MUFU.RCP R5, R2", 2, write=0), op("FADD R6, R4, R5", wait="0"), DONE]
    assert only(hazards(lines, directives=SHARED)).register == "R4"


# ---- WAR and WAW


@pytest.mark.parametrize(
    "reader", ["STG.E [R6.64], R8", "STS [RZ], R8", "MUFU.RCP R4, R8", "SHFL.IDX PT, R4, R8, RZ, 0x1f"]
)
def test_a_register_that_is_still_to_be_read_is_protected(reader: str) -> None:
    def program(read: object, wait: str) -> list[str]:
        return [*ADDRESS, op(reader, 2, read=read), op("FADD R8, RZ, 1", 2, wait=wait), op("NOP", 11), op("NOP", 11)]

    assert hazards(program(1, "1"), directives=SHARED) == ()
    hazard = only(hazards(program(1, ""), directives=SHARED))
    assert (hazard.kind, hazard.register, hazard.counter, hazard.stall) == ("WAR", "R8", 1, None)
    assert (hazard.producer_pc, hazard.consumer_pc) == (32, 48)
    hazard = only(hazards(program("-", "1"), directives=SHARED))
    assert hazard.counter is None
    assert "read counter" in hazard.remedy


def test_waiting_for_a_load_protects_its_address() -> None:
    lines = [*ADDRESS, op("LDG.E R4, [R6.64]", 2, write=0), op("IADD3 R6, R6, 0x4, RZ", 2, wait="0"), DONE]
    assert hazards(lines) == ()


def test_waiting_for_a_group_of_copies_protects_their_addresses() -> None:
    def program(groups: int, limit: int) -> list[str]:
        copies = [op("LDGSTS.E [R9], [R6.64]", 2), *[op("LDGDEPBAR", 2, write=0)] * groups]
        wait = [op(f"DEPBAR.LE SB0, {limit:#x}", 4, yields=True), op("IADD3 R6, R6, 0x4, RZ", 2), DONE]
        return [*ADDRESS, *copies, *wait]

    assert hazards(program(1, 0), directives=SHARED) == ()
    assert hazards(program(2, 1), directives=SHARED) == ()
    for groups, limit in ((0, 0), (1, 1), (2, 2)):
        hazard = only(hazards(program(groups, limit), directives=SHARED))
        assert (hazard.kind, hazard.register) == ("WAR", "R6")


def test_a_writer_of_the_same_queue_reads_and_writes_later() -> None:
    lines = [*ADDRESS, op("STG.E [R6.64], R8", 1), op("LDS R8, [RZ]", 2, write=0), op("FADD R9, R8, 1", wait="0"), DONE]
    assert hazards(lines, directives=SHARED) == ()


def test_predicates_and_uniform_registers_are_read_at_issue() -> None:
    lines = [*ADDRESS, op("ISETP.EQ.AND P0, PT, RZ, RZ, PT", 13, yields=True)]
    lines += [op("@P0 STG.E [R6.64], R8", 1), op("ISETP.EQ.AND P0, PT, RZ, RZ, PT", 13, yields=True), DONE]
    assert hazards(lines) == ()


def test_a_pending_load_is_not_overtaken() -> None:
    def program(wait: str) -> list[str]:
        return [*ADDRESS, op("LDG.E R4, [R6.64]", 2, write=3), op("MOV R4, RZ", 5, wait=wait), DONE]

    assert hazards(program("3")) == ()
    hazard = only(hazards(program("")))
    assert (hazard.kind, hazard.register, hazard.counter) == ("WAW", "R4", 3)


@pytest.mark.parametrize(("stall", "enough"), [(1, 3), (2, 3), (3, None)])
def test_a_longer_latency_is_not_overtaken(stall: int, enough: int | None) -> None:
    # IMAD.WIDE writes after 6 cycles, MOV after 4
    found = hazards([op("IMAD.WIDE R4, RZ, RZ, RZ", stall), op("MOV R4, RZ", 5)])
    assert [(hazard.kind, hazard.stall) for hazard in found] == ([("WAW", enough)] if enough else [])


# ---- lanes and occurrences

HALVES = [
    *ADDRESS,
    op("S2R R0, SR_TID.X", 2, write=0),
    op("ISETP.GE.AND P0, PT, R0, 0x10, PT", 13, wait="0", yields=True),
]


def test_lanes_that_a_guard_excludes_are_free() -> None:
    lines = [*HALVES, op("@P0 LDG.E R4, [R6.64]", 2, write=0), op("@!P0 MOV R4, RZ", 4), op("@!P0 FADD R8, R4, 1", 2)]
    assert hazards([*lines, DONE]) == ()
    assert only(hazards([*lines, op("FADD R8, R4, 1", 2), DONE])).producer_pc == 64


def test_a_guard_that_lets_no_lane_pass_is_read_nevertheless() -> None:
    lines = [op("ISETP.NE.AND P0, PT, RZ, RZ, PT", 5), op("@P0 FADD R4, R5, 1", 2), op("NOP", 11), op("FADD R6, R4, 1")]
    assert only(hazards(lines)).register == "P0"


def test_an_instruction_that_is_predicated_off_writes_nothing() -> None:
    lines = [*ADDRESS, op("ISETP.NE.AND P0, PT, RZ, RZ, PT", 13, yields=True)]
    lines += [op("@P0 LDG.E R4, [R6.64]", 2, write=0), op("FADD R8, R4, 1", 2), DONE]
    assert hazards(lines) == ()


@pytest.mark.parametrize(("grid", "block"), [(1, 32), (1, 256), (8, 64)])
def test_occurrences_are_counted_over_warps_and_ctas(grid: int, block: int) -> None:
    found = hazards([op("FADD R2, RZ, 1", 3), op("FADD R4, R2, 1")], grid=grid, block=block)
    assert only(found).occurrences == grid * block // 32


def test_a_loop_carried_hazard_is_found_once_per_iteration() -> None:
    lines = [op("MOV R1, 0x4", 4), "LOOP:", op("FADD R9, R3, 1", 1), op("IADD3 R1, R1, -0x1, RZ", 4)]
    lines += [
        op("ISETP.NE.AND P1, PT, R1, RZ, PT", 13, yields=True),
        op("MUFU.RCP R3, R5", 2, write=0),
        op("@P1 BRA `(LOOP)", 5),
        DONE,
    ]
    hazard = only(hazards(lines))
    assert (hazard.register, hazard.kind, hazard.occurrences) == ("R3", "RAW", 3)


# ---- one correct program, every fault

CORRECT = [
    (op("S2R R0, SR_TID.X", 2, write=0)),
    (op("MOV R6, c[0x0][0x160]", 1)),
    (op("MOV R7, c[0x0][0x164]", 4)),
    (op("IMAD.WIDE R8, R0, 0x4, R6", 5, wait="0")),
    (op("LDG.E R10, [R8.64]", 1, write=1)),
    (op("LDG.E R11, [R8.64+0x80]", 2, write=2)),
    (op("ISETP.GE.AND P0, PT, R0, 0x8, PT", 13, yields=True)),
    (op("@P0 FADD R10, R10, 1", 4, wait="1")),
    (op("FFMA R12, R10, R11, R10", 5, wait="12")),
    (op("STG.E [R8.64], R12", 2, read=3)),
    (op("MUFU.RCP R13, R12", 2, write=4)),
    (op("FADD R12, R13, 1", 5, wait="34")),
    (op("STG.E [R8.64+0x80], R12", 1)),
]
STALLS = {2: 4, 3: 5, 6: 13, 7: 4, 8: 5, 11: 5}
"""Instructions that are followed by their consumer, and their stall counts: one less is a hazard."""
WAITS = {(3, 0): {("RAW", 0, 3), ("RAW", 0, 6)}, (7, 1): {("RAW", 4, 7), ("WAW", 4, 7)}, (8, 2): {("RAW", 5, 8)},
         (11, 3): {("WAR", 9, 11)}, (11, 4): {("RAW", 10, 11), ("WAR", 10, 11)}}  # fmt: skip
"""Waits by (instruction, counter) and the hazards without them."""


def changed(measured: Trace, index: int, **fields: int) -> Trace:
    """The trace with control fields of one instruction changed."""
    launch = measured.launches[0]
    instructions = launch.program.instructions.copy()
    for name, value in fields.items():
        instructions[name][index] = value
    program = replace(launch.program, instructions=instructions)
    return replace(measured, launches=(replace(launch, program=program), *measured.launches[1:]))


def places(measured: Trace) -> set[tuple[str, int, int]]:
    found = found_in(measured, load_config("a6000", [PERFECT]))
    return {(hazard.kind, hazard.producer_pc // 16, hazard.consumer_pc // 16) for hazard in found}


def correct() -> Trace:
    return trace(kernel(CORRECT))


def test_the_correct_program_has_no_hazard() -> None:
    assert places(correct()) == set()


@pytest.mark.parametrize("index", STALLS)
def test_every_stall_count_decremented_is_found(index: int) -> None:
    assert places(changed(correct(), index, stall=STALLS[index] - 1)) == {("RAW", index, index + 1)}


@pytest.mark.parametrize(("index", "counter"), WAITS)
def test_every_wait_cleared_is_found(index: int, counter: int) -> None:
    mask = int(correct().launches[0].program.instructions[index].wait_mask) & ~(1 << counter)
    assert places(changed(correct(), index, wait_mask=mask)) == WAITS[index, counter]


@pytest.mark.parametrize(("index", "consumers"), [(0, {3, 6}), (4, {7, 8}), (5, {8}), (10, {11})])
def test_every_write_counter_dropped_is_found(index: int, consumers: set[int]) -> None:
    found = places(changed(correct(), index, write_counter=NO_COUNTER))
    assert {(producer, consumer) for kind, producer, consumer in found if kind == "RAW"} == {
        (index, c) for c in consumers
    }


# ---- compiled programs: no hazard, and faults are found


BUNDLED = sorted(
    f"{folder.parent.name}/{folder.name}" for folder in TRACES.glob("*/*/") if (folder / "trace.json").exists()
)
CARDS = {"ampere": "a6000", "turing": "rtx2080ti"}


def found_anywhere(measured: Trace, card: str) -> list[Hazard]:
    """Hazards of all launches."""
    return [hazard for found in check_hazards(measured, load_config(card)) for hazard in found]


@pytest.mark.parametrize("name", [name for name in BUNDLED if name.split("/")[1] not in ("sgemm", "bigcode")])
def test_bundled_traces_have_no_hazard(name: str) -> None:
    assert found_anywhere(open_trace(TRACES / name), CARDS[name.split("/")[0]]) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in BUNDLED if name.split("/")[1] in ("sgemm", "bigcode")])
def test_large_bundled_traces_have_no_hazard(name: str) -> None:
    assert found_anywhere(open_trace(TRACES / name), CARDS[name.split("/")[0]]) == []


@pytest.mark.parametrize("card", CARDS.values())
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "bigcode")) for name in SOURCES]
)
def test_kernels_have_no_hazard(name: str, card: str) -> None:
    opened(name, architecture_of(card))  # skips what this architecture lacks
    assert found_anywhere(trace_in_memory(SOURCES[name], small_launch(name), architecture_of(card)), card) == []


def waits(program: Program, executed: np.ndarray) -> Iterator[tuple[int, int]]:
    """(index, counter) of every wait of an executed instruction."""
    for index in executed.tolist():
        mask = int(program.instructions[index].wait_mask)
        yield from ((index, counter) for counter in range(6) if mask >> counter & 1)


@pytest.mark.parametrize(
    ("name", "spare"),
    [
        ("ampere/vecadd", []),
        ("ampere/saxpy", [73]),  # the load that waits there overwrites an earlier store's address, in the same queue
        ("turing/vecadd", []),
        ("turing/collatz", []),
    ],
)
def test_every_wait_of_a_compiled_kernel_is_needed(name: str, spare: list[int]) -> None:
    measured = open_trace(TRACES / name)
    config = load_config(CARDS[name.split("/")[0]], ["sms=2"])
    program = measured.launches[0].program
    missed = []
    for index, counter in waits(program, np.unique(measured.launches[0].source.read(0).index)):
        mask = int(program.instructions[index].wait_mask) & ~(1 << counter)
        found = found_in(changed(measured, index, wait_mask=mask), config)
        if counter not in {hazard.counter for hazard in found}:
            missed.append(index)
    assert missed == spare


# ---- how it shows


def test_python_shows_what_was_found_beside_the_cycles() -> None:
    lines = [
        *HALVES,
        op("@P0 LDG.E R4, [R6.64]", 2, write=0),
        op("FADD R8, R4, 1", 2),
        op("STG.E [R6.64], R8", 2),
        DONE,
    ]
    measured, config = trace(kernel(lines, block=256, grid=8)), load_config("a6000", [PERFECT, "sms=2"])
    plain = gpusim.simulate(measured, config).kernels[0]
    checked = gpusim.simulate(measured, config, check_hazards=True).kernels[0]
    assert plain.hazards is None
    assert checked.hazards == found_in(measured, config) != ()
    assert checked.cycles == plain.cycles


FAULTY = [op("FADD R2, RZ, 1", 3), op("FADD R4, R2, 1", 4)]


def command(folder: Path, lines: list[str], *options: str) -> int:
    (folder / "test.sass").write_text(kernel(lines).replace(".param p", "#"))
    return main(["run", str(folder / "test.sass"), "--config", "a6000", "--set", "sms=1", *options])


def test_command_reports_both_lines_and_the_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(tmp_path, FAULTY, "--check-hazards") == 1
    text = capsys.readouterr().out
    for part in (
        "test: 1 hazard",
        "RAW R2, 1 times",
        "stall 4 instead of 3",
        "0000  FADD R2, RZ, 1",
        "0010  FADD R4, R2, 1",
    ):
        assert part in text
    assert command(tmp_path, [op("FADD R2, RZ, 1", 4), FAULTY[1]], "--check-hazards") == 0
    assert "test: no hazards" in capsys.readouterr().out
    assert command(tmp_path, FAULTY) == 0
    assert "hazard" not in capsys.readouterr().out


def test_command_lists_hazards_in_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(tmp_path, FAULTY, "--check-hazards", "--json", "--output", str(tmp_path / "result.json")) == 1
    row = json.loads(capsys.readouterr().out)["kernels"][0]
    assert [(h["kind"], h["register"], h["stall"]) for h in row["hazards"]] == [("RAW", "R2", 4)]
    loaded: KernelResult = Result.load(tmp_path / "result.json").kernels[0]
    assert [hazard.as_dict() for hazard in loaded.hazards] == row["hazards"]
    assert command(tmp_path, FAULTY, "--json") == 0
    assert "hazards" not in json.loads(capsys.readouterr().out)["kernels"][0]
