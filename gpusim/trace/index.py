"""What `trace.json` holds, as models: whatever it says is checked here before anything is done with it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from gpusim import limits
from gpusim.sass.isa import SUPPORTED_ARCHITECTURES
from gpusim.schema import Strict

Count = Annotated[int, Field(ge=0, lt=1 << 48)]
Word = Annotated[int, Field(ge=0, lt=1 << 32)]
Hexadecimal = Annotated[str, Field(pattern="^([0-9a-f]{2})*$")]
Dtype = Annotated[str, Field(pattern=r"^[<|][iu][1248]$")]
Extent = tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]


class Block(Strict):
    """Where an array lies in its file; see gpusim.trace.blocks."""

    dtype: Dtype | tuple[tuple[str, Dtype], ...]
    count: Count
    stored: Dtype | None = None
    delta: Literal[1] | None = None
    offset: Count
    bytes: Count
    crc32: Word


class Columns(Strict):
    """The blocks of a chunk; see gpusim.trace.chunks."""

    warp_instructions: Block
    index: Block
    mask: Block
    explicit: Block
    base: Block
    stride: Block
    lanes: Block


class Chunk(Strict):
    first_cta: Count
    cta_count: Annotated[Count, Field(ge=1)]
    warp_instructions: Count
    columns: Columns | None = None
    pieces: Block | None = None  # see gpusim.trace.pieces

    @model_validator(mode="after")
    def _whole_or_cut(self) -> Chunk:
        if (self.columns is None) == (self.pieces is None):
            raise ValueError("a chunk has either columns or pieces")
        if self.pieces is not None and self.cta_count != 1:
            raise ValueError(f"{self.cta_count} CTAs are stored in pieces, which is for one that is long")
        return self


class LaunchEntry(Strict):
    file: str
    bytes: Count
    program: Count
    grid: Extent
    block: Extent
    shared_bytes: Annotated[int, Field(ge=0, lt=1 << 30)]
    provenance: dict[str, str]
    chunks: tuple[Chunk, ...]

    @field_validator("grid", "block")
    @classmethod
    def _within_limits(cls, sizes: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        if problem := limits.extent_problem(str(info.field_name), sizes):
            raise ValueError(problem)
        return sizes

    @model_validator(mode="after")
    def _ctas_follow_each_other(self) -> LaunchEntry:
        following = 0
        for chunk in self.chunks:
            if chunk.first_cta != following:
                raise ValueError(f"a chunk begins at CTA {chunk.first_cta}, the next one is {following}")
            following += chunk.cta_count
        x, y, z = self.grid
        if following != x * y * z:
            raise ValueError(f"{following} CTAs of {x * y * z} are indexed")
        return self


class Globals(Strict):
    size: Count
    image: Hexadecimal
    relocations: tuple[tuple[Count, Count, Literal[4, 8], int], ...]
    symbols: tuple[tuple[str, int, Count, Count], ...]


class Metadata(Strict):
    """Everything of a Program but its tables; see Program.metadata."""

    name: str
    architecture: Literal[SUPPORTED_ARCHITECTURES]  # type: ignore[valid-type]
    opcodes: tuple[str, ...]
    special_registers: tuple[str, ...]
    text: tuple[str, ...]
    constants: dict[Annotated[str, Field(pattern="^[0-9]{1,2}$")], Hexadecimal]
    globals: Globals
    parameters: tuple[tuple[Word, Word, str], ...]
    parameter_base: Annotated[int, Field(ge=0, lt=limits.CONSTANT_BYTES)]
    registers: Annotated[int, Field(ge=0, le=limits.REGISTERS + 1)]
    shared_bytes: Annotated[int, Field(ge=0, lt=1 << 30)]
    local_bytes: Annotated[int, Field(ge=0, le=limits.LOCAL_BYTES)]
    barriers: Annotated[int, Field(ge=0, le=limits.BARRIERS)]
    provenance: dict[str, str]


class ProgramEntry(Strict):
    file: str
    bytes: Count
    metadata: Metadata
    instructions: Block
    operands: Block


class Index(Strict):
    """The whole file."""

    format: str
    version: int
    provenance: dict[str, str]
    programs: tuple[ProgramEntry, ...]
    launches: tuple[LaunchEntry, ...]
    checksum: str = ""

    @model_validator(mode="after")
    def _programs_exist(self) -> Index:
        for number, launch in enumerate(self.launches):
            if launch.program >= len(self.programs):
                raise ValueError(f"launch {number} is of program {launch.program}, there are {len(self.programs)}")
        return self
