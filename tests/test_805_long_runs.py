"""Long runs: Ctrl-C keeps the finished kernels, a later run goes on with the same result, a deadlock is a report."""

from __future__ import annotations

import json
import os
import pickle
import signal
from dataclasses import replace
from types import SimpleNamespace

import pytest
from cli_cases import call
from microbench import PERFECT, kernel, op, trace

from gpusim.cli.progress import ProgressView
from gpusim.config import load_config
from gpusim.errors import GpusimError
from gpusim.model.setup import simulate as simulation
from gpusim.model.setup.deadlock import deadlock_report
from gpusim.model.setup.simulate import Interrupted, KernelRun, Progress, RunOptions, SimulationError, simulate
from gpusim.results.result import Result, Stop
from gpusim.runs.checkpoint import Checkpoint, check_resumable
from gpusim.runs.fingerprint import fingerprint
from gpusim.trace.store import open_trace, write_trace
from gpusim.trace.trace import Trace

SMALL = ["sms=1", "l2.slices=4", "dram.channels=2"]
ADDS = [op("FADD R4, R4, R4", 4)] * 5
LOADS = [
    op("MOV R2, c[0x0][0x160]", 5),
    op("MOV R3, c[0x0][0x164]", 5),
    op("LDG.E R4, [R2]", write=1),
    op("FADD R5, R4, R4", wait="1"),
]


