"""Repeat rules (RFC 5545 section 3.3.10) as text and as data: read strictly, written in one canonical form."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum

from core.contracts.errors import ScheduleError

MOST_COUNT = 10_000
"""COUNT at most, since it has to be counted one by one."""
_LONGEST_RULE = 4_000

WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


class Frequency(IntEnum):
    """The period that a rule goes by, longest first."""

    YEARLY = 0
    MONTHLY = 1
    WEEKLY = 2
    DAILY = 3
    HOURLY = 4
    MINUTELY = 5
    SECONDLY = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A repeat rule. Its lists are sorted; `days` are (which one, weekday from 0 for Monday), 0 for every one.

    until: the last wall-clock time when naive, the last instant when it has a zone (then UTC).
    """

    frequency: Frequency
    interval: int = 1
    count: int | None = None
    until: datetime | None = None
    months: tuple[int, ...] = ()
    week_numbers: tuple[int, ...] = ()
    year_days: tuple[int, ...] = ()
    month_days: tuple[int, ...] = ()
    days: tuple[tuple[int, int], ...] = ()
    hours: tuple[int, ...] = ()
    minutes: tuple[int, ...] = ()
    seconds: tuple[int, ...] = ()
    positions: tuple[int, ...] = ()
    week_start: int = 0

    def __str__(self) -> str:
        """Return the canonical text of the rule."""
        parts = [f"FREQ={self.frequency.name}"]
        if self.interval != 1:
            parts.append(f"INTERVAL={self.interval}")
        for name, field in _LISTS.items():
            if values := getattr(self, field.attribute):
                parts.append(f"{name}={','.join(map(str, values))}")
            if name == "BYMONTHDAY" and self.days:
                parts.append("BYDAY=" + ",".join(f"{nth or ''}{WEEKDAYS[day]}" for nth, day in self.days))
        if self.week_start:
            parts.append(f"WKST={WEEKDAYS[self.week_start]}")
        if self.count is not None:
            parts.append(f"COUNT={self.count}")
        if self.until is not None:
            parts.append(f"UNTIL={self.until:%Y%m%dT%H%M%S}{'Z' if self.until.tzinfo else ''}")
        return ";".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _List:
    """A part that lists whole numbers from `least` to `most`; signed ones count from the end too and are never 0."""

    attribute: str
    least: int
    most: int
    signed: bool = False


_LISTS = {
    "BYMONTH": _List(attribute="months", least=1, most=12),
    "BYWEEKNO": _List(attribute="week_numbers", least=1, most=53, signed=True),
    "BYYEARDAY": _List(attribute="year_days", least=1, most=366, signed=True),
    "BYMONTHDAY": _List(attribute="month_days", least=1, most=31, signed=True),
    "BYHOUR": _List(attribute="hours", least=0, most=23),
    "BYMINUTE": _List(attribute="minutes", least=0, most=59),
    "BYSECOND": _List(attribute="seconds", least=0, most=60),
    "BYSETPOS": _List(attribute="positions", least=1, most=366, signed=True),
}
_OTHERS = ("FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY")
_NUMBER = re.compile(r"[+-]?[0-9]{1,9}")
_DAY = re.compile(r"([+-]?[0-9]{1,2})?(MO|TU|WE|TH|FR|SA|SU)")
_UNTIL = re.compile(r"[0-9]{8}(?:T[0-9]{6}Z?)?")


def read_rule(text: str) -> Rule:
    """Read the value of an RRULE; a leading "RRULE:" and small letters are taken as well.

    Raises ScheduleError with what is wrong: more than RFC 5545 allows is never ignored, since it would be meant.
    """
    parts = _parts(text)
    if "FREQ" not in parts:
        raise _unreadable("it has no FREQ", "Begin it with FREQ=DAILY, for example.")
    if parts["FREQ"] not in Frequency.__members__:
        raise _unreadable(f"{parts['FREQ']!r} is no frequency", f"Write one of {', '.join(Frequency.__members__)}.")
    if "COUNT" in parts and "UNTIL" in parts:
        raise ScheduleError("The repeat rule has both COUNT and UNTIL.", cure="Leave one of them out.")
    count = _whole("COUNT", parts["COUNT"], 1, MOST_COUNT) if "COUNT" in parts else None
    rule = Rule(
        frequency=Frequency[parts["FREQ"]],
        interval=_whole("INTERVAL", parts.get("INTERVAL", "1"), 1, 999_999_999),
        count=count,
        until=_read_until(parts["UNTIL"]) if "UNTIL" in parts else None,
        days=_read_days(parts["BYDAY"]) if "BYDAY" in parts else (),
        week_start=_read_week_start(parts.get("WKST", "MO")),
        **{field.attribute: _read_list(name, parts[name]) for name, field in _LISTS.items() if name in parts},
    )
    _check_together(rule)
    return rule


