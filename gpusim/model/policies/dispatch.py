"""How a stage calls a function of whichever policy a card names.

The functions of a kind's interface are written once, in its `__init__.py`, with `hook`: to Python each is a function
that looks the policy up; to the compiler it is a ladder of `if number == n` over the policies of the set in use.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from gpusim.jit import JIT, teach
from gpusim.model.policies.policy_set import set_of

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Hook:
    """One function of a kind's interface.

    Attributes:
        parameters: what a policy's function takes. results: how many integers it returns.
        default: what a policy does that lacks it; None where it must have it.
    """

    kind: str
    name: str
    parameters: tuple[str, ...]
    results: int
    default: Callable[..., Any] | None


HOOKS: dict[str, dict[str, Hook]] = {}
"""The interfaces: hooks by kind and name."""


def hook(
    kind: str,
    number: str,
    *,
    own: tuple[str, ...] = (),
    results: int = 1,
    default: Callable[..., Any] | None = None,
) -> Callable[[Function], Function]:
    """Make a function of an interface call the policy whose number the expression `number` gives.

    own: parameters of the decorated function that a policy's does not take.
    """

    def decorate(stub: Function) -> Function:
        names = tuple(inspect.signature(stub).parameters)
        passed = tuple(name for name in names if name not in own)
        HOOKS.setdefault(kind, {})[stub.__name__] = Hook(kind, stub.__name__, passed, results, default)
        call: Any = _interpreted(kind, stub.__name__, names, passed, number)
        call.__doc__ = stub.__doc__
        if JIT:
            _compiled(call, kind, stub.__name__, names, passed, number)
        return call

    return decorate


def _interpreted(
    kind: str, name: str, names: tuple[str, ...], passed: tuple[str, ...], number: str
) -> Callable[..., Any]:
    """The function as a run without the compiler calls it."""
    function = f"set_of(P.policies.dtype.names).function({kind!r}, {number}, {name!r})"
    text = f"def {name}({', '.join(names)}):\n    return {function}({', '.join(passed)})\n"
    return _made(text, {"set_of": set_of})


def _compiled(
    call: Callable[..., Any], kind: str, name: str, names: tuple[str, ...], passed: tuple[str, ...], number: str
) -> None:
    """Teach the compiler the function: all policies of the set, chosen by number."""

    def choose(*kinds: Any) -> Callable[..., Any]:
        params = kinds[names.index("P")]
        mark = params.types[params.fields.index("policies")]
        policies = set_of(mark.dtype.fields).policies[kind]
        lines = [f"def {name}({', '.join(names)}):"]
        for place in range(len(policies) - 1):
            lines += [f"    if {number} == {place}:", f"        return policy{place}({', '.join(passed)})"]
        lines += [f"    return policy{len(policies) - 1}({', '.join(passed)})", ""]
        functions = {f"policy{place}": policy.functions[name] for place, policy in enumerate(policies)}
        return _made("\n".join(lines), functions)

    teach(call, choose)


def _made(text: str, functions: dict[str, Callable[..., Any]]) -> Callable[..., Any]:
    """The one function that a text defines; it passes for one of this module, so that compiled code can be cached."""
    space: dict[str, Any] = {"__name__": __name__, **functions}
    exec(compile(text, __file__, "exec"), space)
    return next(value for key, value in space.items() if key not in functions and not key.startswith("__"))
