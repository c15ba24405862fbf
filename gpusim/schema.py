"""Data of a user against a pydantic model: every problem at once, in words, with place and nearest key.

What is allowed is read off the model's JSON schema, so that messages and editors say the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache, cached_property
from reprlib import Repr
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from gpusim.errors import GpusimError, nearest
from gpusim.yamlfile import Document, KeyPath, dotted

_SHOWN = Repr()
_SHOWN.maxlevel, _SHOWN.maxstring, _SHOWN.maxlong, _SHOWN.maxother = 2, 80, 50, 80


class Strict(BaseModel):
    """Base of models of files: immutable, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Model = TypeVar("Model", bound=BaseModel)


def load(model: type[Model], document: Document, hints: Mapping[str, str] | None = None) -> Model:
    """The document as `model`. `hints`: what to say of unknown keys of these names.

    Raises GpusimError with every problem, a line each: place, key, what is wrong, what is allowed.
    """
    found, problems = check(model, document.values, hints, written=document.written)
    lines = [f"{document.place(problem.path)}: {problem}{_beyond(document, problem.path)}" for problem in problems]
    if lines or document.problems or found is None:
        raise GpusimError("\n".join([*document.problems, *lines]))
    return found


def _beyond(document: Document, path: KeyPath) -> str:
    """What makes a value no number although it looks like one."""
    return f"; {document.unfit[path]}" if path in document.unfit else ""


class Problem(NamedTuple):
    """One thing that is wrong: where, and what. `contradiction`: values that are allowed, but not together;
    `missing`: a key that is not there."""

    path: KeyPath
    what: str
    contradiction: bool = False
    missing: bool = False

    def __str__(self) -> str:
        return f"{dotted(self.path) or 'the whole file'}: {self.what}"


def check(
    model: type[Model],
    values: Any,
    hints: Mapping[str, str] | None = None,
    *,
    lists: bool = False,
    written: Mapping[KeyPath, str] | None = None,
) -> tuple[Model | None, list[Problem]]:
    """The values as `model`, None where there are problems, and these. `lists`: its sequences are lists, not tuples.

    `written`: the text of scalars (`Document.written`), which they become, in `values` too, where a text is asked for.
    """
    try:
        return model.model_validate(values if lists else as_tuples(values), strict=True), []
    except ValidationError as error:
        if texts := _texts(values, error, written or {}):
            for path, text in texts.items():
                _at(values, path[:-1])[path[-1]] = text
            return check(model, values, hints, lists=lists)
        return None, list(_problems(schema_of(model), values, error, hints or {}))


def _texts(values: Any, error: ValidationError, written: Mapping[KeyPath, str]) -> dict[KeyPath, str]:
    """What is no text and should be, as it was written."""
    refused = (e["loc"] for e in error.errors(include_url=False) if e["type"] == "string_type")
    paths = (_key_path(location, values, False) for location in refused)
    return {path: written[path] for path in paths if path in written}


def as_tuples(value: Any) -> Any:
    """Lists as tuples: strict validation takes nothing for a tuple but a tuple."""
    if isinstance(value, dict):
        return {key: as_tuples(item) for key, item in value.items()}
    return tuple(as_tuples(item) for item in value) if isinstance(value, list) else value


# ---- what a model allows


