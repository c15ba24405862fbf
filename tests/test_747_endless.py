"""CTAs without an end, and launches of very many CTAs: told, interruptible, and bounded in memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gpusim import memory_limit
from gpusim.emulator import machine, tracing
from gpusim.emulator.buffers import GlobalMemory
from gpusim.emulator.conditions import Conditions
from gpusim.emulator.tracing import run_in_memory, trace_kernel
from gpusim.errors import GpusimError

HEAD = ".arch sm_86\n.kernel k\n.block 32\n"
COUNTS = "LOOP:\n[B------:R-:W-:-:S05] IADD3 R1, R1, 0x1, RZ ;\n"
READS_THE_CLOCK = "LOOP:\n[B------:R-:W-:-:S05] CS2R.32 R1, SR_CLOCKLO ;\n"
SCATTERS = """
[B------:R-:W-:-:S05] S2R R0, SR_LANEID ;
[B------:R-:W-:-:S05] IMAD R2, R0, R0, RZ ;
[B------:R-:W-:-:S05] SHF.L.U32 R2, R2, 0x2, RZ ;
LOOP:
[B------:R-:W-:-:S05] IADD3 R1, R1, 0x1, RZ ;
[B------:R-:W-:-:S05] STS [R2], R1 ;
"""
BACK = "[B------:R-:W-:-:S05] BRA `(LOOP) ;\n"
END = "[B------:R-:W-:-:S05] EXIT ;\n"


def source(folder: Path, body: str, head: str = "") -> Path:
    path = folder / "k.sass"
    path.write_text(HEAD + head + body + END)
    return path


@pytest.mark.parametrize("body", [COUNTS, READS_THE_CLOCK], ids=["counts", "reads the clock"])
def test_a_loop_whose_state_never_repeats_meets_the_limit(tmp_path: Path, body: str) -> None:
    with pytest.raises(GpusimError, match=r"kernel k: CTA 1 has run 10\d,\d+ warp instructions without an end") as told:
        run_in_memory(source(tmp_path, f"[B------:R-:W-:-:S05] S2R R0, SR_CTAID.X ;\n"
                             "[B------:R-:W-:-:S13] ISETP.EQ.AND P0, PT, R0, RZ, PT ;\n"
                             f"[B------:R-:W-:-:S05] @P0 EXIT ;\n{body}{BACK}", ".grid 3\n"), None, conditions=Conditions(cta_limit=100_000))  # fmt: skip
    assert "raise the limit: --cta-limit 200000" in str(told.value)


def test_the_limit_is_of_a_cta_not_of_a_launch(tmp_path: Path) -> None:
    counted = "[B------:R-:W-:-:S13] ISETP.LT.AND P0, PT, R1, 0x400, PT ;\n[B------:R-:W-:-:S05] @P0 BRA `(LOOP) ;\n"
    _, summary = run_in_memory(
        source(tmp_path, COUNTS + counted, ".grid 8\n"), None, conditions=Conditions(cta_limit=10_000)
    )
    assert summary.warp_instructions > 20_000


def test_addresses_take_no_more_memory_than_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_limit, "available", lambda: 1 << 27)
    with pytest.raises(GpusimError, match=r"CTA 0 has run \d+,\d+ warp instructions without an end"):
        run_in_memory(
            source(tmp_path, SCATTERS + BACK, ".shared 4096\n"), None, conditions=Conditions(cta_limit=500_000)
        )


def test_memory_for_the_log_that_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CTAs in another order than theirs make one chunk, which has to be in memory."""
    monkeypatch.setattr(memory_limit, "available", lambda: 1 << 24)
    with pytest.raises(
        GpusimError, match=r"kernel k: the log of what it executes takes .*, and there are 16\.8 MB here"
    ):
        run_in_memory(source(tmp_path, COUNTS + BACK), None, conditions=Conditions(cta_seed=1))


