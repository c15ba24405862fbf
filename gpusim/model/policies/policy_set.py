"""PolicySet: the policies that a compiled model can choose among.

Compiled code is specialised on the set. What it gets is the set's mark, a record whose only field has the set's key for
a name: so the key, made of the sources of the user's own files, is part of the type under which compiled code is
cached. The packaged policies alone have one key, hence one model. (Numba knows the type of an array at once; with an
object of our own among its arguments, every call would take milliseconds to find the types of all.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

PACKAGED = "packaged"
"""Key of the set without files of a user's own."""


@dataclass(frozen=True)
class Policy:
    """One policy: its name (of a user's file: the path), its functions by name, compiled, and the hash of its
    source."""

    kind: str
    name: str
    functions: Mapping[str, Callable[..., Any]]
    digest: str


_KNOWN: dict[str, PolicySet] = {}


class PolicySet:
    """Policies by kind; a policy's number is its place."""

    def __init__(self, policies: Mapping[str, tuple[Policy, ...]], own: tuple[Policy, ...]) -> None:
        """`own`: those of them that come from a user's files."""
        self.policies = dict(policies)
        self.own = own
        self.key = " ".join(sorted(f"{policy.kind}:{policy.digest}" for policy in own)) or PACKAGED
        self.mark = np.zeros(1, [(self.key, "i8")]).view(np.recarray)
        _KNOWN[self.key] = self

    def number(self, kind: str, name: str) -> int:
        """Number of the policy that a card names."""
        return [policy.name for policy in self.policies[kind]].index(name)

    def function(self, kind: str, number: int, name: str) -> Callable[..., Any]:
        """A function of a policy, as a run without the compiler calls it."""
        return self.policies[kind][number].functions[name]


def set_of(names: Iterable[str] | None) -> PolicySet:
    """The set that a mark of this field stands for."""
    (key,) = names or ()
    return _KNOWN[key]
