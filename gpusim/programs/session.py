"""A program from its start to its end: its processes ask, and are answered one after another.

Whatever ends first takes the other along: where this process goes, a program that waits for an answer ends with a
message; where the program goes, finished launches are kept. The socket has a name that is no file, device memory a file
that has no name, so that nothing is left over.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import selectors
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

from gpusim.programs.client import Client
from gpusim.programs.library import environment
from gpusim.programs.refusal import check_program, find_program

if TYPE_CHECKING:
    from gpusim.config.models import GpuConfig
    from gpusim.programs.launches import Launcher

_PR_SET_PDEATHSIG = 1
_ADDR_NO_RANDOMIZE = 0x0040000
"""personality(2)."""
SECONDS_TO_END = 2.0
"""Between a program's SIGTERM and its SIGKILL."""


def run_program(
    command: Sequence[str], card: GpuConfig, launcher: Launcher, architecture: int, stdout: IO[str] | None = None
) -> int:
    """Run a program to its end; returns its exit code, 128 + the signal's number where one killed it.

    Args:
        command: the program and its arguments.
        card: what it is told of. launcher: what its launches go to.
        architecture: of the machine code to choose, e.g. 86.
        stdout: where its output goes instead of this process's own.
    Raises:
        GpusimError: there is no such program, or it cannot be reached.
        KeyboardInterrupt: at Ctrl-C; then its processes have ended.
    """
    path = find_program(command[0])
    check_program(path)
    with _listening() as (listener, name):
        sys.stdout.flush()
        process = subprocess.Popen(
            [str(path), *command[1:]], env=environment(name, os.environ), stdout=stdout, preexec_fn=_prepare
        )
        session = _Session(listener, process, card, launcher, architecture)
        try:
            session.serve()
        finally:
            session.end()
    code = process.returncode
    return code if code >= 0 else 128 - code


def _prepare() -> None:
    """In the program before it begins: the system ends it with the simulator, however that goes, and keeps the
    addresses of device memory free, which it may else give to something by chance."""
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    libc.personality(_ADDR_NO_RANDOMIZE)  # where that is forbidden, one start in some twenty fails with a message


@contextmanager
def _listening() -> Iterator[tuple[socket.socket, str]]:
    name = f"gpusim-{os.getpid()}-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind("\0" + name)
        listener.listen()
        yield listener, name


class _Session:
    """The processes of a running program."""

    def __init__(
        self,
        listener: socket.socket,
        process: subprocess.Popen[bytes],
        card: GpuConfig,
        launcher: Launcher,
        architecture: int,
    ) -> None:
        self.listener, self.process, self.card = listener, process, card
        self.launcher, self.architecture = launcher, architecture
        self.clients: list[Client] = []
        self.selector = selectors.DefaultSelector()
        self.selector.register(listener, selectors.EVENT_READ)
        self.ended = os.pidfd_open(process.pid)
        self.selector.register(self.ended, selectors.EVENT_READ)

    def serve(self) -> None:
        """Answer until the program has ended, and every process of it that connected."""
        while self.process.poll() is None or self.clients:
            for key, _ in self.selector.select():
                if key.fileobj is self.listener:
                    self._accept()
                elif key.fileobj == self.ended:
                    self.process.wait()
                    self.selector.unregister(self.ended)
                else:
                    client: Client = key.data
                    if not client.serve():
                        self._drop(client)

    def _accept(self) -> None:
        connection, _ = self.listener.accept()
        size = struct.calcsize("3i")
        _, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
        if user != os.geteuid():  # the socket's name is no secret on this machine
            connection.close()
            return
        client = Client(connection, self.card, self.launcher, self.architecture)
        self.clients.append(client)
        self.selector.register(connection, selectors.EVENT_READ, client)

    def _drop(self, client: Client) -> None:
        self.selector.unregister(client.connection)
        self.clients.remove(client)
        client.close()

    def end(self) -> None:
        """End what still runs, first with SIGTERM."""
        if self.process.poll() is None:
            self.process.terminate()
        for client in self.clients:
            with suppress(ProcessLookupError):
                if client.process and client.process != self.process.pid:
                    os.kill(client.process, signal.SIGTERM)
        for client in list(self.clients):
            self._drop(client)  # whoever waits for an answer ends now
        try:
            self.process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.selector.close()
        os.close(self.ended)
