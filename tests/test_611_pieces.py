"""Streams that come in pieces: the same result as whole ones, for pieces of any size, and memory for the pieces only."""

from __future__ import annotations

import random

import numpy as np
import pytest
from bundled_cases import CARDS, FOUR_SMS, assert_same, first_launch, reference
from microbench import kernel, op, simulate_small, trace
from reference.random_kernels import random_program
from trace_cases import in_pieces

from gpusim.config.loading import load_config
from gpusim.errors import GpusimError
from gpusim.model.setup import streams
from gpusim.model.setup.simulate import KernelRun, RunOptions, simulate
from gpusim.trace.trace import Trace

NAMES = ["ampere/histogram", "ampere/transpose", "ampere/reduction", "ampere/saxpy", "turing/histogram",
         "turing/transpose"]  # fmt: skip
OPTIONS = {
    "one thread": RunOptions(),
    "no skipping": RunOptions(skip=False),
    "windows of 1": RunOptions(window=1),
    "two threads": RunOptions(threads=2),
}


def check(name: str, longest: int, option: str) -> None:
    pieces = in_pieces(first_launch(name), longest)
    found = simulate_small(pieces, *FOUR_SMS, card=CARDS[name.split("/")[0]], options=OPTIONS[option])
    assert_same(found, reference(name, *FOUR_SMS))


@pytest.mark.parametrize("longest", [64, 257, 1 << 20])
@pytest.mark.parametrize("name", NAMES)
def test_pieces_of_any_size_change_no_result(name: str, longest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "AHEAD", 1)  # as late as it can be
    check(name, longest, "one thread")


@pytest.mark.parametrize("option", ["no skipping", "windows of 1", "two threads"])
@pytest.mark.parametrize("name", NAMES[:3])
def test_pieces_and_threads_change_no_result(name: str, option: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "AHEAD", 1)
    check(name, 64, option)


def test_a_sampled_run_takes_pieces_too() -> None:
    name, option = "ampere/vecadd", RunOptions(sample=20)
    expected = simulate_small(first_launch(name), *FOUR_SMS, options=option)
    found = simulate_small(in_pieces(first_launch(name), 8), *FOUR_SMS, options=option)
    assert found.result.sampled == expected.result.sampled
    assert found.result.sampled is not None
    assert_same(found, expected)


def check_random(seed: int) -> None:
    generator = random.Random(seed)
    program = random_program(seed, blocks=(32, 64, 160, 512), grids=(1, 3, 7))
    measured = trace.__wrapped__(program.text)
    overrides = [*program.overrides, f"sms={generator.choice((1, 2, 3))}"]
    expected = simulate_small(measured, *overrides, card=program.card)
    option = RunOptions(window=generator.choice([1, 5, None]), timeline=True)
    pieces = in_pieces(measured, generator.choice([1, 3, 16]))
    found = simulate_small(pieces, *overrides, card=program.card, options=option)
    assert_same(found, expected)
    assert np.array_equal(found.result.timeline, expected.result.timeline), program


@pytest.mark.boundscheck
@pytest.mark.parametrize("first", [0, 8])
def test_random_programs_in_pieces(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "AHEAD", 1)
    for seed in range(first, first + 8):
        check_random(seed)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(100, 300, 50))
def test_more_random_programs_in_pieces(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "AHEAD", 1)
    for seed in range(first, first + 50):
        check_random(seed)


# ---- what is in memory

LOOP = [
    op("LDC.64 R2, c[0x0][0x160]", 2, write=5),
    op("MOV R6, RZ", 4, wait="5"),
    "LOOP:",
    op("LDG.E R4, [R2.64]", 2, write=0),
    op("IADD3 R6, R6, 0x1, RZ", 5),
    op("ISETP.LT.AND P0, PT, R6, 0x1000, PT", 13, wait="0"),
    op("@P0 BRA `(LOOP)", 5),
]


def long_trace() -> Trace:
    return trace(kernel(LOOP, block=64, grid=4))


def places(run: KernelRun) -> int:
    """Instructions that the pools have given out at most."""
    return run.pools.allocators["stream"].end


def test_pools_hold_pieces_not_streams() -> None:
    whole, config = long_trace(), load_config("a6000", ["sms=2"])
    runs = [KernelRun(each.launches[0], config, RunOptions(), set()) for each in (whole, in_pieces(whole, 512))]
    results = [run.simulate() for run in runs]
    assert results[0].cycles == results[1].cycles
    assert places(runs[0]) > whole.warp_instructions * 0.9
    assert places(runs[1]) < whole.warp_instructions / 2
    longer = trace(kernel([line.replace("0x1000", "0x4000") for line in LOOP], block=64, grid=4))
    third = KernelRun(in_pieces(longer, 512).launches[0], config, RunOptions(), set())
    third.simulate()
    assert places(third) == places(runs[1])


def test_an_address_in_a_later_piece_that_cannot_be_is_refused() -> None:
    (launch,) = in_pieces(long_trace(), 512).launches
    for cta in launch.source.chunks:
        last = max(number for number in range(len(cta.warp)) if len(cta.read(number).records))
        cta.read(last).records["start"][-1] = 1 << 60
    with pytest.raises(GpusimError, match="outside the 49 bits"):
        simulate(Trace((launch,)), load_config("a6000", ["sms=2"]))


def test_a_deadlock_report_looks_back_no_further_than_is_loaded() -> None:
    (launch,) = in_pieces(long_trace(), 64).launches
    run = KernelRun(launch, load_config("a6000", ["sms=2"]), RunOptions(), set())
    run.state = run.pools.load_next(run.state)
    warp = run.state.warps[0]
    warp.active, warp.begin, warp.position, warp.end, warp.sequence, warp.counters = 1, 40, 42, 64, 1000, 1
    from gpusim.model.setup.deadlock import deadlock_report

    assert "SB" in deadlock_report(run.state, run.params, launch, "nothing moves")


def test_places_are_used_again() -> None:
    allocator = streams.Allocator()
    first = allocator.take(100)
    second = allocator.take(100)
    assert second >= first + 100
    allocator.give_back((first, 100))
    assert allocator.take(99) == first
    assert allocator.take(100) >= second + 100
    for length in (1, 2, 63, 64, 65, 1000, 4097, 1 << 20, (1 << 20) + 1):
        assert length <= streams.rounded(length) <= max(1.25 * length, 16)
