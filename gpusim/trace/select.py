"""Parts of a trace: the launches whose kernel name matches, or those of given numbers."""

from __future__ import annotations

import re
from dataclasses import replace

from gpusim.errors import GpusimError, nearest
from gpusim.trace.trace import Launch, Trace


def select_launches(trace: Trace, pattern: str | None = None, numbers: str | None = None) -> Trace:
    """The launches whose kernel name has a match of the regular expression and whose number is listed.

    numbers: as `3` or `1,4-6`, counted from 1 in the order of the whole trace. None, of either: all.
    Raises GpusimError where the expression or list is malformed, a number is beyond the trace, or nothing is left.
    """
    launches = list(trace.launches)
    if numbers is not None:
        launches = [launches[number - 1] for number in sorted(_numbers(numbers, len(launches)))]
    if pattern is not None:
        launches = _named(launches, pattern)
    return replace(trace, launches=tuple(launches))


def number_ranges(text: str) -> tuple[tuple[int, int], ...]:
    """First and last of each range of a list such as `3` or `1,4-6`. Raises GpusimError where it is none."""
    ranges = []
    for part in text.split(","):
        bounds = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        if not bounds:
            raise GpusimError(f"--launches {text!r}: '{part}' is neither a number nor a range; write as 3 or 1,4-6")
        first, last = int(bounds[1]), int(bounds[2] or bounds[1])
        if first > last:
            raise GpusimError(f"--launches {text!r}: the range {part.strip()} is empty; write the smaller number first")
        ranges.append((first, last))
    return tuple(ranges)


def name_pattern(pattern: str) -> re.Pattern[str]:
    """A regular expression for kernel names. Raises GpusimError where it is malformed."""
    try:
        return re.compile(pattern)
    except re.error as error:
        raise GpusimError(f"--kernel {pattern!r}: not a regular expression ({error})") from error


def _numbers(text: str, count: int) -> set[int]:
    chosen: set[int] = set()
    for first, last in number_ranges(text):
        if first < 1 or last > count:
            held = f"launches 1 to {count}" if count > 1 else "one launch, number 1"
            raise GpusimError(f"--launches {text!r}: no launch {first if first < 1 else last}; the trace has {held}")
        chosen.update(range(first, last + 1))
    return chosen


def _named(launches: list[Launch], pattern: str) -> list[Launch]:
    expression = name_pattern(pattern)
    named = [launch for launch in launches if expression.search(launch.program.name)]
    if not named:
        names = sorted({launch.program.name for launch in launches})
        listed = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
        raise GpusimError(f"--kernel {pattern!r}: no kernel matches{nearest(pattern, names)}; to choose from: {listed}")
    return named
