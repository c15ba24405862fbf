"""What warps executed: the Trace and its store.

The package has the name of a function of the front door, so it can be called as that one: gpusim.api.trace.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpusim.trace.trace import Trace


class _CallablePackage(ModuleType):
    def __call__(self, *arguments: Any, **options: Any) -> Trace:
        from gpusim.api import trace

        return trace(*arguments, **options)


sys.modules[__name__].__class__ = _CallablePackage
