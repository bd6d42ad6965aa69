"""What a reminder is stored as, and what is computed from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """When something is meant to happen, as it was said; instants are computed from it and never stored instead.

    start: naive wall-clock time in `zone`, an IANA name. rule: the value of an RFC 5545 RRULE, without "RRULE:";
    "" happens once. elapsed: `start` is naive UTC and the rule is counted in UTC ("every 5 hours from now"), so no
    wall clock plays a part; `zone` is then only for showing.
    """

    start: datetime
    zone: str
    rule: str = ""
    elapsed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One time at which an intent happens.

    local: naive, on the clock of the intent (UTC when it is elapsed); where several wall-clock times of a gap share
    one instant, the last of them. at_ms: the instant, UTC milliseconds. remaining: how many times the rule still has
    after this one when it has a COUNT, else None.
    """

    local: datetime
    at_ms: int
    remaining: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """What became due up to now: the newest of it, how many in all, and the first one after now (None: no more).

    exact: False when more were due than are counted one by one; `count` is then how many were due at least.
    """

    newest: Occurrence
    count: int
    next: Occurrence | None
    exact: bool = True
