"""The hand-written programs of traces/micro: they run twice where they must, and only read what is ready."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from gpusim.emulator.tracing import trace_in_memory
from gpusim.sass.program import PT, RZ, OperandKind, Program
from gpusim.trace.trace import Launch

MICRO = Path(__file__).resolve().parent.parent / "traces" / "micro"
NAMES = sorted(path.stem for path in MICRO.glob("*.sass"))

MEASURED = {
    "listing1_even_even": ("CS2R.32", 4, 1),
    "listing1_even_odd": ("CS2R.32", 4, 1),
    "listing1_odd_odd": ("CS2R.32", 4, 1),
    "listing2_stall1": ("CS2R.32", 4, 1),
    "listing2_stall4": ("CS2R.32", 4, 1),
    "figure4_a": ("FADD", 31, 16),
    "figure4_b": ("FADD", 62, 16),
    "figure4_c": ("FADD", 62, 16),
}
"""An opcode of the measured section, how often each warp executes it (both passes), and the number of warps."""

REGISTER_LATENCY = 4
GUARD_LATENCY = 13
"""Cycles from issue to the first use of an ALU result and of a predicate (arXiv 2503.20481 and compiler output)."""


@cache
def launch_of(name: str) -> Launch:
    (launch,) = trace_in_memory(MICRO / f"{name}.sass").launches
    return launch


def streams(launch: Launch) -> list[np.ndarray]:
    """Executed instruction indices per warp."""
    return [
        chunk.index[start:end]
        for chunk in launch.chunks()
        for start, end in zip(chunk.instruction_start[:-1], chunk.instruction_start[1:])
    ]


def early_reads(program: Program, stream: np.ndarray) -> list[str]:
    """Instructions that read a register or guard before the stall counts along `stream` make it ready."""
    ready: dict[tuple[int, int], int] = {}
    now, found = 0, []
    for i in stream:
        row, operands = program.instructions[i], program.operands_of(i)
        needs = [(OperandKind.REGISTER, o.register, 0) for o in operands if o.slot < 3 and o.register != RZ]
        if row.guard != PT:
            needs.append((OperandKind.PREDICATE, row.guard, GUARD_LATENCY - REGISTER_LATENCY))
        waits = row.wait_mask != 0
        late = [(kind, number) for kind, number, extra in needs if ready.get((kind, number), 1 << 30) + extra > now]
        if late and not waits:
            found.append(program.text[i])
        for o in operands:
            if o.is_destination and o.kind in (OperandKind.REGISTER, OperandKind.PREDICATE):
                ready[o.kind, o.register] = now + REGISTER_LATENCY
        now += max(int(row.stall), 1)
    return found


def test_all_programs_are_covered() -> None:
    assert set(NAMES) == set(MEASURED)


@pytest.mark.parametrize("name", NAMES)
def test_measured_section_executes_as_often_as_stated(name: str) -> None:
    opcode, times, warps = MEASURED[name]
    launch = launch_of(name)
    executed = streams(launch)
    assert len(executed) == warps
    for stream in executed:
        spellings = [launch.program.opcode_of(i) for i in stream]
        assert spellings.count(opcode) == times
        assert spellings[-1] == "EXIT"


@pytest.mark.parametrize("name", NAMES)
def test_registers_are_ready_when_read(name: str) -> None:
    launch = launch_of(name)
    expected = ["FFMA R5, R1, R1, R1"] * 2 if name == "listing2_stall1" else []  # the point of that listing
    for stream in streams(launch):
        assert [text.rstrip(" ;") for text in early_reads(launch.program, stream)] == expected
