"""Tidy pandas frames of results. Units stand in `frame.attrs["units"]`, by column; gpusim.results.columns explains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy
import pandas

from gpusim.errors import GpusimError
from gpusim.results.columns import (
    INSTRUCTION_FRAME,
    KERNEL_FRAME,
    SAMPLING_FRAME,
    TIMELINE_FRAME,
    Column,
    kernel_row,
)
from gpusim.results.stalls import STALL_REASONS
from gpusim.results.timeline import STAGES

if TYPE_CHECKING:
    from gpusim.results.result import KernelResult
    from gpusim.sass.program import Program


def frame_of(rows: Iterable[Mapping[str, object]], columns: Sequence[Column]) -> pandas.DataFrame:
    """A frame of those columns that occur in a row, in the order of `columns`; all of them where there is no row.

    Whole numbers that are missing in some rows are nullable (Int64), so that the others stay whole.
    """
    cells: dict[str, list] = {column.name: [] for column in columns}
    seen: set[str] = set()
    count = 0
    for row in rows:
        for name, values in cells.items():
            values.append(row.get(name))
        seen.update(row)
        count += 1
    return with_units({name: _cells(v) for name, v in cells.items() if name in seen or not count}, columns)


def _cells(values: list) -> object:
    known = [value for value in values if value is not None]
    if len(known) < len(values) and known and all(type(value) is int for value in known):
        return pandas.array(values, dtype="Int64")
    return values


def with_units(data: Mapping[str, object], columns: Sequence[Column]) -> pandas.DataFrame:
    """A frame of the data that names the unit of each column in its attributes."""
    frame = pandas.DataFrame(data)
    frame.attrs["units"] = {column.name: column.unit for column in columns if column.name in frame}
    return frame


def result_frame(kernels: Iterable[KernelResult]) -> pandas.DataFrame:
    """A row per launch, KERNEL_FRAME, and SAMPLING_FRAME if one of them was sampled."""
    rows = [kernel_row(number, kernel.summary()) for number, kernel in enumerate(kernels)]
    sampled = any(column.name in row for row in rows for column in SAMPLING_FRAME)
    return frame_of(rows, (*KERNEL_FRAME, *SAMPLING_FRAME) if sampled else KERNEL_FRAME)


def pc_frame(kernel: KernelResult, program: Program | None) -> pandas.DataFrame:
    """A row per static instruction, INSTRUCTION_FRAME; without opcode and text where no program is known.

    Raises GpusimError where the program is not the kernel's.
    """
    data: dict[str, object] = {"pc": kernel.pc}
    if program is not None:
        if program.instructions.pc.tolist() != kernel.pc.tolist():
            raise GpusimError(f"{kernel.name}: {program!r} is not the program that this result is of")
        data["opcode"] = numpy.array(program.opcodes, object)[program.instructions.opcode]
        data["text"] = list(program.text)
    data["issues"] = kernel.pc_issues
    data |= {f"stall_{reason}": kernel.pc_stalls[:, k] for k, reason in enumerate(STALL_REASONS)}
    return with_units(data, INSTRUCTION_FRAME)


def timeline_frame(kernel: KernelResult, program: Program | None) -> pandas.DataFrame:
    """A row per issued warp instruction, TIMELINE_FRAME; without opcode where no program is known.

    Raises GpusimError where no timeline was recorded.
    """
    table = kernel.timeline
    if table is None:
        raise GpusimError(f"{kernel.name}: no timeline was recorded; simulate with timeline=True")
    data: dict[str, object] = {}
    for column in TIMELINE_FRAME:
        cells = table[column.name]
        if column.name in STAGES:
            data[column.name] = pandas.arrays.IntegerArray(cells.astype("int64"), cells < 0)
        elif column.name != "opcode":
            data[column.name] = cells
        elif program is not None:
            data["opcode"] = numpy.array(program.opcodes, object)[cells]
    return with_units(data, TIMELINE_FRAME)
