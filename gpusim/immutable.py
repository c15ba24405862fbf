"""Immutable objects in and out of pickles, as process pools and caches of notebooks need them."""

from __future__ import annotations

from dataclasses import fields
from types import MappingProxyType
from typing import Any


class Picklable:
    """Base of frozen dataclasses whose mappings are read-only views, which pickle and copy do not take."""

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        plain = {name: dict(v) if isinstance(v, MappingProxyType) else v for name, v in values.items()}
        return _rebuild, (type(self), plain)


def _rebuild(kind: type, values: dict[str, Any]) -> Any:
    return kind(**values)
