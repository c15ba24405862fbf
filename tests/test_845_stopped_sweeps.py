"""Sweeps that are stopped or fail in part: nothing that was finished is lost, and the others go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import sweep_workers
from microbench import kernel, op, trace
from sweep_workers import act, wait_for

import gpusim.runs.sweep
from gpusim.cli import main as cli
from gpusim.errors import GpusimError
from gpusim.model.setup.simulate import KernelRun
from gpusim.runs.journal import HEADER, Journal, Memory, Outcome
from gpusim.runs.sweep import SweepInterrupted, sweep
from gpusim.runs.workers import Died, as_completed
from gpusim.trace.store import write_trace

LATENCY = "l2.latency"
SIX = {LATENCY: [1, 2, 3, 4, 5, 6]}
SMALL = {"sms": 1, "l2.slices": 4, "dram.channels": 2}
ADDS = [op("FADD R4, R4, R4", 4)] * 5


@pytest.fixture(autouse=True)
def ctrl_c_is_heard():
    """A shell starts what it runs in the background deaf to SIGINT, and so the whole test run may be."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("sweep") / "adds"
    write_trace(trace(kernel(ADDS)), path)
    return path


@pytest.fixture
def stub(monkeypatch) -> None:
    monkeypatch.setattr("gpusim.runs.sweep._simulate", sweep_workers.simulate)


@pytest.fixture
def counted(monkeypatch) -> list:
    """The tasks that were really simulated."""
    done, simulated = [], gpusim.runs.sweep._simulate

    def simulate(task):
        done.append(task)
        return simulated(task)

    monkeypatch.setattr("gpusim.runs.sweep._simulate", simulate)
    return done


def entries(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()[1:]]


# ------------------------------------------------------------------------------------------ processes


def values(tasks: list, jobs: int = 3) -> dict[int, object]:
    return dict(as_completed(act, tasks, jobs))


def test_values_come_as_they_are_ready_with_the_number_of_their_task(tmp_path):
    tasks = [("first", tmp_path), ("say", "b"), ("second", tmp_path), ("say", "d")]
    assert values(tasks, 2) == {0: True, 1: "b", 2: tmp_path, 3: "d"}
    assert values([("say", k) for k in range(7)], 1) == {k: k for k in range(7)}


def test_a_task_that_kills_its_process_takes_nothing_else_along(tmp_path):
    tasks = [
        ("say", 0),
        ("die", None),
        ("say", 2),
        ("exit", 3),
        ("say", 4),
        ("die once", tmp_path / "died"),
        ("say", 6),
    ]
    got = values(tasks)
    assert got.pop(1) == Died("its worker process was ended by SIGKILL (out of memory?)")
    assert got.pop(3) == Died("its worker process ended with exit code 3")
    assert got.pop(5) == tmp_path / "died"
    assert got == {0: 0, 2: 2, 4: 4, 6: 6}


def test_a_first_process_that_dies_does_not_stop_the_others():
    assert values([("die", None), ("say", 1), ("say", 2)]) == {
        0: Died("its worker process was ended by SIGKILL (out of memory?)"),
        1: 1,
        2: 2,
    }


