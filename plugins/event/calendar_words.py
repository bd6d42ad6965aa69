"""The words of the calendar: weekdays, months, days of them. Pure; English only."""

from __future__ import annotations

import calendar
import re
from datetime import date

from plugins.event.phrase_error import PhraseError, Refusal

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = tuple(name.lower() for name in calendar.month_name[1:])

WEEKDAY = r"(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?"
MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    r"sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
NTH = r"[0-9]{1,2}(?:st|nd|rd|th)"
_DAY_MONTH = re.compile(rf"(?:the\s+)?(?P<day>[0-9]{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<month>{MONTH})")
_MONTH_DAY = re.compile(rf"(?P<month>{MONTH})\s+(?:the\s+)?(?P<day>[0-9]{{1,2}})(?:st|nd|rd|th)?")


def weekday(word: str) -> int:
    """Return the day of the week of a word that `WEEKDAY` matches, Monday being 0."""
    return next(day for day, name in enumerate(WEEKDAYS) if name.startswith(word[:3]))


def month(word: str) -> int:
    """Return the month of a word that `MONTH` matches, January being 1."""
    return next(n for n, name in enumerate(MONTHS, 1) if name.startswith(word[:3]))


def month_and_day(text: str) -> tuple[int, int] | None:
    """Return (month, day) of "3 December", "Dec 3" or "the 3rd of December"; raises PhraseError for February 30."""
    found = _DAY_MONTH.fullmatch(text) or _MONTH_DAY.fullmatch(text)
    if found is None:
        return None
    which, day = month(found["month"]), int(found["day"])
    most = calendar.monthrange(2024, which)[1]  # of a leap year
    if not 1 <= day <= most:
        name = MONTHS[which - 1].capitalize()
        raise PhraseError(f"There is no {name} {day}: {name} has {most} days at most.", Refusal.IMPOSSIBLE)
    return which, day


def day_of(year: int, month_number: int, day: int) -> date:
    """Return a date; raises PhraseError when there is no such day."""
    try:
        return date(year, month_number, day)
    except ValueError as error:
        raise no_day(year, month_number, day) from error


def no_day(year: int, month_number: int, day: int) -> PhraseError:
    """Return the error for a day that its month does not have."""
    name = MONTHS[month_number - 1].capitalize() if 1 <= month_number <= 12 else f"month {month_number}"
    last = f" {name} {year} has {calendar.monthrange(year, month_number)[1]} days." if 1 <= month_number <= 12 else ""
    return PhraseError(f"There is no {name} {day}, {year}.{last} Choose a day that there is.", Refusal.IMPOSSIBLE)
