"""How a place in a reply is written: by line and column, or by path."""

from __future__ import annotations

import re
from typing import TypeAlias

from core.contracts.json import compact
from core.turn.reading.excerpt import excerpt

Path: TypeAlias = tuple[str | int, ...]
"""Keys and indexes from the outermost value inwards."""

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}", re.ASCII)
_KEY_LIMIT = 60
_PATH_LIMIT = 300


def path_text(path: Path) -> str:
    """Return a path as text: `$.actions[0].payload.text`."""
    parts = ["$"]
    for step in path:
        if isinstance(step, int):
            parts.append(f"[{step}]")
        elif _PLAIN_KEY.fullmatch(step):
            parts.append(f".{step}")
        else:
            parts.append(f"[{quoted(step)}]")
    return excerpt("".join(parts), _PATH_LIMIT)


def place_text(text: str, at: int) -> str:
    """Return where an offset is: "line 3, column 14", both counted from 1."""
    line = text.count("\n", 0, at) + 1
    return f"line {line}, column {at - text.rfind(chr(10), 0, at)}"


def quoted(text: str) -> str:
    """Return a piece of the model's text as a JSON string, cut where it is long."""
    return compact(excerpt(text, _KEY_LIMIT))
