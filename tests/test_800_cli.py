"""The command line: quick help, exit codes, and messages instead of tracebacks."""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import pytest
from cli_cases import HEAVY, SASS, WARP_INSTRUCTIONS, call, needs_every_trace, refused
from trace_cases import make_trace

from gpusim.results.result import Result
from gpusim.results.stalls import STALL_REASONS
from gpusim.results.timeline import STAGES, TIMELINE_COLUMNS
from gpusim.trace.store import write_trace


@pytest.fixture
def sass(tmp_path):
    path = tmp_path / "three_adds.sass"
    path.write_text(SASS)
    return path


@pytest.fixture
def stored(tmp_path):
    write_trace(make_trace(), tmp_path / "toy")
    return tmp_path / "toy"


def test_help_imports_nothing_slow():
    script = (
        "import sys\nfrom gpusim.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as stop:\n    assert not stop.code\n"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "COMMAND" in done.stdout
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize("command", [["run"], ["trace"], ["trace", "info"], ["config"], ["doctor"], ["bench"]])
def test_every_command_explains_itself(capsys, command):
    code, out, _ = call(capsys, *command, "--help")
    assert code == 0
    assert " ".join(["usage: gpusim", *command]) in out


def test_an_error_is_one_message_of_a_real_process(tmp_path):
    command = [sys.executable, "-m", "gpusim.cli.main", "trace", "info", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("gpusim: error: ")
    assert done.stderr.count("\n") == 1


def test_ctrl_c_is_130(capsys, monkeypatch, stored):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("gpusim.trace.store.open_trace", interrupted)
    code, _, err = call(capsys, "trace", "info", stored)
    assert (code, err) == (130, "gpusim: interrupted\n")


# ------------------------------------------------------------------------------------------ bad input


def test_truncated_trace(capsys, stored):
    file = stored / "launch-0000.bin"
    file.write_bytes(file.read_bytes()[:-7])
    for arguments in (("trace", "info", stored), ("run", "--config", "a6000", stored)):
        err = refused(capsys, *arguments)
        assert "launch-0000.bin" in err
        assert "truncated" in err


def test_unknown_trace_suggests_a_bundled_one(capsys):
    err = refused(capsys, "run", "--config", "a6000", "traces/ampere/sgem")
    assert "did you mean 'ampere/sgemm'?" in err


def test_unknown_card_suggests_the_nearest(capsys, stored):
    err = refused(capsys, "run", "--config", "a600", stored)
    assert "a600" in err
    assert "did you mean" in err


def test_three_mistakes_in_a_config_are_reported_at_once(capsys, tmp_path, stored):
    path = tmp_path / "mine.yaml"
    path.write_text("base: a6000\nsmss: 4\nsm:\n  warps: 47\n  sub_core:\n    register_file:\n      read_prots: 2\n")
    for arguments in (("config", "check", path), ("run", "--config", path, stored)):
        err = refused(capsys, *arguments)
        assert "mine.yaml" in err
        assert "smss" in err
        assert "did you mean 'sms'?" in err
        assert "sm.warps" in err
        assert "read_prots" in err
        assert "did you mean 'read_ports'?" in err


def test_unknown_override_suggests_the_nearest(capsys, stored):
    err = refused(capsys, "run", "--config", "a6000", "--set", "sm.sub_core.register_file.read_prots=2", stored)
    assert "read_ports" in err


def test_unknown_opcode_is_named_with_its_place(capsys, tmp_path):
    path = tmp_path / "bad.sass"
    path.write_text(SASS.replace("FADD R4, R3, R2", "FROB R4, R3, R2"))
    err = refused(capsys, "run", "--config", "a6000", path)
    assert "FROB" in err
    assert "bad.sass" in err


BUFFER_LAUNCH = """\
buffers:
  x: {dtype: float32, shape: [16], fill: zeros}
launches:
  - kernel: overrun
    grid: [1]
    block: [32]
    arguments:
      - {buffer: x}
"""
BUFFER_SASS = """\
.arch sm_86
.kernel overrun
.grid 1
.block 32
.param x uint64 0
[B------:R-:W0:-:S01] S2R R0, SR_TID.X ;
[B------:R-:W-:-:S04] MOV R3, 0x4 ;
[B0-----:R-:W-:-:S05] IMAD.WIDE R2, R0, R3, c[0x0][0x160] ;
[B------:R-:W1:-:S01] LDG.E R4, [R2] ;
[B-1----:R-:W-:-:S05] EXIT ;
"""


@pytest.mark.boundscheck
def test_too_small_buffer_names_pc_lane_and_address(capsys, tmp_path):
    (tmp_path / "overrun.sass").write_text(BUFFER_SASS)
    (tmp_path / "overrun.yaml").write_text(BUFFER_LAUNCH)
    command = ("trace", tmp_path / "overrun.sass", "--launch", tmp_path / "overrun.yaml", "-o", tmp_path / "out")
    err = refused(capsys, *command)
    assert "LDG.E" in err
    assert "lane 16" in err
    assert "pc 0x0030" in err
    assert "000040" in err  # the address
    assert "'x'" in err
    assert not (tmp_path / "out").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["overrun.sass", "overrun.yaml"]


def test_kernel_filter_errors(capsys, stored):
    assert "not a regular expression" in refused(capsys, "run", "--config", "a6000", "--kernel", "(", stored)
    err = refused(capsys, "run", "--config", "a6000", "--kernel", "tyo", stored)
    assert "no kernel matches" in err
    assert "toy" in err


LAUNCHES = "launches:\n" + "".join(f"  - {{grid: [{ctas}], block: [32]}}\n" for ctas in (1, 2, 3, 4))


def test_launches_are_chosen_by_number(capsys, tmp_path, sass):
    launch = tmp_path / "launch.yaml"
    launch.write_text(LAUNCHES)

    def ctas(*options):
        command = ("run", "--config", "a6000", "--set", "sms=1", sass, "--launch", launch, "--json")
        code, out, _ = call(capsys, *command, *options)
        assert code == 0
        return [row["warp_instructions"] // 5 for row in json.loads(out)["kernels"]]

    assert ctas() == [1, 2, 3, 4]
    assert ctas("--launches", "3") == [3]
    assert ctas("--launches", "4,1-2") == [1, 2, 4]
    assert ctas("--launches", "2-4", "--kernel", "three") == [2, 3, 4]


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ("3", "no launch 3; the trace has launches 1 to 2"),
        ("1-9", "no launch 9; the trace has launches 1 to 2"),
        ("0", "no launch 0"),
        ("2-1", "the range 2-1 is empty"),
        ("1,", "'' is neither a number nor a range"),
        ("first", "'first' is neither a number nor a range"),
    ],
)
def test_wrong_launch_numbers_are_named(capsys, tmp_path, sass, numbers, message):
    launch = tmp_path / "launch.yaml"
    launch.write_text("launches: [{grid: [1], block: [32]}, {grid: [2], block: [32]}]\n")
    command = ("run", "--config", "a6000", sass, "--launch", launch, "--launches", numbers)
    assert message in refused(capsys, *command)


def test_misplaced_files(capsys, tmp_path, stored):
    text = tmp_path / "notes.txt"
    text.write_text("x")
    assert "neither a trace folder nor a kernel file" in refused(capsys, "run", "--config", "a6000", text)
    assert "not a kernel file" in refused(capsys, "trace", text, "-o", tmp_path / "out")
    assert "no such file" in refused(capsys, "trace", tmp_path / "absent.cu", "-o", tmp_path / "out")
    assert "recorded already" in refused(capsys, "run", "--config", "a6000", stored, "--launch", "x.yaml")
    assert "not at least 1" in refused(capsys, "run", "--config", "a6000", stored, "--threads", "0")


def test_trace_does_not_replace_a_folder_unasked(capsys, sass, stored):
    assert "holds a trace already" in refused(capsys, "trace", sass, "-o", stored)
    code, out, _ = call(capsys, "trace", sass, "-o", stored, "--overwrite")
    assert code == 0
    assert "three_adds" in out


# ------------------------------------------------------------------------------------------ good input


@pytest.mark.boundscheck
def test_trace_then_info_then_run_agree_on_the_count(capsys, sass, tmp_path):
    assert call(capsys, "trace", sass, "-o", tmp_path / "t")[0] == 0
    info = json.loads(call(capsys, "trace", "info", tmp_path / "t", "--json")[1])
    assert info["warp_instructions"] == WARP_INSTRUCTIONS
    assert info["thread_instructions"] == 32 * WARP_INSTRUCTIONS
    assert info["launches"][0]["opcodes"]["FADD"] == 12
    for source in (tmp_path / "t", sass):
        code, out, _ = call(capsys, "run", "--config", "a6000.yaml", source, "--json")
        result = json.loads(out)
        assert code == 0
        assert result["totals"]["warp_instructions"] == WARP_INSTRUCTIONS
        assert result["kernels"][0]["name"] == "three_adds"
        assert list(result["kernels"][0]["stalls"]) == list(STALL_REASONS)
        assert result["kernels"][0]["stalls"]["selected"] == WARP_INSTRUCTIONS
        assert result["config"]
        assert result["warp_instructions_per_cpu_second"] > 0


def test_report_shows_cycles_reasons_and_sass(capsys, sass):
    code, out, _ = call(capsys, "run", "--config", "a6000", sass)
    assert code == 0
    for word in ("three_adds", "cycles", "IPC", "occupancy", "selected", "FADD R5, R4, R2", "[B------:R-:W-:-:S04]"):
        assert word in out


def test_timeline_and_output_files(capsys, sass, tmp_path):
    timeline, output = tmp_path / "t.csv", tmp_path / "r.json"
    code, _, _ = call(capsys, "run", "--config", "a6000", sass, "--timeline", timeline, "--output", output)
    assert code == 0
    with timeline.open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0])[: len(TIMELINE_COLUMNS)] == TIMELINE_COLUMNS
    assert len(rows) == WARP_INSTRUCTIONS
    for row in rows:
        cycles = [int(row[stage]) for stage in STAGES if row[stage]]
        assert cycles == sorted(cycles)
        assert row["issue"]
    assert Result.load(output).warp_instructions == WARP_INSTRUCTIONS


