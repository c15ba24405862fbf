"""Cards as YAML files in, checked and immutable `GpuConfig` objects out."""

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
