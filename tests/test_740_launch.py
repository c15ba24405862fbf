"""Launch files: what they may say, their mistakes, and whole runs from file to trace."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gpusim.cli import main as cli
from gpusim.emulator.buffers import fill_buffer
from gpusim.emulator.conditions import Conditions
from gpusim.emulator.launch import load_launch
from gpusim.emulator.state import GLOBAL_BASE
from gpusim.emulator.tracing import run_in_memory, trace_in_memory, trace_kernel
from gpusim.errors import GpusimError
from gpusim.trace.store import open_trace
from gpusim.trace.trace import Trace

SCALE = """
.arch sm_86
.kernel scale
.param x uint64 0
.param factor float32 0.0
.param n int32 0
[B------:R-:W-:-:S01] S2R R0, SR_TID.X ;
[B------:R-:W-:-:S01] S2R R1, SR_CTAID.X ;
[B------:R-:W-:-:S01] IMAD R0, R1, c[0x0][0x0], R0 ;
[B------:R-:W-:-:S01] ISETP.GE.AND P0, PT, R0, c[0x0][0x16c], PT ;
[B------:R-:W-:-:S01] @P0 EXIT ;
[B------:R-:W-:-:S01] MOV R4, 0x4 ;
[B------:R-:W-:-:S01] IMAD.WIDE R2, R0, R4, c[0x0][0x160] ;
[B------:R-:W-:-:S01] LDG.E R5, [R2.64] ;
[B------:R-:W-:-:S01] FMUL R5, R5, c[0x0][0x168] ;
[B------:R-:W-:-:S01] STG.E [R2.64], R5 ;
[B------:R-:W-:-:S01] EXIT ;
"""

GOOD = """
buffers:
  x: {dtype: float32, shape: [1000], fill: random, seed: 4, low: -1, high: 1}
launches:
  - kernel: scale
    grid: [8]
    block: [128]
    arguments: [{buffer: x}, {float32: 2.5}, {int32: 900}]
  - grid: [8]
    block: [128]
    arguments: [{buffer: x, offset: 10}, {float32: -1}, {int32: 5}]
