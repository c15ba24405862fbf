"""Progress on standard error: tracing tells its launches, a compilation has its place on a terminal."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from cli_cases import ADDS

from gpusim import compiling
from gpusim.cli import main as cli
from gpusim.cli.progress import ProgressView, TraceProgress
from gpusim.emulator.tracing import TraceStep, run_in_memory
from gpusim.model.setup.simulate import Progress

LAUNCHES = "launches:\n" + "".join(f"  - {{grid: [{ctas}], block: [32]}}\n" for ctas in (1, 2, 3))


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def files(tmp_path) -> tuple[Path, Path]:
    """A kernel and a file that launches it three times."""
    source, launch = tmp_path / "adds.sass", tmp_path / "adds.yaml"
    source.write_text(ADDS)
    launch.write_text(LAUNCHES)
    return source, launch


def test_tracing_tells_every_launch_with_its_number(files):
    told: list[TraceStep] = []
    run_in_memory(*files, progress=told.append)
    assert [(step.launch, step.launches, step.kernel) for step in told] == [(k, 3, "adds") for k in range(3)]
    assert [(step.ctas_done, step.ctas) for step in told] == [(1, 1), (2, 2), (3, 3)]
    assert [step.warp_instructions for step in told] == [2, 6, 12]


def test_the_rate_of_tracing_leaves_compiling_out(files, monkeypatch):
    monkeypatch.setattr(compiling.CLOCK, "total", 0.0)
    told: list[TraceStep] = []

    def keep(step: TraceStep) -> None:
        told.append(step)
        monkeypatch.setattr(compiling.CLOCK, "total", -1e6)  # as if a million CPU seconds had not been compiling

    summary = run_in_memory(*files, progress=keep)[1]
    assert told[-1].rate < 1e-4
    assert summary.cpu_seconds > 1e5


@pytest.mark.parametrize("command", ["run", "trace"])
def test_a_line_says_which_launch_is_executed(files, tmp_path, monkeypatch, capsys, command):
    monkeypatch.setattr("gpusim.cli.progress.LOG_SECONDS", 0.0)
    source, launch = map(str, files)
    more = ["--config", "a6000", "--set", "sms=2"] if command == "run" else ["-o", str(tmp_path / "t")]
    assert cli.main([command, source, "--launch", launch, *more]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("executing ")]
    assert [line.split(":")[0] for line in lines] == [f"executing launch {k}/3 adds" for k in (1, 2, 3)]
    assert lines[1].startswith("executing launch 2/3 adds: CTA 2 of 2, 6 warp instr. in all, ")


def test_lines_are_seldom(capsys):
    progress = TraceProgress()
    for done in range(100):
        progress(TraceStep("k", 0, 1, done, 100, done, 1.0))
    assert capsys.readouterr().err == ""


def test_a_terminal_shows_a_compilation_in_the_bar(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "100")
    before = compiling.CLOCK.notice
    with ProgressView() as view:
        assert compiling.CLOCK.notice is not before
        with compiling.CLOCK.compilation("gpusim.model.gpu"):
            view._bar.refresh()
        view(Progress(0, 2, "adds", 10, 100, 500, 0, 1000))
        view._bar.refresh()
        text = terminal.getvalue()
    assert "compiling the timing model, once, about half a minute" in text
    assert "0:00:0" in text
    assert "kernel 1/2 adds: cycle 10" in text
    assert compiling.CLOCK.notice is before


def test_a_log_is_told_of_a_compilation_in_lines(capsys, monkeypatch):
    monkeypatch.setattr(compiling.CLOCK, "notice", compiling.StderrNotice())
    with ProgressView() as view:
        with compiling.CLOCK.compilation("gpusim.model.gpu"):
            pass
        view(Progress(0, 1, "adds", 0, 0, 500, 0, 500))
    assert capsys.readouterr().err == (
        "gpusim: compiling the timing model, once for this version and machine: about half a minute\n"
    )
