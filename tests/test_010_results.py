"""Results: sums, lossless files, the timeline's CSV, and no half-written outputs."""

from __future__ import annotations

import copy
import csv
import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from result_cases import make_kernel_result, make_result
from trace_cases import OPCODES

from gpusim.errors import GpusimError
from gpusim.results.counters import BY_NAME, COUNTERS
from gpusim.results.files import replacing
from gpusim.results.result import KernelResult, Result
from gpusim.results.stalls import STALL_REASONS, Stall
from gpusim.results.timeline import STAGES, TIMELINE_COLUMNS, write_timeline


def test_stall_reasons_are_the_eighteen_of_nsight_compute_in_order():
    assert STALL_REASONS == (
        "selected", "not_selected", "wait", "long_scoreboard", "short_scoreboard", "no_instruction", "imc_miss",
        "math_pipe_throttle", "mio_throttle", "lg_throttle", "tex_throttle", "dispatch_stall", "branch_resolving",
        "barrier", "membar", "sleeping", "drain", "misc",
    )  # fmt: skip
    assert [int(reason) for reason in Stall] == list(range(18))


def test_kernel_sums_and_ratios():
    kernel = make_kernel_result()
    assert list(kernel.stalls) == list(STALL_REASONS)
    assert kernel.stalls["long_scoreboard"] == 700
    assert sum(kernel.stalls.values()) == kernel.resident_warp_cycles == 800
    assert kernel.ipc == 34 / 200
    assert kernel.warp_instructions_per_cpu_second == 34 / 0.125


def test_totals_add_kernels_up():
    totals = make_result().totals()
    assert (totals["cycles"], totals["warp_instructions"], totals["thread_instructions"]) == (300, 68, 1800)
    assert totals["ipc"] == 68 / 300
    assert totals["stalls"]["drain"] == 92
    assert sum(totals["stalls"].values()) == totals["resident_warp_cycles"]


def test_summary_is_one_json_object_with_the_documented_keys():
    summary = json.loads(json.dumps(make_result().summary()))
    assert set(summary) >= {"config", "kernels", "totals", "cpu_seconds", "warp_instructions_per_cpu_second"}
    assert set(summary["kernels"][0]) >= {"name", "cycles", "warp_instructions", "thread_instructions", "ipc", "stalls"}
    assert summary["warp_instructions_per_cpu_second"] == 68 / 0.5


@pytest.mark.parametrize("again", [lambda value: pickle.loads(pickle.dumps(value)), copy.deepcopy])
def test_results_go_through_process_pools_and_copies(again):
    result = make_result()
    other = again(result)
    assert other.summary() == result.summary()
    assert np.array_equal(other.kernels[0].pc_stalls, result.kernels[0].pc_stalls)
    with pytest.raises(TypeError):
        other.kernels[0].counters["x"] = 1


def test_save_and_load_are_lossless(tmp_path):
    result = make_result()
    result.save(tmp_path / "r.json")
    again = Result.load(tmp_path / "r.json")
    assert again.summary() == result.summary()
    for before, after in zip(result.kernels, again.kernels, strict=True):
        for name in ("pc", "pc_issues", "pc_stalls"):
            np.testing.assert_array_equal(getattr(before, name), getattr(after, name))
        assert (after.grid, after.block) == (before.grid, before.block)


@settings(max_examples=40, deadline=None)
@given(
    seconds=st.just(0.0) | st.floats(1e-9, 1e9),
    occupancy=st.floats(0, 1),
    seed=st.integers(0, 1 << 32),
    count=st.integers(0, 6),
)
def test_any_numbers_survive_the_file(tmp_path_factory, seconds, occupancy, seed, count):
    rng = np.random.default_rng(seed)
    issues, stalls = rng.integers(0, 1 << 56, count), rng.integers(0, 1 << 54, (count, 18))
    kernel = KernelResult(
        "k", (1, 2, 3), (4, 5, 6), 7, int(issues.sum()), 9, {}, np.arange(count), issues, stalls, int(stalls.sum()),
        occupancy, seconds,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("result") / "r.json"
    Result("c", (kernel,), seconds).save(path)
    again = Result.load(path).kernels[0]
    assert again.as_dict() == kernel.as_dict()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": "gpusim-result", "version": 9}', '{"format": 1'])
def test_what_is_not_a_result_is_refused(tmp_path, text):
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(GpusimError, match=r"r\.json"):
        Result.load(tmp_path / "r.json")


def test_missing_result_names_the_file(tmp_path):
    with pytest.raises(GpusimError, match=r"absent\.json: cannot read a saved result"):
        Result.load(tmp_path / "absent.json")


def test_arrays_are_read_only_and_shapes_are_checked():
    kernel = make_kernel_result()
    with pytest.raises(ValueError, match="read-only"):
        kernel.pc_stalls[0, 0] = 1
    with pytest.raises(ValueError, match="do not fit"):
        KernelResult(**{**kernel.__dict__, "pc_issues": np.zeros(2, np.int64)})
    with pytest.raises(ValueError, match="not in the table"):
        KernelResult(**{**kernel.__dict__, "counters": {"made_up": 1}})


def test_counter_names_are_unique_and_described():
    assert len(BY_NAME) == len(COUNTERS)
    assert all(counter.unit and counter.meaning for counter in COUNTERS)


def test_timeline_csv_has_the_documented_columns_and_empty_cells(tmp_path):
    kernel = make_kernel_result(timeline=True)
    assert write_timeline(tmp_path / "t.csv", [(OPCODES, kernel.timeline), (OPCODES, kernel.timeline[:1])]) == 3
    with (tmp_path / "t.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == (*TIMELINE_COLUMNS, "kernel")
    assert [row["opcode"] for row in rows] == ["FFMA", "LDG.E", "FFMA"]
    assert (rows[0]["issue"], rows[0]["execute"], rows[0]["control"]) == ("5", "9", "")
    assert (rows[1]["sub_core"], rows[1]["warp"], rows[1]["pc"], rows[1]["execute"]) == ("2", "3", "16", "")
    assert [row["kernel"] for row in rows] == ["0", "0", "1"]
    assert STAGES == ("issue", "control", "allocate", "read", "execute", "write_back")


def test_an_interrupted_output_leaves_the_old_file(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as file:
        file.write("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_output_into_a_missing_folder_names_it(tmp_path):
    with pytest.raises(GpusimError, match=r"nowhere/t\.csv: cannot write"):
        write_timeline(tmp_path / "nowhere" / "t.csv", [])
