"""YAML as users write it -> values, and the place and the comments of each. The only reader of YAML.

Scalars are those of the core schema of YAML 1.2: `1e-5` is a number, and what YAML 1.1 takes for a date (2001-12-31),
base 60 (1:30), octal (010) or true (yes) is text. Keys are text whatever they look like. How numbers, true and false
are written is kept, for so `schema.check` takes them where a text is asked for: a commit 41754e2 is one. Beyond YAML
itself a file is bounded: in bytes, in depth, in what its aliases stand for, and in the digits of a number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from gpusim.errors import GpusimError
from gpusim.plainfile import read_bytes

KeyPath = tuple[str | int, ...]
"""Keys, and numbers of list elements, from the top of a file down to a value."""

MOST_BYTES = 8 << 20
DEEPEST = 32
MOST_ALIASED = 20_000
"""Values that aliases may add to those that are written out."""
MOST_DIGITS = 40

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_OTHER_BASE = re.compile(r"0x[0-9a-fA-F]+|0o[0-7]+")
_FLOAT = re.compile(r"[-+]?(?:(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)")
_WORDS: dict[str, object] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **{f"{sign}.{word}": float(f"{sign}inf") for sign in ("", "+", "-") for word in ("inf", "Inf", "INF")},
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}


class Place(NamedTuple):
    """Where a key or an element stands: file, line from 1 (0: the file has no lines), columns from 0."""

    file: str
    line: int
    column: int = 0
    last_line: int = 0
    last_column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass
class Document:
    """What was read: nested values, the place of each key and element, and what is wrong so far (duplicate keys).

    `written` tells the text of each number, true and false. `unfit` are numbers beyond the bounds, which stay text, and
    what is wrong with them unless text is what they should be.
    """

    name: str
    lines: list[str] = field(default_factory=list)
    values: Any = None
    places: dict[KeyPath, Place] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    written: dict[KeyPath, str] = field(default_factory=dict)
    unfit: dict[KeyPath, str] = field(default_factory=dict)

    def place(self, path: KeyPath) -> Place:
        """Place of a value, or of the nearest one around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, Place(self.name, 0))

    def check(self) -> None:
        """Raises GpusimError where there are problems, unfit numbers among them."""
        problems = self.problems + [f"{self.place(path)}: {what}" for path, what in self.unfit.items()]
        if problems:
            raise GpusimError("\n".join(problems))

    @property
    def header(self) -> list[str]:
        """The comment lines that the file begins with."""
        return list(_comments(self.lines, 0, 0))

    def comments(self, path: KeyPath) -> tuple[list[str], str]:
        """The comment lines above a key, and the comment beside its value."""
        _, line, column, last_line, last_column = self.places[path]
        row, last_row = line - 1, last_line - 1
        last = self.lines[last_row] if last_row < len(self.lines) else ""
        tail = last[last_column:].lstrip(" \t:")
        beside = [tail[1:].strip()] if tail.startswith("#") else []
        if beside:
            beside += _comments(self.lines, last_row + 1, last.index(tail, last_column))
        first = row
        while first > 0 and not self.lines[first - 1][:column].strip() and self.lines[first - 1][column:][:1] == "#":
            first -= 1
        alone = not self.lines[row][:column].strip()
        above = [text[column + 1 :].strip() for text in self.lines[first:row]] if alone else []
        return above, " ".join(beside)


def _comments(lines: list[str], row: int, column: int) -> Iterator[str]:
    """Comment lines from `row` on that begin at `column`."""
    for line in lines[row:]:
        if line[:column].strip() or line[column:][:1] != "#":
            return
        yield line[column + 1 :].removeprefix(" ").rstrip()


