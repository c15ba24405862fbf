"""Outputs of commands: refused before any work, and nothing that was computed is lost at its end."""

from __future__ import annotations

import csv
import json
import os
import resource
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_cases import ADDS, CARD, call, needs_root, process, store_three, when_simulating

from gpusim.errors import GpusimError
from gpusim.hardware.compare import Comparison, Figures
from gpusim.results.result import Result
from gpusim.runs.checkpoint import Checkpoint
from gpusim.trace.store import TraceWriter, open_trace, write_trace
from gpusim.trace.trace import Trace


@pytest.fixture
def stored(tmp_path) -> Path:
    return store_three(tmp_path)


@pytest.fixture
def sass(tmp_path) -> Path:
    (tmp_path / "adds.sass").write_text(ADDS)
    return tmp_path / "adds.sass"


# ------------------------------------------------------------------------------------------ before the work

WORK = (
    "gpusim.model.setup.simulate.simulate",
    "gpusim.emulator.tracing.open_files",
    "gpusim.emulator.tracing.execute",
    "gpusim.trace.store.open_trace",
    "gpusim.hardware.compare.read_measurements",
    "gpusim.validation.runner.validate",
    "gpusim.validation.memory.simulate_curves",
    "gpusim.validation.ablations.measure",
)
"""With these nothing can be done."""
COMMANDS = (
    ("run", *CARD, "ampere/sgemm", "--output"),
    ("run", *CARD, "ampere/sgemm", "--timeline"),
    ("run", *CARD, "ampere/sgemm", "--output", "good.json", "--timeline"),
    ("run", *CARD, "ampere/sgemm", "--timeline", "good.csv", "--output"),
    ("compare", "absent.csv", "--csv"),
    ("compare", "absent.csv", "--json"),
    ("compare", "absent.csv", "--markdown"),
    ("compare", "absent.csv", "--per-pc"),
    ("validate", "paper", "--csv"),
)


@pytest.fixture
def idle(monkeypatch, tmp_path):
    """A working folder, and commands that fail where their work begins."""

    def fail(*_, **__):
        raise AssertionError("the work began")

    for name in WORK:
        monkeypatch.setattr(name, fail)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: " ".join(word for word in words if word[0] != "a"))
@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("nodir/x", "there is no folder"),
        ("results", "it is a folder"),
        ("results/", "a name that ends so is a folder's"),
        ("locked", "write-protected"),
        ("text/x", "Not a directory"),
        ("loop", "Too many levels of symbolic links"),
        ("/dev/fd/987", "descriptor 987 is not open"),
        ("x" * 300, "File name too long"),
    ],
)
def test_an_output_that_cannot_be_written_is_refused_before_the_work(idle, capsys, command, place, reason):
    (idle / "results").mkdir()
    (idle / "text").write_text("x")
    (idle / "locked").write_text("x")
    (idle / "locked").chmod(0o444)
    (idle / "loop").symlink_to("loop")
    code, out, err = call(capsys, *command, place)
    assert (code, out) == (2, "")
    assert err.startswith(f"gpusim: error: {command[-1]} {place}: cannot write here (")
    assert reason in err
    assert err.count("\n") == 1
    assert sorted(path.name for path in idle.iterdir()) == ["locked", "loop", "results", "text"]


@pytest.mark.parametrize("command", ["memory", "ablations"])
def test_a_folder_of_outputs_is_made_before_the_work(idle, capsys, command):
    (idle / "text").write_text("x")
    for place in ("text", "text/below"):
        code, out, err = call(capsys, "validate", command, "--output", place)
        assert (code, out) == (2, "")
        assert err.startswith(f"gpusim: error: --output {place}: cannot write in this folder (")


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("text", "exists and is not a gpusim trace"),
        ("full", "exists and is not"),
        ("text/x", "no folder can be made in"),
    ],
)
def test_a_trace_that_cannot_be_written_is_refused_before_the_work(idle, capsys, sass, place, reason):
    (idle / "text").write_text("x")
    (idle / "full").mkdir()
    (idle / "full" / "file").touch()
    code, out, err = call(capsys, "trace", sass, "-o", place, "--overwrite")
    assert (code, out) == (2, "")
    assert reason in err
    assert "name another folder" in err


def test_two_outputs_of_a_command_are_two_files(idle, capsys):
    code, _, err = call(capsys, "run", *CARD, "ampere/sgemm", "--output", "same", "--timeline", "./same")
    assert code == 2
    assert "--timeline ./same: --output writes this file; name another" in err


# ------------------------------------------------------------------------------------------ at the end