"""


def files(folder: Path, launch: str, kernel: str = SCALE) -> tuple[Path, Path]:
    source, description = folder / "scale.sass", folder / "scale.yaml"
    source.write_text(kernel)
    description.write_text(launch)
    return source, description


def test_a_struct_may_be_given_by_its_members(tmp_path: Path) -> None:
    # Given a parameter of 8 bytes as two of 4, each at a multiple of its size
    low, high = GLOBAL_BASE & 0xFFFFFFFF, GLOBAL_BASE >> 32
    members = f"[{{uint32: {low}}}, {{uint32: {high}}}, {{float32: 2.5}}, {{int32: 900}}]"
    whole = "[{buffer: x}, {float32: 2.5}, {int32: 900}]"
    results = []
    for arguments in (whole, members):
        _, summary = run_in_memory(*files(tmp_path, GOOD.replace(whole, arguments)))
        results.append(summary.buffers["x"].tobytes())
    assert results[0] == results[1]


@pytest.mark.parametrize(
    "arguments",
    [
        "[{uint32: 1}, {uint64: 1}, {float32: 2.5}, {int32: 900}]",  # the second does not fit behind the first
        "[{uint32: 1}, {float32: 2.5}, {int32: 900}, {int32: 1}, {int32: 1}]",  # more than there is room for
    ],
)
def test_members_that_do_not_fill_the_parameters_are_refused(tmp_path: Path, arguments: str) -> None:
    whole = "[{buffer: x}, {float32: 2.5}, {int32: 900}]"
    with pytest.raises(GpusimError, match=r"takes 3 arguments \(8 bytes, 4 bytes, 4 bytes\), the launch gives [45]"):
        run_in_memory(*files(tmp_path, GOOD.replace(whole, arguments)))


def test_launches_run_in_order_on_shared_buffers(tmp_path: Path) -> None:
    source, launch = files(tmp_path, GOOD)
    initial = fill_buffer("x", load_launch(launch).buffers["x"], tmp_path)
    trace, summary = run_in_memory(source, launch)
    expected = initial.copy()
    expected[:900] *= np.float32(2.5)
    expected[10:15] *= np.float32(-1)
    assert np.array_equal(summary.buffers["x"], expected)
    assert summary.warp_instructions == sum(launch.warp_instructions for launch in trace.launches)
    assert trace.launches[0].provenance["arguments"] == "buffer x, float32 2.5, int32 900"
    assert trace.launches[1].provenance["arguments"] == "buffer x+10, float32 -1.0, int32 5"
    assert len(trace.provenance["source_sha256"]) == 64


def check_shape(trace: Trace) -> None:
    """Offsets, counts and record numbers of every chunk agree with each other and with the program."""
    for launch in trace.launches:
        next_cta = 0
        for chunk in launch.chunks():
            assert chunk.first_cta == next_cta
            next_cta += chunk.cta_count
            assert len(chunk.instruction_start) == chunk.cta_count * launch.warps_per_cta + 1
            per_warp = np.add.reduceat(launch.program.address_counts[chunk.index], chunk.instruction_start[:-1])
            assert np.array_equal(per_warp, np.diff(chunk.record_start))
            assert (np.diff(chunk.instruction_start) > 0).all()
            last = chunk.instruction_start[1:] - 1
            assert all(launch.program.opcode_of(int(i)) == "EXIT" for i in chunk.index[last])
        assert next_cta == launch.cta_count


def test_trace_in_memory_and_on_disk_are_the_same(tmp_path: Path) -> None:
    source, launch = files(tmp_path, GOOD)
    memory = trace_in_memory(source, launch)
    check_shape(memory)
    trace_kernel(source, launch, tmp_path / "out")
    stored = open_trace(tmp_path / "out")
    for a, b in zip(memory.launches, stored.launches, strict=True):
        for x, y in zip(a.chunks(), b.chunks(), strict=True):
            for name in ("instruction_start", "index", "mask", "record_start", "records", "addresses"):
                assert np.array_equal(getattr(x, name), getattr(y, name)), name


def test_chunks_end_at_ctas_and_do_not_change_the_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gpusim.emulator import machine, tracing

    source, launch = files(tmp_path, GOOD)
    whole = trace_in_memory(source, launch).launches[0]
    for name in ("LOG_INSTRUCTIONS", "LOG_RECORDS", "LOG_SEGMENTS"):
        monkeypatch.setattr(machine, name, 3)
    monkeypatch.setattr(machine, "LOG_ADDRESSES", 64)
    run = tracing.run
    monkeypatch.setattr(tracing, "run", lambda prepared, memory, **options: run(prepared, memory, 100, **options))
    parts = trace_in_memory(source, launch).launches[0]
    assert len(parts.source.cta_counts) > 2
    for name in ("index", "mask", "records"):
        joined = np.concatenate([getattr(chunk, name) for chunk in parts.chunks()])
        assert np.array_equal(joined, np.concatenate([getattr(chunk, name) for chunk in whole.chunks()]))


def test_sass_file_carries_its_own_launch(tmp_path: Path) -> None:
    source = tmp_path / "own.sass"
    source.write_text(
        ".arch sm_86\n.kernel own\n.grid 2\n.block 64\n.param n 4\n"
        "[B------:R-:W-:-:S01] MOV R0, c[0x0][0x160] ;\n[B------:R-:W-:-:S01] EXIT ;\n"
    )
    trace = trace_in_memory(source)
    assert trace.launches[0].warp_instructions == 2 * 2 * 2
    assert trace.launches[0].provenance["arguments"] == "n 4"


def test_every_mistake_is_reported_with_line_and_hint(tmp_path: Path) -> None:
    _, launch = files(
        tmp_path,
        """buffers:
  x: {dtype: float23, shape: [10], fill: zeros}
  y: {dtype: int32, shape: [0], fil: zeros}
  z: {dtype: int32, shape: [4], fill: randon}
launches:
  - kernal: scale
    grid: [1]
    block: [2048]
    arguments: [{buffer: w}, {int32: 4294967296}]
