"""Machine code -> text, through nvdisasm, paired with the 128-bit encodings."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gpusim.constants import INSTRUCTION_BYTES
from gpusim.errors import GpusimError
from gpusim.sass import toolchain

_SECTION = re.compile(r"\s*\.section\s+\.text\.(?P<name>[^,\s]+)")
_LABEL = re.compile(r"(?P<name>[^\s:/][^\s:]*):\s*$")
_LINE = re.compile(r"\s*/\*(?P<pc>[0-9a-f]{4,})\*/\s+(?P<text>.*?);?\s*/\* 0x(?P<low>[0-9a-f]{16}) \*/\s*$")
_SECOND = re.compile(r"\s*/\* 0x(?P<high>[0-9a-f]{16}) \*/\s*$")
_NO_RETURN = re.compile(r"(EXIT|RET|BRA|BRX|JMP|JMX|BPT|CALL)(\.\w+)*(?![.\w])(?!\s+!?U?P\d)")
_SECONDS, _BYTES_PER_SECOND = 30, 20_000
"""What nvdisasm is given: it can take minutes over a damaged file, but a good one of a megabyte takes seconds."""
_TARGETS = re.compile(r'\(\*"?(?:BRANCH|CALL)_TARGETS.*?\*\)')


@dataclass(frozen=True)
class DisassembledLine:
    """One instruction: byte offset, text without `;` and annotations, and its two 64-bit words."""

    pc: int
    text: str
    low: int
    high: int


@dataclass
class DisassembledFunction:
    """One .text section: lines in pc order and labels as byte offsets."""

    name: str
    lines: list[DisassembledLine] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)

    def without_padding(self) -> list[DisassembledLine]:
        """Lines without the tail that no warp reaches: a branch to itself and the NOPs behind it.

        A self-branch that something jumps to or falls into is the program's own endless loop and stays.
        """
        end = len(self.lines)
        while end and self.lines[end - 1].text == "NOP":
            end -= 1
        if end and (match := re.fullmatch(r"BRA `\((.+)\)", self.lines[end - 1].text)):
            last = self.lines[end - 1]
            label = match[1]
            alone = not any(f"`({label})" in line.text for line in self.lines[: end - 1])
            alone &= end == 1 or _NO_RETURN.match(self.lines[end - 2].text) is not None
            if self.labels.get(label) == last.pc and alone:
                return self.lines[: end - 1]
        return self.lines[:end] if end else self.lines


def parse_listing(listing: str, origin: str) -> dict[str, DisassembledFunction]:
    """Functions by kernel name from the output of `nvdisasm -c -hex`. Raises GpusimError if it is not understood."""
    functions: dict[str, DisassembledFunction] = {}
    current: DisassembledFunction | None = None
    pending: re.Match[str] | None = None
    for number, line in enumerate(listing.splitlines(), 1):
        if match := _SECTION.match(line):
            current = functions.setdefault(match["name"], DisassembledFunction(match["name"]))
        elif current is None:
            continue
        elif pending is not None:
            second = _SECOND.match(line)
            if not second:
                raise GpusimError(f"{origin}: line {number} of nvdisasm's output lacks the second half of an encoding")
            text = _TARGETS.sub("", pending["text"]).strip()
            low, high = int(pending["low"], 16), int(second["high"], 16)
            current.lines.append(DisassembledLine(int(pending["pc"], 16), text, low, high))
            pending = None
        elif match := _LINE.match(line):
            pending = match
        elif match := _LABEL.match(line):
            current.labels[match["name"]] = len(current.lines) * INSTRUCTION_BYTES
        elif line.lstrip().startswith("/*"):
            raise GpusimError(f"{origin}: line {number} of nvdisasm's output is not understood: {line.strip()}")
    return functions


def _chosen(symbols: Sequence[int] | None) -> list[str]:
    """Options of nvdisasm for the functions of these symbols."""
    return [] if symbols is None else ["-fun", ",".join(map(str, symbols))]


def disassemble(cubin: bytes, origin: str, symbols: Sequence[int] | None = None) -> dict[str, DisassembledFunction]:
    """Functions of a cubin by kernel name, by one call of nvdisasm.

    `origin` names the cubin in messages; `symbols`: indices of the symbols of those wanted, None for all.
    Raises GpusimError if nvdisasm is missing or refuses the file.
    """
    executable = toolchain.find_nvdisasm()
    with tempfile.TemporaryDirectory(prefix="gpusim-") as folder:
        image = Path(folder) / "image.cubin"
        image.write_bytes(cubin)
        command = [str(executable), "-c", "-hex", "-ndf", *_chosen(symbols), str(image)]
        seconds = _SECONDS + len(cubin) // _BYTES_PER_SECOND
        try:
            result = subprocess.run(
                command, capture_output=True, text=True, errors="replace", check=False, timeout=seconds
            )
        except subprocess.TimeoutExpired:
            raise GpusimError(
                f"{origin}: nvdisasm found no end of it in {seconds} s; the file may be damaged"
            ) from None
    if result.returncode != 0:
        message = (result.stderr or result.stdout).strip().replace(str(image), origin)
        raise GpusimError(f"{origin}: nvdisasm failed: {message}")
    return parse_listing(result.stdout, origin)
