"""How much of MariaDB's `max_allowed_packet` values take; it closes the connection over a larger statement."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_ESCAPED = b"\0\n\r\x1a\"'\\"
_OTHERS = 1024
"""The statement itself, and its numbers."""


def packet_size(values: Iterable[Any], largest: int) -> int:
    """Return about how many bytes a statement with these values has; 0 when it is far from `largest`."""
    texts = [value for value in values if isinstance(value, str | bytes)]
    if sum(map(len, texts)) * 4 < largest:
        return 0
    return _OTHERS + sum(map(_sent, texts))


def _sent(value: str | bytes) -> int:
    if isinstance(value, bytes):
        return 2 * len(value)  # as hexadecimal digits
    raw = value.encode()
    return len(raw) + sum(raw.count(mark) for mark in _ESCAPED)
