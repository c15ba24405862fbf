"""Integer and logic instructions."""

from __future__ import annotations

from semantics.draw import MASK, Draw, Drawn, Lane, Wrote, combine, pair, signed


def iadd3(d: Draw) -> Drawn:
    a, b, c = d.integer(0), d.integer(1, immediate=True), d.integer(2)
    return Drawn(f"IADD3 R16, {a}, {b}, {c}", lambda lane: Wrote(((a(lane) + b(lane) + c(lane)) & MASK,)))


def iadd3_carry(d: Draw) -> Drawn:
    a, b = d.plain(0), d.plain(1)
    if d.chance():  # a difference by its complement and a carry of one
        return Drawn(
            f"IADD3 R16, P3, {a}, -R9, RZ",
            lambda lane: Wrote(((a(lane) - lane.words[1]) & MASK,), p=a(lane) >= lane.words[1]),
        )
    carry = d.predicate()

    def meaning(lane: Lane) -> Wrote:
        total = a(lane) + b(lane) + carry(lane)
        return Wrote((total & MASK,), p=total > MASK)

    return Drawn(f"IADD3.X R16, P3, {a}, {b}, RZ, {carry}, !PT", meaning)


def imad(d: Draw) -> Drawn:
    a, b, c = d.plain(0), d.plain(1, immediate=True), d.integer(2)
    return Drawn(f"IMAD R16, {a}, {b}, {c}", lambda lane: Wrote(((a(lane) * b(lane) + c(lane)) & MASK,)))


def imad_spelled(d: Draw) -> Drawn:
    a, c = d.plain(0), d.plain(2)
    shift = d.number(0, 31)
    return d.one_of(
        Drawn(f"IMAD.MOV.U32 R16, RZ, RZ, {c}", lambda lane: Wrote((c(lane),))),
        Drawn(f"IMAD.SHL.U32 R16, {a}, {1 << shift:#x}, RZ", lambda lane: Wrote((a(lane) << shift & MASK,))),
        Drawn(f"IMAD.IADD R16, {a}, 0x1, {c}", lambda lane: Wrote(((a(lane) + c(lane)) & MASK,))),
    )


def imad_wide(d: Draw) -> Drawn:
    a, b, c, unsigned = d.plain(0), d.plain(1), d.wide(2), d.chance()

    def meaning(lane: Lane) -> Wrote:
        x, y = (a(lane), b(lane)) if unsigned else (signed(a(lane)), signed(b(lane)))
        return Wrote(pair(x * y + c(lane)))

    return Drawn(f"IMAD.WIDE{'.U32' if unsigned else ''} R16, {a}, {b}, {c}", meaning)


def imad_high(d: Draw) -> Drawn:
    a, b, c, unsigned = d.plain(0), d.plain(1), d.wide(2), d.chance()

    def meaning(lane: Lane) -> Wrote:
        x, y = (a(lane), b(lane)) if unsigned else (signed(a(lane)), signed(b(lane)))
        return Wrote(((x * y + c(lane)) >> 32 & MASK,))

    return Drawn(f"IMAD.HI{'.U32' if unsigned else ''} R16, {a}, {b}, {c}", meaning)


def imad_extended(d: Draw) -> Drawn:
    a, b, c, carry = d.plain(0), d.plain(1), d.plain(2), d.predicate()
    return Drawn(
        f"IMAD.X R16, {a}, {b}, {c}, {carry}",
        lambda lane: Wrote(((a(lane) * b(lane) + c(lane) + carry(lane)) & MASK,)),
    )


def lop3(d: Draw) -> Drawn:
    a, b, c, lut = d.logic(0), d.logic(1, immediate=True), d.logic(2), d.number(0, 255)

    def meaning(lane: Lane) -> Wrote:
        x, y, z = a(lane), b(lane), c(lane)
        result = sum((lut >> ((x >> k & 1) << 2 | (y >> k & 1) << 1 | z >> k & 1) & 1) << k for k in range(32))
        return Wrote((result,), p=result != 0)

    return Drawn(f"LOP3.LUT P3, R16, {a}, {b}, {c}, {lut:#x}, !PT", meaning)


