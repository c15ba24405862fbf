"""The launch description: which kernels to run, on which buffers, with which arguments.

A YAML file beside the kernel. It is data only: reading it executes nothing. All mistakes are reported at once, each
with its line and, for an unknown key, the nearest one that exists.

    buffers:
      x:   {dtype: float32, shape: [1048576], fill: random, seed: 1, low: -1, high: 1}
      out: {dtype: float32, shape: [1048576], fill: zeros}
    launches:
      - kernel: saxpy            # its name, or a part of its mangled name; optional if there is one kernel only
        grid: [4096]             # one to three sizes
        block: [256]
        dynamic_shared: 0        # bytes
        cooperative: false       # true for kernels with grid barriers (cooperative_groups::this_grid().sync())
        arguments:
          - {int32: 1048576}
          - {float32: 2.5}
          - {buffer: x}          # its address; `offset: 4` moves it by elements
          - {buffer: out}
          - {struct: [{int32: 4}, {float32: 0.5}, {buffer: x}]}   # by value, laid out as C does; members may be structs
          - {bytes: 0400 0000 0000 003f}                          # or byte by byte, in hexadecimal
    variables:                   # optional: __constant__ and __device__ variables, written before the first launch
      weights: {float32: [3, 3, 3, 3]}
    expected:                    # optional: what buffers must hold after all launches
      - {buffer: out, file: out.npy, relative: 1e-6, absolute: 0}

For a profile (.ncu-rep) a launch says neither grid nor block nor dynamic_shared, which the profile knows, but with
`launch: 3` which of its launches is meant, where it holds several. `report: {repository: ..., commit: ..., path: ...}`
then names the profile for the reader.

Fills: zeros; constant (value); arange (start, step); random (seed, low, high: floats in [low, high), integers from low
to high - 1); mersenne (seed, low, high: float32 numbers that a C++ program draws from std::mt19937 through
std::uniform_real_distribution<float> of GNU libstdc++, as many host programs fill their inputs); permutation and cycle
(seed, scale: a random order of 0..n-1, or one random cycle through them for pointer chases, times scale); npy (file,
beside the launch file); addresses (uint64: `of: [{buffer: x}, {buffer: x, offset: 64}]`, a pointer for each element).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, ValidationInfo, field_validator, model_validator

from gpusim import yamlfile
from gpusim.errors import GpusimError, nearest
from gpusim.limits import extent_problem
from gpusim.sass.program import OperandKind, Program
from gpusim.schema import Strict, load
from gpusim.yamlfile import Document, KeyPath

DTYPES = Literal[
    "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64"
]  # fmt: skip
MOST_ELEMENTS = 1 << 40
"""Of a buffer: more than the memory of any card."""
MOST_DIMENSIONS = 32

Size = Annotated[int, Field(gt=0, lt=1 << 31)]
Number = int | float


def check_fits(dtype: str, what: str, number: Number, special: bool = False) -> None:
    """Raises ValueError where a number is changed by becoming `dtype`; infinity and NaN are `special` numbers."""
    if "float" in dtype:
        limit = float(np.finfo(dtype).max)
        if not (special if not math.isfinite(number) else abs(number) <= limit):
            raise ValueError(f"{what} {number:g} does not fit {dtype}, whose largest is {limit:g}")
        return
    limits = np.iinfo(dtype)
    if not math.isfinite(number) or number != int(number):
        raise ValueError(f"{what} {number:g} is no whole number, as {dtype} wants")
    if not limits.min <= number <= limits.max:
        raise ValueError(f"{what} {number} does not fit {dtype}, {limits.min} to {limits.max}")


class _Fill(Strict):
    dtype: DTYPES
    shape: Annotated[tuple[Size, ...], Field(min_length=1, max_length=MOST_DIMENSIONS)]

    @field_validator("shape")
    @classmethod
    def _countable(cls, shape: tuple[int, ...]) -> tuple[int, ...]:
        if math.prod(shape) > MOST_ELEMENTS:
            raise ValueError(f"{math.prod(shape):,} elements; a buffer has at most {MOST_ELEMENTS:,}")
        return shape

    @property
    def count(self) -> int:
        """Elements."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        return self.count * np.dtype(self.dtype).itemsize


