"""Memory that something would need, against what this process may have: refused before it is taken."""

from __future__ import annotations

import os
from pathlib import Path

from gpusim.errors import GpusimError

_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def available() -> int:
    """Bytes that this process may have: of the machine, of its container, of its address space."""
    limits = [1 << 62]
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for name in _CGROUP_LIMITS:
        try:
            limits.append(int(Path(name).read_text()))
        except (OSError, ValueError):  # no such file, or the word `max`
            continue
    try:
        import resource
    except ImportError:
        return min(limits)
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return min(limits) if soft == resource.RLIM_INFINITY else min(*limits, soft)


def require_memory(need: int, what: str, remedy: str) -> None:
    """Raises GpusimError where `need` bytes are more than this process may have."""
    if need > (most := available()):
        raise GpusimError(f"{what} {in_words(need)} of memory, and there are {in_words(most)} here; {remedy}")


def in_words(count: int) -> str:
    """Bytes in words, as `1.5 GB`."""
    for unit, name in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= unit:
            return f"{count / unit:,.1f} {name}"
    return f"{count} bytes"
