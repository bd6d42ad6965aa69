"""Did you mean: the cure for a name that nobody knows."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_SHOWN = 20


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return "Did you mean X?", or the names that are known, or "" when there are none."""
    names = sorted(known)
    close = get_close_matches(name[:80], names, n=1)
    if close:
        return f"Did you mean {close[0]}?"
    more = ", …" if len(names) > _SHOWN else ""
    return f"Known: {', '.join(names[:_SHOWN])}{more}." if names else ""


def full_stop(text: str) -> str:
    """Return the text as a sentence: with a full stop, unless it ends as one, with a suggestion say."""
    return text if text.endswith((".", "?", "!")) else f"{text}."
