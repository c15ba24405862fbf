"""The measured tables as data: YAML files of experiments, each a SASS template, its cases and the rows it answers.

    source: arXiv 2503.20481 Table 2        # of every row that names none
    architectures: [86]                     # compute capabilities whose cards the rows hold for
    overrides: [sms=1]                      # parameters for every program of the file
    experiments:
      - id: ldg_$width                      # $NAME: a value of the case
        what: load, $width bits
        frame: warm                         # text of frames.yaml around the program
        cases: [[{width: 32, raw: 32}]]     # axes; every combination of one entry each is a program
        program: |
          [B------:R-:W0:-:S02] LDG.E R4, [R2] ;        # @producer
          [B0-----:R-:W-:-:S01] FADD R5, R4, R4 ;       # @consumer
        rows:
          - {id: raw, measure: {distance: {first: producer, last: consumer}}, expected: $raw}

A comment `@NAME` marks the instruction of its line for the measurement. `%repeat N` ... `%end` repeats lines with
$i = 0 .. N-1. Rows below `rows` of a file combine programs of several experiments.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from string import Template
from typing import Annotated, Any

from pydantic import Field, RootModel

from gpusim import resources, yamlfile
from gpusim.errors import GpusimError
from gpusim.schema import Strict, load

DATA = "validation/paper"
FRAMES = "frames.yaml"
_MARK = re.compile(r"#\s*@(\w+)")
_REPEAT = re.compile(r"^[ \t]*%repeat (\d+)\n(.*?)^[ \t]*%end\n", re.MULTILINE | re.DOTALL)


class RowData(Strict):
    """One comparison. `over` with `reduce` measures several programs, `minus` subtracts another program's value."""

    id: str
    what: str = ""
    measure: dict[str, dict[str, Any]]
    program: str | None = None
    over: str | None = None  # regular expression of program names
    reduce: str = "max"
    minus: str | None = None
    expected: Any
    source: str | None = None
    note: str = ""
    needs: str | None = None  # a part of gpusim that the row waits for


class ExperimentData(Strict):
    id: str
    what: str = ""
    frame: str = "cold"
    block: Any = 32
    shared: int = 0
    overrides: tuple[str, ...] = ()
    cases: tuple[tuple[dict[str, Any], ...], ...] = ()
    program: str
    rows: tuple[RowData, ...] = ()


class FileData(Strict):
    source: str
    architectures: Annotated[tuple[int, ...], Field(min_length=1)]
    overrides: tuple[str, ...] = ()
    experiments: tuple[ExperimentData, ...]
    rows: tuple[RowData, ...] = ()


class FrameData(Strict):
    passes: int
    text: str


class FramesData(RootModel[dict[str, FrameData]]):
    """The file of frames: text by name."""


@dataclass(frozen=True)
class Experiment:
    """One kernel: its SASS text with `.kernel` name `kernel`, and what to simulate it with.

    marks: instruction indices by mark, in program order. passes: how often the marked instructions run per warp.
    """

    name: str
    kernel: str
    text: str
    block: int
    passes: int
    overrides: tuple[str, ...]
    marks: dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Row:
    """One published value and how to find ours. `programs` are names of experiments; see RowData for the rest."""

    name: str
    what: str
    source: str
    note: str
    needs: str | None
    programs: tuple[str, ...]
    reduce: str
    minus: str | None
    measure: str
    arguments: dict[str, Any]
    expected: Any


@dataclass(frozen=True)
class Suite:
    """All rows that apply to an architecture, in file order, and the experiments by name."""

    rows: tuple[Row, ...]
    experiments: dict[str, Experiment]


def load_suite(architecture: int, folder: Path | None = None) -> Suite:
    """Read the folder (default: the data that come with gpusim) and expand what applies to `architecture`.

    Raises GpusimError naming the file and the row where a file is not as described above.
    """
    folder = folder or resources.find(DATA)
    frames = load(FramesData, yamlfile.read(folder / FRAMES)).root
    rows: list[Row] = []
    experiments: dict[str, Experiment] = {}
    for path in sorted(folder.glob("*.yaml")):
        if path.name != FRAMES:
            data = load(FileData, yamlfile.read(path))
            if architecture in data.architectures:
                _expand_file(path, data, frames, architecture, rows, experiments)
    _check(rows, experiments, folder)
    return Suite(tuple(rows), experiments)