class Zeros(_Fill):
    fill: Literal["zeros"]


class Constant(_Fill):
    fill: Literal["constant"]
    value: Number

    @model_validator(mode="after")
    def _fits(self) -> Constant:
        check_fits(self.dtype, "value", self.value, special=True)
        return self


class Arange(_Fill):
    fill: Literal["arange"]
    start: Number = 0
    step: Number = 1

    @model_validator(mode="after")
    def _fits(self) -> Arange:
        check_fits(self.dtype, "start", self.start)
        check_fits("float64" if "float" in self.dtype else "int64", "step", self.step)
        check_fits(self.dtype, "the last element", self.start + self.step * (self.count - 1))
        return self


class RandomFill(_Fill):
    fill: Literal["random"]
    seed: Annotated[int, Field(ge=0)] = 0
    low: Number = 0
    high: Number = 1

    @model_validator(mode="after")
    def _ordered(self) -> RandomFill:
        if not self.low < self.high:
            raise ValueError("low must be less than high")
        check_fits(self.dtype, "low", self.low)
        # integers stop before high
        check_fits(self.dtype, "high", self.high if "float" in self.dtype else self.high - 1)
        check_fits("float64", "high - low", self.high - self.low)
        return self


class Mersenne(_Fill):
    fill: Literal["mersenne"]
    dtype: Literal["float32"]
    seed: Annotated[int, Field(ge=0, lt=1 << 32)]
    low: float = 0
    high: float = 1

    @model_validator(mode="after")
    def _fits(self) -> Mersenne:
        for what, number in (("low", self.low), ("high", self.high), ("high - low", self.high - self.low)):
            check_fits("float32", what, number)
        return self


class Permutation(_Fill):
    fill: Literal["permutation", "cycle"]
    seed: Annotated[int, Field(ge=0)] = 0
    scale: Annotated[int, Field(gt=0)] = 1

    @model_validator(mode="after")
    def _fits(self) -> Permutation:
        check_fits(self.dtype, "scale", self.scale)
        check_fits(self.dtype, "the largest element", self.scale * (self.count - 1))
        return self


class Npy(_Fill):
    fill: Literal["npy"]
    file: str


