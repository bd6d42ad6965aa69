"""Lengths of time in words: "2 hours and 10 seconds", "half an hour", "1h30m", "a week". Pure; English only."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dateutil.relativedelta import relativedelta

from plugins.event import clock_words as words

_SECONDS = {"s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3600, "hr": 3600, "hour": 3600}
_MONTHS = {"month": 1, "year": 12}
_DAYS = {"d": 1, "day": 1, "w": 7, "week": 7}
ELAPSED = r"(?:seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h)"
CALENDAR = r"(?:days?|d|weeks?|w|months?|years?)"
_NAMED = {
    "half an hour": 1800,
    "half a minute": 30,
    "a quarter of an hour": 900,
    "quarter of an hour": 900,
    "three quarters of an hour": 2700,
    "an hour and a half": 5400,
    "one hour and a half": 5400,
    "a minute and a half": 90,
}
_HALVES = r"(?P<count>[0-9]{1,4})(?:\.(?P<tenth>5)|\s+and\s+a\s+half)\s+(?P<of>hours?|minutes?)"
_PART = re.compile(rf"(?P<n>{words.NUMBER})(?P<unit>{ELAPSED}|{CALENDAR})(?![a-z])\s*(?:and\s+|,\s*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """A length as it was said: days and months of the calendar, and seconds that pass, whatever a clock does."""

    months: int = 0
    days: int = 0
    seconds: int = 0

    @property
    def calendar(self) -> relativedelta:
        """What is counted in days, months and years."""
        return relativedelta(months=self.months, days=self.days)

    @property
    def is_calendar(self) -> bool:
        """Whether days, months or years were said."""
        return bool(self.months or self.days)


def read_length(text: str) -> Length | None:
    """Return the length that a whole text says, None when it says none, or one of its units twice."""
    if text in _NAMED:
        return Length(seconds=_NAMED[text])
    if halves := re.fullmatch(_HALVES, text):
        return Length(seconds=(2 * int(halves["count"]) + 1) * _SECONDS[halves["of"].rstrip("s")] // 2)
    place, seconds, days, months = 0, 0, 0, 0
    said: set[str] = set()
    while place < len(text):
        part = _PART.match(text, place)
        if part is None:
            return None
        place = part.end()
        unit = part["unit"] if len(part["unit"]) == 1 else part["unit"].rstrip("s")
        kind = unit[:3] if unit in ("month", "mont") else unit[0]
        if kind in said:
            return None
        said.add(kind)
        count = words.number(part["n"])
        seconds += count * _SECONDS.get(unit, 0)
        days += count * _DAYS.get(unit, 0)
        months += count * _MONTHS.get(unit, 0)
    if not said or re.search(r"(?:\band|,)\s*$", text):
        return None
    return Length(months=months, days=days, seconds=seconds)
