"""Every kernel of traces/kernels, compiled for sm_86 and sm_75, executed, and compared with NumPy by its check file."""

from __future__ import annotations

import re

import numpy as np
import pytest
from kernel_suite import KERNELS, SOURCES, check_of, opened, small_launch

from gpusim.config.loading import load_config
from gpusim.emulator.check import run_check
from gpusim.emulator.launch import load_launch
from gpusim.emulator.tracing import run_opened
from gpusim.hazards.check import check_hazards
from gpusim.model.setup.simulate import RunOptions, simulate
from gpusim.sass.program import Program
from gpusim.trace.store import open_trace

ARCHITECTURES = [86, 75]


def occurs(intended: str, programs: tuple[Program, ...]) -> bool:
    opcode, *modifiers = intended.split(".")
    spellings = [spelling.split(".") for program in programs for spelling in program.opcodes]
    return any(parts[0] == opcode and set(modifiers) <= set(parts[1:]) for parts in spellings)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", SOURCES)
def test_compiles_to_the_intended_instructions(name: str, architecture: int) -> None:
    programs = opened(name, architecture).programs
    missing = [intended for intended in check_of(name).exercises if not occurs(intended, programs)]
    assert not missing


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", ["ffma", "sgemm"])
def test_multiply_adds_reuse_operands(name: str, architecture: int) -> None:
    (program,) = opened(name, architecture).programs
    multiply_adds = sum(program.opcode_of(i) == "FFMA" for i in range(len(program)))
    assert multiply_adds >= 128
    assert program.operands.reuse.sum() > multiply_adds / 2


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_maxflops_hardly_reuses_operands(architecture: int) -> None:
    for program in opened("maxflops", architecture).programs:
        multiply_adds = sum(program.opcode_of(i) == "FFMA" for i in range(len(program)))
        assert multiply_adds >= 128
        assert program.operands.reuse.sum() < multiply_adds / 5


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_bigcode_exceeds_the_instruction_caches(architecture: int) -> None:
    phases, instruction_bytes, l0_bytes, l1_bytes = 5, 16, 32 << 10, 128 << 10
    (program,) = opened("bigcode", architecture).programs
    assert len(program) * instruction_bytes > l1_bytes
    assert len(program) * instruction_bytes / phases > l0_bytes


def test_every_kernel_has_a_check_and_two_launch_files() -> None:
    assert len(SOURCES) == len(list(KERNELS.rglob("*.cu"))), "a name is used twice"
    large = set(KERNELS.rglob("*.large.yaml"))
    suite = (KERNELS.parent / "bench" / "sampling.yaml").read_text()  # of `gpusim validate sampling`
    assert {path.name for path in large} == set(re.findall(r"\w+\.large\.yaml", suite))
    files = {path for pattern in ("*.yaml", "*.check.py") for path in KERNELS.rglob(pattern)} - large
    suffixes = (".yaml", ".small.yaml", ".check.py")
    assert files == {path.with_suffix(suffix) for path in SOURCES.values() for suffix in suffixes}
    for name in SOURCES:
        assert check_of(name).writes
        assert check_of(name).exercises
        assert SOURCES[name].read_text().startswith("//"), f"{name}.cu does not say what it is"


@pytest.mark.parametrize("name", SOURCES)
def test_both_sizes_launch_the_same_kernels(name: str) -> None:
    small, full = (load_launch(path) for path in (small_launch(name), SOURCES[name].with_suffix(".yaml")))
    assert {launch.kernel for launch in small.launches} == {launch.kernel for launch in full.launches}
    assert set(small.buffers) <= set(full.buffers)


def with_one_wrong(buffer: np.ndarray) -> np.ndarray:
    """A copy whose middle element is another number: the lowest bit flipped, or 8 added to a floating-point one."""
    wrong = buffer.copy()
    middle = wrong.reshape(-1)[len(wrong.reshape(-1)) // 2 :][:1]
    middle[:] = middle + 8 if buffer.dtype.kind == "f" else middle ^ 1
    return wrong


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", SOURCES)
def test_results_match_numpy(name: str, architecture: int) -> None:
    launch = load_launch(small_launch(name))
    trace, summary = run_opened(opened(name, architecture), launch)
    assert len(trace.launches) == len(launch.launches)
    check = check_of(name)
    run_check(check, launch, summary.buffers)
    for buffer in set(check.writes) & set(launch.buffers):
        with pytest.raises(AssertionError, match=buffer):
            run_check(check, launch, {**summary.buffers, buffer: with_one_wrong(summary.buffers[buffer])})


@pytest.mark.slow
@pytest.mark.parametrize(("architecture", "card"), [(86, "a6000"), (75, "rtx2080ti")])
@pytest.mark.parametrize("name", SOURCES)
def test_runs_in_the_model_without_hazards(name: str, architecture: int, card: str) -> None:
    trace, summary = run_opened(opened(name, architecture), load_launch(small_launch(name)))
    warnings: list[str] = []
    result = simulate(trace, load_config(card), RunOptions(warn=warnings.append))
    assert not warnings
    assert sum(kernel.warp_instructions for kernel in result.kernels) == summary.warp_instructions
    assert not any(check_hazards(trace, load_config(card)))


@pytest.mark.parametrize("kernel", ["collatz", "histogram"])
@pytest.mark.parametrize(("folder", "architecture"), [("ampere", 86), ("turing", 75)])
def test_bundled_trace_is_what_the_emulator_records(folder: str, architecture: int, kernel: str) -> None:
    stored = open_trace(KERNELS.parent / folder / kernel)
    source = opened(kernel, architecture)
    (old,) = stored.launches
    if source.programs[0].provenance["compiler"] != old.program.provenance["compiler"]:
        pytest.skip("another compiler than the bundled traces'")
    (new,) = run_opened(source, load_launch(SOURCES[kernel].with_suffix(".yaml")))[0].launches
    for recorded, expected in zip(old.chunks(), new.chunks(), strict=True):
        assert np.array_equal(recorded.index, expected.index), "run `make traces`"
        assert np.array_equal(recorded.mask, expected.mask), "run `make traces`"
