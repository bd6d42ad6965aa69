"""The entries of a calendar become reminders, each once, in one transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.commands.calendar_entry import Entry, name_of, read_entry
from core.commands.calendar_export import uid_of
from core.commands.calendar_file import CalendarError, read_calendars
from core.commands.calendar_times import NotCarriedOver, named_zones
from core.contracts.inputs import Address, Principal
from core.contracts.schedule import Reminder
from core.services import calendar_uids, reminders

MOST_ENTRIES = 20_000
MOST_ACTIVE = 1_000_000
_ENTRIES = ("VEVENT", "VTODO")


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """An entry that does not become a reminder, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """An entry that became a reminder, or would: then its number is 0."""

    entry: Entry
    reminder: Reminder


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """For whom it is. to: where it is delivered; None for where each entry says, else their `private` chat."""

    principal: Principal
    to: Address | None
    private: Address


def read_entries(content: bytes, own_zone: str, now_ms: int) -> tuple[list[Entry], list[LeftOut]]:
    """Return the entries of a file, and those that cannot be reminders; raises CalendarError."""
    calendars = read_calendars(content)
    zones = named_zones(calendars)
    found: list[Entry] = []
    left_out: list[LeftOut] = []
    components = [inner for calendar in calendars for inner in calendar.inner if inner.name != "VTIMEZONE"]
    if len(components) > MOST_ENTRIES:
        raise CalendarError(f"It has more than {MOST_ENTRIES} entries.", cure="Import it in parts.")
    for component in components:
        try:
            if component.name not in _ENTRIES:
                raise NotCarriedOver("it is neither an event nor a to-do")
            found.append(read_entry(component, own_zone, zones, now_ms))
        except NotCarriedOver as reason:
            left_out.append(LeftOut(name=name_of(component), reason=str(reason)))
    return found, left_out


def put_in(
    conn: Any, entries: Sequence[Entry], recipient: Recipient, now_ms: int, *, write: bool
) -> tuple[list[Imported], list[LeftOut]]:
    """Store the entries that are not there yet as reminders; those that are left out are there already.

    A reminder that is active is known by the UID that it was imported with, or is exported with. Without `write`,
    return what would be done.
    """
    uids = calendar_uids.everyone(conn)
    active = reminders.listing(conn, recipient.principal, most=MOST_ACTIVE)
    known = {uids.get(each.number) or uid_of(each): each.number for each in active}
    done: list[Imported] = []
    left_out: list[LeftOut] = []
    for entry in entries:
        uid = entry.uid or _stand_in(entry)
        if uid in known:
            where = f"as reminder {known[uid]}" if known[uid] else "earlier in this file"
            left_out.append(LeftOut(name=entry.name, reason=f"it is there already, {where}"))
            continue
        reminder = _reminder(entry, recipient, reminders.new_number(conn) if write else 0)
        known[uid] = 0
        if write:
            reminders.add(conn, reminder, now_ms)
            calendar_uids.put(conn, reminder.number, uid)
        done.append(Imported(entry=entry, reminder=reminder))
    return done, left_out


def _reminder(entry: Entry, recipient: Recipient, number: int) -> Reminder:
    return Reminder(
        principal=recipient.principal,
        number=number,
        address=recipient.to or entry.address or recipient.private,
        # Not what the file says: the policy decides by it whether they may have it delivered elsewhere.
        asked_in=recipient.private,
        text=entry.text,
        intent=entry.intent,
        next=entry.first,
        mode=entry.mode,
        missed=entry.missed,
        max_lateness_s=entry.max_lateness_s,
        # Whatever a file says of itself: its words are not those of the principal.
        tainted=True,
        note="imported",
    )


def _stand_in(entry: Entry) -> str:
    """Return a UID for an entry without one: the same for the same entry."""
    said = f"{entry.intent.start.isoformat()}\n{entry.intent.zone}\n{entry.intent.rule}\n{entry.text}"
    return f"no-uid:{hashlib.sha256(said.encode()).hexdigest()[:32]}"
