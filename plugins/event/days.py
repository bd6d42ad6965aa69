"""Words for a day: "tomorrow evening", "next friday", "Dec 3", "in 2 weeks", as the days that they may be. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta

from dateutil.relativedelta import relativedelta

from plugins.event import calendar_words as words
from plugins.event.clock_words import PART
from plugins.event.lengths import read_length
from plugins.event.phrase_error import PhraseError, Refusal, shown
from plugins.event.present import too_far

DEFAULT_TIME = time(9)
"""When a day was said, and no time of day."""

_PARTED = re.compile(rf"(?:in\s+the\s+|(?:(?P<day>.+?)\s+(?:in\s+the\s+)?)?)(?P<part>{PART})")
_WEEKDAY = re.compile(rf"(?:(?P<which>this|next|coming)\s+)?(?P<day>{words.WEEKDAY})")
_DATED = re.compile(rf"(?P<weekday>{words.WEEKDAY})\s+(?P<date>.+)")
_WITH_YEAR = re.compile(r"(?P<date>.+?)\s+(?P<year>[0-9]{4})")
_OF_MONTH = re.compile(r"the\s+(?P<day>[0-9]{1,2})(?:st|nd|rd|th)(?P<of>\s+of\s+(?:this|the)\s+month)?")
_ISO = re.compile(r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})")
_LAST_DAY = re.compile(r"(?:the\s+)?(?:end|last\s+day)\s+of\s+(?:the\s+|this\s+)?month")
_LENGTH = re.compile(r"in\s+(?P<ahead>.+)|(?P<from>.+)\s+from\s+(?:now|today)")
_NAMED = {"today": 0, "tomorrow": 1, "the day after tomorrow": 2, "day after tomorrow": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """The days that words may mean, in order: the first whose time of day is to come is meant.

    at: the time of day where none is said. part: "evening", if it was said. tonight: midnight ends this night.
    """

    dates: tuple[date, ...]
    at: time = DEFAULT_TIME
    part: str | None = None
    tonight: bool = False


def read_day(text: str, now: datetime) -> Day | None:
    """Return the day that a text is, None when it is none; raises PhraseError when there is no such day.

    now: the naive wall clock.
    """
    day = _day(text.removeprefix("on "), now)
    if day is not None:
        return day
    if text == "tonight":
        return Day(dates=(now.date(),), part="night", tonight=True)
    found = _PARTED.fullmatch(text)
    if found is None:
        return None
    if not found["day"]:  # "in the morning": the next one
        return Day(dates=(now.date(), now.date() + timedelta(days=1)), part=found["part"])
    if found["day"] == "this":
        return Day(dates=(now.date(),), part=found["part"])
    day = _day(found["day"].removeprefix("on "), now)
    return None if day is None else replace(day, part=found["part"])


def _day(text: str, now: datetime) -> Day | None:
    today = now.date()
    if text in _NAMED:
        return Day(dates=(today + timedelta(days=_NAMED[text]),))
    if _LAST_DAY.fullmatch(text):
        last = today + relativedelta(day=31)
        return Day(dates=(last,))
    return _ahead(text, now) or _weekday(text, today) or _date(text, today) or _dated(text, today)


def _ahead(text: str, now: datetime) -> Day | None:
    found = _LENGTH.fullmatch(text)
    length = None if found is None else read_length(found["ahead"] or found["from"])
    if length is None or not length.is_calendar or length.seconds:
        return None
    try:
        return Day(dates=(now.date() + length.calendar,), at=now.time())
    except (OverflowError, ValueError) as error:
        raise too_far(text) from error


def _weekday(text: str, today: date) -> Day | None:
    found = _WEEKDAY.fullmatch(text)
    if found is None:
        return None
    ahead = (words.weekday(found["day"]) - today.weekday()) % 7
    first = today + timedelta(days=ahead)
    later = first + timedelta(days=7)
    if found["which"] == "this":
        return Day(dates=(first,))
    if found["which"] == "next":
        return Day(dates=(later if ahead == 0 else first,))
    return Day(dates=(first, later))


def _date(text: str, today: date) -> Day | None:
    """Read a date; without a year it is the next such day, and today's where that is one."""
    if iso := _ISO.fullmatch(text):
        return Day(dates=(words.day_of(int(iso["year"]) or 1, int(iso["month"]), int(iso["day"])),))
    if (dated := _WITH_YEAR.fullmatch(text)) and (read := words.month_and_day(dated["date"])):
        return Day(dates=(words.day_of(int(dated["year"]) or 1, *read),))
    if read := words.month_and_day(text):
        return Day(dates=(_next_of_year(*read, today),))
    if found := _OF_MONTH.fullmatch(text):
        return Day(dates=_next_of_month(int(found["day"]), today, only_this=bool(found["of"])))
    return None


def _next_of_year(month: int, day: int, today: date) -> date:
    for year in range(today.year, today.year + 9):
        if (month, day) == (2, 29) and not _has_leap_day(year):
            continue
        if (candidate := words.day_of(year, month, day)) >= today:
            return candidate
    raise words.no_day(today.year, month, day)


def _has_leap_day(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _next_of_month(day: int, today: date, *, only_this: bool) -> tuple[date, ...]:
    if not 1 <= day <= 31:
        raise PhraseError(f"There is no day {day} of a month. Choose one that there is.", Refusal.IMPOSSIBLE)
    this = words.day_of(today.year, today.month, day) if day >= today.day or only_this else None
    if this is not None and (only_this or this > today):
        return (this,)
    follows = today + relativedelta(day=1, months=1)
    if this is None:
        return (words.day_of(follows.year, follows.month, day),)
    try:
        return this, date(follows.year, follows.month, day)
    except ValueError:
        return (this,)


def _dated(text: str, today: date) -> Day | None:
    """Read "thursday 24 december": the weekday has to be the date's."""
    found = _DATED.fullmatch(text)
    day = None if found is None else _date(found["date"], today)
    if found is None or day is None:
        return None
    first = day.dates[0]
    if first.weekday() != words.weekday(found["weekday"]):
        raise PhraseError(
            f"{shown(text)}: {first} is a {first:%A}. Write the date or the weekday alone.", Refusal.IMPOSSIBLE
        )
    return replace(day, dates=(first,))
