"""Compiles entries, with Numba: the one place that configures it. Imported only where code is missing.

- Tuples of gpusim's own (State, Params, Machine) reach inner functions as one pointer to the table of their arrays'
  addresses and sizes: see `TableType`. Numba would pass each array as seven arguments, hundreds in all.
- Only entries become machine code: see `gpusim.linking`.
- Indices of the timing model are used as they are: see `_keep_indices`.
- Names of record types are short: see `_shorten_names`.
- Reference counting of arrays passed between functions costs 10-50 times in a model of many small functions,
  so all functions are compiled without the Numba runtime: none can make an array.

What is private to Numba here and in `gpusim.linking`, and the reason why pyproject.toml bounds its version (all of it
is the same in 0.61 and 0.68): the option `_nrt`; the function `numba.np.arrayobj.fix_integer_index`; a dispatcher's
`get_call_template`; that a type's `mangling_args` name it; that a value's `_numba_type_` is asked for; `environment` of
a CompileResult; `_final_module`, `_linking_libraries`, `_get_module_for_linking` and `_optimize_final_module` of a code
library, and the target machine `_tm` of its maker; the flag `no_compile`; `_dynfunc.make_function`; and what a compiled
function is to C (`gpusim.objectcode`).
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import extending, types
from numba.core import event, registry
from numba.core.datamodel import models
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.np import arrayobj

from gpusim import compiling, jit, linking, objectcode

OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "_nrt": False,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "pipeline_class": linking.InnerCompiler,
}
MODEL_SYMBOL = "_ZN6gpusim5model"
"""What the mangled names of the timing model's functions begin with."""


class _Listener(event.Listener):
    """Tells `gpusim.compiling` when Numba begins with a function of this package."""

    def on_start(self, _: event.Event) -> None:
        compiling.CLOCK.function()

    def on_end(self, _: event.Event) -> None: ...


event.register("numba:compile", _Listener())


def _keep_indices() -> None:
    """Let a negative index of the timing model not count from the end.

    The model has none, yet Numba compares and selects at every access with a signed index; without that an FFMA loop is
    about 8 % faster and a vector add 40 %. With NUMBA_BOUNDSCHECK a negative index is refused. The function is private
    to Numba; a version without it would run the model slower, not differently.
    """
    count_from_end = getattr(arrayobj, "fix_integer_index", None)
    if count_from_end is None:
        return

    def fix_integer_index(context: Any, builder: Any, kind: Any, index: Any, size: Any) -> Any:
        if kind.signed and builder.function.name.startswith(MODEL_SYMBOL):
            return context.cast(builder, index, kind, types.intp)
        return count_from_end(context, builder, kind, index, size)

    arrayobj.fix_integer_index = fix_integer_index


_keep_indices()


def _shorten_names() -> None:
    """Let the names of compiled functions hold a digest of a record type where they would hold all its fields."""

    def mangling_args(kind: Any) -> tuple[str, tuple[Any, ...]]:
        known = vars(kind)
        if "gpusim_digest" not in known:
            known["gpusim_digest"] = hashlib.sha256(kind.name.encode()).hexdigest()[:16]
        return f"Record_{known['gpusim_digest']}", ()

    record: Any = types.Record
    record.mangling_args = property(mangling_args)


_shorten_names()


# ---------------------------------------------------------------------------------------------- tables


class TableType(types.Type):
    """A tuple of arrays with names: a pointer to words, for each array its address, its shape and its strides."""

    def __init__(self, name: str, fields: tuple[str, ...], kinds: tuple[types.Array, ...]) -> None:
        self.fields, self.types = fields, kinds
        digest = hashlib.sha256(repr([fields, kinds]).encode()).hexdigest()[:16]
        super().__init__(f"{name}_{digest}")

    def offset(self, field: str) -> int:
        """Number of the first word of a field."""
        return sum(map(_words, self.types[: self.fields.index(field)]))


TABLES: Any = (TableType, types.BaseTuple)


@extending.register_model(TableType)
class _TableModel(models.OpaqueModel):
    """One pointer."""


@infer_getattr
class _TableAttributes(AttributeTemplate):
    key = TableType

    def generic_resolve(self, table: Any, name: str) -> Any:  # type: ignore[override]
        return table.types[table.fields.index(name)] if name in table.fields else None


@extending.lower_getattr_generic(TableType)
def _field(context: Any, builder: Any, table: TableType, pointer: Any, name: str) -> Any:
    return _array(context, builder, table.types[table.fields.index(name)], pointer, table.offset(name))


def _words(kind: Any) -> int:
    """How many words of a table a value takes."""
    if isinstance(kind, types.Array):
        return 1 + 2 * kind.ndim
    return sum(map(_words, kind.types)) if isinstance(kind, TABLES) else 1


def _word(builder: Any, pointer: Any, number: int) -> Any:
    """A word of a table. It never changes during a call, so it may be loaded once for many uses."""
    kind = ir.IntType(64)
    words = builder.bitcast(pointer, kind.as_pointer())
    loaded = builder.load(builder.gep(words, [ir.Constant(kind, number)], inbounds=True), align=8)
    loaded.set_metadata("invariant.load", builder.module.add_metadata([]))
    return loaded


def _array(context: Any, builder: Any, kind: types.Array, pointer: Any, place: int) -> Any:
    """The array whose words begin at a place of a table."""
    array = arrayobj.make_array(kind)(context, builder)
    shape = [_word(builder, pointer, place + 1 + axis) for axis in range(kind.ndim)]
    size = context.get_abi_sizeof(context.get_data_type(kind.dtype))
    if kind.ndim == 1 and kind.layout == "C":
        strides = [ir.Constant(ir.IntType(64), size)]
    else:
        strides = [_word(builder, pointer, place + 1 + kind.ndim + axis) for axis in range(kind.ndim)]
    data = builder.inttoptr(_word(builder, pointer, place), array.data.type)
    arrayobj.populate_array(array, data, shape, strides, size, None)
    return array._getvalue()


