"""Sampling: the stopping rule, which CTAs are chosen, sampled launches and groups of launches beside whole ones, marks."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from cli_cases import call
from microbench import kernel, op, trace

import gpusim
from gpusim.config import load_config
from gpusim.constants import EXPLICIT
from gpusim.errors import GpusimError
from gpusim.model.setup.launch_groups import LaunchGroups, features
from gpusim.model.setup.sampling import (
    LEAST_WAVES,
    MEASURED_WAVES,
    Plan,
    SomeCtas,
    apportioned,
    half_width,
    van_der_corput,
)
from gpusim.model.setup.simulate import RunOptions, simulate
from gpusim.report.text import console_for, print_report
from gpusim.results.columns import SAMPLING_FRAME
from gpusim.results.result import Result
from gpusim.results.sampled import Sampled
from gpusim.trace.store import open_trace, write_trace
from gpusim.trace.trace import ChunkList, CtaChunk, Launch, Trace
from gpusim.validation.sampling import Row, load_suite, summary

CARD = ("sms=2", "sm.ctas=4", "l2.slices=4", "dram.channels=2")
WAVE = 8
"""CTAs that CARD has places for."""

# ---- kernels

START = [
    op("S2R R0, SR_CTAID.X", 2, write=0),
    op("S2R R1, SR_TID.X", 2, write=1),
    op("MOV R4, 0x4", 5),
    op("IMAD R7, R0, 0x40, R1", 5, wait="01"),
    op("LOP3.LUT R7, R7, 0xffff, RZ, 0xc0, !PT", 5),
    op("IMAD.WIDE R2, R7, R4, c[0x0][0x160]", 5),
    op("LDG.E R5, [R2.64]", 2, write=2),
    op("FADD R5, R5, R5", 5, wait="2"),
]
"""Each CTA reads words of its own."""


def turns(mask: int) -> list[str]:
    """A loop of 4 plus (5 * CTA & mask) turns."""
    return [
        op("IMAD R6, R0, 0x5, RZ", 5),
        op(f"LOP3.LUT R6, R6, {mask:#x}, RZ, 0xc0, !PT", 5),
        op("IADD3 R6, R6, 0x4, RZ", 5),
        "AGAIN:",
        op("FFMA R5, R5, R5, R5", 4),
        op("IADD3 R6, R6, -0x1, RZ", 5),
        op("ISETP.NE.AND P0, PT, R6, RZ, PT", 13),
        op("@P0 BRA `(AGAIN)", 5),
    ]


@cache
def launch(mask: int = 0, waves: int = 80) -> Launch:
    """Of that many waves and a bit on CARD, in several chunks."""
    made = trace(kernel([*START, *turns(mask)], block=64, grid=waves * WAVE + 3)).launches[0]
    (whole,) = made.source.chunks
    ctas = made.cta_count
    ends = [0, ctas // 6, ctas // 6 + 1, ctas // 2, ctas]
    pieces = SomeCtas(made.source, made.warps_per_cta)
    for first, end in pairwise(ends):
        pieces.choose(first, end - first)
    chunks = ChunkList(tuple(pieces.read(number) for number in range(len(ends) - 1)))
    assert chunks.instruction_counts.sum() == whole.warp_instructions
    return replace(made, source=chunks)


@cache
def card(*overrides: str):
    return load_config("a6000", [*CARD, *overrides])


def run(*launches: Launch, sample: float | None = None, threads: int = 1) -> Result:
    return simulate(Trace(launches), card(), RunOptions(sample=sample, threads=threads))


# ---- statistics


def test_half_of_the_confidence_interval():
    assert half_width([1.0, 2.0, 3.0]) == pytest.approx(4.303 / math.sqrt(3) / 2)
    assert half_width([7.0, 7.0]) == 0
    assert half_width([7.0]) == math.inf
    assert half_width([10.0, 11.0]) == pytest.approx(12.706 * math.sqrt(0.5) / math.sqrt(2) / 10.5)


@pytest.mark.parametrize("count", [6, 12, 50])
def test_the_confidence_interval_holds_the_mean_as_often_as_it_says(count):
    rng = np.random.default_rng(count)
    held = 0
    for _ in range(1000):
        rates = rng.normal(2.0, 0.1, count)
        held += abs(rates.mean() - 2.0) <= half_width(rates.tolist()) * rates.mean()
    assert 920 <= held <= 980


def test_whole_numbers_in_proportion():
    found = apportioned(np.array([[10, 20], [30, 0]]), 7)
    assert found.tolist() == [[1, 2], [4, 0]]  # 1.17, 2.33, 3.5
    assert apportioned(np.array([1, 1, 1]), 3_000_000_001).sum() == 3_000_000_001


def test_points_fall_into_the_large_gaps():
    assert [van_der_corput(number) for number in range(1, 8)] == [0.5, 0.25, 0.75, 0.125, 0.625, 0.375, 0.875]


# ---- which CTAs


@pytest.mark.parametrize("wave", [1, 7, 504])
@pytest.mark.parametrize("waves", [LEAST_WAVES, 113, 1000.3])
def test_stretches_lie_apart_from_each_other_and_leave_whole_waves_out(wave, waves):
    plan = Plan(math.ceil(waves * wave), wave)
    taken = np.zeros(plan.ctas, bool)
    taken[: plan.head] = True
    passes = 0
    while stretches := plan.next_pass():
        passes += 1
        assert stretches == sorted(stretches)
        for first in stretches:
            stretch = slice(first, first + plan.warm_up + MEASURED_WAVES * wave)
            assert not taken[stretch].any()
            taken[stretch] = True
        tail = plan.tail()
        assert not taken[plan.ctas - tail :].any()
        assert (plan.ctas - tail - taken.sum()) % wave == 0
    assert passes >= 2
    assert (~taken).sum() < plan.warm_up + MEASURED_WAVES * wave + 2 * wave + wave  # all that there is room for


def test_the_first_pass_of_a_long_grid_is_a_small_share_that_reaches_all_of_it():
    plan = Plan(100_000, 10)
    stretches = plan.next_pass()
    assert plan.expected < 0.01 * plan.ctas
    assert np.diff([0, *stretches, plan.ctas]).max() < 0.15 * plan.ctas


def accesses(chunk: CtaChunk) -> list:
    """What every warp does, without the places of arrays."""
    found = []
    for warp in range(len(chunk.instruction_start) - 1):
        steps = slice(*chunk.instruction_start[warp : warp + 2])
        rows = chunk.records[slice(*chunk.record_start[warp : warp + 2])].tolist()
        lists = [chunk.addresses[start : start + 1].tolist() if stride == EXPLICIT else start for start, stride in rows]
        found.append((chunk.index[steps].tolist(), chunk.mask[steps].tolist(), lists, [stride for _, stride in rows]))
    return found


def test_a_part_of_a_chunk_is_what_its_ctas_did():
    whole = open_trace(gpusim.resources.find("traces") / "ampere/histogram").launches[0]
    expected = [warp for chunk in whole.chunks() for warp in accesses(chunk)]
    chosen = SomeCtas(whole.source, whole.warps_per_cta)
    for first, count in ((0, 3), (40, 1), (11, 20)):
        chosen.choose(first, count)
        while chosen.waiting is not None:
            assert chosen.waiting >= first
            part = chosen.read(len(chosen.cta_counts))
            warps = slice(part.first_cta * whole.warps_per_cta, (part.first_cta + part.cta_count) * whole.warps_per_cta)
            assert accesses(part) == expected[warps]
    assert chosen.cta_counts.sum() == 24


# ---- a sampled launch


@pytest.mark.parametrize("mask", [0, 0x3F])
def test_a_sampled_launch_is_near_the_whole_one(mask):
    whole, sampled = run(launch(mask)).kernels[0], run(launch(mask), sample=5).kernels[0]
    assert whole.sampled is None
    mark = sampled.sampled
    assert mark is not None
    assert 0 < mark.share < 0.4
    assert mark.error_estimate <= 5
    assert sampled.cycles == pytest.approx(whole.cycles, rel=0.04)
    assert sampled.warp_instructions == whole.warp_instructions
    assert sampled.counters["ctas_launched"] == whole.counters["ctas_launched"]
    for name in ("sm_active_cycles", "l1_load_sectors", "register_reads"):
        assert sampled.counters[name] == pytest.approx(whole.counters[name], rel=0.05), name
    np.testing.assert_allclose(sampled.pc_issues, whole.pc_issues, rtol=0.06)
    assert sampled.occupancy == pytest.approx(whole.occupancy, rel=0.05)


def test_a_lower_bound_simulates_more_and_differs_less_from_the_whole():
    whole = run(launch(0x3F)).kernels[0]
    coarse, fine = (run(launch(0x3F), sample=bound).kernels[0] for bound in (50, 0.01))
    assert fine.sampled.share > 2 * coarse.sampled.share
    assert fine.sampled.error_estimate < coarse.sampled.error_estimate
    assert fine.cycles == pytest.approx(whole.cycles, rel=0.01)


def test_tables_of_a_sampled_launch_add_up(tmp_path):
    result = run(launch(0x3F), sample=5)
    (sampled,) = result.kernels
    assert sampled.pc_issues.sum() == sampled.warp_instructions
    assert sampled.pc_stalls.sum() == sampled.resident_warp_cycles
    result.save(tmp_path / "sampled.json")
    again = Result.load(tmp_path / "sampled.json")
    assert again.summary() == result.summary()
    assert again.kernels[0].sampled == sampled.sampled


def test_threads_do_not_change_a_sampled_launch():
    one, two = (run(launch(0x3F), sample=5, threads=threads).kernels[0] for threads in (1, 2))
    assert one.cycles == two.cycles
    assert one.counters == two.counters
    assert one.sampled == two.sampled
    np.testing.assert_array_equal(one.pc_stalls, two.pc_stalls)


def test_a_short_launch_runs_whole():
    short = launch(0x3F, LEAST_WAVES - 1)
    whole, sampled = run(short).kernels[0], run(short, sample=5).kernels[0]
    assert sampled.sampled is None
    assert sampled.cycles == whole.cycles
    assert sampled.counters == whole.counters


def test_nothing_is_measured_before_l2_is_full(monkeypatch):
    """Words of 4 CTAs a KB: the whole launch takes more than a small L2, and its head as much as that has."""
    heads = []
    full = Plan.tail

    def tail(plan: Plan) -> int:
        heads.append(plan.head)
        return full(plan)

    monkeypatch.setattr(Plan, "tail", tail)
    small = card("l2.sets=2", "l2.ways=16")
    assert small.l2_bytes == 16384
    simulate(Trace((launch(),)), small, RunOptions(sample=5))
    run(launch(), sample=5)
    assert heads[0] * 64 * 4 >= small.l2_bytes  # 64 words a CTA
    assert heads[1] == 12  # L2 of megabytes, which the launch never fills


@pytest.mark.parametrize("sample", [0, -1, 101, True, math.nan])
def test_a_percentage_is_asked_for(sample):
    with pytest.raises(GpusimError, match="percentage of error"):
        simulate(Trace((launch(),)), card(), RunOptions(sample=sample))


def test_no_timeline_of_a_sampled_run():
    with pytest.raises(GpusimError, match="timeline"):
        simulate(Trace((launch(),)), card(), RunOptions(sample=5, timeline=True))


def test_the_progress_ends_with_the_launch():
    told = []
    options = RunOptions(sample=5, progress=told.append, window=1)
    simulate(Trace((launch(),)), card(), options)
    done = [step.warp_instructions_done for step in told]
    assert done == sorted(done)
    assert done[-1] <= launch().warp_instructions == told[-1].warp_instructions_total


# ---- launches


@cache
def other(mask: int) -> Launch:
    return launch(mask, 4)


def test_launches_that_are_alike_are_estimated_from_some_of_them():
    launches = [other(0x3), *[other(0x3F)] * 9, other(0x3)]
    whole, sampled = run(*launches), run(*launches, sample=5)
    likes = [kernel.sampled and kernel.sampled.like for kernel in sampled.kernels]
    assert likes == [None, None, None, 2, None, 4, 4, 4, None, 8, None]  # of nine the first, second, fourth and eighth
    for one, all_of_it in zip(sampled.kernels, whole.kernels):
        assert one.cycles == all_of_it.cycles
        assert one.counters == all_of_it.counters
        np.testing.assert_array_equal(one.pc_stalls, all_of_it.pc_stalls)
    assert sampled.sampled.error_estimate == 0
    assert sampled.sampled.share == pytest.approx(1 - 5 * other(0x3F).warp_instructions / sampled.warp_instructions)


def test_groups_are_of_like_features_only():
    little, much = other(0x3), other(0x3F)
    assert features(little).distance(features(little)) == 0
    assert features(little).distance(features(much)) > 0.05
    groups = LaunchGroups(Trace((little, much, little, replace(little, shared_bytes=1024))), 5)
    assert [group.members for group in groups.groups] == [[0, 2], [1], [3]]


def scattered(shift: int) -> Launch:
    """As `other`, with words that lie 2 ** shift times as far apart."""
    made = other(0x3)
    (chunk,) = [made.source.read(0)]
    records = chunk.records.copy()
    linear = records["stride"] > 0
    records["stride"][linear] <<= shift
    return replace(made, source=ChunkList((replace(chunk, records=records), *made.source.chunks[1:])))


def test_memory_behaviour_tells_launches_apart():
    assert features(scattered(0)).distance(features(other(0x3))) == 0
    assert features(scattered(3)).distance(features(other(0x3))) > 0.05


def test_a_launch_of_a_group_that_differs_is_simulated(monkeypatch):
    """A group whose launches take different times is simulated until the interval is small enough."""
    groups = LaunchGroups(Trace((other(0x3),) * 6), 5)
    done = run(other(0x3)).kernels[0]
    groups.add(0, done)
    assert groups.estimate(1) is None
    groups.add(1, replace(done, cycles=2 * done.cycles))
    assert groups.estimate(2) is None
    groups.add(2, replace(done, cycles=2 * done.cycles))
    assert groups.estimate(4) is None
    steady = LaunchGroups(Trace((other(0x3),) * 6), 5)
    steady.add(0, done)
    steady.add(1, done)
    assert steady.estimate(2).sampled == Sampled(0.0, 0.0, 0, 1)


def test_no_launch_is_estimated_where_l2_keeps_data():
    kept = card("l2.kept_between_kernels=true")
    result = simulate(Trace((other(0x3),) * 4), kept, RunOptions(sample=5))
    assert result.sampled is None


def test_a_sampled_run_goes_on_as_it_would_have_run():
    launches = Trace((other(0x3F),) * 5)
    options = RunOptions(sample=5)
    whole = simulate(launches, card(), options)
    part = replace(whole, kernels=whole.kernels[:3])
    again = simulate(launches, card(), options, part)
    assert [kernel.summary()["sampled"] for kernel in again.kernels if kernel.sampled] == [
        kernel.summary()["sampled"] for kernel in whole.kernels if kernel.sampled
    ]
    assert [kernel.cycles for kernel in again.kernels] == [kernel.cycles for kernel in whole.kernels]
    with pytest.raises(GpusimError, match="of a sampled run"):
        simulate(launches, card(), RunOptions(), part)


# ---- marks


@pytest.fixture(scope="module")
def sampled() -> Result:
    return run(launch(), *[other(0x3)] * 3, sample=5)


def test_the_report_says_that_it_is_an_estimate(sampled):
    out = io.StringIO()
    print_report(console_for(out), sampled, [kernel.program for kernel in sampled.kernels])
    text = out.getvalue()
    share = 100 * sampled.sampled.share
    assert f"Sampled: {share:.1f} % of the warp instructions were simulated." in text
    assert f"~{sampled.kernels[0].cycles:,}" in text
    assert text.count(f"~{sampled.kernels[1].cycles:,}") == 1  # of the three like launches two are simulated whole
    assert "estimated from launch 3, cycles ± 0.0 %" in text
    assert f"~{sampled.totals()['cycles']:,}" in text


def test_files_and_frames_carry_the_mark(sampled):
    summary = json.loads(json.dumps(sampled.summary()))
    marks = [kernel.get("sampled") for kernel in summary["kernels"]]
    assert set(marks[0]) == {"share", "error_estimate", "waves", "like"}
    assert marks[1] is marks[2] is None
    assert marks[3]["like"] == 2
    assert summary["sampled"]["share"] < 1
    frame = sampled.to_frame()
    shares = frame["sampled_share"]
    assert shares.isna().tolist() == [False, True, True, False]
    assert frame["error_estimate"][0] == sampled.kernels[0].sampled.error_estimate
    assert frame.attrs["units"]["error_estimate"] == "%"
    assert "sampled" in repr(sampled)
    assert "sampled" in repr(sampled.kernels[0])


def test_a_whole_run_has_no_mark():
    result = run(other(0x3))
    assert "sampled" not in json.dumps(result.summary())
    assert not {column.name for column in SAMPLING_FRAME} & set(result.to_frame())
    assert "sampled" not in repr(result)


def test_comparisons_with_measurements_take_no_estimates():
    with pytest.raises(GpusimError, match="leave out sample"):
        gpusim.compare("measured.csv", sample=5)


# ---- commands


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sampling") / "trace"
    write_trace(Trace((launch(),)), folder)
    return folder


SETTINGS = [word for text in CARD for word in ("--set", text)]


@pytest.mark.parametrize("option", [["--sample"], ["--sample-error", "2.5"]])
def test_the_command_samples(capsys, stored, option):
    code, out, err = call(capsys, "run", stored, "--config", "a6000", *SETTINGS, *option, "--json")
    assert code == 0, err
    mark = json.loads(out)["kernels"][0]["sampled"]
    assert mark["share"] < 0.5
    assert mark["error_estimate"] <= (5 if option == ["--sample"] else 2.5)


def test_the_command_refuses_a_timeline_of_a_sample(capsys, stored, tmp_path):
    place = tmp_path / "timeline.csv"
    code, _, err = call(capsys, "run", stored, "--config", "a6000", "--sample", "--timeline", place)
    assert code == 2
    assert "leave out one" in err
    assert not place.exists()


def test_a_saved_sample_is_gone_on_with_as_one_only(capsys, stored, tmp_path):
    base = ["run", stored, "--config", "a6000", *SETTINGS, "--output", tmp_path / "result.json"]
    assert call(capsys, *base, "--sample")[0] == 0
    code, _, err = call(capsys, *base, "--resume")
    assert code == 2
    assert "sampled run" in err
    code, _, err = call(capsys, *base, "--resume", "--sample-error", "1")
    assert code == 2
    assert "another sampling" in err
    assert call(capsys, *base, "--resume", "--sample")[0] == 0


# ---- the measurement of errors


def test_what_sampling_is_measured_on_is_there():
    folder = gpusim.resources.find("traces") / "kernels"
    for _, case in load_suite():
        source = folder / f"{case.kernel}.cu"
        assert source.is_file()
        assert (source.parent / case.launch).is_file()
        load_config(case.config)
    with pytest.raises(GpusimError, match="matches none"):
        load_suite("no such kernel")


def row(part: str, error: float, share: float) -> Row:
    return Row(part, "k", "a6000", 1, 100, 1000, 1000, error, 1.0, share, 0.0, 1.0, 0.1)


def test_long_kernels_are_held_to_limits():
    found = summary([row("long", -3, 6), row("long", 0.5, 8), row("many", 50, 90)])
    assert (found.mean, found.worst, found.share) == (1.75, 3, 7)
    assert found.good
    assert not summary([row("long", 2.5, 5)]).good
    assert not summary([row("long", 9, 5), *[row("long", 0, 5)] * 9]).good
    assert not summary([row("long", 0, 11)]).good
    assert summary([row("many", 1, 50)]) is None
