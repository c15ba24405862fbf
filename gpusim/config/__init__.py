"""Cards as YAML files in, checked and immutable `GpuConfig` objects out."""

from __future__ import annotations

_PUBLIC = {"load_config": "loading", "list_configs": "loading", "expand": "expansion", "json_schema": "expansion"}

__all__ = ["expand", "json_schema", "list_configs", "load_config"]


def __getattr__(name: str) -> object:
    """Imported at first use: pydantic and YAML cost what `gpusim --help` must not wait for."""
    from importlib import import_module

    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
