"""How a command ends: a code of its own for every cause, a message, and never a traceback."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from cli_cases import ADDS, CARD, call, needs_root, process, store_three, when_simulating

import gpusim
from gpusim.cli import main as cli
from gpusim.errors import GpusimError
from gpusim.results.result import Result
from gpusim.trace.store import LaunchSink


@pytest.fixture
def stored(tmp_path) -> Path:
    return store_three(tmp_path)


@pytest.fixture
def sass(tmp_path) -> Path:
    (tmp_path / "adds.sass").write_text(ADDS)
    return tmp_path / "adds.sass"


@pytest.fixture(autouse=True)
def reports(tmp_path, monkeypatch) -> Path:
    """Where temporary files of these tests lie; that of a crash is looked for there."""
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    return tmp_path / "scratch"


def failing(monkeypatch, error: BaseException) -> None:
    """`gpusim config list` raises the error."""

    def fail():
        raise error

    monkeypatch.setattr("gpusim.config.loading.list_configs", fail)


# ------------------------------------------------------------------------------------------ codes


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (GpusimError("x.yaml:1: bad; mend it"), 2, "error: x.yaml:1: bad; mend it"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(28, "No space left on device", "/scratch/t"), 2, "error: /scratch/t: No space left on device; free"),
        (PermissionError(13, "Permission denied", "/x"), 2, "error: /x: Permission denied; allow it"),
        (OSError(24, "Too many open files"), 2, "error: standard output or a temporary file: Too many open files\n"),
        (FileNotFoundError("No usable temporary directory"), 2, "No usable temporary directory"),
        (MemoryError("Unable to allocate 10 GiB"), 2, "error: out of memory (Unable to allocate 10 GiB); fewer"),
        (MemoryError(), 2, "error: out of memory; fewer"),
    ],
)
def test_each_cause_has_its_code_and_a_line(capsys, monkeypatch, reports, error, code, message):
    failing(monkeypatch, error)
    found, out, err = call(capsys, "config", "list")
    assert (found, out) == (code, "")
    assert err.startswith("gpusim: ")
    assert message in err
    assert err.count("\n") == 1
    assert list(reports.iterdir()) == []


def test_a_reader_that_left_is_no_fault(capsys, monkeypatch):
    failing(monkeypatch, BrokenPipeError(32, "Broken pipe"))
    monkeypatch.setattr("gpusim.cli.command._drop_output", lambda: None)
    assert call(capsys, "config", "list") == (0, "", "")


# ------------------------------------------------------------------------------------------ faults of gpusim


@pytest.mark.parametrize(
    "error",
    [ValueError("one line\nand another"), AssertionError("the model lost"), RecursionError("deep"), KeyError(1)],
)
def test_a_fault_is_told_in_two_lines_and_a_file(capsys, monkeypatch, reports, error):
    failing(monkeypatch, error)
    code, out, err = call(capsys, "config", "list")
    assert (code, out) == (3, "")
    first, second = err.splitlines()
    assert first == f"gpusim: internal error: {type(error).__name__}: {str(error).splitlines()[0]}"
    (file,) = reports.iterdir()
    assert str(file) in second
    assert "report it" in second
    text = file.read_text()
    for fact in (
        f"gpusim {gpusim.__version__}, Python {sys.version.split()[0]}",
        "numba ",
        "command: gpusim config list",
    ):
        assert fact in text
    assert "Traceback (most recent call last)" in text
    assert "in fail" in text
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_fault_that_no_file_can_hold_is_told_in_full(capsys, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    failing(monkeypatch, ValueError("odd"))
    monkeypatch.setattr("tempfile.mkstemp", full)
    code, _, err = call(capsys, "config", "list")
    assert code == 3
    assert err.startswith("gpusim: internal error: ValueError: odd\n")
    assert "command: gpusim config list" in err
    assert "in fail" in err
    assert err.splitlines()[-1].startswith("gpusim: this is a fault of gpusim. Please report it")


def test_a_fault_in_a_kernel_keeps_those_before_it(capsys, monkeypatch, stored, tmp_path):
    def lose():
        raise AssertionError("the model lost instructions")

    when_simulating(2, monkeypatch, lose)
    code, out, err = call(capsys, "run", *CARD, stored, "--output", tmp_path / "r.json", "--json")
    assert code == 3
    assert "internal error: AssertionError: the model lost instructions" in err
    assert len(json.loads(out)["kernels"]) == 2
    saved = Result.load(tmp_path / "r.json")
    assert (len(saved.kernels), saved.stopped.reason, saved.stopped.kernel) == (2, "error", 2)


def test_ctrl_c_between_two_kernels_keeps_those_before_it(capsys, monkeypatch, stored, tmp_path):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("gpusim.runs.checkpoint.Checkpoint.kernel_done", interrupted)
    code, out, err = call(capsys, "run", *CARD, stored, "--output", tmp_path / "r.json", "--json")
    assert (code, err) == (130, "gpusim: interrupted\n")
    assert len(json.loads(out)["kernels"]) == 1
    assert Result.load(tmp_path / "r.json").stopped.reason == "interrupted"


# ------------------------------------------------------------------------------------------ signals


INTERRUPTED_IMPORT = """
import importlib.abc, os, runpy, signal, sys

