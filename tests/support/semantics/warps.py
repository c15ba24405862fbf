"""Warp-wide instructions: the meaning sees all lanes and the mask of those that execute."""

from __future__ import annotations

from collections.abc import Sequence

from semantics.draw import MASK, Draw, Drawn, Lane, Wrote, signed

Lanes = Sequence[Lane]


def executing(active: int) -> list[int]:
    return [k for k in range(32) if active >> k & 1]


def shuffle(d: Draw) -> Drawn:
    mode = d.one_of("UP", "DOWN", "BFLY", "IDX")
    c = d.number(0, 31) << 8 | d.number(0, 31)

    def meaning(lanes: Lanes, k: int, active: int) -> Wrote:
        b, clamp, segment = lanes[k].words[1] & 31, c & 31, c >> 8 & 31
        last, first = k & segment | clamp & ~segment & 31, k & segment
        source = {"UP": k - b, "DOWN": k + b, "BFLY": k ^ b, "IDX": first | b & ~segment & 31}[mode]
        inside = source >= last if mode == "UP" else source <= last
        return Wrote((lanes[source if inside else k].words[0],), p=inside)

    return Drawn(f"SHFL.{mode} P3, R16, R8, R9, {c:#x}", meaning, warp=True)


def vote(d: Draw) -> Drawn:
    mode, source = d.one_of("ALL", "ANY", "EQ"), d.predicate()

    def meaning(lanes: Lanes, k: int, active: int) -> Wrote:
        holding = [j for j in executing(active) if source(lanes[j])]
        all_, any_ = len(holding) == len(executing(active)), bool(holding)
        return Wrote((sum(1 << j for j in holding),), p={"ALL": all_, "ANY": any_, "EQ": all_ or not any_}[mode])

    return Drawn(f"VOTE.{mode} R16, P3, {source}", meaning, warp=True)


def match(d: Draw) -> Drawn:
    """Over registers of few values, so that some are equal."""
    wide, mask = d.chance(0.3), d.one_of(1, 3, 0)

    def value(lane: Lane) -> tuple[int, ...]:
        return (lane.words[0] & mask,) + ((lane.words[1],) if wide else ())

    def any_(lanes: Lanes, k: int, active: int) -> Wrote:
        return Wrote((sum(1 << j for j in executing(active) if value(lanes[j]) == value(lanes[k])),))

    def all_(lanes: Lanes, k: int, active: int) -> Wrote:
        same = all(value(lanes[j]) == value(lanes[k]) for j in executing(active))
        return Wrote((active if same else 0,), p=same)

    suffix = ".U64" if wide else ""
    prepare = f"LOP3.LUT R20, R8, {mask:#x}, RZ, 0xc0, !PT ;\nMOV R21, R9 ;\n"
    if d.chance():
        return Drawn(f"{prepare}MATCH.ANY{suffix} R16, R20", any_, warp=True)
    return Drawn(f"{prepare}MATCH.ALL{suffix} P3, R16, R20", all_, warp=True)


def reduce(d: Draw) -> Drawn:
    operation = d.one_of("", ".OR", ".XOR", ".SUM", ".SUM.S32", ".MIN", ".MAX", ".MIN.S32", ".MAX.S32")

    def meaning(lanes: Lanes, k: int, active: int) -> Wrote:
        words = [lanes[j].words[0] for j in executing(active)]
        if "S32" in operation:
            words = [signed(word) for word in words]
        result = words[0]
        for word in words[1:]:
            result = {
                "": result & word, "OR": result | word, "XOR": result ^ word, "SUM": result + word,
                "MIN": min(result, word), "MAX": max(result, word),
            }[operation.split(".")[1] if operation else ""]  # fmt: skip
        return Wrote((result & MASK,))

    return Drawn(f"REDUX{operation} UR4, R8 ;\nMOV R16, UR4", meaning, warp=True)


def first_active(d: Draw) -> Drawn:
    def meaning(lanes: Lanes, k: int, active: int) -> Wrote:
        return Wrote((lanes[executing(active)[0]].words[0],))

    return Drawn("R2UR UR4, R8 ;\nMOV R16, UR4", meaning, warp=True)


def elect(d: Draw) -> Drawn:
    def meaning(lanes: Lanes, k: int, active: int) -> Wrote:
        leader = executing(active)[0]
        return Wrote((leader,), p=k == leader)

    return Drawn("ELECT P3, UR4, PT ;\nMOV R16, UR4", meaning, warp=True)


def transpose(d: Draw) -> Drawn:
    """MOVM: an 8x8 matrix of halves, two neighbours of a row per lane."""

    def meaning(lanes: Lanes, k: int, active: int) -> Wrote:
        def element(row: int, column: int) -> int:
            return lanes[4 * row + column // 2].words[0] >> 16 * (column % 2) & 0xFFFF

        row, column = k // 4, 2 * (k % 4)
        return Wrote((element(column + 1, row) << 16 | element(column, row),))

    return Drawn("MOVM.16.MT88 R16, R8", meaning, warp=True, guarded=False)


DRAWS = (shuffle, vote, match, reduce, first_active, transpose)
DRAWS_90 = (elect,)
