"""From the words of `when`, `repeat`, `until` and `count` to an intent, and how it was understood. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from core.contracts.errors import ActionFailed
from core.contracts.reminders import Intent
from plugins.event.phrase_error import PhraseError
from plugins.event.repeat import read_repeat
from plugins.event.when import When, read_when

_COUNTED = re.compile(r"(?:^|;)(COUNT|UNTIL)=", re.IGNORECASE)
_LENGTH = re.compile(r"\s*(\d{1,6})\s*(s|sec|seconds?|m|min|minutes?|h|hours?|d|days?)\s*", re.IGNORECASE)
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
NO_REPEAT = ("none", "never", "no", "once")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What was asked for, in words; None where nothing was said."""

    when: str | None
    repeat: str | None
    until: str | None
    count: int | None


def read_intent(wish: Wish, *, zone: str, now_ms: int, start: When | None = None) -> Intent:
    """Return the intent that a wish means; raises ActionFailed with what was understood and what to write instead.

    start: when it begins if the wish does not say so.
    """
    try:
        return _read(wish, zone, now_ms, start)
    except PhraseError as error:
        raise ActionFailed(str(error)) from error


def _read(wish: Wish, zone: str, now_ms: int, start: When | None) -> Intent:
    repeat, when = wish.repeat, wish.when
    if when is not None and repeat is None and _says_repeat(when):
        repeat, when = when, None
    if when is not None:
        start = read_when(when, zone=zone, now_ms=now_ms)
    if repeat is None:
        if wish.until is not None or wish.count is not None:
            raise ActionFailed("until and count belong to a repeat.", cure='Say how it repeats: "daily at 9".')
        if start is None:
            raise ActionFailed("It does not say when.", cure='Write when="tomorrow at 9", or repeat="daily at 9".')
        return Intent(start=start.local, zone=start.zone, elapsed=start.elapsed)
    read = read_repeat(repeat, zone=zone, now_ms=now_ms, start=start)
    rule = _bounded(read.rule, wish, read.start, zone, now_ms)
    return Intent(start=read.start.local, zone=read.start.zone, rule=rule, elapsed=read.elapsed)


def _says_repeat(text: str) -> bool:
    """Whether the words of `when` say a repetition: a model may put "every day at 8" there."""
    first = text.strip().split(maxsplit=1)[:1]
    words = ("every", "each", "daily", "weekly", "monthly", "yearly", "annually", "hourly", "weekdays")
    return bool(first) and (first[0].lower().rstrip(",") in words or text.strip().upper().startswith("RRULE:"))


def _bounded(rule: str, wish: Wish, start: When, zone: str, now_ms: int) -> str:
    if wish.until is None and wish.count is None:
        return rule
    if _COUNTED.search(rule) or (wish.until is not None and wish.count is not None):
        raise ActionFailed("It says twice when the repetition ends.", cure="Give one of until, count or the rule's.")
    if wish.count is not None:
        return f"{rule};COUNT={wish.count}"
    end = read_when(wish.until or "", zone=zone, now_ms=now_ms)
    utc = end.local if end.elapsed else end.local.replace(tzinfo=ZoneInfo(end.zone)).astimezone(UTC)
    return f"{rule};UNTIL={utc:%Y%m%dT%H%M%S}Z"


def read_length_s(text: str) -> int:
    """Return a length of time such as "30 minutes" in seconds; raises ActionFailed."""
    found = _LENGTH.fullmatch(text)
    if found is None:
        raise ActionFailed(f"{text!r} is no length of time.", cure='Write "90 seconds", "2 hours" or "1 day".')
    return int(found[1]) * _UNIT_S[found[2][0].lower()]


def time_of_day(at_ms: int, zone: str) -> datetime:
    """Return an instant as the naive wall-clock time of a zone."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
