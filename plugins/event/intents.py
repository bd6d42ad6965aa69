"""From the words of `when`, `repeat`, `until` and `count` to an intent, and how it was understood. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC
from zoneinfo import ZoneInfo

from core.contracts.errors import ActionFailed
from core.contracts.reminders import Intent
from core.contracts.schedule import Reminder
from plugins.event.phrase_error import PhraseError
from plugins.event.repeat import ENDS, read_repeat, without_parts
from plugins.event.when import When, read_when

_COUNTED = re.compile(r"(?:^|;)(COUNT|UNTIL)=", re.IGNORECASE)
_LENGTH = re.compile(r"\s*(\d{1,6})\s*(s|sec|seconds?|m|min|minutes?|h|hours?|d|days?)\s*", re.IGNORECASE)
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
NO_REPEAT = ("none", "never", "no", "once")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What was asked for, in words; None where nothing was said."""

    when: str | None = None
    repeat: str | None = None
    until: str | None = None
    count: int | None = None


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
    rule = _bounded(read.rule, wish, zone, now_ms)
    return Intent(start=read.start.local, zone=read.start.zone, rule=rule, elapsed=read.elapsed)


def _says_repeat(text: str) -> bool:
    """Whether the words of `when` say a repetition: a model may put "every day at 8" there."""
    first = text.strip().split(maxsplit=1)[:1]
    words = ("every", "each", "daily", "weekly", "monthly", "yearly", "annually", "hourly", "weekdays")
    return bool(first) and (first[0].lower().rstrip(",") in words or text.strip().upper().startswith("RRULE:"))


def _bounded(rule: str, wish: Wish, zone: str, now_ms: int) -> str:
    if wish.until is None and wish.count is None:
        return rule
    if _COUNTED.search(rule) or (wish.until is not None and wish.count is not None):
        raise ActionFailed("It says twice when the repetition ends.", cure="Give one of until, count or the rule's.")
    if wish.count is not None:
        return f"{rule};COUNT={wish.count}"
    end = read_when(wish.until or "", zone=zone, now_ms=now_ms)
    utc = end.local if end.elapsed else end.local.replace(tzinfo=ZoneInfo(end.zone)).astimezone(UTC)
    return f"{rule};UNTIL={utc:%Y%m%dT%H%M%S}Z"


def changed_intent(before: Reminder, wish: Wish, zone: str, now_ms: int) -> Intent:
    """Return the intent of a reminder of which some of the times were changed; raises ActionFailed."""
    intent = before.intent
    if wish.repeat is not None and wish.repeat.strip().lower() in NO_REPEAT:
        at = intent.start if before.next is None else before.next.local
        once = replace(intent, start=at, rule="", zone=zone)
        return once if wish.when is None else read_intent(replace(wish, repeat=None), zone=zone, now_ms=now_ms)
    start = When(local=intent.start, zone=zone, elapsed=intent.elapsed, understood="")
    if wish.repeat is None and intent.rule:
        ends_otherwise = wish.until is not None or wish.count is not None
        wish = replace(wish, repeat=without_parts(intent.rule, *ENDS) if ends_otherwise else intent.rule)
    if wish.repeat is None and wish.when is None:
        return replace(intent, zone=zone)
    return read_intent(wish, zone=zone, now_ms=now_ms, start=start if wish.when is None else None)


def read_length_s(text: str) -> int:
    """Return a length of time such as "30 minutes" in seconds; raises ActionFailed."""
    found = _LENGTH.fullmatch(text)
    if found is None:
        raise ActionFailed(f"{text!r} is no length of time.", cure='Write "90 seconds", "2 hours" or "1 day".')
    return int(found[1]) * _UNIT_S[found[2][0].lower()]