signal.signal(signal.SIGINT, signal.default_int_handler)
names = [name for name in sys.argv[1].split(",") if name not in sys.modules]

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == self.name:
            os.kill(os.getpid(), signal.SIGINT)

def attempt(name):
    read, written = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(written, 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        Finder.name = name
        sys.meta_path.insert(0, Finder())
        sys.argv = ["gpusim", "config", "list"]
        try:
            runpy.run_module("gpusim.cli.main", run_name="__main__")
        except SystemExit as stop:
            os._exit(stop.code)
        except BaseException as error:
            os.write(2, repr(error).encode())
        os._exit(99)
    os.close(written)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), text

for name in names:
    print(name, *map(str, attempt(name)), sep="|", end="", flush=True)
"""


def test_ctrl_c_during_any_import_is_one_line():
    listing = "import sys\nbefore = set(sys.modules)\nfrom gpusim.cli.main import main\nstart = set(sys.modules)\n"
    listing += "sys.stdout = open('/dev/null', 'w')\nmain(['config', 'list'])\n"
    listing += "print(*sorted(set(sys.modules) - start), sep=',', file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True)
    names = done.stderr.strip().split(",")
    assert "gpusim.cli.command" in names
    assert len(names) > 100
    chosen = [name for name in names if name.startswith("gpusim.")] + names[::25]
    done = subprocess.run([sys.executable, "-c", INTERRUPTED_IMPORT, ",".join(chosen)], capture_output=True, text=True)
    endings = [line.split("|") for line in done.stdout.splitlines()]
    assert len(endings) > 20
    assert {name for name, *_ in endings} >= {"gpusim.cli.command", "argparse", "gpusim.config.loading"} & set(chosen)
    assert [ending for ending in endings if ending[1:] != ["130", "gpusim: interrupted"]] == []


def test_the_entry_imports_nothing_before_it_listens():
    listing = "import sys\nbefore = set(sys.modules)\nimport gpusim.cli.main\nprint(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True)
    assert [name for name in done.stdout.split() if not name.startswith("gpusim")] in ([], ["__future__"])


def test_ctrl_c_that_an_import_tells_as_another_error_is_ctrl_c(capsys, monkeypatch, reports):
    def load():
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as interrupt:
            raise ImportError("initialization failed") from interrupt

    monkeypatch.setattr("gpusim.config.loading.list_configs", load)
    assert call(capsys, "config", "list") == (130, "", "gpusim: interrupted\n")
    assert list(reports.iterdir()) == []


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_sigterm_saves_what_is_finished_and_is_143(capsys, monkeypatch, stored, tmp_path):
    when_simulating(2, monkeypatch, terminate)
    code, out, err = call(capsys, "run", *CARD, stored, "--output", tmp_path / "r.json", "--json")
    assert code == 143
    assert len(json.loads(out)["kernels"]) == 2
    assert "kernel 3 of 3" in err
    assert "--resume" in err
    assert Result.load(tmp_path / "r.json").stopped.reason == "interrupted"
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_sigterm_removes_what_a_trace_had_written(capsys, monkeypatch, sass, tmp_path):
    monkeypatch.setattr(LaunchSink, "add", lambda *_: terminate())
    assert call(capsys, "trace", sass, "-o", tmp_path / "t") == (143, "", "gpusim: terminated\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adds.sass", "scratch"]


def test_sigterm_removes_temporary_folders(capsys, monkeypatch, sass, reports):
    when_simulating(1, monkeypatch, terminate)
    code, _, err = call(capsys, "sweep", sass, *CARD, "--set-grid", "l2.latency=100,101,102")
    assert code == 143
    assert "interrupted after 1 of 3 runs" in err
    assert list(reports.iterdir()) == []


def test_a_second_sigterm_does_not_stop_the_saving(capsys, monkeypatch, stored, tmp_path):
    def twice():
        try:
            terminate()
        finally:
            terminate()

    when_simulating(1, monkeypatch, twice)
    assert call(capsys, "run", *CARD, stored, "--output", tmp_path / "r.json")[0] == 143
    assert len(Result.load(tmp_path / "r.json").kernels) == 1


def test_a_caller_that_handles_or_ignores_sigterm_goes_on_doing_so(capsys, monkeypatch, stored):
    when_simulating(1, monkeypatch, terminate)
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        assert call(capsys, "run", *CARD, stored)[0] == 0
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_command_runs_in_any_thread(capsys):
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(cli.main(["config", "list"])))
    thread.start()
    thread.join()
    assert codes == [0]


# ------------------------------------------------------------------------------------------ streams

ASCII = {
    "an ascii stream": {"PYTHONIOENCODING": "ascii"},
    "a C locale without UTF-8 mode": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "a latin-1 stream": {"PYTHONIOENCODING": "latin-1"},
}


@pytest.mark.parametrize("settings", ASCII.values(), ids=ASCII)
def test_a_stream_without_utf8_is_drawn_in_ascii(stored, settings):
    for arguments in (("trace", "info", stored), ("run", *CARD, stored)):
        done = process(*arguments, env={**os.environ, **settings})
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.isascii()
        assert b"#" * 8 in done.stdout


def test_a_name_that_is_no_text_can_be_told(tmp_path):
    done = process("trace", "info", os.fsdecode(bytes(tmp_path) + b"/\xff\xfe"))
    assert done.returncode == 2
    assert b"\\udcff\\udcfe" in done.stderr


@needs_root
def test_a_full_disk_behind_standard_output_is_a_message(tmp_path, stored):
    os.mknod(tmp_path / "full", 0o666 | stat.S_IFCHR, os.makedev(1, 7))
    for arguments in (("trace", "info", stored), ("trace", "info", stored, "--json"), ("config", "list")):
        with (tmp_path / "full").open("w") as full:
            done = process(*arguments, stdout=full, stderr=subprocess.PIPE, capture_output=False, text=True)
        assert done.returncode == 2
        assert done.stderr.startswith(
            "gpusim: error: standard output or a temporary file: No space left on device; free"
        )
        assert done.stderr.count("\n") == 1


def test_a_result_is_written_although_nobody_reads_the_report(tmp_path, stored):
    read, written = os.pipe()
    os.close(read)
    output = tmp_path / "r.json"
    with os.fdopen(written, "w") as out:
        done = process(
            "run", *CARD, stored, "--output", output, stdout=out, stderr=subprocess.PIPE, capture_output=False
        )
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(Result.load(output).kernels) == 3


@pytest.mark.parametrize("closed", ["1", "2", "1 2"])
def test_closed_streams_are_no_fault(closed, stored):
    redirect = " ".join(f"{number}>&-" for number in closed.split())
    command = f'"{sys.executable}" -m gpusim.cli.main trace info "{stored}" {redirect}'
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=False)
    assert done.returncode == 0
    assert done.stderr == b""
    assert (b"warp instr." in done.stdout) is ("1" not in closed)


# ------------------------------------------------------------------------------------------ options


def test_internal_names_are_not_offered(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["foo"])
    assert stop.value.code == 2
    err = capsys.readouterr().err
    assert "trace-info" not in err
    assert "invalid choice: 'foo'" in err


@pytest.mark.parametrize(
    ("number", "message"),
    [
        ("x", "'x' is not a whole number"),
        ("1.5", "not a whole number"),
        ("-1", "not at least 1"),
        ("9" * 5000, "'99999"),
    ],
)
def test_numbers_of_threads_that_are_none(capsys, stored, number, message):
    with pytest.raises(SystemExit) as stop:
        cli.main(["run", *CARD, str(stored), "--threads", number])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("threads", [3, 1_000_000, 10**18])
def test_more_threads_than_sms_are_not_started(capsys, stored, threads):
    code, out, err = call(capsys, "run", *CARD, stored, "--threads", threads, "--json")
    assert code == 0
    assert f"gpusim: note: --threads {threads}: 2 are used, one per SM\n" in err
    one = json.loads(call(capsys, "run", *CARD, stored, "--json")[1])
    assert [k["cycles"] for k in json.loads(out)["kernels"]] == [k["cycles"] for k in one["kernels"]]


def test_a_family_is_checked_for_what_it_says(capsys, tmp_path):
    for family in ("ampere", "turing.yaml"):
        code, out, err = call(capsys, "config", "check", family)
        assert (code, err) == (0, "")
        assert out.startswith(f"{family}: a family: it has no name")
        assert "a6000" in out
    path = tmp_path / "family.yaml"
    path.write_text("base: ampere\nsmss: 4\nsm: {warps: 47}\n")
    code, out, err = call(capsys, "config", "check", path)
    assert (code, out) == (2, "")
    first, *problems = err.splitlines()
    assert first == f"gpusim: error: {path}: a family, for cards to name as their base: 2 problems"
    assert len(problems) == 2
    assert "did you mean 'sms'?" in err
    assert "sm.warps: 47 is not allowed" in err
    assert "missing" not in err
    code, _, err = call(capsys, "run", "--config", path, "ampere/sgemm")
    assert code == 2
    assert "without a name this is a family" in err