def test_a_result_that_cannot_be_written_is_printed(capsys, monkeypatch, stored, tmp_path):
    output = tmp_path / "r.json"
    when_simulating(2, monkeypatch, output.mkdir)
    code, out, err = call(capsys, "run", *CARD, stored, "--output", output, "--json")
    assert code == 2
    assert len(json.loads(out)["kernels"]) == 3
    assert err == f"gpusim: error: --output {output}: cannot write here (it is a folder); name a file in it\n"


@pytest.mark.parametrize("lost", ["--output", "--timeline"])
def test_one_output_that_fails_does_not_take_the_other_along(capsys, monkeypatch, stored, tmp_path, lost):
    paths = {"--output": tmp_path / "r.json", "--timeline": tmp_path / "t.csv"}
    when_simulating(0, monkeypatch, paths[lost].mkdir)
    code, out, err = call(capsys, "run", *CARD, stored, *(word for pair in paths.items() for word in pair))
    assert code == 2
    assert "resident warp-cycles" in out
    assert err.startswith(f"gpusim: error: {lost} ")
    assert err.count("\n") == 1
    if lost == "--timeline":
        assert len(Result.load(paths["--output"]).kernels) == 3
    else:
        assert len(paths["--timeline"].read_text().splitlines()) == 1 + 3 * 4


def test_both_outputs_may_fail(capsys, monkeypatch, stored, tmp_path):
    def fill():
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()

    when_simulating(0, monkeypatch, fill)
    code, out, err = call(capsys, "run", *CARD, stored, "--output", tmp_path / "a", "--timeline", tmp_path / "b")
    assert code == 2
    assert out
    assert [line.split()[2] for line in err.splitlines()] == ["--output", "--timeline"]


def test_a_save_on_the_way_that_fails_does_not_end_the_run(capsys, monkeypatch, stored, tmp_path):
    save, calls = Checkpoint.save, []

    def failing_once(self, result):
        calls.append(result)
        if len(calls) == 1:
            raise GpusimError("r.json: cannot be written (No space left on device); free space")
        save(self, result)

    monkeypatch.setattr("gpusim.runs.checkpoint.SAVE_SECONDS", 0.0)
    monkeypatch.setattr(Checkpoint, "save", failing_once)
    code, _, err = call(capsys, "run", *CARD, stored, "--output", tmp_path / "r.json")
    assert code == 0
    assert err.count("the run goes on") == 1
    assert len(calls) == 3
    assert len(Result.load(tmp_path / "r.json").kernels) == 3


