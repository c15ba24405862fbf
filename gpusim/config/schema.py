"""What the models allow, in words: for error messages, key look-up and editors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

from gpusim.config.models import GpuConfig


@cache
def json_schema() -> dict[str, object]:
    """JSON schema of an expanded card, for editors that check YAML while it is written."""
    return GpuConfig.model_json_schema()


def _resolve(node: dict) -> dict:
    while "$ref" in node:
        node = json_schema()["$defs"][node["$ref"].rsplit("/", 1)[1]]
    return node


def node_at(path: Sequence[str | int]) -> dict | None:
    """Schema of the value at a key path; None if there is no such key."""
    node = _resolve(json_schema())
    for step in path:
        if isinstance(step, int):
            items = node.get("prefixItems", [])
            node = items[step] if step < len(items) else node.get("items", {})
        elif step in node.get("properties", {}):
            node = node["properties"][step]
        else:
            return None
        node = _resolve(node)
    return node


def is_policy(path: Sequence[str | int]) -> bool:
    """Whether a key path names a policy: a packaged one, or a file of the user's own."""
    return "x-policy" in (node_at(path) or {})


def keys_of(path: Sequence[str | int]) -> list[str]:
    """Keys of the section at a path; empty for a plain value."""
    return list((node_at(path) or {}).get("properties", {}))


def all_paths(path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key path of a card, sections before what is in them."""
    for key in keys_of(path):
        yield (*path, key)
        yield from all_paths((*path, key))


def allowed(path: Sequence[str | int]) -> str:
    """What may stand at a key path, such as `integer, 1 to 15`."""
    node = node_at(path)
    return _describe(node) if node is not None else ""


def _describe(node: dict) -> str:
    node = _resolve(node)
    if "properties" in node:
        return "a section with " + ", ".join(node["properties"])
    if "anyOf" in node:
        return ", or ".join(_describe(choice) for choice in node["anyOf"])
    if "enum" in node:
        return "one of " + ", ".join(str(value) for value in node["enum"])
    if "const" in node:
        return f"only {node['const']}"
    if node.get("type") == "array":
        items = node.get("prefixItems")
        if items:
            return f"a list of {len(items)}, each {_describe(items[0])}"
        return f"a list, each {_describe(node.get('items', {}))}"
    return _describe_scalar(node)


def _describe_scalar(node: dict) -> str:
    words = {"integer": "integer", "number": "number", "boolean": "true or false", "string": "text", "null": "null"}
    text = words.get(node.get("type", ""), "any value")
    if "pattern" in node:
        return node.get("description", text)
    low, high = node.get("minimum"), node.get("maximum")
    if "exclusiveMinimum" in node:
        text += f", above {node['exclusiveMinimum']:g}"
        text += f", at most {high:g}" if high is not None else ""
    elif low is not None:
        text += f", {low} to {high}" if high is not None else f", at least {low}"
    if "multipleOf" in node:
        text += f", a multiple of {node['multipleOf']}"
    return text
