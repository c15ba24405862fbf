"""The model without the compiler (NUMBA_DISABLE_JIT=1): plain Python that a debugger, a profiler and coverage can see.

Same cycles, counters, per-PC tables and timelines as compiled, on random programs and machines.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from microbench import SMALL, kernel, op, trace
from reference.random_kernels import random_program

from gpusim.config.loading import load_config
from gpusim.config.models import GpuConfig
from gpusim.hazards import walk
from gpusim.model import params, state
from gpusim.model.setup.card import record_dtype
from gpusim.model.setup.simulate import RunOptions, simulate
from gpusim.results.result import KernelResult
from gpusim.sass import program
from gpusim.trace import trace as trace_module
from gpusim.trace.store import open_trace, write_trace

BLOCKS, GRIDS = (32, 64, 128), (1, 2)
EXAMPLES = Path(__file__).resolve().parent.parent / "examples" / "policies"

CHILD = """
import pickle, sys
import numba
import numpy as np
from gpusim.config.loading import load_config
from gpusim.errors import GpusimError
from gpusim.model import gpu, params, state
from gpusim.model.setup.simulate import RunOptions, simulate
from gpusim.trace.store import open_trace

assert numba.config.DISABLE_JIT
one_window = gpu.one_window

def checked(S, P, threads):
    # a window, after which no value is beyond what its field holds in compiled code
    status = one_window(S, P, threads)
    for array, record in COMPACT.items():
        rows, narrow = getattr(P if array == "code" else S, array), record.metadata["compact"]
        for name in narrow.names:
            bounds = np.iinfo(narrow[name].base)
            assert rows[name].min() >= bounds.min and rows[name].max() <= bounds.max, f"{array}.{name} is too narrow"
    return status

gpu.one_window = checked
COMPACT = {
    "warps": state.WARP, "accesses": state.ACCESS, "requests": state.MESSAGE, "replies": state.MESSAGE,
    "l1_lines": state.LINE, "l2_lines": state.LINE, "l1_sets": state.CACHE_SET, "l2_sets": state.CACHE_SET,
    "nodes": state.NODE, "transfers": state.TRANSFER, "code": params.CODE,
}

for line in sys.stdin:
    folder, card, *overrides = line.rstrip("\\n").split("\\t")
    options = RunOptions(timeline=True)
    try:
        found = simulate(open_trace(folder), load_config(card, overrides), options).kernels[0]
    except GpusimError as error:
        found = str(error)
    with open(folder + ".pickle", "wb") as file:
        pickle.dump(found, file)
"""


def unjitted(jobs: list[tuple[Path, str, tuple[str, ...]]]) -> list[KernelResult | str]:
    """What plain Python makes of (stored trace, card, overrides), each the first kernel or the error."""
    lines = ["\t".join([str(folder), card, *overrides]) for folder, card, overrides in jobs]
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    subprocess.run([sys.executable, "-c", CHILD], input="\n".join(lines), text=True, env=environment, check=True)
    return [pickle.loads(Path(f"{folder}.pickle").read_bytes()) for folder, _, _ in jobs]


def check_equal(plain: KernelResult, compiled: KernelResult) -> None:
    assert plain.cycles == compiled.cycles
    assert dict(plain.counters) == dict(compiled.counters)
    assert np.array_equal(plain.pc_issues, compiled.pc_issues)
    assert np.array_equal(plain.pc_stalls, compiled.pc_stalls)
    assert np.array_equal(plain.timeline, compiled.timeline)


def check(folder: Path, seeds: range) -> None:
    """Random programs, each simulated by plain Python and by compiled code."""
    jobs = []
    for seed in seeds:
        program = random_program(seed, blocks=BLOCKS, grids=GRIDS)
        write_trace(trace(program.text), folder / str(seed))
        jobs.append((folder / str(seed), program.card, (*SMALL, *program.overrides)))
    for (stored, card, overrides), plain in zip(jobs, unjitted(jobs), strict=True):
        compiled = simulate(open_trace(stored), load_config(card, overrides), RunOptions(timeline=True)).kernels[0]
        check_equal(plain, compiled)


def test_ten_random_programs_give_the_same_results_without_the_compiler(tmp_path: Path) -> None:
    check(tmp_path, range(10))


@pytest.mark.slow
def test_many_more_do(tmp_path: Path) -> None:
    check(tmp_path, range(100, 160))


LINES = [op("FADD R2, R2, 1", 4), op("FADD R4, R4, 1", 2)] * 4
SLEEPER = """
def choose(S, P, sm, k, ready, now):
    return 5 if ready else -1
"""


@pytest.mark.parametrize(
    ("file", "told"),
    [(str(EXAMPLES / "two_level.py"), None), ("sleeper.py", "the scheduler chose a warp that is not ready")],
)
def test_policies_of_a_user_run_as_plain_python(tmp_path: Path, file: str, told: str | None) -> None:
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    overrides = (*SMALL, f"sm.sub_core.issue.scheduler={tmp_path / file}")
    write_trace(trace(kernel(LINES, block=64)), tmp_path / "t")
    (plain,) = unjitted([(tmp_path / "t", "a6000", overrides)])
    if told:
        assert told in plain
        return
    compiled = simulate(open_trace(tmp_path / "t"), load_config("a6000", overrides), RunOptions(timeline=True))
    check_equal(plain, compiled.kernels[0])


def test_only_the_emulator_needs_the_compiler(tmp_path: Path) -> None:
    (tmp_path / "k.sass").write_text(kernel(LINES).replace(".param p", "#"))
    command = [sys.executable, "-m", "gpusim", "run", str(tmp_path / "k.sass"), "--config", "a6000"]
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert "executed by compiled code only" in done.stderr
    assert "gpusim trace -o DIR" in done.stderr


def test_no_field_hides_behind_an_attribute_of_a_record() -> None:
    """Plain Python reads `row.base` of a NumPy record as that attribute; compiled code would read the field."""

    def names(dtype: np.dtype) -> set[str]:
        inside = [field[0].base for field in (dtype.fields or {}).values()]
        return set(dtype.names or ()).union(*map(names, inside))

    tables = {
        f"{module.__name__}.{name}": value
        for module in (state, params, program, walk, trace_module)
        for name, value in vars(module).items()
        if isinstance(value, np.dtype) and value.names
    }
    assert len(tables) > 25
    tables["card"] = record_dtype(GpuConfig)
    hidden = {name: names(dtype) & (set(dir(np.record)) | set(dir(np.recarray))) for name, dtype in tables.items()}
    assert not {name: found for name, found in hidden.items() if found}
