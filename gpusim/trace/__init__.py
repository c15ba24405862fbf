"""What warps executed, and where they reached in memory: the second of the project's nouns. No cycle is known here.

    trace               Trace, Launch and its chunks of CTAs, in memory
    store, index        a folder on disk: trace.json, and a binary file per program and launch, read piece by piece
    chunks, blocks      a chunk as columns, a column as a compressed block with a checksum
    pieces, spool       the streams of a long CTA in pieces; where they wait when memory is short
    programs            whether a stored program can be one
    select, info        parts of a trace; what it holds


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