class Argument(Strict):
    """One kernel argument: exactly one typed value, or a buffer's address."""

    int8: Annotated[int, Field(ge=-(1 << 7), lt=1 << 7)] | None = None
    uint8: Annotated[int, Field(ge=0, lt=1 << 8)] | None = None
    int16: Annotated[int, Field(ge=-(1 << 15), lt=1 << 15)] | None = None
    uint16: Annotated[int, Field(ge=0, lt=1 << 16)] | None = None
    int32: Annotated[int, Field(ge=-(1 << 31), lt=1 << 31)] | None = None
    uint32: Annotated[int, Field(ge=0, lt=1 << 32)] | None = None
    int64: Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)] | None = None
    uint64: Annotated[int, Field(ge=0, lt=1 << 64)] | None = None
    float16: float | None = None
    float32: float | None = None
    float64: float | None = None
    buffer: str | None = None
    struct: Annotated[tuple[Argument, ...], Field(min_length=1)] | None = None
    bytes: Annotated[str, Field(min_length=1)] | None = None  # hexadecimal
    offset: Annotated[int, Field(ge=0)] | None = None  # elements

    @field_validator("bytes")
    @classmethod
    def _hexadecimal(cls, text: str | None) -> str | None:
        try:
            bytearray.fromhex(text or "")
        except ValueError:
            raise ValueError(f"'{text}' is not hexadecimal, two digits a byte") from None
        return text

    @model_validator(mode="after")
    def _one_value(self) -> Argument:
        given = [name for name in self.model_fields_set if name != "offset"]
        if len(given) != 1 or getattr(self, given[0]) is None:
            raise ValueError("an argument is one value, such as {int32: 4} or {buffer: x}")
        if self.offset is not None and self.buffer is None:
            raise ValueError("offset belongs to a buffer")
        if "float" in self.dtype:
            check_fits(self.dtype, "the argument", getattr(self, self.dtype), special=True)
        return self

    @property
    def dtype(self) -> str:
        """Name of the scalar type, `buffer`, `struct` or `bytes`."""
        return next(name for name in self.model_fields_set if name != "offset")

    @property
    def alignment(self) -> int:
        """Of its place in a struct, in bytes, as C has it."""
        if self.struct is not None:
            return max(member.alignment for member in self.struct)
        return 8 if self.buffer is not None else 1 if self.bytes is not None else np.dtype(self.dtype).itemsize

    def leaves(self) -> Iterator[Argument]:
        """Itself, or of a struct its innermost members."""
        for member in self.struct or ():
            yield from member.leaves()
        if self.struct is None:
            yield self

    def packed(self, address: Callable[[Argument], int]) -> bytearray:
        """Its bytes; `address` gives that of a buffer."""
        if self.struct is not None:
            data = bytearray()
            for member in self.struct:
                data += bytearray(-len(data) % member.alignment) + member.packed(address)
            return data + bytearray(-len(data) % self.alignment)
        if self.buffer is not None:
            return bytearray(address(self).to_bytes(8, "little"))
        if self.bytes is not None:
            return bytearray.fromhex(self.bytes)
        return bytearray(np.array(getattr(self, self.dtype), self.dtype).tobytes())

    def __str__(self) -> str:
        if self.struct is not None:
            return f"struct ({', '.join(map(str, self.struct))})"
        extra = f"+{self.offset}" if self.offset else ""
        return f"{self.dtype} {getattr(self, self.dtype)}{extra}"


Sizes = Annotated[tuple[Size, ...], Field(min_length=1, max_length=3)]


class KernelLaunch(Strict):
    kernel: str | None = None
    launch: Annotated[int, Field(ge=0)] | None = None  # index in a profile
    grid: Sizes | None = None
    block: Sizes | None = None
    dynamic_shared: Annotated[int, Field(ge=0, le=1 << 18)] = 0
    cooperative: bool = False
    arguments: tuple[Argument, ...] = ()

    @field_validator("grid", "block")
    @classmethod
    def _within_limits(cls, sizes: tuple[int, ...] | None, info: ValidationInfo) -> tuple[int, ...] | None:
        if sizes is not None and (problem := extent_problem(str(info.field_name), sizes)):
            raise ValueError(problem)
        return sizes


class ExpectedBuffer(Strict):
    """What a buffer must hold in the end: |actual - expected| <= absolute + relative * |expected|."""

    buffer: str
    file: str
    relative: Annotated[float, Field(ge=0)] = 0.0
    absolute: Annotated[float, Field(ge=0)] = 0.0


class ReportSource(Strict):
    """Where the profile that a launch file belongs to can be found."""

    repository: str
    commit: str
    path: str


class Addresses(_Fill):
    fill: Literal["addresses"]
    dtype: Literal["uint64"]
    of: tuple[Argument, ...]

    @model_validator(mode="after")
    def _one_each(self) -> Addresses:
        if len(self.of) != self.count:
            raise ValueError(f"{len(self.of)} addresses for {self.count} elements")
        if any(each.buffer is None for each in self.of):
            raise ValueError("an address is that of a buffer, such as {buffer: x, offset: 4}")
        return self


Buffer = Annotated[
    Zeros | Constant | Arange | RandomFill | Mersenne | Permutation | Npy | Addresses, Field(discriminator="fill")
]


