"""Property: on random programs and small configurations, the compiled model issues as the plain reference does.

`tests/support/reference` follows docs/timing-model.md one cycle at a time and shares with the model only the table of static
instructions; what a scoreboard holds back, and for how long, it derives itself. Compared are total cycles, for every
instruction the cycles of its stages, and per static instruction the cycles that warps waited for each reason.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import zip_longest

import numpy as np
import pytest
from microbench import SMALL, trace
from reference.random_kernels import ALL, RandomProgram, random_program
from reference.scoreboard import CONSUMER_LIMIT, REFUSALS
from reference.sm import Outcome, ReferenceGpu

from gpusim.config.loading import load_config
from gpusim.model.setup.simulate import RunOptions, simulate
from gpusim.results.result import KernelResult
from gpusim.results.stalls import Stall
from gpusim.trace.trace import Launch

QUICK, DEEP = 200, 2000
PER_TEST = 50
STAGES = ("issue", "control", "allocate", "read", "execute", "write_back")
Row = tuple[int, ...]  # static index, sequence, cycles of STAGES


def model_rows(result: KernelResult) -> dict[tuple[int, int, int], list[Row]]:
    """Per (SM, sub-core, local warp) the instructions in the order of issue."""
    rows = defaultdict(list)
    table = result.timeline
    for row in table[np.argsort(table["issue"], kind="stable")]:
        cycles = (max(int(row[stage]), -1) for stage in STAGES)
        rows[int(row["sm"]), int(row["sub_core"]), int(row["warp"])].append(
            (int(row["pc"]) // 16, int(row["sequence"]), *cycles)
        )
    return rows


def reference_rows(outcome: Outcome) -> dict[tuple[int, int, int], list[Row]]:
    rows = defaultdict(list)
    for (sm, sub_core), log in outcome.issued.items():
        for dynamic in sorted(log, key=lambda d: d.issue):
            row = dynamic.static.index, dynamic.sequence, *(getattr(dynamic, s) for s in STAGES)
            rows[sm, sub_core, dynamic.warp.local].append(row)
    return rows


def run_both(program: RandomProgram, extra: tuple[str, ...] = ()) -> tuple[Launch, KernelResult, Outcome]:
    """The launch of a program, and what model and reference make of it."""
    launched = trace.__wrapped__(program.text)
    config = load_config(program.card, [*SMALL, *program.overrides, *extra])
    result = simulate(launched, config, RunOptions(timeline=True)).kernels[0]
    return launched.launches[0], result, ReferenceGpu(launched.launches[0], config).run()


def parting(ours: Row | None, theirs: Row | None) -> int:
    """The first cycle in which two rows differ."""
    if ours and theirs:
        cycles = [cycle for pair in zip(ours[2:], theirs[2:]) if pair[0] != pair[1] for cycle in pair if cycle >= 0]
        if cycles:
            return min(cycles)
    return min(row[2] for row in (ours, theirs) if row)


def stall_differences(launch: Launch, result: KernelResult, outcome: Outcome) -> list[str]:
    """Static instructions and reasons of which model and reference count other warp-cycles."""
    texts, found = launch.program.text, []
    for index, per_reason in enumerate(result.pc_stalls):
        for reason in Stall:
            ours, theirs = int(per_reason[reason]), outcome.stalls[index, reason]
            if ours != theirs:
                found.append(f"{texts[index]}, {reason.name.lower()}: model {ours} cycles, reference {theirs}")
    return found


def difference(program: RandomProgram, launch: Launch, result: KernelResult, outcome: Outcome) -> str:
    """Empty where model and reference agree, else the program and the first difference."""
    model, reference = model_rows(result), reference_rows(outcome)
    found = [
        (parting(ours, theirs), warp, ours, theirs)
        for warp in sorted(model.keys() | reference.keys())
        for ours, theirs in zip_longest(model[warp], reference[warp])
        if ours != theirs
    ]
    stalls = stall_differences(launch, result, outcome)
    if not found and not stalls and result.cycles == outcome.cycles:
        return ""
    lines = [str(program), f"cycles: model {result.cycles}, reference {outcome.cycles}"]
    if found:
        _, warp, ours, theirs = min(found, key=lambda f: f[0])
        text = launch.program.text[(ours or theirs)[0]]
        lines += [
            f"first difference: SM {warp[0]}, sub-core {warp[1]}, warp {warp[2]}: {text}",
            f"index, sequence, {', '.join(STAGES)}",
        ]
        lines += [f"model     {ours}", f"reference {theirs}"]
    lines += stalls
    return "\n".join(lines)


def check(seeds: range, classes: tuple[str, ...] = ALL, extra: tuple[str, ...] = ()) -> Counter[str]:
    """How often scoreboards refused an instruction, by reason.

    Raises AssertionError with every program of the seeds on which model and reference differ.
    """
    wrong, refusals = [], Counter()
    for seed in seeds:
        program = random_program(seed, classes)
        launch, result, outcome = run_both(program, extra)
        refusals += outcome.refusals
        if text := difference(program, launch, result, outcome):
            wrong.append(text)
    assert not wrong, f"{len(wrong)} of {len(seeds)} programs differ\n\n" + "\n\n".join(wrong)
    return refusals


@pytest.mark.parametrize("first", range(0, QUICK, PER_TEST))
def test_model_and_reference_agree(first):
    check(range(first, first + PER_TEST))


MEMORY = ("global", "atomic", "copy", "local", "int")
SHARING = ("sms=3", "sm.ctas=1", "l2.slices=3", "l2.sets=4", "l2.ways=2", "interconnect.gpcs=2")
"""Three SMs that fight for an L2 of 24 lines and its DRAM."""


HALVES = ("l2.slices=4", "l2.partitions=2", "interconnect.far_latency=60")


@pytest.mark.parametrize(("first", "more"), [(5000, ()), (5020, HALVES)], ids=["one partition", "two halves"])
def test_sms_share_the_memory_system_as_the_reference_does(first, more):
    check(range(first, first + 20), MEMORY, (*SHARING, *more))


SMALL_INSTRUCTION_CACHES = (
    "sm.sub_core.fetch.prefetcher=stream_buffer",
    "sm.sub_core.fetch.stream_buffer_lines=8",
    "sm.sub_core.fetch.l0={sets: 1, ways: 1, line_bytes: 128}",
    "sm.instruction_hierarchy.l1={sets: 1, ways: 2, line_bytes: 128}",
    "sm.instruction_hierarchy.launch.code_bytes=640",
)


def test_replies_to_dropped_requests_are_ignored_as_in_the_reference():
    # In seed 7007 it asks again for a line, in the same place of the buffer, while the reply to the first request is on its way
    check(range(7005, 7010), extra=SMALL_INSTRUCTION_CACHES)


def test_who_asks_for_nothing_passes_a_queue_that_ecc_has_overfilled():
    check(range(1542, 1543))
    check(range(433, 434))


DEPENDENCE = "sm.sub_core.dependence"


@pytest.mark.parametrize("limit", [0, 1, 3, 63])
def test_scoreboards_hold_back_what_they_do_in_the_reference(limit):
    extra = (f"{DEPENDENCE}.mode=scoreboard", f"{DEPENDENCE}.max_consumers={limit}")
    refusals = check(range(6000 + 10 * limit, 6005 + 10 * limit), extra=extra)
    # Then the programs have met every rule, and a limit only where there is one within reach
    assert refusals.keys() == {*REFUSALS} - ({CONSUMER_LIMIT} if limit in (0, 63) else set())


@pytest.mark.slow
@pytest.mark.parametrize("first", range(QUICK, QUICK + DEEP, PER_TEST))
def test_model_and_reference_agree_on_many_programs(first, capsys):
    check(range(first, first + PER_TEST))
    with capsys.disabled():
        print(f" {first + PER_TEST - QUICK} of {DEEP} further random programs agree")
