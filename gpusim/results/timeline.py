"""The timeline: one row per issued warp instruction with the cycle of each of its stages."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from gpusim.results.files import OutputFile, replacing

STAGES = ("issue", "control", "allocate", "read", "execute", "write_back")
"""Cycle in which the instruction was in the stage; -1 where it has none (a branch reads no operand)."""

TIMELINE_COLUMNS = ("sm", "sub_core", "warp", "sequence", "pc", "opcode", *STAGES)
"""warp: slot in its sub-core; sequence: the how-manieth instruction of its warp, from 0; pc: bytes;
opcode: index into Program.opcodes in the table, the full spelling in the CSV."""

TIMELINE_DTYPE = np.dtype([(name, np.int64) for name in TIMELINE_COLUMNS])

_ROWS_AT_ONCE = 1 << 16


def write_timeline(path: OutputFile | Path | str, kernels: Iterable[tuple[Sequence[str], np.ndarray]]) -> int:
    """Write the timelines of kernels in order as one CSV and return the number of rows.

    Args:
        path: the file to make.
        kernels: per kernel its Program.opcodes and its (rows,) table of TIMELINE_DTYPE.

    Cells of stages that an instruction does not have are empty. A last column `kernel` counts kernels from 0.
    Raises GpusimError where the file cannot be written.
    """
    rows = 0
    with replacing(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow((*TIMELINE_COLUMNS, "kernel"))
        for number, (opcodes, table) in enumerate(kernels):
            for start in range(0, len(table), _ROWS_AT_ONCE):
                writer.writerows(_cells(table[start : start + _ROWS_AT_ONCE], opcodes, number))
            rows += len(table)
    return rows


def _cells(table: np.ndarray, opcodes: Sequence[str], number: int) -> Iterable[tuple]:
    columns: list[list] = [table[name].tolist() for name in TIMELINE_COLUMNS]
    columns[TIMELINE_COLUMNS.index("opcode")] = [opcodes[index] for index in table["opcode"].tolist()]
    for stage in STAGES:
        position = TIMELINE_COLUMNS.index(stage)
        columns[position] = ["" if cycle < 0 else cycle for cycle in columns[position]]
    return zip(*columns, [number] * len(table))
