"""Progress on standard error: a live line on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpusim.model.setup.simulate import Progress

TERMINAL_SECONDS = 2.0
LOG_SECONDS = 30.0
"""Between lines where standard error is no terminal."""


class TraceProgress:
    """A line now and then while the emulator executes: CTAs done, warp instructions per CPU second."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, kernel: str, done: int, ctas: int, warp_instructions: int, per_cpu_second: float) -> None:
        now = time.monotonic()
        if now - self._last >= (TERMINAL_SECONDS if sys.stderr.isatty() else LOG_SECONDS):
            self._last = now
            print(
                f"{kernel}: CTA {done:,} of {ctas:,}, {warp_instructions:,} warp instr., {per_cpu_second:,.0f} /CPU s",
                file=sys.stderr,
            )


class ProgressView:
    """Shows the reports that `simulate` gives: kernel i of n, its simulated cycles, warp instructions per second, and
    the ETA of the whole trace.

    Use as a context manager and pass the object itself as RunOptions.progress.
    """

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._start = self._last = time.monotonic()
        self._first = -1
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> ProgressView:
        if self._terminal:
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("ETA"), TimeRemainingColumn())
            self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task("loading the model (compiled on the first run)", total=None)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def warn(self, message: str) -> None:
        """A warning on a line of its own, above the live one."""
        self.say(f"gpusim: warning: {message}")

    def say(self, message: str) -> None:
        """A line of its own, above the live one."""
        if self._bar is not None:
            self._bar.console.print(message, markup=False, highlight=False)
        else:
            print(message, file=sys.stderr)

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        done = progress.warp_instructions_before + progress.warp_instructions_done
        if self._first < 0:  # loading and compiling is over; what a resumed run took over was not simulated now
            self._first, self._start = done, now
            if self._bar is not None:
                self._bar.reset(self._task, completed=done)
        rate = (done - self._first) / max(now - self._start, 1e-9)
        text = (
            f"kernel {progress.kernel_index + 1}/{progress.kernel_count} {progress.kernel_name}: "
            f"cycle {progress.cycle:,}, {rate:,.0f} warp instr./s"
        )
        if self._bar is not None:
            self._bar.update(self._task, description=text, completed=done, total=progress.trace_warp_instructions)
        elif now - self._last >= LOG_SECONDS:
            self._last = now
            share = done / progress.trace_warp_instructions
            left = (progress.trace_warp_instructions - done) / max(rate, 1e-9)
            eta = f"ETA {left:,.0f} s" if rate else "compiled code loaded"
            print(f"{text}, {share:.0%} of the trace, {eta}", file=sys.stderr)