class Variable(Strict):
    """Values of a variable of the program, all of one type."""

    int8: tuple[int, ...] | None = None
    uint8: tuple[int, ...] | None = None
    int16: tuple[int, ...] | None = None
    uint16: tuple[int, ...] | None = None
    int32: tuple[int, ...] | None = None
    uint32: tuple[int, ...] | None = None
    int64: tuple[int, ...] | None = None
    uint64: tuple[int, ...] | None = None
    float16: tuple[float, ...] | None = None
    float32: tuple[float, ...] | None = None
    float64: tuple[float, ...] | None = None

    @model_validator(mode="after")
    def _one_type(self) -> Variable:
        given = list(self.model_fields_set)
        if len(given) != 1 or not getattr(self, given[0]):
            raise ValueError("a variable has values of one type, such as {float32: [3, 4]}")
        for value in getattr(self, given[0]):
            check_fits(given[0], "the value", value, special=True)
        return self

    def packed(self) -> bytes:
        """The values, one after another."""
        (dtype,) = self.model_fields_set
        return np.array(getattr(self, dtype), dtype).tobytes()


class Description(Strict):
    """A whole launch file."""

    report: ReportSource | None = None
    buffers: dict[str, Buffer] = Field(default_factory=dict)
    launches: Annotated[tuple[KernelLaunch, ...], Field(min_length=1)]
    variables: dict[str, Variable] = Field(default_factory=dict)
    expected: tuple[ExpectedBuffer, ...] = ()


@dataclass(frozen=True)
class LaunchFile:
    """A validated launch description and where it came from; `places` are those of the launches."""

    path: Path
    buffers: dict[str, Any]
    launches: tuple[KernelLaunch, ...]
    places: tuple[str, ...]
    expected: tuple[ExpectedBuffer, ...] = ()
    report: ReportSource | None = None
    variables: Mapping[str, Variable] = field(default_factory=dict)

    @contextmanager
    def meant_for(self, source: Path) -> Iterator[None]:
        """Errors in here name the report that the file says it is for, if `source` has another name.

        A report may have been renamed, so that alone is no error.
        """
        try:
            yield
        except GpusimError as error:
            named = self.report.path if self.report is not None else ""
            if not named or Path(named).name == source.name or OTHER_REPORT in str(error):
                raise
            raise GpusimError(
                f"{error}; {self.path} {OTHER_REPORT}, {named}: give each report the file for it"
            ) from None


OTHER_REPORT = "names another report"
_NO_TEXTURES = "a launch file gives no textures; run the whole program, which makes them (gpusim exec)"
_HINTS = dict.fromkeys(("texture", "surface", "texture_object", "surface_object"), _NO_TEXTURES)


def load_launch(path: Path | str, *, profiled: bool = False) -> LaunchFile:
    """Read and check a launch file; `profiled` if it is for a profile, which itself gives grid and block.

    Raises GpusimError naming file, line, key and remedy of every mistake.
    """
    document = yamlfile.read(path)
    if not isinstance(document.values, dict):
        raise GpusimError(f"{path}: a launch file is a mapping with 'buffers' and 'launches'")
    buffers = document.values.get("buffers")
    for buffer in buffers.values() if isinstance(buffers, dict) else ():
        if isinstance(buffer, dict):
            buffer.setdefault("fill", "zeros")
    description = load(Description, document, _HINTS)
    problems = [*_buffer_problems(description), *_geometry(description, profiled)]
    if problems:
        raise GpusimError("\n".join(f"{document.place(at)}: {yamlfile.dotted(at)}: {what}" for at, what in problems))
    return LaunchFile(
        Path(path),
        dict(description.buffers),
        description.launches,
        _places(document, len(description.launches)),
        description.expected,
        description.report,
        description.variables,
    )


def _places(document: Document, launches: int) -> tuple[str, ...]:
    return tuple(str(document.place(("launches", number))) for number in range(launches))


