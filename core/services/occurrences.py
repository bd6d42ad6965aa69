"""From an intent to instants, and from one occurrence to the next. Pure.

A wall-clock time that does not exist is the first instant after the gap; one that exists twice is the first of the
two. Several times of a gap are one instant, and so one occurrence. Zones are those of the IANA database.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.contracts.errors import ScheduleError
from core.contracts.reminders import Intent, Occurrence
from core.services.recurrence import Rule, check_rule, read_rule, read_until, walk

MOST_COUNTED = 10_000
"""How many missed occurrences are counted; beyond, the newest is looked for from the end."""

LOOKED_AT, LOOKED_YEARS = 300, 60
"""How many occurrences, and how many years, are looked at for the smallest distance between two."""

FIRST_YEAR, LAST_YEAR = 1970, 2400
_EPOCH = datetime(1970, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """What is due of an intent by now.

    newest: the latest occurrence that is due. count: how many are, the newest included; `more`: at least so many.
    next: the first one after now, None when there is none.
    """

    newest: Occurrence
    count: int
    more: bool
    next: Occurrence | None


def instant_ms(local: datetime, zone: str) -> int:
    """Return the instant of a naive wall-clock time in a zone, in UTC milliseconds; raises ScheduleError."""
    tz = _zone(zone)
    instant = local.replace(tzinfo=tz, fold=0).astimezone(UTC)
    if _wall(instant, tz) == local:
        return _ms(instant)
    # In a gap, the offset behind it puts the time before the gap, and the one before it puts it behind.
    before = local.replace(tzinfo=tz, fold=1).astimezone(UTC)
    low, high = int(before.timestamp()), int(instant.timestamp()) + 1
    while high - low > 1:
        middle = (low + high) // 2
        if _wall(datetime.fromtimestamp(middle, UTC), tz) > local:
            high = middle
        else:
            low = middle
    return high * 1000


def checked(intent: Intent) -> Intent:
    """Return an intent in its normal form; raises ScheduleError with what is wrong and what to do."""
    _zone(intent.zone)
    start = intent.start.replace(microsecond=0)
    if start.tzinfo is not None or not FIRST_YEAR <= start.year <= LAST_YEAR:
        raise ScheduleError(f"{intent.start.isoformat()} is out of range.", cure=f"Years go up to {LAST_YEAR}.")
    intent = replace(intent, start=start)
    if not intent.rule:
        return intent
    rule = read_rule(intent.rule)
    check_rule(rule, start)
    ends = ""
    if rule.until:
        until = read_until(rule.until)
        at_ms = _ms(until) if until.tzinfo is not None else _at_ms(intent, until)
        ends = f";UNTIL={datetime.fromtimestamp(at_ms // 1000, UTC):%Y%m%dT%H%M%SZ}"
    elif rule.count is not None:
        ends = f";COUNT={rule.count}"
    return replace(intent, rule=f"{rule.pattern}{ends}")


def first(intent: Intent, from_ms: int) -> Occurrence | None:
    """Return the first occurrence at or after an instant; the start is one where the rule says so."""
    if not intent.rule:
        at_ms = _at_ms(intent, intent.start)
        return Occurrence(local=intent.start, at_ms=at_ms) if at_ms >= from_ms else None
    rule = read_rule(intent.rule)
    if rule.count is not None:
        every = _distinct(intent, rule, intent.start, None)
        for index, (local, at_ms) in enumerate(islice(every, rule.count)):
            if at_ms >= from_ms:
                return Occurrence(local=local, at_ms=at_ms, remaining=rule.count - index - 1)
        return None
    # What lies in a gap that ends at this very instant is before it on the wall clock.
    begin = max(intent.start, _local(intent, from_ms - 1000))
    for local, at_ms in _distinct(intent, rule, begin, None):
        if at_ms >= from_ms:
            return Occurrence(local=local, at_ms=at_ms)
    return None


def following(intent: Intent, occurrence: Occurrence) -> Occurrence | None:
    """Return the occurrence after one, None when it was the last."""
    return next(_behind(intent, occurrence), None)


def missed(intent: Intent, occurrence: Occurrence, now_ms: int) -> Missed:
    """Return what is due by now, of an intent whose `occurrence` is due."""
    newest, count = occurrence, 1
    for later in _behind(intent, occurrence):
        if later.at_ms > now_ms:
            return Missed(newest=newest, count=count, more=False, next=later)
        if count >= MOST_COUNTED:
            return _from_the_end(intent, later, now_ms)
        newest, count = later, count + 1
    return Missed(newest=newest, count=count, more=False, next=None)


def upcoming(intent: Intent, from_ms: int, most: int) -> list[Occurrence]:
    """Return the first occurrences at or after an instant, `most` of them where there are so many."""
    found: list[Occurrence] = []
    occurrence = first(intent, from_ms)
    while occurrence is not None and len(found) < most:
        found.append(occurrence)
        occurrence = following(intent, occurrence)
    return found


def shortest_gap_s(intent: Intent) -> int | None:
    """Return the smallest distance between the first occurrences, in seconds; None when there is one only."""
    if not intent.rule:
        return None
    rule = read_rule(intent.rule)
    looked_at = islice(_distinct(intent, rule, intent.start, None), min(rule.count or LOOKED_AT, LOOKED_AT))
    instants = [
        at_ms for _, at_ms in takewhile(lambda found: found[0].year < intent.start.year + LOOKED_YEARS, looked_at)
    ]
    gaps = [after - before for before, after in pairwise(instants)]
    return min(gaps) // 1000 if gaps else None


def _behind(intent: Intent, occurrence: Occurrence) -> Iterator[Occurrence]:
    """Yield the occurrences after one."""
    if not intent.rule:
        return
    remaining = occurrence.remaining
    for local, at_ms in _distinct(intent, read_rule(intent.rule), occurrence.local, occurrence.at_ms):
        if remaining is not None:
            remaining -= 1
            if remaining < 0:
                return
        yield Occurrence(local=local, at_ms=at_ms, remaining=remaining)


def _distinct(intent: Intent, rule: Rule, begin: datetime, after_ms: int | None) -> Iterator[tuple[datetime, int]]:
    """Yield times and instants from `begin` on, each instant once, those after `after_ms`, up to UNTIL."""
    until_ms = _ms(read_until(rule.until)) if rule.until.endswith("Z") else None
    for local in walk(rule, intent.start, begin):
        if local.year > LAST_YEAR:
            return
        at_ms = _at_ms(intent, local)
        if until_ms is not None and at_ms > until_ms:
            return
        if after_ms is None or at_ms > after_ms:
            after_ms = at_ms
            yield local, at_ms


def _from_the_end(intent: Intent, due: Occurrence, now_ms: int) -> Missed:
    """Find the newest occurrence that is due by looking back from now, ever further."""
    back = timedelta(hours=1)
    while True:
        begin = max(_local(intent, now_ms) - back, due.local)
        newest = due if begin == due.local else None
        for local, at_ms in _distinct(intent, read_rule(intent.rule), begin, None):
            found = Occurrence(local=local, at_ms=at_ms)
            if at_ms > now_ms:
                if newest is not None:
                    return Missed(newest=newest, count=MOST_COUNTED, more=True, next=found)
                break
            newest = found
        else:
            return Missed(newest=newest or due, count=MOST_COUNTED, more=True, next=None)
        back *= 24


def _at_ms(intent: Intent, local: datetime) -> int:
    return _ms(local.replace(tzinfo=UTC)) if intent.elapsed else instant_ms(local, intent.zone)


def _local(intent: Intent, at_ms: int) -> datetime:
    """Return an instant on the intent's own clock, naive."""
    instant = datetime.fromtimestamp(max(at_ms, 0) // 1000, UTC)
    return instant.replace(tzinfo=None) if intent.elapsed else _wall(instant, _zone(intent.zone))


def _wall(instant: datetime, tz: ZoneInfo) -> datetime:
    return instant.astimezone(tz).replace(tzinfo=None, fold=0)


def _ms(instant: datetime) -> int:
    return round((instant.replace(tzinfo=None) - _EPOCH) / timedelta(milliseconds=1))


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ScheduleError(f"There is no time zone {name!r}.", cure="Use one like Europe/Rome.") from error
