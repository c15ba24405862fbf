"""How much work something is, counted instead of timed: a count is the same on a machine that is busy with other things."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def at_most(calls: int) -> Iterator[None]:
    """What is inside may call so many functions, those of Python and of C counted together.

    The call beyond them raises an `AssertionError`, so that work which would never end ends there. Loops within
    a C function are not seen.
    """
    left, before = calls, sys.getprofile()

    def count(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal left
        left -= event.endswith("call")
        if left < 0:
            sys.setprofile(before)
            raise AssertionError(f"more than {calls:,} calls")

    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(before)
