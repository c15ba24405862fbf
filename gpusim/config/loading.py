"""Find, inherit, override and check a card; everything that is wrong is reported at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import yaml
from pydantic import ValidationError

from gpusim.config import schema
from gpusim.config.models import GpuConfig
from gpusim.config.policies import resolve_policy_files
from gpusim.config.source import KeyPath, Origin, Source, read
from gpusim.errors import GpusimError, nearest
from gpusim.resources import find

ConfigLike: TypeAlias = "GpuConfig | str | Path"
"""Whatever stands for a card: a configuration, or the name or path of one."""
Overrides: TypeAlias = "Sequence[str] | Mapping[str, object]"
"""`KEY=VALUE` texts, or values by key."""


@dataclass
class Draft:
    """A card before it is checked: merged values and the origin of each key path."""

    label: str
    values: dict[str, object] = field(default_factory=dict)
    origins: dict[KeyPath, Origin] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)


def load_config(name_or_path: ConfigLike, overrides: Overrides = ()) -> GpuConfig:
    """Load one card.

    `name_or_path` is a YAML file, the name of a packaged card with or without `.yaml` (`list_configs`), or a
    configuration that is loaded already. An override is `KEY=VALUE`, VALUE read as YAML; a mapping gives the values
    themselves. KEY is a full key path or any ending of one that is unique (`register_file.read_ports`).

    Raises GpusimError that lists every problem with file, line, key, what is allowed and the nearest valid key.
    """
    config, _ = checked(name_or_path, overrides)
    return config


def check_file(name_or_path: str | Path) -> GpuConfig | None:
    """The card in a file, or None for a family: a file without a name, which cards name as their base.

    A family may leave keys to its cards. Raises GpusimError that lists every problem, as `load_config`.
    """
    draft = _draft(_locate(str(name_or_path)))
    if "name" in draft.values:
        return load_config(name_or_path)
    try:
        GpuConfig.model_validate(_as_tuples(draft.values), strict=True)
    except ValidationError as error:
        draft.problems += _validation_problems(draft, error, missing=False)
    if draft.problems:
        count = len(draft.problems)
        head = f"{draft.label}: a family, for cards to name as their base: {count} problem{'s' if count > 1 else ''}"
        raise GpusimError("\n  ".join([head, *draft.problems]))
    return None


def list_configs() -> list[str]:
    """Names of the packaged cards, sorted. Families that cards inherit from are not among them."""
    return sorted(path.stem for path in _packaged().values() if "name" in read(path).values)


def checked(name_or_path: ConfigLike, overrides: Overrides = ()) -> tuple[GpuConfig, Draft]:
    """A card together with the draft it came from. Raises GpusimError, as `load_config`."""
    if isinstance(name_or_path, GpuConfig):
        draft = Draft(label=name_or_path.name, values=name_or_path.model_dump())
    else:
        draft = _draft(_locate(str(name_or_path)))
    if isinstance(overrides, Mapping):
        for key, value in overrides.items():
            _put(draft, f"{key}={value}", str(key), plain(value))
    else:
        for text in [overrides] if isinstance(overrides, str) else overrides:
            _override(draft, text)
    draft.problems += resolve_policy_files(draft.values, draft.origins)
    config = None
    try:
        config = GpuConfig.model_validate(_as_tuples(draft.values), strict=True)
    except ValidationError as error:
        draft.problems += _validation_problems(draft, error)
    if draft.problems or config is None:
        count = len(draft.problems)
        head = f"configuration {draft.label}: {count} problem{'s' if count > 1 else ''}"
        raise GpusimError("\n  ".join([head, *draft.problems, *_family_hint(draft)]))
    return config, draft


def _family_hint(draft: Draft) -> list[str]:
    if "name" in draft.values:
        return []
    return [f"without a name this is a family, for cards to name as their base; cards: {', '.join(list_configs())}"]


def _packaged() -> dict[str, Path]:
    return {path.stem: path for path in sorted(find("configs").glob("*.yaml"))}


def _locate(name: str) -> Path:
    path = Path(name)
    if path.is_file():
        return path
    packaged = _packaged()
    stem = name.lower().removesuffix(".yaml")
    if path.name == name and stem in packaged:
        return packaged[stem]
    stem = Path(stem).name
    raise GpusimError(
        f"no configuration '{name}': neither a file nor a packaged card{nearest(stem, packaged)};"
        f" packaged: {', '.join(list_configs())}"
    )


def _locate_base(source: Source) -> Path:
    base = source.values["base"]
    origin = source.origins[("base",)]
    if not isinstance(base, str):
        raise GpusimError(f"{origin}: base: should be the name of a file, not {base!r}")
    beside = source.path.parent / base
    if beside.is_file():
        return beside
    try:
        return _locate(base)
    except GpusimError as error:
        raise GpusimError(f"{origin}: base: {error}") from None


def _chain(path: Path) -> list[Source]:
    """The file and what it inherits from, the most basic first."""
    chain: list[Source] = []
    seen: list[Path] = []
    while True:
        if path.resolve() in seen:
            names = " -> ".join(p.name for p in [*seen, path.resolve()])
            raise GpusimError(f"{chain[-1].origins[('base',)]}: base: files inherit in a circle: {names}")
        seen.append(path.resolve())
        chain.append(read(path))
        if "base" not in chain[-1].values:
            return chain[::-1]
        path = _locate_base(chain[-1])


def _draft(path: Path) -> Draft:
    draft = Draft(label=str(path), sources=_chain(path))
    for source in draft.sources:
        values = {key: value for key, value in source.values.items() if key != "base"}
        _merge(draft.values, values)
        draft.origins.update(source.origins)
        draft.problems += source.problems
    draft.origins.pop(("base",), None)
    return draft


def _merge(into: dict[str, object], values: dict[str, object]) -> None:
    """Deep merge: sections key by key, everything else replaced."""
    for key, value in values.items():
        old = into.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            _merge(old, value)
        else:
            into[key] = value


def plain(value: object) -> object:
    """A value as YAML would give it: numbers and arrays of NumPy as Python's own."""
    return value.tolist() if hasattr(value, "tolist") else value


