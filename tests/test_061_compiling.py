"""Compiling is told to whoever waits and is not counted as simulating."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time

import pytest
from microbench import kernel, op, trace

from gpusim import compiling
from gpusim.compiling import Clock, StderrNotice, Stopwatch
from gpusim.config import load_config
from gpusim.model.setup.simulate import KernelRun, simulate
from gpusim.results.result import Result

BUSY = 0.3
"""CPU seconds that the compilations of these tests take."""


def burn(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


class Recorder:
    """A notice that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, ...]] = []

    def begin(self, what: str, expected: str) -> None:
        self.told.append((what, expected))

    def end(self) -> None:
        self.told.append(("end",))


@pytest.fixture
def recorder(monkeypatch) -> Recorder:
    notice = Recorder()
    monkeypatch.setattr(compiling.CLOCK, "notice", notice)
    return notice


def test_a_compilation_within_another_is_counted_and_told_once():
    clock = Clock()
    clock.notice = recorder = Recorder()
    with clock.compilation("gpusim.model.gpu"):
        burn(0.05)
        with clock.compilation("gpusim.model.sm"):
            burn(0.05)
        assert clock.total == 0.0
    assert 0.1 <= clock.total < 1.0
    assert recorder.told == [("the timing model", "about half a minute"), ("end",)]


@pytest.mark.parametrize("package", compiling.PARTS)
def test_every_compiled_part_has_a_name_and_a_time(package):
    clock = Clock()
    clock.notice = recorder = Recorder()
    with clock.compilation(f"{package}.some.module"):
        pass
    assert recorder.told[0] == compiling.PARTS[package]


def test_a_stopwatch_leaves_compiling_out(recorder):
    watch, resumed = Stopwatch(), Stopwatch(10.0, 5.0)
    with compiling.CLOCK.compilation("gpusim.model.gpu"):
        burn(BUSY)
    burn(0.05)
    assert BUSY <= watch.compile_seconds < BUSY + 0.1
    assert 0.05 <= watch.cpu_seconds < BUSY
    assert 5.0 + BUSY <= resumed.compile_seconds < 5.1 + BUSY
    assert 10.05 <= resumed.cpu_seconds < 10.0 + BUSY


def test_a_result_tells_compiling_apart(recorder, monkeypatch, tmp_path):
    run = KernelRun._run_windows

    def compiles(self, pool):
        with compiling.CLOCK.compilation("gpusim.model.gpu"):
            burn(BUSY)
        return run(self, pool)

    launches, card = trace(kernel([op("FADD R4, R4, R4", 4)] * 5)), load_config("a6000", ["sms=1"])
    simulate(launches, card)  # compiles where it was not yet
    warm = simulate(launches, card)
    assert warm.compile_seconds == 0.0
    with monkeypatch.context() as patch:
        patch.setattr(KernelRun, "_run_windows", compiles)
        cold = simulate(launches, card)
    assert cold.compile_seconds >= BUSY
    assert cold.kernels[0].seconds < BUSY
    assert cold.kernels[0].seconds <= cold.cpu_seconds
    assert cold.warp_instructions_per_cpu_second == cold.warp_instructions / cold.cpu_seconds
    assert cold.summary()["compile_seconds"] == cold.compile_seconds
    cold.save(tmp_path / "r.json")
    assert Result.load(tmp_path / "r.json").compile_seconds == cold.compile_seconds
    before = json.loads((tmp_path / "r.json").read_text()) | {"version": 1}
    del before["compile_seconds"], before["checksum"]
    (tmp_path / "r.json").write_text(json.dumps(before))
    assert Result.load(tmp_path / "r.json").compile_seconds == 0.0


def test_in_a_log_a_line_begins_and_more_follow(monkeypatch, capsys):
    monkeypatch.setattr(compiling, "LINE_SECONDS", 0.05)
    notice = StderrNotice()
    for _ in range(2):
        notice.begin("the timing model", "about a minute")
        time.sleep(0.2)
        notice.end()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "gpusim: compiling the timing model, once for this version and machine: about a minute"
    assert len(lines) > 3
    assert set(lines[1:]) == {f"gpusim: compiling the timing model: 0 s, {compiling.CLOCK.functions} functions so far"}


def test_a_short_compilation_is_one_line(capsys):
    notice = StderrNotice()
    notice.begin("the hazard checker", "a few seconds")
    notice.end()
    assert capsys.readouterr().err.count("\n") == 1


def test_nobody_needs_to_listen(monkeypatch):
    for stream in (None, open(os.devnull, "w")):  # noqa: SIM115
        monkeypatch.setattr(sys, "stderr", stream)
        if stream:
            stream.close()
        notice = StderrNotice()
        notice.begin("the timing model", "about a minute")
        notice.end()


def test_on_a_terminal_it_is_a_live_line_that_disappears():
    script = (
        "import time\nfrom gpusim import compiling\ncompiling.LIVE_SECONDS = 0.05\n"
        "with compiling.CLOCK.compilation('gpusim.emulator.x'):\n"
        "    compiling.CLOCK.function()\n"
        "    time.sleep(0.3)\n"
    )
    master, slave = pty.openpty()
    subprocess.run([sys.executable, "-c", script], stderr=slave, check=True)
    os.close(slave)
    text = b""
    try:
        while chunk := os.read(master, 4096):
            text += chunk
    except OSError:  # the other end is closed
        pass
    os.close(master)
    assert b"\n" not in text
    assert b"\rgpusim: compiling the emulator, once, about half a minute: 0 s, 1 functions" in text
    assert text.endswith(b"\r\x1b[K")
