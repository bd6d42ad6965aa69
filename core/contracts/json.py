"""The JSON edge: the one place where values have no narrower type, and their canonical text and hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, TypeAlias

Json: TypeAlias = Any
"""None, bool, int, float, str, list or dict of the same: what `json.loads` returns."""

JsonObject: TypeAlias = dict[str, Any]


# Made once: `json.dumps` makes an encoder at every call that is not for its defaults.
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
_compact = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def canonical(value: Json) -> str:
    """Return the one text of a JSON value: sorted keys, no spaces, not escaped to ASCII."""
    return _canonical(value)


def compact(value: Json) -> str:
    """Return a JSON text without spaces, keys in their own order: what is sent and stored."""
    return _compact(value)


def action_hash(type_: str, payload: Mapping[str, Json]) -> str:
    """Return the SHA-256 (hex) that binds an approval or a recorded outcome to one exact action."""
    return hashlib.sha256(canonical([type_, dict(payload)]).encode()).hexdigest()


def storable(text: str) -> str:
    """Return a text that every database and platform can take: what is none of their characters as its escape.

    That is half a character (a lone surrogate) and NUL, which PostgreSQL stores nowhere.
    """
    if "\0" in text:
        text = text.replace("\0", "\\x00")
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