def shf(d: Draw) -> Drawn:
    left, high, wrap = d.chance(), d.chance(), d.chance()
    kind = d.one_of("U32", "S32", "U64", "S64")
    a, amount, c = d.plain(0), d.plain(1, immediate=True), d.plain(2)

    def meaning(lane: Lane) -> Wrote:
        bits = int(kind[1:])
        n = amount(lane) % bits if wrap else min(amount(lane), bits)
        value = c(lane) << 32 | a(lane)
        if kind[0] == "S" and not left:
            value = signed(value, 64)
        value = value << n if left else value >> n
        return Wrote(((value >> 32 if high else value) & MASK,))

    text = f"SHF.{'L' if left else 'R'}{'.W' if wrap else ''}.{kind}{'.HI' if high else ''}"
    return Drawn(f"{text} R16, {a}, {amount}, {c}", meaning)


def lea(d: Draw) -> Drawn:
    a, b, c, n = d.plain(0), d.plain(1), d.plain(2), d.number(0, 31)
    carry = d.predicate()

    def high(value: int, lane: Lane) -> Wrote:
        return Wrote((((value << n >> 32) + b(lane) + carry(lane)) & MASK,))

    return d.one_of(
        Drawn(f"LEA R16, {a}, {b}, {n:#x}", lambda lane: Wrote((((a(lane) << n) + b(lane)) & MASK,))),
        Drawn(
            f"LEA R16, P3, {a}, {b}, {n:#x}",
            lambda lane: Wrote((((a(lane) << n) + b(lane)) & MASK,), p=((a(lane) << n) & MASK) + b(lane) > MASK),
        ),
        Drawn(
            f"LEA R16, P3, -R8, {b}, {n:#x}",  # b - (a << n): the carry says that nothing was borrowed
            lambda lane: Wrote(((b(lane) - (lane.words[0] << n)) & MASK,), p=b(lane) >= (lane.words[0] << n) & MASK),
        ),
        Drawn(
            f"LEA.HI R16, {a}, {b}, {c}, {n:#x}",
            lambda lane: Wrote(((((c(lane) << 32 | a(lane)) << n >> 32) + b(lane)) & MASK,)),
        ),
        Drawn(f"LEA.HI.X R16, {a}, {b}, {c}, {n:#x}, {carry}", lambda lane: high(c(lane) << 32 | a(lane), lane)),
        Drawn(f"LEA.HI.X.SX32 R16, {a}, {b}, {n:#x}, {carry}", lambda lane: high(signed(a(lane)), lane)),
    )


def prmt(d: Draw) -> Drawn:
    mode = d.one_of("", "", ".F4E", ".B4E", ".RC8", ".ECL", ".ECR", ".RC16")
    a, control, c = d.plain(0), d.plain(1, immediate=True), d.plain(2)

    def meaning(lane: Lane) -> Wrote:
        data = (c(lane) << 32 | a(lane)).to_bytes(8, "little")
        s = control(lane) & 3
        picks = {
            ".F4E": [s, s + 1, s + 2, s + 3], ".B4E": [s % 8, (s - 1) % 8, (s - 2) % 8, (s - 3) % 8], ".RC8": [s] * 4,
            ".ECL": [max(s, k) for k in range(4)], ".ECR": [min(s, k) for k in range(4)],
            ".RC16": [2 * (s & 1), 2 * (s & 1) + 1] * 2,
        }.get(mode, [control(lane) >> 4 * k & 15 for k in range(4)])  # fmt: skip
        result = [(255 * (data[p & 7] >> 7) if p & 8 else data[p & 7]) for p in picks]
        return Wrote((int.from_bytes(bytes(result), "little"),))

    return Drawn(f"PRMT{mode} R16, {a}, {control}, {c}", meaning)


def limits(d: Draw) -> Drawn:
    a, b, least, unsigned = d.integer(0), d.integer(1), d.predicate(), d.chance()

    def meaning(lane: Lane) -> Wrote:
        key = (lambda v: v) if unsigned else signed
        return Wrote(((min if least(lane) else max)(a(lane), b(lane), key=key),))

    if d.architecture >= 90:
        return Drawn(f"VIMNMX{'.U32' if unsigned else ''} R16, {a}, {b}, {least}", meaning)
    return Drawn(f"IMNMX{'.U32' if unsigned else ''} R16, {a}, {b}, {least}", meaning)


