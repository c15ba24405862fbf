"""The front door: `import gpusim` is light, takes names, paths and objects alike, and gives frames with units."""

from __future__ import annotations

import dataclasses
import importlib.util
import io
import re
import runpy
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from cli_cases import HEAVY, SASS, WARP_INSTRUCTIONS
from microbench import kernel, op, trace
from result_cases import make_kernel_result, make_result
from trace_cases import OPCODES, make_program, make_trace

import gpusim
from gpusim.model.setup.simulate import simulate
from gpusim.report.text import console_for, print_report
from gpusim.results import columns
from gpusim.results.columns import KERNEL_FRAME, TIMELINE_FRAME
from gpusim.results.counters import COUNTERS
from gpusim.results.result import UNLISTED, Result, Stop
from gpusim.results.stalls import STALL_MEANINGS, STALL_REASONS
from gpusim.results.timeline import STAGES, TIMELINE_COLUMNS
from gpusim.runs.sweep import grid_points
from gpusim.trace.store import write_trace

ROOT = Path(__file__).resolve().parents[1]
SMALL = {"sms": 1, "l2.slices": 4, "dram.channels": 2}
LOADS = [
    op("MOV R2, c[0x0][0x160]", 5),
    op("MOV R3, c[0x0][0x164]", 5),
    op("LDG.E R4, [R2]", 2, write=1),
    op("FADD R5, R4, R4", wait="1"),
]
STORE = """\
.arch sm_86
.kernel seven
.grid 2
.block 32
.param p uint64 0
[B------:R-:W-:-:S05] MOV R2, c[0x0][0x160] ;
[B------:R-:W-:-:S05] MOV R3, c[0x0][0x164] ;
[B------:R-:W-:-:S05] MOV R4, 0x7 ;
[B------:R-:W-:-:S05] STG.E [R2], R4 ;
[B------:R-:W-:-:S05] EXIT ;
"""
STORE_LAUNCH = """
buffers:
  out: {dtype: int32, shape: [3]}
launches:
  - {grid: [2], block: [32], arguments: [{buffer: out}]}
"""
TEN_LINES = """
import gpusim
card   = gpusim.load_config("a6000", ["register_file.read_ports=2"])
trace  = gpusim.open_trace("ampere/sgemm")
result = gpusim.simulate(trace, card)
result.to_frame(); result.kernels[0].pc_frame()
sweep  = gpusim.sweep(trace, card, {"fetch.stream_buffer_lines": [0, 8]})
"""
"""As a notebook user writes them, but for the name of what the last line gives."""


@pytest.fixture(scope="module")
def card():
    return gpusim.load_config("a6000", SMALL)


@pytest.fixture(scope="module")
def result(card) -> Result:
    return gpusim.simulate(trace(kernel(LOADS, block=64, grid=2)), card, timeline=True)


@pytest.fixture
def small_sgemm(tmp_path, monkeypatch):
    """Let `ampere/sgemm` be a small trace."""
    write_trace(trace(kernel(LOADS)), tmp_path / "small")
    monkeypatch.setattr("gpusim.inputs.find_trace", lambda name: tmp_path / "small")


@pytest.fixture
def sass(tmp_path) -> Path:
    path = tmp_path / "three_adds.sass"
    path.write_text(SASS)
    return path


def in_a_process(script: str) -> str:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()


# ------------------------------------------------------------------------------------------ import


def test_import_brings_nothing_slow_and_cards_and_traces_no_compiler():
    loaded = f"[name for name in {HEAVY} if name in sys.modules]"
    script = (
        f"import sys, gpusim\nprint({loaded}, callable(gpusim.trace), 'simulate' in dir(gpusim), {loaded})\n"
        "card, trace = gpusim.load_config('a6000'), gpusim.open_trace('ampere/sgemm')\n"
        "print(repr(card), repr(trace), [name for name in ('numba', 'pandas', 'rich') if name in sys.modules])"
    )
    first, second = in_a_process(script).splitlines()
    assert first == "[] True True []"
    assert second.endswith("4,929,024 warp instructions> []")


