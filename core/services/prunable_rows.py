"""What may be pruned: pages of old rows, which of them something still needs, and their deletion.

Functions of a connection. A page is read in the order of the ids, without the newest row: SQLite would give its id
to the next one, and ids stand elsewhere (a session's `summarized_to`, the name of a part that was sent).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, and_, delete, exists, func, or_, select

from core.contracts.inputs import Origin
from core.contracts.schedule import ReminderState
from core.services import inbox as inbox_rows
from core.services import outbox as outbox_rows
from core.storage.tables import (
    approvals,
    events,
    inbox,
    ledger,
    messages,
    outbox,
    reminders,
    replies,
    sessions,
    steps,
    turns,
)

ENDED_TURN = ("complete", "aborted", "error")
ENDED_DELIVERY = ("sent", "dead")
UNDECIDED = ("waiting", "approved")

ROWS_A_PAGE = 200
TURNS_A_PAGE = 40
"""A turn goes with its replies, steps, actions and approvals: a handful of rows each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OldRow:
    """A row of a page. at_ms, ended_at_ms: when it came and ended, UTC milliseconds. free: nothing needs it."""

    id: int
    at_ms: int
    ended_at_ms: int
    free: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Prunable:
    """A table whose rows are pruned. page(conn, after): its next rows; delete(conn, ids): how many were deleted."""

    table: Table
    page: Callable[[Any, int], list[OldRow]]
    delete: Callable[[Any, Sequence[int]], int]
    most: int


def count(conn: Any, table: Table, most: int) -> int:
    """Return how many rows a table has, if that may be more than `most`; else 0, without counting."""
    # One each: SQLite looks the two up at the ends of the table only when they are asked for apart.
    first = conn.execute(select(func.min(table.c.id))).scalar()
    last = conn.execute(select(func.max(table.c.id))).scalar()
    if first is None or last - first < most:
        return 0
    return int(conn.execute(select(func.count()).select_from(table)).scalar_one())


def _page(statement: Any, table: Table, after: int, most: int) -> Any:
    newest = select(func.max(table.c.id)).scalar_subquery()
    return statement.where(table.c.id > after, table.c.id < newest).order_by(table.c.id).limit(most)


def _messages(conn: Any, after: int) -> list[OldRow]:
    """What stands behind the summary of a conversation that goes on is needed, and what an open turn has said."""
    statement = select(
        messages.c.id,
        messages.c.at_ms,
        or_(sessions.c.id.is_(None), sessions.c.closed_at_ms != 0, messages.c.id <= sessions.c.summarized_to).label(
            "fallen_out"
        ),
        or_(turns.c.id.is_(None), turns.c.state.in_(ENDED_TURN)).label("ended"),
    ).select_from(
        messages.join(sessions, sessions.c.id == messages.c.session_id, isouter=True).join(
            turns, turns.c.id == messages.c.turn_id, isouter=True
        )
    )
    return [
        OldRow(id=row.id, at_ms=row.at_ms, ended_at_ms=row.at_ms, free=bool(row.fallen_out and row.ended))
        for row in conn.execute(_page(statement, messages, after, ROWS_A_PAGE))
    ]


def _sessions(conn: Any, after: int) -> list[OldRow]:
    """A conversation goes when it has ended, nothing of it is left, and no open turn belongs to it."""
    open_turn = inbox.join(turns, turns.c.id == inbox.c.turn_id)
    is_open = inbox.c.state.in_(inbox_rows.OPEN)
    statement = select(
        sessions.c.id,
        sessions.c.started_at_ms,
        sessions.c.closed_at_ms,
        exists(select(messages.c.id).where(messages.c.session_id == sessions.c.id)).label("has_messages"),
    )
    rows = conn.execute(_page(statement, sessions, after, ROWS_A_PAGE)).all()
    ids = [row.id for row in rows if row.closed_at_ms]
    needed = set(
        conn.execute(
            select(turns.c.session_id).select_from(open_turn).where(is_open, turns.c.session_id.in_(ids))
        ).scalars()
    )
    return [
        OldRow(
            id=row.id,
            at_ms=row.started_at_ms,
            ended_at_ms=row.closed_at_ms,
            free=bool(row.closed_at_ms) and not row.has_messages and row.id not in needed,
        )
        for row in rows
    ]


