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
        arguments:
          - {int32: 1048576}
          - {float32: 2.5}
          - {buffer: x}          # its address; `offset: 4` moves it by elements
          - {buffer: out}
    expected:                    # optional: what buffers must hold after all launches
      - {buffer: out, file: out.npy, relative: 1e-6, absolute: 0}

For a profile (.ncu-rep) a launch says neither grid nor block nor dynamic_shared, which the profile knows, but with
`launch: 3` which of its launches is meant, where it holds several. `report: {repository: ..., commit: ..., path: ...}`
then names the profile for the reader.

Fills: zeros; constant (value); arange (start, step); random (seed, low, high: floats in [low, high), integers from low
to high - 1); mersenne (seed, low, high: float32 numbers that a C++ program draws from std::mt19937 through
std::uniform_real_distribution<float> of GNU libstdc++, as many host programs fill their inputs); permutation and cycle
(seed, scale: a random order of 0..n-1, or one random cycle through them for pointer chases, times scale); npy (file,
beside the launch file).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, Tag, TypeAdapter, ValidationError, model_validator
from pydantic import Discriminator as Tagger

from gpusim.errors import GpusimError, nearest

DTYPES = Literal[
    "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64"
]  # fmt: skip
MAXIMUM_BLOCK = 1024
MAXIMUM_BLOCK_Z = 64
"""Limits of a CTA, CUDA C++ Programming Guide, compute capabilities."""

