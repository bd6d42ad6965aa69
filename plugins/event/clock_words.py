"""The words of which times are made: hours, days, months, numbers, lengths. Pure; English only."""

from __future__ import annotations

import re
from datetime import date, time

from plugins.event.phrase_error import PhraseError

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_UP_TO_TWELVE = "zero one two three four five six seven eight nine ten eleven twelve"
NUMBERS = {
    **{word: number for number, word in enumerate(_UP_TO_TWELVE.split(" "))},
    "a": 1,
    "an": 1,
    "fifteen": 15,
    "twenty": 20,
    "thirty": 30,
    "forty": 40,
    "forty-five": 45,
    "sixty": 60,
    "ninety": 90,
}
ELAPSED_S = {"second": 1, "sec": 1, "s": 1, "minute": 60, "min": 60, "m": 60, "hour": 3600, "hr": 3600, "h": 3600}
CALENDAR = {"day": "days", "d": "days", "week": "weeks", "w": "weeks", "month": "months", "year": "years"}
UNITS = frozenset((*ELAPSED_S, *CALENDAR))
NAMED_TIMES = {
    "noon": time(12),
    "midday": time(12),
    "midnight": time(0),
    "morning": time(9),
    "afternoon": time(15),
    "evening": time(19),
    "night": time(21),
}

NUMBER = r"(?:\d{1,6}\s*|(?:" + "|".join(sorted(NUMBERS, key=len, reverse=True)) + r")\s+)"
ELAPSED = r"(?:seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h)"
DAYS = r"(?:days?|d|weeks?|w|months?|years?)"
WEEKDAY = r"(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?s?"
MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    r"sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
CLOCK = (
    r"(?:(?P<hour>\d{1,2})(?::(?P<minute>\d{2})(?::(?P<second>\d{2}))?)?\s*(?P<half>am|pm|a\.m\.?|p\.m\.?)?"
    r"|(?P<named>noon|midday|midnight|morning|afternoon|evening|night))"
)
_PART_OF_DAY = r"(?:\s+in\s+the\s+(?P<part>morning|afternoon|evening))?"
_CLOCK = re.compile(rf"(?:at\s+|in\s+the\s+|@\s*)?{CLOCK}(?:\s*o'?clock)?{_PART_OF_DAY}")


def number(word: str) -> int:
    """Return a number that is written in digits or as one of `NUMBERS`."""
    word = word.strip()
    return int(word) if word.isdecimal() else NUMBERS[word]


def weekday(word: str) -> int:
    """Return the day of the week, Monday being 0."""
    return next(day for day, name in enumerate(WEEKDAYS) if name.startswith(word.rstrip("s")[:3]))


def month(word: str) -> int:
    """Return the month, January being 1."""
    return next(n for n, name in enumerate(MONTHS, 1) if name.startswith(word[:3]))


def calendar_day(year: int, month_number: int, day: int) -> date:
    """Return a date; raises PhraseError when there is no such day."""
    try:
        return date(year, month_number, day)
    except ValueError as error:
        name = MONTHS[month_number - 1].capitalize() if 1 <= month_number <= 12 else f"month {month_number}"
        raise PhraseError(f"There is no {name} {day} in {year}.") from error


def clock_time(text: str) -> time | None:
    """Return the time of day that a text is, None when it is none; raises PhraseError when there is no such time.

    Without am or pm it is the 24-hour clock: "at 7" is 07:00.
    """
    found = _CLOCK.fullmatch(text.strip())
    if found is None:
        return None
    if found["named"]:
        return NAMED_TIMES[found["named"]]
    hour, minute, second = int(found["hour"]), int(found["minute"] or 0), int(found["second"] or 0)
    half = (found["half"] or "").replace(".", "")
    if found["part"] and not half:
        half = "am" if found["part"] == "morning" else "pm"
    if half:
        if not 1 <= hour <= 12:
            raise PhraseError(f"{text.strip()!r} is no time of day: with am or pm the hour is 1 to 12.")
        hour = hour % 12 + (12 if half == "pm" else 0)
    if hour == 24 and minute == second == 0:
        raise PhraseError('24:00 may be either end of the day. Write "midnight" with the day that begins then.')
    if hour > 23 or minute > 59 or second > 59:
        raise PhraseError(f"{text.strip()!r} is no time of day.")
    return time(hour, minute, second)
