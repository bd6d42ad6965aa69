"""Reading `repeat`: a recurrence rule, or the words for one. Pure; English only.

"every 2 hours" counts hours that pass, whatever the clock does; everything from days on is on the wall clock. The
last days of a month are meant as such: "monthly on the 31st" is the last day of shorter months.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr

from plugins.event import clock_words as words
from plugins.event.phrase_error import PhraseError
from plugins.event.when import LONGEST_PHRASE, When

EXAMPLES = 'Write "daily at 9", "every weekday at 8", "every 2 hours", "monthly on the 31st at 10" or an RRULE.'
ENDS = ("COUNT", "UNTIL")
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
ORDINALS = {"first": 1, "1st": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "4th": 4, "last": -1}
ADVERBS = {"daily": "day", "weekly": "week", "monthly": "month", "yearly": "year", "annually": "year"}
_N = words.NUMBER
_FREQ_OF = {"second": "SECONDLY", "minute": "MINUTELY", "hour": "HOURLY"}

_UNITS = r"(?P<unit>second|minute|hour)s?"
_BEGINS = r"(?:every|each|on|daily|weekly|monthly|yearly)"
_AT_START = re.compile(rf"(?P<clock>(?:at\s+)?{words.CLOCK})\s+(?P<rest>{_BEGINS}.*)")
_SUB_DAILY = re.compile(rf"(?:every|each)\s+(?:(?P<n>{_N}|other\s+|half\s+)(?:an?\s+)?)?{_UNITS}")
_SHORT = re.compile(r"(?:every|each)\s+(?P<n>\d+)\s*(?P<unit>s|sec|m|min|h|hr)s?")
_WEEKDAYS = rf"{words.WEEKDAY}(?:(?:\s*,\s*|\s+and\s+|\s+)(?:on\s+)?{words.WEEKDAY})*"
_EVERY_DAYS = re.compile(rf"(?:every|each|on)\s+(?:(?P<n>{_N}|other\s+|second\s+))?(?P<days>{_WEEKDAYS})")
_EVERY_UNIT = re.compile(
    rf"(?:every|each)\s+(?P<n>{_N}|other\s+)?(?P<unit>day|week|month|year)s?(?:\s+on\s+(?P<on>.+))?"
)
_ORDINAL = f"(?P<nth>{'|'.join(ORDINALS)})"
_OF_THE_MONTH = r"(?:\s+(?:of|in)\s+(?:the|every|each)\s+month)?"
_NTH = re.compile(rf"(?:(?:every|on|the|monthly|month)\s+)+{_ORDINAL}\s+(?P<day>{words.WEEKDAY}){_OF_THE_MONTH}")
_DAY_OF_MONTH = re.compile(r"(?:(?:the|day)\s+)*(?P<day>\d{1,2})(?:st|nd|rd|th)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """A repetition that was read. rule: the value of an RRULE. start: its first occurrence. elapsed: see `Intent`."""

    rule: str
    start: When
    elapsed: bool
    understood: str = ""


def read_repeat(text: str, *, zone: str, now_ms: int, start: When | None) -> Repeat:
    """Read a repetition that begins at `start`, or as soon as it can; raises PhraseError."""
    if len(text) > 500:
        raise PhraseError("A repetition has at most 500 characters.")
    now = datetime.fromtimestamp(-(-now_ms // 1000), UTC)
    bare = text.strip()
    if bare.upper().startswith("RRULE:") or "FREQ=" in bare.upper():
        rule = bare.upper().removeprefix("RRULE:")
        if "FREQ=SECONDLY" in rule and re.search(r"BY(?:HOUR|MINUTE|SECOND)=", rule):
            raise PhraseError("FREQ=SECONDLY has no BYHOUR, BYMINUTE or BYSECOND here. Write FREQ=DAILY with these.")
        return _on_the_wall(rule, None, text, zone, now, start, named=True)
    if len(bare) > LONGEST_PHRASE:
        raise PhraseError(f"A repetition has at most {LONGEST_PHRASE} characters. {EXAMPLES}")
    phrase = " ".join(bare.lower().rstrip(".!").split())
    elapsed = _elapsed(phrase)
    if elapsed is not None:
        return _by_the_clock(*elapsed, zone, now, start, phrase)
    rest, clock = _split_clock(phrase)
    read = _rule(rest)
    if read is None:
        raise PhraseError(f"I do not understand the repetition {bare[:80]!r}. {EXAMPLES}")
    rule, named = read
    return _on_the_wall(rule, clock, text, zone, now, start, named=named)


def _elapsed(phrase: str) -> tuple[str, int] | None:
    if phrase == "hourly":
        return "HOURLY", 1
    found = _SUB_DAILY.fullmatch(phrase) or _SHORT.fullmatch(phrase)
    if found is None:
        return None
    unit = {"s": "second", "m": "minute", "h": "hour"}[found["unit"][0]]
    n = None if found["n"] is None else found["n"].strip()
    if n == "half":
        if unit != "hour":
            raise PhraseError(f"{phrase!r} is not understood. {EXAMPLES}")
        return "MINUTELY", 30
    count = 1 if n is None else 2 if n == "other" else words.number(n)
    if count < 1:
        raise PhraseError(f"{phrase!r} has no length. {EXAMPLES}")
    return _FREQ_OF[unit], count


def _by_the_clock(freq: str, count: int, zone: str, now: datetime, start: When | None, phrase: str) -> Repeat:
    length = timedelta(**{{"SECONDLY": "seconds", "MINUTELY": "minutes", "HOURLY": "hours"}[freq]: count})
    if start is None:
        first = now + length
    elif start.elapsed:
        first = start.local.replace(tzinfo=UTC)
    else:
        first = start.local.replace(tzinfo=ZoneInfo(start.zone)).astimezone(UTC)
    begin = When(local=first.replace(tzinfo=None), zone=zone if start is None else start.zone, elapsed=True)
    return Repeat(rule=f"FREQ={freq};INTERVAL={count}", start=begin, elapsed=True, understood=phrase)


def _split_clock(phrase: str) -> tuple[str, time | None]:
    """Take a time of day off a phrase."""
    if (part := phrase.removeprefix("every ")) in words.NAMED_TIMES and part != phrase:
        return "daily", words.NAMED_TIMES[part]
    if found := _AT_START.fullmatch(phrase):
        return found["rest"], words.clock_time(found["clock"])
    parts = phrase.split(" ")
    for place in range(1, len(parts)):
        head, tail = " ".join(parts[:place]), " ".join(parts[place:])
        if tail[0].isdigit() and not re.search(r":|[ap]\.?m", tail):
            continue  # "every 2 hours", "day 15"
        clock = words.clock_time(tail)
        if clock is not None:
            return head.removesuffix(" at"), clock
    return phrase, None


def _rule(text: str) -> tuple[str, bool] | None:
    """Return the rule that words mean, and whether they name its day; None when they mean none."""
    fixed = {
        "daily": ("FREQ=DAILY", True),
        "every weekday": ("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", True),
        "weekdays": ("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", True),
        "on weekdays": ("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", True),
        "every working day": ("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", True),
        "every workday": ("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", True),
        "every weekend": ("FREQ=WEEKLY;BYDAY=SA,SU", True),
        "weekends": ("FREQ=WEEKLY;BYDAY=SA,SU", True),
        "on weekends": ("FREQ=WEEKLY;BYDAY=SA,SU", True),
    }
    if text in fixed:
        return fixed[text]
    for name, unit in ADVERBS.items():
        if text == name or text.startswith(f"{name} "):
            text = f"every {unit}{text[len(name) :]}"
    if found := _NTH.fullmatch(text):
        if found["nth"] in ("second", "2nd") and "month" not in text:
            raise PhraseError(f"{text!r} can be read in two ways: say every other week on …, or … of the month.")
        return f"FREQ=MONTHLY;BYDAY={ORDINALS[found['nth']]}{DAYS[words.weekday(found['day'])]}", True
    if found := _EVERY_UNIT.fullmatch(text):
        return _unit_rule(found["unit"], _interval(found["n"]), found["on"])
    if found := _EVERY_DAYS.fullmatch(text):
        return f"FREQ=WEEKLY{_interval(found['n'])};BYDAY={_by_day(found['days'])}", True
    bare = re.sub(r"^(?:every|each)\s+", "", text)
    if bare != text and (yearly := _month_day(bare)):
        return f"FREQ=YEARLY{yearly}", True
    return None


def _unit_rule(unit: str, interval: str, on: str | None) -> tuple[str, bool] | None:
    if unit == "day":
        return (f"FREQ=DAILY{interval}", True) if on is None else None
    if unit == "week":
        if on is None:
            return f"FREQ=WEEKLY{interval}", False
        if not re.fullmatch(_WEEKDAYS, on):
            return None
        return f"FREQ=WEEKLY{interval};BYDAY={_by_day(on)}", True
    if unit == "year":
        if on is None:
            return f"FREQ=YEARLY{interval}", False
        by = _month_day(on)
        return None if by is None else (f"FREQ=YEARLY{interval}{by}", True)
    if on is None:
        return f"FREQ=MONTHLY{interval}", False
    if on in ("the last day", "last day", "the last day of the month"):
        return f"FREQ=MONTHLY{interval};BYMONTHDAY=-1", True
    nth = re.fullmatch(rf"(?:the\s+)?{_ORDINAL}\s+(?P<day>{words.WEEKDAY})", on)
    if nth is not None:
        return f"FREQ=MONTHLY{interval};BYDAY={ORDINALS[nth['nth']]}{DAYS[words.weekday(nth['day'])]}", True
    found = _DAY_OF_MONTH.fullmatch(on)
    return None if found is None else (f"FREQ=MONTHLY{interval}{_by_month_day(int(found['day']))}", True)


def _by_month_day(day: int) -> str:
    """Return the parts that mean a day of the month, or the last one of a month that is shorter."""
    if not 1 <= day <= 31:
        raise PhraseError(f"There is no day {day} of a month.")
    if day <= 28:
        return f";BYMONTHDAY={day}"
    return f";BYMONTHDAY={','.join(str(d) for d in range(28, day + 1))};BYSETPOS=-1"


def _month_day(text: str) -> str | None:
    found = re.fullmatch(rf"(?:the\s+)?(\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?({words.MONTH})", text)
    day, name = (found.group(1), found.group(2)) if found else ("", "")
    if found is None:
        found = re.fullmatch(rf"({words.MONTH})\s+(?:the\s+)?(\d{{1,2}})(?:st|nd|rd|th)?", text)
        if found is None:
            return None
        name, day = found.group(1), found.group(2)
    month = words.month(name)
    words.calendar_day(2024, month, int(day))
    if (month, int(day)) == (2, 29):
        return ";BYMONTH=2;BYMONTHDAY=28,29;BYSETPOS=-1"
    return f";BYMONTH={month};BYMONTHDAY={int(day)}"


def _by_day(text: str) -> str:
    found = sorted({words.weekday(word) for word in re.findall(words.WEEKDAY, text)})
    return ",".join(DAYS[day] for day in found)


def _interval(n: str | None) -> str:
    if n is None:
        return ""
    count = 2 if n.strip() in ("other", "second") else words.number(n)
    if count < 1:
        raise PhraseError(f"An interval of {count} is none. {EXAMPLES}")
    return "" if count == 1 else f";INTERVAL={count}"


def _on_the_wall(
    rule: str, clock: time | None, text: str, zone: str, now: datetime, start: When | None, *, named: bool
) -> Repeat:
    """Give a rule its first occurrence, at or after `start`."""
    if start is not None and start.elapsed:
        local = start.local.replace(tzinfo=UTC).astimezone(ZoneInfo(start.zone)).replace(tzinfo=None)
        start = replace(start, local=local, elapsed=False)
    if start is None and not named:
        raise PhraseError(f'{text.strip()!r} does not say on which day. Write "weekly on monday at 9", say.')
    if clock is None and start is None and "BYHOUR" not in rule:
        if "FREQ=" in text.upper():
            raise PhraseError(f"The rule {rule} does not say at what time: add BYHOUR and BYMINUTE, or say when.")
        raise PhraseError(f'{text.strip()!r} does not say at what time. Write "{text.strip()} at 9", say.')
    if clock is not None and start is not None and start.says_time and start.local.time() != clock:
        raise PhraseError(f"The time is {start.local:%H:%M} by when, and {clock:%H:%M} by repeat. Say it once.")
    where = zone if start is None else start.zone
    here = now.astimezone(ZoneInfo(where)).replace(tzinfo=None)
    begin = here if start is None else start.local
    if clock is not None:
        begin = datetime.combine(begin.date(), clock)
    elif start is None:
        begin = begin.replace(second=0, minute=0)
    # Without its interval: "every 2 weeks on friday" begins on the first friday there is.
    bare = without_parts(rule, *ENDS, "INTERVAL")
    try:
        first = None
        if _comes(bare, begin):
            first = rrulestr(bare, dtstart=begin).after(max(begin, here), inc=True)
    except (ValueError, TypeError, IndexError, KeyError, OverflowError) as error:
        raise PhraseError(f"The rule {rule!r} cannot be read: {error}.") from error
    if first is None:
        raise PhraseError(f"The rule {rule!r} never comes.")
    return Repeat(
        rule=rule,
        start=When(local=first, zone=where, elapsed=False),
        elapsed=False,
        understood=f"{rule} from {first:%A %Y-%m-%d %H:%M} ({where})",
    )


def _comes(rule: str, begin: datetime) -> bool:
    """Whether a rule comes at all. The library looks up to the year 9999: near to there it is done with soon."""
    year = 9959
    while (year - begin.year) % 4 or begin.replace(year=year).weekday() != begin.weekday():
        year -= 1
    return next(iter(rrulestr(rule, dtstart=begin.replace(year=year))), None) is not None


def without_parts(rule: str, *names: str) -> str:
    """Return a rule without these parts."""
    return ";".join(part for part in rule.split(";") if part.partition("=")[0].upper() not in names)
