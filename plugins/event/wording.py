"""Reminders in words: for the outcome of an action, and for lists. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.contracts.actions import Untrusted
from core.contracts.reminders import Occurrence
from core.contracts.schedule import Reminder, ReminderMode, ReminderState

LONGEST_SHOWN = 80


def instant(at_ms: int, zone: str) -> str:
    """Return an instant such as "Monday 2026-11-30 08:00", in a zone.

    Where the system does not know the zone any more it is in UTC, and says so: the others of a list are sound.
    """
    local, lost = datetime.fromtimestamp(at_ms / 1000, UTC), ""
    try:
        local = local.astimezone(ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        lost = " in UTC, for this system does not know the zone any more"
    seconds = f":{local:%S}" if local.second else ""
    return f"{local:%A %Y-%m-%d %H:%M}{seconds}{lost}"


def coming(occurrences: Sequence[Occurrence], zone: str) -> str:
    """Return the next occurrences, with their zone once."""
    first, *others = (instant(occurrence.at_ms, zone) for occurrence in occurrences)
    then = f", then {', '.join(others)}" if others else ""
    return f"{first}{then} ({zone})"


def line(reminder: Reminder) -> str:
    """Return one line of a list."""
    text = reminder.text if len(reminder.text) <= LONGEST_SHOWN else f"{reminder.text[: LONGEST_SHOWN - 1]}…"
    zone = reminder.intent.zone
    if reminder.next is None or reminder.state is not ReminderState.ACTIVE:
        when = reminder.state.value
    else:
        when = f"{instant(reminder.next.at_ms, zone)} ({zone})"
    extra = [f"repeats: {reminder.intent.rule}"] if reminder.intent.rule else []
    extra += [f"mode: {reminder.mode.value}"] if reminder.mode is not ReminderMode.LITERAL else []
    extra += [f"to: {reminder.address}"] if reminder.address != reminder.asked_in else []
    extra += [f"last: {reminder.note}"] if reminder.note and not reminder.note.startswith("done") else []
    return f"{reminder.number}: {when}: {text}" + (f" [{'; '.join(extra)}]" if extra else "")


def told(text: str, *said: Reminder) -> str | Untrusted:
    """Return a text with the words of reminders in it: as foreign ones where those of a reminder may be foreign."""
    return Untrusted(text) if any(reminder.tainted for reminder in said) else text
