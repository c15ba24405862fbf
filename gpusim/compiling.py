"""Compilation as seen by those who wait for it: how long it took so far, and a notice while it goes on.

Nothing slow is imported here. `gpusim.jit` reports when a compilation begins and ends, `gpusim.compiler` each function
of it; whoever measures a simulation uses a `Stopwatch`, since compiling is not simulating.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

LINE_SECONDS = 20.0
"""Between two lines where standard error is no terminal."""
LIVE_SECONDS = 1.0
"""Between two looks of the live line of a terminal."""
PARTS = {
    "gpusim.model": ("the timing model", "about half a minute"),
    "gpusim.emulator": ("the emulator", "about half a minute"),
    "gpusim.hazards": ("the hazard checker", "a few seconds"),
}
"""By package: what compiles, and how long that takes."""


class Notice(Protocol):
    """Is told, from the thread that compiles, when a compilation begins and when it is over."""

    def begin(self, what: str, expected: str) -> None: ...

    def end(self) -> None: ...


class StderrNotice:
    """A live line on a terminal; elsewhere a line per part at the beginning and one now and then."""

    def __init__(self) -> None:
        self._first: dict[str, float] = {}
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, what: str, expected: str) -> None:
        # a stream that something else has put in the place of standard error draws a line of its own there
        stream = sys.stderr
        live = stream is sys.__stderr__ and stream is not None and stream.isatty()
        if what not in self._first:
            self._first[what] = time.monotonic()
            if not live:
                self._print(f"gpusim: compiling {what}, once for this version and machine: {expected}\n")
        self._over = threading.Event()
        arguments = (what, expected, live, self._over)
        self._thread = threading.Thread(target=self._tell, args=arguments, name="gpusim-notice", daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _tell(self, what: str, expected: str, live: bool, over: threading.Event) -> None:
        text = f"gpusim: compiling {what}"
        while not over.wait(LIVE_SECONDS if live else LINE_SECONDS):
            passed = f"{time.monotonic() - self._first[what]:.0f} s, {CLOCK.functions} functions"
            self._print(f"\r{text}, once, {expected}: {passed} " if live else f"{text}: {passed} so far\n")
        if live:
            self._print("\r\x1b[K")

    @staticmethod
    def _print(text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except (OSError, ValueError, AttributeError):  # closed, or none: nobody reads it
            pass


class Clock:
    """Adds up the CPU seconds of a process's compilations. They may be of several threads at once."""

    def __init__(self) -> None:
        self.notice: Notice = StderrNotice()
        self.total = 0.0
        self.functions = 0
        self._depth = 0
        self._began = 0.0

    @contextmanager
    def compilation(self, module: str) -> Iterator[None]:
        """An entry of `module` is compiled, mostly one below a name of PARTS."""
        self._depth += 1
        if self._depth == 1:
            self._began, self.functions = time.process_time(), 0
            self.notice.begin(*PARTS.get(".".join(module.split(".")[:2]), (module, "some seconds")))
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                self.notice.end()
                self.total += time.process_time() - self._began

    def function(self) -> None:
        """The compiler begins with one more function."""
        self.functions += 1


CLOCK = Clock()
"""That of this process."""


class Stopwatch:
    """CPU seconds of this process since it was made, those of compiling apart."""

    def __init__(self, cpu_seconds: float = 0.0, compile_seconds: float = 0.0) -> None:
        """The arguments are seconds of earlier runs, to go on from."""
        self._compiling = CLOCK.total - compile_seconds
        self._all = time.process_time() - cpu_seconds - compile_seconds

    @property
    def compile_seconds(self) -> float:
        """Compilations that are over."""
        return CLOCK.total - self._compiling

    @property
    def cpu_seconds(self) -> float:
        """Everything else."""
        return time.process_time() - self._all - self.compile_seconds
