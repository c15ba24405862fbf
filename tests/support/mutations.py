"""Hostile inputs of a seed: nested data with wrong values, keys and elements, and texts with wrong bytes."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from random import Random
from typing import Any

Path = tuple[Any, ...]

VALUES: tuple[Any, ...] = (
    -1, 0, 1, 2, 7, 31, 255, 256, 65536, 2**31 - 1, 2**31, 2**32, 2**47, 2**62, 2**63, 2**64, -(2**63), 10**30, 0.5,
    1.5, 1e20, 1e308, -1e308, float("inf"), float("-inf"), float("nan"), None, True, False, "", "x", "0", "<u2", "|O8",
    "int8", "float16", "npy", "random", "/dev/zero", [], [0], [1, 2, 3], [-5], [1] * 69, [10**6, 10**6], {}, {"a": 1},
)  # fmt: skip
"""What stands where something else should."""
BYTES: tuple[bytes, ...] = (
    b"[", b"]", b"{", b"}", b": ", b"\n", b"&a ", b"*a ", b"- ", b"!", b"!!int ", b"%", b"@", b"\t", b"'", b'"', b"#",
    b"|", b">", b"? ", b"9", b"e9", b",", b"\x00", b"\x01", b"\xff", b"\xc2\x85", b"\xef\xbb\xbf",
)  # fmt: skip

LEAKS = (
    "Input should",
    "Field required",
    "valid integer",
    "Extra inputs",
    "validation",
    "Value error",
    "type=",
    "Tuple",
)
"""Words of pydantic that no user should meet."""


def paths(data: Any, path: Path = ()) -> Iterator[Path]:
    """Every place in nested data, but the top."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from paths(value, (*path, key))


def mutated(random: Random, data: Any) -> Any:
    """A copy of nested data with one to three places changed: another value, a little more, missing, or twice."""
    data = copy.deepcopy(data)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        *outer, last = random.choice(list(paths(data)) or [("new",)])
        holder = data
        for step in outer:
            holder = holder[step]
        _change(random, holder, last)
    return data


def _change(random: Random, holder: Any, key: Any) -> None:
    kind = random.random()
    old = holder.get(key) if isinstance(holder, dict) else holder[key]
    if kind < 0.3 and isinstance(old, int):
        holder[key] = old + random.choice((-2, -1, 1, 2, 10, 100))
    elif kind < 0.75:
        holder[key] = copy.deepcopy(random.choice(VALUES))
    elif kind < 0.87:
        holder.pop(key, None) if isinstance(holder, dict) else holder.pop(key)
    elif isinstance(holder, dict):
        holder[f"{key}x"] = old
    else:
        holder.insert(key, copy.deepcopy(old))


def mutated_bytes(random: Random, data: bytes) -> bytes:
    """A copy with one to three bytes changed, taken out or put in."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 3))):
        place, kind = random.randrange(len(changed)), random.random()
        if kind < 0.5:
            changed[place] = random.randrange(256)
        elif kind < 0.75:
            del changed[place : place + random.choice((1, 2, 8))]
        else:
            changed[place:place] = random.choice(BYTES)
    return bytes(changed)