def test_result_does_not_depend_on_how_it_is_simulated(capsys, sass):
    def cycles(*options):
        return json.loads(call(capsys, "run", "--config", "a6000", sass, "--json", *options)[1])["kernels"][0]["cycles"]

    assert cycles() == cycles("--no-skip") == cycles("--threads", 2) == cycles("--window", 1)


def test_an_override_changes_the_result(capsys, sass):
    def cycles(*options):
        return json.loads(call(capsys, "run", "--config", "a6000", sass, "--json", *options)[1])["kernels"][0]["cycles"]

    assert (
        cycles("--set", "kernel_launch_latency.cycles=700") - cycles("--set", "kernel_launch_latency.cycles=200") == 500
    )


def test_config_commands(capsys, tmp_path):
    code, out, _ = call(capsys, "config", "list")
    assert code == 0
    assert "a6000" in out
    code, out, _ = call(capsys, "config", "show", "a6000", "--set", "sm.sub_core.register_file.read_ports=2")
    assert code == 0
    assert "read_ports: 2" in out
    (tmp_path / "full.yaml").write_text(out)
    code, out, _ = call(capsys, "config", "check", tmp_path / "full.yaml")
    assert code == 0
    assert "valid" in out


def test_doctor_runs_a_kernel(capsys):
    code, out, _ = call(capsys, "doctor")
    assert code == 0
    for word in ("gpusim", "numba", "nvdisasm", "cache", "self-run", "ok"):
        assert word in out