def _expand_file(
    path: Path,
    data: FileData,
    frames: dict[str, FrameData],
    architecture: int,
    rows: list[Row],
    experiments: dict[str, Experiment],
) -> None:
    for experiment in data.experiments:
        if experiment.frame not in frames:
            raise GpusimError(f"{path}: {experiment.id}: no frame '{experiment.frame}'; there are {', '.join(frames)}")
        for case in _cases(experiment):
            try:
                program = _program(path.stem, data, experiment, case, frames[experiment.frame], architecture)
                here = [_row(path.stem, data, row, case, experiment, program.name) for row in experiment.rows]
            except (KeyError, ValueError) as error:
                raise GpusimError(f"{path}: {experiment.id}: {error} in a template, case {case}") from error
            if program.name in experiments:
                raise GpusimError(f"{path}: two programs have the name {program.name}; use the case in the id")
            experiments[program.name] = program
            rows.extend(here)
    rows.extend(_row(path.stem, data, row, {}, None, None) for row in data.rows)


def _cases(experiment: ExperimentData) -> list[dict[str, Any]]:
    """Every combination of one entry per axis, merged."""
    return [{k: v for entry in chosen for k, v in entry.items()} for chosen in itertools.product(*experiment.cases)]


def _fill(value: Any, case: dict[str, Any]) -> Any:
    """Substitute the case in every string; a string that is one `$name` becomes the value itself."""
    if isinstance(value, dict):
        return {_fill(k, case): _fill(v, case) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_fill(v, case) for v in value]
    if not isinstance(value, str):
        return value
    return _lists(case[value[1:]]) if value[:1] == "$" and value[1:] in case else Template(value).substitute(case)


def _lists(value: Any) -> Any:
    """Sequences as lists, which measures give."""
    return [_lists(element) for element in value] if isinstance(value, list | tuple) else value


def repeat_lines(text: str, case: dict[str, Any]) -> str:
    """Write out every `%repeat N` ... `%end`, substituting `case` and $i in its lines."""

    def repeated(match: re.Match) -> str:
        return "".join(Template(match[2]).substitute(case, i=i) for i in range(int(match[1])))

    return _REPEAT.sub(repeated, text)


def _program(
    group: str, data: FileData, experiment: ExperimentData, case: dict[str, Any], frame: FrameData, architecture: int
) -> Experiment:
    name = f"{group}.{_fill(experiment.id, case)}"
    kernel = re.sub(r"\W", "_", name)
    block = int(_fill(experiment.block, case))
    body = Template(repeat_lines(Template(experiment.program).safe_substitute(case), case)).substitute(case)
    head = f".arch sm_{architecture}\n.kernel {kernel}\n.grid 1\n.block {block}\n"
    head += f".shared {experiment.shared}\n" if experiment.shared else ""
    text = head + Template(frame.text).substitute(case, body=body)
    overrides = (*data.overrides, *_fill(experiment.overrides, case))
    return Experiment(name, kernel, text, block, frame.passes, overrides, _marks(text))


def _marks(text: str) -> dict[str, tuple[int, ...]]:
    marks: dict[str, list[int]] = {}
    instructions = (line for line in text.splitlines() if line.lstrip().startswith("["))
    for index, line in enumerate(instructions):
        for name in _MARK.findall(line):
            marks.setdefault(name, []).append(index)
    return {name: tuple(places) for name, places in marks.items()}


def _row(
    group: str,
    data: FileData,
    row: RowData,
    case: dict[str, Any],
    experiment: ExperimentData | None,
    program: str | None,
) -> Row:
    """A row of an experiment's case, or of the file where `experiment` is None."""
    filled = {k: _fill(v, case) for k, v in row.model_dump().items()}
    base = program if program else group
    chosen = filled["program"] or program
    if len(filled["measure"]) != 1:
        raise ValueError(f"row {row.id}: one measure expected")
    [(measure, arguments)] = filled["measure"].items()
    what = ", ".join(part for part in (_fill(experiment.what, case) if experiment else "", filled["what"]) if part)
    return Row(
        name=f"{base}.{filled['id']}" if filled["id"] else base,
        what=what,
        source=filled["source"] or _fill(data.source, case),
        note=filled["note"],
        needs=filled["needs"],
        programs=(f"~{filled['over']}",) if filled["over"] else (chosen,) if chosen else (),
        reduce=filled["reduce"],
        minus=filled["minus"],
        measure=measure,
        arguments=arguments,
        expected=filled["expected"],
    )


def _check(rows: list[Row], experiments: dict[str, Experiment], folder: Path) -> None:
    """Resolve patterns of program names, and check that all names exist."""
    for k, row in enumerate(rows):
        names = row.programs
        if names and names[0].startswith("~"):
            names = tuple(name for name in experiments if re.fullmatch(names[0][1:], name))
            rows[k] = row = replace(row, programs=names)
        if not names and not row.needs:
            raise GpusimError(f"{folder}: {row.name}: no program")
        for name in (*names, *([row.minus] if row.minus else [])):
            if name not in experiments:
                raise GpusimError(f"{folder}: {row.name}: no program '{name}'")
    repeated = [name for name, count in Counter(row.name for row in rows).items() if count > 1]
    if repeated:
        raise GpusimError(f"{folder}: rows of the same name: {', '.join(sorted(repeated))}")
