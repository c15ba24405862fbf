"""Find, inherit, override and check a card; everything that is wrong is reported at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from gpusim import yamlfile
from gpusim.config.models import GpuConfig
from gpusim.config.policies import resolve_policy_files
from gpusim.errors import GpusimError, nearest
from gpusim.resources import find
from gpusim.schema import Problem, check, holds, schema_of
from gpusim.yamlfile import Document, KeyPath, Place

ConfigLike: TypeAlias = "GpuConfig | str | Path"
"""Whatever stands for a card: a configuration, or the name or path of one."""
Overrides: TypeAlias = "Sequence[str] | Mapping[str, object]"
"""`KEY=VALUE` texts, or values by key."""


@dataclass
class Draft:
    """A card before it is checked: merged values, the place of each key path, and the files, the most basic first.

    `written`: as `Document.written`.
    """

    label: str
    values: dict[str, object] = field(default_factory=dict)
    places: dict[KeyPath, Place] = field(default_factory=dict)
    written: dict[KeyPath, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    sources: list[Document] = field(default_factory=list)

    def place(self, problem: Problem, of_files: bool) -> Place:
        """Where the value stands, or the section around it. Values may contradict each other only since an override
        (not `of_files`): then where the override is."""
        path = problem.path
        while path and (path not in self.places or not holds(self.values, path)):  # places of a replaced list stay
            path = path[:-1]
        inner = (place for at, place in self.places.items() if at[: len(path)] == path and not place.line)
        if problem.contradiction and not of_files and (override := next(inner, None)):
            return override
        return self.places[path] if path else Place(self.label, 0)


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
    draft = _base(name_or_path)
    if "name" in draft.values:
        return load_config(name_or_path)
    found = [problem for problem in check(GpuConfig, draft.values, written=draft.written)[1] if not problem.missing]
    problems = draft.problems + [f"{draft.place(problem, True)}: {problem}" for problem in found]
    if problems:
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        head = f"{draft.label}: a family, for cards to name as their base: {count}"
        raise GpusimError("\n  ".join([head, *problems]))
    return None


def list_configs() -> list[str]:
    """Names of the packaged cards, sorted. Families that cards inherit from are not among them."""
    return sorted(path.stem for path in _packaged().values() if "name" in yamlfile.read(path).values)


def checked(name_or_path: ConfigLike, overrides: Overrides = ()) -> tuple[GpuConfig, Draft]:
    """A card together with the draft it came from. Raises GpusimError, as `load_config`."""
    draft, files = _base(name_or_path), _base(name_or_path)
    if isinstance(overrides, Mapping):
        for key, value in overrides.items():
            _put(draft, Place(f"override '{key}={value}'", 0), str(key), plain(value))
    else:
        for text in [overrides] if isinstance(overrides, str) else overrides:
            _override(draft, str(text))
    draft.problems += resolve_policy_files(draft.values, draft.places)
    config, found = check(GpuConfig, draft.values, written=draft.written)
    if config is None or draft.problems:
        raise _refusal(draft, files, found)
    return config, draft


def _base(card: ConfigLike) -> Draft:
    """What overrides change: a configuration, or the files of one."""
    if isinstance(card, GpuConfig):
        return Draft(label=card.name, values=card.model_dump(mode="json"))
    return _draft(_locate(str(card)))


def _refusal(draft: Draft, files: Draft, found: Sequence[Problem]) -> GpusimError:
    """All that is wrong with a card; `files`: the same without overrides, for these alone may be to blame."""
    own = {str(problem) for problem in check(GpuConfig, files.values, written=files.written)[1]}
    problems = draft.problems + [f"{draft.place(problem, str(problem) in own)}: {problem}" for problem in found]
    card = Path(draft.label).stem if draft.sources else draft.label
    what = f"configuration {draft.label}" if own or files.problems else f"overrides of {card}"
    head = f"{what}: {len(problems)} problem{'s' if len(problems) > 1 else ''}"
    return GpusimError("\n  ".join([head, *problems, *_family_hint(draft)]))


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
    if path.exists():  # a folder or a pipe: reading it says so
        return path
    stem = Path(stem).name
    raise GpusimError(
        f"no configuration '{name}': neither a file nor a packaged card{nearest(stem, packaged)};"
        f" packaged: {', '.join(list_configs())}"
    )


def _locate_base(source: Document) -> Path:
    base, place = source.written.get(("base",), source.values["base"]), source.place(("base",))
    if not isinstance(base, str):
        raise GpusimError(f"{place}: base: should be the name of a file, not {base!r}")
    beside = Path(source.name).parent / base
    if beside.is_file():
        return beside
    try:
        return _locate(base)
    except GpusimError as error:
        raise GpusimError(f"{place}: base: {error}") from None


def _chain(path: Path) -> list[Document]:
    """The file and what it inherits from, the most basic first."""
    chain: list[Document] = []
    seen: list[Path] = []
    while True:
        if path.resolve() in seen:
            names = " -> ".join(p.name for p in [*seen, path.resolve()])
            raise GpusimError(f"{chain[-1].place(('base',))}: base: files inherit in a circle: {names}")
        seen.append(path.resolve())
        chain.append(yamlfile.read(path))
        if not isinstance(chain[-1].values, dict):
            raise GpusimError(f"{path}: a configuration is a mapping of keys to values, such as 'base: ampere.yaml'")
        if "base" not in chain[-1].values:
            return chain[::-1]
        path = _locate_base(chain[-1])


def _draft(path: Path) -> Draft:
    draft = Draft(label=str(path))
    for source in _chain(path):
        values = {key: value for key, value in source.values.items() if key != "base"}
        _take_standard(draft, values, source.place(("dram", "standard")))
        _add(draft, source, values)
    draft.places.pop(("base",), None)
    return draft


def _add(draft: Draft, source: yamlfile.Document, values: dict[str, object]) -> None:
    """Merge a file's values over those of the draft."""
    draft.sources.append(source)
    draft.problems += source.problems
    _merge(draft.values, values)
    draft.places.update(source.places)
    kept = {path: text for path, text in draft.written.items() if path not in source.places}
    draft.written = {**kept, **source.written}


