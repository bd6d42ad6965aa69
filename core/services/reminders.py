"""The table of reminders, and the instants of theirs that stand in the inbox. Functions of a connection.

An active reminder has exactly one row in the inbox, in state `scheduled`: its next occurrence. Both change in one
transaction, so that an occurrence is neither forgotten nor there twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update

from core.contracts.errors import ScheduleError
from core.contracts.inputs import Address, Input, InputKind, Origin, Principal
from core.contracts.reminders import Intent, Occurrence
from core.contracts.schedule import MissedPolicy, Reminder, ReminderMode, ReminderState
from core.services import inbox as inbox_rows
from core.storage.tables import inbox, kv, reminders, turns, zones

SCHEDULED = "scheduled"
MOST_NUMBER = 2**31 - 1
"""No reminder has a higher number, and some databases refuse to be asked for one."""


# Made once: an occurrence needs all of them, and thousands may be due at one instant.
_by_id = select(reminders).where(reminders.c.id == bindparam("reminder"))
_following = ("next_local", "next_at_ms", "remaining", "state", "note")
_advance = (
    update(reminders)
    .where(reminders.c.id == bindparam("reminder"))
    .values({name: bindparam(f"new_{name}") for name in _following})
)
_take = (
    update(inbox)
    .where(inbox.c.id == bindparam("row"), inbox.c.state == bindparam("waits"))
    .values(state=bindparam("now"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DueInstant:
    """A row of the inbox whose time has come: `at_ms` is the instant that it stands for, in UTC milliseconds."""

    input_id: int
    reminder_id: int
    at_ms: int
    lane: str


def new_number(conn: Any) -> int:
    """Give out the next number; one that nobody uses leaves a gap."""
    place = (kv.c.owner == "core", kv.c.key == "last_reminder")
    last = conn.execute(select(kv.c.value).where(*place).with_for_update()).scalar()
    if last is None:
        conn.execute(insert(kv), {"owner": "core", "key": "last_reminder", "value": "1"})
        return 1
    conn.execute(update(kv).where(*place).values(value=str(int(last) + 1)))
    return int(last) + 1


def zone(conn: Any, principal: Principal) -> str | None:
    """Return the zone that a principal has chosen."""
    name: str | None = conn.execute(select(zones.c.zone).where(zones.c.principal == str(principal))).scalar()
    return name


def set_zone(conn: Any, principal: Principal, name: str) -> None:
    """Store the zone of a principal."""
    changed = update(zones).where(zones.c.principal == str(principal)).values(zone=name)
    if zone(conn, principal) is None:
        conn.execute(insert(zones), {"principal": str(principal), "zone": name})
    else:
        conn.execute(changed)


def add(conn: Any, reminder: Reminder, now_ms: int) -> int:
    """Store a new reminder with its next instant; return its id."""
    values = _values(reminder) | {"created_at_ms": reminder.created_at_ms or now_ms}
    reminder_id: int = conn.execute(insert(reminders), values).inserted_primary_key[0]
    _schedule(conn, replace(reminder, id=reminder_id), now_ms)
    return reminder_id


def change(conn: Any, reminder: Reminder, now_ms: int) -> None:
    """Store a changed reminder, and its next instant in place of the one that stood there."""
    unschedule(conn, reminder.id)
    if not conn.execute(update(reminders).where(reminders.c.id == reminder.id).values(_values(reminder))).rowcount:
        raise ScheduleError(f"There is no reminder {reminder.number} any more.")
    _schedule(conn, reminder, now_ms)


def advance(conn: Any, before: Reminder, after: Reminder, now_ms: int) -> bool:
    """Store what comes after an occurrence of a reminder; False when it is another one by now.

    Only that, since its text or its address may have been changed meanwhile.
    """
    stored = by_id(conn, before.id)
    if stored is None or stored.state is not ReminderState.ACTIVE or stored.next != before.next:
        return False
    following = replace(stored, next=after.next, state=after.state, note=after.note)
    values = _values(following)
    conn.execute(_advance, {"reminder": stored.id} | {f"new_{name}": values[name] for name in _following})
    _schedule(conn, following, now_ms)
    return True


def correct(conn: Any, reminder_id: int, at_ms: int, now_ms: int) -> bool:
    """Move the next occurrence of an active reminder to another instant; its wall-clock time stays."""
    reminder = by_id(conn, reminder_id)
    if reminder is None or reminder.state is not ReminderState.ACTIVE or reminder.next is None:
        return False
    change(conn, replace(reminder, next=replace(reminder.next, at_ms=at_ms)), now_ms)
    return True


def find(conn: Any, principal: Principal, number: int) -> Reminder | None:
    """Return one reminder of a principal."""
    if number > MOST_NUMBER:
        return None
    mine = (reminders.c.principal == str(principal), reminders.c.number == number)
    row = conn.execute(select(reminders).where(*mine)).one_or_none()
    return None if row is None else _reminder(row)


def by_number(conn: Any, number: int) -> Reminder | None:
    """Return a reminder by its number, whoever's it is."""
    if number > MOST_NUMBER:
        return None
    row = conn.execute(select(reminders).where(reminders.c.number == number)).one_or_none()
    return None if row is None else _reminder(row)


