"""What is compiled, and how Python calls it. `njit`, `inlined`, `kernel` and `intrinsic` are from here, never Numba's.

Nothing here imports Numba: where the code of every entry that a run calls is stored, nothing is compiled, and a run
starts in a fraction of the time. `gpusim.compiler` is imported when code is missing; `gpusim.codecache` says where code
is kept, `gpusim.objectcode` how it is loaded.

- `kernel` makes an entry: a function that Python calls with arrays, tuples of arrays and integers. One version is
  compiled per kind of arguments (`Arguments`), to an object file that needs neither Python nor Numba.
- `njit` and `inlined` mark inner functions: they are compiled into the entries that call them.
- Code is stored by a hash of all sources that it can depend on. Model, emulator and hazard checker share no compiled
  code, so each has its own, and an edit of one recompiles no other.
- NUMBA_DISABLE_JIT=1: Python runs the functions as they are written.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, overload

import numpy as np

from gpusim import codecache, compiling, objectcode

PACKAGE = Path(__file__).resolve().parent
SHARED = ("jit.py", "compiler.py", "linking.py", "constants.py", "results/stalls.py")
"""Sources on which compiled code of every part depends."""
PARTS = {
    "model": ("model/*.py", "model/policies/**/*.py"),
    "emulator": ("emulator/*.py",),
    "hazards": ("hazards/*.py", "model/params.py"),
}
"""Packages with compiled code, and the sources of each; a test checks that no other module imports this one."""
SHIPPED = PACKAGE / "compiled"
"""Code that a wheel brings: PART/SOURCE HASH/FILE. A checkout has none."""
KEPT_CACHES = 4
"""Cache folders of older sources that are kept, newest first."""
JIT = os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")
"""False in a run without the compiler."""
FORBIDDEN = "GPUSIM_FORBID_COMPILING"
"""Environment variable: where it is set, compiling is an error. So a test shows that a run needed no compiler."""

Function = TypeVar("Function", bound=Callable[..., Any])
"""Compiled or not, a function has its signature; what else its object has is for the compiler alone."""
Parameters = ParamSpec("Parameters")


# ---------------------------------------------------------------------------------------------- where code is kept


@functools.cache
def source_hash(part: str) -> str:
    """Hash of the sources of one of PARTS, and of what the environment says to the compiler."""
    settings = [os.environ.get(f"NUMBA_{name}", "") for name in ("BOUNDSCHECK", "OPT")]
    digest = hashlib.sha256(repr(settings).encode())
    for path in sorted(path for pattern in (*SHARED, *PARTS[part]) for path in PACKAGE.glob(pattern)):
        digest.update(path.relative_to(PACKAGE).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@functools.cache
def _numba_version() -> str:
    """Tells installed versions of Numba apart, without importing it."""
    found = importlib.util.find_spec("numba")
    file = Path(found.origin).with_name("_version.py") if found and found.origin else None
    return hashlib.sha256(file.read_bytes()).hexdigest()[:8] if file and file.exists() else "unknown"


@functools.cache
def cache_folder(part: str) -> Path | None:
    """Folder of the user's compiled code of one of PARTS; those of older sources are removed but for the newest few.

    None where there can be none; a line on standard error has said why.
    """
    return codecache.part_folder(part, f"{source_hash(part)}-{_numba_version()}", KEPT_CACHES)


# ---------------------------------------------------------------------------------------------- arguments


@functools.cache
def _dtype_name(dtype: np.dtype) -> str:
    return repr(dtype.descr) if dtype.names else dtype.str


class Arguments:
    """The arguments of a call as compiled code gets them: 64-bit words, one after another.

    An integer is a word; an array is its address, then its shape, then its strides; a tuple is its elements. `kinds`
    tells calls apart that need different code; `words` is the table.
    """

    def __init__(self, arguments: Sequence[Any]) -> None:
        self.words: list[int] = []
        self.kinds = tuple(map(self._add, arguments))

    def _add(self, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            array = np.asarray(value)  # attributes of a record array are looked up in Python
            self.words.append(array.ctypes.data)
            self.words += array.shape
            self.words += array.strides
            flags = array.flags
            layout = "C" if flags.c_contiguous else "F" if flags.f_contiguous else "A"
            return _dtype_name(array.dtype), array.ndim, layout, flags.aligned
        if isinstance(value, tuple):
            return type(value).__qualname__, tuple(map(self._add, value))
        self.words.append(int(value))
        return "integer"


# ---------------------------------------------------------------------------------------------- functions


class Compiled:
    """A function that compiled code may call."""

    def __init__(self, function: Callable[..., Any], forceinline: bool) -> None:
        self.__module__, self.__qualname__, self.__doc__ = function.__module__, function.__qualname__, function.__doc__
        self.function, self.forceinline = function, forceinline

    @property
    def _numba_type_(self) -> Any:
        """What Numba asks a value of compiled code for."""
        from gpusim import compiler

        return compiler.dispatcher(self)._numba_type_


class Inner(Compiled):
    """A function that only compiled code calls."""

    def __call__(self, *_: Any, **__: Any) -> Any:
        raise TypeError(f"{self.function.__qualname__} is compiled into its callers; Python cannot call it")


class Intrinsic:
    """A function that is written in the compiler's own terms."""

    def __init__(self, definition: Callable[..., Any]) -> None:
        self.__qualname__, self.__doc__ = definition.__qualname__, definition.__doc__
        self.definition = definition

    def __call__(self, *_: Any) -> Any:
        raise TypeError(f"{self.definition.__qualname__} exists in compiled code only")

    @property
    def _numba_type_(self) -> Any:
        from gpusim import compiler

        return compiler.intrinsic_type(self)


