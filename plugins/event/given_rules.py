"""Rules given as RFC 5545 has them: checked strictly, and their first occurrence found in bounded time. Pure."""

from __future__ import annotations

import calendar
import re
from bisect import bisect_left
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from itertools import product

from dateutil.rrule import rrulestr

from plugins.event.phrase_error import PhraseError, Refusal, shown
from plugins.event.rule_words import DAYS

LONGEST_RULE = 500
PASSING = ("SECONDLY", "MINUTELY", "HOURLY")
_FREQS = (*PASSING, "DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_UNTIL = re.compile(r"[0-9]{8}(?:T[0-9]{6}Z?)?")
_BYDAY = re.compile(rf"(?P<nth>[+-]?[0-9]{{1,2}})?(?P<day>{'|'.join(DAYS)})")
_SPANS = {
    "BYSECOND": (0, 59),
    "BYMINUTE": (0, 59),
    "BYHOUR": (0, 23),
    "BYMONTH": (1, 12),
    "BYMONTHDAY": (-31, 31),
    "BYYEARDAY": (-366, 366),
    "BYWEEKNO": (-53, 53),
    "BYSETPOS": (-366, 366),
}
_NOT_WITH = {
    "BYWEEKNO": (*PASSING, "DAILY", "WEEKLY", "MONTHLY"),
    "BYYEARDAY": ("DAILY", "WEEKLY", "MONTHLY"),
    "BYMONTHDAY": ("WEEKLY",),
    "BYSETPOS": PASSING,
}
"""What RFC 5545, 3.3.10 forbids; and the n-th of the seconds of an hour, which nobody wants a reminder at."""

_MOST_YEARS_APART = 45
"""February 29 on a given weekday comes within 40 years."""

_CYCLE_YEARS, _CYCLE_DAYS = 400, 146_097
"""The calendar repeats after so many years, weekdays included."""


def parse(text: str) -> dict[str, str]:
    """Return the parts of a rule, by name and in order; raises PhraseError for what RFC 5545 does not allow."""
    if len(text) > LONGEST_RULE:
        raise PhraseError(f"A rule has at most {LONGEST_RULE} characters.", Refusal.IMPOSSIBLE)
    bare = re.sub(r"^RRULE:", "", "".join(text.upper().split())).removesuffix(";")
    parts: dict[str, str] = {}
    for part in bare.split(";"):
        name, _, value = part.partition("=")
        if not value or name in parts:
            raise _bad(text, f"{shown(part)} is not one NAME=value, or stands twice")
        parts[name] = value
    if parts.get("FREQ") not in _FREQS:
        raise _bad(text, f"FREQ is one of {', '.join(_FREQS)}")
    for name, value in parts.items():
        _check(name, value, parts, text)
    if "COUNT" in parts and "UNTIL" in parts:
        raise _bad(text, "it has COUNT or UNTIL, not both")
    return {"FREQ": parts.pop("FREQ"), **parts}


def _check(name: str, value: str, parts: dict[str, str], text: str) -> None:
    if parts["FREQ"] in _NOT_WITH.get(name, ()):
        raise _bad(text, f"{name} does not go with {parts['FREQ']}")
    if name in ("COUNT", "INTERVAL"):
        if not re.fullmatch(r"[0-9]{1,6}", value) or int(value) < 1:
            raise _bad(text, f"{name} is a number from 1 to 999999")
    elif name in _SPANS:
        least, most = _SPANS[name]
        numbers = [int(n) for n in value.split(",") if re.fullmatch(r"[+-]?[0-9]{1,3}", n, re.ASCII)]
        if len(numbers) != value.count(",") + 1 or not all(least <= n <= most for n in numbers):
            raise _bad(text, f"{name} is of numbers from {least} to {most}")
        if least < 0 and 0 in numbers:
            raise _bad(text, f"{name} has no 0")
    elif name == "BYDAY":
        found = [_BYDAY.fullmatch(day) for day in value.split(",")]
        if not all(found):
            raise _bad(text, "BYDAY is of MO, TU, WE, TH, FR, SA, SU")
        if any(day and day["nth"] for day in found) and parts["FREQ"] not in ("MONTHLY", "YEARLY"):
            raise _bad(text, "the n-th of a weekday goes with MONTHLY and YEARLY")
        if any(day and day["nth"] and not 1 <= abs(int(day["nth"])) <= 53 for day in found):
            raise _bad(text, "the n-th of a weekday is 1 to 53")
    elif name == "UNTIL":
        if not _UNTIL.fullmatch(value):
            raise _bad(text, "UNTIL is like 20261224T180000Z")
        try:
            datetime.strptime(value[:15], "%Y%m%dT%H%M%S" if "T" in value else "%Y%m%d")
        except ValueError as error:
            raise _bad(text, f"there is no {value}") from error
    elif name == "WKST":
        if value not in DAYS:
            raise _bad(text, "WKST is one of MO, TU, WE, TH, FR, SA, SU")
    elif name != "FREQ":
        raise _bad(text, f"{shown(name)} is no part of a rule")


def first_of(parts: dict[str, str], begin: datetime, after: datetime) -> datetime | None:
    """Return the first occurrence at or after both times, None when there is none that anyone lives to see.

    begin: DTSTART, which says what the rule leaves out. The interval and the end do not count: "every 2 weeks on
    friday" begins on the first friday that there is.
    """
    after = max(begin, after)
    if parts["FREQ"] in (*PASSING, "DAILY"):
        return _first_by_day(parts, begin, after)
    # dateutil looks for what never comes up to the year 9999: begin as near to it as the calendar repeats.
    cycles = (9998 - _MOST_YEARS_APART - begin.year) // _CYCLE_YEARS
    moved = timedelta(days=max(0, cycles) * _CYCLE_DAYS)
    bare = ";".join(f"{name}={value}" for name, value in parts.items() if name not in ("COUNT", "UNTIL", "INTERVAL"))
    found: datetime | None = rrulestr(bare, dtstart=begin + moved).after(after + moved, inc=True)
    if found is None or found - moved > after + timedelta(days=366 * _MOST_YEARS_APART):
        return None
    return found - moved


def _first_by_day(parts: dict[str, str], begin: datetime, after: datetime) -> datetime | None:
    """Look through days: all but the times of a day only limits them, for rules of days and shorter."""
    times = _times(tuple(parts.items()), begin.time())
    limits = {name: set(_numbers(parts, name)) for name in ("BYMONTH", "BYMONTHDAY", "BYYEARDAY") if name in parts}
    weekdays = {DAYS.index(day) for day in parts.get("BYDAY", ",".join(DAYS)).split(",")}
    for ahead in range(366 * _MOST_YEARS_APART if times else 0):
        day = after.date() + timedelta(days=ahead)
        if day.weekday() in weekdays and all(_is_within(limits[name], name, day) for name in limits):
            place = 0 if ahead else bisect_left(times, after.time())
            if place < len(times):
                return datetime.combine(day, times[place])
    return None


@lru_cache(maxsize=8)
def _times(rule: tuple[tuple[str, str], ...], begin: time) -> list[time]:
    """Return the times of day at which a rule of days or shorter may come. Kept, as there may be 86,400."""
    parts = dict(rule)
    freq = parts["FREQ"]
    hours = _numbers(parts, "BYHOUR") or (range(24) if freq in PASSING else (begin.hour,))
    minutes = _numbers(parts, "BYMINUTE") or (range(60) if freq in PASSING[:2] else (begin.minute,))
    seconds = _numbers(parts, "BYSECOND") or (range(60) if freq == "SECONDLY" else (begin.second,))
    times = [time(*each) for each in product(sorted(set(hours)), sorted(set(minutes)), sorted(set(seconds)))]
    if "BYSETPOS" not in parts:
        return times
    nth = {place - 1 if place > 0 else len(times) + place for place in _numbers(parts, "BYSETPOS")}
    return [each for place, each in enumerate(times) if place in nth]


def _is_within(limit: set[int], name: str, day: date) -> bool:
    """Whether a day is one that BYMONTH, BYMONTHDAY or BYYEARDAY leaves; negative ones count from the end."""
    if name == "BYMONTH":
        return day.month in limit
    if name == "BYMONTHDAY":
        return day.day in limit or day.day - calendar.monthrange(day.year, day.month)[1] - 1 in limit
    of_year = day.timetuple().tm_yday
    return of_year in limit or of_year - (366 if calendar.isleap(day.year) else 365) - 1 in limit


def _numbers(parts: dict[str, str], name: str) -> list[int]:
    return [int(number) for number in parts[name].split(",")] if name in parts else []


def _bad(text: str, why: str) -> PhraseError:
    return PhraseError(f"The rule {shown(text)} cannot be read: {why}. See RFC 5545, RRULE.", Refusal.IMPOSSIBLE)
