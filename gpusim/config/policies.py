"""Policy files of a user's own in a card: their paths become absolute, beside the file that names them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpusim.errors import nearest
from gpusim.model.policies.names import built_in, digest, is_file

if TYPE_CHECKING:
    from gpusim.config.models import GpuConfig
    from gpusim.yamlfile import KeyPath, Place


@cache
def policy_paths() -> Mapping[tuple[str, ...], str]:
    """The kind of policy that each key path of a card names, for those that name one."""
    from gpusim.config.models import GpuConfig
    from gpusim.schema import schema_of

    schema = schema_of(GpuConfig)
    nodes = {path: schema.node_at(path) or {} for path in schema.paths}
    return {path: str(node["x-policy"]) for path, node in nodes.items() if "x-policy" in node}


def resolve_policy_files(values: dict[str, Any], places: Mapping[KeyPath, Place]) -> Iterator[str]:
    """Replace each policy file's path by an absolute one; yields what is wrong with it.

    A path in a YAML file counts from that file's folder, one in an override from the working folder.
    """
    for path, kind in policy_paths().items():
        section = _section(values, path)
        name = section.get(path[-1]) if section else None
        if section is None or not isinstance(name, str) or not is_file(name):
            continue
        place = places.get(path)
        folder = Path(place.file).parent if place and place.line else Path()
        file = (folder / Path(name).expanduser()).resolve()
        if file.is_file():
            section[path[-1]] = str(file)
        else:
            known = ", ".join(built_in(kind))
            hint = nearest(Path(name).stem, built_in(kind))
            yield f"{place}: {'.'.join(path)}: no such file {file}; packaged: {known}{hint}"


def policy_names(config: GpuConfig) -> dict[str, list[str]]:
    """The policies that a card names, by kind."""
    names: dict[str, list[str]] = {}
    for path, kind in policy_paths().items():
        names.setdefault(kind, []).append(attrgetter(".".join(path))(config))
    return names


def policy_digests(config: GpuConfig) -> list[str]:
    """Hashes of the policy files that a card names: its results depend on what stands in them.

    Raises GpusimError where one cannot be read.
    """
    return [digest(kind, name) for kind, names in policy_names(config).items() for name in names if is_file(name)]


def _section(values: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any] | None:
    """The section that holds a key path, None where there is none."""
    for step in path[:-1]:
        inner = values.get(step)
        if not isinstance(inner, dict):
            return None
        values = inner
    return values
