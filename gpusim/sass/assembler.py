"""Hand-written SASS (`.sass` text) -> Programs, without any NVIDIA tool.

One instruction a line behind its control field, directives before the first instruction of a kernel:

    .arch sm_86
    .kernel ports
    .grid 1
    .block 32
    .param n 4                 # or `.param x float64 1.5`; at the architecture's parameter offset, in order
    LOOP:
    [B01----:R0:W1:Y:S05] @!P0 BRA `(LOOP) ;
    [B------:R-:W-:-:S05] EXIT ;

Further directives: `.shared BYTES`, `.local BYTES` (per thread), `.registers N` (default: as many as are used).
`#` and `//` start a comment. A file may hold several kernels; `.arch` holds until the next one.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gpusim.constants import INSTRUCTION_BYTES
from gpusim.errors import GpusimError, nearest
from gpusim.limits import REGISTERS, extent_problem
from gpusim.plainfile import read_bytes
from gpusim.sass import control_bits
from gpusim.sass.builder import ProgramBuilder
from gpusim.sass.instructions import Instruction, parse_instruction, split_text
from gpusim.sass.isa import TABLE_OF, Isa, load_isa
from gpusim.sass.program import PT, RZ, OperandKind, Parameter, Program

PARAMETER_TYPES = {"int32": 4, "uint32": 4, "float32": 4, "int64": 8, "uint64": 8, "float64": 8}
"""Types that `.param` takes, with their bytes."""
LARGEST_FLOAT = {"float32": (2 - 2.0**-23) * 2.0**127, "float64": sys.float_info.max}

_COMMENT = re.compile(r"(#|//).*")
_LABEL = re.compile(r"([A-Za-z_.$][\w.$]*)\s*:")
_FIELD = re.compile(r"(\[[^\]]*\])\s*(.*)")
_ENDS = ("EXIT", "RET", "BRA", "BRX", "JMP", "JMX")


@dataclass(frozen=True)
class AssembledKernel:
    """A hand-written kernel with the launch that its directives describe.

    `parameters` are (name, dtype, value) in order, dtype of PARAMETER_TYPES.
    """

    program: Program
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    parameters: tuple[tuple[str, str, int | float], ...]


@dataclass
class _Kernel:
    """What was read of one kernel so far; source lines are (line number, control field, text)."""

    name: str
    architecture: int
    line: int
    grid: tuple[int, int, int] = (1, 1, 1)
    block: tuple[int, int, int] = (32, 1, 1)
    parameters: list[tuple[str, str, int | float]] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    lines: list[tuple[int, control_bits.ControlBits, str]] = field(default_factory=list)


def _integer(text: str, what: str) -> int:
    try:
        value = int(text, 0)
    except ValueError:
        raise GpusimError(f"{what} wants a whole number, found '{text}'") from None
    if value < 0:
        raise GpusimError(f"{what} must not be negative, found {value}")
    return value


def _extent(words: list[str], what: str) -> tuple[int, int, int]:
    if not 1 <= len(words) <= 3:
        raise GpusimError(f".{what} wants one to three sizes, e.g. .{what} 32 4")
    sizes = [_integer(word, f".{what}") for word in words]
    if problem := extent_problem(what, sizes):
        raise GpusimError(f".{what}: {problem}")
    x, y, z = (*sizes, 1, 1)[:3]
    return x, y, z


def _parameter(words: list[str]) -> tuple[str, str, int | float]:
    """(name, dtype, value) of `.param NAME [TYPE] VALUE`."""
    if len(words) not in (2, 3):
        raise GpusimError(
            ".param wants a name, optionally a type, and a value, e.g. .param n 4 or .param x float64 1.5"
        )
    name, text = words[0], words[-1]
    if len(words) == 3 and words[1] not in PARAMETER_TYPES:
        raise GpusimError(f".param type '{words[1]}' is not known{nearest(words[1], PARAMETER_TYPES)}")
    try:
        value: int | float = int(text, 0) if re.fullmatch(r"[+-]?(0x[0-9a-fA-F]+|[0-9]+)", text) else float(text)
    except ValueError:
        raise GpusimError(f".param {name}: '{text[:40]}' is no number") from None
    dtype = words[1] if len(words) == 3 else _narrowest(value)
    if dtype.startswith("float"):
        largest = LARGEST_FLOAT[dtype]
        if abs(value) > largest and "inf" not in text.lower():
            raise GpusimError(f".param {name}: {text[:40]} does not fit in {dtype}, whose largest is {largest:g}")
        return name, dtype, float(value)
    if isinstance(value, float):
        raise GpusimError(f".param {name}: '{text[:40]}' is no {dtype}")
    bits = 8 * PARAMETER_TYPES[dtype]
    low, high = (0, 1 << bits) if dtype.startswith("u") else (-(1 << bits - 1), 1 << bits - 1)
    if not low <= value < high:
        raise GpusimError(f".param {name}: {text[:40]} does not fit in {dtype}")
    return name, dtype, value


def _narrowest(value: float) -> str:
    """Type of a parameter that names none."""
    if isinstance(value, float):
        return "float32"
    return "int32" if -(1 << 31) <= value < 1 << 31 else "int64"


class _Reader:
    """Reads the lines of a file into kernels."""

    def __init__(self) -> None:
        self.architecture: int | None = None
        self.kernels: list[_Kernel] = []
        self._directives: Mapping[str, Callable[[list[str]], None]] = {
            ".arch": self._arch,
            ".kernel": self._kernel,
            ".grid": lambda words: setattr(self.kernel, "grid", _extent(words, "grid")),
            ".block": lambda words: setattr(self.kernel, "block", _extent(words, "block")),
            ".param": lambda words: self.kernel.parameters.append(_parameter(words)),
            ".shared": lambda words: self._number(".shared", words),
            ".registers": lambda words: self._number(".registers", words),
            ".local": lambda words: self._number(".local", words),
        }
        self.line = 0

    @property
    def kernel(self) -> _Kernel:
        if not self.kernels:
            raise GpusimError("no kernel yet: put `.kernel NAME` first")
        return self.kernels[-1]

    def read(self, number: int, text: str) -> None:
        """Take one line. Raises GpusimError without the place."""
        self.line = number
        text = _COMMENT.sub("", text).strip()
        while match := _LABEL.match(text):
            if match[1] in self.kernel.labels:
                raise GpusimError(f"label '{match[1]}' is defined twice in kernel '{self.kernel.name}'")
            self.kernel.labels[match[1]] = len(self.kernel.lines) * INSTRUCTION_BYTES
            text = text[match.end() :].strip()
        if not text:
            return
        if text.startswith("."):
            name, *words = text.replace(",", " ").split()
            if name not in self._directives:
                raise GpusimError(f"directive '{name}' is not known{nearest(name, self._directives)}")
            self._directives[name](words)
            return
        match = _FIELD.fullmatch(text)
        if not match:
            raise GpusimError(f"'{text}' lacks its control field; write e.g. [B------:R-:W-:-:S01] {text}")
        self.kernel.lines.append((number, control_bits.parse(match[1]), match[2]))

    def _arch(self, words: list[str]) -> None:
        match = re.fullmatch(r"sm_(\d+)", " ".join(words))
        if not match or int(match[1]) not in TABLE_OF:
            known = ", ".join(f"sm_{a}" for a in TABLE_OF)
            raise GpusimError(f".arch '{' '.join(words)}' is not supported; use one of {known}")
        self.architecture = int(match[1])

    def _kernel(self, words: list[str]) -> None:
        if len(words) != 1:
            raise GpusimError(".kernel wants one name")
        if self.architecture is None:
            raise GpusimError("no architecture yet: put `.arch sm_86` before `.kernel`")
        if any(kernel.name == words[0] for kernel in self.kernels):
            raise GpusimError(f"kernel '{words[0]}' is defined twice")
        self.kernels.append(_Kernel(words[0], self.architecture, self.line))

    def _number(self, directive: str, words: list[str]) -> None:
        if len(words) != 1:
            raise GpusimError(f"{directive} wants one number")
        self.kernel.numbers[directive] = _integer(words[0], directive)


def _parse(kernel: _Kernel, text: str, isa: Isa, builder: ProgramBuilder) -> Instruction:
    """One instruction of a kernel. Raises GpusimError for an opcode that no table lists."""
    base = split_text(text)[1].split(".", 1)[0]
    if base not in isa.opcodes:
        raise GpusimError(f"opcode '{base}' is not known for sm_{isa.architecture}{nearest(base, isa.opcodes)}")

    def label(name: str) -> int:
        if name not in kernel.labels:
            raise GpusimError(f"label '{name}' is not defined in kernel '{kernel.name}'{nearest(name, kernel.labels)}")
        return kernel.labels[name]

    return parse_instruction(text, isa, label, builder.special_register)


def _registers_used(instructions: list[Instruction]) -> int:
    """Registers per thread that the operands touch."""
    kinds = (OperandKind.REGISTER, OperandKind.MEMORY, OperandKind.CONSTANT)
    ends = [o.register + o.width for i in instructions for o in i.operands if o.kind in kinds and o.register != RZ]
    return max(ends, default=1)


def _barriers_used(instructions: list[Instruction]) -> int:
    """CTA barriers: one more than the highest that a BAR names."""
    named = [i.operands[0].immediate for i in instructions if i.info.latency_class == "barrier" and i.operands]
    return max(named, default=-1) + 1


def _place_parameters(kernel: _Kernel) -> tuple[Parameter, ...]:
    """Parameters at their natural alignment."""
    placed, end = [], 0
    for name, dtype, _ in kernel.parameters:
        size = PARAMETER_TYPES[dtype]
        offset = -(-end // size) * size
        placed.append(Parameter(offset, size, name))
        end = offset + size
    return tuple(placed)


def _register_count(kernel: _Kernel, instructions: list[Instruction]) -> int:
    used = _registers_used(instructions)
    count = kernel.numbers.get(".registers", used)
    if not used <= count <= REGISTERS:
        raise GpusimError(f"kernel '{kernel.name}': .registers {count} must be between {used} (used) and {REGISTERS}")
    return count


def _assemble_kernel(kernel: _Kernel, origin: str, provenance: Mapping[str, str]) -> AssembledKernel:
    if not kernel.lines:
        raise GpusimError(f"{origin}:{kernel.line}: kernel '{kernel.name}' has no instruction; end it with EXIT")
    isa = load_isa(kernel.architecture)
    builder = ProgramBuilder()
    instructions = []
    for number, control, text in kernel.lines:
        try:
            instructions.append(_parse(kernel, text, isa, builder))
        except GpusimError as error:
            raise GpusimError(f"{origin}:{number}: {error}") from None
        builder.add(instructions[-1], control, text.removesuffix(";").strip())
    last = instructions[-1]
    if last.opcode.split(".", 1)[0] not in _ENDS or last.guard != PT or last.guard_negate:
        raise GpusimError(f"{origin}:{kernel.lines[-1][0]}: kernel '{kernel.name}' runs off its end; add EXIT")
    try:
        program = Program(
            name=kernel.name,
            architecture=kernel.architecture,
            parameters=_place_parameters(kernel),
            parameter_base=isa.parameter_base,
            registers=_register_count(kernel, instructions),
            shared_bytes=kernel.numbers.get(".shared", 0),
            local_bytes=kernel.numbers.get(".local", 0),
            barriers=_barriers_used(instructions),
            provenance=provenance,
            **builder.tables(),
        )
    except GpusimError as error:
        raise GpusimError(f"{origin}:{kernel.line}: {error}") from None
    return AssembledKernel(program, kernel.grid, kernel.block, tuple(kernel.parameters))


def assemble(path: Path | str) -> tuple[AssembledKernel, ...]:
    """All kernels of a `.sass` file, in order.

    Raises GpusimError naming file, line and remedy.
    """
    import gpusim

    path = Path(path)
    data = read_bytes(path, "assembly text")
    try:
        source = data.decode()
    except UnicodeDecodeError as error:
        raise GpusimError(f"{path}: cannot read the assembly text: {error}") from error
    reader = _Reader()
    for number, text in enumerate(source.splitlines(), 1):
        try:
            reader.read(number, text)
        except GpusimError as error:
            raise GpusimError(f"{path}:{number}: {error}") from None
    if not reader.kernels:
        raise GpusimError(f"{path}: no kernel; start with `.arch sm_86` and `.kernel NAME`")
    provenance = {
        "source": path.name,
        "source_sha256": hashlib.sha256(data).hexdigest(),
        "assembler": f"gpusim {gpusim.__version__}",
    }
    return tuple(_assemble_kernel(kernel, str(path), provenance) for kernel in reader.kernels)
