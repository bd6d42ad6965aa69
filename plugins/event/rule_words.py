"""Words for a repetition, without its time of day, as parts of an RFC 5545 rule. Pure; English only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from plugins.event import calendar_words as words
from plugins.event.clock_words import NUMBER, number
from plugins.event.phrase_error import PhraseError, Refusal, shown

DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
WORKDAYS = "MO,TU,WE,TH,FR"
LONGEST_INTERVAL = 999
LONGEST_PASSING = 99_999
"""Of seconds, minutes and hours."""

_ORDINALS = {"first": 1, "1st": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "4th": 4, "last": -1}
_ADVERBS = {
    "daily": "every day",
    "everyday": "every day",
    "weekly": "every week",
    "fortnightly": "every 2 weeks",
    "monthly": "every month",
    "quarterly": "every 3 months",
    "yearly": "every year",
    "annually": "every year",
    "hourly": "every hour",
}
_N = rf"(?:(?P<n>{NUMBER}|other\s+|second\s+)?)"
_PASSING = re.compile(
    rf"every\s+{_N}(?P<unit>seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h)|every\s+(?P<half>half\s+(?:an\s+)?hour)"
)
_UNIT = re.compile(rf"every\s+{_N}(?P<unit>day|week|month|year)s?(?:\s+on\s+(?P<on>.+))?")
_WEEKDAY = rf"{words.WEEKDAY}s?"
_LIST = rf"{_WEEKDAY}(?:\s+(?:(?:and|&)\s+)?(?:on\s+)?{_WEEKDAY})*"
_RANGE = rf"(?P<from>{words.WEEKDAY})\s*(?:to|through|-|–)\s*(?P<to>{words.WEEKDAY})"
_EVERY_DAYS = re.compile(rf"every\s+(?P<other>other\s+)?(?:(?P<days>{_LIST})|{_RANGE})")
_PLURALS = re.compile(rf"(?:on\s+)?(?P<days>{words.WEEKDAY}s(?:\s+(?:and\s+)?(?:on\s+)?{words.WEEKDAY}s)*)")
_WORKDAY = r"(?:weekday|working\s+day|workday|business\s+day)"
_WORKDAYS = re.compile(rf"every\s+{_WORKDAY}|(?:on\s+)?{_WORKDAY}s")
_WEEKENDS = re.compile(r"every\s+weekend|(?:on\s+|at\s+)?weekends")
_OF_MONTH = r"\s+(?:of|in)\s+(?:the|every)\s+month"
_ORDINAL = rf"(?P<nth>{'|'.join(_ORDINALS)})\s+(?:(?P<day>{words.WEEKDAY})|(?P<work>{_WORKDAY}))"
_NTH = re.compile(rf"(?:every|on\s+the|the)\s+{_ORDINAL}(?P<of>{_OF_MONTH})?")
_EVERY_NTH = re.compile(rf"(?:every|on\s+the|the)\s+(?P<day>{words.NTH}){_OF_MONTH}")
_LAST_DAY = re.compile(rf"(?:every\s+|on\s+the\s+|at\s+the\s+|the\s+)*(?:last\s+day|end){_OF_MONTH}")
_MONTH_DAYS = re.compile(
    r"(?:(?:the|day|days)\s+)?[0-9]{1,2}(?:st|nd|rd|th)?(?:\s+(?:and\s+)?(?:the\s+)?[0-9]{1,2}(?:st|nd|rd|th)?)*"
)
_VAGUE = {
    "biweekly": '"every 2 weeks" or "every monday and thursday"',
    "bimonthly": '"every 2 months" or "monthly on the 1st and 15th"',
    "biannually": '"every 6 months" or "every 2 years"',
}
_TWICE = re.compile(
    r"(?:once|twice|thrice|\w+\s+times)\s+(?:a|an|per|every)\s+\w+|often|regularly|sometimes|from time to time"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule that words mean. parts: those behind FREQ, in order. names_day: it says by itself on which days.

    passing: seconds, minutes or hours that pass, whatever the wall clock does.
    """

    freq: str
    parts: tuple[str, ...] = ()
    names_day: bool = True
    passing: bool = False

    def __str__(self) -> str:
        return ";".join((f"FREQ={self.freq}", *self.parts))


def read_rule(text: str) -> Rule | None:
    """Return the rule that a text means, None when it means none; raises PhraseError when it can mean two or none."""
    first, _, rest = text.partition(" ")
    text = f"{_ADVERBS.get(first, first)} {rest}".rstrip()
    text = re.sub(r"\b(?:each|every\s+single)\b", "every", text)
    if first in _VAGUE:
        raise PhraseError(f"{shown(text)} can be read in two ways. Write {_VAGUE[first]}.", Refusal.AMBIGUOUS)
    if _TWICE.fullmatch(text):
        raise PhraseError(
            f"{shown(text)} does not say at which times. Make a repetition for each of them.", Refusal.AMBIGUOUS
        )
    return _passing(text) or _days(text) or _of_month(text) or _by_unit(text) or _of_year(text)


def _passing(text: str) -> Rule | None:
    found = _PASSING.fullmatch(text)
    if found is None:
        return None
    if found["half"]:
        return Rule(freq="MINUTELY", parts=("INTERVAL=30",), passing=True)
    freq = {"s": "SECONDLY", "m": "MINUTELY", "h": "HOURLY"}[found["unit"][0]]
    return Rule(freq=freq, parts=(f"INTERVAL={_count(found['n'], LONGEST_PASSING, text)}",), passing=True)


