"""The one place that configures Numba. Import `njit` and `kernel` from here, never from numba.

- A cache folder is keyed by a hash of all sources that its code can depend on: Numba's own cache looks only at the
  decorated function's file, so an edited callee in another module would silently run its old code (numba PR #8396).
  Model, emulator and hazard checker share no compiled code, so each has its folder and an edit of one recompiles no
  other. Where the folders lie, and what is trusted in them, is the business of `gpusim.codecache`.
- Indices of the timing model are used as they are: see `_keep_indices`.
- Names of compiled functions are short: see `_shorten_names`.
- Reference counting of arrays passed between functions costs 10-50 times in a model of many small functions,
  so `njit` (inner functions) switches the Numba runtime off.
- Only entries become machine code: see `gpusim.linking`.
- Who waits for a compilation is told, and its seconds are counted apart: `gpusim.compiling` hears of it through
  Numba's documented events.

What is private to Numba here, in `gpusim.codecache` and in `gpusim.linking`, and the reason why pyproject.toml bounds
its version (all of it is the same in 0.61 and 0.68): the option `_nrt`; the function
`numba.np.arrayobj.fix_integer_index`; a dispatcher's `get_call_template`; that a type's `mangling_args` name it; a
dispatcher's attribute `_cache`, an object with `load_overload`, `save_overload`, `flush` and `cache_path`; `_reduce`,
`_rebuild` and `environment` of a CompileResult; `_final_module`, `_linking_libraries`,
`_get_module_for_linking` and `has_dynamic_globals` of a code library; the flag `no_compile`; `_dynfunc.make_function`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, overload

import numba
import numpy as np
from llvmlite import ir
from numba import extending, types
from numba.core import event
from numba.np import arrayobj

from gpusim import codecache, compiling, linking

PACKAGE = Path(__file__).resolve().parent
SHARED = ("jit.py", "linking.py", "constants.py", "results/stalls.py")
"""Sources on which compiled code of every part depends."""
PARTS = {
    "model": ("model/*.py", "model/policies/**/*.py"),
    "emulator": ("emulator/*.py",),
    "hazards": ("hazards/*.py", "model/params.py"),
}
"""Packages with compiled code, and the sources of each; a test checks that no other module imports this one."""
KEPT_CACHES = 4
"""Cache folders of older sources that are kept, newest first."""
SETTINGS: Any = numba.config
"""What the environment says to Numba; the module gets its attributes when it is imported."""

Function = TypeVar("Function", bound=Callable[..., Any])
"""Compiled or not, a function has its signature; what else a dispatcher has is for Numba alone."""
Arguments = ParamSpec("Arguments")


@cache
def _source_hash(part: str) -> str:
    digest = hashlib.sha256(f"{numba.__version__} {np.__version__} {SETTINGS.BOUNDSCHECK} {SETTINGS.OPT}".encode())
    for path in sorted(path for pattern in (*SHARED, *PARTS[part]) for path in PACKAGE.glob(pattern)):
        digest.update(path.relative_to(PACKAGE).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@cache
def cache_folder(part: str) -> Path | None:
    """Folder of the compiled code of one of PARTS; folders of older sources are removed but for the newest few.

    None where there can be none; a line on standard error has said why.
    """
    return codecache.part_folder(part, _source_hash(part), KEPT_CACHES)


def _kept(dispatcher: Any) -> Any:
    """Let a dispatcher find its code in the folder of its part, and store it there."""
    function = dispatcher.py_func
    part = next((name for name in PARTS if f"gpusim.{name}." in function.__module__), None)
    if part:
        _source_hash(part)  # now, while the files are those that are being imported
        dispatcher._cache = codecache.KeptCode(function, partial(cache_folder, part))
    return dispatcher


class _Listener(event.Listener):
    """Tells `gpusim.compiling` when Numba compiles a function of this package."""

    def on_start(self, told: event.Event) -> None:
        if module := self._module(told):
            compiling.CLOCK.begin(module)

    def on_end(self, told: event.Event) -> None:
        if self._module(told):
            compiling.CLOCK.end()

    @staticmethod
    def _module(told: event.Event) -> str | None:
        module = told.data["dispatcher"].py_func.__module__
        return module if module.startswith(tuple(f"{package}." for package in compiling.PARTS)) else None


event.register("numba:compile", _Listener())

MODEL_SYMBOL = "_ZN6gpusim5model"
"""What the mangled names of the timing model's functions begin with."""


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
    """Let the names of compiled functions hold a digest of a State or Params where they would hold all its fields.

    A mangled name of the model is 29 KB long otherwise, and a cache file holds hundreds of these: stored code of the
    timing model takes 8 MB instead of 151, and a warm start 0.1 s less.
    """
    named_tuple: Any = types.NamedTuple
    in_full = named_tuple.mangling_args.fget

    def mangling_args(kind: Any) -> tuple[str, tuple[Any, ...]]:
        if not kind.instance_class.__module__.startswith("gpusim."):
            return in_full(kind)
        known = vars(kind)
        if "gpusim_digest" not in known:
            known["gpusim_digest"] = hashlib.sha256(kind.name.encode()).hexdigest()[:16]
        return f"{kind.instance_class.__name__}_{known['gpusim_digest']}", ()

    named_tuple.mangling_args = property(mangling_args)