Size = Annotated[int, Field(gt=0, lt=1 << 31)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Fill(_Strict):
    dtype: DTYPES
    shape: Annotated[list[Size], Field(min_length=1)]


class Zeros(_Fill):
    fill: Literal["zeros"]


class Constant(_Fill):
    fill: Literal["constant"]
    value: int | float


class Arange(_Fill):
    fill: Literal["arange"]
    start: int | float = 0
    step: int | float = 1


class RandomFill(_Fill):
    fill: Literal["random"]
    seed: Annotated[int, Field(ge=0)] = 0
    low: int | float = 0
    high: int | float = 1

    @model_validator(mode="after")
    def _ordered(self) -> RandomFill:
        if not self.low < self.high:
            raise ValueError("low must be less than high")
        if "float" not in self.dtype:
            limits = np.iinfo(self.dtype)
            if self.low < limits.min or self.high > int(limits.max) + 1:
                raise ValueError(f"low and high must lie within {self.dtype}")
        return self


class Mersenne(_Fill):
    fill: Literal["mersenne"]
    dtype: Literal["float32"]
    seed: Annotated[int, Field(ge=0, lt=1 << 32)]
    low: float = 0
    high: float = 1


class Permutation(_Fill):
    fill: Literal["permutation", "cycle"]
    seed: Annotated[int, Field(ge=0)] = 0
    scale: Annotated[int, Field(gt=0)] = 1


class Npy(_Fill):
    fill: Literal["npy"]
    file: str


FILLS = {
    "zeros": Zeros, "constant": Constant, "arange": Arange, "random": RandomFill, "mersenne": Mersenne,
    "permutation": Permutation, "cycle": Permutation, "npy": Npy,
}  # fmt: skip


def _fill_of(value: Any) -> str | None:
    fill = value.get("fill", "zeros") if isinstance(value, dict) else None
    return getattr(FILLS.get(fill), "__name__", None) if isinstance(fill, str) else None


Buffer = Annotated[
    Annotated[Zeros, Tag("Zeros")]
    | Annotated[Constant, Tag("Constant")]
    | Annotated[Arange, Tag("Arange")]
    | Annotated[RandomFill, Tag("RandomFill")]
    | Annotated[Mersenne, Tag("Mersenne")]
    | Annotated[Permutation, Tag("Permutation")]
    | Annotated[Npy, Tag("Npy")],
    Tagger(_fill_of, custom_error_type="unknown_fill", custom_error_message="unknown or missing fill"),
]


class Argument(_Strict):
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
    offset: Annotated[int, Field(ge=0)] | None = None  # elements

    @model_validator(mode="after")
    def _one_value(self) -> Argument:
        given = [name for name in self.model_fields_set if name != "offset"]
        if len(given) != 1:
            raise ValueError("an argument is one value, such as {int32: 4} or {buffer: x}")
        if self.offset is not None and self.buffer is None:
            raise ValueError("offset belongs to a buffer")
        return self

    @property
    def dtype(self) -> str:
        """Name of the scalar type, or `buffer`."""
        return next(name for name in self.model_fields_set if name != "offset")

    def __str__(self) -> str:
        extra = f"+{self.offset}" if self.offset else ""
        return f"{self.dtype} {getattr(self, self.dtype)}{extra}"


class KernelLaunch(_Strict):
    kernel: str | None = None
    launch: Annotated[int, Field(ge=0)] | None = None  # index in a profile
    grid: Annotated[list[Size], Field(min_length=1, max_length=3)] | None = None
    block: Annotated[list[Size], Field(min_length=1, max_length=3)] | None = None
    dynamic_shared: Annotated[int, Field(ge=0, le=1 << 18)] = 0
    arguments: list[Argument] = []

    @model_validator(mode="after")
    def _block_fits(self) -> KernelLaunch:
        if self.block is None:
            return self
        if int(np.prod(self.block)) > MAXIMUM_BLOCK or (len(self.block) == 3 and self.block[2] > MAXIMUM_BLOCK_Z):
            raise ValueError(f"a block has at most {MAXIMUM_BLOCK} threads, and {MAXIMUM_BLOCK_Z} in z")
        return self


class ExpectedBuffer(_Strict):
    """What a buffer must hold in the end: |actual - expected| <= absolute + relative * |expected|."""

    buffer: str
    file: str
    relative: Annotated[float, Field(ge=0)] = 0.0
    absolute: Annotated[float, Field(ge=0)] = 0.0


class ReportSource(_Strict):
    """Where the profile that a launch file belongs to can be found."""

    repository: str
    commit: str
    path: str


class Description(_Strict):
    """A whole launch file."""

    report: ReportSource | None = None
    buffers: dict[str, Buffer] = {}
    launches: Annotated[list[KernelLaunch], Field(min_length=1)]
    expected: list[ExpectedBuffer] = []


@dataclass(frozen=True)
class LaunchFile:
    """A validated launch description and where it came from."""

    path: Path
    buffers: dict[str, Any]
    launches: tuple[KernelLaunch, ...]
    expected: tuple[ExpectedBuffer, ...] = ()
    report: ReportSource | None = None


_REFUSED_ARGUMENTS = ("texture", "surface", "texture_object", "surface_object")

Lines = dict[tuple[Any, ...], int]


def _read(path: Path) -> tuple[Any, Lines]:
    """Parsed YAML and the line of every key and element. Raises GpusimError for unreadable or invalid YAML."""
    try:
        text = path.read_text(encoding="utf-8")
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        lines: Lines = {}
        problems: list[str] = []
        _note_lines(path, node, (), lines, problems)
        if problems:
            raise GpusimError("\n".join(problems))
        return loader.construct_document(node) if node else None, lines
    except (OSError, UnicodeDecodeError) as error:
        raise GpusimError(f"{path}: cannot read the launch file: {error}") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise GpusimError(f"{path}:{line}: not valid YAML: {error.problem}") from error


def _note_lines(path: Path, node: yaml.Node | None, at: tuple[Any, ...], lines: Lines, problems: list[str]) -> None:
    if node is None:
        return
    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        for k, element in enumerate(node.value):
            _note_lines(path, element, (*at, k), lines, problems)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*at, key.value)
            if here in lines:
                problems.append(f"{path}:{key.start_mark.line + 1}: '{key.value}' is given twice")
            lines[here] = key.start_mark.line + 1
            _note_lines(path, value, here, lines, problems)


