"""When something is to happen: the intent as it was said, and the occurrences that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A wall-clock time, perhaps repeated, or an elapsed delay.

    start: naive, of the wall clock of `zone` (IANA). rule: the value of an RRULE (RFC 5545), or "". elapsed: `start`
    is a naive time of UTC and the rule is counted there, so that no wall clock plays a part; `zone` is for showing.
    """

    start: datetime
    zone: str
    rule: str = ""
    elapsed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One occurrence: its naive time on the intent's own clock, and the instant that this is, in UTC milliseconds.

    remaining: how many follow it where the rule counts them, else None.
    """

    local: datetime
    at_ms: int
    remaining: int | None = None
