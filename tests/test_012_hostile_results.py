"""Saved results that were edited: none is taken over, and none ends in a traceback."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from mutations import mutated, mutated_bytes
from result_cases import make_kernel_result

from gpusim import sealed
from gpusim.errors import GpusimError
from gpusim.model.setup.simulate import simulate
from gpusim.results.hazards import Hazard
from gpusim.results.result import KernelResult, Result, Stop

HAZARD = Hazard("RAW", "R4", 0, "FADD R4, R5, R6", 16, "FADD R7, R4, R4", 3, 4, None, "stall 4 instead of 1")


@pytest.fixture
def saved(tmp_path) -> Path:
    kernels = (replace(make_kernel_result(), hazards=(HAZARD,)), make_kernel_result("other"))
    stop = Stop("running", 2, 3, "third", 0)
    Result("card", kernels, 0.5, {"source": "toy.sass"}, stop).save(tmp_path / "r.json")
    return tmp_path / "r.json"


def data_of(path: Path) -> dict[str, Any]:
    data = json.loads(path.read_text())
    del data[sealed.KEY]
    return data


def test_hazards_and_the_stop_come_back(saved):
    result = Result.load(saved)
    assert result.kernels[0].hazards == (HAZARD,)
    assert result.stopped == Stop("running", 2, 3, "third", 0)


def test_no_changed_byte_is_taken_over(saved):
    data, random = saved.read_bytes(), Random(3)
    for _ in range(300):
        changed = mutated_bytes(random, data)
        if changed == data:
            continue
        saved.write_bytes(changed)
        with pytest.raises(GpusimError, match=r"r\.json: not a saved result: .*; `gpusim run --output` makes one"):
            Result.load(saved)


@pytest.mark.parametrize("version", [1, 2])
def test_what_an_edited_result_says_is_checked_whatever_its_checksum(saved, version):
    data, random, kept = data_of(saved) | {"version": version}, Random(4), 0
    for _ in range(300):
        text = json.dumps(mutated(random, data))
        saved.write_text(text if version == 1 else sealed.seal(text))
        try:
            result = Result.load(saved)
        except GpusimError:
            continue
        kept += 1
        json.dumps(result.summary())
    assert kept < 100


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["kernels"][0].update(cycles="7"), r"kernels\[0\].cycles: '7' is not allowed \(allowed: integer"),
        (lambda d: d.update(cpu_seconds=None), "cpu_seconds: None is not allowed"),
        (lambda d: d["kernels"][0].update(occupancy=float("nan")), r"kernels\[0\].occupancy: nan is not allowed"),
        (lambda d: d["kernels"][0].update(grid=[1, 2]), r"kernels\[0\].grid: \[1, 2\] is not allowed"),
        (lambda d: d["kernels"][0]["pc"].pop(), "kernel 1: its tables have different numbers of instructions"),
        (lambda d: d["kernels"][1]["pc_stalls"][0].pop(), "kernel 2: its stall table has not the 18 reasons"),
        (lambda d: d["kernels"][1].update(warp_instructions=35), "kernel 2: the issues .* do not add up"),
        (lambda d: d["kernels"][1].update(resident_warp_cycles=1), "kernel 2: the stalls .* do not add up"),
        (lambda d: d["kernels"][1]["counters"].update(made_up=1), "kernel 2: its counters made_up are not known"),
        (lambda d: d["kernels"][0]["hazards"][0].pop("kind"), r"kernels\[0\].hazards\[0\].kind: missing"),
        (lambda d: d["kernels"][0]["hazards"][0].update(stall="4"), r"hazards\[0\].stall: '4' is not allowed"),
        (lambda d: d["stopped"].update(why="x"), "stopped.why: unknown key"),
        (lambda d: d.update(version=3), "format version 3, this gpusim .* reads up to version 2"),
        (lambda d: d.update(format="x"), "no format 'gpusim-result' in it"),
    ],
)
def test_each_mistake_is_named(saved, change, message):
    data = data_of(saved)
    change(data)
    saved.write_text(sealed.seal(json.dumps(data)))
    with pytest.raises(GpusimError, match=message):
        Result.load(saved)


def test_deeply_nested_json_is_refused(saved):
    saved.write_text("[" * 100_000)
    with pytest.raises(GpusimError, match="not JSON"):
        Result.load(saved)


def test_a_simulation_does_not_go_on_from_other_kernels():
    from trace_cases import make_trace

    from gpusim.config import load_config

    trace, card = make_trace(), load_config("a6000", ["sms=1"])
    (launch,) = trace.launches
    own = replace(make_kernel_result(launch.program.name), grid=launch.grid, block=launch.block)

    def resumed(*kernels: KernelResult) -> Result:
        return simulate(trace, card, resumed=Result("card", kernels, 0.5))

    assert resumed(own).kernels == (own,)
    for kernels in ((replace(own, name="x"),), (replace(own, grid=(1, 1, 1)),), (own, own)):
        with pytest.raises(GpusimError, match="has other kernels than the trace"):
            resumed(*kernels)
