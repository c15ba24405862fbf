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

from gpusim import compiler, jit

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

def constant(value):
    return twice(3) + twice(value)

def inner(table):
    return table.first.size - len(table.second) + table.second[1]

def outer(table, number, pair):
    numbers = inner(table) + pair[0][number] + table.first.strides[0] // 4 + pair[0].shape[0]
    return numbers + np.int64(table.first[number + 1, 3] + pair[1][0, 3])

def half(value):
    return value / 2

def refuses(value):
    if value < 0:
        raise ValueError("negative")
    return value

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
    assert jit.kernel(loaded(name).at)(behind_others, -1) == found


def test_a_constant_argument_compiles_no_version_of_its_own(loaded) -> None:
    module = loaded("gpusim.model.tiny")
    module.twice = jit.inlined(module.twice)
    assert jit.kernel(module.constant)(4) == 14
    assert compiler.dispatcher(module.twice).signatures == [(numba.types.int64,)]


def test_a_name_holds_a_digest_of_a_record_type() -> None:
    def name(*fields: str) -> str:
        return numba.core.itanium_mangler.mangle("f", [numba.from_dtype(np.dtype([(each, "i8") for each in fields]))])

    assert re.search("Record_[0-9a-f]{16}$", name("field", "other"))
    assert "other" not in name("field", "other")
    assert name("field", "other") != name("field", "another")


def test_a_tuple_of_arrays_is_one_argument_and_its_fields_are_its_arrays(loaded) -> None:
    module = loaded("gpusim.model.tiny")
    both = collections.namedtuple("Both", ["first", "second"])
    module.inner = jit.njit(module.inner)
    table = both(np.arange(12.0).reshape(3, 4), np.arange(20)[::2])
    assert jit.kernel(module.outer)(table, 1, (table.second, table.first)) == 11 + (12 - 10 + 2) + 2 + 8 + 3 + 10
    (compiled,) = compiler.dispatcher(module.inner).overloads.values()
    assert [type(kind) for kind in compiled.signature.args] == [compiler.TableType]
    code = compiled.library._final_module.get_function(compiled.fndesc.llvm_func_name)
    assert len(list(code.arguments)) == 3  # after the result and the fault


def test_an_entry_gives_whole_numbers_only(loaded) -> None:
    with pytest.raises(TypeError, match="half gives float64, not an integer"):
        jit.kernel(loaded("gpusim.model.tiny").half)(3)


def test_what_an_entry_raises_is_raised(loaded) -> None:
    refuses = jit.kernel(loaded("gpusim.model.tiny").refuses)
    assert refuses(3) == 3
    with pytest.raises(ValueError, match=r"^negative$"):
        refuses(-3)


def test_inner_functions_do_without_the_runtime_that_counts_references(loaded) -> None:
    module = loaded("gpusim.model.tiny")
    assert numba.njit(module.allocates)(3) == 3
    assert "No implementation" in jit.compile_problem(jit.inlined(module.allocates), [3], 1)
    assert jit.compile_problem(jit.inlined(module.twice), [3], 1) == ""


def test_an_inner_function_becomes_machine_code_within_its_callers_only(loaded) -> None:
    module = loaded("gpusim.model.tiny")
    module.twice, module.plus = jit.njit(module.twice), jit.njit(module.plus)
    both = module.both
    for caller in jit.kernel(both), numba.njit(both):  # `twice` is called from here and from within `plus`
        assert caller(4) == 17
    for inner in module.twice, module.plus:
        (compiled,) = compiler.dispatcher(inner).overloads.values()
        assert not compiled.library.codegen._engine.is_symbol_defined(compiled.fndesc.mangled_name)
        with pytest.raises(TypeError, match="compiled into its callers"):
            inner(4)
