"""Reminders as an iCalendar file (RFC 5545). Pure but for the zones of this machine.

An entry begins at the occurrence that comes next, and its rule counts from there: what is over is not exported. What
iCalendar has no word for stands in X-REKKU-* properties.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from core.contracts.reminders import Intent, Occurrence
from core.contracts.schedule import Reminder
from core.services import occurrences
from core.services.recurrence import read_rule

if TYPE_CHECKING:
    from icalendar import Event

PRODUCT = "-//Rekku//Reminders//EN"
LONGEST_SUMMARY = 120
WALL = "wall"
_ZONE_YEARS = 10
_OF_REMINDERS = uuid.UUID("7d3c1c52-52f1-5d0c-9a8e-0d6f6a1f3f0b")
# Line ends other than \n, control characters and \N do not survive the way through an iCalendar text.
_LOST = re.compile(r"\r\n?|[\x00-\x08\x0b-\x1f\x7f\ufeff]")


def uid_of(reminder: Reminder) -> str:
    """Return the UID of a reminder that was not imported: the same each time, and no other installation's."""
    return str(uuid.uuid5(_OF_REMINDERS, f"{reminder.principal} {reminder.number} {reminder.created_at_ms}"))


def calendar_of(reminders: Sequence[Reminder], uids: Mapping[int, str], now_ms: int) -> bytes:
    """Return the file. reminders: active ones. uids: by number, of those that were imported with one."""
    from icalendar import Calendar

    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    ahead = [(reminder, reminder.next) for reminder in reminders if reminder.next is not None]
    for zone in _zones(ahead):
        calendar.add_component(zone)
    for reminder, following in ahead:
        uid = uids.get(reminder.number) or uid_of(reminder)
        calendar.add_component(_event(reminder, following, uid, now_ms))
    return bytes(calendar.to_ical())


def plain(text: str) -> str:
    """Return a text as it can stand in an iCalendar file."""
    return _LOST.sub(lambda found: "\n" if found[0].startswith("\r") else "", text).replace("\\N", "\\n")


def summary_of(text: str) -> str:
    """Return the SUMMARY of a text: its first line, cut."""
    line = next((line.strip() for line in text.split("\n") if line.strip()), "")
    return line if len(line) <= LONGEST_SUMMARY else f"{line[: LONGEST_SUMMARY - 1]}…"


def coming_intent(intent: Intent, following: Occurrence) -> Intent:
    """Return the intent of an occurrence and those behind it."""
    if not intent.rule:
        return intent
    rule = read_rule(intent.rule)
    # The positions of BYSETPOS are counted from the start within its week, so that start has to stay.
    if rule.freq == "WEEKLY" and "BYSETPOS" in rule.pattern:
        if following.remaining is None:
            return intent
        last = following
        while (later := occurrences.following(intent, last)) is not None:
            last = later
        ends = f";UNTIL={_utc(last.at_ms):%Y%m%dT%H%M%SZ}"
        return Intent(start=intent.start, zone=intent.zone, rule=rule.pattern + ends, elapsed=intent.elapsed)
    ends = f";UNTIL={rule.until}" if rule.until else ""
    if following.remaining is not None:
        ends = f";COUNT={following.remaining + 1}"
    return Intent(start=following.local, zone=intent.zone, rule=rule.pattern + ends, elapsed=intent.elapsed)


def _event(reminder: Reminder, following: Occurrence, uid: str, now_ms: int) -> Event:
    from icalendar import Alarm, Event, vRecur, vText

    intent = coming_intent(reminder.intent, following)
    text = plain(reminder.text)
    event = Event()
    event.add("uid", uid)
    event.add("dtstamp", _utc(now_ms))
    event.add("created", _utc(reminder.created_at_ms))
    if intent.elapsed or intent.zone == "UTC":
        event.add("dtstart", intent.start.replace(tzinfo=UTC))
    else:
        event.add("dtstart", intent.start, parameters={"TZID": intent.zone})
    if intent.rule:
        event.add("rrule", vRecur.from_ical(intent.rule))
    event.add("summary", summary_of(text))
    event.add("description", text)
    event.add("transp", "TRANSPARENT")
    for name, value in _own(reminder, text).items():
        event.add(f"x-rekku-{name}", vText(value))
    alarm = Alarm()
    alarm.add("action", "DISPLAY")
    alarm.add("trigger", timedelta(0))
    alarm.add("description", summary_of(text))
    event.add_component(alarm)
    return event


def _own(reminder: Reminder, text: str) -> dict[str, str]:
    """Return what iCalendar has no word for."""
    own = {
        "mode": reminder.mode.value,
        "missed": reminder.missed.value,
        "address": str(reminder.address),
    }
    if reminder.max_lateness_s is not None:
        own["max-lateness"] = str(reminder.max_lateness_s)
    if reminder.intent.elapsed:
        own["zone"] = reminder.intent.zone
    elif reminder.intent.zone == "UTC":
        # iCalendar writes the wall clock of UTC as it writes an instant.
        own["clock"] = WALL
    if text != reminder.text:
        own["text"] = quote(reminder.text, safe=" ")
    return own


def _zones(ahead: Sequence[tuple[Reminder, Occurrence]]) -> list[Any]:
    """Return a VTIMEZONE for each zone, for the years in which it is used, ten at least."""
    from icalendar import Timezone

    used: dict[str, list[int]] = {}
    for reminder, following in ahead:
        if not reminder.intent.elapsed and reminder.intent.zone != "UTC":
            years = used.setdefault(reminder.intent.zone, [])
            years += [min(following.local.year, reminder.intent.start.year), following.local.year]
    return [
        Timezone.from_tzinfo(
            ZoneInfo(zone),
            zone,
            first_date=datetime(min(years) - 1, 1, 1),
            last_date=datetime(max(max(years) + 2, min(years) + _ZONE_YEARS), 1, 1),
        )
        for zone, years in sorted(used.items())
    ]


def _utc(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms // 1000, UTC)
