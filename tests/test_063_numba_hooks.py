"""What gpusim uses of Numba that is private to it still has its effect; gpusim.jit lists it.

The hooks of stored code are tested in test_060_code_cache.py. `make test-numba-bounds` runs both files at the ends of the
versions that pyproject.toml allows.
"""

from __future__ import annotations

import collections
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import numba
import numpy as np
import pytest

from gpusim import jit

pytestmark = pytest.mark.skipif(not jit.JIT, reason="needs the compiler")
SOURCE = """\
import numpy as np

def at(values, index):
    return values[index]

def twice(value):
    return 2 * value

def plus(value):
    return twice(value) + 1

def both(value):
    return twice(value) + plus(value)

def allocates(size):
    return np.zeros(size).size
"""


@pytest.fixture
def loaded(tmp_path: Path):
    """Imports SOURCE under a name, by which Numba names its compiled functions."""
    names = []

    def load(name: str) -> ModuleType:
        path = tmp_path / f"{name}.py"
        path.write_text(SOURCE)
        specification = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(specification)
        names.append(name)
        sys.modules[name] = module
        specification.loader.exec_module(module)
        return module

    yield load
    for name in names:
        del sys.modules[name]


@pytest.mark.skipif(bool(numba.config.BOUNDSCHECK), reason="a negative index is refused")
@pytest.mark.parametrize(("name", "found"), [("gpusim.model.tiny", 4), ("gpusim.emulator.tiny", 9)])
def test_a_negative_index_counts_from_the_end_but_in_the_timing_model(loaded, name: str, found: int) -> None:
    behind_others = np.arange(10)[5:]
    assert numba.njit(loaded(name).at)(behind_others, -1) == found


def test_a_constant_argument_compiles_no_version_of_its_own(loaded) -> None:
    twice = jit.inlined(loaded("gpusim.model.tiny").twice)

    @numba.njit
    def caller(value):
        return twice(3) + twice(value)

    assert caller(4) == 14
    assert twice.signatures == [(numba.types.int64,)]


def test_a_name_holds_a_digest_of_a_tuple_of_ours(loaded) -> None:
    loaded("gpusim.model.tiny")

    def name(module: str, size: int) -> str:
        made = collections.namedtuple("Tiny", [f"field{number}" for number in range(size)])
        made.__module__ = module
        kernel = jit.kernel(lambda state: state[0])
        kernel(made(*([1, 0.5] * size)[:size]))
        return kernel.overloads[kernel.signatures[0]].fndesc.mangled_name

    ours, others = name("gpusim.model.tiny", 40), name("elsewhere", 40)
    assert "float64" not in ours
    assert "float64" in others
    assert len(others) > len(ours) + 300
    assert re.findall("Tiny_[0-9a-f]{16}", ours) != re.findall("Tiny_[0-9a-f]{16}", name("gpusim.model.tiny", 41))


def test_inner_functions_do_without_the_runtime_that_counts_references(loaded) -> None:
    allocates = loaded("gpusim.model.tiny").allocates
    assert numba.njit(allocates)(3) == 3
    with pytest.raises(numba.core.errors.NumbaError):  # arrays that it makes would be counted
        jit.inlined(allocates).compile((numba.types.int64,))


def test_an_inner_function_becomes_machine_code_within_its_callers_only(loaded) -> None:
    module = loaded("gpusim.model.tiny")
    module.twice, module.plus = jit.njit(module.twice), jit.njit(module.plus)
    both = module.both
    for caller in jit.kernel(both), numba.njit(both):  # `twice` is called from here and from within `plus`
        assert caller(4) == 17
    for inner in module.twice, module.plus:
        (compiled,) = inner.overloads.values()
        assert not compiled.library.codegen._engine.is_symbol_defined(compiled.fndesc.mangled_name)
        with pytest.raises(TypeError):
            inner(4)
