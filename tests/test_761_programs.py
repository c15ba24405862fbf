"""Whole CUDA programs: what the runtime promises, how programs end, and who hears what of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sass_cases import needs_nvcc

import gpusim
from gpusim.errors import GpusimError
from gpusim.programs import library
from gpusim.programs.running import execute_program
from gpusim.sass.nvcc import run_nvcc

PROGRAMS = Path(__file__).resolve().parent / "programs"
pytestmark = needs_nvcc


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Programs of tests/programs by name, built once."""
    folder, known = tmp_path_factory.mktemp("programs"), {}

    def program(name: str, *options: str) -> Path:
        key = (name, *options)
        if key not in known:
            known[key] = folder / f"{name}-{len(known)}"
            source = PROGRAMS / f"{name}.cu"
            target = [] if any(option.startswith("-arch") for option in options) else ["-arch=sm_86"]
            assert run_nvcc([*target, *options, str(source), "-o", str(known[key])]) == 0
        return known[key]

    return program


def gpusim_exec(*arguments: object, timeout: float = 200) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gpusim", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout)


def test_every_promise_of_the_runtime_api(built):
    done = gpusim_exec("exec", "--", built("api"))
    assert (done.returncode, done.stdout) == (0, "all passed\n"), done.stdout + done.stderr
    assert "kernel _Z3addPiii: 2048 in x: a block has 1 to 1024 there" in done.stderr


@pytest.mark.parametrize("architecture", ["sm_75", "sm_86"])
def test_forms_of_instructions_that_programs_showed(built, architecture: str):
    program = built("instructions", "-std=c++17", f"-arch={architecture}")
    done = gpusim_exec(
        "exec", "--config", "t4" if architecture == "sm_75" else "a6000", "--launches", "9", "--", program
    )
    assert (done.returncode, done.stdout) == (0, "all passed\n"), done.stdout + done.stderr


def test_textures_and_surfaces(built):
    done = gpusim_exec("exec", "--", built("textures"))
    assert (done.returncode, done.stdout) == (0, "all passed\n"), done.stdout + done.stderr


def test_per_thread_default_streams_reach_the_same_functions(built):
    done = gpusim_exec("exec", "--", built("api", "--default-stream", "per-thread"))
    assert (done.returncode, done.stdout) == (0, "all passed\n"), done.stdout + done.stderr


def test_a_program_is_told_of_the_card(built):
    done = gpusim_exec("exec", "--set", "sms=12", "--", built("api"))
    assert "FAILED card: count == 1 && sms == 84" in done.stdout


# ---- how programs end


@pytest.mark.parametrize(
    ("way", "code"),
    [("exit", 3), ("_exit", 6), ("abort", 128 + signal.SIGABRT), ("crash", 128 + signal.SIGSEGV), ("fork", 7)],
)
def test_the_exit_code_is_the_programs_and_what_was_launched_is_told(built, way: str, code: int):
    done = gpusim_exec("exec", "--", built("endings"), way)
    assert (done.returncode, done.stdout) == (code, "launched\n")
    assert f"{2 if way == 'fork' else 1} launches of 1 kernels" in done.stderr


def test_a_kernel_that_fails_loses_the_context_as_on_a_card(built):
    done = gpusim_exec("exec", "--", built("endings"), "fault")
    assert done.returncode == 4
    assert "4-byte access to address 0x7f0000400000 is out of bounds" in done.stderr
    assert done.stderr.count("out of bounds") == 1  # the launch behind it does not run


def test_a_function_that_is_not_there_is_named_once(built):
    done = gpusim_exec("exec", "--", built("endings"), "missing")
    assert done.returncode == 0
    assert done.stderr.count("cudaIpcGetMemHandle is not there; it returns 'not supported'") == 1


