"""Loads, stores, atomics and copies: the meaning sees and changes the instruction's own 1024 bytes at [R4.64].

Meanings run lane after lane in ascending order, which is the order that the emulator states for one instruction.
"""

from __future__ import annotations

from collections.abc import Sequence

from semantics import ieee
from semantics.draw import MASK, Draw, Drawn, Lane, Wrote, signed
from semantics.ieee import BFLOAT, DOUBLE, HALF, SINGLE

Lanes = Sequence[Lane]
SIZES = {"U8": 1, "S8": 1, "U16": 2, "S16": 2, "": 4, "64": 8, "128": 16}


def split(value: int, size: int) -> tuple[int, ...]:
    return tuple(value >> 32 * k & MASK for k in range(max(size // 4, 1)))


def load(d: Draw) -> Drawn:
    """From global memory, by the lane's number, and through the generic address."""
    kind, hint = d.one_of(*SIZES), d.one_of("", ".CONSTANT", ".STRONG.GPU")
    generic, offset, size = d.chance(0.3), 16 * d.number(0, 31), SIZES[kind]

    def meaning(lanes: Lanes, k: int, active: int, memory: bytearray) -> Wrote:
        value = int.from_bytes(memory[offset + 16 * k : offset + 16 * k + size], "little")
        if kind[:1] == "S":
            value = signed(value, 8 * size) & MASK
        return Wrote(split(value, size))

    text = f"{'LD' if generic else 'LDG'}.E{'.' + kind if kind else ''}{'' if generic else hint}"
    bits = f"{text} R16, [R6.64+{offset:#x}]"
    return Drawn(f"{ADDRESS.format(scale=16)}{bits}", meaning, warp=True, memory=True)


ADDRESS = "MOV R22, {scale:#x} ;\nIMAD.WIDE.U32 R6, R0, R22, R4 ;\n"
"""R7:R6 becomes the lane's address: R0 holds its number."""


def store(d: Draw) -> Drawn:
    """Lanes store to the same or to neighbouring places; the highest lane wins."""
    kind, generic, spread = d.one_of("U8", "U16", "", "64", "128"), d.chance(0.3), d.one_of(0, 16)
    size = SIZES[kind]

    def meaning(lanes: Lanes, k: int, active: int, memory: bytearray) -> Wrote:
        data = b"".join(word.to_bytes(4, "little") for word in lanes[k].words[:4])
        memory[spread * k : spread * k + size] = data[:size]
        return Wrote()

    text = f"{'ST' if generic else 'STG'}.E{'.' + kind if kind else ''} [R6.64], R8"
    return Drawn(f"{ADDRESS.format(scale=spread)}{text}", meaning, warp=True, memory=True)


FLOATS = {"F32.FTZ.RN": SINGLE, "F64.RN": DOUBLE, "F16x2.RN": HALF, "BF16x2.RN": BFLOAT}


def changed(operation: str, kind: str, old: int, value: int, other: int) -> int:
    """What an atomic operation leaves in memory."""
    bits = 64 if "64" in kind else 32
    if kind in ("F16x2.RN", "BF16x2.RN"):
        f = FLOATS[kind]
        return sum(ieee.add(f, old >> s & 0xFFFF, value >> s & 0xFFFF) << s for s in (0, 16))
    if kind == "F32.FTZ.RN":
        return ieee.flush(SINGLE, ieee.add(SINGLE, ieee.flush(SINGLE, old), ieee.flush(SINGLE, value)))
    if kind == "F64.RN":
        return ieee.add(DOUBLE, old, value)
    key = (lambda v: signed(v, bits)) if kind.startswith("S") else (lambda v: v)
    return {
        "ADD": (old + value) % (1 << bits), "AND": old & value, "OR": old | value, "XOR": old ^ value, "EXCH": value,
        "MIN": min(old, value, key=key), "MAX": max(old, value, key=key), "INC": 0 if old >= value else old + 1,
        "DEC": value if old == 0 or old > value else old - 1, "CAS": other if old == value else old,
    }[operation]  # fmt: skip


def atomic(d: Draw) -> Drawn:
    operation = d.one_of("ADD", "MIN", "MAX", "AND", "OR", "XOR", "EXCH", "INC", "DEC", "CAS", "ADD")
    kind = d.one_of("", "64")
    if operation in ("MIN", "MAX"):
        kind = d.one_of("", "S32", "64", "S64")
    if operation == "ADD":
        kind = d.one_of("", "64", "F32.FTZ.RN", "F64.RN", "F16x2.RN", *(("BF16x2.RN",) if d.architecture >= 90 else ()))
    if operation in ("INC", "DEC"):
        kind = ""
    size, cells = 8 if "64" in kind else 4, d.one_of(0, 1, 7)

    def meaning(lanes: Lanes, k: int, active: int, memory: bytearray) -> Wrote:
        at = size * (k & cells)
        old = int.from_bytes(memory[at : at + size], "little")
        value, other = (lanes[k].words[j] | (lanes[k].words[j + 1] << 32 if size == 8 else 0) for j in (0, 2))
        memory[at : at + size] = changed(operation, kind, old, value, other).to_bytes(size, "little")
        return Wrote(split(old, size)) if returns else Wrote()

    returns = operation in ("EXCH", "CAS") or d.chance(0.7)
    address = f"LOP3.LUT R22, R0, {cells:#x}, RZ, 0xc0, !PT ;\nMOV R23, {size:#x} ;\nIMAD.WIDE.U32 R6, R22, R23, R4 ;\n"
    name = f"E.{operation}{'.' + kind if kind else ''}.STRONG.GPU"
    operands = "[R6.64], R8" + (", R10" if operation == "CAS" else "")
    if not returns:
        opcode = "REDG" if d.architecture >= 90 else "RED"
        return Drawn(f"{address}{opcode}.{name} {operands}", meaning, warp=True, memory=True)
    return Drawn(f"{address}{d.one_of('ATOMG', 'ATOM')}.{name} PT, R16, {operands}", meaning, warp=True, memory=True)


def through_shared(d: Draw) -> Drawn:
    """Words stored to shared memory by one lane and loaded by another, scaled and with an offset."""
    kind, other = d.one_of(*SIZES), d.number(0, 31)
    size = SIZES[kind]

    def meaning(lanes: Lanes, k: int, active: int) -> Wrote:
        data = b"".join(word.to_bytes(4, "little") for word in lanes[k ^ other].words[:4])
        value = int.from_bytes(data[:size], "little")
        return Wrote(split(signed(value, 8 * size) & MASK if kind[:1] == "S" else value, size))

    text = f"""SHF.L.U32 R22, R0, 0x4, RZ ;
    STS.128 [R22], R8 ;
    LOP3.LUT R23, R0, {other:#x}, RZ, 0x3c, !PT ;
    LDS{"." + kind if kind else ""} R16, [R23.X16]"""
    return Drawn(text, meaning, warp=True, guarded=False)


def shared_atomic(d: Draw) -> Drawn:
    operation = d.one_of("ADD", "MIN", "MAX", "EXCH", "INC", "DEC", "AND", "OR", "XOR")
    kind = d.one_of("", "S32") if operation in ("ADD", "MIN", "MAX") else ""

    def meaning(lanes: Lanes, k: int, active: int) -> Wrote:
        old = lanes[0].words[1]
        for j in range(k):
            old = changed(operation, kind, old, lanes[j].words[0], 0)
        return Wrote((old,))

    prepare = "R2UR UR4, R9 ;\nMOV R22, UR4 ;\nSTS [RZ], R22 ;\n"
    name = f"ATOMS.{operation}{'.' + kind if kind else ''}"
    return Drawn(f"{prepare}{name} R16, [RZ], R8", meaning, warp=True, guarded=False)


def compare_and_swap(d: Draw) -> Drawn:
    """ATOMS.CAST.SPIN: says whether the word was as expected and is now the new one."""
    wide = d.chance()

    def meaning(lanes: Lanes, k: int, active: int) -> Wrote:
        return Wrote((1, 0) if wide else (1,))

    suffix, store = (".64", "STS.64") if wide else ("", "STS")
    text = f"SHF.L.U32 R22, R0, 0x3, RZ ;\n{store} [R22], R8 ;\nATOMS.CAST.SPIN{suffix} R16, [R22], R8, R10"
    return Drawn(text, meaning, warp=True, guarded=False)


def wide_shared_atomic(d: Draw) -> Drawn:
    """The 64-bit forms of ATOMS, each lane at its own place."""
    operation = d.one_of("CAS", "EXCH")

    def meaning(lanes: Lanes, k: int, active: int) -> Wrote:
        return Wrote(lanes[k].words[:2])

    name = f"ATOMS.{operation}.64 R16, [R22], {'R8, R10' if operation == 'CAS' else 'R10'}"
    return Drawn(f"SHF.L.U32 R22, R0, 0x3, RZ ;\nSTS.64 [R22], R8 ;\n{name}", meaning, warp=True, guarded=False)


def constant(d: Draw) -> Drawn:
    """LDC at an address in a register: the block and grid sizes, which begin bank 0."""
    kind = d.one_of("U8", "S8", "U16", "S16", "", "64")
    size = SIZES[kind]
    offset = d.one_of(0, size) if size < 8 else 0

    def meaning(lanes: Lanes, k: int, active: int) -> Wrote:
        data = b"".join(n.to_bytes(4, "little") for n in (32, 1, 1, 1, 1, 1))
        at = 8 * (k & 1) + offset
        return Wrote(split(int.from_bytes(data[at : at + size], "little"), size))

    text = f"LDC{'.' + kind if kind else ''} R16, c[0x0][R22+{offset:#x}]"
    prepare = "LOP3.LUT R22, R0, 0x1, RZ, 0xc0, !PT ;\nSHF.L.U32 R22, R22, 0x3, RZ ;\n"
    return Drawn(prepare + text, meaning, warp=True, guarded=False)


def local(d: Draw) -> Drawn:
    kind = d.one_of("U8", "S16", "", "64", "128")
    size = SIZES[kind]

    def meaning(lanes: Lanes, k: int, active: int) -> Wrote:
        data = b"".join(word.to_bytes(4, "little") for word in lanes[k].words[:4])
        value = int.from_bytes(data[:size], "little")
        return Wrote(split(signed(value, 8 * size) & MASK if kind[:1] == "S" else value, size))

    return Drawn(f"STL.128 [RZ], R8 ;\nLDL{'.' + kind if kind else ''} R16, [RZ]", meaning, warp=True, guarded=False)


def matrices(d: Draw) -> Drawn:
    """LDSM: lane r names row r % 8 of matrix r / 8; here rows are the lanes' own 16 bytes."""
    count, transposed = d.one_of(1, 2, 4), d.chance()

    def element(lanes: Lanes, matrix: int, row: int, column: int) -> int:
        return lanes[8 * matrix + row].words[column // 2] >> 16 * (column % 2) & 0xFFFF

    def meaning(lanes: Lanes, k: int, active: int) -> Wrote:
        row, column = k // 4, 2 * (k % 4)
        words = []
        for matrix in range(count):
            places = [(column + j, row) if transposed else (row, column + j) for j in range(2)]
            low, high = (element(lanes, matrix, *place) for place in places)
            words.append(high << 16 | low)
        return Wrote(tuple(words))

    name = f"LDSM.16.{'MT' if transposed else 'M'}88{f'.{count}' if count > 1 else ''}"
    text = f"SHF.L.U32 R22, R0, 0x4, RZ ;\nSTS.128 [R22], R8 ;\n{name} R16, [R22]"
    return Drawn(text, meaning, warp=True, guarded=False)


def store_matrices(d: Draw) -> Drawn:
    """STSM, the inverse of LDSM: stored and loaded in the same order it changes nothing."""
    count, order = d.one_of(1, 2, 4), d.one_of("M", "MT")

    def meaning(lanes: Lanes, k: int, active: int) -> Wrote:
        return Wrote(lanes[k].words[:count])

    shape = f"16.{order}88{f'.{count}' if count > 1 else ''}"
    text = f"SHF.L.U32 R22, R0, 0x4, RZ ;\nSTSM.{shape} [R22], R8 ;\nLDSM.{shape} R16, [R22]"
    return Drawn(text, meaning, warp=True, guarded=False)


def copy(d: Draw) -> Drawn:
    """LDGSTS with zero fill: the low bits of the address say how many bytes of the access are zeros instead."""
    kind, fill, source = d.one_of("", "64", "128"), d.chance(), d.predicate()
    size = SIZES[kind]
    missing = d.number(0, size - 1) if fill else 0

    def meaning(lanes: Lanes, k: int, active: int, memory: bytearray) -> Wrote:
        data = memory[16 * k : 16 * k + size - missing] if source(lanes[k]) else b""
        value = int.from_bytes(bytes(data).ljust(size, b"\0"), "little")
        return Wrote(split(value, size))

    name = f"LDGSTS.E{'.BYPASS' if size == 16 else ''}{'.' + kind if kind else ''}{'.ZFILL' if fill else ''}"
    text = f"""SHF.L.U32 R22, R0, 0x4, RZ ;
    MOV R23, 0x10 ;
    IMAD.WIDE.U32 R6, R0, R23, R4 ;
    {name} [R22], [R6.64+{missing:#x}], {source} ;
    LDGDEPBAR ;
    DEPBAR.LE SB0, 0x0 ;
    LDS{"." + kind if kind else ""} R16, [R22]"""
    return Drawn(text, meaning, warp=True, memory=True, guarded=False)


def spaces(d: Draw) -> Drawn:
    """QSPC: global for the memory of the kernel, shared and local for their windows in the constants."""
    kind, window = d.one_of("G", "S", "L"), d.one_of("G", "S", "L")
    low, high = {"G": ("R4", "R5"), "S": ("c[0x0][0x18]", "c[0x0][0x1c]"), "L": ("c[0x0][0x20]", "c[0x0][0x24]")}[
        window
    ]

    def meaning(lanes: Lanes, k: int, active: int) -> Wrote:
        return Wrote(p=kind == window)

    return Drawn(f"MOV R6, {low} ;\nMOV R7, {high} ;\nQSPC.E.{kind} P3, RZ, [R6]", meaning, warp=True, guarded=False)


DRAWS = (load, store, atomic, atomic, through_shared, shared_atomic, compare_and_swap, local, matrices, copy, spaces,
         wide_shared_atomic, constant)  # fmt: skip
DRAWS_90 = (store_matrices, atomic)