# ---- DRAM standards


def _take_standard(draft: Draft, values: dict[str, object], place: Place) -> None:
    """Put the values of the DRAM standard that some values name, which stands at `place`, below them."""
    dram = values.get("dram")
    name = dram.get("standard") if isinstance(dram, dict) else None
    if not isinstance(dram, dict) or not isinstance(name, str | int | float):
        return
    name = str(name)
    packaged = {path.stem: path for path in sorted((find("configs") / "dram").glob("*.yaml"))}
    own = ((Path(place.file).parent if place.line else Path()) / Path(name).expanduser()).resolve()
    if name not in packaged and not own.is_file():
        hint = nearest(name, packaged)
        draft.problems.append(
            f"{place}: dram.standard: no DRAM standard '{name}': neither a file nor packaged{hint};"
            f" packaged: {', '.join(packaged)}"
        )
        return
    if name not in packaged:
        dram["standard"] = str(own)
    source = yamlfile.read(packaged.get(name, own))
    held = source.values.get("dram") if isinstance(source.values, dict) else None
    if not isinstance(held, dict) or len(source.values) > 1 or "standard" in held:
        draft.problems.append(f"{source.name}: a DRAM standard is a section dram, without standard, and nothing else")
        return
    _add(draft, source, source.values)


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
    key, equals, value_text = (part.strip() for part in text.partition("="))
    place = Place(f"override '{text}'", 0)
    if not equals or not key or not value_text:
        draft.problems.append(f"{place}: should be KEY=VALUE, such as sub_core.register_file.read_ports=2")
        return
    try:
        value = yamlfile.value(value_text, str(place))
    except GpusimError as error:
        draft.problems.append(str(error))
        return
    _put(draft, place, key, value, value_text if isinstance(value, int | float) else None)


def _put(draft: Draft, place: Place, key: str, value: object, written: str | None = None) -> None:
    """Merge one override, which messages call `place`; `written`: the text of a number, true or false."""
    path = _complete(tuple(key.split(".")))
    if isinstance(path, str):
        draft.problems.append(f"{place}: {key}: {path}")
        return
    values: dict[str, object] = {path[-1]: value}
    for step in reversed(path[:-1]):
        values = {step: values}
    _take_standard(draft, values, place)
    for inner in _paths_in(value, path):
        draft.places[inner] = place
        draft.written.pop(inner, None)
    if written is not None:
        draft.written[path] = written
    _merge(draft.values, values)


def _paths_in(value: object, path: KeyPath) -> Iterator[KeyPath]:
    yield path
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield from _paths_in(inner, (*path, key))


def _complete(ending: tuple[str, ...]) -> tuple[str, ...] | str:
    """The full key path with this ending, or what is wrong with it."""
    paths = schema_of(GpuConfig).paths
    if ending in paths:
        return ending
    matches = [path for path in paths if path[-len(ending) :] == ending]
    if len(matches) == 1:
        return matches[0]
    if matches:
        return "ambiguous: " + ", ".join(".".join(path) for path in matches)
    endings = {".".join(path[-length:]) for path in paths for length in range(1, len(path) + 1)}
    return "unknown key" + (nearest(".".join(ending), endings) or nearest(ending[-1], endings))