def test_every_name_is_there_and_a_wrong_one_gets_the_nearest():
    assert set(gpusim.__all__) <= set(dir(gpusim))
    for name in gpusim.__all__:
        assert callable(getattr(gpusim, name))
        assert getattr(gpusim, name).__doc__
    with pytest.raises(AttributeError, match=r"no attribute 'simulat' \(did you mean 'simulate'\?\)"):
        gpusim.simulat  # noqa: B018


def test_trace_is_a_function_and_a_package(sass):
    import gpusim.trace.store

    executed = gpusim.trace(sass)
    assert executed.warp_instructions == WARP_INSTRUCTIONS
    assert gpusim.trace.store.open_trace
    assert in_a_process(
        "from gpusim import trace\nimport gpusim.trace.trace as t\nprint(callable(trace), t.Trace.__name__)"
    )


def test_python_m_gpusim_is_the_command():
    done = subprocess.run([sys.executable, "-m", "gpusim", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"gpusim {gpusim.__version__}\n"


# ------------------------------------------------------------------------------------------ functions


@pytest.mark.parametrize("size", ["small", pytest.param("bundled", marks=pytest.mark.slow)])
def test_a_notebook_users_lines_run_as_written(size, request):
    if size == "small":
        request.getfixturevalue("small_sgemm")
    names: dict = {}
    exec(TEN_LINES, names)
    assert names["card"].sm.sub_core.register_file.read_ports == 2
    assert names["result"].warp_instructions == names["trace"].warp_instructions
    first, second = names["sweep"]
    assert second.kernels[0]["cycles"] == names["result"].kernels[0].cycles
    assert first.point.settings == {"fetch.stream_buffer_lines": 0}


def test_names_paths_and_objects_are_taken_alike(sass, tmp_path, card):
    stored = tmp_path / "stored"
    (tmp_path / "mine.yaml").write_text(card.to_yaml())
    executed = gpusim.trace(sass, output=stored)
    cycles = {
        gpusim.simulate(source, config).kernels[0].cycles
        for source in (executed, stored, str(stored), sass, str(sass))
        for config in (card, tmp_path / "mine.yaml", str(tmp_path / "mine.yaml"))
    }
    assert len(cycles) == 1
    assert gpusim.open_trace(executed) is executed
    assert gpusim.open_trace(str(stored)).warp_instructions == WARP_INSTRUCTIONS
    with pytest.raises(gpusim.GpusimError, match=r"a kernel file, no trace; execute it with gpusim\.trace"):
        gpusim.open_trace(sass)
    with pytest.raises(gpusim.GpusimError, match="its launches are recorded already"):
        gpusim.simulate(executed, card, launch="launch.yaml")
    with pytest.raises(TypeError, match="not as 5"):
        gpusim.open_trace(5)


@pytest.mark.parametrize("overrides", [["sms=3", "read_ports=2"], {"sms": np.int64(3), "read_ports": 2}])
def test_a_card_that_is_loaded_can_be_changed(card, overrides):
    changed = gpusim.load_config(card, overrides)
    assert changed == gpusim.load_config("a6000", [*(f"{k}={v}" for k, v in SMALL.items()), "sms=3", "read_ports=2"])
    assert card.sms == 1
    assert gpusim.load_config(card) == card
    assert gpusim.load_config("a6000", "sms=3").sms == 3


def test_wrong_overrides_of_a_loaded_card_are_told_as_those_of_a_file(card):
    with pytest.raises(gpusim.GpusimError) as error:
        gpusim.load_config(card, {"read_prots": 2, "sms": 0, "issue.scheduler": object})
    head, *problems = str(error.value).splitlines()
    assert head == "overrides of NVIDIA RTX A6000: 3 problems"
    assert problems[0] == "  override 'read_prots=2': read_prots: unknown key (did you mean 'read_ports'?)"
    assert "override 'sms=0': sms: 0 is not allowed (allowed: integer, 1 to 256)" in problems[1] + problems[2]
    with pytest.raises(gpusim.GpusimError, match="should be KEY=VALUE"):
        gpusim.load_config(card, [("sms", 3)])


def test_a_kernel_is_executed_for_its_buffers(tmp_path):
    (tmp_path / "store.sass").write_text(STORE)
    (tmp_path / "store.yaml").write_text(STORE_LAUNCH)
    buffers = gpusim.execute(tmp_path / "store.sass", tmp_path / "store.yaml", arch=86)
    assert buffers["out"].tolist() == [7, 0, 0]
    with pytest.raises(gpusim.GpusimError, match=r"no architecture 'sm_68' \(did you mean 'sm_8\d'\?\)"):
        gpusim.execute(tmp_path / "store.sass", arch="sm_68")


def test_options_are_those_of_the_engine(card):
    with pytest.raises(TypeError, match=r"no option 'thread' \(did you mean 'threads'\?\); options: threads, skip"):
        gpusim.simulate(make_trace(), card, thread=2)
    for wrong in (0, -1, 1.5, "2"):
        with pytest.raises(gpusim.GpusimError, match=r"threads=.*: should be an integer, at least 1"):
            gpusim.simulate(make_trace(), card, threads=wrong)


def test_what_the_model_guesses_is_a_warning(card):
    (launch,) = trace(kernel(LOADS)).launches
    program = dataclasses.replace(
        launch.program, opcodes=tuple(name.replace("FADD", "FMADEUP") for name in launch.program.opcodes)
    )
    guessed = dataclasses.replace(trace(kernel(LOADS)), launches=(dataclasses.replace(launch, program=program),))
    with pytest.warns(UserWarning, match="FMADEUP") as caught:
        gpusim.simulate(guessed, card)
    assert caught[0].filename == __file__
    told = []
    result = gpusim.simulate(guessed, card, warn=told.append)
    assert len(told) == 1
    assert result.provenance[UNLISTED] == "FMADEUP"
    page = io.StringIO()
    print_report(console_for(page), result, [program])
    assert "likely class, not in the opcode table: FMADEUP" in page.getvalue()
    assert simulate(guessed, card, resumed=result).provenance[UNLISTED] == "FMADEUP"
    assert UNLISTED not in gpusim.simulate(trace(kernel(LOADS)), card).provenance
    with pytest.raises(gpusim.GpusimError, match="FMADEUP"):
        gpusim.simulate(guessed, card, strict=True)


def test_measured_cycles_are_compared(tmp_path, sass, card):
    gpusim.trace(sass, output=tmp_path / "adds")
    table = tmp_path / "cycles.csv"
    table.write_text("cycles,card,trace\n1000,a6000,adds\n4000,a6000,adds\n")
    compared = gpusim.compare(table, config=card, overrides={"kernel_launch_latency.cycles": 0})
    cycles = (
        gpusim.simulate(tmp_path / "adds", gpusim.load_config(card, {"kernel_launch_latency.cycles": 0}))
        .kernels[0]
        .cycles
    )
    assert [row.simulated.cycles for row in compared] == [cycles, cycles]
    frame = compared.to_frame()
    assert frame.cycles_card.tolist() == [1000, 4000]
    assert frame.error_percent.abs().mean() == pytest.approx(compared.mean_absolute_error)
    assert list(frame) == [column.name for column in columns.COMPARISON_FRAME]
    assert (
        repr(compared)
        == f"<Comparisons: 2 kernels, mean absolute error of the cycles {compared.mean_absolute_error:.2f} %>"
    )
    assert "three_adds" in compared._repr_html_()
    with pytest.raises(gpusim.GpusimError, match="1 reports and 0 launch files"):
        gpusim.compare("add.ncu-rep")
    with pytest.raises(TypeError, match="no option 'thread'"):
        gpusim.compare(table, thread=2)


# ------------------------------------------------------------------------------------------ frames


def test_a_result_has_a_row_per_launch_with_every_figure():
    result = make_result()
    frame = result.to_frame()
    assert frame.kernel.tolist() == ["toy", "second"]
    assert frame.launch.tolist() == [0, 1]
    assert frame.grid.tolist() == [(2, 1, 1)] * 2
    for row, each in zip(frame.to_dict("records"), result.kernels):
        summary = each.summary()
        for name in ("cycles", "warp_instructions", "ipc", "occupancy", "resident_warp_cycles", "seconds"):
            assert row[name] == summary[name]
        assert {name: row[name] for name in summary["counters"]} == summary["counters"]
        assert {name: row[f"stall_{name}"] for name in STALL_REASONS} == summary["stalls"]
    assert list(frame.attrs["units"]) == list(frame)
    assert frame.attrs["units"]["cycles"] == "cycle"


def test_every_counter_of_a_simulation_is_a_column_and_none_else(result):
    assert list(result.to_frame()) == [column.name for column in KERNEL_FRAME]
    assert list(Result("none", (), 0.0).to_frame()) == [column.name for column in KERNEL_FRAME]


def test_a_pc_frame_adds_up_to_the_launch(result):
    (launch,) = result.kernels
    frame = launch.pc_frame()
    assert frame.pc.tolist() == [16 * k for k in range(len(frame))]
    assert frame.opcode.tolist() == ["MOV", "MOV", "LDG.E", "FADD", "EXIT"]
    assert frame.text[2].startswith("LDG.E R4, [R2]")
    assert frame.issues.sum() == launch.warp_instructions
    assert (frame.stall_selected == frame.issues).all()
    for reason, total in launch.stalls.items():
        assert frame[f"stall_{reason}"].sum() == total
    assert list(frame.attrs["units"]) == list(frame)


def test_a_timeline_frame_leaves_missing_stages_empty(result):
    (launch,) = result.kernels
    frame = launch.timeline_frame()
    assert tuple(frame) == TIMELINE_COLUMNS == tuple(column.name for column in TIMELINE_FRAME)
    assert len(frame) == launch.warp_instructions
    assert {str(frame[stage].dtype) for stage in STAGES} == {"Int64"}
    for stage in STAGES:
        assert frame[stage].fillna(-1).tolist() == launch.timeline[stage].tolist()
    assert frame.loc[frame.opcode == "EXIT", "write_back"].isna().all()
    assert (frame[frame.opcode == "LDG.E"].write_back - frame[frame.opcode == "LDG.E"].issue > 30).all()
    assert list(frame.attrs["units"]) == list(frame)
    with pytest.raises(gpusim.GpusimError, match="toy: no timeline was recorded; simulate with timeline=True"):
        make_kernel_result().timeline_frame()


def test_a_loaded_result_takes_its_program_from_the_trace(result, tmp_path):
    result.save(tmp_path / "r.json")
    (loaded,) = gpusim.Result.load(tmp_path / "r.json").kernels
    (launch,) = result.kernels
    assert "text" not in loaded.pc_frame()
    assert loaded.pc_frame(launch.program).equals(launch.pc_frame())
    assert make_kernel_result().pc_frame(make_program()).opcode.tolist() == list(OPCODES)
    assert "opcode" not in make_kernel_result(timeline=True).timeline_frame()
    assert make_kernel_result(timeline=True).timeline_frame(make_program()).opcode.tolist() == list(OPCODES[:2])
    shorter = dataclasses.replace(make_program(), instructions=make_program().instructions[:2])
    with pytest.raises(gpusim.GpusimError, match="is not the program that this result is of"):
        make_kernel_result().pc_frame(shorter)


# ------------------------------------------------------------------------------------------ how objects show themselves


class Cells(HTMLParser):
    """Texts and tooltips of a table; complains about tags that do not close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.titles: dict[str, str] = {}
        self.texts: list[str] = []
        self.title: str | None = None
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.title = dict(attributes).get("title")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)
        if self.title:
            self.titles[data] = self.title


def shown(result, card) -> list:
    (launch,) = trace(kernel(LOADS)).launches
    swept = gpusim.sweep(make_trace(), card, {"sm.registers": [4]})
    return [result, result.kernels[0], card, trace(kernel(LOADS)), launch, launch.program, swept, make_result()]


def test_every_object_is_one_line_and_a_table(result, card):
    for each in shown(result, card):
        assert re.fullmatch(rf"<{type(each).__name__} .{{1,120}}>", repr(each))
        assert str(each) == repr(each)
        assert repr(each) in Cells(each._repr_html_()).texts
    assert repr(make_result()) == "<Result a6000: 2 kernels, 300 cycles>"
    assert repr(make_kernel_result()) == "<KernelResult toy: grid 2, block 64, 200 cycles>"
    assert repr(make_trace(chunks=1)).startswith("<Trace toy.sass: 1 launch, ")
    assert repr(make_program()) == "<Program toy: sm_86, 5 instructions>"
    stopped = dataclasses.replace(make_result(), stopped=Stop("interrupted", 2, 5, "third", 17))
    assert repr(stopped).endswith("300 cycles, stopped (interrupted) in kernel 3 of 5>")


def test_tables_escape_names():
    nasty = "<b onclick='x'>gemm<float, 4> & \"co\"</b>"
    launch = make_kernel_result(name=nasty)
    for each in (
        launch,
        Result(nasty, (launch,), 0.0),
        dataclasses.replace(make_program(), name=nasty, text=(nasty,) * 5),
    ):
        cells = Cells(each._repr_html_())
        assert any(nasty in text for text in cells.texts)


def test_a_long_table_says_how_much_it_leaves_out():
    many = Result("card", (make_kernel_result(),) * 100, 0.0)
    texts = Cells(many._repr_html_()).texts
    assert "and 40 rows more" in texts
    assert texts.count("toy") == 60


def test_pointing_at_a_figure_tells_what_it_means(result):
    titles = Cells(result.kernels[0]._repr_html_()).titles
    assert titles["stall_long_scoreboard"].startswith("waits on a dependence counter of a global, local or texture")
    assert "smsp__average_warps_issue_stalled_long_scoreboard" in titles["stall_long_scoreboard"]
    assert titles["l1_load_sectors"] == (
        "32-byte sectors that global and local loads asked L1D for [sector]; "
        "Nsight Compute: l1tex__t_sectors_pipe_lsu_mem_global_op_ld.sum"
    )
    assert "[warp instruction/cycle]" in Cells(result._repr_html_()).titles["ipc"]


def test_a_card_has_all_its_values_in_text(card, tmp_path):
    (tmp_path / "card.yaml").write_text(card.to_yaml())
    assert gpusim.load_config(tmp_path / "card.yaml") == card


# ------------------------------------------------------------------------------------------ documentation


@pytest.fixture
def page() -> str:
    return (ROOT / "docs" / "python.md").read_text()


def test_the_page_lists_every_column_with_its_unit_and_meaning(page):
    specification = importlib.util.spec_from_file_location("docs_build", ROOT / "docs" / "build.py")
    build = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(build)
    assert build.with_tables(page) == page, "run `python docs/build.py`"
    described = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \| \S", page, re.MULTILINE))
    shown = (*KERNEL_FRAME, *TIMELINE_FRAME, *columns.INSTRUCTION_FRAME, *columns.SWEEP_FRAME, columns.ERROR_COLUMN)
    for column in shown:
        assert described[column.name] == column.unit
    for counter in COUNTERS:
        assert f"| `{counter.name}` | {counter.unit} | {counter.meaning} |" in page
        assert counter.nsight in page
    for reason, meaning in STALL_MEANINGS.items():
        assert f"| `stall_{reason.name.lower()}` | warp-cycle | {meaning} |" in page


def test_the_page_names_every_function_with_parameters_it_has(page):
    from inspect import signature

    for name in ("load_config", "open_trace", "trace", "execute", "simulate", "sweep", "compare"):
        (arguments,) = re.findall(rf"^\| `{name}\((.*?)\)` \|", page, re.MULTILINE)
        function = getattr(gpusim.api, name)
        known = [parameter.replace("**", "") for parameter in map(str, signature(function).parameters)]
        for argument in re.split(r", (?![^(]*\))", arguments):
            assert argument.split("=")[0].strip("*") in known, (name, argument)


def test_the_example_runs(small_sgemm, tmp_path, monkeypatch, capsys):
    script = ROOT / "examples" / "notebook.py"
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.chdir(tmp_path)
    names = runpy.run_path(str(script))
    assert len(names["sweep"]) == 4
    assert (tmp_path / "stream_buffer.png").stat().st_size > 1000
    assert "stall_long_scoreboard" in capsys.readouterr().out
    assert sum(1 for line in script.read_text().splitlines() if line) <= 15


def test_points_of_the_page_and_the_command_are_the_same():
    assert grid_points({"fetch.stream_buffer_lines": [0, 8]}) == grid_points(["fetch.stream_buffer_lines=0,8"])
