"""What is said when a reminder is due: its own words, and what has to be known besides. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.contracts.deliveries import Button
from core.contracts.reminders import Occurrence
from core.contracts.schedule import Reminder

TOLD_FROM_S = 60
"""From this lateness on, in seconds, a reminder says that it is late."""

SNOOZES = (("10 minutes", "10 minutes"), ("1 hour", "1 hour"), ("Tomorrow", "tomorrow"))


def due_text(reminder: Reminder, occurrence: Occurrence, late_s: int, left_out: int) -> str:
    """Return what is delivered: the text as it was written, and a note where it is late."""
    note = lateness_note(reminder, occurrence, late_s, left_out)
    text = f"Reminder: {reminder.text}"
    return f"{text}\n\n{note}" if note else text


def lateness_note(reminder: Reminder, occurrence: Occurrence, late_s: int, left_out: int) -> str:
    """Return a sentence about an occurrence that comes late, or in place of earlier ones; "" when it is on time."""
    if late_s < TOLD_FROM_S and not left_out:
        return ""
    due = shown_instant(occurrence.at_ms, reminder.intent.zone)
    late = f"This comes {span(late_s)} late: it was due {due}." if late_s >= TOLD_FROM_S else f"Due {due}."
    if not left_out:
        return f"({late})"
    earlier = "1 earlier occurrence was" if left_out == 1 else f"{left_out} earlier occurrences were"
    return f"({late} {earlier} missed and not repeated.)"


def shown_instant(at_ms: int, zone: str) -> str:
    """Return an instant for people, in a zone; in UTC where the system does not know that zone any more."""
    instant = datetime.fromtimestamp(at_ms / 1000, UTC)
    try:
        local = instant.astimezone(ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        local, zone = instant, "UTC"
    seconds = f":{local:%S}" if local.second else ""
    return f"{local:%A %Y-%m-%d %H:%M}{seconds} ({zone})"


def span(seconds: int) -> str:
    """Return a length of time in its two largest units, such as "2 h 5 min"."""
    parts = []
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def snooze_buttons(reminder: Reminder) -> tuple[Button, ...]:
    """Return the buttons under a due reminder; each is a command, worth what whoever presses it may do."""
    done = Button(label="Done", data={"command": f"/done {reminder.number}"})
    snoozes = (Button(label=label, data={"command": f"/snooze {reminder.number} {by}"}) for label, by in SNOOZES)
    return (done, *snoozes)
