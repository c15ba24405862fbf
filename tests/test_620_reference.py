"""Property: on random programs and small configurations, the compiled model issues as the plain reference does.

`tests/reference` follows docs/timing-model.md one cycle at a time and shares with the model only the table of static
instructions. Compared are total cycles and, for every instruction, the cycles of its stages.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import zip_longest

import numpy as np
import pytest
from microbench import SMALL, trace
from reference.random_kernels import ALL, random_program
from reference.sm import Outcome, ReferenceGpu

from gpusim.config.loading import load_config
from gpusim.model.setup.simulate import RunOptions, simulate
from gpusim.results.result import KernelResult

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


def difference(seed: int, classes: tuple[str, ...] = ALL, extra: tuple[str, ...] = ()) -> str:
    """Empty where model and reference agree on the program of a seed, else the program and the first difference."""
    program = random_program(seed, classes)
    traced = trace.__wrapped__(program.text)
    config = load_config(program.card, [*SMALL, *program.overrides, *extra])
    result = simulate(traced, config, RunOptions(timeline=True)).kernels[0]
    gpu = ReferenceGpu(traced.launches[0], config)
    outcome = gpu.run()
    model, reference = model_rows(result), reference_rows(outcome)
    found = []
    for warp in sorted(model.keys() | reference.keys()):
        for ours, theirs in zip_longest(model[warp], reference[warp]):
            if ours != theirs:
                found.append((min(row[2] for row in (ours, theirs) if row), warp, ours, theirs))
                break
    if not found and result.cycles == outcome.cycles:
        return ""
    lines = [str(program), f"cycles: model {result.cycles}, reference {outcome.cycles}"]
    if found:
        _, warp, ours, theirs = min(found, key=lambda f: f[0])
        text = traced.launches[0].program.text[(ours or theirs)[0]]
        lines += [
            f"first difference: SM {warp[0]}, sub-core {warp[1]}, warp {warp[2]}: {text}",
            f"index, sequence, {', '.join(STAGES)}",
        ]
        lines += [f"model     {ours}", f"reference {theirs}"]
    return "\n".join(lines)


def check(seeds: range) -> None:
    """Raises AssertionError with every program of the range on which the two differ."""
    wrong = [text for text in map(difference, seeds) if text]
    assert not wrong, f"{len(wrong)} of {len(seeds)} programs differ\n\n" + "\n\n".join(wrong)


@pytest.mark.parametrize("first", range(0, QUICK, PER_TEST))
def test_model_and_reference_agree(first):
    check(range(first, first + PER_TEST))


MEMORY = ("global", "atomic", "copy", "local", "int")
SHARING = ("sms=3", "sm.ctas=1", "l2.slices=3", "l2.sets=4", "l2.ways=2", "interconnect.gpcs=2")
"""Three SMs that fight for an L2 of 24 lines and its DRAM."""


HALVES = ("l2.slices=4", "l2.partitions=2", "interconnect.far_latency=60")


@pytest.mark.parametrize(("first", "more"), [(5000, ()), (5020, HALVES)], ids=["one partition", "two halves"])
def test_sms_share_the_memory_system_as_the_reference_does(first, more):
    wrong = [text for seed in range(first, first + 20) if (text := difference(seed, MEMORY, (*SHARING, *more)))]
    assert not wrong, f"{len(wrong)} programs differ\n\n" + "\n\n".join(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(QUICK, QUICK + DEEP, PER_TEST))
def test_model_and_reference_agree_on_many_programs(first, capsys):
    check(range(first, first + PER_TEST))
    with capsys.disabled():
        print(f" {first + PER_TEST - QUICK} of {DEEP} further random programs agree")
