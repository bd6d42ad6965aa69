"""Erasing a person: their rows are deleted in small batches, each in a transaction of its own.

First everything that could still begin for them is called off, together with the check that nothing runs; what is
erased are the rows that there are then. Whatever they write while it goes on is new and stays. A run that is
interrupted is made up for by the next one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Table, delete, func, or_, select, update

from core.contracts.inputs import Role
from core.contracts.services import Database
from core.services import calendar_uids, roles
from core.services import reminders as reminder_rows
from core.services.personal_data import HOLDINGS, Erasure, Holding, Match, Person, condition
from core.storage.tables import (
    approvals,
    compensations,
    inbox,
    kv,
    messages,
    outbox,
    people,
    reminders,
    sessions,
    turns,
)

BATCH = 200
_BOUNDED = (inbox, turns, messages, outbox, sessions, reminders)
_BOUNDED_BY_TURN = (approvals, compensations)


@dataclass(frozen=True, slots=True, kw_only=True)
class Halted:
    """What was there when everything was called off: the highest id of each table, by its name."""

    highest: dict[str, int]

    def covers(self, table: Table) -> list[ColumnElement[bool]]:
        """Return what is true of the rows that were there."""
        if table in _BOUNDED_BY_TURN:
            return [table.c.turn_id <= self.highest[turns.name]]
        return [table.c.id <= self.highest[table.name]] if table in _BOUNDED else []


def running(conn: Any, person: Person, now_ms: int) -> int:
    """Return how many inputs of a person, or in their private chat, a process works on right now."""
    held = (inbox.c.state == "running", inbox.c.lease_until_ms >= now_ms)
    statement = select(func.count()).select_from(inbox).where(_inputs(person), *held)
    return int(conn.execute(statement).scalar_one())


def _inputs(person: Person) -> ColumnElement[bool]:
    return or_(inbox.c.principal == str(person.principal), inbox.c.lane.in_(person.lanes))


def halt(conn: Any, person: Person, now_ms: int) -> Halted | None:
    """Call off what waits for a person, so that nothing of theirs begins any more; None: something runs."""
    if running(conn, person, now_ms):
        return None
    who = str(person.principal)
    pending = (_inputs(person), inbox.c.state.in_(("waiting", "running")))
    begun = list(conn.execute(select(inbox.c.turn_id).where(*pending, inbox.c.turn_id != 0)).scalars())
    conn.execute(update(turns).where(turns.c.id.in_(begun)).values(state="aborted", ended_at_ms=now_ms))
    conn.execute(update(inbox).where(*pending).values(state="done", lease_owner=""))
    undecided = (approvals.c.principal == who, approvals.c.state.in_(("waiting", "approved")))
    conn.execute(update(approvals).where(*undecided).values(state="expired"))
    open_ones = (sessions.c.lane.in_(person.lanes), sessions.c.closed_at_ms == 0)
    conn.execute(update(sessions).where(*open_ones).values(closed_at_ms=max(now_ms, 1)))
    highest = {table.name: conn.execute(select(func.max(table.c.id))).scalar() or 0 for table in _BOUNDED}
    return Halted(highest=highest)


class Erasing:
    """Erases one person; `erased` counts the rows by table as it goes on."""

    def __init__(self, database: Database, person: Person, *, forget_block: bool) -> None:
        self._database = database
        self._person = person
        self._forget_block = forget_block
        self.erased: Counter[str] = Counter()

    async def run(self, now_ms: int) -> bool:
        """Erase; False when a turn of theirs runs, and so nothing but their reminders may be gone."""
        database, person = self._database, self._person
        if await database.read(lambda conn: running(conn, person, now_ms)):
            return False
        # First, while none of them can begin a turn unseen.
        await self._delete(reminders, (), self._drop_reminders)
        halted = await database.transact(lambda conn: halt(conn, person, now_ms))
        if halted is None:
            return False
        await self._delete(reminders, halted.covers(reminders), self._drop_reminders)
        await self._forget_summaries()
        of_turn = [holding for holding in HOLDINGS if holding.match is Match.TURN]
        await self._delete(turns, halted.covers(turns), lambda conn, ids: self._drop_turns(conn, ids, of_turn))
        for table in (messages, outbox, sessions, approvals, compensations):
            await self._delete(table, halted.covers(table), lambda conn, ids, t=table: self._drop(conn, t, ids))  # type: ignore[misc]
        await self._each(self._of(inbox, Erasure.STUB), inbox, halted.covers(inbox), self._stub)
        for holding in HOLDINGS:
            if holding.erasure is Erasure.BLANK:
                await self._blank(holding, halted)
        await database.transact(self._forget_small)
        return True

    async def _delete(
        self, table: Table, within: Sequence[ColumnElement[bool]], drop: Callable[[Any, list[Any]], None]
    ) -> None:
        await self._each(self._of(table, Erasure.DELETE), table, within, drop)

    async def _each(
        self,
        where: ColumnElement[bool],
        table: Table,
        within: Sequence[ColumnElement[bool]],
        work: Callable[[Any, list[Any]], None],
    ) -> None:
        """Call `work(conn, keys)` for all rows, a batch a transaction; they are looked for beside the writer."""
        key = next(iter(table.primary_key.columns))
        statement = select(key).where(where, *within).order_by(key).limit(BATCH)
        after: Any = None
        while True:
            following = statement if after is None else statement.where(key > after)
            keys = await self._database.read(lambda conn, s=following: list(conn.execute(s).scalars()))  # type: ignore[misc]
            if keys:
                await self._database.transact(lambda conn, found=keys: work(conn, found))  # type: ignore[misc]
                after = keys[-1]
            if len(keys) < BATCH:
                return

    def _of(self, table: Table, erasure: Erasure) -> ColumnElement[bool]:
        mine = [h for h in HOLDINGS if h.column.table is table and h.erasure is erasure and h.match is not Match.TURN]
        return or_(*(condition(holding, self._person) for holding in mine))

    def _drop_turns(self, conn: Any, ids: list[Any], of_turn: Sequence[Holding]) -> None:
        for holding in of_turn:
            table = holding.column.table
            if table is outbox:
                found = conn.execute(select(outbox.c.id).where(outbox.c.turn_id.in_(ids))).scalars()
                self._drop(conn, outbox, list(found))
            else:
                gone = conn.execute(delete(table).where(holding.column.in_(ids))).rowcount
                self._count(table, gone)
        self._drop(conn, turns, ids)

    def _drop_reminders(self, conn: Any, ids: list[Any]) -> None:
        numbers = conn.execute(select(reminders.c.number).where(reminders.c.id.in_(ids))).scalars()
        keys = [f"{calendar_uids.PREFIX}{number}" for number in numbers]
        imported = (kv.c.owner == calendar_uids.OWNER, kv.c.key.in_(keys))
        self._count(kv, conn.execute(delete(kv).where(*imported)).rowcount)
        for reminder_id in ids:
            reminder_rows.unschedule(conn, reminder_id)
        self._drop(conn, reminders, ids)

    def _drop(self, conn: Any, table: Table, ids: list[Any]) -> None:
        """Delete rows; of the newest one an empty shell stays, or SQLite would give its id to the next one."""
        shell = _shells(self._person.erased_name).get(table.name)
        newest = conn.execute(select(func.max(table.c.id))).scalar() if shell else None
        gone = [row_id for row_id in ids if row_id != newest]
        count = conn.execute(delete(table).where(table.c.id.in_(gone))).rowcount if gone else 0
        if len(gone) < len(ids) and shell:
            count += conn.execute(update(table).where(table.c.id == newest).values(**shell)).rowcount
        self._count(table, count)

    def _stub(self, conn: Any, ids: list[Any]) -> None:
        name = self._person.erased_name
        bare = {"principal": name, "lane": name, "body": '{"text":""}', "turn_id": 0, "state": "done"}
        self._count(inbox, conn.execute(update(inbox).where(inbox.c.id.in_(ids)).values(**bare)).rowcount)

    async def _forget_summaries(self) -> None:
        """Clear the summaries of conversations in which they spoke: whose words are in them cannot be told."""
        who = str(self._person.principal)
        spoke_in = select(messages.c.session_id).where(messages.c.principal == who).distinct()
        had_turns = select(turns.c.session_id).where(turns.c.principal == who).distinct()

        def clear(conn: Any, ids: list[Any]) -> None:
            held = (sessions.c.id.in_(ids), or_(sessions.c.summary != "", sessions.c.title != ""))
            conn.execute(update(sessions).where(*held).values(summary="", summary_tainted=False, title=""))

        await self._each(or_(sessions.c.id.in_(spoke_in), sessions.c.id.in_(had_turns)), sessions, (), clear)

    async def _blank(self, holding: Holding, halted: Halted) -> None:
        """Overwrite a column in rows that are somebody else's: what they have begun since is none of these."""
        table, column = holding.column.table, holding.column
        key = next(iter(table.primary_key.columns))
        values = {column.name: self._person.erased_name}

        def blank(conn: Any, keys: list[Any]) -> None:
            conn.execute(update(table).where(key.in_(keys)).values(**values))

        others = table.c.principal != str(self._person.principal)
        await self._each(condition(holding, self._person), table, [others, *halted.covers(table)], blank)

    def _forget_small(self, conn: Any) -> None:
        """Delete what there is one row of, or a few; that somebody is blocked stays unless it is to be forgotten."""
        for holding in HOLDINGS:
            table = holding.column.table
            if holding.erasure is not Erasure.DELETE or table in _IN_BATCHES or table is people:
                continue
            if holding.match is not Match.TURN:
                statement = delete(table).where(condition(holding, self._person))
                self._count(table, conn.execute(statement).rowcount)
        row = (people.c.principal == str(self._person.principal),)
        role = conn.execute(select(people.c.role).where(*row)).scalar()
        if role == Role.BLOCKED.value and not self._forget_block:
            conn.execute(update(people).where(*row).values(name="", tell=""))
        elif role is not None:
            roles.remove(conn, self._person.principal)
            self._count(people, 1)

    def _count(self, table: Table, rows: int) -> None:
        if rows:
            self.erased[table.name] += rows


_IN_BATCHES = (reminders, turns, messages, outbox, sessions, approvals, compensations)


def _shells(name: str) -> dict[str, dict[str, Any]]:
    """Return what stands in a row that only keeps its id taken, by table."""
    return {
        "turns": {"principal": name, "lane": name, "session_id": 0, "state": "aborted", "reason": ""},
        "messages": {
            "session_id": 0,
            "turn_id": 0,
            "role": "foreign",
            "author": "",
            "principal": "",
            "text": "",
        },
        "outbox": {
            "address": name,
            "turn_id": 0,
            "text": "",
            "body": "{}",
            "state": "sent",
            "reason": "",
            "message_id": "",
        },
        "sessions": {"lane": name, "persona": "", "title": "", "summary": "", "summary_tainted": False},
        "reminders": {
            "principal": name,
            "address": name,
            "asked_in": name,
            "text": "",
            "rule": "",
            "next_local": "",
            "next_at_ms": 0,
            "state": "cancelled",
            "note": "",
        },
    }