def _override(draft: Draft, text: str) -> None:
    key, equals, value_text = str(text).partition("=")
    try:
        value = yaml.safe_load(value_text)
    except yaml.YAMLError:
        draft.problems.append(f"override '{text}': the value is not valid YAML")
        return
    if not equals or not key.strip() or not value_text.strip():
        draft.problems.append(f"override '{text}': should be KEY=VALUE, such as sub_core.register_file.read_ports=2")
        return
    _put(draft, text, key.strip(), value)


def _put(draft: Draft, text: str, key: str, value: object) -> None:
    """Merge one override, which messages call `text`."""
    origin = Origin(f"override '{text}'", 0)
    path = _complete(tuple(key.split(".")))
    if isinstance(path, str):
        draft.problems.append(f"{origin}: {key}: {path}")
        return
    draft.origins.update((inner, origin) for inner in _paths_in(value, path))
    for step in reversed(path):
        value = {step: value}
    _merge(draft.values, value)


def _paths_in(value: object, path: KeyPath) -> Iterator[KeyPath]:
    yield path
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield from _paths_in(inner, (*path, str(key)))


def _complete(ending: KeyPath) -> KeyPath | str:
    """The full key path with this ending, or what is wrong with it."""
    paths = list(schema.all_paths())
    if ending in paths:
        return ending
    matches = [path for path in paths if path[-len(ending) :] == ending]
    if len(matches) == 1:
        return matches[0]
    if matches:
        return "ambiguous: " + ", ".join(".".join(path) for path in matches)
    endings = {".".join(path[-length:]) for path in paths for length in range(1, len(path) + 1)}
    return "unknown key" + (nearest(".".join(ending), endings) or nearest(ending[-1], endings))


def _as_tuples(value: object) -> object:
    """Lists as tuples: strict validation takes nothing for a tuple but a tuple."""
    if isinstance(value, dict):
        return {key: _as_tuples(item) for key, item in value.items()}
    return tuple(_as_tuples(item) for item in value) if isinstance(value, list) else value


def _validation_problems(draft: Draft, error: ValidationError, *, missing: bool = True) -> Iterator[str]:
    """What is wrong, a line each; `missing`: keys that are not there too."""
    errors = error.errors(include_url=False)
    suggested = {(*e["loc"][:-1], key) for e in errors if e["type"] == "extra_forbidden" for key in _similar(e["loc"])}
    for e in errors:
        loc = e["loc"]
        if e["type"] == "missing" and (loc in suggested or not missing):
            continue  # the unknown key beside it names this one as what was meant
        yield f"{_where(draft, loc)}: {_key(loc)}: {_what(e)}"


def _similar(loc: tuple) -> list[str]:
    return [key for key in schema.keys_of(loc[:-1]) if f"'{key}'" in nearest(str(loc[-1]), schema.keys_of(loc[:-1]))]


def _what(e: dict) -> str:
    loc = e["loc"]
    if e["type"] == "missing":
        return f"missing (allowed: {schema.allowed(loc)})"
    if e["type"] == "extra_forbidden":
        return "unknown key" + (nearest(str(loc[-1]), schema.keys_of(loc[:-1])) or _elsewhere(loc))
    if e["type"] == "value_error" and "x-policy" not in (
        schema.node_at(loc) or {}
    ):  # values that contradict each other
        return str(e["ctx"]["error"])
    value = list(e["input"]) if isinstance(e["input"], tuple) else e["input"]
    if "properties" in (schema.node_at(loc) or {}):
        return f"{value!r} stands where a section should (allowed: {schema.allowed(loc)})"
    return f"{value!r} is not allowed (allowed: {schema.allowed(loc)})"


def _elsewhere(loc: tuple) -> str:
    homes = [".".join(path) for path in schema.all_paths() if path[-1] == loc[-1]]
    if homes:
        return f" here (it belongs at {' or '.join(homes[:3])})"
    return f" (known here: {', '.join(schema.keys_of(loc[:-1]))})"


def _where(draft: Draft, loc: tuple) -> str:
    """Origin of the value, or of the nearest section around it."""
    for length in range(len(loc), 0, -1):
        if loc[:length] in draft.origins:
            return str(draft.origins[loc[:length]])
    return draft.label


def _key(loc: tuple) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in loc).lstrip(".")
