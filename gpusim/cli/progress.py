"""Progress on standard error: a live line on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from gpusim import compiling

if TYPE_CHECKING:
    from gpusim.emulator.tracing import TraceStep
    from gpusim.model.setup.simulate import Progress

TERMINAL_SECONDS = 2.0
LOG_SECONDS = 30.0
"""Between lines where standard error is no terminal."""


class TraceProgress:
    """A line now and then while the emulator executes: launch i of n, CTAs done, warp instructions per CPU second."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, step: TraceStep) -> None:
        now = time.monotonic()
        if now - self._last >= (TERMINAL_SECONDS if sys.stderr.isatty() else LOG_SECONDS):
            self._last = now
            print(
                f"executing launch {step.launch + 1}/{step.launches} {step.kernel}: CTA {step.ctas_done:,} of "
                f"{step.ctas:,}, {step.warp_instructions:,} warp instr. in all, {step.rate:,.0f} /CPU s",
                file=sys.stderr,
            )


class _BarNotice:
    """Shows a compilation in the bar of a ProgressView."""

    def __init__(self, bar: Any, task: Any) -> None:
        self._bar, self._task = bar, task

    def begin(self, what: str, expected: str) -> None:
        self._bar.reset(self._task, total=None, description=f"compiling {what}, once, {expected}")

    def end(self) -> None:
        self._bar.update(self._task, description="loading the compiled code")


class ProgressView:
    """Shows the reports that `simulate` gives: kernel i of n, its simulated cycles, warp instructions per second, and
    the ETA of the whole trace.

    Use as a context manager and pass the object itself as RunOptions.progress.
    """

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._start = self._last = time.monotonic()
        self._first = -1
        self._notice = compiling.CLOCK.notice
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> ProgressView:
        if self._terminal:
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            times = (TimeElapsedColumn(), TextColumn("ETA"), TimeRemainingColumn())
            columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=None), *times)
            self._bar = Bar(*columns, console=Console(stderr=True), transient=True, expand=True)
            self._bar.start()
            self._task = self._bar.add_task("loading the model", total=None)
            compiling.CLOCK.notice = _BarNotice(self._bar, self._task)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            compiling.CLOCK.notice = self._notice
            self._bar.stop()

    def warn(self, message: str) -> None:
        """A warning on a line of its own, above the live one."""
        self.say(f"gpusim: warning: {message}")

    def say(self, message: str) -> None:
        """A line of its own, above the live one."""
        if self._bar is not None:
            self._bar.console.print(message, markup=False, highlight=False, soft_wrap=True)
        else:
            print(message, file=sys.stderr)

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        done = progress.warp_instructions_before + progress.warp_instructions_done
        if self._first < 0:  # loading and compiling is over; what a resumed run took over was not simulated now
            self._first, self._start, self._last = done, now, now
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
            eta = f"ETA {left:,.0f} s" if rate else "ETA unknown"
            print(f"{text}, {share:.0%} of the trace, {eta}", file=sys.stderr)
