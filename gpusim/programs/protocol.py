"""Requests of the runtime library and their replies, as bytes: `runtime/device.h`, in Python.

A request is its kind and the size of what follows (two uint64), a reply the status and the size (int64, uint64), all
little-endian. Statuses are those of cudaError_t.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from enum import IntEnum
from typing import NamedTuple

VERSION = 1
HEADER = struct.Struct("<QQ")
REPLY = struct.Struct("<qQ")
MOST_ATTRIBUTES = 160
_FACTS = struct.Struct(f"<QQ256s16sQi4x{MOST_ATTRIBUTES}q")
MOST_BYTES = 1 << 31
"""Of a request: a fat binary may be large."""


class Request(IntEnum):
    """What the library asks for."""

    HELLO = 1
    ALLOCATE = 2
    RELEASE = 3
    MODULE = 4
    FUNCTION = 5
    SYMBOL = 6
    LAUNCH = 7
    OCCUPANCY = 8
    LIMIT = 9
    TEXTURE = 10
    TEXTURE_END = 11
    UNLOAD = 12


class Status(IntEnum):
    """Of cudaError_t, what replies need."""

    SUCCESS = 0
    INVALID_VALUE = 1
    OUT_OF_MEMORY = 2
    INITIALIZATION_ERROR = 3
    INVALID_CONFIGURATION = 9
    INVALID_SYMBOL = 13
    INVALID_DEVICE_FUNCTION = 98
    NO_KERNEL_IMAGE = 209
    ILLEGAL_ADDRESS = 700
    LAUNCH_OUT_OF_RESOURCES = 701
    LAUNCH_TIMEOUT = 702
    ASSERT = 710
    MISALIGNED_ADDRESS = 716
    INVALID_PC = 718
    LAUNCH_FAILURE = 719
    COOPERATIVE_LAUNCH_TOO_LARGE = 720
    NOT_SUPPORTED = 801


class LaunchRequest(NamedTuple):
    """One launch; `packed` are its parameters as the kernel expects them."""

    function: int
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    dynamic_shared: int
    cooperative: bool
    packed: bytes


def parse_launch(data: bytes) -> LaunchRequest:
    """A launch from its bytes. Raises struct.error where they are too few."""
    function, gx, gy, gz, bx, by, bz, shared, cooperative = struct.unpack_from("<9Q", data)
    return LaunchRequest(function, (gx, gy, gz), (bx, by, bz), shared, bool(cooperative), data[72:])


def words(data: bytes) -> tuple[int, ...]:
    """Unsigned 64-bit numbers."""
    return struct.unpack(f"<{len(data) // 8}Q", data[: len(data) // 8 * 8])


def named(data: bytes) -> tuple[int, str]:
    """A module's number and a name in it."""
    return words(data[:8])[0], data[8:].decode(errors="replace")


def pack(*numbers: int) -> bytes:
    """64-bit numbers."""
    return struct.pack(f"<{len(numbers)}Q", *numbers)


def pack_facts(base: int, size: int, name: str, uuid: bytes, timed: bool, attributes: Mapping[int, int]) -> bytes:
    """The reply to HELLO: where device memory lies, and DeviceFacts."""
    numbers = [attributes.get(number, 0) for number in range(MOST_ATTRIBUTES)]
    return _FACTS.pack(base, size, name.encode()[:255], uuid, size, int(timed), *numbers)


def pack_function(number: int, facts: Sequence[int], parameters: Sequence[tuple[int, int]]) -> bytes:
    """The reply to FUNCTION. facts: registers, shared, local and constant bytes, most threads, architecture and most
    dynamic shared bytes; parameters: offset and size of each."""
    pairs = b"".join(struct.pack("<II", *each) for each in parameters)
    return pack(number, *facts, len(parameters)) + pairs


def receive(connection: socket.socket) -> tuple[Request, bytes] | None:
    """The next request, None where the program has hung up. Raises ValueError for what is none."""
    header = _exactly(connection, HEADER.size)
    if header is None:
        return None
    kind, size = HEADER.unpack(header)
    if size > MOST_BYTES:
        raise ValueError(f"a request of {size} bytes")
    data = _exactly(connection, size)
    return None if data is None else (Request(kind), data)


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    data = bytearray()
    while len(data) < size:
        try:
            part = connection.recv(min(size - len(data), 1 << 20))
        except ConnectionError:
            return None
        if not part:
            return None
        data += part
    return bytes(data)


def reply(connection: socket.socket, status: int, data: bytes = b"") -> None:
    """Answer a request; a program that has hung up does not mind."""
    with suppress(ConnectionError):
        connection.sendall(REPLY.pack(status, len(data)) + data)
