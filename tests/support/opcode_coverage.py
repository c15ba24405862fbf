"""Which opcode forms the emulator executes and which of them are tested, per architecture: docs/opcode-coverage.md.

    python tests/support/opcode_coverage.py              # write the table from tests/support/opcode_forms/
    python tests/support/opcode_coverage.py FILE.cu...   # first add the forms that these files and our kernels compile to

A form is an opcode with all its modifiers. tests/support/opcode_forms/sm_NN.txt holds one example instruction of each, as
disassembled from the compiler's output for traces/kernels (marked `kernel`) and for files with one PTX instruction or
intrinsic per kernel (marked `other`; those need not be in the project), or written by hand (`hand`).
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent
FORMS = FOLDER / "opcode_forms"
TABLE = ROOT / "docs" / "opcode-coverage.md"
ARCHITECTURES = (75, 80, 86, 90)
OWN_TESTS = frozenset(
    [
        "MUFU.COS",
        "MUFU.LG2",
        "MUFU.SIN",
        "MUFU.SQRT",
        "MUFU.RCP",
        "MUFU.RSQ",
        "MUFU.EX2",
        "DFMA.RM",
        "DFMA.RP",
        "DFMA.RZ",
        "IMAD.WIDE.U32.X",
        "BAR.SYNC",
        "BAR.RED.POPC",
        "B2R.RESULT",
        "BREAK",
        "BSSY",
        "BSYNC",
        "YIELD",
        "NANOSLEEP",
        "CALL.REL.NOINC",
        "RET.REL.NODEC",
        "S2R",
        "CS2R.32",
        "EXIT",
        "BRA",
        "BPT.TRAP",
        "SHF.R.W.U32.HI",
        "SHF.R.U64",
    ]
)
"""Forms with tests of their own in test_710_float.py, test_720_warp.py and test_746_livelock.py."""
ORIGINS = ("kernel", "other", "hand")
OUT_OF_SCOPE = {
    "TEX": "texture", "TLD": "texture", "TLD4": "texture", "TXD": "texture", "TXQ": "texture", "TMML": "texture",
    "SULD": "surface", "SUST": "surface", "SUATOM": "surface", "SURED": "surface",
    "SYNCS": "barriers of Hopper's asynchronous copies",
}  # fmt: skip
"""Opcodes that are refused by design."""
DRAWS_PER_GROUP = 3000
"""Enough for every branch of the functions that draw; which forms appear is fixed by the seed."""


@dataclass(frozen=True)
class Example:
    """One instruction of a form."""

    text: str
    origin: str

    @property
    def form(self) -> str:
        return form_of(self.text)


def form_of(text: str) -> str:
    return re.sub(r"^@!?U?P\d\s+|^@!?U?PT\s+", "", text).split()[0]


def load(architecture: int) -> dict[str, Example]:
    """Examples by form; lines are `origin instruction`."""
    path = FORMS / f"sm_{architecture}.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    examples = [Example(text, origin) for origin, text in (line.split(" ", 1) for line in lines)]
    return {example.form: example for example in examples}


def refusal(text: str, architecture: int) -> str | None:
    """Why the emulator refuses an instruction; None if it executes it."""
    from gpusim.emulator.decode import decode
    from gpusim.emulator.machine import constant_banks
    from gpusim.errors import GpusimError
    from gpusim.sass.assembler import assemble

    field = "[B------:R-:W-:-:S01] "
    code = "".join(f"{field}{line} ;\n" for line in (text.replace(".reuse", ""), "NOP", "NOP"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "form.sass"
        path.write_text(f".arch sm_{architecture}\n.kernel form\n.shared 4096\n{code}L:\n{field}EXIT ;\n")
        try:
            program = assemble(path)[0].program
            decode(program, {**constant_banks(program, (1, 1, 1), (32, 1, 1), bytes(4096), 0), 2: bytes(4096),
                             3: bytes(65536), 4: bytes(4096)})  # fmt: skip
        except GpusimError as error:
            return str(error).splitlines()[-1]
    return None


@cache
def drawn_forms(architecture: int) -> frozenset[str]:
    """Forms among the random single-instruction tests of an architecture."""
    from semantics.draw import Draw
    from semantics.groups import GROUPS

    forms: set[str] = set()
    for draws, of in GROUPS.values():
        generator = np.random.default_rng(0)
        for k in range(DRAWS_PER_GROUP if of == architecture else 0):
            drawn = draws[k % len(draws)](Draw(generator, of))
            forms |= {form_of(line.strip()) for line in drawn.text.split(" ;\n")}
    return frozenset(forms)


def meaning(form: str) -> str:
    """A form without the modifiers that have no effect on values: cache, scope and pipe hints."""
    hints = {"E", "SYS", "GPU", "SM", "CTA", "STRONG", "U", "MMA", "DEFER_BLOCKING", "CONSTANT", "BYPASS"}
    return ".".join(part for part in form.split(".") if part not in hints)


def state(example: Example, architecture: int) -> str:
    """The word for a cell of the table."""
    if refusal(example.text, architecture):
        return "refused"
    drawn = {meaning(form) for a in (75, 86, 90) for form in drawn_forms(a)}
    marks = ["random"] if meaning(example.form) in drawn else ["own"] if meaning(example.form) in OWN_TESTS else []
    marks += ["kernel"] if example.origin == "kernel" else []
    return " + ".join(marks) or "executed"


# ---- collecting


def normal(text: str) -> str:
    """An instruction with its label named L and no annotation."""
    return re.sub(r"`\([^()]*\)", "`(L)", re.sub(r"\(\*.*?\*\)", "", text)).strip()


def compiled(path: Path, architecture: int) -> Iterable[str]:
    """Instructions of a file for an architecture; none if it does not compile for it."""
    from gpusim.errors import GpusimError
    from gpusim.sass.disassembly import disassemble
    from gpusim.sass.nvrtc import compile_cuda

    try:
        data = compile_cuda(path, architecture, ("-w",)).data
    except GpusimError as error:
        print(f"{path.name} sm_{architecture}: {str(error).splitlines()[0]}", file=sys.stderr)
        return
    for function in disassemble(data, str(path)).values():
        for line in function.without_padding():
            yield normal(line.text)


def collect(files: Iterable[Path]) -> None:
    """Add the forms of our kernels and of other files to the lists."""
    kernels = sorted((ROOT / "traces" / "kernels").rglob("*.cu"))
    for architecture in ARCHITECTURES:
        found = load(architecture)
        for origin, paths in (("kernel", kernels), ("other", files)):
            for path in paths:
                for text in compiled(path, architecture):
                    known = found.get(form_of(text))
                    if known is None or ORIGINS.index(known.origin) > ORIGINS.index(origin):
                        found[form_of(text)] = Example(text, origin)
        lines = [f"{found[form].origin} {found[form].text}\n" for form in sorted(found)]
        (FORMS / f"sm_{architecture}.txt").write_text("".join(lines))


# ---- the table


def table() -> str:
    """The document: one row per form, one column per architecture."""
    examples = {architecture: load(architecture) for architecture in ARCHITECTURES}
    forms = sorted({form for found in examples.values() for form in found}, key=lambda form: form.split("."))
    rows, counts = [], dict.fromkeys(("random", "own", "kernel", "executed", "refused"), 0)
    for form in forms:
        cells = [state(found[form], a) if form in found else "" for a, found in examples.items()]
        for cell in filter(None, cells):
            counts[cell.split(" ")[0]] += 1
        rows.append(f"| `{form}` | {' | '.join(cells)} |")
    total = sum(counts.values())
    head = f"""# Opcode coverage