def test_processes_end_when_nobody_waits_for_them_any_more(tmp_path):
    steps = as_completed(act, [("say", 0), ("say", 1), ("hang", tmp_path / "pid")], 2)
    assert [next(steps), next(steps)] == [(0, 0), (1, 1)]
    assert wait_for((tmp_path / "pid").exists)
    steps.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_plain_script_may_use_processes_and_they_end_with_it(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        f"import sys\nsys.path.insert(0, {str(Path(sweep_workers.__file__).parent)!r})\nprint('once', flush=True)\n"
        "from sweep_workers import act\nfrom gpusim.runs.workers import as_completed\n"
        f"for each in as_completed(act, [('say', 1), ('hang', {str(tmp_path / 'pid')!r})], 2):\n"
        "    print(each, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert [process.stdout.readline() for _ in range(2)] == ["once\n", "(0, 1)\n"]
    assert wait_for((tmp_path / "pid").exists)
    process.kill()
    process.communicate()
    assert wait_for(lambda: not alive(int((tmp_path / "pid").read_text() or 0)))


def alive(pid: int) -> bool:
    """Whether a process that is none of ours runs; one that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


# ------------------------------------------------------------------------------------------ sweeps


def test_a_slow_point_holds_back_no_finished_one(stored, stub, tmp_path):
    file = tmp_path / "s.jsonl"
    result = sweep(stored, "a6000", SIX, common={"name": f"slow {file}"}, jobs=3, output=file)
    assert result.failures == 0
    assert [run.cycles for run in result] == [1, 2, 3, 4, 5, 6]
    assert entries(file)[-1]["kernels"][0]["cycles"] == 2


@pytest.mark.parametrize("in_file", [True, False])
def test_a_point_whose_process_is_killed_is_a_row(stored, stub, tmp_path, in_file):
    output = tmp_path / "s.jsonl" if in_file else None
    result = sweep(stored, "a6000", SIX, common={"name": "die"}, jobs=3, output=output)
    assert [run.cycles for run in result] == [1, None, 3, 4, 5, 6]
    (failed,) = result.failed()
    assert failed.error == "its worker process was ended by SIGKILL (out of memory?), 2 times"
    assert (len(result), result.failures) == (6, 1)
    assert repr(result) == "<Sweep of die: 1 trace at 6 points, 1 failed>"
    assert "SIGKILL" in result._repr_html_()


def test_a_failing_point_is_a_row_and_the_others_go_on(stored, tmp_path, capsys):
    file = tmp_path / "s.csv"
    arguments = ["sweep", str(stored), "--config", "a6000", "--set-grid", "sm.registers=4,65536", "--csv", str(file)]
    assert cli.main([*arguments, "--set", "sms=1"]) == 2
    captured = capsys.readouterr()
    assert "failed" in captured.out
    assert "at sm.registers=4: failed, ETA" in captured.err
    assert f"gpusim: error: {stored} at sm.registers=4: test: one CTA of 32 threads" in captured.err
    result = sweep(stored, "a6000", {"sm.registers": [4, 65536]}, common=["sms=1"])
    table = result.to_frame()
    assert str(table.cycles.dtype) == "Int64"
    assert table.cycles.isna().tolist() == [True, False]
    assert "does not fit" in table.error[0]
    header, bad, good = file.read_text().splitlines()
    assert header.endswith(",error")
    assert bad.startswith(f"{stored},sm.registers=4,4,,,")
    assert good.endswith(",")


def test_an_error_inside_the_simulator_is_a_row_too(stored, monkeypatch):
    def broken(self):
        raise AssertionError("the model lost instructions")

    monkeypatch.setattr(KernelRun, "simulate", broken)
    (run,) = sweep(stored, "a6000", {})
    assert run.error == "internal error: AssertionError: the model lost instructions"
    monkeypatch.setattr(KernelRun, "simulate", lambda self: [].__getitem__(1))
    assert "internal error: IndexError" in next(iter(sweep(stored, "a6000", {}))).error


def test_resume_runs_what_is_missing_or_failed(stored, tmp_path, monkeypatch, counted):
    file, grid = tmp_path / "s.jsonl", {"sm.sub_core.register_file.read_ports": [1, 2]}
    whole = list(sweep(stored, "a6000", grid, common=SMALL))
    counted.clear()

    def stopped(progress):
        if progress.done == 1:
            raise KeyboardInterrupt

    with pytest.raises(SweepInterrupted) as caught:
        sweep(stored, "a6000", grid, common=SMALL, output=file, progress=stopped)
    assert list(caught.value.partial) == whole[:1]
    assert repr(caught.value.partial) == "<Sweep of NVIDIA RTX A6000: 1 trace at 2 points, 1 of 2 runs finished>"
    file.write_text(file.read_text() + '{"key": "cut o')
    for simulated in (2, 2):
        again = sweep(stored, "a6000", grid, common=SMALL, output=file, resume=True)
        assert list(again) == whole
        assert len(counted) == simulated
    key = entries(file)[1]["key"]
    Journal(file, resume=True).add(key, Outcome((), (), "killed"))
    assert list(sweep(stored, "a6000", grid, common=SMALL, output=file, resume=True)) == whole
    assert len(counted) == 3
    other = list(
        sweep(stored, "a6000", grid, common={**SMALL, "kernel_launch_latency.cycles": 7}, output=file, resume=True)
    )
    assert len(counted) == 5
    assert other[0].cycles != whole[0].cycles


def test_a_point_that_occurs_twice_runs_once(stored, counted):
    told = []
    result = sweep({"a": stored, "b": stored}, "a6000", {LATENCY: [10]}, common=SMALL, progress=told.append)
    assert len(list(result)) == len(result) == 2
    assert len(counted) == 1
    assert [(each.run and each.run.trace, each.done, each.total) for each in told] == [
        (None, 0, 2),
        ("a", 1, 2),
        ("b", 2, 2),
    ]


def test_a_resumed_sweep_may_have_another_number_of_processes(tmp_path, counted):
    file, source = tmp_path / "s.jsonl", trace(kernel(ADDS))
    first = sweep(source, "a6000", {LATENCY: [10, 20]}, common=SMALL, output=file)
    again = sweep(source, "a6000", {LATENCY: [10, 20]}, common=SMALL, output=file, resume=True, jobs=2)
    assert list(first) == list(again)
    assert len(counted) == 2


@pytest.mark.parametrize(("deed", "code"), [("interrupt", 130), ("terminate", 143)])
def test_a_stopped_command_keeps_and_prints_what_is_finished(stored, stub, tmp_path, capsys, monkeypatch, deed, code):
    file, temporary = tmp_path / "s.jsonl", tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    arguments = ["sweep", str(stored), "--config", "a6000", "--set", f"name={deed} {file}", "--jobs", "2"]
    arguments += ["--set-grid", f"{LATENCY}=1,2,3,4", "--output", str(file)]
    assert cli.main(arguments) == code
    captured = capsys.readouterr()
    finished = len(entries(file))
    assert finished >= 1
    assert f"interrupted after {finished} of 4 runs, kept in {file}: the same command with --resume" in captured.err
    assert f"{LATENCY}=1" in captured.out
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert not list(temporary.iterdir())


# ------------------------------------------------------------------------------------------ the journal


def test_the_command_resumes_and_says_so(stored, tmp_path, capsys):
    file = tmp_path / "s.jsonl"
    arguments = ["sweep", str(stored), "--config", "a6000", "--set-grid", f"{LATENCY}=10,20", "--output", str(file)]
    assert cli.main(arguments) == 0
    first = capsys.readouterr().out
    assert cli.main([*arguments, "--resume"]) == 0
    again = capsys.readouterr()
    assert (again.out, again.err) == (first, f"gpusim: 2 runs taken over from {file}\n")
    assert cli.main(arguments) == 2
    assert "holds 2 runs of an earlier sweep; resume it (--resume), or remove the file" in capsys.readouterr().err
    assert cli.main([*arguments[:-2], "--resume"]) == 2
    assert "--output" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["{}\n", "hello", "[1, 2", '{"format": "gpusim-sweep", "version": 1}\n', "\x00\xff"])
@pytest.mark.parametrize("resume", [True, False])
def test_a_file_that_is_no_journal_is_refused_and_left_alone(tmp_path, text, resume):
    path = tmp_path / "file"
    path.write_text(text)
    with pytest.raises(GpusimError, match="not the journal of a sweep"):
        Journal(path, resume=resume)
    assert path.read_text() == text


def test_a_folder_or_device_is_no_journal(tmp_path):
    for path in (tmp_path, "/dev/null"):
        with pytest.raises(GpusimError, match="no plain file"):
            Journal(path, resume=False)


def test_a_journal_gives_back_what_was_added(tmp_path):
    outcomes = {
        "a": Outcome(({"cycles": 5, "stalls": {"wait": 1}},), ("guess",)),
        "b": Outcome((), (), "ünknown"),
        "c": Outcome(({"cycles": 7}, {"cycles": 8}), ()),
    }
    journal, memory = Journal(tmp_path / "s", resume=False), Memory()
    for kept in (journal, memory):
        for key, outcome in outcomes.items():
            kept.add(key, outcome)
        assert {key: kept[key] for key in outcomes} == outcomes
        assert kept.failed == {"b"}
        assert "d" not in kept
    again = Journal(tmp_path / "s", resume=True)
    assert [key in again for key in "abc"] == [True, False, True]
    again.add("b", outcomes["a"])
    assert Journal(tmp_path / "s", resume=True)["b"] == outcomes["a"]


def test_a_damaged_line_is_named(tmp_path):
    path = tmp_path / "s"
    journal = Journal(path, resume=False)
    for key in "abc":
        journal.add(key, Outcome(({"cycles": 1234},), ()))
    lines = path.read_text().splitlines(keepends=True)
    lines[2] = lines[2].replace("1234", "1235")
    path.write_text("".join(lines))
    with pytest.raises(GpusimError, match="line 3 is damaged; remove that line"):
        Journal(path, resume=True)
    path.write_text("".join(lines[:2] + lines[3:]))
    assert len(Journal(path, resume=True)) == 2
    with pytest.raises(GpusimError, match="has changed since"):
        journal["c"]


def test_every_cut_of_a_journal_is_resumed_or_refused(tmp_path):
    path = tmp_path / "s"
    journal = Journal(path, resume=False)
    for key in "ab":
        journal.add(key, Outcome(({"cycles": 1},), ()))
    whole = path.read_bytes()
    header = len(json.dumps(HEADER)) + 1
    for length in (0, *range(header - 1, len(whole))):
        path.write_bytes(whole[:length])
        assert len(Journal(path, resume=True)) == max(whole[:length].count(b"\n") - 1, 0)
    for length in range(1, header - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(GpusimError, match="not the journal"):
            Journal(path, resume=True)
