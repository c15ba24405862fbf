"""`gpusim warm`: compile ahead what runs, traces and checks need, so that none of them waits for it."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gpusim.cli.exits import EXIT_CHECK_FAILED
from gpusim.errors import GpusimError
from gpusim.processors import cores

if TYPE_CHECKING:
    from gpusim.trace.trace import Trace


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "warm",
        help="compile ahead what is not compiled yet",
        description="Compile the timing model, the emulator and the hazard checker, where that has not been done.",
    )
    parser.add_argument("part", nargs="?", choices=sorted(PARTS), help="this one alone, in this process")
    parser.add_argument(
        "--wheel", action="store_true", help="for the processors of a wheel, into the package's folder: `make wheel`"
    )
    parser.set_defaults(command=run)


def run(args: argparse.Namespace) -> int:
    """Compile; returns 0 if all that was wanted is there."""
    if args.part:
        PARTS[args.part]()
        return 0
    if args.wheel:
        return _fill_package()
    from gpusim.codecache import diagnosis, usable_root

    usable_root()  # with a word, and once, where it is not the one that should be
    failed = _compile_all(dict(os.environ))
    good, text = diagnosis()
    print(text)
    return EXIT_CHECK_FAILED if failed or not good else 0


def _fill_package() -> int:
    """Compile for a wheel. Raises GpusimError on a machine that cannot run that code."""
    from gpusim import jit, objectcode
    from gpusim.codecache import SUFFIX, VARIABLE

    if not objectcode.runs_shipped():
        raise GpusimError(f"--wheel: this machine does not run code for {objectcode.SHIPPED_PROCESSOR[0]} and Linux")
    name, features = objectcode.SHIPPED_PROCESSOR
    shutil.rmtree(jit.SHIPPED, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        ahead = {VARIABLE: folder, objectcode.CPU_NAME: name, objectcode.CPU_FEATURES: features}
        if _compile_all(os.environ | ahead):
            return EXIT_CHECK_FAILED
        for part in PARTS:
            place = jit.SHIPPED / part / jit.source_hash(part)
            place.mkdir(parents=True)
            for file in (Path(folder) / part).rglob(f"*{SUFFIX}"):
                (place / file.name).write_bytes(file.read_bytes())
                print(place / file.name)
    return 0


def _compile_all(environment: dict[str, str]) -> list[str]:
    """Every part in a process of its own, as many at once as there are processors; gives those that failed."""
    side_by_side = min(len(PARTS), cores())
    waiting, failed = list(PARTS), []
    running: list[tuple[str, subprocess.Popen]] = []
    while waiting or running:
        while waiting and len(running) < side_by_side:
            command = [sys.executable, "-m", "gpusim", "warm", waiting[0]]
            running.append((waiting.pop(0), subprocess.Popen(command, env=environment)))
        part, process = running.pop(0)
        if process.wait():
            failed.append(part)
    if failed:
        print(f"gpusim: not compiled: {', '.join(failed)}", file=sys.stderr)
    return failed


def _model() -> None:
    import numpy as np

    from gpusim.cli.doctor import SELF_RUN_CONFIG
    from gpusim.config import load_config
    from gpusim.constants import EXPLICIT
    from gpusim.model.setup.loading import PieceLoader, shared_addresses
    from gpusim.model.setup.simulate import simulate
    from gpusim.trace.pieces import cut_of, packed_piece
    from gpusim.trace.trace import MEMORY_RECORD_DTYPE

    trace = _straight_trace()
    simulate(trace, load_config(SELF_RUN_CONFIG))
    program, chunk = trace.launches[0].program, trace.launches[0].source.read(0)
    one = np.array([0]), np.array([len(chunk.index)])
    PieceLoader(program).load(cut_of(program, 0, 1, one, lambda _: packed_piece(program, chunk)), 0)
    shared_addresses(np.array([(0, EXPLICIT)], MEMORY_RECORD_DTYPE), np.zeros(1, np.int64))


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
