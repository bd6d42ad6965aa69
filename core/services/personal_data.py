"""Where something of a person is stored: every table and column, how it is found, and what erasing does to it.

`rekku people` exports and erases by this list alone, and a test holds every table against it: whoever adds a table,
or a column that names somebody, says here what becomes of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, false, func, or_, select

from core.contracts.inputs import Address, Origin, Principal
from core.services import calendar_uids
from core.services.budgets import PLUGINS
from core.storage.tables import (
    approvals,
    asks,
    compensations,
    events,
    inbox,
    kv,
    lanes,
    ledger,
    messages,
    notes,
    notices,
    outbox,
    pairings,
    people,
    reminders,
    replies,
    sessions,
    steps,
    turns,
    zones,
)


class Match(StrEnum):
    """What a column holds in the rows of a person."""

    PRINCIPAL = "their principal"
    PRIVATE = "the address of their private chat, or of a thread in it"
    TURN = "the id of a turn of theirs"
    SESSION = "the id of a conversation in their private chat"
    CALENDAR = "the name of a value that belongs to a reminder of theirs"


class Erasure(StrEnum):
    """What becomes of such a row."""

    DELETE = "it is deleted"
    STUB = "what is needed to know an update again stays, without whose it was and what it said"
    BLANK = "it is somebody else's: only the column is overwritten"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One column by which rows of a person are found. mine: which of them are theirs alone, and exported."""

    column: Any
    match: Match
    erasure: Erasure = Erasure.DELETE
    mine: ColumnElement[bool] | None = None

    @property
    def exported(self) -> bool:
        """Whether an export shows such rows: those that are somebody else's it does not."""
        return self.erasure is not Erasure.BLANK

    @property
    def name(self) -> str:
        """`table.column`."""
        return f"{self.column.table.name}.{self.column.name}"


# What others had sent to them, or was put to them as to a trainer, is others': erased, and not exported.
_nobodys = false()

HOLDINGS: tuple[Holding, ...] = (
    Holding(column=replies.c.turn_id, match=Match.TURN),
    Holding(column=steps.c.turn_id, match=Match.TURN),
    Holding(column=ledger.c.turn_id, match=Match.TURN),
    Holding(column=outbox.c.turn_id, match=Match.TURN),
    Holding(column=outbox.c.address, match=Match.PRIVATE, mine=outbox.c.turn_id == 0),
    Holding(column=turns.c.principal, match=Match.PRINCIPAL),
    # What they quoted and forwarded is others' words.
    Holding(
        column=messages.c.principal,
        match=Match.PRINCIPAL,
        mine=or_(messages.c.role != "foreign", messages.c.turn_id == 0),
    ),
    Holding(column=messages.c.session_id, match=Match.SESSION, mine=messages.c.principal == ""),
    Holding(column=sessions.c.lane, match=Match.PRIVATE),
    Holding(column=lanes.c.lane, match=Match.PRIVATE),
    Holding(column=events.c.principal, match=Match.PRINCIPAL),
    Holding(column=events.c.lane, match=Match.PRIVATE, mine=events.c.principal == ""),
    Holding(column=approvals.c.principal, match=Match.PRINCIPAL),
    Holding(column=compensations.c.principal, match=Match.PRINCIPAL),
    Holding(column=kv.c.key, match=Match.CALENDAR),
    Holding(column=reminders.c.principal, match=Match.PRINCIPAL),
    Holding(column=reminders.c.address, match=Match.PRIVATE, mine=_nobodys),
    Holding(column=zones.c.principal, match=Match.PRINCIPAL),
    Holding(column=pairings.c.principal, match=Match.PRINCIPAL),
    Holding(column=notices.c.principal, match=Match.PRINCIPAL),
    Holding(column=notes.c.address, match=Match.PRIVATE),
    Holding(column=asks.c.principal, match=Match.PRINCIPAL),
    Holding(column=people.c.principal, match=Match.PRINCIPAL),
    Holding(column=inbox.c.principal, match=Match.PRINCIPAL, erasure=Erasure.STUB),
    Holding(column=inbox.c.lane, match=Match.PRIVATE, erasure=Erasure.BLANK),
    Holding(column=turns.c.lane, match=Match.PRIVATE, erasure=Erasure.BLANK),
    Holding(column=approvals.c.lane, match=Match.PRIVATE, erasure=Erasure.BLANK),
    Holding(column=approvals.c.approver, match=Match.PRINCIPAL, erasure=Erasure.BLANK),
    Holding(column=approvals.c.decided_by, match=Match.PRINCIPAL, erasure=Erasure.BLANK),
    Holding(column=compensations.c.lane, match=Match.PRIVATE, erasure=Erasure.BLANK),
    Holding(column=reminders.c.asked_in, match=Match.PRIVATE, erasure=Erasure.BLANK),
    Holding(column=people.c.decided_by, match=Match.PRINCIPAL, erasure=Erasure.BLANK),
)
"""In the order of erasing: what is found by a turn before the turns."""