def _buffer_problems(description: Description) -> Iterator[tuple[KeyPath, str]]:
    """Arguments and expectations that name a buffer which is not there, or a place beyond its end."""
    named: list[tuple[KeyPath, str | None, int]] = [
        (("expected", k), each.buffer, 0) for k, each in enumerate(description.expected)
    ]
    for k, launch in enumerate(description.launches):
        for j, argument in enumerate(launch.arguments):
            named += [(("launches", k, "arguments", j), a.buffer, a.offset or 0) for a in argument.leaves()]
    for name, spec in description.buffers.items():
        if isinstance(spec, Addresses):
            named += [(("buffers", name, "of", k), each.buffer, each.offset or 0) for k, each in enumerate(spec.of)]
    for place, buffer, offset in named:
        if buffer is None:
            continue
        if buffer not in description.buffers:
            yield place, f"there is no buffer '{buffer}'{nearest(buffer, description.buffers)}"
        elif offset > (count := description.buffers[buffer].count):
            yield place, f"offset {offset} lies beyond buffer '{buffer}', which has {count} elements"


def _geometry(description: Description, profiled: bool) -> Iterator[tuple[KeyPath, str]]:
    """Launches that lack their sizes, or give what the profile gives."""
    for k, launch in enumerate(description.launches):
        place: KeyPath = ("launches", k)
        given = launch.model_fields_set & {"grid", "block", "dynamic_shared"}
        if profiled and given:
            yield place, f"leave out {', '.join(sorted(given))}: the profile gives them"
        elif not profiled:
            missing = [name for name in ("grid", "block") if getattr(launch, name) is None]
            if missing:
                yield place, f"{' and '.join(missing)} missing; only a profile gives them itself"
            if launch.launch is not None:
                yield place, "'launch' is the index in a profile; this is not for one"


_VARIABLES_BANK = 3
"""Constant bank of __constant__ variables."""


def unwritten(program: Program, launch_file: LaunchFile | None) -> list[str]:
    """__constant__ variables that a kernel may read, that its file leaves zero, and that nothing writes."""
    operands = program.operands
    if not ((operands.kind == OperandKind.CONSTANT) & (operands.bank == _VARIABLES_BANK)).any():
        return []
    data, written = program.constants.get(_VARIABLES_BANK, b""), launch_file.variables if launch_file else {}
    return [
        symbol.name
        for symbol in program.globals.symbols
        if symbol.bank == _VARIABLES_BANK
        and symbol.name not in written
        and not any(data[symbol.offset : symbol.offset + symbol.size])
    ]


def with_variables(program: Program, launch_file: LaunchFile) -> Program:
    """The program with the launch file's values in its __constant__ and __device__ variables.

    Raises GpusimError for a variable that it does not have, or that is smaller than its values.
    """
    if not launch_file.variables:
        return program
    symbols = {symbol.name: symbol for symbol in program.globals.symbols}
    constants = {bank: bytearray(image) for bank, image in program.constants.items()}
    image = bytearray(program.globals.image)
    for name, variable in launch_file.variables.items():
        symbol, data, origin = symbols.get(name), variable.packed(), f"{launch_file.path}: variables.{name}"
        if symbol is None:
            known = ", ".join(symbols) or "none"
            raise GpusimError(f"{origin}: the program has no such variable{nearest(name, symbols)}; it has {known}")
        if len(data) > symbol.size:
            raise GpusimError(f"{origin}: {len(data)} bytes of values, the variable has {symbol.size}")
        target = image if symbol.bank < 0 else constants[symbol.bank]
        target.extend(bytes(max(symbol.offset + len(data) - len(target), 0)))
        target[symbol.offset : symbol.offset + len(data)] = data
    return replace(
        program,
        constants={bank: bytes(data) for bank, data in constants.items()},
        globals=replace(program.globals, image=bytes(image)),
    )