@needs_every_trace
@pytest.mark.slow
def test_bench_measures_speed_start_up_and_memory(capsys):
    code, out, _ = call(capsys, "bench", "ampere/pointer_chase", "--repeat", 1, "--json")
    assert code == 0
    figures = json.loads(out)
    kernel = figures["kernels"][0]
    assert kernel["warp_instructions_per_cpu_second"] == kernel["warp_instructions"] / kernel["cpu_seconds"]
    assert kernel["peak_memory_mb"] > 50
    assert figures["cold_start"]["cpu"] > figures["warm_start"]["cpu"] > 0


@needs_every_trace
@pytest.mark.slow
def test_bench_compares_threads(capsys):
    code, out, _ = call(capsys, "bench", "strided", "--repeat", 1)
    assert code == 0
    assert "cold start" in out
    assert "32 sectors per load" in out


PEER = """
import json, pathlib, sys
trace, config = map(pathlib.Path, sys.argv[1:])
assert json.loads((trace / "trace.json").read_text())["launches"], trace
assert config.name == "a6000"
with open(pathlib.Path(__file__).with_name("calls"), "a") as file:
    file.write("x")
sum(range(3_000_000))
"""


@needs_every_trace
def test_bench_runs_a_peer_in_turn_and_keeps_a_history(capsys, tmp_path):
    peer, history = tmp_path / "peer.py", tmp_path / "history.jsonl"
    peer.write_text(PEER)
    options = ["--repeat", 3, "--peer", f"{sys.executable} {peer} {{trace}} {{config}}", "--history", history]
    code, out, _ = call(capsys, "bench", "chase_l1", *options, "--json")
    assert code == 0
    (kernel,) = json.loads(out)["kernels"]
    assert (tmp_path / "calls").read_text() == "xxx"
    assert kernel["peer_cpu_seconds"] > 0.02
    assert kernel["ratio"] == kernel["peer_cpu_seconds"] / kernel["cpu_seconds"]
    code, out, _ = call(capsys, "bench", "chase_l1", *options)
    assert code == 0
    assert "peer, CPU s" in out
    lines = [json.loads(line) for line in history.read_text().splitlines()]
    assert [line["kernels"][0]["name"] for line in lines] == ["chase_l1"] * 2
    assert all(line["version"] and line["date"].startswith("20") for line in lines)


