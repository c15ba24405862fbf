"""Values of launch files: none is changed on its way into memory, and none asks for what a launch cannot have."""

from __future__ import annotations

import io
import json
import math
import os
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import LEAKS, mutated, mutated_bytes
from work import at_most

from gpusim import memory_limit, yamlfile
from gpusim.emulator.buffers import GlobalMemory, fill_buffer
from gpusim.emulator.launch import Description, load_launch
from gpusim.emulator.machine import prepare
from gpusim.emulator.tracing import _jobs, open_files, trace_in_memory
from gpusim.errors import GpusimError
from gpusim.schema import check

KERNEL = """
.arch sm_86
.kernel k
.param a uint64 0
.param b int32 0
.param c float32 0
.param d float64 0
[B------:R-:W-:-:S05] EXIT ;
"""
LAUNCH = """# every kind of fill and argument
buffers:
  a: {dtype: uint8, shape: [2, 2], fill: constant, value: 1}
  b: {dtype: int32, shape: [4], fill: arange, start: 3, step: -2}
  c: {dtype: int8, shape: [100], fill: permutation, seed: 1}
  d: &d {dtype: uint32, shape: [100], fill: cycle, seed: 2, scale: 4}
  e: {dtype: int16, shape: [2, 3], fill: npy, file: e.npy}
  f: {dtype: float16, shape: [100], fill: random, seed: 3, low: 5, high: 6}
  g: {dtype: int64, shape: [100], fill: random, seed: 3, low: -5, high: 6}
  h: {dtype: float32, shape: [16], fill: mersenne, seed: 5489, low: -1, high: 1.5}
  i: {dtype: uint64, shape: [3]}
  j: *d
launches:
  - kernel: k
    grid: [2, 3, 1]
    block: [32, 2]
    dynamic_shared: 16
    arguments: [{buffer: b, offset: 2}, {int32: -7}, {float32: 1e-5}, {float64: 2}]
expected:
  - {buffer: e, file: e.npy, relative: 1e-6, absolute: 0}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "k.sass").write_text(KERNEL)
    (tmp_path / "l.yaml").write_text(LAUNCH)
    np.save(tmp_path / "e.npy", np.arange(6, dtype=np.int16).reshape(2, 3))
    return tmp_path


def prepared(folder: Path) -> None:
    """Everything up to the first instruction."""
    memory = GlobalMemory()
    for job in _jobs(*open_files(folder / "k.sass", folder / "l.yaml"), memory):
        prepare(job.program, job.grid, job.block, job.dynamic_shared, job.packed, memory)


def refused(folder: Path, old: str, new: str) -> str:
    """The message about a launch file in which one thing is changed."""
    assert old in LAUNCH
    (folder / "l.yaml").write_text(LAUNCH.replace(old, new, 1))
    with pytest.raises(GpusimError) as error:
        prepared(folder)
    message = str(error.value)
    assert not any(leak in message for leak in LEAKS), message
    return message.replace(f"{folder}/", "")


def test_the_file_is_good_as_it_stands(folder: Path) -> None:
    prepared(folder)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("value: 1", "value: 300", "l.yaml:3: buffers.a: value 300 does not fit uint8, 0 to 255"),
        ("value: 1", "value: -1", "value -1 does not fit uint8"),
        ("value: 1", "value: 1.5", "value 1.5 is no whole number, as uint8 wants"),
        ("value: 1", "value: .nan", "value nan is no whole number"),
        ("value: 1", "value: true", "buffers.a.value: True is not allowed (allowed: number)"),
        ("start: 3", "start: 1e20", "start 1e+20 does not fit int32"),
        ("start: 3", "start: 0.5", "start 0.5 is no whole number"),
        ("step: -2", "step: 1e9", "the last element 3000000003.0 does not fit int32"),
        ("step: -2", "step: .inf", "step inf is no whole number"),
        ("shape: [100], fill: permutation", "shape: [1000], fill: permutation", "the largest element 999 does not fit int8"),
        ("shape: [100], fill: cycle", "shape: [2000000000], fill: cycle", "the largest element 7999999996 does not fit"),
        ("scale: 4", "scale: 100000000000000000000", "scale 100000000000000000000 does not fit uint32"),
        ("low: 5, high: 6", "low: -.inf, high: 6", "low -inf does not fit float16"),
        ("low: 5, high: 6", "low: 5, high: 70000", "high 70000 does not fit float16, whose largest is 65504"),
        ("low: 5, high: 6", "low: 5, high: .nan", "low must be less than high"),
        ("low: -5, high: 6", "low: 0.5, high: 0.7", "low 0.5 is no whole number, as int64 wants"),
        ("low: -5, high: 6", "low: -5, high: 9223372036854775809", "high 9223372036854775808 does not fit int64"),
        ("low: -1, high: 1.5", "low: -3e38, high: 3e38", "high - low 6e+38 does not fit float32"),
        ("shape: [4]", f"shape: {[1] * 69}", "buffers.b.shape: .* is not allowed (allowed: a list of 1 to 32"),
        ("shape: [2, 2]", "shape: [1000000, 1000000, 10]", "10,000,000,000,000 elements; a buffer has at most 1,099,511"),
        ("shape: [2, 2]", "shape: [2147483647, 500]", "buffers of 1.1 TB take, with the copies .* of memory, and there are"),
        ("offset: 2", "offset: 5", "launches[0].arguments[0]: offset 5 lies beyond buffer 'b', which has 4 elements"),
        ("offset: 2", "offset: 9223372036854775807", "lies beyond buffer 'b'"),
        ("int32: -7", "int32: 2147483648", "arguments[1].int32: 2147483648 is not allowed (allowed: integer"),
        ("int32: -7", "int32: null", "arguments[1]: an argument is one value, such as"),
        ("int32: -7", "int32: 3, uint32: 3", "arguments[1]: an argument is one value, such as"),
        ("float32: 1e-5", "float32: 1e39", "the argument 1e+39 does not fit float32, whose largest is 3.40282e+38"),
        ("grid: [2, 3, 1]", "grid: [1, 70000]", "l.yaml:15: launches[0].grid: 70000 in y: a grid has 1 to 65535 there"),
        ("grid: [2, 3, 1]", "grid: [1, 1, 65536]", "65536 in z: a grid has 1 to 65535 there"),
        ("grid: [2, 3, 1]", "grid: [2147483648]", "grid[0]: 2147483648 is not allowed (allowed: integer, 1 to 2147483647)"),
        ("grid: [2, 3, 1]", "grid: [65535, 65535, 65535]", "l.yaml:14: kernel k: a grid of 562,924,184,010,750 warps"),
        ("block: [32, 2]", "block: [1824726041, 315916329, 32]", "1824726041 in x: a block has 1 to 1024 there"),
        ("block: [32, 2]", "block: [32, 2, 65]", "65 in z: a block has 1 to 64 there"),
        ("block: [32, 2]", "block: [512, 4]", "a block has at most 1024 threads, these are 2048"),
        ("dynamic_shared: 16", "dynamic_shared: 200000", "kernel k would have 200000 bytes of shared memory per CTA .* sm_86 has 101376"),
        ("kernel: k", "kernel: 2001-99-99", "l.yaml:14: there is no kernel '2001-99-99'"),
        ("kernel: k", "kernel: 3", "l.yaml:14: there is no kernel '3'"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_value_and_line(folder: Path, old: str, new: str, told: str) -> None:
    message = refused(folder, old, new)
    for part in told.split(" .* "):
        assert part in message, message


@pytest.mark.parametrize("commit", ["41754e2", "123e456", "0010000", "12e3456789012345678901234567890123456789", "'7'"])
def test_a_commit_needs_no_quotes(folder: Path, commit: str) -> None:
    text = (folder / "l.yaml").read_text()
    (folder / "l.yaml").write_text(f"report: {{repository: a/b, commit: {commit}, path: 10.ncu-rep}}\n{text}")
    report = load_launch(folder / "l.yaml").report
    assert report is not None
    assert (report.repository, report.commit, report.path) == ("a/b", commit.strip("'"), "10.ncu-rep")


def test_special_numbers_are_values_of_floats(folder: Path) -> None:
    text = "buffers: {x: {dtype: float32, shape: [2], fill: constant, value: .nan}}\n"
    (folder / "l.yaml").write_text(text + "launches: [{grid: [1], block: [1], arguments: [{float64: -.inf}]}]\n")
    launch = load_launch(folder / "l.yaml")
    assert np.isnan(fill_buffer("x", launch.buffers["x"], folder)).all()
    assert launch.launches[0].arguments[0].float64 == -math.inf


INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
EDGES = st.sampled_from(
    [
        n + d
        for n in (0, 127, 255, 32767, 65535, 2**31, 2**32, 2**63, 2**64, -128, -(2**31), -(2**63))
        for d in (-1, 0, 1)
    ]
)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(INTEGERS),
    st.integers(1, 50),
    EDGES,
    EDGES,
    st.sampled_from(["constant", "arange", "permutation", "cycle"]),
)
def test_integers_arrive_as_they_are_or_not_at_all(dtype: str, count: int, first: int, second: int, fill: str) -> None:
    given_ = {"constant": {"value": first}, "arange": {"start": first, "step": second}}.get(
        fill, {"scale": max(first, 1)}
    )
    buffers = {"x": {"dtype": dtype, "shape": [count], "fill": fill, **given_}}
    description, problems = check(Description, {"buffers": buffers, "launches": [{"grid": [1], "block": [1]}]})
    if description is None:
        assert "does not fit" in str(problems[0]) or "not allowed" in str(problems[0])
        return
    found = fill_buffer("x", description.buffers["x"], Path()).tolist()
    if fill == "constant":
        assert found == [first] * count
    elif fill == "arange":
        assert found == [first + second * k for k in range(count)]
    else:
        assert sorted(found) == [max(first, 1) * k for k in range(count)]


def test_pieces_of_random_numbers_are_those_of_one_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    from gpusim.emulator import buffers

    monkeypatch.setattr(buffers, "PIECE", 7)
    spec = {"dtype": "float16", "shape": [100], "fill": "random", "seed": 3, "low": -2.5, "high": 7}
    description, _ = check(Description, {"buffers": {"x": spec}, "launches": [{"grid": [1], "block": [1]}]})
    expected = np.random.default_rng(3).uniform(-2.5, 7, 100).astype(np.float16)
    assert np.array_equal(fill_buffer("x", description.buffers["x"], Path()), expected)


# ---- files of numbers


def npy_header(text: str, version: bytes = b"\x01\x00") -> bytes:
    return b"\x93NUMPY" + version + len(text).to_bytes(2 if version[0] == 1 else 4, "little") + text.encode()


def whole(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


SIX = np.arange(6, dtype=np.int16).reshape(2, 3)


@pytest.mark.parametrize(
    ("contents", "told"),
    [
        (b"", "is no .npy file of numbers"),
        (b"PK\x03\x04" + bytes(60), "is no .npy file of numbers"),
        (whole(SIX)[:-1], "11 bytes of 12: cut off or damaged"),
        (whole(SIX) + b"x", "13 bytes of 12: cut off or damaged"),
        (whole(SIX.astype(np.float32)), "holds float32 [2, 3], the launch file says int16 [2, 3]"),
        (whole(SIX.reshape(6)), "holds int16 [6], the launch file says int16 [2, 3]"),
        (whole(np.array([None, 1], object)), "holds object [2], the launch file says int16"),
        (npy_header("{'descr': '<i2', 'fortran_order': False, 'shape': (10000000000000,), }\n"), "holds int16 [10000000000000]"),
        (npy_header("{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3), }\n"), "0 bytes of 12"),
        (npy_header("(" * 5000), "is no .npy file of numbers"),
        (npy_header("{'descr': '<i2', 'shape': (2, 3), }\n"), "is no .npy file of numbers"),
        (npy_header("__import__('os').getcwd()\n"), "is no .npy file of numbers"),
        (npy_header("x" * 60_000, b"\x02\x00"), "is no .npy file of numbers"),
    ],
)  # fmt: skip
def test_a_file_of_numbers_is_compared_before_it_is_read(folder: Path, contents: bytes, told: str) -> None:
    (folder / "e.npy").write_bytes(contents)
    with pytest.raises(GpusimError) as error:
        prepared(folder)
    assert told in str(error.value)
    assert "buffer 'e'" in str(error.value)


def test_either_order_of_a_file_of_numbers_is_read(folder: Path) -> None:
    np.save(folder / "e.npy", np.asfortranarray(SIX))
    spec = load_launch(folder / "l.yaml").buffers["e"]
    assert np.array_equal(fill_buffer("e", spec, folder), SIX)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_pipes_are_not_waited_for(folder: Path) -> None:
    (folder / "e.npy").unlink()
    os.mkfifo(folder / "e.npy")
    assert "is a pipe or a device where the contents of buffer 'e' is wanted" in refused(
        folder, "kernel: k", "kernel: k"
    )
    assert "is a pipe or a device" in refused(folder, "file: e.npy", "file: /dev/zero")
    for name in ("k.sass", "l.yaml"):
        (folder / name).unlink()
        os.mkfifo(folder / name)
        with pytest.raises(GpusimError, match="is a pipe or a device"):
            prepared(folder)
        (folder / name).unlink()
        (folder / name).write_text(KERNEL if name == "k.sass" else LAUNCH)


def test_memory_that_is_not_there_is_refused_before_it_is_taken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_limit, "available", lambda: 10**6)
    message = refused(folder, "shape: [2, 2]", "shape: [1000, 1000]")
    assert message == (
        "l.yaml: buffers of 1.0 MB take, with the copies that running on them makes, 20.0 MB of memory, and there are "
        "1.0 MB here; make them smaller"
    )


# ---- all of it


def test_no_mutated_launch_file_does_harm(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_limit, "available", lambda: 1 << 28)
    random, data, good = Random(5), yamlfile.parse(LAUNCH, "x").values, 0
    for number in range(600):
        if number % 2:
            (folder / "l.yaml").write_bytes(mutated_bytes(random, LAUNCH.encode()))
        else:
            (folder / "l.yaml").write_text(as_yaml(mutated(random, data)))
        try:
            with at_most(calls=2_000_000):
                prepared(folder)
            good += 1
        except GpusimError as error:
            assert not any(leak in str(error) for leak in LEAKS), str(error)  # noqa: PT017
    assert good > 20


def as_yaml(data: Any) -> str:
    """Flow style; infinite numbers as YAML has them."""
    if isinstance(data, dict):
        return "{" + ", ".join(f"{key}: {as_yaml(value)}" for key, value in data.items()) + "}"
    if isinstance(data, list):
        return "[" + ", ".join(map(as_yaml, data)) + "]"
    if isinstance(data, float) and not math.isfinite(data):
        return f".{data}".replace(".-", "-.")
    return json.dumps(data)


@pytest.mark.parametrize(
    ("directive", "told"),
    [
        (".grid 1 70000", ":4: .grid: 70000 in y: a grid has 1 to 65535 there"),
        (".grid 99999999999", ":4: .grid: 99999999999 in x"),
        (".block 64 32", ":4: .block: a block has at most 1024 threads, these are 2048"),
        (f".grid {'9' * 5000}", ":4: .grid wants a whole number"),
        (".param n 010", "'010' is no number"),
        (f".param n {'9' * 5000}", "is no number"),
        (".param x float32 1e39", ".param x: 1e39 does not fit in float32, whose largest is 3.40282e+38"),
        (".param x float64 1e400", ".param x: 1e400 does not fit in float64"),
        (f".param x float64 {'9' * 400}", "does not fit in float64"),
        (".param x int32 1.5", ".param x: '1.5' is no int32"),
        (".shared 200000", "would have 200000 bytes of shared memory per CTA"),
        (".local 600000", "wants 600000 bytes of local memory per thread; the most is 524288"),
    ],
)
def test_hand_written_kernels_have_the_same_limits(tmp_path: Path, directive: str, told: str) -> None:
    path = tmp_path / "k.sass"
    path.write_text(f"\n.arch sm_86\n.kernel k\n{directive}\n[B------:R-:W-:-:S05] EXIT ;\n")
    with pytest.raises(GpusimError) as error:
        trace_in_memory(path)
    assert told in str(error.value)