""",
    )
    with pytest.raises(GpusimError) as error:
        load_launch(launch)
    types = "int8, uint8, int16, uint16, int32, uint32, int64, uint64, float16, float32, float64"
    assert str(error.value).replace(f"{launch.parent}/", "").splitlines() == [
        f"scale.yaml:2: buffers.x.dtype: 'float23' is not allowed (did you mean 'float32'?) (allowed: one of {types})",
        "scale.yaml:3: buffers.y.shape[0]: 0 is not allowed (allowed: integer, 1 to 2147483647)",
        "scale.yaml:3: buffers.y.fil: unknown key (did you mean 'fill'?)",
        "scale.yaml:4: buffers.z.fill: 'randon' is not allowed (did you mean 'random'?) "
        "(allowed: one of addresses, arange, constant, cycle, mersenne, npy, permutation, random, zeros)",
        "scale.yaml:8: launches[0].block: 2048 in x: a block has 1 to 1024 there",
        "scale.yaml:9: launches[0].arguments[1].int32: 4294967296 is not allowed "
        "(allowed: integer, -2147483648 to 2147483647)",
        "scale.yaml:6: launches[0].kernal: unknown key (did you mean 'kernel'?)",
    ]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("{buffer: x}, {float32: 2.5}", "{buffer: y}, {float32: 2.5}"), "there is no buffer 'y'"),
        (("{int32: 900}", "{int64: 900}"), "argument 2 of kernel scale has 4 bytes, 'int64 900' has 8"),
        ((", {int32: 900}", ""), r"takes 3 arguments \(8 bytes, 4 bytes, 4 bytes\), the launch gives 2"),
        (("kernel: scale", "kernel: scales"), "no kernel 'scales' .did you mean 'scale'"),
        (("block: [128]", "block: [64, 32]"), "at most 1024 threads"),
        (("seed: 4, low: -1", "seed: 4, low: 2"), "low must be less than high"),
        (("launches:", "launches: []\nfoo:"), "launches"),
        (
            ("dtype: float32", "dtype: float32, dtype: int32"),
            r"scale.yaml:3: buffers.x.dtype: duplicate key, first on line 3",
        ),
        (("buffers:", "buffers: ["), "not valid YAML"),
        (("int32: 900", "int32: 1000000"), "past the end of the nearest buffer 'x'"),
    ],
)
def test_mistakes_in_a_launch(tmp_path: Path, change: tuple[str, str], complaint: str) -> None:
    source, launch = files(tmp_path, GOOD.replace(*change, 1))
    launch.write_text(launch.read_text().replace("grid: [8]", "grid: [16]"))
    with pytest.raises(GpusimError, match=complaint):
        run_in_memory(source, launch)


def test_fills(tmp_path: Path) -> None:
    np.save(tmp_path / "data.npy", np.arange(6, dtype=np.int16).reshape(2, 3))
    _, launch = files(
        tmp_path,
        """buffers:
  ones:  {dtype: uint8, shape: [2, 2], fill: constant, value: 1}
  steps: {dtype: int32, shape: [4], fill: arange, start: 3, step: -2}
  order: {dtype: int32, shape: [100], fill: permutation, seed: 1}
  chase: {dtype: uint32, shape: [100], fill: cycle, seed: 2, scale: 4}
  file:  {dtype: int16, shape: [2, 3], fill: npy, file: data.npy}
  floats: {dtype: float64, shape: [1000], fill: random, seed: 3, low: 5, high: 6}
launches: [{grid: [1], block: [1]}]
""",
    )
    specs = load_launch(launch).buffers
    made = {name: fill_buffer(name, spec, tmp_path) for name, spec in specs.items()}
    assert made["ones"].tolist() == [[1, 1], [1, 1]]
    assert made["steps"].tolist() == [3, 1, -1, -3]
    assert sorted(made["order"].tolist()) == list(range(100))
    assert made["file"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert 5 <= made["floats"].min() < made["floats"].max() < 6
    place, visited = 0, set()
    for _ in range(100):
        visited.add(place)
        place = int(made["chase"][place]) // 4
    assert place == 0
    assert len(visited) == 100
    assert made["floats"].tolist() == fill_buffer("floats", specs["floats"], tmp_path).tolist()


def test_addresses_are_realistic_and_deterministic(tmp_path: Path) -> None:
    source, launch = files(tmp_path, GOOD)
    (chunk,) = trace_in_memory(source, launch).launches[0].chunks()
    assert chunk.records["start"][0] == GLOBAL_BASE
    assert GLOBAL_BASE % 512 == 0
    assert GLOBAL_BASE > 1 << 40


def endless(folder: Path, body: str) -> Path:
    source = folder / "endless.sass"
    source.write_text(".arch sm_86\n.kernel endless\n.grid 1\n.block 32\n" + body)
    return source


def test_a_cta_without_end_is_stopped_and_explained(tmp_path: Path) -> None:
    count = "LOOP:\n[B------:R-:W-:-:S05] IADD3 R0, R0, 0x1, RZ ;\n[B------:R-:W-:-:S05] BRA `(LOOP) ;\n"
    source = endless(tmp_path, count + "[B------:R-:W-:-:S05] EXIT ;\n")
    with pytest.raises(
        GpusimError, match=r"CTA 0 has run 12,288 warp instructions .* more than 10,000: an endless loop"
    ) as told:
        run_in_memory(source, None, conditions=Conditions(cta_limit=10_000))
    assert "--cta-limit 20000" in str(told.value)


def test_a_jump_to_nowhere_is_named(tmp_path: Path) -> None:
    body = "START:\n[B------:R-:W-:-:S05] MOV R4, 0x1000 ;\n[B------:R-:W-:-:S05] RET.REL.NODEC R4 `(START) ;\n"
    source = endless(tmp_path, body + "[B------:R-:W-:-:S05] EXIT ;\n")
    with pytest.raises(GpusimError, match=r"pc 0x0010 \(RET.REL.NODEC R4 `\(START\)\).*jumps to where there is no"):
        trace_in_memory(source)


def test_mersenne_numbers_are_those_of_a_c_plus_plus_program(tmp_path: Path) -> None:
    _, launch = files(
        tmp_path,
        "buffers: {x: {dtype: float32, shape: [1000], fill: mersenne, seed: 12345, low: -10, high: 10}}\n"
        "launches: [{grid: [1], block: [1]}]\n",
    )
    words = fill_buffer("x", load_launch(launch).buffers["x"], tmp_path).view(np.uint32)
    # std::mt19937(12345) through std::uniform_real_distribution<float>(-10, 10), compiled with GCC 12
    assert words[:4].tolist() == [0x41097A26, 0x40F9B2F4, 0xC06B0A10, 0xC0EC58EB]
    assert words[-3:].tolist() == [0x40FB7680, 0x41188320, 0xC11C7EF7]


EXPECTED = """
expected:
  - {buffer: x, file: wanted.npy, relative: 1e-6}
