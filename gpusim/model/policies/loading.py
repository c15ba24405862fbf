"""Policy files into policies: the packaged ones by name, a user's own by path, with every mistake told by file and
line."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from gpusim.errors import GpusimError, nearest
from gpusim.jit import JIT, compile_problem, inlined
from gpusim.model.policies import prefetcher, replacement, scheduler  # noqa: F401 - they declare the interfaces
from gpusim.model.policies.dispatch import HOOKS, Hook
from gpusim.model.policies.names import KINDS, built_in, digest, is_file, source
from gpusim.model.policies.policy_set import Policy, PolicySet

if TYPE_CHECKING:
    from gpusim.config.models import InstructionFetch

PLAIN = ("at_launch",)
"""Functions of a policy file that Python calls: they are not compiled."""
LIKENESS = 0.8
"""How near a helper's name may come to that of a hook that the file lacks before it is taken for a slip."""


def policy_set(names: Mapping[str, Iterable[str]]) -> PolicySet:
    """All packaged policies, and the files among the names that a card gives, by kind.

    Raises GpusimError where a file cannot be read, is no Python, or does not keep to its kind's interface.
    """
    files = tuple((kind, path) for kind in KINDS for path in sorted(set(names.get(kind, ()))) if is_file(path))
    own = tuple(_own(kind, path, source(kind, path)) for kind, path in files)
    everything = {kind: (*_packaged(kind), *(p for p in own if p.kind == kind)) for kind in KINDS}
    return PolicySet(everything, own)


def at_launch(policies: PolicySet, number: int, fetch: InstructionFetch, cores: np.recarray, lines: int) -> int:
    """How many of a launch's first instruction lines, the last of them, a prefetcher keeps in its own buffer."""
    function = policies.policies["prefetcher"][number].functions.get("at_launch")
    return function(fetch, cores, lines) if function else 0


@cache
def _packaged(kind: str) -> tuple[Policy, ...]:
    """The packaged policies of a kind, in the order of their numbers."""
    modules = [(name, importlib.import_module(f"gpusim.model.policies.{kind}.{name}")) for name in built_in(kind)]
    return tuple(Policy(kind, name, _functions(kind, module, str(module.__file__)), "") for name, module in modules)


@cache
def _own(kind: str, path: str, text: str) -> Policy:
    """The policy in a user's file; its module has a name by its contents, so that compiled code finds it again."""
    number = digest(kind, path)
    module = ModuleType(f"gpusim.model.policies.{kind}.own_{number}")
    module.__file__ = path
    try:
        exec(compile(text, path, "exec"), module.__dict__)
    except SyntaxError as error:
        raise GpusimError(f"{path}:{error.lineno}: not valid Python: {error.msg}") from None
    except Exception as error:
        raise GpusimError(f"{path}:{_line_of(error, path)}: {type(error).__name__}: {error}") from None
    sys.modules[module.__name__] = module
    return Policy(kind, path, _functions(kind, module, path), number)


def _line_of(error: BaseException, path: str) -> int:
    """Line of a file at which an error arose while it ran."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return lines[-1] or 1 if lines else 1


def _functions(kind: str, module: ModuleType, path: str) -> dict[str, Callable[..., Any]]:
    """The functions of a policy by name, compiled; hooks that it lacks do what the interface says."""
    found = {
        name: f for name, f in vars(module).items() if isinstance(f, FunctionType) and f.__module__ == module.__name__
    }
    _check(kind, found, path)
    for name, function in found.items():
        if name not in PLAIN:
            setattr(module, name, inlined(function))  # so that functions of the file can call each other
    defaults = {name: inlined(h.default) for name, h in HOOKS[kind].items() if h.default is not None}
    return defaults | {name: getattr(module, name) for name in found}


def _check(kind: str, found: Mapping[str, FunctionType], path: str) -> None:
    """Refuse what does not keep to the interface of a kind."""
    hooks = HOOKS[kind]
    for name, each in hooks.items():
        if name in found:
            _check_parameters(each, found[name], path)
        elif each.default is None:
            raise GpusimError(
                f"{path}: a {kind} needs a function {name}({', '.join(each.parameters)}){nearest(name, found)}; "
                f"see gpusim/model/policies/{kind}/__init__.py"
            )
    lacking = [name for name in hooks if name not in found]
    for name, function in found.items():
        if name not in hooks and name not in PLAIN and (slip := nearest(name, lacking, LIKENESS)):
            raise GpusimError(f"{_place(function, path)}: {name} is not called{slip}; else name this helper otherwise")


def _check_parameters(each: Hook, function: FunctionType, path: str) -> None:
    given = tuple(inspect.signature(function).parameters)
    if given != each.parameters:
        raise GpusimError(
            f"{_place(function, path)}: {each.name}({', '.join(given)}): a {each.kind}'s takes "
            f"({', '.join(each.parameters)}), in this order and under these names"
        )


def _place(function: FunctionType, path: str) -> str:
    return f"{path}:{function.__code__.co_firstlineno}"


def check_compiles(policies: PolicySet, S: Any, P: Any) -> None:
    """Compile each function of a user's own policies by itself: a mistake is told before the model is compiled.

    Raises GpusimError that names file and line.
    """
    for policy in policies.own if JIT else ():
        for each in HOOKS[policy.kind].values():
            arguments = [{"S": S, "P": P}.get(name, 0) for name in each.parameters]
            function = policy.functions[each.name]
            problem = compile_problem(function, arguments, each.results)
            if problem:
                raise GpusimError(_told(policy, each, problem))


NOISE = ("Failed in nopython mode", "During:", "File ", "<source elided>")
"""What lines of a compiler's message begin with that say nothing about the mistake."""


def _told(policy: Policy, each: Hook, problem: str) -> str:
    """A compiler's message in one line, behind the place in the user's file that it names first."""
    file = re.escape(Path(policy.name).name)
    places = re.findall(rf'File "[^"]*{file}", line (\d+)|{file} \((\d+)\)', problem)
    lines = [text.strip() for text in problem.splitlines()]
    text = next((text for text in lines if text and not text.startswith(NOISE)), "the compiler does not say why")
    line = int(places[0][0] or places[0][1]) if places else _line_with(policy, each.name, text)
    return f"{policy.name}:{line}: {each.name} does not compile: {text}"


def _line_with(policy: Policy, function: str, text: str) -> int:
    """Line of the first name that a message quotes, else of a function."""
    nodes = list(ast.walk(ast.parse(source(policy.kind, policy.name))))
    quoted = re.findall(r"'(\w+)'", text)
    used = [node.lineno for node in nodes if isinstance(node, ast.Name) and node.id in quoted]
    used += [node.lineno for node in nodes if isinstance(node, ast.Attribute) and node.attr in quoted]
    defined = [node.lineno for node in nodes if isinstance(node, ast.FunctionDef) and node.name == function]
    return min(used, default=min(defined, default=1))
