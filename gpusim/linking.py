"""Inner functions are linked into the entries that call them; only an entry is optimised and becomes machine code.

Numba optimises and emits every function by itself, and again within each of its callers. The functions of a compiled
loop exist to become part of its entry: left unoptimised until they are there, the timing model compiles in about 60 %
of the time. Each function goes into an entry once, however many callers it has.

`InnerCompiler` is for the argument `pipeline_class` of `numba.njit`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from llvmlite import binding
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.cpu import _dynfunc

from gpusim import objectcode

REFUSE = ctypes.cast(ctypes.pythonapi.PyErr_BadArgument, ctypes.c_void_p).value
"""What an inner function is to Python, if one calls it: a TypeError."""


class InnerLibrary(JITCodeLibrary):
    """The code of one function, neither optimised nor loaded. It names its callees but does not hold them."""

    def _optimize_functions(self, module: Any) -> None:
        """Tidy each function up. What copies calls (unrolling loops, threading jumps) waits until they are inlined, or
        the entry becomes ten times as large."""
        module.data_layout = self._codegen._data_layout
        passes, builder = _tidying(self._codegen._tm)
        for function in module.functions:
            if not function.is_declaration:
                passes.run(function, builder)

    def finalize(self) -> None:
        """Nothing will be added. A function that is not called from outside goes once it is inlined everywhere."""
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == binding.Linkage.external:
                function.linkage = "linkonce_odr"
        self._finalized = True

    def _get_module_for_linking(self) -> Any:
        """With its callees, as a library that knows of no other kind expects it."""
        self._ensure_finalized()
        if self._shared_module is None:
            self._shared_module = self._final_module.clone()
            _link(self._shared_module, self)
        return self._shared_module

    def emit(self, symbol: str) -> objectcode.Code:
        """Object code of this function, an entry, with all that it calls."""
        self._final_module = self._get_module_for_linking()
        self._final_module.get_function(symbol).linkage = "external"
        self._optimize_final_module()
        self._final_module.verify()
        if any(each.name.startswith("numba.dynamic.globals") for each in self._final_module.global_variables):
            raise AssertionError(f"{self.name} holds addresses of this process")
        return objectcode.Code(symbol, self._codegen._tm.emit_object(self._final_module))


@cache
def _tidying(machine: Any) -> tuple[Any, Any]:
    options = binding.create_pipeline_tuning_options(speed_level=1)
    options.loop_unrolling = False
    builder = binding.create_pass_builder(machine, options)
    return builder.getFunctionPassManager(), builder


def _link(module: Any, library: Any) -> None:
    """Put into a module what a library calls."""
    for each in _called(library, {library}):
        part = each._final_module if isinstance(each, InnerLibrary) else each._get_module_for_linking()
        module.link_in(part, preserve=True)


def _called(library: Any, seen: set[Any]) -> Iterator[Any]:
    """The libraries that a library calls, through inner ones too, each once. Those of Numba hold their callees."""
    for each in library._linking_libraries:
        if each not in seen:
            seen.add(each)
            yield each
            if isinstance(each, InnerLibrary):
                yield from _called(each, seen)


class InnerCompiler(Compiler):
    """Compiles a function as far as its callers need it."""

    def compile_extra(self, func: Callable[..., Any]) -> Any:
        self.state.library = InnerLibrary(self.state.targetctx.codegen(), func.__qualname__)
        self.state.flags.no_compile = True
        compiled = super().compile_extra(func)
        described = compiled.fndesc
        names = described.lookup_module(), func.__qualname__, f"{func.__qualname__}, compiled into its callers"
        entry = _dynfunc.make_function(*names, REFUSE, compiled.environment, (compiled.library,))
        self.state.targetctx.insert_user_function(entry, described, [compiled.library])
        return compiled._replace(entry_point=entry)
