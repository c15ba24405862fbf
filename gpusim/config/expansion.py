"""A card written out in full, each value with its source and the line it came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import yaml

from gpusim import yamlfile
from gpusim.config.loading import Draft, Overrides, checked, plain
from gpusim.config.models import GpuConfig
from gpusim.errors import GpusimError
from gpusim.schema import schema_of
from gpusim.yamlfile import KeyPath


def json_schema() -> dict[str, object]:
    """JSON schema of an expanded card, for editors that check YAML while it is written."""
    return schema_of(GpuConfig).json


def expand(name_or_path: str | Path, overrides: Sequence[str] = ()) -> str:
    """YAML text of a card with all that it inherits; it loads to an equal config.

    Comments keep the sources of the numbers and name the file and line of each value.
    Raises GpusimError, as `load_config`.
    """
    config, draft = checked(name_or_path, overrides)
    lines = []
    for source in draft.sources:
        lines += [f"# {text}".rstrip() for text in (f"--- {Path(source.name).name}", *source.header)]
    lines += ["", *_section(config.model_dump(mode="json"), (), draft)]
    return "\n".join(lines) + "\n"


def _section(values: dict[str, object], path: KeyPath, draft: Draft) -> Iterator[str]:
    indent = "  " * len(path)
    for key, value in values.items():
        here = (*path, key)
        above, note = _notes(here, draft)
        for text in above:
            yield f"{indent}# {text}"
        if isinstance(value, dict):
            yield f"{indent}{key}:{note}"
            yield from _section(value, here, draft)
        else:
            yield f"{indent}{key}: {flow(value)}{note}"


def _notes(path: KeyPath, draft: Draft) -> tuple[list[str], str]:
    """The comments above a value, and what stands behind it: its comment and its place."""
    place = draft.places.get(path)
    if place is None:
        return [], "  # default"
    source = next((each for each in draft.sources if each.name == place.file), None)
    if source is None:  # an override
        return [], f"  # [{place}]"
    above, beside = source.comments(path)
    return above, f"  # {beside} [{Path(place.file).name}:{place.line}]".replace("#  [", "# [")


def flow(value: object) -> str:
    """A value as YAML on one line, which reads back as an equal value, for readers of YAML 1.1 too."""
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("\n").removesuffix("\n...")


def _is_plain(text: str) -> bool:
    """Whether text is itself without quotes, by the rules of YAML 1.2."""
    try:
        return bool(text) and yamlfile.value(text, "") == text
    except GpusimError:
        return False


def override_texts(overrides: Overrides) -> list[str]:
    """Overrides as `KEY=VALUE` texts. Raises GpusimError where a value is not one that YAML has."""
    if isinstance(overrides, str):
        return [overrides]
    return [_text(*item) for item in overrides.items()] if isinstance(overrides, Mapping) else list(overrides)


def _text(key: str, value: object) -> str:
    if isinstance(value, str) and _is_plain(value):
        return f"{key}={value}"
    try:
        return f"{key}={flow(plain(value))}"
    except yaml.YAMLError as error:
        raise GpusimError(f"{key}: {value!r} is no number, text, truth value, or list of them") from error