Written by `python tests/support/opcode_coverage.py`; do not edit. A form is an opcode with all its modifiers, as the compiler
spells it; empty cells are forms that the compiler was not seen to emit for that architecture.

- **random**: executed, and tested with random operands against an independent statement of what it does
  (`tests/support/semantics`), leaving aside modifiers without effect on values (cache, scope and pipe hints).
- **own**: executed, with a test of its own.
- **kernel**: executed, and part of a kernel of `traces/kernels` whose results are compared with NumPy.
- **executed**: executed, without a test of its own.
- **refused**: refused by name, with its place: layered textures and cubes, barriers of Hopper's asynchronous copies, and
  a few whose meaning is not known well enough.

{len(forms)} forms, {total} on the four architectures together: {counts['random']} random, {counts['own']} own,
{counts['kernel']} kernel, {counts['executed']} executed, {counts['refused']} refused.

| form | {' | '.join(f'sm_{a}' for a in ARCHITECTURES)} |
|---|{'---|' * len(ARCHITECTURES)}
"""  # fmt: skip
    return head + "\n".join(rows) + "\n"


def main() -> None:
    """Collect from the files named on the command line, if any, then write the table."""
    if len(sys.argv) > 1:
        collect([Path(argument) for argument in sys.argv[1:]])
    temporary = TABLE.with_suffix(".partial")
    temporary.write_text(table())
    temporary.replace(TABLE)


if __name__ == "__main__":
    main()
