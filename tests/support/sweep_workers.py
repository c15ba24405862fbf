"""What worker processes of the tests run in place of a simulation: instant, slow, or deadly, as their task says."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gpusim.runs.journal import Outcome

PATIENCE = 30.0
"""Seconds that a stub waits for what must happen; far more than it takes."""


def wait_for(condition: Callable[[], bool]) -> bool:
    """Whether the condition came true."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def act(task: tuple[str, Any], ready: Callable[[], None] | None) -> Any:
    """A task is what to do and with what."""
    deed, value = task
    if deed == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if deed == "die once" and not Path(value).exists():
        Path(value).touch()
        os.kill(os.getpid(), signal.SIGTERM)
    if deed == "exit":
        os._exit(value)
    if deed == "first":  # alone until it says `ready`
        folder = Path(value)
        time.sleep(0.3)
        alone = not (folder / "second").exists()
        ready()
        return alone and wait_for((folder / "second").exists)
    if deed == "second":
        (Path(value) / "second").touch()
    if deed == "hang":
        Path(value).write_text(str(os.getpid()))
        time.sleep(2 * PATIENCE)
    return value


def kernel(cycles: int) -> dict[str, Any]:
    """As little of a summary as tables need."""
    return {"name": "stub", "grid": [1, 1, 1], "block": [32, 1, 1], "cycles": cycles, "stalls": {}, "counters": {}}


def simulate(task: Any, ready: Callable[[], None] | None = None) -> Outcome:
    """Stands for a simulation: `l2.latency` gives the cycles, the card's name says what is special about 2.

    `slow FILE`: it waits until all others of six are in the journal. `die`: its process is killed. `interrupt` and
    `terminate`: who started it gets Ctrl-C or SIGTERM while it runs.
    """
    cycles = task.config.l2.latency
    deed, _, value = task.config.name.partition(" ")
    if cycles == 2 and deed == "slow":
        others = wait_for(lambda: len(Path(value).read_text().splitlines()) == 1 + 5)
        return Outcome((kernel(cycles),), (), None if others else "the others were not recorded")
    if cycles == 2 and deed == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if cycles == 2 and deed in ("interrupt", "terminate"):
        wait_for(lambda: len(Path(value).read_text().splitlines()) > 1)
        os.kill(os.getppid(), signal.SIGINT if deed == "interrupt" else signal.SIGTERM)
        time.sleep(2 * PATIENCE)
    return Outcome((kernel(cycles),), ())
