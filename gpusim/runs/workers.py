"""Worker processes that each run one task after another, and may die without taking anything else along.

Unlike a process pool this knows which task a process that was killed had, and can end all of them at once. Workers
are started as fresh interpreters that do not import the caller's main module, so that a plain script may use them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any

Function = Callable[[Any, Callable[[], None] | None], Any]
"""Called with a task, and with what it calls once other processes may start too, None where that is known."""

START = """\
import signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started us
from multiprocessing.connection import Connection
connection = Connection(int(sys.argv[1]))
sys.path[:] = connection.recv()
from gpusim.runs.workers import serve
serve(connection, parent=int(sys.argv[2]))
"""
ATTEMPTS = 2
"""Processes that may die of a task before it counts as failed."""
LOOK_SECONDS = 1.0
"""Between two looks of a worker at whether who started it still lives."""
END_SECONDS = 2.0
"""A worker that is asked to end has these, then it is killed."""


@dataclass(frozen=True)
class Died:
    """In place of a task's value: its process ended without one, every time."""

    how: str


def as_completed(function: Function, tasks: Sequence[Any], jobs: int) -> Iterator[tuple[int, Any]]:
    """`function(task, ready)` of every task, in up to `jobs` processes, with the task's number, as they finish.

    The first process runs alone until it calls `ready` or is done: it compiles what the others then only load. A task
    whose process dies is tried again in a fresh one; where that dies too, its value is `Died`. The function and the
    tasks must be importable and picklable, and the function must not raise.
    """
    waiting = deque(range(len(tasks)))
    deaths: Counter[int] = Counter()
    idle: list[_Worker] = []
    busy: dict[Any, tuple[_Worker, int]] = {}
    ready = False
    try:
        while waiting or busy:
            while waiting and len(busy) < (jobs if ready else 1):
                worker, number = idle.pop() if idle else _Worker(function), waiting.popleft()
                busy[worker.connection] = worker, number
                worker.send(tasks[number])
            for connection in wait(list(busy)):
                worker, number = busy[connection]
                message = worker.receive()
                ready = ready or not isinstance(message, Died)
                if message is None:
                    continue
                del busy[connection]
                if not isinstance(message, Died):
                    idle.append(worker)
                elif deaths[number] + 1 < ATTEMPTS:
                    deaths[number] += 1
                    waiting.appendleft(number)
                    continue
                yield number, message
    finally:
        for worker in (*idle, *(worker for worker, _ in busy.values())):
            worker.end()


class _Worker:
    """One process."""

    def __init__(self, function: Function) -> None:
        self.connection, theirs = Pipe()
        command = [sys.executable, "-c", START, str(theirs.fileno()), str(os.getpid())]
        self.process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        theirs.close()
        self.send(sys.path)
        self.send(function)

    def send(self, thing: Any) -> None:
        with suppress(OSError):  # it died: `receive` will find out
            self.connection.send(thing)

    def receive(self) -> Any:
        """The task's value, None for `ready`, or Died."""
        try:
            kind, value = self.connection.recv()
        except (EOFError, OSError):
            self.connection.close()
            return Died(_how_it_ended(self.process.wait()))
        return None if kind == "ready" else value

    def end(self) -> None:
        self.connection.close()
        self.process.terminate()
        try:
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"its worker process ended with exit code {code}"
    name = signal.Signals(-code).name
    hint = " (out of memory?)" if name == "SIGKILL" else ""
    return f"its worker process was ended by {name}{hint}"


def serve(connection: Connection, parent: int) -> None:
    """A worker's life: take a task, say `ready` once, send the value; end with the process that started it."""
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    unsaid = [("ready", None)]

    def ready() -> None:
        if unsaid:
            connection.send(unsaid.pop())

    try:
        function = connection.recv()
        while True:
            task = connection.recv()
            connection.send(("done", function(task, ready if unsaid else None)))
    except (EOFError, OSError):
        return


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os._exit(1)
