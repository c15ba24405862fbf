"""The SM and the GPU: CTA barriers, occupancy, CTA dispatch, and where every resident warp-cycle goes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from microbench import PAUSE, PERFECT, START_AT_ONCE, Run, kernel, op, run, simulate_small, trace

from gpusim.config.loading import load_config
from gpusim.errors import GpusimError
from gpusim.model.setup.card import occupancy
from gpusim.model.setup.simulate import MOST_WINDOWS, RunOptions, next_windows
from gpusim.results.stalls import STALL_REASONS
from gpusim.trace.store import open_trace
from gpusim.trace.trace import Trace

NOP = op("NOP")
TO_ADU = 9  # cycles from a BAR that nothing holds back to the ADU (paper 5.4, uniform address)
BUNDLED = Path(__file__).resolve().parent.parent / "traces" / "ampere"

# ---- CTA barriers


def last_warp_late(*behind: str) -> list[str]:
    """Of four warps, the last comes 3 pauses after the others to what follows."""
    return [
        op("S2R R0, SR_TID.X", 2, write=0),
        op("ISETP.GE.AND P0, PT, R0, 0x60, PT", 13, wait="0", yields=True),
        op("@!P0 BRA `(MEET)", 5),
        *[PAUSE] * 3,
        "MEET:",
        *behind,
    ]


@pytest.mark.boundscheck
@pytest.mark.parametrize("release", [1, 5])
def test_a_barrier_lets_all_warps_go_in_the_same_cycle(release: int) -> None:
    result = run(last_warp_late(op("BAR.SYNC 0x0"), op("FADD R5, RZ, 1")), f"sm.barriers.release={release}", block=128)
    arrivals = [result.issues("BAR", sub_core=k)[0] for k in range(4)]
    departures = [result.issues("FADD", sub_core=k)[0] for k in range(4)]
    assert max(arrivals) == arrivals[3] > max(arrivals[:3]) + 90
    assert departures == [arrivals[3] + TO_ADU + release] * 4


def test_waiting_at_a_barrier_is_a_barrier_stall() -> None:
    result = run(last_warp_late(op("BAR.SYNC 0x0"), op("FADD R5, RZ, 1")), block=128)
    arrivals = [result.issues("BAR", sub_core=k)[0] for k in range(4)]
    # from the cycle after the issue to the one before the departure
    departure = arrivals[3] + TO_ADU + 14
    assert result.stalls["barrier"] == sum(departure - arrival - 1 for arrival in arrivals)


def test_warps_that_have_ended_are_not_waited_for() -> None:
    lines = [
        op("S2R R0, SR_TID.X", 2, write=0),
        op("ISETP.GE.AND P0, PT, R0, 0x60, PT", 13, wait="0", yields=True),
        op("@P0 EXIT", 5),
        op("BAR.SYNC 0x0"),
    ]
    result = run([*lines, op("FADD R5, RZ, 1")], block=128)
    assert len(result.issues("FADD", sub_core=2)) == 1
    assert len(result.issues("FADD", sub_core=3)) == 0


def test_an_arrival_without_waiting() -> None:
    # Given a barrier of two warps at which warp 3 only arrives
    lines = last_warp_late(NOP)[:-1]
    lines = [*lines[:3], op("BAR.ARV 0x1, 0x40"), op("EXIT", 5), "MEET:"]
    lines += [op("ISETP.GE.AND P1, PT, R0, 0x20, PT", 13, yields=True), op("@P1 EXIT", 5), *[PAUSE] * 2]
    result = run([*lines, op("BAR.SYNC 0x1, 0x40"), op("FADD R5, RZ, 1")], block=128)
    # Then warp 0 goes on as soon as its own barrier is executed, and warp 3 has not waited
    assert result.issues("FADD")[0] - result.issues("BAR")[0] == TO_ADU + 14
    assert result.issues("EXIT", sub_core=3)[0] - result.issues("BAR", sub_core=3)[0] == 1


# ---- occupancy (CUDA C++ Programming Guide, technical specifications per compute capability)


@pytest.mark.parametrize(
    ("card", "warps", "registers", "shared", "ctas", "limit"),
    [
        ("a6000", 1, 16, 0, 16, "CTA slots"),
        ("a6000", 3, 16, 0, 16, "CTA slots"),
        ("a6000", 4, 16, 0, 12, "warps"),
        ("a6000", 24, 16, 0, 2, "warps"),
        ("a6000", 25, 16, 0, 1, "warps"),
        ("a6000", 8, 40, 0, 6, "warps"),
        ("a6000", 8, 41, 0, 5, "registers"),
        ("a6000", 8, 128, 0, 2, "registers"),
        ("a6000", 8, 129, 0, 1, "registers"),
        ("a6000", 8, 255, 0, 1, "registers"),
        ("a6000", 12, 255, 0, 0, "registers"),
        ("a6000", 1, 16, 49 * 1024, 2, "shared memory"),
        ("a6000", 1, 16, 49 * 1024 + 1, 1, "shared memory"),
        ("a6000", 1, 16, 99 * 1024, 1, "shared memory"),
        ("a6000", 1, 16, 99 * 1024 + 1, 0, "shared memory"),
        ("rtx2080ti", 8, 16, 0, 4, "warps"),
        ("rtx2080ti", 1, 16, 32 * 1024, 2, "shared memory"),
        ("rtx2080ti", 1, 16, 32 * 1024 + 1, 1, "shared memory"),
    ],
)
def test_occupancy(card: str, warps: int, registers: int, shared: int, ctas: int, limit: str) -> None:
    assert occupancy(load_config(card, []), warps, registers, shared) == (ctas, limit)


def test_a_cta_that_fits_no_sm_is_refused_with_the_reason() -> None:
    with pytest.raises(GpusimError, match="does not fit on an SM of NVIDIA RTX A6000: shared memory"):
        run([NOP], "shared_memory.options_kb=[0, 8, 16, 32, 64]", directives=f".shared {64 * 1024}")


# ---- CTA dispatch

CTA_ZERO_IS_LONG = [
    op("S2R R0, SR_CTAID.X", 2, write=0),
    op("ISETP.EQ.AND P0, PT, R0, RZ, PT", 13, wait="0", yields=True),
    op("@!P0 BRA `(END)", 5),
    *[PAUSE] * 40,
    "END:",
]


def issued_on(lines: list[str], grid: int, *overrides: str) -> list[np.ndarray]:
    """Issue cycles of EXIT on each of two SMs."""
    result = simulate_small(trace(kernel(lines, grid=grid)), PERFECT, "sms=2", *overrides)
    table = result.result.timeline
    ends = table[table["opcode"] == result.opcodes.index("EXIT")]
    return [ends["issue"][ends["sm"] == sm] for sm in range(2)]


@pytest.mark.parametrize(("grid", "expected"), [(1, [1, 0]), (2, [1, 1]), (3, [2, 1]), (5, [3, 2])])
def test_ctas_go_to_the_sms_in_turn(grid: int, expected: list[int]) -> None:
    assert [len(ends) for ends in issued_on([NOP], grid)] == expected


def test_a_free_place_is_refilled_whichever_sm_it_is_on() -> None:
    # Given one CTA a time per SM, the first of them long
    first, second = issued_on(CTA_ZERO_IS_LONG, 6, "sm.ctas=1")
    # Then all others run on the other SM
    assert len(first) == 1
    assert len(second) == 5
    assert second.max() < first.max()


@pytest.mark.parametrize("latency", [0, 10])
def test_a_cta_starts_after_the_end_of_another_and_the_launch_latency(latency: int) -> None:
    _, ends = issued_on(
        CTA_ZERO_IS_LONG,
        6,
        "sm.ctas=1",
        f"cta_launch_latency.cycles={latency}",
        "cta_launch_latency.ns=0",
        START_AT_ONCE,
    )
    # its EXIT leaves after ten cycles, and the place is filled in the next
    assert np.diff(ends).tolist() == [ends[0] + 11 + latency] * 4


def test_as_many_ctas_run_together_as_fit() -> None:
    # Given CTAs of 16 warps, of which 48 / 16 = 3 fit on an SM
    result = simulate_small(trace(kernel([PAUSE, PAUSE], block=512, grid=4)), PERFECT, START_AT_ONCE)
    starts = np.sort(result.result.timeline["issue"][result.result.timeline["sequence"] == 0])
    assert (starts < 45).sum() == 48
    assert len(starts) == 64
    assert result.counters["ctas_launched"] == 4


def test_occupancy_of_a_full_sm_is_one() -> None:
    result = simulate_small(trace(kernel([PAUSE] * 20, block=512, grid=3)), PERFECT, START_AT_ONCE)
    assert result.result.occupancy == pytest.approx(1.0, abs=0.05)
    one = simulate_small(trace(kernel([PAUSE] * 20, block=512, grid=1)), PERFECT, START_AT_ONCE)
    assert one.result.occupancy == pytest.approx(1 / 3, abs=0.02)


def test_launch_overhead_precedes_the_kernel() -> None:
    cycles = [run([NOP], f"kernel_launch_latency.cycles={latency}").result.cycles for latency in (0, 1000)]
    assert cycles[1] - cycles[0] == 1000


# ---- where the cycles go


def first_launch(name: str) -> Trace:
    bundled = open_trace(BUNDLED / name)
    return replace(bundled, launches=bundled.launches[:1])


def issued_per_pc(measured: Trace) -> np.ndarray:
    """Executions of each static instruction, all warps."""
    launch = measured.launches[0]
    counts = np.zeros(len(launch.program), np.int64)
    for chunk in launch.chunks():
        counts += np.bincount(chunk.index, minlength=len(counts))
    return counts


@pytest.mark.parametrize("name", ["histogram", "transpose", "reduction", "saxpy", "pointer_chase"])
def test_every_resident_warp_cycle_has_one_reason(name: str) -> None:
    measured = first_launch(name)
    result = simulate_small(measured, "sms=4", options=RunOptions()).result
    assert (result.pc_stalls >= 0).all()
    assert result.pc_stalls.sum() == sum(result.stalls.values()) == result.resident_warp_cycles
    assert result.pc_stalls[:, STALL_REASONS.index("selected")].tolist() == result.pc_issues.tolist()
    assert result.pc_issues.tolist() == issued_per_pc(measured).tolist()
    assert result.warp_instructions == measured.launches[0].warp_instructions == result.pc_issues.sum()


def test_a_warp_is_resident_until_its_last_instruction_has_drained() -> None:
    # EXIT's stall count of 5, 4 cycles until the exit is resolved, one of drain
    result = run([NOP, PAUSE], START_AT_ONCE, block=256)
    ends = [result.issues("EXIT", sub_core=k, warp=warp)[0] + 10 for k in range(4) for warp in range(2)]
    assert result.result.resident_warp_cycles == sum(ends)
    assert result.result.cycles - result.counters["launch_cycles"] == max(ends)


def reasons_of(result: Run, place: int) -> dict[str, int]:
    """Warp-cycles by reason of one static instruction, those that are not zero."""
    return {name: int(cycles) for name, cycles in zip(STALL_REASONS, result.result.pc_stalls[place]) if cycles}


LDS = op("LDS R4, [R2]", 2, write=0)
LDG = [op("LDC.64 R2, c[0x0][0x160]", 2, write=5), op("NOP", wait="5"), op("LDG.E R4, [R2.64]", 2, write=0)]
REASONS = {
    "stall count": ([op("NOP", 11), NOP], {"wait": 10}),
    "yield without stall": ([PAUSE, NOP], {"wait": 44}),
    "special function": (
        [op("NOP", 9), op("MUFU.RCP R4, R2", 2, write=0), op("NOP", wait="0")],
        {"wait": 1, "short_scoreboard": 15},
    ),
    "shared load": ([op("NOP", 9), LDS, op("NOP", wait="0")], {"wait": 1, "short_scoreboard": 22}),
    "L1 hit": ([*LDG, *[PAUSE] * 20, LDG[-1], op("NOP", wait="0")], {"wait": 1, "long_scoreboard": 30}),
    "busy unit": ([op("NOP", 9), op("IADD3 R4, RZ, RZ, RZ"), op("IADD3 R5, RZ, RZ, RZ")], {"math_pipe_throttle": 1}),
    "multiply-add blocks the port": ([op("NOP", 9), op("IMAD R4, RZ, RZ, RZ"), NOP], {"dispatch_stall": 1}),
    "taken branch": ([op("NOP", 9), op("BRA `(NEXT)"), "NEXT:", NOP], {}),
    "refill after a branch": ([op("NOP", 9), op("BRA `(NEXT)"), NOP, "NEXT:", NOP], {"branch_resolving": 4}),
    "constant in the LDC cache": (
        [op("LDC R4, c[0x0][0x160]", 2, write=0), op("NOP", 11, wait="0"), op("FADD R5, RZ, c[0x0][0x160]")],
        {"wait": 10, "imc_miss": 79},
    ),
    "fence": ([op("NOP", 9), op("MEMBAR.SC.CTA"), NOP], {"membar": 52}),
}


@pytest.mark.parametrize("case", REASONS)
def test_reason_and_its_cycles(case: str) -> None:
    lines, expected = REASONS[case]
    result = run(lines, directives=".shared 64")
    place = sum(not line.endswith(":") for line in lines) - 1
    assert reasons_of(result, place) == expected | {"selected": 1}


def test_a_full_memory_queue_throttles() -> None:
    result = run([op("NOP", 9), *[op(f"LDS R{4 + k}, [R2]") for k in range(12)]], directives=".shared 64")
    # Table 1: the sixth waits from 7 to 13
    assert reasons_of(result, 6) == {"mio_throttle": 6, "selected": 1}


def test_two_ready_warps_and_one_is_not_selected() -> None:
    result = run([op("NOP", 11), op("BAR.SYNC 0x0"), *[NOP] * 4], block=256)
    # on each of four sub-cores, the one that is not greedy waits for four NOPs and EXIT of the other
    assert reasons_of(result, 2)["not_selected"] == 4 * 5


def test_a_missing_instruction_is_no_instruction() -> None:
    result = simulate_small(trace(kernel([NOP])), START_AT_ONCE)
    first = int(result.result.timeline["issue"][0])
    assert reasons_of(result, 0) == {"no_instruction": first, "selected": 1}


def test_a_warp_that_waits_for_its_stores_drains() -> None:
    lines = [*LDG[:2], op("STG.E [R2.64], R4"), op("STG.E [R2.64], R5")]
    assert run(lines).stalls["drain"] > 1
    stalls = run([NOP]).stalls
    assert (stalls["wait"], stalls["branch_resolving"], stalls["drain"]) == (4, 4, 1)


def test_calls_of_compiled_code_grow_and_shrink_within_bounds() -> None:
    windows = 1
    for _ in range(100):  # a long trace interrupts calls for its next CTAs again and again
        windows = next_windows(windows, quick=True)
    assert windows == MOST_WINDOWS < 1 << 31
    for _ in range(100):
        windows = next_windows(windows, quick=False)
    assert windows == 1
