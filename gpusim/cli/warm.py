"""`gpusim warm`: compile ahead what runs, traces and checks need, so that none of them waits for it."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gpusim.cli.exits import EXIT_CHECK_FAILED

if TYPE_CHECKING:
    from gpusim.trace.trace import Trace


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "warm",
        help="compile ahead what is not compiled yet",
        description="Compile the timing model, the emulator and the hazard checker, where that has not been done.",
    )
    parser.add_argument("part", nargs="?", choices=sorted(PARTS), help="this one alone, in this process")
    parser.set_defaults(command=run)


def run(args: argparse.Namespace) -> int:
    """Compile; returns 0 if all that was wanted is there."""
    if args.part:
        PARTS[args.part]()
        return 0
    from gpusim.codecache import diagnosis, usable_root

    usable_root()  # with a word, and once, where it is not the one that should be
    side_by_side = min(len(PARTS), os.cpu_count() or 1)
    waiting, failed = list(PARTS), []
    running: list[tuple[str, subprocess.Popen]] = []
    while waiting or running:
        while waiting and len(running) < side_by_side:
            running.append((waiting[0], subprocess.Popen([sys.executable, "-m", "gpusim", "warm", waiting.pop(0)])))
        part, process = running.pop(0)
        if process.wait():
            failed.append(part)
    good, text = diagnosis()
    print(text)
    if failed:
        print(f"gpusim: not compiled: {', '.join(failed)}", file=sys.stderr)
    return EXIT_CHECK_FAILED if failed or not good else 0


def _model() -> None:
    from gpusim.cli.doctor import SELF_RUN_CONFIG
    from gpusim.config import load_config
    from gpusim.model.setup.simulate import simulate

    simulate(_straight_trace(), load_config(SELF_RUN_CONFIG))


def _emulator() -> None:
    from gpusim.cli.doctor import SELF_RUN
    from gpusim.inputs import load_source

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "warm.sass"
        path.write_text(SELF_RUN)
        load_source(str(path), None, 86)


def _hazards() -> None:
    from gpusim.cli.doctor import SELF_RUN_CONFIG
    from gpusim.config import load_config
    from gpusim.hazards.check import check_hazards

    check_hazards(_straight_trace(), load_config(SELF_RUN_CONFIG))


def _straight_trace() -> Trace:
    """That of the doctor's kernel, whose one warp runs every instruction once: no emulator is needed for it."""
    import numpy as np

    from gpusim.cli.doctor import SELF_RUN
    from gpusim.sass.assembler import assemble
    from gpusim.trace.trace import MEMORY_RECORD_DTYPE, ChunkList, CtaChunk, Launch, Trace

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "warm.sass"
        path.write_text(SELF_RUN)
        (assembled,) = assemble(path)
    count = len(assembled.program)
    starts, no_starts = np.array([0, count]), np.zeros(2, np.int64)
    index, mask = np.arange(count, dtype=np.uint16), np.full(count, 0xFFFFFFFF, np.uint32)
    chunk = CtaChunk(0, 1, starts, index, mask, no_starts, np.zeros(0, MEMORY_RECORD_DTYPE), np.zeros(0, np.int64))
    return Trace((Launch(assembled.program, (1, 1, 1), (32, 1, 1), 0, ChunkList((chunk,))),))


PARTS: dict[str, Callable[[], None]] = {"model": _model, "emulator": _emulator, "hazards": _hazards}
"""By part of the compiled code: something small that needs all entries of it."""
