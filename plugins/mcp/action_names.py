"""From the names of tools to types of actions: `SERVER_tool`, the same at every start. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

LONGEST_TYPE = 63
_OTHER = re.compile(r"[^a-z0-9_]+")


def action_types(tools: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return the action type of each (server, tool).

    Capitals become small and what is no letter, digit or "_" becomes "_". Where two tools would share a type, the
    one that needed no change keeps it, and the others end in six digits of a hash of their own name; so does what
    is too long. No type depends on the order in which the tools come.
    """
    wanted: dict[str, list[tuple[str, str]]] = {}
    for key in sorted(set(tools)):
        wanted.setdefault(_sanitized(*key), []).append(key)
    types: dict[tuple[str, str], str] = {}
    for type_, keys in wanted.items():
        exact = [key for key in keys if f"{key[0]}_{key[1]}" == type_]
        kept = keys[0] if len(keys) == 1 else exact[0] if len(exact) == 1 else None
        for key in keys:
            types[key] = type_ if key == kept and len(type_) <= LONGEST_TYPE else _marked(type_, key)
    return types


def _sanitized(server: str, tool: str) -> str:
    return f"{server}_{_OTHER.sub('_', tool.lower()).strip('_') or 'tool'}"


def _marked(type_: str, key: tuple[str, str]) -> str:
    digest = hashlib.sha256("\0".join(key).encode("utf-8", "replace")).hexdigest()[:6]
    return f"{type_[: LONGEST_TYPE - 7]}_{digest}"
