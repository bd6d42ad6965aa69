"""Patterns over the names of events.

A pattern is dotted like a name. `*` stands for exactly one segment, wherever it is: `turn.*` is `turn.started` and
not `turn.step.ended`. `**` at the end stands for one segment or more: `lamp.**` is `lamp.on` and `lamp.kitchen.on`;
alone it is every event. There is nothing like `turn.st*`.
"""

from __future__ import annotations

import re
from functools import lru_cache

from core.contracts.events import LONGEST_NAME

ONE = "*"
REST = "**"

_SEGMENT = re.compile(r"[a-z0-9_]+")


def check_pattern(pattern: object) -> str:
    """Return a pattern as it is; raises ValueError that says what is wrong with it."""
    if not isinstance(pattern, str) or not pattern or len(pattern) > LONGEST_NAME:
        raise ValueError(f"{pattern!r:.150} is no pattern of events")
    segments = pattern.split(".")
    for place, segment in enumerate(segments):
        last = place + 1 == len(segments)
        if segment == REST and not last:
            raise ValueError(f"in {pattern!r} ** does not stand at the end")
        if segment not in (ONE, REST) and not _SEGMENT.fullmatch(segment):
            raise ValueError(f"{segment!r} in {pattern!r} is neither a lower-case word nor * nor **")
    if len(segments) == 1 and pattern != REST:
        raise ValueError(f"{pattern!r} has no dot; every event has one")
    return pattern


@lru_cache(maxsize=4096)
def matches(pattern: str, name: str) -> bool:
    """Whether the name of an event is one that the pattern means."""
    wanted, found = pattern.split("."), name.split(".")
    if wanted[-1] == REST:
        wanted.pop()
        if len(found) <= len(wanted):
            return False
        found = found[: len(wanted)]
    return len(wanted) == len(found) and all(want in (ONE, have) for want, have in zip(wanted, found, strict=True))
