"""Warp-wide instructions, special registers, and control flow with reconvergence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from emulator_cases import operands, run_cases, run_text

from gpusim.errors import GpusimError
from gpusim.trace.trace import CtaChunk

LANES = np.arange(32)


def shuffled(mode: str, lane: int, b: int, c: int) -> tuple[int, bool]:
    """Source lane and whether it is in range, as the PTX ISA's pseudocode of shfl.sync says."""
    clamp, segment = c & 31, c >> 8 & 31
    last = lane & segment | clamp & ~segment & 31
    first = lane & segment
    b &= 31
    source = {"UP": lane - b, "DOWN": lane + b, "BFLY": lane ^ b, "IDX": first | b & ~segment & 31}[mode]
    inside = source >= last if mode == "UP" else source <= last
    return (source if inside else lane), inside


@pytest.mark.parametrize("mode", ["UP", "DOWN", "BFLY", "IDX"])
@pytest.mark.parametrize("c", [0x1F, 0x0, 0x181F, 0x1C03, 0x1800])
def test_shuffle(tmp_path: Path, mode: str, c: int) -> None:
    words = operands(seed=c, count=64)
    result = run_cases(tmp_path, f"SHFL.{mode} P3, R16, R8, R9, {c:#x}", words)
    for case, row in enumerate(words):
        source, inside = shuffled(mode, case % 32, int(row[1]), c)
        assert result.registers[case, 0] == words[case - case % 32 + source, 0]
        assert result.p[case] == inside


def test_votes_count_active_lanes_only(tmp_path: Path) -> None:
    words = operands(seed=1, count=128)
    p0, p1 = words[:, 7] & 1 == 1, words[:, 7] >> 1 & 1 == 1
    for mode, agreed in (
        ("ANY", lambda v: v.any()),
        ("ALL", lambda v: v.all()),
        ("EQ", lambda v: v.all() or not v.any()),
    ):
        result = run_cases(tmp_path, f"@P1 VOTE.{mode} R16, P3, P0", words)
        for warp in range(4):
            lanes = slice(32 * warp, 32 * warp + 32)
            ballot = sum(1 << lane for lane in LANES[p0[lanes] & p1[lanes]])
            assert (result.registers[lanes, 0] == np.where(p1[lanes], ballot, 0)).all()
            assert (result.p[lanes] == (p1[lanes] & agreed(p0[lanes][p1[lanes]]))).all()