@needs_every_trace
@pytest.mark.parametrize(
    ("peer", "message"),
    [
        ("accel-sim", "write {trace} where the folder of the trace belongs"),
        ("'unfinished {trace}", "not a command line"),
        ("/no/such/simulator {trace}", "/no/such/simulator: cannot be run"),
        (f"{sys.executable} -c exit(5) {{trace}}", "failed with exit code 5"),
    ],
)
def test_a_peer_that_cannot_be_compared_is_refused(capsys, peer, message):
    code, _, err = call(capsys, "bench", "chase_l1", "--repeat", 1, "--peer", peer)
    assert code == 2
    assert message in err


@needs_every_trace
def test_every_row_of_the_benchmark_has_its_kernel():
    from gpusim.cli.bench_worker import suite
    from gpusim.inputs import find_trace
    from gpusim.trace.store import open_trace

    rows = {row.name: row for row in suite()}
    assert list(rows) == ["ffma", "sgemm", "vecadd", "strided", "chase_l1", "chase_dram"]
    for row in rows.values():
        path = find_trace(row.source)
        if path.is_dir():
            assert (row.launch or 0) < len(open_trace(path).launches)
        else:
            assert path.with_suffix(".yaml").is_file()
    chase = open_trace(rows["chase_l1"].source).launches
    assert {chase[rows[name].launch].warps_per_cta for name in ("chase_l1", "chase_dram")} == {1}


@needs_every_trace
def test_bench_refuses_what_it_cannot_measure(capsys):
    assert "did you mean 'ampere/sgemm'?" in refused(capsys, "bench", "ampere/sgem")
    assert "at least one run" in refused(capsys, "bench", "--repeat", 0)
    assert "did you mean 'ampere/saxpy'?" in refused(capsys, "bench", "ampere/saxpi")