def by_id(conn: Any, reminder_id: int) -> Reminder | None:
    """Return a reminder by its row's id."""
    row = conn.execute(_by_id, {"reminder": reminder_id}).one_or_none()
    return None if row is None else _reminder(row)


def listing(
    conn: Any, principal: Principal | None = None, *, active_only: bool = True, most: int | None = None
) -> list[Reminder]:
    """Return reminders, of one principal or of all, the next one first and those that are over behind."""
    statement = select(reminders)
    if principal is not None:
        statement = statement.where(reminders.c.principal == str(principal))
    if active_only:
        statement = statement.where(reminders.c.state == ReminderState.ACTIVE.value)
    over = (reminders.c.state != ReminderState.ACTIVE.value, reminders.c.next_at_ms, reminders.c.id)
    return [_reminder(row) for row in conn.execute(statement.order_by(*over).limit(most))]


def active_after(conn: Any, reminder_id: int, most: int) -> list[Reminder]:
    """Return active reminders with a higher id, in the order of their ids: a page of all of them."""
    statement = select(reminders).where(reminders.c.id > reminder_id, reminders.c.state == ReminderState.ACTIVE.value)
    return [_reminder(row) for row in conn.execute(statement.order_by(reminders.c.id).limit(most))]


def count_active(conn: Any, principal: Principal) -> int:
    """Return how many active reminders a principal has."""
    mine = (reminders.c.principal == str(principal), reminders.c.state == ReminderState.ACTIVE.value)
    return int(conn.execute(select(func.count()).select_from(reminders).where(*mine)).scalar_one())


def due(conn: Any, now_ms: int, most: int) -> list[DueInstant]:
    """Return the instants that are due, the earliest first."""
    statement = (
        select(inbox.c.id, inbox.c.body, inbox.c.lane)
        .where(inbox.c.state == SCHEDULED, inbox.c.not_before_ms <= now_ms)
        .order_by(inbox.c.not_before_ms, inbox.c.id)
        .limit(most)
    )
    rows = ((row, inbox_rows.data_of(row.body)) for row in conn.execute(statement))
    return [
        DueInstant(input_id=row.id, reminder_id=data["reminder"], at_ms=data["at_ms"], lane=row.lane)
        for row, data in rows
    ]


def next_instant(conn: Any) -> int | None:
    """Return when the next instant is due, in UTC milliseconds."""
    earliest: int | None = conn.execute(
        select(func.min(inbox.c.not_before_ms)).where(inbox.c.state == SCHEDULED)
    ).scalar()
    return earliest


def take(conn: Any, instant: DueInstant) -> bool:
    """Mark an instant as dealt with; False when somebody else has done so, or it is not to be any more."""
    return bool(conn.execute(_take, {"row": instant.input_id, "waits": SCHEDULED, "now": "done"}).rowcount)


def drop(conn: Any, instant: DueInstant) -> None:
    """Remove an instant that belongs to no active reminder."""
    conn.execute(delete(inbox).where(inbox.c.id == instant.input_id, inbox.c.state == SCHEDULED))


def postpone(conn: Any, instant: DueInstant, until_ms: int) -> None:
    """Look at an instant again later; it stays the instant that it is."""
    waits = (inbox.c.id == instant.input_id, inbox.c.state == SCHEDULED)
    conn.execute(update(inbox).where(*waits).values(not_before_ms=until_ms))


