"""Recurrence rules (RFC 5545): read strictly, and walked on the naive clock of their intent. Pure.

dateutil makes the recurrence set. What it does not do is done here: COUNT and UNTIL (by the instant, not the naive
time), a rule that never comes, and a walk that does not begin at the very first occurrence each time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from dateutil.rrule import rrule, rrulestr

from core.contracts.errors import ScheduleError

PARTS = frozenset(
    (
        *("FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY", "BYMONTHDAY", "BYYEARDAY"),
        *("BYWEEKNO", "BYMONTH", "BYHOUR", "BYMINUTE", "BYSECOND", "BYSETPOS"),
    )
)
FREQUENCIES = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY")
MOST_COUNT = 10_000
LONGEST_RULE = 500
LONGEST_INTERVAL_YEARS = 30
_UNIT_S = {"WEEKLY": 7 * 86_400, "DAILY": 86_400, "HOURLY": 3600, "MINUTELY": 60, "SECONDLY": 1}
_UNITS_A_YEAR = {"YEARLY": 1, "MONTHLY": 12} | {freq: 366 * 86_400 // s for freq, s in _UNIT_S.items()}
_LAST_YEARS = 40
_CLOCK_PART = re.compile(r"BY(?:HOUR|MINUTE|SECOND)=")
CURE = 'Write an RRULE such as "FREQ=WEEKLY;BYDAY=MO,TH", or "every weekday at 8".'


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule, read. pattern: without COUNT and UNTIL. until: as it was written, "" without end."""

    pattern: str
    freq: str
    interval: int
    count: int | None
    until: str


@lru_cache(maxsize=512)
def read_rule(text: str) -> Rule:
    """Read the value of an RRULE; raises ScheduleError with what is wrong and what to do."""
    value = text.strip().upper().removeprefix("RRULE:")
    if len(value) > LONGEST_RULE or "\n" in value:
        raise ScheduleError("A repetition is one rule on one line.", cure=CURE)
    parts: dict[str, str] = {}
    for part in filter(None, value.split(";")):
        name, equals, given = part.partition("=")
        if not equals or not given or name not in PARTS:
            raise ScheduleError(f"The rule {text!r} has a part {part!r} that RFC 5545 does not know.", cure=CURE)
        if name in parts:
            raise ScheduleError(f"The rule {text!r} says {name} twice.", cure=CURE)
        parts[name] = given
    freq = parts.get("FREQ", "")
    if freq not in FREQUENCIES:
        raise ScheduleError(f"The rule {text!r} has no FREQ of {', '.join(FREQUENCIES)}.", cure=CURE)
    if "COUNT" in parts and "UNTIL" in parts:
        raise ScheduleError("A rule ends by COUNT or by UNTIL, not by both.", cure="Leave one of them out.")
    interval = _number(parts, "INTERVAL", 1)
    if interval > LONGEST_INTERVAL_YEARS * _UNITS_A_YEAR[freq]:
        raise ScheduleError(f"An INTERVAL of {interval} is out of range.", cure="Choose a shorter one.")
    count = _number(parts, "COUNT", 1) if "COUNT" in parts else None
    if count is not None and count > MOST_COUNT:
        raise ScheduleError(f"COUNT is at most {MOST_COUNT}.", cure="Leave it out for a repetition without end.")
    pattern = ";".join(f"{name}={given}" for name, given in parts.items() if name not in ("COUNT", "UNTIL"))
    return Rule(pattern=pattern, freq=freq, interval=interval, count=count, until=parts.get("UNTIL", ""))


def check_rule(rule: Rule, start: datetime) -> None:
    """Make sure that a rule that starts so comes at least once; raises ScheduleError."""
    if rule.freq == "SECONDLY" and _CLOCK_PART.search(rule.pattern):
        # dateutil tries each second of a day, which takes minutes where the day is rare as well.
        raise ScheduleError(
            "FREQ=SECONDLY has no BYHOUR, BYMINUTE or BYSECOND here.", cure="Write FREQ=DAILY with these parts."
        )
    # dateutil looks for an occurrence up to the year 9999. Moved near to there it comes to an end soon; leap years
    # and weekdays, which a rule may hang on, are the same.
    year = 9999 - _LAST_YEARS
    while (year - start.year) % 4 or start.replace(year=year).weekday() != start.weekday():
        year -= 1
    try:
        if next(iter(_set(rule.pattern, start.replace(year=year))), None) is None:
            raise ScheduleError(f"The rule {rule.pattern} never comes.", cure="Check its days and months.")
    except (ValueError, TypeError, IndexError, KeyError) as error:
        raise ScheduleError(f"The rule {rule.pattern} cannot be read: {error}.", cure=CURE) from error


def walk(rule: Rule, start: datetime, at_or_after: datetime) -> Iterator[datetime]:
    """Yield the naive times of a rule's pattern from a time on; COUNT and UNTIL are not looked at."""
    # Moved on by whole intervals, which keeps the phase and whatever a rule takes from its start.
    unit_s = _UNIT_S.get(rule.freq)
    begin = start
    if unit_s is not None and at_or_after > start:
        stride_s = unit_s * rule.interval
        strides = int((at_or_after - start).total_seconds() // stride_s) - 1
        begin = start + timedelta(seconds=stride_s * max(strides, 0))
    for local in _set(rule.pattern, begin):
        if local >= at_or_after:
            yield local


def read_until(text: str) -> datetime:
    """Return an UNTIL: aware where it is in UTC, else naive; a date is its whole day. Raises ScheduleError."""
    for form in ("%Y%m%dT%H%M%SZ", "%Y%m%dT%H%M%S", "%Y%m%d"):
        try:
            read = datetime.strptime(text, form)
        except ValueError:
            continue
        if form.endswith("Z"):
            return read.replace(tzinfo=UTC)
        return read if "T" in text else read.replace(hour=23, minute=59, second=59)
    raise ScheduleError(f"UNTIL={text} is no date.", cure="Write UNTIL=20271231T235959Z.")


def _set(pattern: str, start: datetime) -> rrule:
    made = rrulestr(pattern, dtstart=start)
    assert isinstance(made, rrule)
    return made


def _number(parts: dict[str, str], name: str, default: int) -> int:
    given = parts.get(name)
    if given is None:
        return default
    if not given.isascii() or not given.isdecimal() or not 0 < int(given[:12]) < 10**10:
        raise ScheduleError(f"{name}={given} is no whole number above 0.", cure=CURE)
    return int(given)
