"""Every kernel of traces/kernels, compiled for sm_86 and sm_75, executed, and compared with NumPy."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import yaml
from kernel_checks import CHECKS, Expected, LaunchFacts, fma32

from gpusim.emulator.buffers import fill_buffer
from gpusim.emulator.launch import load_launch
from gpusim.emulator.tracing import run_in_memory
from gpusim.sass.cubin import load_programs
from gpusim.sass.nvrtc import compile_cuda
from gpusim.sass.program import Program

KERNELS = Path(__file__).resolve().parent.parent / "traces" / "kernels"


def round_to_float32(exact: Fraction) -> np.float32:
    """The fp32 number nearest to `exact`, ties to the even significand, by comparing neighbours."""
    guess = np.float32(float(exact))
    around = [np.nextafter(guess, np.float32(-np.inf)), guess, np.nextafter(guess, np.float32(np.inf))]
    return min(around, key=lambda x: (abs(Fraction(float(x)) - exact), int(x.view(np.uint32)) & 1))


def test_fma32_rounds_once() -> None:
    generator = np.random.default_rng(1)
    patterns = generator.integers(0, 1 << 23, (3, 2000), dtype=np.uint32)
    exponents = generator.integers(96, 158, (3, 2000), dtype=np.uint32)
    exponents[2] = np.clip(exponents[0] + exponents[1] - 127 + generator.integers(-30, 30, 2000), 1, 250)
    a, b, c = (patterns | exponents << 23 | generator.integers(0, 2, (3, 2000), dtype=np.uint32) << 31).view(np.float32)
    exact = [Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z)) for x, y, z in zip(a, b, c, strict=True)]
    assert np.array_equal(fma32(a, b, c), np.array([round_to_float32(value) for value in exact]))


@pytest.mark.parametrize("sign", [1, -1])
def test_fma32_where_rounding_twice_errs(sign: int) -> None:
    # 24929 * 673 = 2^24 + 1 lies half way between two fp32 numbers; fp64 drops the addend that decides.
    a, b, c = np.float32(24929 * sign), np.float32(673), np.float32(2.0**-40 * sign)
    assert np.float32(np.float64(a) * np.float64(b) + np.float64(c)) == sign * 2.0**24
    assert fma32(a, b, c) == sign * (2.0**24 + 2)


def test_fma32_of_infinities_and_zeros() -> None:
    big, inf = np.float32(3e38), np.float32(np.inf)
    assert fma32(big, big, -big) == inf
    assert fma32(inf, np.float32(1), np.float32(1)) == inf
    assert fma32(np.float32(2), np.float32(3), np.float32(-6)) == 0


def launch_facts(path: Path) -> tuple[LaunchFacts, ...]:
    """Sizes and scalars of a launch file, read without the package."""
    launches = yaml.safe_load(path.read_text())["launches"]

    def sizes(value: list[int]) -> tuple[int, int, int]:
        return tuple(value + [1] * (3 - len(value)))

    return tuple(
        LaunchFacts(
            sizes(launch["grid"]),
            sizes(launch["block"]),
            tuple(value for argument in launch["arguments"] for kind, value in argument.items() if kind != "buffer"),
        )
        for launch in launches
    )


INTENDED = {
    "vecadd": ("LDG.E", "FADD", "STG.E"),
    "saxpy": ("LDG.E", "FFMA", "STG.E"),
    "ffma": ("FFMA",),
    "maxflops": ("FFMA", "FMUL"),
    "bigcode": ("LOP3", "SHF.L"),
    "sgemm": ("LDS.128", "STS.128", "LDG.128", "STG.128", "BAR", "FFMA"),
    "gemm_naive": ("LDG.CONSTANT", "FFMA"),
    "transpose": ("LDS", "STS", "BAR"),
    "stencil5": ("LDG", "FFMA", "FMUL"),
    "reduction": ("LDS", "STS", "BAR", "BSSY", "BSYNC"),
    "warp_reduce": ("SHFL.DOWN", "SHFL.BFLY", "VOTE.ANY", "POPC"),
    "dot": ("SHFL.DOWN", "RED.ADD.F32"),
    "histogram": ("ATOMS", "RED.ADD"),
    "scan": ("SHFL.UP", "WARPSYNC", "BAR"),
    "softmax": ("MUFU.EX2", "SHFL.BFLY", "FMNMX", "FCHK", "CALL"),
    "nbody": ("MUFU.RSQ", "LDS.128", "STG.128"),
    "collatz": ("BSSY", "BSYNC", "SHF"),
    "pointer_chase": ("LDG.E",),
    "strided": ("LDG.E",),
}
"""Instructions that each kernel is there to exercise: an opcode and the modifiers it must carry."""


@cache
def programs(name: str, architecture: int) -> tuple[Program, ...]:
    pytest.importorskip("elftools")
    compiled = compile_cuda(KERNELS / f"{name}.cu", architecture)
    return load_programs(compiled.data, provenance=compiled.provenance)


def occurs(intended: str, programs: tuple[Program, ...]) -> bool:
    opcode, *modifiers = intended.split(".")
    spellings = [spelling.split(".") for program in programs for spelling in program.opcodes]
    return any(parts[0] == opcode and set(modifiers) <= set(parts[1:]) for parts in spellings)


@pytest.mark.parametrize("architecture", [75, 80, 86])
@pytest.mark.parametrize("name", sorted(CHECKS))
def test_compiles_to_the_intended_instructions(name: str, architecture: int) -> None:
    missing = [intended for intended in INTENDED[name] if not occurs(intended, programs(name, architecture))]
    assert not missing


@pytest.mark.parametrize("architecture", [75, 80, 86])
@pytest.mark.parametrize("name", ["ffma", "sgemm"])
def test_multiply_adds_reuse_operands(name: str, architecture: int) -> None:
    (program,) = programs(name, architecture)
    multiply_adds = sum(program.opcode_of(i) == "FFMA" for i in range(len(program)))
    assert multiply_adds >= 128
    assert program.operands.reuse.sum() > multiply_adds / 2


@pytest.mark.parametrize("architecture", [75, 80, 86])
def test_maxflops_hardly_reuses_operands(architecture: int) -> None:
    for program in programs("maxflops", architecture):
        multiply_adds = sum(program.opcode_of(i) == "FFMA" for i in range(len(program)))
        assert multiply_adds >= 128
        assert program.operands.reuse.sum() < multiply_adds / 5


@pytest.mark.parametrize("architecture", [75, 80, 86])
def test_bigcode_exceeds_the_instruction_caches(architecture: int) -> None:
    phases, instruction_bytes, l0_bytes, l1_bytes = 5, 16, 32 << 10, 128 << 10
    (program,) = programs("bigcode", architecture)
    assert len(program) * instruction_bytes > l1_bytes
    assert len(program) * instruction_bytes / phases > l0_bytes


def test_every_kernel_has_a_check_and_two_launch_files() -> None:
    names = {path.stem for path in KERNELS.glob("*.cu")}
    assert names == set(CHECKS) == set(INTENDED)
    assert {path.name for path in KERNELS.glob("*.yaml")} == {
        f"{n}{size}.yaml" for n in names for size in ("", ".small")
    }


def assert_matches(name: str, expected: Expected, actual: np.ndarray) -> None:
    values = expected.values.reshape(actual.shape)
    if expected.tolerance is None:
        assert values.dtype == actual.dtype, name
        np.testing.assert_array_equal(actual.view(np.uint32), values.view(np.uint32), err_msg=name)
        return
    tolerance = np.broadcast_to(expected.tolerance, expected.values.shape).reshape(actual.shape)
    error = np.abs(actual.astype(np.float64) - values)
    worst = np.argmax(error - tolerance)
    assert np.all(error <= tolerance), (
        f"{name}: off by {error.flat[worst]} > {tolerance.flat[worst]} ({expected.reason})"
    )


@pytest.mark.parametrize("architecture", [86, 75])
@pytest.mark.parametrize("name", sorted(CHECKS))
def test_results_match_numpy(name: str, architecture: int) -> None:
    pytest.importorskip("elftools")
    path = KERNELS / f"{name}.small.yaml"
    launch_file = load_launch(path)
    initial = {key: fill_buffer(key, spec, path.parent) for key, spec in launch_file.buffers.items()}
    trace, summary = run_in_memory(path.parent / f"{name}.cu", path, architecture)
    assert len(trace.launches) == len(launch_file.launches)
    expected = CHECKS[name](initial, launch_facts(path))
    for buffer, contents in expected.items():
        assert_matches(f"{name} sm_{architecture} {buffer}", contents, summary.buffers[buffer])
    for buffer, contents in initial.items():
        changed = not np.array_equal(contents, summary.buffers[buffer])
        assert changed <= (buffer in expected or (name, buffer) in SCRATCH), f"{buffer} was written"


SCRATCH = {("scan", "totals"), ("scan", "grand_total")}
"""Buffers that a kernel writes on the way to its result."""
