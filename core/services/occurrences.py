"""From what a reminder is meant to do to the instants at which it does it. Pure: it reads no clock and no database.

Several wall-clock times that share one instant (they fall into one gap) are one occurrence; of a COUNT each of them
uses up one, as RFC 5545 counts wall-clock times.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import islice, pairwise

from core.contracts.errors import ScheduleError
from core.contracts.reminders import Intent, Missed, Occurrence
from core.services.recurrence import Recurrence
from core.services.recurrence_rules import Rule, read_rule
from core.services.wall_clock import EPOCH, LAST, earliest_local, instant_ms, local_at, read_clock, seconds_of

__all__ = ["MOST_COUNTED", "checked", "first", "following", "instant_ms", "missed", "shortest_gap_s"]

MOST_COUNTED = 10_000
"""How many missed occurrences are counted one by one; a rule with a COUNT is always counted to its end."""

_SAMPLE = 300
_PATIENCE = 20_000
"""How many periods in vain end the look at the first occurrences of a rule."""
_LAST_S = seconds_of(LAST)


def checked(intent: Intent) -> Intent:
    """Return the intent in its canonical form; raises ScheduleError when it cannot be kept, or would never happen.

    A start between two seconds is moved to the later one, so that nothing happens before it was asked for.
    """
    zone = _checked_zone(intent.zone)
    if intent.start.tzinfo is not None:
        raise ScheduleError("The start has a zone of its own.", cure="Give the wall-clock time and the zone apart.")
    if not EPOCH <= intent.start <= LAST:
        raise ScheduleError(f"The year {intent.start.year} cannot be kept.", cure="Choose one from 1970 to 9999.")
    start = intent.start.replace(fold=0, microsecond=0)
    if intent.start.microsecond:
        start += timedelta(seconds=1)
    rule = str(read_rule(intent.rule)) if intent.rule.strip() else ""
    result = Intent(start=start, zone=zone, rule=rule, elapsed=intent.elapsed)
    if rule and next(_walk(result, start, _count(result)), None) is None:
        raise _never(result)
    return result


def first(intent: Intent, from_ms: int) -> Occurrence | None:
    """Return the first occurrence at or after the instant `from_ms`; the start itself only if it matches the rule.

    A COUNT is counted from the start, one by one.
    """
    count, lower = _count(intent), intent.start
    if count is None:
        found = _not_before(intent, from_ms)
        if found is None:
            return None
        lower = found
    return next((occurrence for occurrence in _walk(intent, lower, count) if occurrence.at_ms >= from_ms), None)


def following(intent: Intent, occurrence: Occurrence) -> Occurrence | None:
    """Return the next occurrence at a later instant; the cost does not depend on how long the rule has been going."""
    return next(_after(intent, occurrence), None)


def missed(intent: Intent, occurrence: Occurrence, now_ms: int) -> Missed:
    """Return what became due from `occurrence`, which is the first that is due, up to `now_ms`.

    Up to MOST_COUNTED occurrences are counted; beyond, the newest is searched for instead. Raises ValueError when
    `occurrence` is not due yet.
    """
    if occurrence.at_ms > now_ms:
        raise ValueError("the occurrence is not due yet")
    newest, count = occurrence, 1
    for later in _after(intent, occurrence):
        if later.at_ms > now_ms:
            return Missed(newest=newest, count=count, next=later)
        if count == MOST_COUNTED and later.remaining is None:
            newest = _newest(intent, later, now_ms)
            return Missed(newest=newest, count=count, next=following(intent, newest), exact=False)
        newest, count = later, count + 1
    return Missed(newest=newest, count=count, next=None)


def shortest_gap_s(intent: Intent) -> int | None:
    """Return the seconds on the intent's clock between the two of its first occurrences that are closest together.

    It looks at 300 of them, at fewer where they are very rare; None where no second one is found. On the clock: a
    daily reminder is a day apart also where the clocks change.
    """
    if not intent.rule:
        return None
    count = _count(intent)
    times = _recurrence(intent).between(seconds_of(intent.start), _last(intent), patience=_PATIENCE)
    sample = islice(times, _SAMPLE if count is None else min(count, _SAMPLE))
    return min((later - earlier for earlier, later in pairwise(sample)), default=None)


def _after(intent: Intent, occurrence: Occurrence) -> Iterator[Occurrence]:
    """Yield what comes after `occurrence`, going by both its wall-clock time and its instant.

    They may say different things when the zone's rules have changed since it was computed.
    """
    remaining, lower = occurrence.remaining, occurrence.local
    if not intent.rule or remaining == 0 or lower >= LAST:
        return
    lower += timedelta(seconds=1)
    count = _count(intent)
    if count is not None and remaining is None:
        lower, remaining = intent.start, count
    elif count is None:
        remaining = None
        found = _not_before(intent, occurrence.at_ms + 1)
        if found is None:
            return
        lower = max(lower, found)
    for later in _walk(intent, lower, remaining):
        if later.at_ms > occurrence.at_ms:
            yield later


def _walk(intent: Intent, lower: datetime, left: int | None) -> Iterator[Occurrence]:
    """Yield the occurrences from the wall-clock time `lower` on; `left`: how many the rule has from there on."""
    zone = _clock(intent)
    if not intent.rule:
        if lower <= intent.start:
            yield Occurrence(local=intent.start, at_ms=instant_ms(intent.start, zone))
        return
    recurrence, start, last = _recurrence(intent), seconds_of(lower), _last(intent)
    while left != 0:
        restart = None
        for time in recurrence.between(start, last):
            local = local_at(time)
            left = _less(left)
            at_ms, end = read_clock(local, zone)
            if end is not None:
                restart = seconds_of(end) + 1
                for more in recurrence.between(time + 1, min(restart - 1, last)):
                    if left == 0:
                        break
                    local, left = local_at(more), _less(left)
            yield Occurrence(local=local, at_ms=at_ms, remaining=left)
            if left == 0 or restart is not None:
                break
        if restart is None:
            return
        start = restart


def _less(left: int | None) -> int | None:
    return None if left is None else left - 1


def _newest(intent: Intent, due: Occurrence, now_ms: int) -> Occurrence:
    """Return the last occurrence up to `now_ms`, searched for between it and `due`; for rules without COUNT."""
    beyond = _not_before(intent, now_ms + 1)
    last = _last(intent) if beyond is None else min(_last(intent), seconds_of(beyond) - 1)
    time = _recurrence(intent).latest(seconds_of(due.local), last)
    if time is None:
        return due
    return Occurrence(local=local_at(time), at_ms=instant_ms(local_at(time), _clock(intent)))


def _not_before(intent: Intent, at_ms: int) -> datetime | None:
    """Return the first wall-clock time, from the start on, that is at or after `at_ms`; None: beyond the calendar."""
    zone = _clock(intent)
    return intent.start if at_ms <= instant_ms(intent.start, zone) else earliest_local(at_ms, zone)


def _clock(intent: Intent) -> str:
    """Return the zone whose wall clock the intent goes by."""
    return "UTC" if intent.elapsed else intent.zone


def _count(intent: Intent) -> int | None:
    return _rule(intent.rule).count if intent.rule else None


def _last(intent: Intent) -> int:
    """Return the last wall-clock time that the rule's UNTIL allows."""
    until = _rule(intent.rule).until
    if until is None:
        return _LAST_S
    if until.tzinfo is None:
        return seconds_of(until)
    beyond = _not_before(intent, seconds_of(until.replace(tzinfo=None)) * 1000 + 1)
    return _LAST_S if beyond is None else seconds_of(beyond) - 1