def dotted(path: KeyPath) -> str:
    """A key path in words, as `launches[0].grid`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def read(path: Path | str) -> Document:
    """Read a file. Raises GpusimError naming file and line where it is no YAML or beyond the bounds."""
    data = read_bytes(path, "a YAML file", MOST_BYTES)
    try:
        return parse(data.decode("utf-8-sig"), str(path))
    except UnicodeDecodeError as error:
        place = Place(str(path), data.count(b"\n", 0, error.start) + 1)
        raise GpusimError(f"{place}: cannot be read as text: byte {data[error.start]:#04x} is no UTF-8") from None


def value(text: str, name: str) -> Any:
    """One value as a command line gives it; `name` says in messages where. Raises GpusimError."""
    document = parse(text, name, numbered=False)
    document.check()
    return document.values


def values(text: str, name: str) -> list[Any]:
    """Several values with commas between them, as a command line gives them. Raises GpusimError."""
    return value(f"[{text}]", name)


def parse(text: str, name: str, numbered: bool = True) -> Document:
    """Read YAML text; `numbered`: messages give lines. Raises GpusimError, as `read`."""
    document = Document(name)
    if found := _UNPRINTABLE.search(text):
        row = len((text[: found.start()] + ".").splitlines())
        where = Place(name, row if numbered else 0)
        raise GpusimError(f"{where}: not valid YAML: control character U+{ord(found[0]):04X}; remove it")
    document.lines = text.splitlines()
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is not None:
            document.values = _Walk(document, MOST_ALIASED + len(text), numbered).whole(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = Place(name, mark.line + 1 if mark and numbered else 0)
        raise GpusimError(f"{where}: not valid YAML: {error.problem}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise GpusimError(f"{name}: not valid YAML: {error}") from None
    finally:
        loader.dispose()
    return document


_Composer: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""That of libyaml, where PyYAML was built with it."""


class _Loader(_Composer):
    """Composes nodes; every tag that is not written out is the kind of its node, so that no scalar is interpreted."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:  # noqa: ARG002 - called by the base class
        return kind.id


class _Walk:
    """Fills a Document from the nodes of its text. `budget`: values that it may have, those of aliases included."""

    def __init__(self, document: Document, budget: int, numbered: bool) -> None:
        self.document, self.budget, self.numbered = document, budget, numbered

    def whole(self, node: yaml.Node) -> Any:
        self.document.places[()] = self._place(node, node)
        return self._value(node, ())

    def _place(self, start: yaml.Node, end: yaml.Node) -> Place:
        if not self.numbered:
            return Place(self.document.name, 0)
        first, last = start.start_mark, end.end_mark
        return Place(self.document.name, first.line + 1, first.column, last.line + 1, last.column)

    def _refuse(self, node: yaml.Node, what: str) -> GpusimError:
        return GpusimError(f"{self._place(node, node)}: {what}")

    def _value(self, node: Any, path: KeyPath) -> Any:
        self.budget -= 1
        if self.budget < 0:
            raise self._refuse(node, f"aliases stand for more than {MOST_ALIASED:,} values; write less of them")
        if len(path) > DEEPEST:
            raise self._refuse(node, f"nested deeper than {DEEPEST} levels, or an alias lies in what it stands for")
        if node.tag != node.id:
            raise self._refuse(node, f"not valid YAML here: the tag {node.tag}; leave it out, and put text in quotes")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            elements = []
            for number, element in enumerate(node.value):
                here = (*path, number)
                self.document.places[here] = self._place(element, element)
                elements.append(self._value(element, here))
            return elements
        return node.value if node.style else self._scalar(node.value, path)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        section: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag != key_node.id or not key.isprintable():
                raise self._refuse(key_node, "keys are plain words")
            here, places = (*path, key), self.document.places
            if key in section:
                self.document.problems.append(
                    f"{self._place(key_node, key_node)}: {dotted(here)}: duplicate key, "
                    f"first on line {places[here].line}; keep one"
                )
                continue
            block = isinstance(value_node, yaml.MappingNode) and not value_node.flow_style
            places[here] = self._place(key_node, key_node if block else value_node)
            section[key] = self._value(value_node, here)
        return section

    def _scalar(self, text: str, path: KeyPath) -> Any:
        """The value of a plain scalar; text that looks like nothing else is itself."""
        value = _WORDS[text] if text in _WORDS else self._number(text, path)
        if value is not None and not isinstance(value, str):
            self.document.written[path] = text
        return value

    def _number(self, text: str, path: KeyPath) -> int | float | str:
        whole, based = _INTEGER.fullmatch(text), _OTHER_BASE.fullmatch(text)
        if not whole and not based and not _FLOAT.fullmatch(text):
            return text
        if len(text) > MOST_DIGITS:
            self.document.unfit[path] = f"a number of {len(text):,} characters; the longest read has {MOST_DIGITS}"
            return text
        if whole or based:
            return int(text, 10 if whole else 0)
        number = float(text)
        if math.isinf(number):
            self.document.unfit[path] = f"{text} is too large for a number of 64 bits; .inf is infinity"
            return text
        return number
