"""Runs drawn instructions in the emulator, many in one program, and compares what they wrote with their meaning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from emulator_cases import FIELD

from gpusim.emulator.buffers import GlobalMemory
from gpusim.emulator.machine import prepare
from gpusim.emulator.tracing import run
from gpusim.sass.assembler import assemble
from gpusim.sass.isa import load_isa
from semantics.draw import CORNERS, KEPT, Draw, Drawn, Lane, Wrote

AREA = 1024
"""Bytes of global memory that an instruction has for itself."""
GUARDS = ("", "", "@P0 ", "@!P1 ")
Result = tuple[tuple[int, ...], bool, bool]

PROLOGUE = """
S2R R0, SR_TID.X ;
MOV R28, c[0x0][{base:#x}] ;
MOV R29, c[0x0][{base4:#x}] ;
MOV R30, 0x20 ;
IMAD.WIDE R28, R0, R30, R28 ;
MOV R4, c[0x0][{base8:#x}] ;
MOV R5, c[0x0][{base12:#x}] ;
MOV R32, c[0x0][{base16:#x}] ;
MOV R33, c[0x0][{base20:#x}] ;
IMAD.WIDE R32, R0, R30, R32 ;
"""
CASE = """
LDG.E.128 R8, [R28.64] ;
LDG.E.128 R12, [R28.64+0x10] ;
MOV R16, {kept:#x} ;
MOV R17, {kept:#x} ;
MOV R18, {kept:#x} ;
MOV R19, {kept:#x} ;
LOP3.LUT R25, R15, 0x7, RZ, 0xc0, !PT ;
R2P PR, R25, 0x7f ;
{text} ;
P2R R24, PR, RZ, 0x7f ;
STG.E.128 [R32.64], R16 ;
STG.E [R32.64+0x10], R24 ;
IADD3 R28, P6, R28, 0x400, RZ ;
IADD3.X R29, R29, RZ, RZ, P6, !PT ;
IADD3 R32, P6, R32, 0x400, RZ ;
IADD3.X R33, R33, RZ, RZ, P6, !PT ;
IADD3 R4, P6, R4, 0x400, RZ ;
IADD3.X R5, R5, RZ, RZ, P6, !PT ;
"""


def draw_cases(
    draws: Sequence[Callable[[Draw], Drawn]], count: int, architecture: int, seed: int
) -> tuple[list[tuple[Drawn, str]], np.ndarray, np.ndarray]:
    """Instructions with their guards, the lanes' words (count, 32, 8) and the memory areas (count, AREA)."""
    generator = np.random.default_rng(seed)
    cases = []
    for k in range(count):
        drawn = draws[k % len(draws)](Draw(generator, architecture))
        cases.append((drawn, GUARDS[int(generator.integers(len(GUARDS)))] if drawn.guarded else ""))
    words = generator.integers(0, 1 << 32, (count, 32, 8), dtype=np.uint32)
    corners = generator.choice(np.array(CORNERS, np.uint32), words.shape)
    words = np.where(generator.random(words.shape) < generator.choice([0.1, 0.5, 0.9], (count, 1, 1)), corners, words)
    areas = generator.choice(np.array(CORNERS, np.uint32), (count, AREA // 4))
    areas = np.where(generator.random(areas.shape) < 0.5, areas, generator.integers(0, 1 << 32, areas.shape))
    return cases, words, areas.astype(np.uint32).view(np.uint8)


PREPARING = ("LOP3", "MOV R2", "IMAD.WIDE")
"""Beginnings of lines that only prepare addresses and values: they run in all lanes."""


def guarded_text(drawn: Drawn, guard: str) -> str:
    """The guard belongs to the last instruction and to those before it that do not just prepare."""
    *before, last = (line.strip() for line in drawn.text.split(" ;\n"))
    return " ;\n".join([*(line if line.startswith(PREPARING) else guard + line for line in before), guard + last])


def execute(
    folder: Path, cases: list[tuple[Drawn, str]], words: np.ndarray, areas: np.ndarray, architecture: int
) -> tuple[np.ndarray, np.ndarray]:
    """Output words (count, 32, 8) and the memory areas afterwards."""
    memory, base = GlobalMemory(), load_isa(architecture).parameter_base
    outputs = np.zeros_like(words)
    addresses = [memory.add(n, a) for n, a in (("in", words), ("areas", areas), ("out", outputs))]
    places = {f"base{k or ''}": base + k for k in range(0, 24, 4)}
    text = PROLOGUE.format(**places) + "".join(
        CASE.format(text=guarded_text(drawn, guard), kept=KEPT) for drawn, guard in cases
    )
    lines = [FIELD + line.strip() for line in text.splitlines() if line.strip()]
    path = folder / "cases.sass"
    parameters = "".join(f".param p{k} uint64 {address}\n" for k, address in enumerate(addresses))
    path.write_text(
        f".arch sm_{architecture}\n.kernel cases\n.block 32\n.local 16\n.shared 1024\n{parameters}"
        + "\n".join(lines) + f"\n{FIELD}EXIT ;\n"
    )  # fmt: skip
    (kernel,) = assemble(path)
    arguments = b"".join(address.to_bytes(8, "little") for address in addresses)
    list(run(prepare(kernel.program, kernel.grid, kernel.block, 0, arguments, memory), memory))
    final = memory.contents()
    return final["out"], final["areas"]


def expected(drawn: Drawn, guard: str, words: np.ndarray, area: bytearray) -> list[Result]:
    """What every lane must have in R16..R19, P3 and P4; changes `area`."""
    lanes = [Lane(tuple(int(word) for word in row), k) for k, row in enumerate(words)]
    runs = {"": lambda lane: True, "@P0 ": lambda lane: lane.predicate(0), "@!P1 ": lambda lane: not lane.predicate(1)}
    active = sum(1 << lane.number for lane in lanes if runs[guard](lane))
    results = []
    for k, lane in enumerate(lanes):
        wrote = Wrote()
        if active >> k & 1:
            arguments = (lanes, k, active) if drawn.warp else (lane,)
            wrote = drawn.meaning(*arguments, area) if drawn.memory else drawn.meaning(*arguments)
        registers = (*wrote.words, KEPT, KEPT, KEPT, KEPT)[:4]
        results.append((registers, bool(wrote.p), bool(wrote.q)))
    return results


def check_group(
    folder: Path, draws: Sequence[Callable[[Draw], Drawn]], count: int, architecture: int, seed: int
) -> None:
    """Draw `count` instructions, run each on 32 lanes, and assert that every lane has what the meaning says."""
    cases, words, areas = draw_cases(draws, count, architecture, seed)
    outputs, after = execute(folder, cases, words, areas, architecture)
    for k, (drawn, guard) in enumerate(cases):
        area = bytearray(areas[k].tobytes())
        for lane, (registers, p, q) in enumerate(expected(drawn, guard, words[k], area)):
            actual = (
                tuple(int(w) for w in outputs[k, lane, :4]),
                *(bool(outputs[k, lane, 4] >> b & 1) for b in (3, 4)),
            )
            assert actual == (registers, p, q), (
                f"{guard}{drawn.text}\nlane {lane}, R8..R15 = {[hex(w) for w in words[k, lane]]}\n"
                f"wrote {[hex(w) for w in actual[0]]} {actual[1:]}, should be {[hex(w) for w in registers]} {(p, q)}"
            )
        assert bytes(area) == after[k].tobytes(), f"{guard}{drawn.text}: memory differs"