def _turns(conn: Any, after: int) -> list[OldRow]:
    statement = select(turns.c.id, turns.c.started_at_ms, turns.c.ended_at_ms, turns.c.state)
    rows = conn.execute(_page(statement, turns, after, TURNS_A_PAGE)).all()
    needed = _needed_turns(conn, [row.id for row in rows])
    return [
        OldRow(
            id=row.id,
            at_ms=row.started_at_ms,
            ended_at_ms=row.ended_at_ms,
            free=row.state in ENDED_TURN and row.id not in needed,
        )
        for row in rows
    ]


def _needed_turns(conn: Any, ids: Sequence[int]) -> set[int]:
    """Return which turns an input, an approval, a delivery or a reminder that is open still needs."""
    later = turns.alias()
    newer_one = exists(
        select(later.c.id).where(
            later.c.principal == turns.c.principal,
            later.c.started_at_ms >= turns.c.started_at_ms,
            later.c.lane == turns.c.lane,
            later.c.origin == Origin.USER.value,
            later.c.id > turns.c.id,
        )
    )
    reminded = exists(
        select(reminders.c.id).where(
            reminders.c.principal == turns.c.principal, reminders.c.state == ReminderState.ACTIVE.value
        )
    )
    needs = (
        select(inbox.c.turn_id).where(inbox.c.state.in_(inbox_rows.OPEN), inbox.c.turn_id.in_(ids)),
        select(approvals.c.turn_id).where(approvals.c.turn_id.in_(ids), approvals.c.state.in_(UNDECIDED)),
        select(outbox.c.turn_id).where(outbox.c.turn_id.in_(ids), outbox.c.state.in_(outbox_rows.OPEN)),
        # By it a reminder finds another chat of whoever set it; see `reminders.known_addresses`.
        select(turns.c.id).where(
            turns.c.id.in_(ids), turns.c.origin == Origin.USER.value, and_(reminded, ~newer_one)
        ),
    )
    return {turn_id for statement in needs for turn_id in conn.execute(statement).scalars()}


def _outbox(conn: Any, after: int) -> list[OldRow]:
    statement = select(outbox.c.id, outbox.c.created_at_ms, outbox.c.ended_at_ms, outbox.c.state)
    return [
        OldRow(id=row.id, at_ms=row.created_at_ms, ended_at_ms=row.ended_at_ms, free=row.state in ENDED_DELIVERY)
        for row in conn.execute(_page(statement, outbox, after, ROWS_A_PAGE))
    ]


def _events(conn: Any, after: int) -> list[OldRow]:
    return [
        OldRow(id=row.id, at_ms=row.at_ms, ended_at_ms=row.at_ms, free=True)
        for row in conn.execute(_page(select(events.c.id, events.c.at_ms), events, after, ROWS_A_PAGE))
    ]


def _delete_turns(conn: Any, ids: Sequence[int]) -> int:
    """Delete turns with all that was recorded of them, but for those that have been reopened meanwhile."""
    ended = select(turns.c.id).where(turns.c.id.in_(ids), turns.c.state.in_(ENDED_TURN))
    found = list(conn.execute(ended).scalars())
    for table in (replies, steps, ledger, approvals):
        conn.execute(delete(table).where(table.c.turn_id.in_(found)))
    return int(conn.execute(delete(turns).where(turns.c.id.in_(found))).rowcount)


def _deletes(table: Table, *unless_changed: Any) -> Callable[[Any, Sequence[int]], int]:
    def of_ids(conn: Any, ids: Sequence[int]) -> int:
        return int(conn.execute(delete(table).where(table.c.id.in_(ids), *unless_changed)).rowcount)

    return of_ids


PRUNABLE: tuple[Prunable, ...] = (
    Prunable(table=messages, page=_messages, delete=_deletes(messages), most=ROWS_A_PAGE),
    Prunable(
        table=sessions, page=_sessions, delete=_deletes(sessions, sessions.c.closed_at_ms != 0), most=ROWS_A_PAGE
    ),
    Prunable(table=turns, page=_turns, delete=_delete_turns, most=TURNS_A_PAGE),
    Prunable(
        table=outbox,
        page=_outbox,
        delete=_deletes(outbox, outbox.c.state.in_(ENDED_DELIVERY)),
        most=ROWS_A_PAGE,
    ),
    Prunable(table=events, page=_events, delete=_deletes(events), most=ROWS_A_PAGE),
)
"""In this order: a conversation can go once its messages have gone."""
