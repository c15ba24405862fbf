"""The uniform datapath: operands are the first lane's words, results are the same in all lanes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from semantics import integers
from semantics.draw import Draw, Drawn, Lane, Wrote

REGULAR = {
    "IADD3": integers.iadd3, "IADD3.X": integers.iadd3_carry, "IMAD": integers.imad, "IMAD.WIDE": integers.imad_wide,
    "LOP3": integers.lop3, "SHF": integers.shf, "LEA": integers.lea, "PRMT": integers.prmt, "SEL": integers.select,
    "MOV": integers.move, "counts": integers.counts, "ISETP": integers.compares,
}  # fmt: skip
"""A uniform instruction does what the regular one of the same name does."""


def uniform_text(text: str) -> str:
    """The spelling with uniform registers and predicates: R8 -> UR8, P0 -> UP0, IADD3 -> UIADD3."""
    lines = []
    for line in text.split(" ;\n"):
        opcode, _, operands = line.partition(" ")
        parts = []
        for part in operands.split(", "):
            mark = len(part) - len(part.lstrip("-~!|"))
            parts.append(part[:mark] + "U" + part[mark:] if part[mark : mark + 1] in ("R", "P") else part)
        lines.append(f"U{opcode} {', '.join(parts)}")
    return " ;\n".join(lines)


def as_uniform(meaning: Callable[[Lane], Wrote]) -> Callable[..., Wrote]:
    def of_first_lane(lanes: Sequence[Lane], k: int, active: int) -> Wrote:
        return meaning(lanes[0])

    return of_first_lane


def draw_uniform(d: Draw) -> Drawn:
    drawn = d.one_of(*REGULAR.values())(d)
    while drawn.text.split()[0].split(".")[0] in ("IABS", "FLO") or ("-R" in drawn.text and "IMAD" in drawn.text):
        drawn = d.one_of(*REGULAR.values())(Draw(d.random, d.architecture))
    moves_in = [f"R2UR UR{8 + k}, R{8 + k}" for k in range(7)]
    moves_in += ["R2UR UR15, R15", "UR2UP UPR, UR15, 0x7"]
    moves_in += [f"UMOV UR{k}, {0xA5A5A5A5:#x}" for k in (16, 17)] + ["UPLOP3.LUT UP3, UP4, UPT, UPT, UPT, 0x0, 0x0"]
    moves_out = ["MOV R16, UR16", "MOV R17, UR17"]
    moves_out += ["PLOP3.LUT P3, PT, UP3, PT, PT, 0xf0, 0x0", "PLOP3.LUT P4, PT, UP4, PT, PT, 0xf0, 0x0"]
    text = " ;\n".join([*moves_in, uniform_text(drawn.text), *moves_out])
    return Drawn(text, as_uniform(drawn.meaning), warp=True, guarded=False)


def predicates_to_register(d: Draw) -> Drawn:
    mask = d.number(0, 7)
    text = f"R2UR UR15, R15 ;\nR2UR UR8, R8 ;\nUR2UP UPR, UR15, 0x7 ;\nUP2UR UR16, UPR, UR8, {mask:#x} ;\nMOV R16, UR16"

    def meaning(lanes: Sequence[Lane], k: int, active: int) -> Wrote:
        return Wrote((lanes[0].words[0] & ~mask | lanes[0].words[7] & mask,))

    return Drawn(text, meaning, warp=True, guarded=False)


def vote(d: Draw) -> Drawn:
    mode, source = d.one_of("ALL", "ANY"), d.predicate()

    def meaning(lanes: Sequence[Lane], k: int, active: int) -> Wrote:
        return Wrote((sum(1 << j for j in range(32) if source(lanes[j])),))

    return Drawn(f"VOTEU.{mode} UR4, UPT, {source} ;\nMOV R16, UR4", meaning, warp=True, guarded=False)


DRAWS = (draw_uniform, draw_uniform, draw_uniform, draw_uniform, predicates_to_register, vote)
