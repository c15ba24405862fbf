"""What one process of the program asks for: its memory, its modules, its launches."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gpusim.emulator import texture
from gpusim.emulator.state import GLOBAL_BASE, TEXTURE_COLUMNS
from gpusim.errors import GpusimError, LaunchFault
from gpusim.programs import protocol
from gpusim.programs.launches import InvalidConfiguration, Launcher
from gpusim.programs.memory import SharedMemory
from gpusim.programs.modules import Kernel, Module, NoImage, load
from gpusim.programs.properties import MEMORY_BYTES, device_attributes, device_uuid
from gpusim.programs.protocol import Request, Status, named, pack, words

if TYPE_CHECKING:
    from gpusim.config.models import GpuConfig

Answer = tuple[Status, bytes]
HEAP_LIMIT = 2
"""cudaLimitMallocHeapSize."""


class Client:
    """One connection. `card`: that the program is told of. `launcher`: shared by all processes of the program."""

    def __init__(self, connection: socket.socket, card: GpuConfig, launcher: Launcher, architecture: int) -> None:
        """architecture: of the machine code to choose, e.g. 86. Raises OSError where memory cannot be mapped."""
        self.connection, self.card, self.launcher, self.architecture = connection, card, launcher, architecture
        self.process = 0
        self.memory = SharedMemory(MEMORY_BYTES)
        self.modules: dict[int, Module] = {}
        self.functions: list[Kernel] = []
        self.textures = np.zeros((16, TEXTURE_COLUMNS), np.int64)
        self._handlers: Mapping[Request, Callable[[bytes], Answer]] = {
            Request.ALLOCATE: self._allocate,
            Request.RELEASE: self._release,
            Request.MODULE: self._module,
            Request.UNLOAD: self._unload,
            Request.FUNCTION: self._function,
            Request.SYMBOL: self._symbol,
            Request.LAUNCH: self._launch,
            Request.OCCUPANCY: self._occupancy,
            Request.LIMIT: self._limit,
            Request.TEXTURE: self._texture,
            Request.TEXTURE_END: self._texture_end,
        }

    def close(self) -> None:
        """Hang up, and give the memory back."""
        self.connection.close()
        self.memory.close()

    def serve(self) -> bool:
        """Answer one request; whether the program is still there. Raises what ends the run as a whole."""
        try:
            received = protocol.receive(self.connection)
        except ValueError as error:
            print(f"gpusim: a process of the program sent what is no request ({error}); hung up", file=sys.stderr)
            return False
        if received is None:
            return False
        kind, data = received
        if kind == Request.HELLO:
            self._hello(data)
            return True
        status, reply = self._answer(kind, data)
        protocol.reply(self.connection, status, reply)
        return True

    def _answer(self, kind: Request, data: bytes) -> Answer:
        handler = self._handlers.get(kind)
        if handler is None:
            return Status.NOT_SUPPORTED, b""
        try:
            return handler(data)
        except (struct.error, IndexError, KeyError):
            return Status.INVALID_VALUE, b""
        except GpusimError as error:
            print(f"gpusim: {error}", file=sys.stderr, flush=True)
            return status_of(error), b""

    def _hello(self, data: bytes) -> None:
        version, self.process = words(data)[:2]
        if version != protocol.VERSION:
            protocol.reply(self.connection, Status.INITIALIZATION_ERROR)
            return
        timed = self.launcher.card is not None
        attributes = device_attributes(self.card)
        name, uuid = self.card.name, device_uuid(self.card)
        facts = protocol.pack_facts(GLOBAL_BASE, self.memory.size, name, uuid, timed, attributes)
        protocol.reply(self.connection, Status.SUCCESS, facts)
        socket.send_fds(self.connection, [b"m"], [self.memory.file])

    # ---- memory

    def _allocate(self, data: bytes) -> Answer:
        address = self.memory.allocate(words(data)[0])
        return (Status.SUCCESS, pack(address)) if address else (Status.OUT_OF_MEMORY, b"")

    def _release(self, data: bytes) -> Answer:
        return (Status.SUCCESS if self.memory.release(words(data)[0]) else Status.INVALID_VALUE), b""

    def _limit(self, data: bytes) -> Answer:
        number, value = words(data)
        if number == HEAP_LIMIT:
            self.memory.heap_bytes = value
        return Status.SUCCESS, b""

    # ---- code

    def _module(self, data: bytes) -> Answer:
        number = max(self.modules, default=0) + 1
        self.modules[number] = load(data, self.architecture, self.memory)
        return Status.SUCCESS, pack(number)

    def _unload(self, data: bytes) -> Answer:
        self.modules.pop(words(data)[0]).unload()
        return Status.SUCCESS, b""

    def _function(self, data: bytes) -> Answer:
        module, name = named(data)
        kernel = self.modules[module].kernel(name)
        if kernel is None:
            return Status.INVALID_DEVICE_FUNCTION, b""
        self.functions.append(kernel)
        return Status.SUCCESS, protocol.pack_function(len(self.functions) - 1, *self._facts(kernel))

    def _facts(self, kernel: Kernel) -> tuple[list[int], list[tuple[int, int]]]:
        """What FUNCTION tells of a kernel: as protocol.pack_function."""
        program, attributes = kernel.program, device_attributes(self.card)
        registers = max(program.registers, 1)
        threads = min(1024, attributes[82] // (-(-registers // 8) * 8) // 32 * 32)
        constant = kernel.module.constant_bytes
        dynamic = attributes[8] - program.shared_bytes
        facts = [program.registers, program.shared_bytes, program.local_bytes, constant, threads, program.architecture]
        parameters = [(each.offset, each.size) for each in program.parameters]
        return [*facts, max(dynamic, 0)], parameters

    def _symbol(self, data: bytes) -> Answer:
        module, name = named(data)
        found = self.modules[module].symbol(name)
        return (Status.SUCCESS, pack(*found)) if found else (Status.INVALID_SYMBOL, b"")

    # ---- textures

    def _texture(self, data: bytes) -> Answer:
        """A texture or surface object; its handle is the number of its row, from 1."""
        try:
            row = texture_row(struct.unpack("<22q", data))
        except ValueError as error:
            print(f"gpusim: {error}", file=sys.stderr, flush=True)
            return Status.NOT_SUPPORTED, b""
        free = np.flatnonzero(self.textures[:, texture.WIDTH] == 0)
        if not len(free):
            self.textures = np.concatenate([self.textures, np.zeros_like(self.textures)])
            free = np.flatnonzero(self.textures[:, texture.WIDTH] == 0)
        self.textures[free[0]] = row
        return Status.SUCCESS, pack(int(free[0]) + 1)

    def _texture_end(self, data: bytes) -> Answer:
        self.textures[words(data)[0] - 1] = 0
        return Status.SUCCESS, b""

    # ---- launches

    def _launch(self, data: bytes) -> Answer:
        request = protocol.parse_launch(data)
        printed: list[str] = []
        kernel = self.functions[request.function]
        status, nanoseconds = Status.SUCCESS, 0.0
        try:
            nanoseconds = self.launcher.launch(kernel, request, self.memory, self.textures, printed.append)
        except GpusimError as error:
            print(f"gpusim: {error}", file=sys.stderr, flush=True)
            status = status_of(error)
        return status, struct.pack("<d", nanoseconds) + "".join(printed).encode()

    def _occupancy(self, data: bytes) -> Answer:
        from gpusim.model.setup.card import occupancy

        function, threads, shared = words(data)
        program = self.functions[function].program
        ctas, _ = occupancy(self.card, -(-threads // 32), program.registers, program.shared_bytes + shared)
        return Status.SUCCESS, pack(ctas)


def texture_row(message: Sequence[int]) -> np.ndarray:
    """(TEXTURE_COLUMNS,) int64: a texture as the library describes it (runtime/modules.c, create_texture).

    Raises ValueError for a format that textures do not have.
    """
    address, width, height, depth, pitch, slice_bytes, *rest = message
    bits, (kind, _) = [size for size in rest[:4] if size], rest[4:6]
    if not width or not bits or len(set(bits)) != 1 or bits[0] not in (8, 16, 32) or len(bits) == 3:
        raise ValueError(f"a texture of {width} texels with channels of {bits} bits: not supported")
    row = np.zeros(TEXTURE_COLUMNS, np.int64)
    row[: texture.CHANNELS] = address, width, height, depth, pitch, slice_bytes
    row[texture.CHANNELS], row[texture.CHANNEL_BYTES], row[texture.KIND] = len(bits), bits[0] // 8, kind
    row[texture.MODE_X :] = rest[6:]
    return row


def status_of(error: GpusimError) -> Status:
    """What the program is told of an error, which the user reads in words."""
    if isinstance(error, NoImage):
        return Status.NO_KERNEL_IMAGE
    if isinstance(error, InvalidConfiguration):
        return Status.INVALID_CONFIGURATION
    return Status(error.cuda_error) if isinstance(error, LaunchFault) else Status.LAUNCH_FAILURE