@pytest.fixture(autouse=True)
def ctrl_c_is_heard():
    """A shell starts what it runs in the background deaf to SIGINT, and so the whole test run may be."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def card():
    return load_config("a6000", SMALL)


@pytest.fixture(scope="module")
def three() -> Trace:
    """Three launches of two kernels."""
    adds, loads = trace(kernel(ADDS)).launches[0], trace(kernel(LOADS, block=64)).launches[0]
    return Trace((adds, loads, adds))


@pytest.fixture
def stored(three, tmp_path):
    write_trace(three, tmp_path / "three")
    return tmp_path / "three"


def plain(result: Result) -> dict:
    """A result without its seconds, which are no property of the card."""
    data = {"config": result.config, "stopped": result.stopped, "kernels": [k.as_dict() for k in result.kernels]}
    for each in data["kernels"]:
        del each["seconds"]
    return data


def interrupt_in(kernel_number: int, monkeypatch) -> None:
    """Let the process receive SIGINT while it simulates a kernel."""
    run, numbers = KernelRun.simulate, iter(range(1000))

    def simulated(self):
        if next(numbers) == kernel_number:
            os.kill(os.getpid(), signal.SIGINT)
        return run(self)

    monkeypatch.setattr(KernelRun, "simulate", simulated)


def interrupt_after(calls: int, monkeypatch) -> None:
    """Let the process receive SIGINT after some calls of compiled code, each of one window."""
    look, numbers = KernelRun._look, iter(range(1000))

    def looked(self):
        self.windows = 1
        if next(numbers) == calls:
            os.kill(os.getpid(), signal.SIGINT)
        look(self)

    monkeypatch.setattr(KernelRun, "_look", looked)


def run_command(stored, *more) -> list:
    return ["run", "--config", "a6000", *(word for text in SMALL for word in ("--set", text)), stored, *more]


def test_ctrl_c_keeps_what_was_finished_and_resume_gives_the_whole(three, card, monkeypatch):
    whole = simulate(three, card)
    with monkeypatch.context() as patch:
        interrupt_in(1, patch)
        with pytest.raises(Interrupted) as caught:
            simulate(three, card)
    partial = caught.value.partial
    assert partial.stopped == Stop("interrupted", 1, 3, "test", 0)
    assert plain(partial)["kernels"] == plain(whole)["kernels"][:1]
    assert plain(simulate(three, card, resumed=partial)) == plain(whole)


def test_the_command_saves_says_where_and_goes_on(stored, tmp_path, capsys, monkeypatch):
    whole, part = tmp_path / "whole.json", tmp_path / "part.json"
    assert call(capsys, *run_command(stored, "--output", whole))[0] == 0
    with monkeypatch.context() as patch:
        interrupt_in(2, patch)
        code, out, err = call(capsys, *run_command(stored, "--output", part, "--json"))
    assert code == 130
    assert len(json.loads(out)["kernels"]) == 2
    assert json.loads(out)["stopped"]["kernel"] == 2
    assert "kernel 3 of 3 (test)" in err
    assert "--resume" in err
    assert Result.load(part).stopped.reason == "interrupted"
    code, _, err = call(capsys, *run_command(stored, "--output", part, "--resume"))
    assert code == 0
    assert "2 of 3 kernels taken over" in err
    assert plain(Result.load(part)) == plain(Result.load(whole))
    assert dict(Result.load(part).provenance) == dict(Result.load(whole).provenance)


@pytest.fixture(scope="module")
def long_launch() -> Trace:
    """One launch of some waves."""
    return trace(kernel(LOADS * 40, block=64, grid=64))


def test_a_kernel_that_is_stopped_tells_what_there_is_of_it(long_launch, card, monkeypatch):
    whole = simulate(long_launch, card).kernels[0]
    interrupt_after(20, monkeypatch)
    with pytest.raises(Interrupted) as caught:
        simulate(long_launch, card)
    part, cycle = caught.value.so_far, caught.value.partial.stopped.cycle
    assert caught.value.partial.kernels == ()
    assert 0 < part.warp_instructions < whole.warp_instructions
    assert part.cycles == cycle + part.counters["launch_cycles"] < whole.cycles
    assert part.pc_issues.sum() == part.warp_instructions
    assert part.resident_warp_cycles == sum(part.stalls.values())
    shares = [
        {name: cycles / each.resident_warp_cycles for name, cycles in each.stalls.items()} for each in (part, whole)
    ]
    assert shares[0]["long_scoreboard"] == pytest.approx(shares[1]["long_scoreboard"], abs=0.15)
    assert 0 < part.occupancy <= 1


def test_the_command_prints_what_there_is_of_a_stopped_kernel(long_launch, tmp_path, capsys, monkeypatch):
    write_trace(long_launch, tmp_path / "long")
    with monkeypatch.context() as patch:
        interrupt_after(20, patch)
        code, out, err = call(capsys, *run_command(tmp_path / "long", "--output", tmp_path / "none.json"))
    assert code == 130
    assert "test, so far:" in out
    assert "long_scoreboard" in out
    assert "no kernel was finished" in err
    assert not (tmp_path / "none.json").exists()
    with monkeypatch.context() as patch:
        interrupt_after(20, patch)
        out = call(capsys, *run_command(tmp_path / "long", "--json"))[1]
    assert json.loads(out)["kernels"] == []
    assert json.loads(out)["so_far"]["warp_instructions"] > 0


def test_an_interrupt_in_the_first_kernel_writes_nothing(stored, tmp_path, capsys, monkeypatch):
    interrupt_in(0, monkeypatch)
    code, out, err = call(capsys, *run_command(stored, "--output", tmp_path / "none.json"))
    assert (code, out) == (130, "")
    assert "no kernel was finished" in err
    assert not (tmp_path / "none.json").exists()


def test_the_timeline_of_finished_kernels_is_written(stored, tmp_path, capsys, monkeypatch):
    interrupt_in(1, monkeypatch)
    assert call(capsys, *run_command(stored, "--timeline", tmp_path / "t.csv"))[0] == 130
    assert len((tmp_path / "t.csv").read_text().splitlines()) == 1 + len(ADDS) + 1


@pytest.mark.parametrize("change", ["trace", "configuration"])
def test_resume_refuses_what_would_end_differently(stored, tmp_path, capsys, change):
    file = tmp_path / "result.json"
    assert call(capsys, *run_command(stored, "--output", file))[0] == 0
    more = {"trace": ["--kernel", "test"], "configuration": ["--set", "l2.latency=99"]}
    if change == "trace":
        write_trace(Trace(open_trace(stored).launches[:2]), tmp_path / "two")
        stored = tmp_path / "two"
    code, _, err = call(capsys, *run_command(stored, "--output", file, "--resume", *more[change]))
    assert code == 2
    assert f"another {change}" in err
    assert str(file) in err


def test_resume_needs_a_file_that_can_hold_everything(stored, tmp_path, capsys):
    assert "--output" in call(capsys, *run_command(stored, "--resume"))[2]
    arguments = ("--resume", "--output", tmp_path / "r.json", "--timeline", tmp_path / "t.csv")
    code, _, err = call(capsys, *run_command(stored, *arguments))
    assert code == 2
    assert "timeline" in err


def test_resume_refuses_an_l2_that_is_kept_between_kernels(card):
    check_resumable(card)
    with pytest.raises(GpusimError, match="kept_between_kernels"):
        check_resumable(SimpleNamespace(l2=SimpleNamespace(kept_between_kernels=True)))


def test_resume_without_a_file_starts_from_the_beginning(stored, tmp_path, capsys):
    assert call(capsys, *run_command(stored, "--output", tmp_path / "new.json", "--resume"))[0] == 0
    assert Result.load(tmp_path / "new.json").stopped is None


def test_a_running_file_is_saved_between_kernels(three, card, tmp_path, monkeypatch):
    monkeypatch.setattr("gpusim.runs.checkpoint.SAVE_SECONDS", 0.0)
    checkpoint = Checkpoint(tmp_path / "r.json", fingerprint(three, card))
    simulate(three, card, RunOptions(kernel_done=checkpoint.kernel_done))
    partial = checkpoint.load()
    assert partial.stopped == Stop("running", 2, 3, "test", 0)
    assert len(partial.kernels) == 2


def test_a_fingerprint_depends_on_streams_and_values(three, card, stored):
    reference = fingerprint(three, card)
    assert fingerprint(three, card) == reference
    (chunk,) = three.launches[0].chunks()
    changed = replace(chunk, mask=chunk.mask // 2)
    launch = replace(three.launches[0], source=replace(three.launches[0].source, chunks=(changed,)))
    assert fingerprint(Trace((launch, *three.launches[1:])), card)["trace"] != reference["trace"]
    other = load_config("a6000", [*SMALL, "dram.latency=1"])
    assert fingerprint(three, other)["configuration"] != reference["configuration"]
    assert fingerprint(open_trace(stored), card) == fingerprint(open_trace(stored), card)


# ------------------------------------------------------------------------------------------ progress


def test_progress_counts_over_all_kernels(three, card):
    told: list[Progress] = []
    simulate(three, card, RunOptions(progress=told.append, threads=2))
    sizes = [launch.warp_instructions for launch in three.launches]
    assert {each.kernel_index for each in told} == {0, 1, 2}
    assert {each.trace_warp_instructions for each in told} == {sum(sizes)}
    assert {each.warp_instructions_before for each in told} == {0, sizes[0], sizes[0] + sizes[1]}


def test_a_log_line_names_kernel_cycles_rate_and_eta(capsys, monkeypatch):
    monkeypatch.setattr("gpusim.cli.progress.LOG_SECONDS", 0.0)
    clock = iter([0.0, 10.0, 14.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    with ProgressView() as view:
        view(Progress(0, 2, "adds", 10, 100, 500, 0, 1000))
        view(Progress(1, 2, "loads", 70, 0, 500, 500, 1000))
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "kernel 2/2 loads: cycle 70, 100 warp instr./s, 50% of the trace, ETA 5 s"


# ------------------------------------------------------------------------------------------ deadlock


def deadlocked(program: list[str], block: int, change, card, **options) -> str:
    """The report of a kernel whose timing table was changed so that it cannot end."""
    (launch,) = trace(kernel(program, block=block)).launches
    run = KernelRun(launch, load_config("a6000", [*SMALL, PERFECT]), RunOptions(**options), set())
    change(run.params.code)
    with pytest.raises(GpusimError, match="simulated deadlock") as error:
        run.simulate()
    return str(error.value)


def test_a_barrier_with_a_missing_warp_is_told(card):
    def expect_three(code):
        code.barrier_warps[1] = 3

    report = deadlocked([op("NOP"), op("BAR.SYNC 0x0", 5)], 64, expect_three, card)
    assert "2 resident warps" in report
    assert report.count("barrier 0: 2 of 3 warps have arrived; only 2 warps of the CTA live") == 2
    assert "| barrier |" in report
    assert "SM 0: nothing is on its way" in report


def stuck_counter(code) -> None:
    """The first instruction raises SB2, which nothing lowers."""
    code.raised[0] = 1 << 16


def test_a_counter_that_nobody_lowers_is_told_with_who_raised_it(card):
    report = deadlocked([op("FADD R4, R4, R4", 2), op("FADD R5, R4, R4", wait="2")], 32, stuck_counter, card)
    assert "pc 0x0010 FADD R5, R4, R4 | short_scoreboard" in report
    assert "waits for SB2 = 1, last raised by pc 0x0000 FADD R4, R4, R4" in report


def test_everything_that_a_warp_waits_for_is_told():
    """Each fact of the state that the report reads, on a state made by hand."""
    (launch,) = trace(kernel(LOADS)).launches
    run = KernelRun(launch, load_config("a6000", SMALL), RunOptions(), set())
    run.state = run.pools.load_next(run.state)
    warp, core = run.state.warps[0], run.state.sub_cores[0]
    warp.active, warp.position, warp.end, warp.index, warp.fetch_line = 1, 2, 4, 2, 7
    warp.outstanding, warp.group_copies[3], warp.groups_closed, warp.registers_due = 5, 2, 1, 4
    warp.counters, warp.hold_counter, warp.hold_limit = (2 << 0) + (63 << 8), 0, 1
    core.control_valid, core.control_index = 1, 2
    run.state.sms[0].replies_due = 9
    report = deadlock_report(run.state, run.params, launch, "nothing moves")
    for part in (
        "cannot raise SB1 = 63",
        "DEPBAR waits until SB0 = 2, last raised by an instruction long past is at most 1",
        "5 memory accesses not complete; 2 of them asynchronous copies, 1 groups closed",
        "4 register reads or results due",
        "its instruction buffer is empty and waits for instruction line 7",
        "waits in Control for room in its queue with pc 0x0020 LDG.E R4, [R2]",
        "SM 0: 9 replies due from L2",
    ):
        assert part in report


def test_a_warp_held_up_by_another_names_it(card):
    program = [op("FADD R4, R4, R4", 2), op("NOP", wait="2"), op("BAR.SYNC 0x0", 5)]

    def only_the_first_warp(code):
        stuck_counter(code)
        code.barrier_warps[2] = 2

    report = deadlocked(program, 32, only_the_first_warp, card)
    assert "waits for SB2" in report


def test_without_skipping_the_watchdog_ends_it(card, monkeypatch):
    monkeypatch.setattr(simulation, "IDLE_CYCLES", 3000)
    program = [op("FADD R4, R4, R4", 2), op("FADD R5, R4, R4", wait="2")]
    report = deadlocked(program, 32, stuck_counter, card, skip=False)
    assert "no warp has issued since about cycle" in report
    report = deadlocked(program, 32, stuck_counter, card, skip=False, threads=2)
    assert "waits for SB2" in report


def test_errors_of_a_worker_process_arrive():
    partial = Result("a6000", (), 0.0)
    error = pickle.loads(pickle.dumps(SimulationError("it deadlocks", partial)))
    assert (type(error), str(error)) == (GpusimError, "it deadlocks")
    assert type(pickle.loads(pickle.dumps(Interrupted(partial)))) is KeyboardInterrupt


def test_finished_kernels_outlive_a_deadlock(stored, tmp_path, capsys, monkeypatch):
    run, numbers = KernelRun.simulate, iter(range(10))

    def simulated(self):
        if next(numbers) == 1:
            stuck_counter(self.params.code)
            self.params.code.waits[-1] = 0xFF << 16
        return run(self)

    monkeypatch.setattr(KernelRun, "simulate", simulated)
    code, out, err = call(capsys, *run_command(stored, "--output", tmp_path / "r.json"))
    assert code == 2
    assert "simulated deadlock" in err
    assert "test" in out
    partial = Result.load(tmp_path / "r.json")
    assert (len(partial.kernels), partial.stopped.reason, partial.stopped.kernel) == (1, "error", 1)
    with pytest.raises(SimulationError):
        simulate(open_trace(stored), load_config("a6000", ["sm.registers=4", *SMALL]))
