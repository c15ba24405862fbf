"""PolicySet: the policies that a compiled model can choose among, as one member of Params.

Compiled code is specialised on the set: its type carries a key made of the sources of the user's own files, which so
are part of the signature under which compiled code is cached. The packaged policies alone have one key, hence one
model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from numba import types
from numba.extending import NativeValue, models, register_model, typeof_impl, unbox

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


class PolicySet:
    """Policies by kind; a policy's number is its place."""

    def __init__(self, policies: Mapping[str, tuple[Policy, ...]], own: tuple[Policy, ...]) -> None:
        """`own`: those of them that come from a user's files."""
        self.policies = dict(policies)
        self.own = own
        self.key = " ".join(sorted(f"{policy.kind}:{policy.digest}" for policy in own)) or PACKAGED

    def number(self, kind: str, name: str) -> int:
        """Number of the policy that a card names."""
        return [policy.name for policy in self.policies[kind]].index(name)

    def function(self, kind: str, number: int, name: str) -> Callable[..., Any]:
        """A function of a policy, as a run without the compiler calls it."""
        return self.policies[kind][number].functions[name]


class PolicySetType(types.Type):
    """Numba's type of a PolicySet: one per key."""

    def __init__(self, policy_key: str) -> None:
        self.policy_key = policy_key
        super().__init__(name=f"PolicySet({policy_key})")


_KNOWN: dict[str, PolicySet] = {}


def set_of(kind: PolicySetType) -> PolicySet:
    """The set that a type stands for."""
    return _KNOWN[kind.policy_key]


@typeof_impl.register(PolicySet)
def _type_of(policies: PolicySet, _: object) -> PolicySetType:
    _KNOWN[policies.key] = policies
    return PolicySetType(policies.key)


register_model(PolicySetType)(models.OpaqueModel)  # compiled code gets no value, the type says all


@unbox(PolicySetType)
def _unbox(_: PolicySetType, __: object, context: Any) -> NativeValue:
    return NativeValue(context.context.get_dummy_value())
