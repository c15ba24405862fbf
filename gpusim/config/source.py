"""One YAML file as values that remember where they stand: file, line and comments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from gpusim.errors import GpusimError

KeyPath = tuple[str, ...]
"""Keys from the top of a file down to a value."""

_DEEPEST = 12
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Origin:
    """Where a key was written, and the comments beside it."""

    file: str
    line: int
    above: tuple[str, ...] = ()
    beside: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass
class Source:
    """A parsed file: nested values, an origin for each key path, and what is wrong with it so far."""

    path: Path
    values: dict[str, object] = field(default_factory=dict)
    origins: dict[KeyPath, Origin] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    header: tuple[str, ...] = ()


def read(path: Path) -> Source:
    """Parse a file with the safe loader; duplicate keys become problems.

    Raises GpusimError if the file cannot be read, is not YAML, or is not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise GpusimError(f"{path}: cannot be read as text: {error}") from None
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise GpusimError(f"{path}: a configuration is a mapping of keys to values, such as 'base: ampere.yaml'")
        source = Source(path, header=tuple(_leading_comments(text.splitlines())))
        _Reader(source, loader, text.splitlines()).mapping(node, (), source.values)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise GpusimError(f"{path}:{mark.line + 1 if mark else 1}: not valid YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise GpusimError(f"{path}: not valid YAML: {error}") from None
    finally:
        if loader is not None:
            loader.dispose()
    return source


class _Reader:
    """Walks the node tree of one file and fills its Source."""

    def __init__(self, source: Source, loader: yaml.SafeLoader, lines: list[str]) -> None:
        self.source = source
        self.loader = loader
        self.lines = lines

    def mapping(self, node: yaml.MappingNode, path: KeyPath, into: dict[str, object]) -> None:
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            line = key_node.start_mark.line + 1
            if key is None or len(path) >= _DEEPEST:
                problem = f"{self.source.path}:{line}: keys are plain words, nested {_DEEPEST} at most"
                self.source.problems.append(problem)
                continue
            here = (*path, key)
            if key in into:
                first = self.source.origins[here].line
                self.source.problems.append(
                    f"{self.source.path}:{line}: {'.'.join(here)}: duplicate key, first on line {first}; keep one"
                )
                continue
            self.source.origins[here] = self._origin(key_node, value_node)
            if isinstance(value_node, yaml.MappingNode):
                section: dict[str, object] = {}
                into[key] = section
                self.mapping(value_node, here, section)
            else:
                into[key] = self.loader.construct_object(value_node, deep=True)

    def _origin(self, key: yaml.Node, value: yaml.Node) -> Origin:
        row, column = key.start_mark.line, key.start_mark.column
        block = isinstance(value, yaml.MappingNode) and not value.flow_style
        end = key.end_mark if block else value.end_mark
        last = self.lines[end.line] if end.line < len(self.lines) else ""
        tail = last[end.column :].lstrip(" \t:" if block else " \t")
        beside = [tail[1:].strip()] if tail.startswith("#") else []
        if beside:
            beside += self._continuation(end.line, last.index(tail, end.column))
        above = [] if self.lines[row][:column].strip() else self._above(row, column)
        return Origin(str(self.source.path), row + 1, tuple(above), " ".join(beside))

    def _continuation(self, row: int, column: int) -> Iterator[str]:
        """Comment lines under a trailing comment, aligned with it."""
        for line in self.lines[row + 1 :]:
            if line[:column].strip() or not line[column:].startswith("#"):
                return
            yield line[column + 1 :].strip()

    def _above(self, row: int, column: int) -> list[str]:
        """Comment lines directly over a key, aligned with it."""
        found: list[str] = []
        while row > 0 and not self.lines[row - 1][:column].strip() and self.lines[row - 1][column:].startswith("#"):
            row -= 1
            found.insert(0, self.lines[row][column + 1 :].strip())
        return found


def _leading_comments(lines: list[str]) -> Iterator[str]:
    for line in lines:
        if not line.startswith("#"):
            return
        yield line[1:].removeprefix(" ").rstrip()
