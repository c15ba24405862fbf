"""Measured curves of the memory hierarchy as data: `validation/memory/*.yaml`.

    kind: chase                 # which launches its points stand for: gpusim.validation.memory_programs
    unit: cycles                # of what was measured
    overrides: [sms=1]          # parameters for every run of the file
    program: ...                # SASS; $architecture is that of the card, `%repeat N` ... `%end` repeats lines
    curves:
      - id: a40.latency
        card: a40
        source: where the measurement is published
        points: [[2, 33.0], [163.6, 250.3]]     # [size or program, measured, what else the kind needs]
        rows:
          - {id: l1, what: L1 hit, plateau: [2, 104], tolerance: 0.03}          # mean of the points of these sizes
          - {id: knee, what: ..., knee: [l1, l2], tolerance: 0.1}               # size half-way between two plateaus

A curve with a `tolerance` of its own has a row per point.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from gpusim import resources, yamlfile
from gpusim.errors import GpusimError
from gpusim.schema import Strict, load

DATA = "validation/memory"
Share = Annotated[float, Field(gt=0, lt=1)]
Point = tuple[float | str, float] | tuple[float | str, float, int] | tuple[float | str, float, int, int]


def _within(limits: tuple[float, float], size: float | str) -> bool:
    return not isinstance(size, str) and limits[0] <= size <= limits[1]


class RowData(Strict):
    """A number read off a curve: the mean over a range of sizes, or where it passes from one plateau to the next."""

    id: str
    what: str
    plateau: tuple[float, float] | None = None
    knee: tuple[str, str] | None = None
    tolerance: Share

    @model_validator(mode="after")
    def _one(self) -> RowData:
        if (self.plateau is None) == (self.knee is None):
            raise ValueError(f"{self.id}: either a plateau or a knee")
        return self


class CurveData(Strict):
    id: str
    card: str
    source: str
    block: Annotated[int, Field(ge=32, le=1024)] = 32
    tolerance: Share | None = None
    points: Annotated[tuple[Point, ...], Field(min_length=1)]
    rows: tuple[RowData, ...] = ()

    @model_validator(mode="after")
    def _rows_refer_to_something(self) -> CurveData:
        plateaus = [row.id for row in self.rows if row.plateau]
        for row in self.rows:
            if row.knee and not set(row.knee) <= set(plateaus):
                raise ValueError(f"{row.id}: a knee lies between two plateaus of the curve: {', '.join(plateaus)}")
            if row.plateau and not any(_within(row.plateau, point[0]) for point in self.points):
                raise ValueError(f"{row.id}: no point lies on the plateau")
        return self


class StreamProgram(Strict):
    arrays: Annotated[int, Field(ge=1, le=4)] = Field(description="read or written once each")
    body: str


class FileData(Strict):
    kind: Literal["chase", "reads", "stream"]
    unit: str
    overrides: tuple[str, ...] = ()
    program: str
    programs: dict[str, StreamProgram] = Field(default_factory=dict)
    curves: tuple[CurveData, ...]


@dataclass(frozen=True)
class Curve:
    """One measured curve with the file that says how to simulate it."""

    file: FileData
    data: CurveData


def load_curves(folder: Path | None = None) -> list[Curve]:
    """All curves in the order of files and within them. Raises GpusimError for a file not as described above."""
    folder = folder or resources.find(DATA)
    curves = []
    for path in sorted(folder.glob("*.yaml")):
        file = load(FileData, yamlfile.read(path))
        curves += [Curve(file, curve) for curve in file.curves]
    names = [curve.data.id for curve in curves]
    if len(set(names)) < len(names):
        raise GpusimError(f"{folder}: two curves of one name among {', '.join(names)}")
    return curves