"""


def test_expected_buffers_are_compared_within_their_tolerance(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    source, launch = files(tmp_path, GOOD + EXPECTED)
    wanted = run_in_memory(source, launch)[1].buffers["x"]
    for change, code in ((0.0, 0), (5e-7, 0), (1e-5, 1)):
        np.save(tmp_path / "wanted.npy", (wanted * np.float32(1 + change)).astype(np.float32))
        assert cli.main(["trace", str(source), "--launch", str(launch)]) == code
        complaint = capsys.readouterr().err
        assert ("check failed" in complaint and "of 1000 elements are off, the worst at" in complaint) == (code == 1)
    np.save(tmp_path / "wanted.npy", wanted[:10])
    assert cli.main(["trace", str(source), "--launch", str(launch)]) == 2
    assert "holds float32 [10], the launch file says float32 [1000]" in capsys.readouterr().err


def test_a_check_file_runs_only_when_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    source, launch = files(tmp_path, GOOD)
    check, ran = tmp_path / "scale.check.py", tmp_path / "ran"
    check.write_text(
        f"open({str(ran)!r}, 'w').close()\nWRITES = ('x',)\n"
        "def check(before, after, launches):\n    assert after['x'][0] == before['x'][0], 'first is off'\n"
    )
    assert cli.main(["trace", str(source), "--launch", str(launch), "-o", str(tmp_path / "a")]) == 0
    assert not ran.exists()
    assert cli.main(["trace", str(source), "--launch", str(launch), "--check"]) == 1
    assert ran.exists()
    assert "check failed: first is off" in capsys.readouterr().err
    check.write_text("WRITES = ('x',)\ndef check(before, after, launches):\n    pass\n")
    assert cli.main(["trace", str(source), "--launch", str(launch), "--check", str(check)]) == 0
    assert cli.main(["trace", str(source), "--launch", str(launch), "--check", str(tmp_path / "none.py")]) == 2
    assert cli.main(["trace", str(source), "--launch", str(launch)]) == 2
    assert "name a folder with -o, or use --check" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("grid: [8]\n", "\n"), "grid missing; only a profile gives them itself"),
        (("kernel: scale", "launch: 1"), "'launch' is the index in a profile"),
        (("{int32: 900}", "{texture: x}"), "a launch file gives no textures; run the whole program"),
        (("launches:", "expected: [{buffer: q, file: a.npy}]\nlaunches:"), r"expected\[0\]: there is no buffer 'q'"),
        (("launches:", "expected: [{buffer: x, fil: a.npy}]\nlaunches:"), "did you mean 'file'"),
    ],
)
def test_mistakes_that_a_launch_file_shows_by_itself(tmp_path: Path, change: tuple[str, str], complaint: str) -> None:
    _, launch = files(tmp_path, GOOD.replace(*change, 1))
    with pytest.raises(GpusimError, match=complaint):
        load_launch(launch)