_shorten_names()

JIT = not SETTINGS.DISABLE_JIT
"""False in a run without the compiler (NUMBA_DISABLE_JIT=1)."""
_COMMON: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
INNER_OPTIONS: dict[str, Any] = {
    **_COMMON,
    "forceinline": True,
    "_nrt": False,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "pipeline_class": linking.InnerCompiler,
}
"""Options of functions that are compiled into their callers."""


def _general(kind: Any) -> Any:
    """The type of an argument: 64 bits for every integer."""
    kind = types.unliteral(kind)
    return types.int64 if isinstance(kind, types.Integer) and kind.bitwidth < 64 else kind


def _without_literals(dispatcher: Any) -> Any:
    """Compile one version for a call with a constant, one with a variable, and one with a field of few bytes.

    Numba types a constant argument as a literal of its own, and would compile every function of the model about twice.
    """
    find = dispatcher.get_call_template

    def get_call_template(args: tuple, kws: dict) -> Any:
        return find(tuple(map(_general, args)), {name: _general(value) for name, value in kws.items()})

    dispatcher.get_call_template = get_call_template
    return dispatcher


def kernel(function: Function) -> Function:
    """Compile a function that Python calls: the entry of a compiled loop."""
    dispatcher: Any = numba.njit(**_COMMON, pipeline_class=linking.EntryCompiler)(function)
    return _without_literals(_kept(dispatcher)) if JIT else dispatcher


@overload
def njit(function: Function) -> Function: ...


@overload
def njit(*, forceinline: bool) -> Callable[[Function], Function]: ...


def njit(function: Any = None, *, forceinline: bool = False) -> Any:
    """Compile an inner function: no reference counting, optionally inlined by force."""

    def decorate(body: Any) -> Any:
        dispatcher = numba.njit(**INNER_OPTIONS | {"forceinline": forceinline})(body)
        return _without_literals(dispatcher) if JIT else dispatcher

    return decorate if function is None else decorate(function)


def inlined(function: Function) -> Function:
    """Compile a function of the timing model into each of its callers.

    A call would copy the State, which Numba passes as hundreds of words: seven per array. Measured on an FFMA loop,
    inlining everything is 8 times faster than none of it, at the same compile time.
    """
    return njit(forceinline=True)(function)


def intrinsic(definition: Callable[Concatenate[Any, Arguments], Any]) -> Callable[Arguments, Any]:
    """Numba's decorator of the same name. It gives the definition the typing context, which no call has."""
    made: Any = extending.intrinsic(definition)
    return made


def compile_problem(function: Any, arguments: Sequence[Any], results: int) -> str:
    """What the compiler has against a function of these arguments that returns so many integers; "" if nothing."""
    try:
        kinds = tuple(numba.typeof(argument) for argument in arguments)
        function.compile(kinds)
    except numba.core.errors.NumbaError as error:
        return str(error)
    except KeyError as error:  # so Numba says that a record has no such field
        return f"a record has no field {error.args[0]!r}"
    except Exception as error:  # whatever else the compiler stumbles over in code that nobody has tried
        return f"the compiler fails ({type(error).__name__}: {error})"
    found: Any = function.overloads[kinds].signature.return_type
    several = isinstance(found, types.BaseTuple)
    numbers: tuple[Any, ...] = tuple(found) if several else (found,)
    if results and (len(numbers) != results or not all(isinstance(n, (types.Integer, types.Boolean)) for n in numbers)):
        return f"it should return {'an integer' if results == 1 else f'{results} integers'} on every path, not {found}"
    return ""


def _popcount64(typing_context: Any, value: Any) -> Any:  # noqa: ARG001 - Numba passes the typing context
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        return builder.ctpop(arguments[0])

    return types.int64(types.int64), generate


def _trailing_zeros64(typing_context: Any, value: Any) -> Any:  # noqa: ARG001
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.int64), generate


def _interpreted_popcount64(value: int) -> int:
    return int(value).bit_count() if value >= 0 else (int(value) + (1 << 64)).bit_count()


def _interpreted_trailing_zeros64(value: int) -> int:
    return (int(value) & -int(value)).bit_length() - 1 if value else 64


popcount64: Callable[[int], int] = intrinsic(_popcount64) if JIT else _interpreted_popcount64
"""Number of set bits of a 64-bit integer."""
trailing_zeros64: Callable[[int], int] = intrinsic(_trailing_zeros64) if JIT else _interpreted_trailing_zeros64
"""Index of the lowest set bit of a 64-bit integer; 64 for zero."""