class Schema:
    """The JSON schema of a model, walked by key path."""

    def __init__(self, model: type[BaseModel]) -> None:
        self.json = model.model_json_schema()

    def _resolve(self, node: dict, value: Any = None) -> dict:
        """Follow references; of alternatives take the only one that is not null, or the one that `value` names."""
        while True:
            options = [o for o in node.get("anyOf", node.get("oneOf", ())) if o.get("type") != "null"]
            if isinstance(value, list) and len(options) > 1:
                options = [o for o in options if o.get("type") == "array"]
            if "$ref" in node:
                node = self.json["$defs"][node["$ref"].rsplit("/", 1)[1]]
            elif len(options) == 1:
                node = options[0]
            elif "discriminator" in node and isinstance(value, dict):
                by = node["discriminator"]
                reference = by["mapping"].get(str(value.get(by["propertyName"])))
                if reference is None:
                    return node
                node = {"$ref": reference}
            else:
                return node

    def node_at(self, path: KeyPath, values: Any = None) -> dict | None:
        """Schema of the value at a key path, None if there is no such key. `values`: all values, for alternatives."""
        node = self._resolve(self.json, values)
        for step in path:
            values = _inner(values, step)
            if isinstance(step, int):
                items = node.get("prefixItems", [])
                node = items[step] if step < len(items) else node.get("items", {})
            elif step in node.get("properties", {}):
                node = node["properties"][step]
            elif isinstance(node.get("additionalProperties"), dict):
                node = node["additionalProperties"]
            else:
                return None
            node = self._resolve(node, values)
        return node

    def keys_of(self, path: KeyPath, values: Any = None) -> list[str]:
        """Keys of the section at a path; empty for a plain value."""
        return list((self.node_at(path, values) or {}).get("properties", {}))

    @cached_property
    def paths(self) -> list[tuple[str, ...]]:
        """Every key path, sections before what is in them."""
        return list(self._paths(()))

    def _paths(self, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for key in self.keys_of(path):
            yield (*path, key)
            yield from self._paths((*path, key))

    def allowed(self, path: KeyPath, values: Any = None) -> str:
        """What may stand at a key path, such as `integer, 1 to 15`."""
        node = self.node_at(path, values)
        return self._describe(node) if node is not None else ""

    def _describe(self, node: dict) -> str:
        node = self._resolve(node)
        if "properties" in node:
            return "a section with " + ", ".join(node["properties"])
        if "discriminator" in node:
            by = node["discriminator"]
            return f"a section with {by['propertyName']}: {', '.join(by['mapping'])}"
        if "anyOf" in node:
            words = dict.fromkeys(self._describe(option) for option in node["anyOf"] if option.get("type") != "null")
            between = ", or " if any(word.startswith("one of") for word in words) else " or "
            return "number" if set(words) == {"integer", "number"} else between.join(words)
        if choices := _choices(node):
            return "one of " + ", ".join(choices) if len(choices) > 1 else f"only {choices[0]}"
        if node.get("type") == "array":
            return self._describe_list(node)
        if node.get("type") == "object":
            return "a section"
        return _describe_scalar(node)

    def _describe_list(self, node: dict) -> str:
        if items := node.get("prefixItems"):
            kinds = dict.fromkeys(self._describe(item) for item in items)
            return f"a list of {len(items)}, " + (f"each {next(iter(kinds))}" if len(kinds) == 1 else ", ".join(kinds))
        low, high = node.get("minItems", 0), node.get("maxItems")
        count = f" of {low} to {high}" if high is not None else f" of at least {low}" if low else ""
        return f"a list{count}, each {self._describe(node.get('items', {}))}"


@cache
def schema_of(model: type[BaseModel]) -> Schema:
    """The Schema of a model; made at the first use, which only problems need."""
    return Schema(model)


def _choices(node: dict) -> list[str]:
    node = next((option for option in node.get("anyOf", ()) if "enum" in option), node)
    return [str(value) for value in node.get("enum", [node["const"]] if "const" in node else [])]


def _describe_scalar(node: dict) -> str:
    words = {"integer": "integer", "number": "number", "boolean": "true or false", "string": "text"}
    if "pattern" in node:
        return node.get("description", "text")
    text = words.get(node.get("type", ""), "any value")
    low, high, above = node.get("minimum"), node.get("maximum"), node.get("exclusiveMinimum")
    if high is None and "exclusiveMaximum" in node and text == "integer":
        high = node["exclusiveMaximum"] - 1
    if above is not None and text == "integer":
        low, above = above + 1, None
    if above is not None:
        text += f", above {above:g}"
        text += f", at most {high:g}" if high is not None else ""
    elif low is not None:
        text += f", {low} to {high}" if high is not None else f", at least {low}"
    if "multipleOf" in node:
        text += f", a multiple of {node['multipleOf']}"
    return text


# ---- what is wrong


def holds(values: Any, path: KeyPath) -> bool:
    """Whether there is a value at a key path."""
    for step in path:
        if not _has(values, step):
            return False
        values = values[step]
    return True


def _has(value: Any, step: str | int) -> bool:
    """Whether a value has this element or key."""
    return step in (value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ())


def _inner(value: Any, step: str | int) -> Any:
    """The element or key of a value, None where it has none."""
    return value[step] if _has(value, step) else None


def _at(value: Any, path: KeyPath) -> Any:
    for step in path:
        value = _inner(value, step)
    return value


def _key_path(location: Sequence[str | int], values: Any, missing: bool) -> KeyPath:
    """Pydantic's location without the names of the alternatives that it tried."""
    path: list[str | int] = []
    for number, step in enumerate(location):
        if _has(values, step) or (missing and number == len(location) - 1):
            path.append(step)
            values = _inner(values, step)
    return tuple(path)


def _problems(schema: Schema, values: Any, error: ValidationError, hints: Mapping[str, str]) -> Iterator[Problem]:
    errors = [(_key_path(e["loc"], values, e["type"] == "missing"), e) for e in error.errors(include_url=False)]
    unknown = [path for path, e in errors if e["type"] == "extra_forbidden"]
    meant = {(*path[:-1], key) for path in unknown for key in _similar(schema, path, values)}
    told = set()
    for path, e in errors:
        if path in told or (e["type"] == "missing" and path in meant):
            continue  # another alternative failed here, or an unknown key beside it names this one as what was meant
        if e["type"] != "value_error" and any(other[: len(path)] == path != other for other, _ in errors):
            continue  # an alternative that does not fit at all, beside one that fits but for what is in it
        if e["type"] == "too_short" and len(_at(values, path)) >= e["ctx"]["min_length"]:
            continue  # long enough: some of its elements were refused
        told.add(path)
        yield _problem(schema, path, values, e, hints)


def _similar(schema: Schema, path: KeyPath, values: Any) -> list[str]:
    keys = schema.keys_of(path[:-1], values)
    hint = nearest(str(path[-1]), keys)
    return [key for key in keys if f"'{key}'" in hint]


def _problem(schema: Schema, path: KeyPath, values: Any, e: Mapping[str, Any], hints: Mapping[str, str]) -> Problem:
    node, given = schema.node_at(path, values) or {}, _at(values, path)
    if e["type"] == "value_error" and "x-policy" not in node:  # values that contradict each other
        return Problem(path, str(e["ctx"]["error"]), contradiction=True)
    if e["type"].startswith("union_tag"):
        by = node["discriminator"]
        path, choices = (*path, by["propertyName"]), "one of " + ", ".join(by["mapping"])
        if not holds(values, path):
            return Problem(path, f"missing (allowed: {choices})", missing=True)
        given = _at(values, path)
        return Problem(path, f"{given!r} is not allowed{nearest(str(given), by['mapping'])} (allowed: {choices})")
    if e["type"] == "extra_forbidden":
        return Problem(path, hints.get(str(path[-1])) or "unknown key" + _known(schema, path, values))
    allowed = schema.allowed(path, values)
    if allowed == "text" and isinstance(given, (bool, int, float)):
        allowed = "text, which this is in quotes"
    if e["type"] == "missing":
        return Problem(path, f"missing (allowed: {allowed})", missing=True)
    text = _SHOWN.repr(given)
    if "properties" in node or "discriminator" in node or node.get("type") == "object":
        return Problem(path, f"{text} stands where a section should (allowed: {allowed})")
    hint = nearest(given, _choices(node)) if isinstance(given, str) else ""
    return Problem(path, f"{text} is not allowed{hint} (allowed: {allowed})")


def _known(schema: Schema, path: KeyPath, values: Any) -> str:
    """After an unknown key: the nearest one that exists, where it belongs, or all that may stand here."""
    keys = schema.keys_of(path[:-1], values)
    if hint := nearest(str(path[-1]), keys):
        return hint
    homes = [dotted(home) for home in schema.paths if home[-1] == path[-1]]
    if homes:
        return f" here (it belongs at {' or '.join(homes[:3])})"
    return f" (known here: {', '.join(keys)})"
