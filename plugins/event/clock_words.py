"""The words of which times are made: numbers, times of day, parts of the day. Pure; English only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import time

from plugins.event.phrase_error import PhraseError, Refusal, shown

_UP_TO_TWENTY = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)
NUMBERS = {
    **{word: number for number, word in enumerate(_UP_TO_TWENTY.split(" "))},
    "a": 1,
    "an": 1,
    "thirty": 30,
    "forty": 40,
    "forty-five": 45,
    "fifty": 50,
    "sixty": 60,
    "ninety": 90,
}
NUMBER = rf"(?:[0-9]{{1,6}}\s*|(?:{'|'.join(sorted(NUMBERS, key=len, reverse=True))})\s+)"
"""Digits, which may touch the unit behind them, or a word and a space."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartOfDay:
    """What "in the evening" means: its time where no hour is said, and the hours [first, end) that it may hold."""

    default: time
    first: int
    end: int


PARTS = {
    "morning": PartOfDay(default=time(9), first=1, end=12),
    "afternoon": PartOfDay(default=time(15), first=12, end=19),
    "evening": PartOfDay(default=time(19), first=16, end=24),
    "night": PartOfDay(default=time(21), first=18, end=24),
}
PART = f"(?:{'|'.join(PARTS)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """A time of day as it was said. sure: which half of the day is settled by am, pm or the number itself.

    midnight: it was called so, and a day that is named beside it may begin or end with it.
    """

    at: time
    sure: bool
    part: str | None = None
    midnight: bool = False
    text: str = ""


_HOUR = rf"(?:[0-9]{{1,2}}|{'|'.join(word for word, hour in NUMBERS.items() if 1 <= hour <= 12 and len(word) > 2)})"
_CLOCK = re.compile(
    rf"""(?:(?P<at>at|@)\s*)?
    (?: (?P<named>noon|midday|midnight)
      | (?:(?P<shift>half\s+past|(?:a\s+)?quarter\s+past|(?:a\s+)?quarter\s+to)\s+)?
        (?P<hour>{_HOUR})(?::(?P<minute>[0-9]{{2}})(?::(?P<second>[0-9]{{2}}))?)?
        \s*(?P<half>[ap]m|[ap]\.m\.?)?(?P<oclock>\s*o['’]?clock)?
    )
    (?:\s+(?:in\s+the\s+(?P<part>morning|afternoon|evening)|at\s+(?P<night>night)))?""",
    re.VERBOSE,
)


def number(word: str) -> int:
    """Return a number that is written in digits or as one of `NUMBERS`."""
    word = word.strip()
    return int(word) if word.isdecimal() else NUMBERS[word]


def read_clock(text: str) -> Clock | None:
    """Return the time of day that a text is, None when it is none; raises PhraseError when there is no such time.

    Without am, pm or a part of the day it is the 24-hour clock: "at 7" is 07:00. An hour alone needs "at".
    """
    found = _CLOCK.fullmatch(text.strip())
    if found is None:
        return None
    part = found["part"] or found["night"]
    if found["named"]:
        if part is not None:
            return None
        midnight = found["named"] == "midnight"
        return Clock(at=time(0 if midnight else 12), sure=True, midnight=midnight, text=text)
    if not any(found[name] for name in ("at", "shift", "minute", "half", "oclock", "part", "night")):
        return None
    if found["shift"] and found["minute"]:
        return None
    hour, minute, second = number(found["hour"]), int(found["minute"] or 0), int(found["second"] or 0)
    half = (found["half"] or "").replace(".", "")
    if half:
        if not 1 <= hour <= 12:
            raise _no_time(text, "with am or pm the hour is 1 to 12")
        hour = hour % 12 + (12 if half == "pm" else 0)
    if hour == 24 and minute == second == 0:
        raise PhraseError(
            '24:00 may be either end of a day. Write 00:00 with the day that begins then, or "midnight" alone.',
            Refusal.AMBIGUOUS,
        )
    if hour > 23 or minute > 59 or second > 59:
        raise _no_time(text, "hours are 0 to 23, minutes and seconds 0 to 59")
    sure = bool(half) or hour == 0 or hour > 12
    if found["shift"]:
        words = found["shift"].split()
        minute = 30 if words[0] == "half" else 15 if words[-1] == "past" else 45
        hour = hour if words[-1] == "past" else (hour - 1) % 24
    return Clock(at=time(hour, minute, second), sure=sure, part=part, text=text)


def in_part(clock: Clock, part: str) -> time:
    """Return the time that a clock says within a part of the day: 7 in the evening is 19:00; raises PhraseError."""
    span = PARTS[part]
    hours = {clock.at.hour} if clock.sure else {clock.at.hour, (clock.at.hour + 12) % 24}
    fitting = [hour for hour in hours if span.first <= hour < span.end]
    if len(fitting) != 1:
        raise PhraseError(
            f"{shown(clock.text)} and {part} do not fit together. Write the time as 07:00 or 19:00.",
            Refusal.AMBIGUOUS,
        )
    return clock.at.replace(hour=fitting[0])


def _no_time(text: str, why: str) -> PhraseError:
    return PhraseError(f"{shown(text)} is no time of day: {why}.", Refusal.IMPOSSIBLE)
