"""What must not change a result does not (idle skipping, windows, threads), and what must, does (every latency)."""

from __future__ import annotations

import numpy as np
import pytest
from bundled_cases import CARDS, FOUR_SMS, assert_same, first_launch, reference
from microbench import PAUSE, PERFECT, kernel, micro_trace, op, run, simulate_small, trace

from gpusim.config.loading import load_config
from gpusim.errors import GpusimError
from gpusim.model.setup.card import shortest_round_trip
from gpusim.model.setup.simulate import RunOptions

OPTIONS = {
    "no skipping": RunOptions(skip=False),
    "windows of 1": RunOptions(window=1),
    "windows of 37": RunOptions(window=37),
    "two threads": RunOptions(threads=2),
    "two threads, windows of 37": RunOptions(threads=2, window=37),
    "three threads, no skipping": RunOptions(threads=3, skip=False),
}


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("name", ["ampere/histogram", "ampere/transpose", "ampere/reduction", "turing/histogram"])
def test_how_it_is_simulated_changes_no_result(name: str, option: str) -> None:
    found = simulate_small(first_launch(name), *FOUR_SMS, card=CARDS[name.split("/")[0]], options=OPTIONS[option])
    assert_same(found, reference(name, *FOUR_SMS))


@pytest.mark.parametrize("option", ["windows of 37", "two threads, windows of 37"])
def test_stores_are_held_until_the_last_cta_has_left_whatever_the_windows(option: str) -> None:
    """All CTAs of an SM may end within a window while successors of some wait for its end to be placed."""
    measured, two_sms = first_launch("turing/transpose"), ("sms=2",)
    expected = simulate_small(measured, *two_sms, card="gtx1660super", options=RunOptions())
    assert_same(simulate_small(measured, *two_sms, card="gtx1660super", options=OPTIONS[option]), expected)


TWO_HALVES = (*FOUR_SMS, "l2.partitions=2", "interconnect.far_latency=154", "interconnect.gpcs=2", "l2.sets=4")


@pytest.mark.parametrize("option", ["no skipping", "windows of 37", "two threads"])
@pytest.mark.parametrize("name", ["ampere/histogram", "ampere/transpose"])
def test_copies_in_two_halves_of_l2_depend_on_nothing_else(name: str, option: str) -> None:
    expected = reference(name, *TWO_HALVES)
    assert_same(simulate_small(first_launch(name), *TWO_HALVES, options=OPTIONS[option]), expected)
    assert expected.result.cycles != reference(name, *FOUR_SMS, "l2.sets=4").result.cycles


@pytest.mark.slow
@pytest.mark.parametrize("option", ["no skipping", "windows of 1", "two threads"])
@pytest.mark.parametrize("name", ["vecadd", "saxpy", "sgemm", "ffma", "collatz", "pointer_chase"])
@pytest.mark.parametrize("family", ["ampere", "turing"])
def test_how_it_is_simulated_changes_no_result_of_any_bundled_trace(family: str, name: str, option: str) -> None:
    measured, card = first_launch(f"{family}/{name}"), CARDS[family]
    found = simulate_small(measured, "sms=16", card=card, options=OPTIONS[option])
    assert_same(found, reference(f"{family}/{name}", "sms=16"))


@pytest.mark.parametrize("name", ["figure4_a", "figure4_b", "listing1_even_even"])
@pytest.mark.parametrize("option", [RunOptions(skip=False, timeline=True), RunOptions(window=1, timeline=True)])
def test_every_stage_of_every_instruction_is_the_same(name: str, option: RunOptions) -> None:
    found, expected = simulate_small(micro_trace(name), options=option), simulate_small(micro_trace(name))
    np.testing.assert_array_equal(found.result.timeline, expected.result.timeline)
    assert_same(found, expected)


def test_recording_a_timeline_changes_no_result() -> None:
    assert_same(
        simulate_small(micro_trace("figure4_b"), options=RunOptions()), simulate_small(micro_trace("figure4_b"))
    )


def test_the_same_run_twice_gives_the_same_result() -> None:
    name = "ampere/transpose"
    assert_same(
        simulate_small(first_launch(name), *FOUR_SMS, options=RunOptions(threads=2)), reference(name, *FOUR_SMS)
    )


@pytest.mark.boundscheck
def test_several_waves_of_ctas_within_bounds() -> None:
    measured = trace(kernel(MIXED, block=128, grid=9, directives=SHARED))
    few = ("sms=2", "sm.ctas=2")
    expected = simulate_small(measured, *few, options=RunOptions())
    assert expected.counters["ctas_launched"] == 9
    assert_same(simulate_small(measured, *few, options=RunOptions(skip=False)), expected)


def test_the_longest_window_is_the_shortest_round_trip_to_l2() -> None:
    longest = shortest_round_trip(load_config("a6000", []))
    name = "ampere/histogram"
    assert_same(
        simulate_small(first_launch(name), *FOUR_SMS, options=RunOptions(window=longest)), reference(name, *FOUR_SMS)
    )
    with pytest.raises(GpusimError, match="allows at most"):
        simulate_small(first_launch(name), *FOUR_SMS, options=RunOptions(window=longest + 1))


# ---- no latency is a literal in code

