"""What a point of a measured curve runs: two launches that differ in length only.

Their difference is free of launch overhead, cold caches and the last CTAs' end.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import yaml

from gpusim.config.models import GpuConfig
from gpusim.emulator.state import GLOBAL_BASE
from gpusim.errors import GpusimError
from gpusim.trace.trace import Trace
from gpusim.validation.experiments import repeat_lines
from gpusim.validation.memory_data import Curve, Point

LINE_BYTES = 128
POINTER_BYTES = 8
UNROLLED_LOADS = 32
"""Loads of an iteration of the pointer chase."""
TIMED_LOADS = 8192
READ_BLOCK = 512
READ_ROUND_BYTES = 2 * 16 * READ_BLOCK * 4
"""Bytes that a round of the read kernel takes: 16 loads of each half of the buffer, 4 bytes a thread."""
ELEMENT_BYTES = 8


@dataclass(frozen=True)
class Work:
    """Two launches of a kernel: arguments and CTAs of each, and the value that follows from the cycles between them."""

    text: str
    buffers: dict[str, Any]
    block: int
    ctas: tuple[int, int]
    arguments: tuple[list[Any], list[Any]]
    value: Callable[[int], float]


def _kilobytes(point: Point) -> float:
    size = point[0]
    assert not isinstance(size, str), "only points of `stream` name a program"
    return size


def _counts(point: Point) -> tuple[int, ...]:
    """What a point gives beside the size or program and what was measured."""
    return point[2:]


def chase(curve: Curve, point: Point, config: GpuConfig) -> Work:
    """Cycles per load of one thread in a buffer of point[0] KB; one pass over it comes first."""
    lines = round(_kilobytes(point) * 1024 / LINE_BYTES)
    warm = -(-lines // UNROLLED_LOADS) * UNROLLED_LOADS
    short, long = ([{"buffer": "chain"}, {"int32": loads}] for loads in (warm, warm + TIMED_LOADS))
    text = _program(curve, config)
    return Work(text, {"chain": pointers(lines)}, 1, (1, 1), (short, long), lambda cycles: cycles / TIMED_LOADS)


def pointers(lines: int) -> np.ndarray:
    """[lines, 16] int64: the first word of each line points to that of the next in one random cycle.

    The buffer is the first of its launch, so it lies at GLOBAL_BASE.
    """
    order = np.random.default_rng(lines).permutation(lines - 1) + 1
    order = np.concatenate([[0], order])
    buffer = np.zeros((lines, LINE_BYTES // POINTER_BYTES), np.int64)
    buffer[order, 0] = GLOBAL_BASE + LINE_BYTES * np.roll(order, -1)
    return buffer


def reads(curve: Curve, point: Point, config: GpuConfig) -> Work:
    """Bytes per cycle and SM that all SMs read from a buffer of point[0] KB in point[2] passes, after as many others.

    Raises GpusimError for a buffer that is no multiple of a round.
    """
    size, passes = round(_kilobytes(point) * 1024), _counts(point)[0]
    if size % READ_ROUND_BYTES:
        raise GpusimError(f"{curve.data.id}: {point[0]} KB: not a multiple of {READ_ROUND_BYTES // 1024} KB")
    buffers = {"data": np.full(size // 4, 1.1, np.float32), "out": np.zeros(1, np.float32)}
    halves = [{"buffer": "data"}, {"buffer": "data", "offset": size // 8}, {"buffer": "out"}]
    rounds = size // READ_ROUND_BYTES
    short, long = ([*halves, {"int32": rounds}, {"int32": n * rounds}] for n in (passes, 2 * passes))
    ctas = (config.sms, config.sms)
    return Work(_program(curve, config), buffers, READ_BLOCK, ctas, (short, long), lambda c: size * passes / c)


def stream(curve: Curve, point: Point, config: GpuConfig) -> Work:
    """GB/s of the program point[0] on arrays of point[2] and of point[3] elements."""
    name = point[0]
    chosen = curve.file.programs.get(name) if isinstance(name, str) else None
    if chosen is None:
        raise GpusimError(f"{curve.data.id}: no program '{name}'; there are {', '.join(curve.file.programs)}")
    few, many = _counts(point)
    buffers = {name: np.full(max(few, many), 0.23) for name in "abcd"[: max(2, chosen.arrays)]}
    names = [*buffers, *["a"] * (4 - len(buffers))]
    short, long = ([*({"buffer": name} for name in names), {"int32": size}] for size in (few, many))
    ctas = (-(-few // curve.data.block), -(-many // curve.data.block))
    gigabytes = (many - few) * chosen.arrays * ELEMENT_BYTES / 1e9
    hertz = config.clocks.core_mhz * 1e6
    text = _program(curve, config, body=chosen.body)
    return Work(text, buffers, curve.data.block, ctas, (short, long), lambda c: gigabytes / (c / hertz))


KINDS: dict[str, Callable[[Curve, Point, GpuConfig], Work]] = {f.__name__: f for f in (chase, reads, stream)}


def _program(curve: Curve, config: GpuConfig, **parts: str) -> str:
    case = {"architecture": str(config.architecture), **parts}
    return Template(repeat_lines(curve.file.program, case)).substitute(case)


def trace_of(work: Work, architecture: int) -> Trace:
    """Execute both launches, short one first. Raises GpusimError for a wrong program."""
    from gpusim.emulator.tracing import trace_in_memory

    with tempfile.TemporaryDirectory() as folder:
        source, launch = Path(folder) / "memory.sass", Path(folder) / "launch.yaml"
        source.write_text(work.text)
        buffers = {}
        for name, contents in work.buffers.items():
            np.save(Path(folder) / f"{name}.npy", contents)
            buffers[name] = {
                "dtype": contents.dtype.name,
                "shape": list(contents.shape),
                "fill": "npy",
                "file": f"{name}.npy",
            }
        launches = [
            {"grid": [ctas], "block": [work.block], "arguments": arguments}
            for ctas, arguments in zip(work.ctas, work.arguments)
        ]
        launch.write_text(yaml.safe_dump({"buffers": buffers, "launches": launches}, sort_keys=False))
        return trace_in_memory(source, launch, architecture)