class Entry(Compiled):
    """A function that Python calls, too. Its arguments then are arrays, tuples of arrays, and integers."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function, forceinline=False)
        self.part = next((name for name in PARTS if function.__module__.startswith(f"gpusim.{name}.")), None)
        if self.part:
            source_hash(self.part)  # now, while the files are those that are being imported
        self.versions: dict[Any, objectcode.Loaded] = {}
        self._lock = threading.Lock()

    def __call__(self, *arguments: Any) -> int:
        """Without the interpreter's lock. Raises what the compiled code raises."""
        given = Arguments(arguments)
        version = self.versions.get(given.kinds)
        if version is None:
            with self._lock:  # threads that come together compile once
                version = self.versions.get(given.kinds) or self._version(arguments, given)
        return version.call(given.words)

    def _version(self, arguments: Sequence[Any], given: Arguments) -> objectcode.Loaded:
        name = f"{self.function.__module__.removeprefix('gpusim.')}.{self.function.__qualname__}"
        folder = cache_folder(self.part) if self.part else None
        shipped = SHIPPED / self.part / source_hash(self.part) if self.part else None
        kept = codecache.KeptCode(name, given.kinds, folder, shipped)
        version = kept.load()
        if version is None:
            with kept.lock():  # processes that come together compile once
                version = kept.load() or self._compile(arguments, kept)
        self.versions[given.kinds] = version
        return version

    def _compile(self, arguments: Sequence[Any], kept: codecache.KeptCode) -> objectcode.Loaded:
        if os.environ.get(FORBIDDEN):
            raise RuntimeError(f"{self.function.__qualname__} would have to be compiled, and {FORBIDDEN} is set")
        with compiling.CLOCK.compilation(self.function.__module__):
            from gpusim import compiler

            code = compiler.compile_entry(self, arguments)
            kept.save(code)
            return objectcode.Loaded(code)


def kernel(function: Function) -> Function:
    """Compile a function that Python calls: the entry of a compiled loop."""
    made: Any = Entry(function) if JIT else function
    return made


@overload
def njit(function: Function) -> Function: ...


@overload
def njit(*, forceinline: bool) -> Callable[[Function], Function]: ...


def njit(function: Any = None, *, forceinline: bool = False) -> Any:
    """Compile an inner function, optionally inlined by force."""

    def decorate(body: Any) -> Any:
        return Inner(body, forceinline) if JIT else body

    return decorate if function is None else decorate(function)


def inlined(function: Function) -> Function:
    """Compile a function of the timing model into each of its callers."""
    return njit(forceinline=True)(function)


def intrinsic(definition: Callable[Concatenate[Any, Parameters], Any]) -> Callable[Parameters, Any]:
    """Numba's decorator of the same name. It gives the definition the typing context, which no call has."""
    made: Any = Intrinsic(definition)
    return made


def signature(result: str, *arguments: str) -> Any:
    """What the definition of an intrinsic gives for its types, by their names in Numba."""
    from numba import types

    return getattr(types, result)(*(getattr(types, name) for name in arguments))


TAUGHT: list[tuple[Callable[..., Any], Callable[..., Any]]] = []


def teach(function: Callable[..., Any], choose: Callable[..., Any]) -> None:
    """Let compiled code call a function that `choose` gives for the types of its arguments, as Numba's `overload`."""
    TAUGHT.append((function, choose))


def compile_problem(function: Any, arguments: Sequence[Any], results: int) -> str:
    """What the compiler has against a function of these arguments that returns so many integers; "" if nothing."""
    with compiling.CLOCK.compilation("gpusim.model"):
        from gpusim import compiler

        return compiler.problem(function, arguments, results)


def _popcount64(typing_context: Any, value: Any) -> Any:  # noqa: ARG001 - Numba passes the typing context
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        return builder.ctpop(arguments[0])

    return signature("int64", "int64"), generate


def _trailing_zeros64(typing_context: Any, value: Any) -> Any:  # noqa: ARG001
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        from llvmlite import ir

        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return signature("int64", "int64"), generate


def _interpreted_popcount64(value: int) -> int:
    return int(value).bit_count() if value >= 0 else (int(value) + (1 << 64)).bit_count()


def _interpreted_trailing_zeros64(value: int) -> int:
    return (int(value) & -int(value)).bit_length() - 1 if value else 64


popcount64: Callable[[int], int] = intrinsic(_popcount64) if JIT else _interpreted_popcount64
"""Number of set bits of a 64-bit integer."""
trailing_zeros64: Callable[[int], int] = intrinsic(_trailing_zeros64) if JIT else _interpreted_trailing_zeros64
"""Index of the lowest set bit of a 64-bit integer; 64 for zero."""
