"""JSON files that end with a checksum of themselves, so that an edit or a flipped bit is found."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import gpusim

KEY = "checksum"
_MARK = f',\n "{KEY}": "'
_END = '"\n}\n'


def seal(text: str) -> str:
    """The text of a JSON object with its checksum (SHA-256 of all before it) as last key."""
    body = text.rstrip().removesuffix("}").rstrip()
    return f"{body}{_MARK}{_digest(body)}{_END}"


def parse(data: bytes, form: str, version: int, unsealed: int) -> dict[str, Any]:
    """The object of a file of format `form`, of this version or an older one, of which `unsealed` had no checksum.

    Raises ValueError saying why it is none.
    """
    text = data.decode(errors="replace").replace("\r\n", "\n")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON ({error})") from None
    if not isinstance(found, dict) or found.get("format") != form:
        raise ValueError(f"no format '{form}' in it")
    if found.get("version") not in range(unsealed, version + 1):
        known = f"this gpusim {gpusim.__version__} reads up to version {version}"
        raise ValueError(f"format version {found.get('version')}, {known}; use the gpusim that wrote it")
    if found["version"] != unsealed or _MARK in text:
        body, _, rest = text.rpartition(_MARK)
        if rest != _digest(body) + _END:
            raise ValueError("it was edited or damaged: its checksum does not match")
    return found


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()