def _known_keys(location: tuple[Any, ...]) -> list[str]:
    """Keys that may stand beside an unknown one."""
    if location[:1] == ("buffers",) and len(location) > 2:
        model = next((m for m in FILLS.values() if m.__name__ in location), Zeros)
    elif "arguments" in location:
        model = Argument
    elif location[:1] in (("expected",), ("report",)):
        model = ExpectedBuffer if location[0] == "expected" else ReportSource
    else:
        model = KernelLaunch if location[:1] == ("launches",) else Description
    return list(model.model_fields)


def _message(path: Path, error: dict[str, Any], lines: Lines) -> str:
    """One mistake in words, with its line."""
    location = tuple(error["loc"])
    tags = {model.__name__ for model in FILLS.values()}
    place = tuple(part for part in location if part not in tags)
    while place and place not in lines:
        place = place[:-1]
    text = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden" and location[-1] in _REFUSED_ARGUMENTS:
        text = "textures and surfaces are not supported; read global memory instead"
    elif error["type"] == "extra_forbidden":
        text = f"unknown key{nearest(str(location[-1]), _known_keys(location))}"
    elif error["type"] == "unknown_fill":
        given = error["input"].get("fill") if isinstance(error["input"], dict) else None
        text = f"unknown fill '{given}'{nearest(str(given), FILLS)}; one of {', '.join(FILLS)}"
    name = ".".join(str(part) for part in location if part not in tags) or "launch file"
    return f"{path}:{lines.get(place, 1)}: {name}: {text}"


def load_launch(path: Path | str, *, profiled: bool = False) -> LaunchFile:
    """Read and check a launch file; `profiled` if it is for a profile, which itself gives grid and block.

    Raises GpusimError naming file, line, key and remedy of every mistake.
    """
    path = Path(path)
    values, lines = _read(path)
    if not isinstance(values, dict):
        raise GpusimError(f"{path}: a launch file is a mapping with 'buffers' and 'launches'")
    for buffer in (values.get("buffers") or {}).values() if isinstance(values.get("buffers"), dict) else ():
        if isinstance(buffer, dict):
            buffer.setdefault("fill", "zeros")
    try:
        description = TypeAdapter(Description).validate_python(values)
    except ValidationError as error:
        raise GpusimError("\n".join(_message(path, e, lines) for e in error.errors())) from None
    problems = [*_unknown_buffers(path, description, lines), *_geometry(path, description, lines, profiled)]
    if problems:
        raise GpusimError("\n".join(problems))
    return LaunchFile(
        path,
        dict(description.buffers),
        tuple(description.launches),
        tuple(description.expected),
        description.report,
    )


def _unknown_buffers(path: Path, description: Description, lines: Lines) -> Iterator[str]:
    """Arguments and expectations that name a buffer which is not there."""
    named = [(("expected", k), "expected", e.buffer) for k, e in enumerate(description.expected)]
    for k, launch in enumerate(description.launches):
        named += [(("launches", k, "arguments", j), f"launches.{k}", a.buffer) for j, a in enumerate(launch.arguments)]
    for place, where, buffer in named:
        if buffer is not None and buffer not in description.buffers:
            hint = nearest(buffer, description.buffers)
            yield f"{path}:{lines.get(place, 1)}: {where}: there is no buffer '{buffer}'{hint}"


def _geometry(path: Path, description: Description, lines: Lines, profiled: bool) -> Iterator[str]:
    """Launches that lack their sizes, or give what the profile gives."""
    for k, launch in enumerate(description.launches):
        line = lines.get(("launches", k), 1)
        given = launch.model_fields_set & {"grid", "block", "dynamic_shared"}
        if profiled and given:
            yield f"{path}:{line}: launches.{k}: leave out {', '.join(sorted(given))}: the profile gives them"
        elif not profiled:
            missing = [name for name in ("grid", "block") if getattr(launch, name) is None]
            if missing:
                yield f"{path}:{line}: launches.{k}: {' and '.join(missing)} missing; only a profile gives them itself"
            if launch.launch is not None:
                yield f"{path}:{line}: launches.{k}: 'launch' is the index in a profile; this is not for one"