def vector_limits(d: Draw) -> Drawn:
    """sm_90: VIMNMX with halves and predicates, VIMNMX3, VIADDMNMX."""
    opcode = d.one_of("VIMNMX", "VIMNMX3", "VIADDMNMX")
    kind = d.one_of("", ".U32", ".U16x2", ".S16x2")
    relu = d.chance(0.3) and kind in ("", ".S16x2")
    a, b, c, least = d.plain(0), d.plain(1), d.plain(2), d.predicate()
    bits = 16 if "16" in kind else 32

    def part(word: int, k: int) -> int:
        value = word >> bits * k & ((1 << bits) - 1)
        return value if "U" in kind else signed(value, bits)

    def one(lane: Lane, k: int) -> tuple[int, bool]:
        x, y, z = part(a(lane), k), part(b(lane), k), part(c(lane), k)
        if opcode == "VIADDMNMX":
            total = part((x + y) & ((1 << bits) - 1), 0)
            values = (total, z)
        else:
            values = (x, y) if opcode == "VIMNMX" else (x, y, z)
        result = min(values) if least(lane) else max(values)
        return (max(result, 0) if relu else result) & ((1 << bits) - 1), (x <= y if least(lane) else x >= y)

    def meaning(lane: Lane) -> Wrote:
        parts = [one(lane, k) for k in range(32 // bits)]
        word = sum(value << bits * k for k, (value, _) in enumerate(parts))
        if opcode != "VIMNMX":
            return Wrote((word,))
        return Wrote((word,), p=parts[0][1], q=parts[1][1] if bits == 16 else None)

    out = ("P3, P4, " if bits == 16 else "P3, ") if opcode == "VIMNMX" else ""
    sources = f"{a}, {b}" if opcode == "VIMNMX" else f"{a}, {b}, {c}"
    return Drawn(f"{opcode}{kind}{'.RELU' if relu else ''} R16, {out}{sources}, {least}", meaning)


def vector_add(d: Draw) -> Drawn:
    a, b = d.plain(0), d.plain(1)

    def meaning(lane: Lane) -> Wrote:
        low, high = (a(lane) + b(lane)) & 0xFFFF, ((a(lane) >> 16) + (b(lane) >> 16)) & 0xFFFF
        return Wrote((high << 16 | low,))

    return d.one_of(
        Drawn(f"VIADD.16x2 R16, {a}, {b}", meaning),
        Drawn(f"VIADD R16, {a}, {b}", lambda lane: Wrote(((a(lane) + b(lane)) & MASK,))),
    )


def select(d: Draw) -> Drawn:
    a, b, p = d.plain(0), d.plain(1, immediate=True), d.predicate()
    return Drawn(f"SEL R16, {a}, {b}, {p}", lambda lane: Wrote((a(lane) if p(lane) else b(lane),)))


def move(d: Draw) -> Drawn:
    a = d.plain(0, immediate=True)
    return Drawn(f"MOV R16, {a}", lambda lane: Wrote((a(lane),)))


def counts(d: Draw) -> Drawn:
    a, n = d.logic(0), d.plain(1)

    def sign_extended(lane: Lane, unsigned: bool) -> int:
        bits = min(n(lane), 32)
        value = a(lane) & ((1 << bits) - 1)
        return value if unsigned or not bits else signed(value, bits) & MASK

    def highest(lane: Lane, kind: str) -> int:
        value = a(lane)
        if not kind and value >> 31:
            value = ~value & MASK
        if not value:
            return MASK
        return 32 - value.bit_length() if ".SH" in kind else value.bit_length() - 1

    kind, unsigned, plain = d.one_of("", ".U32", ".U32.SH"), d.chance(), d.plain(0)
    mask = Drawn(
        f"BMSK R16, {plain}, {n}",
        lambda lane: Wrote((((1 << min(n(lane), 32)) - 1) << min(plain(lane), 32) & MASK,)),
    )
    if str(a)[0] == "~":
        return mask
    return d.one_of(
        mask,
        Drawn(f"POPC R16, {a}", lambda lane: Wrote((a(lane).bit_count(),))),
        Drawn(f"BREV R16, {a}", lambda lane: Wrote((int(f"{a(lane):032b}"[::-1], 2),))),
        Drawn(f"FLO{kind} R16, {a}", lambda lane: Wrote((highest(lane, kind),))),
        Drawn(f"IABS R16, {a}", lambda lane: Wrote((abs(signed(a(lane))) & MASK,))),
        Drawn(f"SGXT{'.U32' if unsigned else ''} R16, {a}, {n}", lambda lane: Wrote((sign_extended(lane, unsigned),))),
    )


def dot(d: Draw) -> Drawn:
    a, b, c = d.plain(0), d.plain(1), d.plain(2)
    left, right, four, high = d.chance(), d.chance(), d.chance(), d.chance()

    def meaning(lane: Lane) -> Wrote:
        bits, count = (8, 4) if four else (16, 2)
        total = c(lane)
        for k in range(count):
            x = a(lane) >> bits * k & ((1 << bits) - 1)
            y = b(lane) >> (8 * k + (16 if high and not four else 0)) & 255
            total += (signed(x, bits) if left else x) * (signed(y, 8) if right else y)
        return Wrote((total & MASK,))

    width = "8" if four else "16"
    text = f"IDP.{'4A' if four else '2A.' + ('HI' if high else 'LO')}.{'S' if left else 'U'}{width}"
    return Drawn(f"{text}.{'S' if right else 'U'}8 R16, {a}, {b}, {c}", meaning)


def differences(d: Draw) -> Drawn:
    a, b, c, sums, is_signed = d.plain(0), d.plain(1), d.plain(2), d.chance(), d.chance()

    def byte(word: int, k: int) -> int:
        value = word >> 8 * k & 255
        return signed(value, 8) if is_signed else value

    def meaning(lane: Lane) -> Wrote:
        parts = [abs(byte(a(lane), k) - byte(b(lane), k)) for k in range(4)]
        if sums:
            return Wrote(((sum(parts) + c(lane)) & MASK,))
        return Wrote((sum((part & 255) << 8 * k for k, part in enumerate(parts)),))

    text = f"VABSDIFF4{'.S8' if is_signed else '.U8'}{'.ACC' if sums else ''}"
    return Drawn(f"{text} R16, {a}, {b}, {c}", meaning)


def compares(d: Draw) -> Drawn:
    code, boolean, unsigned = d.one_of("LT", "EQ", "LE", "GT", "NE", "GE"), d.one_of("AND", "OR", "XOR"), d.chance()
    a, b, other = d.integer(0), d.integer(1, immediate=True), d.predicate()

    def truth(x: int, y: int) -> bool:
        return {"LT": x < y, "EQ": x == y, "LE": x <= y, "GT": x > y, "NE": x != y, "GE": x >= y}[code]

    def meaning(lane: Lane) -> Wrote:
        x, y = (a(lane), b(lane)) if unsigned else (signed(a(lane)), signed(b(lane)))
        return Wrote(p=combine(boolean, truth(x, y), other(lane)), q=combine(boolean, not truth(x, y), other(lane)))

    def wide(lane: Lane) -> Wrote:
        x, y = (lane.words[k] | lane.words[k + 1] << 32 for k in (0, 2))
        return Wrote(p=truth(*((x, y) if unsigned else (signed(x, 64), signed(y, 64)))))

    kind = ".U32" if unsigned else ""
    if d.chance(0.3):
        low = f"ISETP.{code}.U32.AND P5, PT, R8, R10, PT"
        return Drawn(f"{low} ;\nISETP.{code}{kind}.AND.EX P3, PT, R9, R11, PT, P5", wide, guarded=False)
    return Drawn(f"ISETP.{code}{kind}.{boolean} P3, P4, {a}, {b}, {other}", meaning)


DRAWS = (
    iadd3, iadd3_carry, imad, imad_spelled, imad_wide, imad_high, imad_extended, lop3, shf, lea, prmt, limits, select,
    move, counts, dot, differences, compares,
)  # fmt: skip
DRAWS_90 = (limits, vector_limits, vector_add)