def note(conn: Any, reminder_id: int, text: str) -> None:
    """Note what became of a reminder last."""
    conn.execute(update(reminders).where(reminders.c.id == reminder_id).values(note=text))


def unschedule(conn: Any, reminder_id: int) -> None:
    """Remove the instant of a reminder from the inbox: it was not due yet, so nothing of it is to be kept."""
    row = conn.execute(
        select(reminders.c.principal, reminders.c.next_at_ms).where(reminders.c.id == reminder_id)
    ).one_or_none()
    if row is not None and row.next_at_ms:
        conn.execute(
            delete(inbox).where(
                inbox.c.interface == Principal.parse(row.principal).interface,
                inbox.c.dedupe_key == instant_key(reminder_id, row.next_at_ms),
                inbox.c.state == SCHEDULED,
            )
        )


def instant_key(reminder_id: int, at_ms: int) -> str:
    """Return the dedupe key of an occurrence: it happens once."""
    return f"reminder:{reminder_id}:{at_ms}"


def _schedule(conn: Any, reminder: Reminder, now_ms: int) -> None:
    """Let the next occurrence of an active reminder become due."""
    if reminder.state is not ReminderState.ACTIVE or reminder.next is None:
        return
    at_ms = reminder.next.at_ms
    instant = Input(
        kind=InputKind.DUE,
        principal=reminder.principal,
        address=reminder.address,
        dedupe_key=instant_key(reminder.id, at_ms),
        origin=Origin.SYSTEM,
        not_before_ms=at_ms,
        data={"reminder": reminder.id, "at_ms": at_ms},
    )
    input_id, known = inbox_rows.put(conn, instant, now_ms, passes_lanes=True, state=SCHEDULED)
    if known:
        # An occurrence that was dealt with, and that somebody has set again since: what they ask for now counts.
        again = update(inbox).where(inbox.c.id == input_id).values(state=SCHEDULED, not_before_ms=at_ms)
        conn.execute(again)


def _values(reminder: Reminder) -> dict[str, Any]:
    following = reminder.next if reminder.state is ReminderState.ACTIVE else None
    return {
        "principal": str(reminder.principal),
        "number": reminder.number,
        "address": str(reminder.address),
        "asked_in": str(reminder.asked_in),
        "text": reminder.text,
        "mode": reminder.mode.value,
        "start": reminder.intent.start.isoformat(),
        "zone": reminder.intent.zone,
        "rule": reminder.intent.rule,
        "elapsed": reminder.intent.elapsed,
        "next_local": "" if following is None else following.local.isoformat(),
        "next_at_ms": 0 if following is None else following.at_ms,
        "remaining": None if following is None else following.remaining,
        "missed": reminder.missed.value,
        "max_lateness_s": reminder.max_lateness_s,
        "tainted": reminder.tainted,
        "state": reminder.state.value,
        "note": reminder.note,
    }


def _reminder(row: Any) -> Reminder:
    following = None
    if row.next_local:
        local = datetime.fromisoformat(row.next_local)
        following = Occurrence(local=local, at_ms=row.next_at_ms, remaining=row.remaining)
    return Reminder(
        id=row.id,
        principal=Principal.parse(row.principal),
        number=row.number,
        address=Address.parse(row.address),
        asked_in=Address.parse(row.asked_in),
        text=row.text,
        mode=ReminderMode(row.mode),
        intent=Intent(
            start=datetime.fromisoformat(row.start), zone=row.zone, rule=row.rule, elapsed=bool(row.elapsed)
        ),
        next=following,
        missed=MissedPolicy(row.missed),
        max_lateness_s=row.max_lateness_s,
        tainted=bool(row.tainted),
        state=ReminderState(row.state),
        note=row.note,
        created_at_ms=row.created_at_ms,
    )


def known_addresses(conn: Any, principal: Principal, most: int = 20) -> Sequence[Address]:
    """Return the chats in which a principal has spoken, the newest first."""
    statement = (
        select(turns.c.lane)
        .where(turns.c.principal == str(principal), turns.c.origin == Origin.USER.value)
        .group_by(turns.c.lane)
        .order_by(func.max(turns.c.id).desc())
        .limit(most)
    )
    return [Address.parse(lane) for lane in conn.execute(statement).scalars()]