@lru_cache(maxsize=512)
def _rule(text: str) -> Rule:
    return read_rule(text)


@lru_cache(maxsize=512)
def _compiled(text: str, start: int) -> Recurrence:
    return Recurrence(_rule(text), start)


def _recurrence(intent: Intent) -> Recurrence:
    return _compiled(intent.rule, seconds_of(intent.start))


def _checked_zone(name: str) -> str:
    """Return the IANA zone, also when only its capitals are wrong."""
    from zoneinfo import available_timezones

    from core.settings.timezone import check_timezone  # its package reads all settings, which takes half a second

    name = name.strip()
    try:
        check_timezone(name)
    except ValueError as error:
        for known in available_timezones():
            if known != name and known.casefold() == name.casefold():
                return _checked_zone(known)
        sentence, _, cure = str(error).partition(". ")
        raise ScheduleError(f"{sentence}.", cure=cure) from None
    return name


def _never(intent: Intent) -> ScheduleError:
    rule = _rule(intent.rule)
    endless = replace(intent, rule=str(replace(rule, until=None)))
    if rule.until is not None and next(_walk(endless, intent.start, None), None):
        return ScheduleError("The repeat rule ends before it happens for the first time.", cure="Let it end later.")
    return ScheduleError(
        "The repeat rule never happens: no time fits all of its parts.",
        cure="Look for a day that does not exist, such as February 30th, or for parts that exclude each other.",
    )