COVERED: Mapping[str, str] = {
    "inbox.interface": "a platform, and no person",
    "inbox.turn_id": "overwritten with the stub",
    "turns.session_id": "goes with the turn",
    "ledger.principal": "goes with the turn, whose principal it is",
    "messages.turn_id": "goes with the message, which names the principal of its turn",
    "messages.author": "a display name; goes with the message",
    "outbox.interface": "a platform, and no person",
    "events.name": "the name of an event, and no person",
    "approvals.turn_id": "goes with the approval, which names the principal of its turn",
    "notes.turn_id": "goes with the note, or with the end of the turn that carries it",
    "compensations.turn_id": "goes with the compensation, which names the principal of its turn",
    "people.name": "a display name; goes with the role",
    "people.tell": "goes with the role",
    "pairings.interface": "a platform, and no person",
    "pairings.name": "a display name; goes with the code",
    "pairings.address": "goes with the code",
    "kv.owner": "a component, and no person; what components keep of somebody they are asked for themselves",
}
"""Columns that may look as if they named somebody, and why they need no entry of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody. lanes: under which their private chat and its threads stand. numbers: of their reminders."""

    principal: Principal
    lanes: Sequence[str] = ()
    numbers: Sequence[int] = ()

    @property
    def erased_name(self) -> str:
        """What stands in place of them once they are erased; no platform gives such an id."""
        return erased_name(self.principal.interface)


def erased_name(interface: str) -> str:
    """Return the principal, and the address, of somebody who was erased."""
    return f"{interface}:(erased)"


def find(conn: Any, principal: Principal, private: Address | None) -> Person:
    """Return a person; `private`: the chat that their interface calls theirs alone.

    Where others have written in that chat as well (a console with several logins) it is one like any other.
    """
    chat = str(private)
    own = select(reminders.c.number).where(reminders.c.principal == str(principal))
    numbers = list(conn.execute(own).scalars())
    if private is None or _is_shared(conn, principal, chat):
        return Person(principal=principal, numbers=numbers)
    lanes: set[str] = {chat}
    for holding in HOLDINGS:
        if holding.match is Match.PRIVATE:
            column = holding.column
            named = or_(column == chat, column.startswith(f"{chat}/", autoescape=True))
            # LIKE may take upper for lower case, and somebody else for them.
            found = conn.execute(select(column).where(named).distinct()).scalars()
            lanes |= {text for text in found if text == chat or text.startswith(f"{chat}/")}
    return Person(principal=principal, lanes=sorted(lanes), numbers=numbers)


def _is_shared(conn: Any, principal: Principal, chat: str) -> bool:
    others = select(turns.c.id).where(
        turns.c.lane == chat, turns.c.principal != str(principal), turns.c.origin == Origin.USER.value
    )
    known = turns.c.principal != erased_name(principal.interface)
    return conn.execute(others.where(known).limit(1)).first() is not None


def condition(holding: Holding, person: Person) -> ColumnElement[bool]:
    """Return what is true of the rows of a person."""
    column, who = holding.column, str(person.principal)
    if holding.match is Match.PRINCIPAL:
        found = column == who
    elif holding.match is Match.PRIVATE:
        found = column.in_(person.lanes)
    elif holding.match is Match.TURN:
        found = column.in_(select(turns.c.id).where(turns.c.principal == who))
    elif holding.match is Match.SESSION:
        found = column.in_(select(sessions.c.id).where(sessions.c.lane.in_(person.lanes)))
    else:
        keys = [f"{calendar_uids.PREFIX}{number}" for number in person.numbers]
        found = and_(kv.c.owner == calendar_uids.OWNER, column.in_(keys))
    return found  # type: ignore[no-any-return]


def everyone(conn: Any) -> list[dict[str, Any]]:
    """Return everybody of whom something is stored, with their role, their turns and when the last one began."""
    found: set[str] = set()
    for holding in HOLDINGS:
        if holding.match is Match.PRINCIPAL and holding.exported:
            found |= set(conn.execute(select(holding.column).distinct()).scalars())
    active = {
        row[0]: (row[1], row[2])
        for row in conn.execute(
            select(turns.c.principal, func.count(), func.max(turns.c.started_at_ms)).group_by(turns.c.principal)
        )
    }
    roles = {row.principal: row for row in conn.execute(select(people.c.principal, people.c.role, people.c.name))}
    rows = []
    for who in sorted(found - {""}):
        if who == erased_name(who.partition(":")[0]) or who.startswith(f"{PLUGINS}:"):
            continue
        count, last_ms = active.get(who, (0, 0))
        role, name = (roles[who].role, roles[who].name) if who in roles else ("", "")
        rows.append({"principal": who, "role": role, "name": name, "turns": count, "last_turn_ms": last_ms})
    return rows


def counts(conn: Any, person: Person) -> dict[str, int]:
    """Return how many rows of which table are theirs, where any are."""
    by_table: dict[Any, list[ColumnElement[bool]]] = {}
    for holding in HOLDINGS:
        if holding.exported:
            by_table.setdefault(holding.column.table, []).append(condition(holding, person))
    counted = {
        table.name: conn.execute(select(func.count()).select_from(table).where(or_(*found))).scalar_one()
        for table, found in by_table.items()
    }
    return {name: count for name, count in counted.items() if count}


def still_naming(conn: Any, principal: Principal) -> list[str]:
    """Return whose small values still name a principal: components that do not say what they keep."""
    who = str(principal)
    named = or_(kv.c.key.contains(who, autoescape=True), kv.c.value.contains(who, autoescape=True))
    # Not where another one begins with it or ends in it.
    whole = re.compile(rf"(?<![\w.-]){re.escape(who)}(?![\w.-])")
    rows = conn.execute(select(kv.c.owner, kv.c.key, kv.c.value).where(named))
    return sorted({row.owner for row in rows if whole.search(f"{row.key}\n{row.value}")})


def mine(holding: Holding, person: Person) -> ColumnElement[bool]:
    """Return what is true of the rows of a person that are nobody else's."""
    found = condition(holding, person)
    return found if holding.mine is None else and_(found, holding.mine)