def _parts(text: str) -> dict[str, str]:
    value = text.strip().upper().removeprefix("RRULE:")
    if len(value) > _LONGEST_RULE:
        raise ScheduleError(f"The repeat rule is longer than {_LONGEST_RULE} characters.", cure="Make it shorter.")
    if len(value.splitlines()) > 1 or "RRULE:" in value:
        raise ScheduleError("There is more than one repeat rule.", cure="Make a reminder for each of them.")
    parts: dict[str, str] = {}
    for part in value.split(";"):
        name, equals, content = part.partition("=")
        if not equals or not content:
            raise _unreadable(f"{part!r} is not NAME=VALUE", "Write it as FREQ=WEEKLY;BYDAY=MO.")
        if name not in _LISTS and name not in _OTHERS:
            raise _unreadable(f"there is no part {name!r}", f"Known are {', '.join(sorted((*_LISTS, *_OTHERS)))}.")
        if name in parts:
            raise _unreadable(f"{name} stands there twice", "Put its values into one list.")
        parts[name] = content
    return parts


def _whole(name: str, text: str, least: int, most: int) -> int:
    if not _NUMBER.fullmatch(text) or not least <= int(text) <= most:
        raise _unreadable(f"{name}={text} is no whole number from {least} to {most}")
    return int(text)


def _read_list(name: str, text: str) -> tuple[int, ...]:
    field = _LISTS[name]
    numbers = set()
    for item in text.split(","):
        number = _whole(name, item, -field.most if field.signed else field.least, field.most)
        if field.signed and number == 0:
            raise _unreadable(f"{name} counts from 1, or from -1 at the end", "Leave the 0 out.")
        # A leap second, which no clock here has: RFC 5545 has it read as the second before.
        numbers.add(59 if name == "BYSECOND" and number == 60 else number)
    return tuple(sorted(numbers))


def _read_days(text: str) -> tuple[tuple[int, int], ...]:
    days = set()
    for item in text.split(","):
        found = _DAY.fullmatch(item)
        nth = int(found[1] or 0) if found else 0
        if not found or (found[1] and nth == 0) or abs(nth) > 53:
            raise _unreadable(
                f"BYDAY={item} is no day", "Write MO for Mondays, 1MO for the first and -1MO for the last."
            )
        days.add((nth, WEEKDAYS.index(found[2])))
    return tuple(sorted(days))


def _read_week_start(text: str) -> int:
    if text not in WEEKDAYS:
        raise _unreadable(f"WKST={text} is no weekday", f"Write one of {', '.join(WEEKDAYS)}.")
    return WEEKDAYS.index(text)


def _read_until(text: str) -> datetime:
    try:
        if not _UNTIL.fullmatch(text):
            raise ValueError("neither a date nor a time")
        until = datetime.strptime(text[:15] if "T" in text else f"{text}T235959", "%Y%m%dT%H%M%S")
    except ValueError:
        cure = "Write the last day (20301231), a local time (20301231T090000) or UTC (20301231T080000Z)."
        raise _unreadable(f"UNTIL={text} is no date or time", cure) from None
    if until.year < 1970:
        raise ScheduleError(f"The repeat rule ends in {until.year}.", cure="Let it end later.")
    return until.replace(tzinfo=UTC) if text.endswith("Z") else until


def _check_together(rule: Rule) -> None:
    """Raise for parts that RFC 5545 forbids with others; some libraries ignore them instead."""
    name = f"FREQ={rule.frequency.name}"
    numbered = [nth for nth, _ in rule.days if nth]
    long = rule.frequency in (Frequency.YEARLY, Frequency.MONTHLY)
    if numbered and (not long or rule.week_numbers):
        other = "BYWEEKNO" if long else name
        raise _unreadable(f"a numbered day such as 1MO does not go with {other}", "Write the day without a number.")
    if rule.frequency is Frequency.WEEKLY and rule.month_days:
        raise _unreadable(f"BYMONTHDAY does not go with {name}", "Use FREQ=MONTHLY or FREQ=DAILY.")
    if rule.year_days and rule.frequency in (Frequency.MONTHLY, Frequency.WEEKLY, Frequency.DAILY):
        raise _unreadable(f"BYYEARDAY does not go with {name}", "Use FREQ=YEARLY.")
    if rule.week_numbers and rule.frequency is not Frequency.YEARLY:
        raise _unreadable(f"BYWEEKNO does not go with {name}", "Use FREQ=YEARLY.")
    lists = ("months", "week_numbers", "year_days", "month_days", "days", "hours", "minutes", "seconds")
    if rule.positions and not any(getattr(rule, name) for name in lists):
        raise _unreadable("BYSETPOS chooses from nothing", "Add what it chooses from, such as BYDAY=MO,TU.")


def _unreadable(what: str, cure: str = "") -> ScheduleError:
    return ScheduleError(f"The repeat rule cannot be read: {what}.", cure=cure)
