"""Cards as YAML files in, checked and immutable `GpuConfig` objects out: the third of the project's nouns.

    models      every parameter with its bounds, as pydantic models: what a card may say
    loading     a file, those that it inherits from, overrides -> GpuConfig, or every problem with its place
    policies    files of a user's own policies, found beside the card that names them
    expansion   a card written out in full with the source of each value; the JSON schema

Reading YAML and telling problems is shared with launch files, opcode tables and experiments: `gpusim.yamlfile`,
`gpusim.schema`. A parameter keeps its name and its place down to compiled code (`P.card[0].sm.sub_core...`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpusim.config.expansion import expand, json_schema
    from gpusim.config.loading import check_file, list_configs, load_config

_PUBLIC = {
    "check_file": "loading",
    "load_config": "loading",
    "list_configs": "loading",
    "expand": "expansion",
    "json_schema": "expansion",
}

__all__ = ["check_file", "expand", "json_schema", "list_configs", "load_config"]


def __getattr__(name: str) -> Any:
    """Imported at first use: pydantic and YAML cost what `gpusim --help` must not wait for."""
    from importlib import import_module

    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