def test_progress_is_told_while_a_cta_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "FIRST_PIECE", 4096)
    told: list[tracing.TraceStep] = []
    with pytest.raises(GpusimError, match="without an end"):
        run_in_memory(
            source(tmp_path, COUNTS + BACK), None, progress=told.append, conditions=Conditions(cta_limit=1 << 20)
        )
    assert len(told) > 3
    counts = [step.warp_instructions for step in told]
    assert counts == sorted(counts)
    assert {(step.kernel, step.ctas_done, step.ctas) for step in told} == {("k", 0, 1)}


def test_pauses_do_not_change_a_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = ("[B------:R-:W-:-:S05] S2R R0, SR_TID.X ;\n" + COUNTS +
            "[B------:R-:W-:-:S05] BAR.SYNC 0x0 ;\n[B------:R-:W-:-:S13] ISETP.LT.AND P0, PT, R1, 0x40, PT ;\n"
            "[B------:R-:W-:-:S05] @P0 BRA `(LOOP) ;\n")  # fmt: skip
    path = source(tmp_path, body, ".grid 3\n.block 128\n")
    whole, _ = run_in_memory(path, None)
    monkeypatch.setattr(tracing, "FIRST_PIECE", 1)
    monkeypatch.setattr(tracing, "SECONDS_PER_PIECE", 0.0)
    pieces, _ = run_in_memory(path, None)
    for one, other in zip(whole.launches[0].chunks(), pieces.launches[0].chunks(), strict=True):
        for name in ("instruction_start", "index", "mask", "record_start", "records", "addresses"):
            assert (getattr(one, name) == getattr(other, name)).all()


INTERRUPTED = """
import signal, sys, threading, os, time
from gpusim.cli.main import main
signal.signal(signal.SIGINT, signal.default_int_handler)
def stop():
    while "gpusim.emulator.interpreter" not in sys.modules:
        time.sleep(0.05)
    time.sleep(2)  # to load the compiled code
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=stop, daemon=True).start()
sys.exit(main(["trace", sys.argv[1], "-o", sys.argv[2]]))
"""


def test_ctrl_c_is_answered_in_a_kernel_that_never_ends_and_leaves_nothing(tmp_path: Path) -> None:
    path = source(tmp_path, COUNTS + BACK)
    command = [sys.executable, "-c", INTERRUPTED, str(path), str(tmp_path / "out" / "trace")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (130, "gpusim: interrupted\n")
    assert list((tmp_path / "out").iterdir()) == []


# ---- very many CTAs


def test_the_largest_grid_begins_at_once_and_takes_no_memory_for_its_ctas(tmp_path: Path) -> None:
    import tracemalloc

    class Enough(Exception):
        pass

    def stop(step: tracing.TraceStep) -> None:
        assert (step.kernel, step.ctas) == ("k", 2**31 - 1)
        if step.ctas_done > 100_000:
            raise Enough

    path = source(tmp_path, "", ".grid 2147483647\n")
    tracemalloc.start()
    with pytest.raises(Enough):
        trace_kernel(path, None, tmp_path / "trace", progress=stop)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100e6
    assert not (tmp_path / "trace").exists()


def test_a_grid_that_would_take_for_ever_is_refused_with_its_time(tmp_path: Path) -> None:
    with pytest.raises(
        GpusimError, match=r"a grid of 281,462,092,005,375 warps .* 7,818 hours .* at most 68,719,476,736"
    ):
        run_in_memory(source(tmp_path, "", ".grid 65535 65535 65535\n"), None)


def test_ctas_are_numbered_as_before(tmp_path: Path) -> None:
    from gpusim.sass.assembler import assemble

    (kernel,) = assemble(source(tmp_path, "", ".grid 7\n"))
    prepared = machine.prepare(kernel.program, kernel.grid, kernel.block, 0, b"", GlobalMemory())
    assert prepared.machine.order.size == 0
    (chunk,) = tracing.run(prepared, GlobalMemory(), cta_seed=3)
    assert (chunk.first_cta, chunk.cta_count) == (0, 7)
