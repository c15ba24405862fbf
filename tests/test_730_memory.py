"""Loads, stores, atomics, their recorded addresses, and accesses that must be refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from emulator_cases import run_text

from gpusim.constants import EXPLICIT, LOCAL_WINDOW, SHARED_WINDOW
from gpusim.emulator.state import GLOBAL_BASE
from gpusim.errors import GpusimError

ADDRESS = """
    S2R R0, SR_TID.X ;
    MOV R2, c[0x0][0x160] ;
    MOV R3, c[0x0][0x164] ;
    MOV R6, c[0x0][0x168] ;
    MOV R7, c[0x0][0x16c] ;
"""


@pytest.mark.parametrize(
    ("suffix", "dtype"),
    [("U8", np.uint8), ("S8", np.int8), ("U16", np.uint16), ("S16", np.int16), ("", np.uint32), ("64", np.uint64)],
)
def test_load_widths(tmp_path: Path, suffix: str, dtype: type) -> None:
    data = np.random.default_rng(1).integers(0, 256, 32 * np.dtype(dtype).itemsize, dtype=np.uint8)
    size = np.dtype(dtype).itemsize
    opcode = ".".join(part for part in ("LDG.E", suffix) if part)
    body = f"""{ADDRESS}
    MOV R4, {size:#x} ;
    IMAD.WIDE R2, R0, R4, R2 ;
    MOV R4, 0x8 ;
    IMAD.WIDE R6, R0, R4, R6 ;
    MOV R9, RZ ;
    {opcode} R8, [R2.64] ;
    STG.E.64 [R6.64], R8 ;
    EXIT ;
    """
    final, chunks = run_text(tmp_path, body, {"in": data, "out": np.zeros(64, np.uint32)})
    values = data.view(dtype)
    if size == 8:
        assert np.array_equal(final["out"].view(np.uint64), values)
    else:
        assert np.array_equal(final["out"].reshape(32, 2)[:, 0], values.astype(np.int64).astype(np.uint32))
    assert chunks[0].records[0].tolist() == (GLOBAL_BASE, size)


@pytest.mark.parametrize(("suffix", "size"), [("U8", 1), ("U16", 2), ("", 4), ("64", 8), ("128", 16)])
def test_store_widths(tmp_path: Path, suffix: str, size: int) -> None:
    opcode = ".".join(part for part in ("STG.E", suffix) if part)
    body = f"""{ADDRESS}
    MOV R4, {size:#x} ;
    IMAD.WIDE R2, R0, R4, R2 ;
    IMAD R8, R0, 0x1010101, RZ ;
    MOV R9, R8 ;
    MOV R10, R8 ;
    MOV R11, R8 ;
    {opcode} [R2.64], R8 ;
    EXIT ;
    """
    final, _ = run_text(tmp_path, body, {"out": np.zeros(32 * size, np.uint8), "unused": np.zeros(1, np.uint8)})
    assert np.array_equal(final["out"], np.repeat(np.arange(32, dtype=np.uint8), size))


def test_address_forms_and_their_records(tmp_path: Path) -> None:
    body = f"""{ADDRESS}
    LOP3.LUT R1, R0, 0x1f, RZ, 0x3c, !PT ;
    STS [R0.X4], R0 ;
    STS [R1.X8+0x80], R0 ;
    LDS R8, [R0.X4+0x4] ;
    IMAD R9, R0, R0, RZ ;
    LDS R9, [R9.X4] ;
    ULDC.64 UR4, c[0x0][0x160] ;
    SHF.L.U32 R10, R0, 0x2, RZ ;
    LDG.E R11, [R10.U32+UR4] ;
    STL [R0.X4], R0 ;
    EXIT ;
    """
    body = body.replace("STL [R0.X4], R0 ;\n", "")
    buffers = {"in": np.arange(32, dtype=np.uint32), "unused": np.zeros(1, np.uint32)}
    _, chunks = run_text(tmp_path, body, buffers, shared=4096)
    records = [tuple(record) for record in chunks[0].records.tolist()]
    assert records[0] == (0, 4)
    assert records[1] == (31 * 8 + 0x80, -8)
    assert records[2] == (4, 4)
    assert records[3][1] == EXPLICIT
    assert chunks[0].addresses[records[3][0] :][:32].tolist() == [4 * lane * lane for lane in range(32)]
    assert records[4] == (GLOBAL_BASE, 4)


def test_one_lane_records_its_address_with_stride_zero(tmp_path: Path) -> None:
    body = f"""{ADDRESS}
    ISETP.EQ.AND P0, PT, R0, 0x5, PT ;
    @P0 LDG.E R8, [R2.64+0x8] ;
    EXIT ;
    """
    _, chunks = run_text(tmp_path, body, {"in": np.zeros(8, np.uint32), "unused": np.zeros(1, np.uint32)})
    assert chunks[0].records.tolist() == [(GLOBAL_BASE + 8, 0)]


def test_generic_addresses_reach_shared_and_global_memory(tmp_path: Path) -> None:
    body = f"""{ADDRESS}
    SHF.L.U32 R1, R0, 0x2, RZ ;
    STS [R1], R0 ;
    IADD3 R4, P0, R1, c[0x0][0x18], RZ ;
    IADD3.X R5, RZ, c[0x0][0x1c], RZ, P0, !PT ;
    LD.E R8, [R4.64] ;
    MOV R10, 0x4 ;
    IMAD.WIDE R2, R0, R10, R2 ;
    ST.E [R2.64], R8 ;
    EXIT ;
    """
    buffers = {"out": np.zeros(32, np.uint32), "unused": np.zeros(1, np.uint32)}
    final, chunks = run_text(tmp_path, body, buffers, shared=128)
    assert np.array_equal(final["out"], np.arange(32))
    assert chunks[0].records[1].tolist() == (SHARED_WINDOW, 4)
    assert SHARED_WINDOW < LOCAL_WINDOW < GLOBAL_BASE


OPERATIONS = ("ADD", "MIN", "MAX", "MIN.S", "MAX.S", "AND", "OR", "XOR", "EXCH")


def atomic_oracle(operation: str, old: int, value: int, bits: int) -> int:
    mask = (1 << bits) - 1

    def signed(x: int) -> int:
        return x - (1 << bits) if x >> (bits - 1) else x

    return {
        "ADD": lambda: (old + value) & mask,
        "MIN": lambda: min(old, value),
        "MAX": lambda: max(old, value),
        "MIN.S": lambda: min(old, value, key=signed),
        "MAX.S": lambda: max(old, value, key=signed),
        "AND": lambda: old & value,
        "OR": lambda: old | value,
        "XOR": lambda: old ^ value,
        "EXCH": lambda: value,
        "INC": lambda: 0 if old >= value else old + 1,
        "DEC": lambda: value if old == 0 or old > value else old - 1,
    }[operation]()


ATOMICS = [(operation, bits) for operation in OPERATIONS for bits in (32, 64)] + [("INC", 32), ("DEC", 32)]


@pytest.mark.parametrize(("operation", "bits"), ATOMICS)
def test_atomics_apply_lanes_in_order_and_return_the_old_value(tmp_path: Path, operation: str, bits: int) -> None:
    generator = np.random.default_rng(bits)
    dtype = np.uint64 if bits == 64 else np.uint32
    values = generator.integers(0, 1 << bits, 32, dtype=dtype)
    values[::3] = generator.integers(0, 4, 11, dtype=dtype)
    name, _, signed = operation.partition(".")
    kind = {(32, False): "", (32, True): ".S32", (64, False): ".64", (64, True): ".S64"}[bits, bool(signed)]
    wide = ".64" if bits == 64 else ""
    body = f"""{ADDRESS}
    MOV R4, {bits // 8:#x} ;
    IMAD.WIDE R6, R0, R4, R6 ;
    LDG.E{wide} R8, [R6.64] ;
    ATOMG.E.{name}{kind}.STRONG.GPU PT, R10, [R2], R8 ;
    STG.E{wide} [R6.64], R10 ;
    EXIT ;
    """
    start = generator.integers(0, 1 << bits, 1, dtype=dtype)
    final, _ = run_text(tmp_path, body, {"place": start, "values": values})
    old = int(start[0])
    for value, returned in zip(values, final["values"], strict=True):
        assert int(returned) == old
        old = atomic_oracle(operation, old, int(value), bits)
    assert int(final["place"][0]) == old


def test_shared_and_float_atomics(tmp_path: Path) -> None:
    body = f"""{ADDRESS}
    LOP3.LUT R1, R0, 0x3, RZ, 0xc0, !PT ;
    SHF.L.U32 R1, R1, 0x2, RZ ;
    ATOMS.ADD R8, [R1], R0 ;
    MOV R9, 0x3fc00000 ;
    RED.E.ADD.F32.FTZ.RN.STRONG.GPU [R2.64], R9 ;
    BAR.SYNC 0x0 ;
    LDS R8, [R1] ;
    MOV R4, 0x4 ;
    IMAD.WIDE R6, R0, R4, R6 ;
    STG.E [R6.64], R8 ;
    EXIT ;
    """
    buffers = {"sum": np.zeros(1, np.float32), "out": np.zeros(32, np.uint32)}
    final, _ = run_text(tmp_path, body, buffers, shared=16)
    assert final["sum"][0] == 48
    lanes = np.arange(32)
    assert np.array_equal(final["out"], [lanes[lanes % 4 == lane % 4].sum() for lane in lanes])


def test_copy_from_global_to_shared_records_both_addresses(tmp_path: Path) -> None:
    body = f"""{ADDRESS}
    MOV R4, 0x10 ;
    IMAD.WIDE R2, R0, R4, R2 ;
    SHF.L.U32 R1, R0, 0x4, RZ ;
    LDGSTS.E.BYPASS.128 [R1+0x10], [R2.64] ;
    LDGDEPBAR ;
    DEPBAR.LE SB0, 0x0 ;
    LDS.128 R8, [R1+0x10] ;
    IMAD.WIDE R6, R0, R4, R6 ;
    STG.E.128 [R6.64], R8 ;
    EXIT ;
    """
    data = np.random.default_rng(3).integers(0, 1 << 32, 128, dtype=np.uint32)
    final, chunks = run_text(tmp_path, body, {"in": data, "out": np.zeros(128, np.uint32)}, shared=1024)
    assert np.array_equal(final["out"], data)
    assert [tuple(record) for record in chunks[0].records.tolist()[:2]] == [(GLOBAL_BASE, 16), (0x10, 16)]


@pytest.mark.parametrize("transposed", [False, True])
def test_ldsm_gives_each_lane_its_fragment(tmp_path: Path, transposed: bool) -> None:
    body = f"""{ADDRESS}
    SHF.L.U32 R1, R0, 0x4, RZ ;
    MOV R4, 0x10 ;
    IMAD.WIDE R2, R0, R4, R2 ;
    LDG.E.128 R8, [R2.64] ;
    STS.128 [R1], R8 ;
    LDSM.16.{"MT" if transposed else "M"}88.4 R12, [R1] ;
    IMAD.WIDE R6, R0, R4, R6 ;
    STG.E.128 [R6.64], R12 ;
    EXIT ;
    """
    data = np.arange(256, dtype=np.uint16)
    final, _ = run_text(tmp_path, body, {"in": data, "out": np.zeros(256, np.uint16)}, shared=512)
    matrices = data.reshape(4, 8, 8)
    if transposed:
        matrices = matrices.transpose(0, 2, 1)
    fragments = final["out"].reshape(32, 4, 2)
    for lane in range(32):
        row, column = lane // 4, lane % 4 * 2
        assert np.array_equal(fragments[lane], matrices[:, row, column : column + 2])


def test_out_of_bounds_names_everything(tmp_path: Path) -> None:
    body = f"""{ADDRESS}
    MOV R4, 0x4 ;
    IMAD.WIDE R2, R0, R4, R2 ;
    STG.E [R2.64], R0 ;
    EXIT ;
    """
    buffers = {"short": np.zeros(20, np.uint32), "unused": np.zeros(1, np.uint32)}
    with pytest.raises(GpusimError) as error:
        run_text(tmp_path, body, buffers)
    message = str(error.value)
    for part in (
        "kernel case",
        "pc 0x0070",
        "STG.E [R2.64], R0",
        "CTA (0, 0, 0)",
        "warp 0",
        "lane 20",
        "buffer 'short'",
    ):
        assert part in message
    assert f"{GLOBAL_BASE + 80:#x}" in message


@pytest.mark.parametrize(
    ("access", "complaint"),
    [
        ("LDG.E R8, [R2.64+0x2]", "not aligned"),
        ("LDS R8, [R0.X4+0x40]", "shared memory of the CTA has 64 bytes"),
        ("LDL R8, [RZ]", "local memory of a thread has 0 bytes"),
        ("LDG.E R8, [R0.U32]", "out of bounds"),
        ("LDC R8, c[0x0][R0+0x1000]", "the constant bank ends"),
    ],
)
def test_other_bad_accesses(tmp_path: Path, access: str, complaint: str) -> None:
    buffers = {"in": np.zeros(64, np.uint32), "unused": np.zeros(1, np.uint32)}
    body = f"{ADDRESS}\n{access} ;\nEXIT ;"
    with pytest.raises(GpusimError, match=complaint):
        run_text(tmp_path, body, buffers, shared=64)