def test_match_and_redux(tmp_path: Path) -> None:
    words = operands(seed=2, count=64)
    words[:, 0] &= 3
    words[32:, 1] = 7
    any_ = run_cases(tmp_path, "MATCH.ANY R16, R8", words).registers[:, 0]
    for case in range(64):
        warp = words[case // 32 * 32 :][:32, 0]
        assert any_[case] == sum(1 << lane for lane in range(32) if warp[lane] == words[case, 0])
    all_ = run_cases(tmp_path, "MATCH.ALL P3, R16, R9", words)
    assert not all_.p[:32].any()
    assert all_.p[32:].all()
    assert (all_.registers[32:, 0] == 0xFFFFFFFF).all()
    for spelling, expected in (
        ("SUM", lambda w: int(w.astype(np.int64).sum()) & 0xFFFFFFFF),
        ("OR", lambda w: int(np.bitwise_or.reduce(w))),
        ("XOR", lambda w: int(np.bitwise_xor.reduce(w))),
        ("MIN.S32", lambda w: int(w.view(np.int32).min()) & 0xFFFFFFFF),
        ("MAX", lambda w: int(w.max())),
    ):
        actual = run_cases(tmp_path, f"REDUX.{spelling} UR4, R10 ;\nMOV R16, UR4", words).registers[:, 0]
        assert [actual[0], actual[32]] == [expected(words[k : k + 32, 2].copy()) for k in (0, 32)], spelling


def test_predicates_to_register_and_back(tmp_path: Path) -> None:
    words = operands(seed=3, count=64)
    body = "R2P PR, R8.B1, 0x18"  # P3 and P4 from bits 11 and 12
    result = run_cases(tmp_path, body, words)
    assert np.array_equal(result.p, words[:, 0] >> 11 & 1 == 1)
    assert np.array_equal(result.q, words[:, 0] >> 12 & 1 == 1)


def trace_of(chunks: list[CtaChunk], warp: int = 0) -> list[tuple[int, int]]:
    """(instruction, mask) of a warp."""
    (chunk,) = chunks
    start, end = chunk.instruction_start[warp : warp + 2]
    return [(int(i), int(m)) for i, m in zip(chunk.index[start:end], chunk.mask[start:end], strict=True)]


STORE = """
    MOV R2, c[0x0][0x160] ;
    MOV R3, c[0x0][0x164] ;
    MOV R4, 0x4 ;
    IMAD.WIDE R2, R0, R4, R2 ;
    STG.E [R2.64], R8 ;
    EXIT ;
"""


def test_nested_divergence_reconverges_at_bsync(tmp_path: Path) -> None:
    body = f"""
    S2R R0, SR_TID.X ;
    ISETP.GE.AND P0, PT, R0, 0x10, PT ;
    MOV R8, 0x1 ;
    BSSY B0, `(OUTER) ;
    @P0 BRA `(ELSE) ;
    ISETP.GE.AND P1, PT, R0, 0x4, PT ;
    BSSY B1, `(INNER) ;
    @P1 BRA `(SKIP) ;
    IADD3 R8, R8, 0x10, RZ ;
    SKIP:
    BSYNC B1 ;
    INNER:
    IADD3 R8, R8, 0x100, RZ ;
    BRA `(JOIN) ;
    ELSE:
    IADD3 R8, R8, 0x1000, RZ ;
    JOIN:
    BSYNC B0 ;
    OUTER:
    IADD3 R8, R8, 0x10000, RZ ;
    {STORE}"""
    final, chunks = run_text(tmp_path, body, {"out": np.zeros(32, np.uint32)})
    expected = np.where(LANES >= 16, 0x11001, np.where(LANES < 4, 0x10111, 0x10101))
    assert np.array_equal(final["out"], expected)
    masks = dict(trace_of(chunks))
    text = [line.strip() for line in body.splitlines() if line.strip() and not line.strip().endswith(":")]
    at = {line.split(" ;")[0]: k for k, line in enumerate(text)}
    assert masks[at["IADD3 R8, R8, 0x10, RZ"]] == 0xF
    assert masks[at["IADD3 R8, R8, 0x100, RZ"]] == 0xFFFF
    assert masks[at["IADD3 R8, R8, 0x1000, RZ"]] == 0xFFFF0000
    assert masks[at["IADD3 R8, R8, 0x10000, RZ"]] == 0xFFFFFFFF
    assert [i for i, _ in trace_of(chunks)].count(at["IADD3 R8, R8, 0x10000, RZ"]) == 1


def test_lanes_wait_at_bsync_for_a_path_that_lies_behind_it(tmp_path: Path) -> None:
    body = f"""
    S2R R0, SR_TID.X ;
    ISETP.GE.AND P0, PT, R0, 0x8, PT ;
    MOV R8, 0x1 ;
    BSSY B0, `(AFTER) ;
    @P0 BRA `(FAR) ;
    IADD3 R8, R8, 0x10, RZ ;
    JOIN:
    BSYNC B0 ;
    AFTER:
    IADD3 R8, R8, 0x100, RZ ;
    {STORE}
    FAR:
    IADD3 R8, R8, 0x20, RZ ;
    BRA `(JOIN) ;
    """
    final, chunks = run_text(tmp_path, body, {"out": np.zeros(32, np.uint32)})
    assert np.array_equal(final["out"], np.where(LANES >= 8, 0x121, 0x111))
    assert [mask for index, mask in trace_of(chunks) if index == 7] == [0xFFFFFFFF]
    assert trace_of(chunks)[-1][1] == 0xFFFFFFFF


def test_loop_with_early_exits_and_breaks(tmp_path: Path) -> None:
    body = f"""
    S2R R0, SR_TID.X ;
    MOV R8, RZ ;
    BSSY B0, `(DONE) ;
    LOOP:
    ISETP.EQ.AND P2, PT, R0, 0x1f, PT ;
    ISETP.GE.AND P3, PT, R8, 0x3, P2 ;
    @P3 EXIT ;
    ISETP.EQ.AND P1, PT, R0, 0x2, PT ;
    @P1 BREAK B0 ;
    @P1 BRA `(OUT) ;
    IADD3 R8, R8, 0x1, RZ ;
    ISETP.LT.AND P0, PT, R8, R0, PT ;
    @P0 BRA `(LOOP) ;
    BSYNC B0 ;
    DONE:
    OUT:
    {STORE}"""
    final, chunks = run_text(tmp_path, body, {"out": np.full(32, 99, np.uint32)})
    expected = np.maximum(LANES, 1)
    expected[2], expected[31] = 0, 99
    assert np.array_equal(final["out"], expected)
    converged = [mask for _, mask in trace_of(chunks) if mask == 0x7FFFFFFB]
    assert converged  # all but the lane that broke out and the one that ended meet again


def test_predicated_off_instructions_are_recorded_with_an_empty_mask(tmp_path: Path) -> None:
    body = f"""
    S2R R0, SR_TID.X ;
    MOV R8, 0x5 ;
    ISETP.GE.AND P0, PT, R0, 0x40, PT ;
    @P0 MOV R8, 0x6 ;
    @P0 LDG.E R8, [R4.64] ;
    {STORE}"""
    final, chunks = run_text(tmp_path, body, {"out": np.zeros(32, np.uint32)})
    assert (final["out"] == 5).all()
    masks = dict(trace_of(chunks))
    assert masks[3] == 0
    assert masks[4] == 0
    assert chunks[0].records.tolist()[0] == (0, 0)


def test_call_and_return_through_registers(tmp_path: Path) -> None:
    body = f"""
    S2R R0, SR_TID.X ;
    ISETP.GE.AND P0, PT, R0, 0x8, PT ;
    MOV R8, RZ ;
    MOV R20, 0x70 ;
    @P0 MOV R20, 0x90 ;
    CALL.REL.NOINC `(ADD) ;
    NOP ;
    IADD3 R8, R8, 0x100, RZ ;
    BRA `(OUT) ;
    IADD3 R8, R8, 0x200, RZ ;
    OUT:
    {STORE}
    ADD:
    IADD3 R8, R8, 0x1, RZ ;
    MOV R21, RZ ;
    RET.REL.NODEC R20 `(START) ;
    """
    body = "START:\n" + body
    final, _ = run_text(tmp_path, body, {"out": np.zeros(32, np.uint32)})
    assert np.array_equal(final["out"], np.where(LANES >= 8, 0x201, 0x101))


LOCK = """
    S2R R0, SR_TID.X ;
    MOV R2, c[0x0][0x160] ;
    MOV R3, c[0x0][0x164] ;
    MOV R4, RZ ;
    MOV R5, 0x1 ;
    BSSY B0, `(HELD) ;
    SPIN:
    YIELD ;
    ATOMG.E.CAS.STRONG.GPU PT, R6, [R2], R4, R5 ;
    ISETP.NE.AND P0, PT, R6, RZ, PT ;
    @P0 BRA `(SPIN) ;
    BSYNC B0 ;
    HELD:
    LDG.E R7, [R2.64+0x4] ;
    IADD3 R7, R7, 0x1, RZ ;
    STG.E [R2.64+0x4], R7 ;
    ATOMG.E.EXCH.STRONG.GPU PT, RZ, [R2], RZ ;
    EXIT ;
"""


def test_a_spin_lock_between_lanes_and_warps_makes_progress(tmp_path: Path) -> None:
    final, _ = run_text(tmp_path, LOCK, {"lock": np.zeros(2, np.uint32)}, block=96)
    assert final["lock"].tolist() == [0, 96]


def test_warps_that_wait_for_each_other_make_progress(tmp_path: Path) -> None:
    body = """
    S2R R0, SR_TID.X ;
    MOV R2, c[0x0][0x160] ;
    MOV R3, c[0x0][0x164] ;
    ISETP.GE.AND P0, PT, R0, 0x20, PT ;
    MOV R5, 0x1 ;
    @P0 BRA `(SET) ;
    WAIT:
    LDG.E.STRONG.GPU R4, [R2.64] ;
    ISETP.EQ.AND P1, PT, R4, RZ, PT ;
    @P1 BRA `(WAIT) ;
    STG.E [R2.64+0x4], R5 ;
    EXIT ;
    SET:
    STG.E [R2.64], R5 ;
    EXIT ;
    """
    final, _ = run_text(tmp_path, body, {"flags": np.zeros(2, np.uint32)}, block=64)
    assert final["flags"].tolist() == [1, 1]


def test_barrier_orders_warps_and_reduces(tmp_path: Path) -> None:
    body = f"""
    S2R R0, SR_TID.X ;
    SHF.L.U32 R1, R0, 0x2, RZ ;
    STS [R1], R0 ;
    ISETP.GE.AND P0, PT, R0, 0x3, PT ;
    BAR.SYNC 0x0 ;
    IADD3 R5, -R1, 0x17c, RZ ;
    LDS R8, [R5] ;
    BAR.RED.POPC 0x0, P0 ;
    B2R.RESULT R9 ;
    IMAD R8, R9, 0x10000, R8 ;
    {STORE}"""
    final, _ = run_text(tmp_path, body, {"out": np.zeros(96, np.uint32)}, block=96, shared=384)
    assert np.array_equal(final["out"], 93 * 0x10000 + 95 - np.arange(96))


def test_named_barrier_with_a_count_leaves_other_warps_alone(tmp_path: Path) -> None:
    body = f"""
    S2R R0, SR_TID.X ;
    MOV R8, 0x1 ;
    ISETP.GE.AND P0, PT, R0, 0x40, PT ;
    @P0 BRA `(REST) ;
    BAR.SYNC 0x1, 0x40 ;
    MOV R8, 0x2 ;
    REST:
    {STORE}"""
    final, _ = run_text(tmp_path, body, {"out": np.zeros(96, np.uint32)}, block=96)
    assert np.array_equal(final["out"], np.where(np.arange(96) < 64, 2, 1))


def test_exited_threads_do_not_hold_a_barrier(tmp_path: Path) -> None:
    body = f"""
    S2R R0, SR_TID.X ;
    MOV R8, 0x1 ;
    ISETP.GE.AND P0, PT, R0, 0x28, PT ;
    @P0 EXIT ;
    BAR.SYNC 0x0 ;
    {STORE}"""
    final, _ = run_text(tmp_path, body, {"out": np.zeros(64, np.uint32)}, block=64)
    assert final["out"].sum() == 40


def test_deadlock_names_every_warp(tmp_path: Path) -> None:
    body = """
    S2R R0, SR_TID.X ;
    ISETP.GE.AND P0, PT, R0, 0x20, PT ;
    @P0 BAR.SYNC 0x1 ;
    @!P0 BAR.SYNC 0x2 ;
    EXIT ;
    """
    with pytest.raises(GpusimError, match=r"deadlock") as error:
        run_text(tmp_path, body, {}, block=64)
    assert "warp 0" in str(error.value)
    assert "warp 1" in str(error.value)
    assert "BAR.SYNC 0x1" in str(error.value)


def test_special_registers(tmp_path: Path) -> None:
    body = f"""
    S2R R0, SR_TID.X ;
    S2R R10, SR_TID.Y ;
    S2R R11, SR_LANEID ;
    S2R R12, SR_LTMASK ;
    IMAD R8, R10, 0x100, R0 ;
    IMAD R8, R11, 0x10000, R8 ;
    POPC R12, R12 ;
    ISETP.NE.AND P0, PT, R12, R11, PT ;
    @P0 MOV R8, RZ ;
    IMAD R0, R10, 0x10, R0 ;
    {STORE}"""
    final, _ = run_text(tmp_path, body, {"out": np.zeros(64, np.uint32)}, block="16 4")
    thread = np.arange(64)
    assert np.array_equal(final["out"], thread % 16 + thread // 16 * 256 + thread % 32 * 65536)


@pytest.mark.parametrize(
    ("instruction", "complaint"),
    [
        ("FADD.BOGUS R16, R8, R9", "modifier .BOGUS"),
        ("RPCMOV.32 R16, R8", "opcode RPCMOV"),
        ("IADD3 R16, |R8|, R9, RZ", r"\|x\| on this operand"),
    ],
)
def test_unknown_forms_are_refused_by_name_and_pc(tmp_path: Path, instruction: str, complaint: str) -> None:
    with pytest.raises(GpusimError, match=complaint) as error:
        run_cases(tmp_path, instruction, operands(seed=0, count=32))
    assert instruction.split()[0] in str(error.value)


def test_absolute_calls_go_to_the_address_of_lepc(tmp_path: Path) -> None:
    body = """
    MOV R2, c[0x0][0x160] ;
    MOV R3, c[0x0][0x164] ;
    LEPC R4 ;
    IADD3 R4, R4, 0x50, RZ ;
    CALL.ABS.NOINC R4 ;
    MOV R8, 0xbad ;
    BRA `(DONE) ;
    MOV R8, 0x600d ;
DONE:
    STG.E [R2.64], R8 ;
    STG.E [R2.64+0x4], R5 ;
    EXIT ;
    """
    final, _ = run_text(tmp_path, body, {"out": np.ones(2, np.uint32)}, block=1)
    assert final["out"].tolist() == [0x600D, 0]
