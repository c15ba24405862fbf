"""Parts of a trace: the launches whose kernel name matches."""

from __future__ import annotations

import re
from dataclasses import replace

from gpusim.errors import GpusimError, nearest
from gpusim.trace.trace import Trace


def select_kernels(trace: Trace, pattern: str | None) -> Trace:
    """The launches whose kernel name has a match of the regular expression; all where it is None.

    Raises GpusimError where the expression is malformed or nothing matches.
    """
    if pattern is None:
        return trace
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise GpusimError(f"--kernel {pattern!r}: not a regular expression ({error})") from error
    launches = tuple(launch for launch in trace.launches if expression.search(launch.program.name))
    if not launches:
        names = sorted({launch.program.name for launch in trace.launches})
        listed = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
        raise GpusimError(f"--kernel {pattern!r}: no kernel matches{nearest(pattern, names)}; the trace has {listed}")
    return replace(trace, launches=launches)
