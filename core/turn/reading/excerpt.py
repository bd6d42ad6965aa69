"""What of a model's text is shown back to it: short enough, and always fit to be encoded."""

from __future__ import annotations

import re

_HALF_CHARACTER = re.compile("[\ud800-\udfff]")


def whole_characters(text: str) -> str:
    """Return the text with each lone surrogate, which no encoding can carry, replaced by U+FFFD."""
    return _HALF_CHARACTER.sub("\ufffd", text)


def excerpt(text: str, limit: int) -> str:
    """Return the text, cut in the middle where it is longer than `limit` characters; says how much is left out."""
    if len(text) > limit:
        head = limit * 2 // 3
        tail = limit - head
        text = f"{text[:head]} [… {len(text) - limit:,} characters left out …] {text[-tail:]}"
    return whole_characters(text)


def has_half_character(text: str) -> bool:
    """Whether the text holds a lone surrogate."""
    return _HALF_CHARACTER.search(text) is not None