def kind_of(value: Any) -> Any:
    """Numba's type of an argument."""
    if isinstance(value, np.ndarray):
        return numba.typeof(value)
    if not isinstance(value, tuple):
        return types.int64
    kinds = tuple(map(kind_of, value))
    fields: tuple[str, ...] | None = getattr(value, "_fields", None)
    return TableType(type(value).__name__, fields, kinds) if fields else types.BaseTuple.from_types(kinds)


def _taken(kind: Any, place: int) -> Any:
    """An intrinsic that makes an argument of the words from a place of a table on."""

    def value(context: Any, builder: Any, kind: Any, pointer: Any, place: int) -> Any:
        if isinstance(kind, types.Array):
            return _array(context, builder, kind, pointer, place)
        if isinstance(kind, TableType):
            word = ir.Constant(ir.IntType(64), 8 * place)
            return builder.gep(pointer, [word], inbounds=True)
        if not isinstance(kind, TABLES):
            return _word(builder, pointer, place)
        elements = []
        for each in kind.types:
            elements.append(value(context, builder, each, pointer, place))
            place += _words(each)
        return context.make_tuple(builder, kind, elements)

    def take(typing_context: Any, words: Any) -> Any:  # noqa: ARG001 - Numba passes the typing context
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return value(context, builder, signature.return_type, arguments[0], place)

        return kind(words), generate

    return extending.intrinsic(take)


# ---------------------------------------------------------------------------------------------- functions


NARROW = (types.int8, types.int16, types.int32)


def _general(kind: Any) -> Any:
    """The type of an argument of the timing model: no literal, and 64 bits where a field has fewer."""
    kind = types.unliteral(kind)
    return types.int64 if kind in NARROW else kind


def _compiled(function: Callable[..., Any], **options: Any) -> Any:
    """A dispatcher. It compiles one version for calls with a constant, a variable, or a field of few bytes: Numba types
    a constant argument as a literal of its own and would compile every function of the model about twice."""
    made: Any = numba.njit(**OPTIONS, **options)(function)
    find = made.get_call_template
    general = _general if function.__module__.startswith("gpusim.model") else types.unliteral

    def get_call_template(args: tuple, kws: dict) -> Any:
        return find(tuple(map(general, args)), {name: general(value) for name, value in kws.items()})

    made.get_call_template = get_call_template
    return made


@cache
def dispatcher(function: jit.Compiled) -> Any:
    """Numba's object for a function."""
    return _compiled(function.function, forceinline=function.forceinline)


@cache
def intrinsic_type(function: jit.Intrinsic) -> Any:
    """Numba's type of an intrinsic."""
    made: Any = extending.intrinsic(function.definition)
    context = registry.cpu_target.typing_context
    context.refresh()
    return context.resolve_value_type(made)


def _learn() -> None:
    while jit.TAUGHT:
        function, choose = jit.TAUGHT.pop()
        options: Any = {**OPTIONS, "forceinline": True}
        extending.overload(function, jit_options=options, strict=False)(choose)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Python's collector of cycles finds little in a compilation and takes an eighth of its time; without it the memory
    of the process peaks 200 MB higher (at 510)."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@_without_collector()
def compile_entry(function: jit.Entry, arguments: Sequence[Any]) -> objectcode.Code:
    """Object code of a function for such arguments. Raises Numba's errors for what it does not compile, TypeError for
    one that gives anything but an int64, a bool or None."""
    _learn()
    kinds = [kind_of(argument) for argument in arguments]
    places = [sum(map(_words, kinds[:number])) for number in range(len(kinds))]
    space: dict[str, Any] = {f"take{n}": _taken(kind, place) for n, (kind, place) in enumerate(zip(kinds, places))}
    space |= {"function": function, "__name__": function.__module__}
    call = f"function({', '.join(f'take{n}(words)' for n in range(len(kinds)))})"
    name = function.function.__name__
    exec(f"def {name}(words):\n    return {call}\n", space)
    entry = _compiled(space[name])
    words = types.voidptr
    entry.compile((words,))
    compiled = entry.overloads[(words,)]
    if compiled.signature.return_type not in (types.int64, types.boolean, types.none):
        raise TypeError(f"{name} gives {compiled.signature.return_type}, not an integer")
    return compiled.library.emit(compiled.fndesc.llvm_func_name)


def problem(function: Any, arguments: Sequence[Any], results: int) -> str:
    """What the compiler has against an inner function of such arguments that returns so many integers; "" if none."""
    _learn()
    try:
        kinds = tuple(kind_of(argument) for argument in arguments)
        made = dispatcher(function)
        made.compile(kinds)
    except numba.core.errors.NumbaError as error:
        return str(error)
    except KeyError as error:  # so Numba says that a record has no such field
        return f"a record has no field {error.args[0]!r}"
    except Exception as error:  # whatever else the compiler stumbles over in code that nobody has tried
        return f"the compiler fails ({type(error).__name__}: {error})"
    found: Any = made.overloads[kinds].signature.return_type
    several = isinstance(found, types.BaseTuple)
    numbers: tuple[Any, ...] = tuple(found) if several else (found,)
    if results and (len(numbers) != results or not all(isinstance(n, (types.Integer, types.Boolean)) for n in numbers)):
        return f"it should return {'an integer' if results == 1 else f'{results} integers'} on every path, not {found}"
    return ""