def _days(text: str) -> Rule | None:
    if _WORKDAYS.fullmatch(text):
        return Rule(freq="WEEKLY", parts=(f"BYDAY={WORKDAYS}",))
    if _WEEKENDS.fullmatch(text):
        return Rule(freq="WEEKLY", parts=("BYDAY=SA,SU",))
    found = _EVERY_DAYS.fullmatch(text)
    if found is not None:
        interval = ("INTERVAL=2",) if found["other"] else ()
        if found["days"]:
            return Rule(freq="WEEKLY", parts=(*interval, _by_day(found["days"])))
        begin, end = words.weekday(found["from"]), words.weekday(found["to"])
        between = [(begin + n) % 7 for n in range((end - begin) % 7 + 1)]
        return Rule(freq="WEEKLY", parts=(*interval, f"BYDAY={','.join(DAYS[day] for day in sorted(between))}"))
    found = _PLURALS.fullmatch(text)
    return None if found is None else Rule(freq="WEEKLY", parts=(_by_day(found["days"]),))


def _of_month(text: str) -> Rule | None:
    if _LAST_DAY.fullmatch(text):
        return Rule(freq="MONTHLY", parts=("BYMONTHDAY=-1",))
    if found := _EVERY_NTH.fullmatch(text):
        return Rule(freq="MONTHLY", parts=_by_month_day([int(found["day"][:-2])], text))
    found = _NTH.fullmatch(text)
    if found is None:
        return None
    if not found["of"]:
        if not text.startswith("every"):
            return None
        if found["nth"] not in ("first", "1st", "last"):
            raise PhraseError(
                f'{shown(text)} can be read in two ways. Write "{text} of the month", or say every how many weeks: '
                '"every 2 weeks on friday".',
                Refusal.AMBIGUOUS,
            )
    return Rule(freq="MONTHLY", parts=_by_ordinal(found["nth"], found["day"]))


def _by_unit(text: str) -> Rule | None:
    found = _UNIT.fullmatch(text)
    if found is None:
        return None
    count, on, unit = _count(found["n"], LONGEST_INTERVAL, text), found["on"], found["unit"]
    interval = () if count == 1 else (f"INTERVAL={count}",)
    freq = {"day": "DAILY", "week": "WEEKLY", "month": "MONTHLY", "year": "YEARLY"}[unit]
    if on is None:
        return Rule(freq=freq, parts=interval, names_day=unit == "day")
    by: tuple[str, ...] | None = None
    if unit == "week" and re.fullmatch(_LIST, on):
        by = (_by_day(on),)
    elif unit == "month":
        by = _on_month(on, text)
    elif unit == "year":
        by = _on_year(on)
    return None if by is None else Rule(freq=freq, parts=(*interval, *by))


def _on_month(on: str, text: str) -> tuple[str, ...] | None:
    if re.fullmatch(r"(?:the\s+)?last\s+day(?:\s+of\s+the\s+month)?", on):
        return ("BYMONTHDAY=-1",)
    if found := re.fullmatch(rf"(?:the\s+)?{_ORDINAL}", on):
        return _by_ordinal(found["nth"], found["day"])
    if _MONTH_DAYS.fullmatch(on):
        return _by_month_day([int(day) for day in re.findall(r"[0-9]+", on)], text)
    return None


def _of_year(text: str) -> Rule | None:
    bare = text.removeprefix("every ")
    by = None if bare == text else _on_year(bare)
    return None if by is None else Rule(freq="YEARLY", parts=by)


def _on_year(on: str) -> tuple[str, ...] | None:
    read = words.month_and_day(on)
    return None if read is None else yearly_on(*read)


def yearly_on(month: int, day: int) -> tuple[str, ...]:
    """Return the parts that mean a day of the year; of February 29, the last day of February in other years."""
    if (month, day) == (2, 29):
        return ("BYMONTH=2", *monthly_on(29))
    return (f"BYMONTH={month}", f"BYMONTHDAY={day}")


def monthly_on(day: int) -> tuple[str, ...]:
    """Return the parts that mean a day of the month, or the last one of a month that is shorter."""
    if day <= 28:
        return (f"BYMONTHDAY={day}",)
    return (f"BYMONTHDAY={','.join(str(each) for each in range(28, day + 1))}", "BYSETPOS=-1")


def _by_month_day(days: Sequence[int], text: str) -> tuple[str, ...]:
    if not all(1 <= day <= 31 for day in days):
        raise PhraseError(f"{shown(text)}: a month has the days 1 to 31.", Refusal.IMPOSSIBLE)
    if len(days) == 1:
        return monthly_on(days[0])
    if max(days) > 28:
        raise PhraseError(
            f"{shown(text)}: not every month has day {max(days)}. Make a repetition for each day.", Refusal.AMBIGUOUS
        )
    return (f"BYMONTHDAY={','.join(str(day) for day in sorted(set(days)))}",)


def _by_ordinal(nth: str, day: str | None) -> tuple[str, ...]:
    if day is None:
        return (f"BYDAY={WORKDAYS}", f"BYSETPOS={_ORDINALS[nth]}")
    return (f"BYDAY={_ORDINALS[nth]}{DAYS[words.weekday(day)]}",)


def _by_day(text: str) -> str:
    found = sorted({words.weekday(word) for word in re.findall(words.WEEKDAY, text)})
    return f"BYDAY={','.join(DAYS[day] for day in found)}"


def _count(n: str | None, most: int, text: str) -> int:
    count = 1 if n is None else 2 if n.strip() in ("other", "second") else number(n)
    if count < 1:
        raise PhraseError(f"{shown(text)} has no length. Write a number from 1 on.", Refusal.IMPOSSIBLE)
    if count > most:
        raise PhraseError(f"{shown(text)} is too long; {most} is the most.", Refusal.FAR)
    return count