def started(program: Path, *arguments: str) -> subprocess.Popen[str]:
    """gpusim exec with a program that has launched once."""
    command = [sys.executable, "-m", "gpusim", "exec", "--", str(program), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "launched\n"
    return process


def processes_of(program: Path) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                if str(program).encode() in (folder / "cmdline").read_bytes().split(b"\0")[0]:
                    found.append(int(folder.name))
            except OSError:
                continue
    return found


def wait_until_gone(program: Path) -> None:
    for _ in range(200):
        if not processes_of(program):
            return
        time.sleep(0.1)
    raise AssertionError(f"still there: {processes_of(program)}")


@pytest.mark.parametrize("way", ["sleep", "launch for ever"])
def test_ctrl_c_ends_the_program_and_tells_what_was_launched(built, way: str):
    process = started(built("endings"), way)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "launches of 1 kernels" in said
    wait_until_gone(built("endings"))


@pytest.mark.parametrize("way", ["sleep", "launch for ever"])
def test_a_program_does_not_outlive_a_simulator_that_is_killed(built, way: str):
    process = started(built("endings"), way)
    process.kill()
    process.wait()
    wait_until_gone(built("endings"))


def test_a_program_that_is_killed_ends_the_simulator(built):
    process = started(built("endings"), "sleep")
    (program,) = [pid for pid in processes_of(built("endings")) if pid != process.pid]
    os.kill(program, signal.SIGKILL)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGKILL
    assert "1 launches of 1 kernels" in said


# ---- simulated, traced


def test_launches_are_simulated_and_traced_and_time_is_that_of_the_card(built, tmp_path: Path):
    folder, saved = tmp_path / "trace", tmp_path / "result.json"
    options = ["--config", "a6000", "--set", "sms=2", "--launches", "2-3", "-o", folder, "--result", saved, "--json"]
    done = gpusim_exec("exec", *options, "--", built("timed"))
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["program"] == {
        "launches": 4,
        "warp_instructions": facts["program"]["warp_instructions"],
        "kernels": {"_Z4fillPfi": 4},
    }
    cycles = [kernel["cycles"] for kernel in facts["kernels"]]
    assert len(cycles) == 2
    # the program prints the time between its events, in nanoseconds, of launches 2 and 4 (4 is like 2 and 3)
    told = dict(line.split(": ") for line in done.stderr.splitlines() if line.startswith("launch "))
    mhz = gpusim.load_config("a6000").clocks.core_mhz
    assert float(told["launch 1"]) == 0
    assert float(told["launch 2"]) == pytest.approx(cycles[0] * 1000 / mhz, rel=1e-4)
    assert float(told["launch 4"]) == pytest.approx(sum(cycles) / 2 * 1000 / mhz, rel=1e-4)
    assert [kernel.cycles for kernel in gpusim.Result.load(saved).kernels] == cycles
    again = gpusim.simulate(folder, gpusim.load_config("a6000", ["sms=2"]))
    assert [kernel.cycles for kernel in again.kernels] == cycles


def test_a_source_is_built_and_run_in_one_step(tmp_path: Path):
    done = gpusim_exec(
        "run", PROGRAMS / "timed.cu", "--config", "a6000", "--set", "sms=2", "--kernel", "nothing", "--", "2"
    )
    assert done.returncode == 2
    assert "launch 1: 0" in done.stdout
    run = gpusim.execute([PROGRAMS / "timed.cu"], config="a6000", overrides=["sms=2"], launches="1")
    assert run.exit_code == 0
    assert run.totals.launches == 4
    assert run.result is not None
    assert [kernel.name for kernel in run.result.kernels] == ["_Z4fillPfi"]


# ---- what is refused


def test_the_static_runtime_is_refused_before_the_program_starts(built):
    done = gpusim_exec("exec", "--", built("endings", "-cudart", "static"), "exit")
    assert done.returncode == 2
    assert "is linked with the static CUDA runtime" in done.stderr
    assert "gpusim nvcc" in done.stderr
    assert "launched" not in done.stdout


def test_machine_code_for_another_card_is_told_with_the_remedy(built):
    done = gpusim_exec("exec", "--config", "t4", "--", built("endings"), "exit")
    assert (
        "the program holds no machine code for sm_75; it holds that of sm_86; build it with -arch=sm_75" in done.stderr
    )


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["/nowhere/at all"], "/nowhere/at all: no such program"),
        ([str(PROGRAMS / "api.cu") + ".txt"], "no such program"),
        ([__file__], "may not be executed"),
    ],
)
def test_what_is_no_program_is_told(command: list[str], message: str):
    with pytest.raises(GpusimError, match=message):
        execute_program(command, gpusim.load_config("a6000"), None)


def test_without_a_compiler_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("GPUSIM_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(GpusimError, match=r"a C compiler is needed once.*apt install gcc"):
        library.library_folder()


def test_without_the_simulator_a_program_says_how_to_start_it(built):
    folder = library.library_folder()
    done = subprocess.run(
        [built("endings"), "exit"], env={"LD_LIBRARY_PATH": str(folder)}, capture_output=True, text=True, check=False
    )
    assert "gpusim: no simulator: start this program with `gpusim exec -- PROGRAM`" in done.stderr


def test_a_program_of_this_folder_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "here"
    script.write_text("#!/bin/sh\nexit 7\n")
    script.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    run = gpusim.execute(["./here"])
    assert not isinstance(run, dict)
    assert run.exit_code == 7
