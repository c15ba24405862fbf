"""CTAs in any order, and kernels that never end: waiting for another CTA, endless loops, traps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from emulator_cases import run_text
from kernel_suite import SOURCES, check_of, opened, small_launch

from gpusim.emulator import machine
from gpusim.emulator.check import run_check
from gpusim.emulator.conditions import Conditions
from gpusim.emulator.launch import load_launch
from gpusim.emulator.tracing import run_opened
from gpusim.errors import GpusimError

GRID_BARRIER = """
    S2R R0, SR_CTAID.X ;
    MOV R2, c[0x0][0x160] ;
    MOV R3, c[0x0][0x164] ;
    MOV R5, 0x1 ;
    ATOMG.E.ADD.STRONG.GPU PT, R6, [R2.64], R5 ;
    WAIT:
    {turn}
    LDG.E.STRONG.GPU R4, [R2.64] ;
    ISETP.LT.AND P0, PT, R4, 0x41, PT ;
    @P0 BRA `(WAIT) ;
    EXIT ;
"""
"""Every thread of two CTAs adds one and waits until 65 have, but there are only 64."""


@pytest.mark.parametrize("turn", ["", "IADD3 R8, R8, 0x1, RZ ;", "CS2R.32 R8, SR_CLOCKLO ;", "NANOSLEEP 0x20 ;"])
def test_ctas_that_wait_for_what_never_comes_are_named(
    tmp_path: Path, turn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "POLL_INSTRUCTION_LIMIT", 100_000)
    with pytest.raises(GpusimError) as error:
        run_text(tmp_path, GRID_BARRIER.format(turn=turn), {"arrived": np.zeros(1, np.uint32)}, grid=2)
    message = str(error.value)
    for part in (
        "no progress",
        "LDG.E.STRONG.GPU R4, [R2.64]",
        "inside buffer 'arrived'",
        "another CTA: 2 of 2 have begun and wait; a card holds 1,344 at once",
    ):
        assert part in message, part


def test_a_later_cta_may_wait_for_an_earlier_one(tmp_path: Path) -> None:
    body = """
    S2R R0, SR_CTAID.X ;
    MOV R2, c[0x0][0x160] ;
    MOV R3, c[0x0][0x164] ;
    WAIT:
    LDG.E.STRONG.GPU R4, [R2.64] ;
    ISETP.LT.AND P0, PT, R4, R0, PT ;
    @P0 BRA `(WAIT) ;
    IADD3 R4, R0, 0x1, RZ ;
    STG.E [R2.64], R4 ;
    EXIT ;
    """
    final, _ = run_text(tmp_path, body, {"turn": np.zeros(1, np.uint32)}, grid=8)
    assert final["turn"].tolist() == [8]


def test_long_loops_that_end_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "POLL_INSTRUCTION_LIMIT", 100_000)
    body = """
    MOV R2, c[0x0][0x160] ;
    MOV R3, c[0x0][0x164] ;
    MOV R4, RZ ;
    COUNT:
    IADD3 R4, R4, 0x1, RZ ;
    ISETP.LT.AND P0, PT, R4, 0x186a0, PT ;
    @P0 BRA `(COUNT) ;
    UNTIL:
    CS2R.32 R5, SR_CLOCKLO ;
    ISETP.LT.AND P0, PT, R5, 0x7a120, PT ;
    @P0 BRA `(UNTIL) ;
    STG.E [R2.64], R4 ;
    EXIT ;
    """
    final, _ = run_text(tmp_path, body, {"out": np.zeros(1, np.uint32)})
    assert final["out"].tolist() == [100_000]


@pytest.mark.parametrize(
    ("waits", "told"),
    [
        (
            "LDS R4, [RZ] ;\nISETP.EQ.AND P0, PT, R4, RZ, PT ;\n",
            "it reads address 0x0 of shared memory again and again",
        ),
        ("PLOP3.LUT P0, PT, PT, PT, PT, 0x80, 0x0 ;\n", "the CTA's warps repeat themselves"),
    ],
)
def test_an_endless_loop_is_found_by_its_repetition(tmp_path: Path, waits: str, told: str) -> None:
    body = f"LOOP:\n{waits}IADD3 R5, R5, 0x40000000, RZ ;\n@P0 BRA `(LOOP) ;\nEXIT ;"
    with pytest.raises(GpusimError, match=f"endless loop: {told}"):
        run_text(tmp_path, body, {}, block=64, shared=16)


def test_a_trap_is_named(tmp_path: Path) -> None:
    with pytest.raises(GpusimError, match=r"pc 0x0010 \(@P0 BPT.TRAP 0x1\).*the kernel stops itself"):
        run_text(tmp_path, "ISETP.EQ.AND P0, PT, RZ, RZ, PT ;\n@P0 BPT.TRAP 0x1 ;\nEXIT ;", {})


QUICK = ("histogram", "reduction", "scan", "sgemm", "dot")


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in SOURCES])
def test_the_order_of_ctas_does_not_matter(name: str) -> None:
    source, launch = opened(name, 86), load_launch(small_launch(name))
    for seed in (1, 2):
        trace, summary = run_opened(source, launch, conditions=Conditions(cta_seed=seed))
        run_check(check_of(name), launch, summary.buffers)
    if name not in ("sgemm", "reduction", "scan"):
        return
    ascending, _ = run_opened(source, launch)
    for shuffled, plain in zip(trace.launches, ascending.launches, strict=True):
        (chunk,) = shuffled.chunks()
        for field in ("index", "mask", "records", "addresses"):
            joined = np.concatenate([getattr(part, field) for part in plain.chunks()])
            if field != "records" or len(list(plain.chunks())) == 1:
                assert np.array_equal(getattr(chunk, field), joined), field
