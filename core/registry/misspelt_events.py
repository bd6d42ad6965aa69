"""Patterns of events that mean none of the core's, and are close to one: most likely misspelt."""

from __future__ import annotations

from difflib import get_close_matches

from core.contracts.core_events import CORE_EVENTS
from core.event_patterns import ONE, REST, matches

_CLOSE = 0.8


def meant_instead(pattern: str) -> str:
    """Return what a pattern of events was probably meant to be, "" where it may well be right.

    Plugins emit events of their own, so an unknown name alone is no mistake.
    """
    if any(matches(pattern, name) for name in CORE_EVENTS):
        return ""
    first, _, rest = pattern.partition(".")
    if ONE not in rest and REST not in rest:
        return _closest(pattern, list(CORE_EVENTS))
    kind = _closest(first, sorted({name.partition(".")[0] for name in CORE_EVENTS}))
    return f"{kind}.{rest}" if kind else ""


def _closest(name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, n=1, cutoff=_CLOSE)
    return close[0] if close and close[0] != name else ""