SHARED = ".shared 64"
POINTER = [op("LDC.64 R2, c[0x0][0x160]", 2, write=5), op("NOP", 2, wait="5")]
MIXED = [
    *POINTER,
    op("S2R R0, SR_TID.X", 2, write=0),
    op("LDG.E R4, [R2.64]", 2, write=1),
    op("LDS R5, [RZ+0x10]", 2, wait="0", write=2),
    op("FADD R6, R4, R5", 4, wait="12"),
    op("BAR.SYNC 0x0", 1),
    op("STG.E [R2.64], R6", 2, read=3),
    op("MUFU.RCP R6, R6", 2, wait="3", write=4),
    op("NOP", 1, wait="4"),
]


def waits(text: str, counter: str = "write") -> list[str]:
    return [*POINTER, op(text, 2, **{counter: 0}), op("NOP", 1, wait="0")]


TWICE = [*waits("LDG.E R4, [R2.64]"), *[PAUSE] * 30, *waits("LDG.E R4, [R2.64]")]
SENSITIVE = {
    "sm.sub_core.fetch.hit_to_issue=4": MIXED,
    "sm.sub_core.fetch.branch_refill=7": [op("BRA `(NEXT)"), op("NOP"), "NEXT:", op("NOP")],
    "sm.sub_core.issue.yield_without_stall=46": [PAUSE],
    "sm.sub_core.issue.long_stall_wait=1": [op("NOP", 13)],
    "sm.sub_core.execution.sfu.raw=18": waits("MUFU.RCP R4, R2"),
    "sm.sub_core.execution.sfu.war=7": waits("MUFU.RCP R4, R2", "read"),
    "sm.sub_core.execution.fp64.raw=45": waits("DADD R4, R2, R2"),
    "sm.sub_core.execution.misc_queue.raw=6": waits("B2R.RESULT RZ, P0"),
    "sm.sub_core.execution.fixed.fp32.latency=30": [
        op("FADD R4, RZ, 1", 1, write=0),
        op("NOP", 2),
        op("NOP", wait="0"),
    ],
    "sm.sub_core.execution.fixed.int.initiation_interval=5": [op("IADD3 R4, RZ, RZ, RZ"), op("IADD3 R5, RZ, RZ, RZ")],
    "sm.sub_core.memory_queue.register_read=7": waits("LDG.E R4, [R2.64]"),
    "sm.sub_core.memory_queue.address_to_grant_regular=6": waits("LDG.E R4, [R2.64]"),
    "sm.instruction_hierarchy.l0_to_l1=40": [op("FADD R4, RZ, c[0x0][0x160]")],
    "sm.instruction_hierarchy.l1_to_l0=38": [op("FADD R4, RZ, c[0x0][0x160]")],
    "sm.instruction_hierarchy.launch.start=149": [op("NOP")],
    "sm.instruction_hierarchy.launch.gpc_latency=31": [op("FADD R4, RZ, c[0x0][0x28]")],
    "sm.memory_unit.l1_data.miss_latency=14": waits("LDG.E R4, [R2.64]"),
    "sm.memory_unit.l1_data.fill_latency=9": waits("LDG.E R4, [R2.64]"),
    "sm.memory_latency.global_load.regular.raw=[33, 34, 38]": TWICE,
    "sm.memory_latency.global_load.regular.war=[12, 11, 11]": waits("LDG.E R4, [R2.64]", "read"),
    "sm.memory_latency.shared_load.regular.raw=[25, 24, 26]": waits("LDS R4, [R2]"),
    "sm.memory_latency.shared_store.regular.war=[13, 14, 18]": waits("STS [R2], R4", "read"),
    "sm.memory_latency.constant_load.regular.raw=[30, 29, 29]": [*waits("LDC R4, c[0x0][R7+0x160]")] * 2,
    "sm.memory_latency.shuffle.raw=25": waits("SHFL.IDX PT, R4, R2, RZ, 0x1f"),
    "sm.memory_latency.special_register.raw=16": waits("S2R R4, SR_TID.X"),
    "sm.memory_latency.to_uniform.raw=16": waits("R2UR UR4, R2"),
    "sm.memory_unit.adu_interval=3": [
        op("S2UR UR4, SR_CTAID.X"),
        op("S2UR UR5, SR_CTAID.X", write=0),
        op("NOP", wait="0"),
    ],
    "sm.barriers.release=15": [op("BAR.SYNC 0x0")],
    "sm.barriers.membar_cta=54": [op("MEMBAR.SC.CTA"), op("NOP")],
    "interconnect.request_latency=55": waits("LDG.E R4, [R2.64]"),
    "interconnect.reply_latency=55": waits("LDG.E R4, [R2.64]"),
    "l2.latency=111": waits("LDG.E R4, [R2.64]"),
    "dram.latency=270": waits("LDG.E R4, [R2.64]"),
    "kernel_launch_latency.cycles=1841": MIXED,
}


@pytest.mark.parametrize("override", SENSITIVE)
def test_a_changed_latency_changes_the_result(override: str) -> None:
    lines = SENSITIVE[override]
    before = run(lines, block=128, directives=SHARED)
    after = run(lines, override, block=128, directives=SHARED)
    same_stages = np.array_equal(after.result.timeline, before.result.timeline)
    assert not same_stages or after.result.cycles != before.result.cycles


def test_overrides_of_the_configured_values_change_nothing() -> None:
    before = simulate_small(trace(kernel(MIXED, directives=SHARED)), PERFECT)
    after = simulate_small(
        trace(kernel(MIXED, directives=SHARED)), PERFECT, "l2.latency=110", "sm.sub_core.execution.sfu.raw=17"
    )
    assert_same(after, before)