def small_files(limit: int):
    """Lets every file that a process writes end at `limit` bytes, as on a full disk."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


@pytest.mark.parametrize("option", ["--output", "--timeline"])
def test_a_full_disk_keeps_the_old_file_and_prints_the_result(stored, tmp_path, option):
    (tmp_path / "old").write_text("old")
    done = process("run", *CARD, stored, option, tmp_path / "old", preexec_fn=small_files(100), text=True)
    assert done.returncode == 2
    assert "resident warp-cycles" in done.stdout
    assert done.stderr.startswith(f"gpusim: error: {option} {tmp_path}/old: cannot be written (File too large); free")
    assert done.stderr.count("\n") == 1
    assert (tmp_path / "old").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old", "three"]


@pytest.mark.parametrize("limit", [0, 60, 400, 1000])
def test_a_full_disk_leaves_nothing_of_a_trace(sass, tmp_path, limit):
    done = process("trace", sass, "-o", tmp_path / "t", preexec_fn=small_files(limit), text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        f"gpusim: error: {tmp_path}/t: cannot write the trace (File too large); free space or name another folder\n"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adds.sass"]


@pytest.mark.parametrize("limit", [60, 1000])
def test_a_full_disk_keeps_the_trace_that_was_to_be_replaced(sass, stored, tmp_path, limit):
    done = process("trace", sass, "-o", stored, "--overwrite", preexec_fn=small_files(limit), text=True)
    assert done.returncode == 2
    assert len(open_trace(stored).launches) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adds.sass", "three"]


def test_a_trace_that_cannot_take_its_name_puts_the_old_one_back(stored, tmp_path, monkeypatch):
    rename = Path.rename

    def failing(self, target):
        if ".partial-" in self.name and not self.name.endswith("-old"):
            raise OSError(16, "Device or resource busy")
        return rename(self, target)

    new = Trace(open_trace(stored).launches[:1])
    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(GpusimError, match="Device or resource busy"):
        write_trace(new, stored, overwrite=True)
    assert len(open_trace(stored).launches) == 3
    assert os.listdir(tmp_path) == ["three"]


@pytest.mark.parametrize("exists", [True, False])
def test_a_trace_behind_a_link_is_written_there(stored, sass, tmp_path, capsys, exists):
    (tmp_path / "far").mkdir()
    if exists:
        shutil.move(stored, tmp_path / "far" / "t")
    (tmp_path / "link").symlink_to("far/t")
    code, _, _ = call(capsys, "trace", sass, "-o", tmp_path / "link", *(["--overwrite"] if exists else []))
    assert code == 0
    assert (tmp_path / "link").is_symlink()
    assert len(open_trace(tmp_path / "far" / "t").launches) == 1
    assert os.listdir(tmp_path / "far") == ["t"]


def test_an_error_in_closing_a_trace_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(TraceWriter, "_take_place", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt), TraceWriter(tmp_path / "t"):
        pass
    assert os.listdir(tmp_path) == []


# ------------------------------------------------------------------------------------------ what is no file


@needs_root
@pytest.mark.parametrize("option", ["--output", "--timeline"])
def test_a_device_is_never_replaced(capsys, stored, tmp_path, option):
    null = tmp_path / "null"
    os.mknod(null, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    code, out, err = call(capsys, "run", *CARD, stored, option, null)
    assert (code, err) == (0, "")
    assert "cycles" in out
    assert null.is_char_device()


def test_results_go_through_pipes_once(capsys, monkeypatch, stored, tmp_path):
    monkeypatch.setattr("gpusim.runs.checkpoint.SAVE_SECONDS", 0.0)
    os.mkfifo(tmp_path / "pipe")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_text()))
    reader.start()
    assert call(capsys, "run", *CARD, stored, "--output", tmp_path / "pipe")[0] == 0
    reader.join(10)
    assert len(json.loads(read[0])["kernels"]) == 3


def test_results_may_go_to_standard_output(stored):
    done = process("run", *CARD, stored, "--output", "/dev/stdout", "--timeline", "/dev/stderr", text=True)
    assert done.returncode == 0
    saved, end = json.JSONDecoder().raw_decode(done.stdout)
    assert len(saved["kernels"]) == 3
    assert done.stdout[end:].startswith("\ngpusim, configuration")
    assert len(list(csv.DictReader(done.stderr.splitlines()))) == 3 * 4


@pytest.mark.skipif(not shutil.which("bash"), reason="process substitution is one of bash")
def test_a_timeline_may_be_compressed_on_the_way(stored, tmp_path):
    command = (
        f'"{sys.executable}" -m gpusim.cli.main run {" ".join(CARD)} "{stored}" --timeline >(gzip > t.gz); wait $!'
    )
    subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, check=True)
    text = subprocess.run(["gzip", "-dc", "t.gz"], cwd=tmp_path, capture_output=True, check=True).stdout
    assert len(text.splitlines()) == 1 + 3 * 4


def test_a_pipe_cannot_be_resumed_from(capsys, stored, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    code, _, err = call(capsys, "run", *CARD, stored, "--output", tmp_path / "pipe", "--resume")
    assert code == 2
    assert "cannot be read back" in err


# ------------------------------------------------------------------------------------------ compare and validate


@pytest.fixture
def compared(monkeypatch):
    """`gpusim compare` gives two rows; then it does what a test puts into this list, or raises it."""
    after: list[BaseException | Callable[[], None]] = []

    def rows(_):
        for number in (1000.0, 1300.0):
            yield Comparison("r:0", "k", "card", Figures(1000.0), Figures(number), False, 0.0)
        for each in after:
            if isinstance(each, BaseException):
                raise each
            each()

    monkeypatch.setattr("gpusim.cli.compare._compared", rows)
    return after


@pytest.mark.parametrize(("error", "code"), [(GpusimError("bad"), 2), (KeyboardInterrupt(), 130), (ValueError("x"), 3)])
def test_kernels_that_were_compared_are_not_lost(capsys, compared, tmp_path, error, code):
    compared.append(error)
    found, out, _ = call(capsys, "compare", "m.csv", "--csv", tmp_path / "out.csv")
    assert found == code
    assert "mean absolute error of the cycles of 2 kernels: 15.00 %" in out
    assert len(list(csv.DictReader((tmp_path / "out.csv").open()))) == 2


def test_a_comparison_that_cannot_be_written_is_printed(capsys, compared, tmp_path):
    compared.append((tmp_path / "a.csv").mkdir)
    code, out, err = call(capsys, "compare", "m.csv", "--csv", tmp_path / "a.csv", "--json", tmp_path / "a.json")
    assert code == 2
    assert "mean absolute error" in out
    assert len(json.loads((tmp_path / "a.json").read_text())["kernels"]) == 2
    assert err == f"gpusim: error: --csv {tmp_path}/a.csv: cannot write here (it is a folder); name a file in it\n"
